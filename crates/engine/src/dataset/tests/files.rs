//! Files of sessions and bodies.

use std::io::Write as _;

use super::*;

const SINGLE: &str = concat!(
    r#"{"text": "What is a token?", "output_length": 7}"#,
    "\n\n",
    r#"{"texts": ["One", {"name": "b", "contents": ["Two"]}], "delay": 250, "model": "m2", "extra": {"top_p": 0.5}}"#,
    "\n",
    r#"{"text": "again", "session_id": "s"}"#,
    "\n",
    r#"{"text": "and again", "session_id": "s"}"#,
    "\n",
);

fn check_single(dataset: &Dataset) {
    assert_eq!((dataset.format(), dataset.entries()), (Some(DatasetFormat::SingleTurn), Some(3)));
    let first = dataset.session(0);
    assert_eq!(texts(&first.turns[0]), ["What is a token?"]);
    assert_eq!((first.turns[0].output_tokens, &*first.id), (Some(7), "session_000000"));
    let second = dataset.session(1);
    assert_eq!(texts(&second.turns[0]), ["One", "Two"]);
    assert_eq!(second.turns[0].delay, Duration::from_millis(250));
    assert_eq!(second.turns[0].model.as_deref(), Some("m2"));
    assert_eq!(second.turns[0].extra.as_ref().expect("extra")["top_p"], 0.5);
    let third = dataset.session(2);
    assert_eq!((third.turns.len(), &*third.id, third.self_contained), (2, "s", true));
    assert_eq!(wire(&dataset.session(3)), wire(&first));
}

#[test]
fn single_turn_is_read_plain_and_compressed() {
    check_single(&Input::new("a.jsonl", SINGLE).open());
    check_single(&Input::new("bom.jsonl", format!("\u{feff}{SINGLE}")).open());
    check_single(&Input::new("crlf.jsonl", SINGLE.replace('\n', "\r\n")).open());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(SINGLE.as_bytes()).expect("in memory");
    check_single(&Input::new("a.jsonl.gz", gzip.finish().expect("in memory")).open());
    check_single(
        &Input::new("a.jsonl.zst", zstd::encode_all(SINGLE.as_bytes(), 3).expect("in memory")).open(),
    );
}

#[test]
fn file_prompts_take_osl_where_they_have_none() {
    let mut config = Input::new("a.jsonl", SINGLE);
    let mut with_osl = config.config();
    with_osl.prompt.osl = Some(99.0);
    let dataset = open(&with_osl);
    assert_eq!(dataset.session(0).turns[0].output_tokens, Some(7));
    assert_eq!(dataset.session(1).turns[0].output_tokens, Some(99));
    config.path = config.dir.path().join("none.jsonl");
    assert!(config.refused().contains("none.jsonl"));
}

