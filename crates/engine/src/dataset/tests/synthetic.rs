//! Generated sessions.

use std::collections::HashSet;

use super::super::config::{PrefixConfig, TurnsConfig};
use super::*;

#[test]
fn prompts_have_the_asked_tokens_with_every_tokenizer() {
    let mut config = DatasetConfig::default();
    (config.prompt.isl, config.prompt.isl_stddev) = (Some(180.0), Some(60.0));
    for tokenizer in [Tokenizer::Builtin, tiny_tokenizer()] {
        let dataset = Dataset::open(&config, Seed(3), &tokenizer).expect("dataset");
        let mut lengths = HashSet::new();
        for number in 0..60 {
            let session = dataset.session(number);
            let [turn] = session.turns.as_slice() else { panic!("one turn each") };
            let tokens = turn.input_tokens.expect("known");
            assert_eq!(tokenizer.count(texts(turn)[0]), tokens as usize);
            lengths.insert(tokens);
        }
        assert!(lengths.len() > 30, "{lengths:?}");
    }
}

#[test]
fn equal_seeds_give_equal_bytes_in_any_order() {
    let config = DatasetConfig {
        prefix: PrefixConfig { num_prefix_prompts: 3, prefix_prompt_length: 20, ..PrefixConfig::default() },
        turns: TurnsConfig {
            mean: 3.0,
            stddev: 1.0,
            delay_mean: 50.0,
            delay_stddev: 9.0,
            ..TurnsConfig::default()
        },
        ..DatasetConfig::default()
    };
    let (first, second) = (open(&config), open(&config));
    let forward: Vec<_> = (0..20).map(|number| wire(&first.session(number))).collect();
    let mut backward: Vec<_> = (0..20).rev().map(|number| wire(&second.session(number))).collect();
    backward.reverse();
    assert_eq!(forward, backward);
    assert_eq!(forward[4], wire(&first.entry(4)));
    let other = Dataset::open(&config, Seed(8), &Tokenizer::Builtin).expect("dataset");
    assert_ne!(forward[0], wire(&other.session(0)));
    for number in 0..20 {
        assert_eq!(first.turns_of(number) as usize, first.session(number).turns.len());
    }
}

#[test]
fn all_prompts_differ_and_warmup_has_its_own() {
    let mut config = DatasetConfig::default();
    config.prompt.isl = Some(30.0);
    let dataset = open(&config);
    assert_eq!(dataset.entries(), None);
    let mut seen = HashSet::new();
    for number in 0..2_000 {
        assert!(seen.insert(texts(&dataset.session(number).turns[0])[0].to_owned()));
    }
    for number in 0..200 {
        let session = dataset.warmup_session(number);
        assert!(seen.insert(texts(&session.turns[0])[0].to_owned()));
        assert!(session.id.starts_with("warmup_"));
    }
}

#[test]
fn a_given_number_of_entries_repeats() {
    let config = DatasetConfig { num_dataset_entries: Some(5), ..DatasetConfig::default() };
    let dataset = open(&config);
    assert_eq!(dataset.entries(), Some(5));
    assert_eq!(wire(&dataset.session(2)), wire(&dataset.session(7)));
    let shuffled =
        open(&DatasetConfig { dataset_sampling_strategy: Some(SamplingStrategy::Shuffle), ..config });
    let ids: HashSet<_> = (0..5).map(|number| shuffled.session(number).id.clone()).collect();
    assert_eq!(ids.len(), 5);
}

