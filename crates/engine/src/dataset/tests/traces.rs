//! Recorded traces.

use super::*;

fn fixture() -> DatasetConfig {
    config_for(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/mooncake-sample.jsonl")))
}

/// The lines of the fixture, read without the code under test.
fn fixture_lines() -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(fixture().input_file.expect("a path")).expect("fixture");
    text.lines().map(|line| serde_json::from_str(line).expect("json")).collect()
}

#[test]
fn the_sample_has_its_times_lengths_and_prefixes() {
    let lines = fixture_lines();
    for tokenizer in [Tokenizer::Builtin, tiny_tokenizer()] {
        let dataset = Dataset::open(&fixture(), Seed(7), &tokenizer).expect("fixture");
        assert_eq!((dataset.format(), dataset.entries()), (Some(DatasetFormat::MooncakeTrace), Some(300)));
        let ms: Vec<_> = dataset.instants().iter().map(|instant| instant.at.as_millis() as u64).collect();
        let expected: Vec<_> = lines.iter().map(|line| line["timestamp"].as_u64().expect("ms")).collect();
        assert_eq!(ms, expected);
        for (index, line) in lines.iter().enumerate().step_by(23) {
            let session = dataset.session(index as u64);
            let turn = &session.turns[0];
            let tokens = line["input_length"].as_u64().expect("length");
            assert_eq!(tokenizer.count(texts(turn)[0]) as u64, tokens, "{tokenizer} line {index}");
            assert_eq!(turn.input_tokens.map(u64::from), Some(tokens));
            assert_eq!(turn.output_tokens.map(u64::from), line["output_length"].as_u64());
            assert!(session.self_contained);
        }
    }
}

#[test]
fn equal_ids_are_equal_bytes_and_different_ids_are_not() {
    let lines = fixture_lines();
    let dataset = open(&fixture());
    let ids = |index: usize| lines[index]["hash_ids"].as_array().expect("ids").clone();
    let prompts: Vec<Vec<u32>> =
        (0..40).map(|index| Tokenizer::Builtin.encode(texts(&dataset.session(index).turns[0])[0])).collect();
    // The first blocks, by the tokenizer: 512 tokens each.
    let block_of = |index: usize, blocks: usize| &prompts[index][..(blocks * 512).min(prompts[index].len())];
    let mut shared_pairs = 0;
    for a in 0..prompts.len() {
        for b in a + 1..prompts.len() {
            let shared = ids(a).iter().zip(&ids(b)).take_while(|(x, y)| x == y).count();
            // A block that is the last of either may be partly filled.
            let full = shared.min(ids(a).len() - 1).min(ids(b).len() - 1);
            assert_eq!(block_of(a, full), block_of(b, full), "{a} {b}");
            if shared < ids(a).len().min(ids(b).len()) {
                assert_ne!(block_of(a, shared + 1), block_of(b, shared + 1), "{a} {b}");
            }
            shared_pairs += usize::from(full > 0);
        }
    }
    assert!(shared_pairs > 10, "{shared_pairs}");
}