#[test]
fn bad_lines_are_named_with_file_line_and_reason() {
    for (line, part) in [
        (r#"{"text": "a", "txt": "b"}"#, "unknown field `txt`"),
        (r#"{"text": "a""#, "is not valid JSON"),
        (r#"{"output_length": 5}"#, "has neither `text`"),
        (r#"{"text": "a", "texts": ["b"]}"#, "`text` and `texts` exclude"),
        (r#"{"text": "a", "audio": "x.wav"}"#, "`audio` is not supported"),
        (r#"{"text": "a", "role": "system"}"#, "role `system`"),
        (r#"{"text": "a", "output_length": 0}"#, "`output_length` must be 1 or more"),
        (r#"{"text": "a", "timestamp": 1, "delay": 1}"#, "`timestamp` and `delay` exclude"),
        (r#"{"text": "a", "timestamp": -1}"#, "`timestamp` is -1"),
        (r#"{"image": "nowhere.png"}"#, "nowhere.png"),
        (r#"{"texts": [{"name": "query", "contents": ["q"]}]}"#, "no `passages`"),
    ] {
        let message = Input::new("bad.jsonl", format!("{{\"text\": \"fine\"}}\n{line}\n")).refused();
        assert!(message.contains("bad.jsonl:2: ") && message.contains(part), "{message}");
    }
    let message = Input::new("bad.jsonl", b"{\"text\": \"fine\"}\n{\"text\": \"\xff\"}\n").refused();
    assert!(message.ends_with("bad.jsonl:2: is not UTF-8"), "{message}");
    assert!(Input::new("empty.jsonl", "").refused().contains("is empty"));
    assert!(Input::new("what.txt", "plain text\n").refused().contains("--custom-dataset-type"));
}

#[test]
fn multi_turn_keeps_sessions() {
    let lines = concat!(
        r#"{"session_id": "a", "turns": [{"text": "Hi"}, {"text": "More", "delay": 100}]}"#,
        "\n",
        r#"{"turns": [{"text": "Alone", "image": "https://host/x.png"}]}"#,
    );
    let dataset = Input::new("m.jsonl", lines).open();
    assert_eq!(dataset.format(), Some(DatasetFormat::MultiTurn));
    assert!((dataset.turns_mean() - 1.5).abs() < 1e-12);
    let first = dataset.session(0);
    assert_eq!((&*first.id, first.turns.len(), first.self_contained), ("a", 2, false));
    assert_eq!(first.turns[1].delay, Duration::from_millis(100));
    let Prompt::Texts { images, .. } = &dataset.session(1).turns[0].prompt else { panic!("texts") };
    assert_eq!(&*images[0].url, "https://host/x.png");
    for (line, part) in [
        (r#"{"turns": []}"#, "`turns` is empty"),
        (r#"{"turns": [{"text": "a"}, {"text": "b", "role": "assistant"}]}"#, "turn 1: role `assistant`"),
        (r#"{"session_id": "a", "turns": [{"text": "a"}]}"#, "same `session_id` as line 1"),
    ] {
        let message = Input::new("m.jsonl", format!("{lines}\n{line}")).refused();
        assert!(message.contains("m.jsonl:3: ") && message.contains(part), "{message}");
    }
}

#[test]
fn a_ranking_file_gives_query_and_passages() {
    let line =
        r#"{"texts": [{"name": "query", "contents": ["q"]}, {"name": "passages", "contents": ["a", "b"]}]}"#;
    let session = Input::new("r.jsonl", line).open().session(0);
    let Prompt::Ranking { query, passages } = &session.turns[0].prompt else { panic!("a ranking") };
    assert_eq!((&**query, passages.len()), ("q", 2));
}

#[test]
fn a_pool_is_drawn_from() {
    let input =
        Input::new("pool.jsonl", (0..10).map(|n| format!("{{\"text\": \"t{n}\"}}\n")).collect::<String>());
    let mut config = input.config();
    config.custom_dataset_type = Some(DatasetFormat::RandomPool);
    (config.num_dataset_entries, config.prompt.batch_size) = (Some(200), 2);
    let dataset = open(&config);
    assert_eq!(dataset.entries(), Some(200));
    let drawn: Vec<_> = (0..200).map(|n| texts(&dataset.session(n).turns[0]).join(" ")).collect();
    assert!(drawn.iter().all(|texts| texts.split(' ').count() == 2));
    let distinct: std::collections::HashSet<_> = drawn.iter().collect();
    assert!(distinct.len() > 60, "{}", distinct.len());
    assert_eq!(drawn[17], texts(&open(&config).session(17).turns[0]).join(" "));
}

#[test]
fn a_directory_of_pools_gives_one_of_each() {
    let input = Input::new("query.jsonl", "{\"text\": \"q1\"}\n{\"text\": \"q2\"}\n");
    std::fs::write(input.dir.path().join("passages.jsonl"), "{\"text\": \"p1\"}\n").expect("write");
    let config = config_for(input.dir.path());
    let dataset = open(&config);
    assert_eq!(dataset.format(), Some(DatasetFormat::RandomPool));
    let session = dataset.session(0);
    let Prompt::Ranking { query, passages } = &session.turns[0].prompt else {
        panic!("named by their files")
    };
    assert!(query.starts_with('q') && &*passages[0] == "p1");
    let mut batched = config;
    batched.prompt.batch_size = 2;
    assert!(refused(&batched).contains("--batch-size"));
}

#[test]
fn sharegpt_pairs_questions_with_answers() {
    let text = r#"[
      {"id": "1", "conversations": [
        {"from": "human", "value": "What is two plus two?"}, {"from": "gpt", "value": "Four."},
        {"from": "human", "value": "And three?"}, {"from": "gpt", "value": "It is six of course."}]},
      {"id": "2", "conversations": [{"from": "human", "value": "Nobody answered"}]},
      {"id": "3", "conversations": [
        {"from": "system", "value": "x"}, {"from": "user", "value": "Hello"}, {"from": "assistant", "value": "Hi"}]}
    ]"#;
    for compact in [false, true] {
        let text = if compact {
            serde_json::from_str::<serde_json::Value>(text).expect("json").to_string()
        } else {
            text.to_owned()
        };
        let dataset = Input::new("s.json", text).open();
        assert_eq!(dataset.format(), Some(DatasetFormat::Sharegpt));
        assert_eq!((dataset.entries(), dataset.skipped()), (Some(2), 1));
        let first = dataset.session(0);
        assert_eq!(first.turns.len(), 2);
        assert_eq!(texts(&first.turns[0]), ["What is two plus two?"]);
        assert_eq!((first.turns[0].input_tokens, first.turns[0].output_tokens), (Some(6), Some(2)));
        assert_eq!(texts(&dataset.session(1).turns[0]), ["Hello"]);
    }
    let message = Input::new("s.json", "[\n{\"conversations\": [\n{\"from\": 3}]}]").refused();
    assert!(message.contains("s.json:3: "), "{message}");
}

#[test]
fn inputs_json_is_sent_again_as_it_is() {
    let text = r#"{ "data": [
      {"session_id": "session_000000", "payloads": [ {"model":  "m", "n": 1.50} ]},
      {"session_id": "session_000001", "payloads": [ {"a": 1}, {"b": 2} ]} ] }"#;
    let dataset = Input::new("inputs.json", text).open();
    assert_eq!((dataset.format(), dataset.entries()), (Some(DatasetFormat::InputsJson), Some(2)));
    let session = dataset.session(0);
    let Prompt::Body(body) = &session.turns[0].prompt else { panic!("a body") };
    assert_eq!(body.get(), r#"{"model":  "m", "n": 1.50}"#);
    assert_eq!((dataset.session(1).turns.len(), dataset.session(1).self_contained), (2, true));
    let duplicate = text.replace("session_000001", "session_000000");
    assert!(Input::new("i.json", duplicate).refused().contains("data[1]: `session_id`"));
    let message = Input::new("i.json", text.replace(r#"{"b": 2}"#, "7")).refused();
    assert!(message.contains("data[1]: payloads[1] is not a JSON object"), "{message}");
    let input = Input::new("i.json", text);
    let busted = DatasetConfig { cache_bust: CacheBust::SystemPrefix, ..input.config() };
    assert!(refused(&busted).contains("--cache-bust"));
}

#[test]
fn raw_payloads_are_bodies() {
    let lines = "{\"messages\": [], \"x\": 1}\n{\"messages\": [], \"x\": 2}\n";
    let input = Input::new("conversation.jsonl", lines);
    let dataset = input.open();
    assert_eq!((dataset.format(), dataset.entries()), (Some(DatasetFormat::RawPayload), Some(2)));
    let directory = open(&config_for(input.dir.path()));
    assert_eq!((directory.entries(), &*directory.session(0).id), (Some(1), "conversation"));
    assert_eq!(directory.session(0).turns.len(), 2);
    assert!(
        Input::new("c.jsonl", format!("{lines}[1]\n")).refused().contains("c.jsonl:3: is not a JSON object")
    );
}

#[test]
fn synthetic_flags_are_refused_with_a_file() {
    let mut config = Input::new("a.jsonl", SINGLE).config();
    config.turns.mean = 3.0;
    assert!(refused(&config).contains("--session-turns-mean"));
}

/// One good file of each format.
const SAMPLES: [(DatasetFormat, &str); 9] = [
    (DatasetFormat::SingleTurn, SINGLE),
    (
        DatasetFormat::MultiTurn,
        r#"{"session_id": "a", "turns": [{"text": "Hi"}, {"text": "More", "delay": 1}]}"#,
    ),
    (DatasetFormat::RandomPool, "{\"text\": \"a\"}\n{\"texts\": [\"b\", \"c\"]}\n"),
    (
        DatasetFormat::Sharegpt,
        r#"[{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}]"#,
    ),
    (
        DatasetFormat::MooncakeTrace,
        r#"{"timestamp": 5, "input_length": 700, "output_length": 3, "hash_ids": [1, 2]}"#,
    ),
    (
        DatasetFormat::BailianTrace,
        r#"{"chat_id": 1, "timestamp": 0.5, "input_length": 17, "output_length": 3, "hash_ids": [1, 2]}"#,
    ),
    (DatasetFormat::BurstGptTrace, "Timestamp,Request tokens,Response tokens\n5,472,18\n"),
    (DatasetFormat::AzureTrace, "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.68,374,44\n"),
    (DatasetFormat::InputsJson, r#"{"data": [{"session_id": "s", "payloads": [{"a": 1}]}]}"#),
];

#[test]
fn every_sample_is_good() {
    for (format, text) in SAMPLES {
        let input = Input::new("x", text);
        let config = DatasetConfig { custom_dataset_type: Some(format), ..input.config() };
        assert_eq!(open(&config).format(), Some(format));
    }
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(300))]

    /// Whatever a file holds, the answer is a dataset or a message, never a panic.
    #[test]
    fn damaged_files_are_refused_or_read(
        sample in 0..SAMPLES.len(),
        changes in proptest::collection::vec((proptest::prelude::any::<u16>(), 0u8..128), 1..6),
        inferred: bool,
    ) {
        let (format, text) = SAMPLES[sample];
        let mut bytes = text.as_bytes().to_vec();
        for (place, byte) in changes {
            let place = usize::from(place) % bytes.len();
            bytes[place] = byte;
        }
        let input = Input::new("x", bytes);
        let mut config = input.config();
        config.custom_dataset_type = (!inferred).then_some(format);
        match Dataset::open(&config, Seed(1), &Tokenizer::Builtin) {
            Ok(dataset) => {
                for number in 0..3 {
                    proptest::prop_assert!(!dataset.session(number).turns.is_empty());
                }
            }
            Err(error) => proptest::prop_assert!(!error.to_string().is_empty()),
        }
    }
}