#[test]
fn output_lengths_batches_turns_and_delays_follow_the_flags() {
    let mut config = DatasetConfig::default();
    (config.prompt.isl, config.prompt.osl, config.prompt.batch_size) = (Some(12.0), Some(34.0), 3);
    config.turns = TurnsConfig { mean: 4.0, delay_mean: 200.0, delay_ratio: 0.5, ..TurnsConfig::default() };
    let session = open(&config).session(0);
    assert_eq!(session.turns.len(), 4);
    for (index, turn) in session.turns.iter().enumerate() {
        assert_eq!((turn.input_tokens, turn.output_tokens), (Some(36), Some(34)));
        let texts = texts(turn);
        assert_eq!(texts.iter().collect::<HashSet<_>>().len(), 3);
        assert!(texts.iter().all(|text| Tokenizer::Builtin.count(text) == 12));
        assert_eq!(turn.delay, Duration::from_millis(if index == 0 { 0 } else { 100 }));
    }
    config.turns.delay_cap = Some(0.03);
    assert_eq!(open(&config).session(0).turns[1].delay, Duration::from_millis(30));
}

#[test]
fn prefixes_are_shared_and_counted() {
    let mut config = DatasetConfig::default();
    config.prompt.isl = Some(40.0);
    config.prefix = PrefixConfig {
        num_prefix_prompts: 4,
        prefix_prompt_length: 25,
        shared_system_prompt_length: Some(60),
        user_context_prompt_length: Some(15),
        ..PrefixConfig::default()
    };
    for tokenizer in [Tokenizer::Builtin, tiny_tokenizer()] {
        let dataset = Dataset::open(&config, Seed(1), &tokenizer).expect("dataset");
        let sessions: Vec<_> = (0..200).map(|number| dataset.session(number)).collect();
        let first = |session: &Session| texts(&session.turns[0])[0].to_owned();
        for session in &sessions {
            assert_eq!(session.turns[0].input_tokens, Some(65));
            assert_eq!(tokenizer.count(&first(session)), 65, "{}", first(session));
            let system = session.system.as_ref().expect("a system message");
            assert_eq!((tokenizer.count(system), Some(system)), (60, sessions[0].system.as_ref()));
            assert_eq!(tokenizer.count(session.context.as_ref().expect("a context")), 15);
        }
        let contexts: HashSet<_> = sessions.iter().map(|session| session.context.clone()).collect();
        assert_eq!(contexts.len(), 200);
        // The first 60 bytes are the prefix's: four of them among 200 sessions.
        let prefixes: HashSet<_> = sessions.iter().map(|session| first(session)[..60].to_owned()).collect();
        assert_eq!(prefixes.len(), 4);
    }
}

#[test]
fn a_system_prompt_of_ones_own_is_sent_as_it_is() {
    let input = Input::new("system.txt", "Answer in French.\n");
    let mut config = DatasetConfig::default();
    config.prefix.system_prompt_file = Some(input.path.clone());
    assert_eq!(open(&config).session(3).system.as_deref(), Some("Answer in French.\n"));
    config.prefix.system_prompt_file = Some(input.dir.path().join("missing.txt"));
    assert!(refused(&config).contains("missing.txt"));
}

#[test]
fn cache_busting_marks_each_session_differently() {
    let mut config = DatasetConfig { num_dataset_entries: Some(1), ..DatasetConfig::default() };
    config.prompt.isl = Some(20.0);
    let mut marked = |target| {
        config.cache_bust = target;
        let dataset = open(&config);
        let sessions: Vec<_> = (0..50).map(|number| dataset.session(number)).collect();
        (sessions, dataset.warmup_session(0), dataset.entry(0))
    };
    let (sessions, warmup, entry) = marked(CacheBust::FirstTurnPrefix);
    let first = |session: &Session| texts(&session.turns[0])[0].to_owned();
    let plain = first(&entry);
    let distinct: HashSet<_> = sessions.iter().map(|session| first(session)).collect();
    assert_eq!(distinct.len(), 50);
    assert!(!distinct.contains(&first(&warmup)));
    for session in &sessions {
        let text = first(session);
        assert!(text.starts_with("[rid:") && text.ends_with(&format!("]\n\n{plain}")), "{text}");
        let tokens = session.turns[0].input_tokens.expect("known");
        assert_eq!(tokens as usize, Tokenizer::Builtin.count(&text));
    }
    let (sessions, ..) = marked(CacheBust::FirstTurnSuffix);
    assert!(first(&sessions[0]).starts_with(&format!("{plain}\n\n[rid:")));
    let (sessions, ..) = marked(CacheBust::SystemPrefix);
    let systems: HashSet<_> = sessions.iter().map(|session| session.system.clone()).collect();
    assert_eq!((systems.len(), first(&sessions[0])), (50, plain.clone()));
    let (sessions, warmup, _) = marked(CacheBust::WarmupIsolationFirstTurn);
    assert_eq!(first(&sessions[0]), plain);
    assert_eq!(first(&warmup), format!("[warmup]\n\n{plain}"));
}