#[test]
fn all_kinds_of_mooncake_lines_are_read() {
    let lines = [
        r#"{"input_length": 10, "hash_ids": [1], "delay": 40, "session_id": "a"}"#,
        r#"{"text_input": "Hello there", "output_length": 4}"#,
        r#"{"messages": [{"role": "user", "content": "Hi"}], "tools": [{"type": "function"}], "extra": {"n": 2}}"#,
        r#"{"payload": {"prompt": "x"}}"#,
        r#"{"input_length": 20, "session_id": "a"}"#,
    ];
    let dataset = Input::new("m.jsonl", lines.join("\n")).open();
    assert_eq!(dataset.entries(), Some(4));
    let first = dataset.session(0);
    assert_eq!((&*first.id, first.turns.len()), ("a", 2));
    assert_eq!(first.turns[1].input_tokens, Some(20));
    assert_eq!(texts(&dataset.session(1).turns[0]), ["Hello there"]);
    let extra = dataset.session(2).turns[0].extra.clone().expect("messages");
    assert_eq!((&extra["messages"][0]["content"], &extra["n"]), (&"Hi".into(), &2.into()));
    assert!(extra.contains_key("tools"));
    assert!(
        matches!(&dataset.session(3).turns[0].prompt, Prompt::Body(body) if body.get() == r#"{"prompt": "x"}"#)
    );
    assert!(dataset.instants().is_empty());
}

#[test]
fn bad_mooncake_lines_are_named() {
    for (line, part) in [
        (r#"{"timestamp": 1}"#, "exactly one of `input_length`"),
        (r#"{"input_length": 5, "text_input": "x"}"#, "exactly one of `input_length`"),
        (r#"{"text_input": "x", "hash_ids": [1]}"#, "`hash_ids` need `input_length`"),
        (r#"{"input_length": 512, "hash_ids": [1, 2]}"#, "fill only 1 blocks of 512"),
        (r#"{"input_length": 0}"#, "must be 1 or more"),
        (r#"{"input_length": -3}"#, "invalid value"),
        (r#"{"messages": [{"content": "x"}]}"#, "with a `role`"),
    ] {
        let message = Input::new("m.jsonl", format!("{{\"input_length\": 5}}\n{line}\n")).refused();
        assert!(message.contains("m.jsonl:2: ") && message.contains(part), "{message}");
    }
    let message =
        Input::new("m.jsonl", "{\"input_length\": 5, \"timestamp\": 1}\n{\"input_length\": 5}\n").refused();
    assert!(message.contains("1 of 2 sessions have a `timestamp`"), "{message}");
}

#[test]
fn bailian_chats_become_sessions() {
    let lines = [
        r#"{"chat_id": 159, "parent_chat_id": -1, "timestamp": 61.114, "input_length": 40, "output_length": 13, "type": "text", "turn": 1, "hash_ids": [1, 2, 3]}"#,
        r#"{"chat_id": 200, "parent_chat_id": -1, "timestamp": 61.5, "input_length": 16, "output_length": 1, "type": "text", "turn": 1, "hash_ids": [9]}"#,
        r#"{"chat_id": 160, "parent_chat_id": 159, "timestamp": 62.5, "input_length": 60, "output_length": 8, "type": "text", "turn": 2, "hash_ids": [1, 2, 4, 5]}"#,
    ];
    let dataset = Input::new("b.jsonl", lines.join("\n")).open();
    assert_eq!((dataset.format(), dataset.entries()), (Some(DatasetFormat::BailianTrace), Some(2)));
    let session = dataset.session(0);
    assert_eq!(session.turns.len(), 2);
    assert_eq!(session.turns[0].at, Some(Duration::from_millis(61_114)));
    assert_eq!(session.turns[1].at, Some(Duration::from_millis(62_500)));
    let tokens = |turn: &Turn| Tokenizer::Builtin.encode(texts(turn)[0]);
    let (first, second) = (tokens(&session.turns[0]), tokens(&session.turns[1]));
    assert_eq!((first.len(), second.len()), (40, 60));
    assert_eq!(first[..32], second[..32]);
    assert_ne!(first[32..40], second[32..40]);
    let twice = format!("{}\n{}", lines[0], lines[0]);
    assert!(Input::new("b.jsonl", twice).refused().contains("b.jsonl:2: chat_id 159"));
}

#[test]
fn burst_gpt_rows_become_requests() {
    let text = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n\
                5,ChatGPT,472,18,490,Conversation log\n\
                45.5,ChatGPT,1087,0,1087,Conversation log\n\
                118,GPT-4,417,276,693,API log\n";
    let dataset = Input::new("b.csv", text).open();
    assert_eq!((dataset.format(), dataset.entries()), (Some(DatasetFormat::BurstGptTrace), Some(2)));
    assert_eq!(dataset.skipped(), 1);
    let at: Vec<_> = dataset.instants().iter().map(|instant| instant.at.as_secs()).collect();
    assert_eq!(at, [5, 118]);
    let turn = &dataset.session(1).turns[0];
    assert_eq!((turn.input_tokens, turn.output_tokens), (Some(417), Some(276)));
    assert_eq!(Tokenizer::Builtin.count(texts(turn)[0]), 417);
    let message = Input::new("b.csv", format!("{text}x,GPT-4,1,1,1,log\n")).refused();
    assert!(message.contains("b.csv:5: ") && message.contains("`x` is no number of seconds"), "{message}");
    let message = Input::new("b.csv", format!("{text}7,GPT-4,many,1,1,log\n")).refused();
    assert!(message.contains("b.csv:5: Request tokens `many`"), "{message}");
}

#[test]
fn azure_rows_count_from_the_first() {
    let text = "TIMESTAMP,ContextTokens,GeneratedTokens\n\
                2023-11-16 18:15:46.6805900,374,44\n\
                2023-11-16 18:15:50.9951690,396,109\n\
                2023-11-17 18:15:46.6805900,879,55\n";
    let dataset = Input::new("azure.csv", text).open();
    assert_eq!(dataset.format(), Some(DatasetFormat::AzureTrace));
    let at: Vec<_> = dataset.instants().iter().map(|instant| instant.at.as_nanos()).collect();
    assert_eq!(at, [0, 4_314_579_000, 86_400_000_000_000]);
    let with_zone = text.replace("900,374", "900+00:00,374").replace("900,879", "900+01:00,879");
    let shifted = Input::new("azure.csv", with_zone).open();
    assert_eq!(shifted.instants()[2].at, Duration::from_secs(82_800));
    let earlier = format!("{text}2023-11-16 18:00:00,1,1\n");
    assert!(Input::new("azure.csv", earlier).refused().contains("azure.csv:5: "));
}