#[test]
fn markers_are_new_in_every_run() {
    let config = DatasetConfig { cache_bust: CacheBust::FirstTurnPrefix, ..DatasetConfig::default() };
    assert_ne!(wire(&open(&config).session(0)), wire(&open(&config).session(0)));
    assert_eq!(wire(&open(&config).entry(0)), wire(&open(&config).entry(0)));
}

#[test]
fn rankings_have_a_query_and_passages() {
    let mut config = DatasetConfig { content: Content::Ranking, ..DatasetConfig::default() };
    config.rankings.passages_mean = 5.0;
    (config.rankings.query_tokens_mean, config.rankings.passage_tokens_mean) = (10.0, 30.0);
    let session = open(&config).session(0);
    let Prompt::Ranking { query, passages } = &session.turns[0].prompt else { panic!("a ranking") };
    assert_eq!(Tokenizer::Builtin.count(query), 10);
    assert_eq!(passages.len(), 5);
    assert!(passages.iter().all(|passage| Tokenizer::Builtin.count(passage) == 30));
    assert_eq!(session.turns[0].input_tokens, Some(160));
}

#[test]
fn images_are_noise_or_from_a_directory() {
    let mut config = DatasetConfig::default();
    (config.image.width_mean, config.image.height_mean, config.image.batch_size) = (8.0, 6.0, 2);
    let images = |config: &DatasetConfig, number| match &open(config).session(number).turns[0].prompt {
        Prompt::Texts { images, .. } => images.clone(),
        other => panic!("{other:?}"),
    };
    let noise = images(&config, 0);
    assert_eq!(noise.len(), 2);
    assert!(noise[0].url.starts_with("data:image/png;base64,") && noise[0] != noise[1]);
    assert_eq!(noise, images(&config, 0));
    let input = Input::new("a.gif", b"GIF89a");
    config.image.source = Some(input.dir.path().to_owned());
    assert_eq!(&*images(&config, 0)[0].url, "data:image/gif;base64,R0lGODlh");
    std::fs::write(input.dir.path().join("b.txt"), "no image").expect("write");
    assert!(refused(&config).contains("b.txt"));
}

#[test]
fn a_random_corpus_is_exact_too() {
    let mut config = DatasetConfig::default();
    (config.prompt.isl, config.prompt.corpus) = (Some(300.0), CorpusStyle::Random);
    let session = open(&config).session(0);
    assert_eq!(Tokenizer::Builtin.count(texts(&session.turns[0])[0]), 300);
}

#[test]
fn bytes_of_a_seed_are_pinned() {
    let mut config = DatasetConfig::default();
    (config.prompt.isl, config.prompt.isl_stddev) = (Some(12.0), Some(4.0));
    let dataset = Dataset::open(&config, Seed(42), &Tokenizer::Builtin).expect("dataset");
    let prompts: Vec<_> =
        (0..2).map(|number| texts(&dataset.session(number).turns[0])[0].to_owned()).collect();
    let expected = [
        "This boring corner collapsed outside the voice, when another greedy lesson departed.",
        "Overall, we planted any copper.",
    ];
    assert_eq!(prompts, expected);
}
