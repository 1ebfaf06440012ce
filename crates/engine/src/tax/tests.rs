//! Against simulated servers, whose own logs are the truth.

use tokmeter_sim::{Distribution, RunningSim, Sim, SimConfig};

use super::*;

fn sim(ttft_ms: f64) -> RunningSim {
    let mut config = SimConfig::default();
    config.timing.ttft_ms = Distribution::constant(ttft_ms);
    config.timing.itl_ms = Distribution::constant(1.0);
    Sim::start(config).unwrap()
}

fn config(direct: &str, through: &str) -> TaxConfig {
    TaxConfig {
        direct: Arm::parse(direct).unwrap(),
        through: Arm::parse(through).unwrap(),
        model: "sim-model".to_owned(),
        api_key: None,
        concurrencies: vec![4],
        body_sizes: vec![1_000],
        pairs: 200,
        warmup_pairs: 4,
        streaming: true,
        output_tokens: 4,
        new_connections: false,
        timeout: Duration::from_secs(30),
        confidence: 0.999,
        seed: Seed(7),
    }
}

fn figures(report: &TaxReport, stage: Stage) -> &StageFigures {
    report.cells[0].stages.iter().find(|figures| figures.stage == stage).unwrap()
}

/// Mean time from the last byte of a request to its first token, ms, as the server wrote it down.
fn true_first_token(sim: &RunningSim, requests: u64) -> f64 {
    let log = sim.wait_for_log(requests, Duration::from_secs(10)).unwrap();
    let times = log.iter().map(|request| {
        let write = request.first_token_write().unwrap();
        (write.write_start_ns - request.body_received_ns) as f64 / 1e6
    });
    times.sum::<f64>() / log.len() as f64
}

#[test]
fn five_milliseconds_more_are_found_and_are_five() {
    let (fast, slow) = (sim(3.0), sim(8.0));
    let report = measure(&config(&fast.url(), &slow.url())).unwrap();
    let cell = &report.cells[0];
    assert_eq!((cell.pairs, cell.direct_failures, cell.through_failures), (200, 0, 0), "{cell:?}");
    assert!((60..=140).contains(&cell.direct_first), "the order is drawn: {}", cell.direct_first);
    let truth = true_first_token(&slow, 204) - true_first_token(&fast, 204);
    for stage in [Stage::FirstToken, Stage::Total] {
        let figures = figures(&report, stage);
        assert_eq!(figures.finding, Finding::Slower, "{figures:?}");
    }
    let mean = figures(&report, Stage::FirstToken).added_mean;
    let (low, high) = (mean.low.unwrap(), mean.high.unwrap());
    assert!(low <= truth && truth <= high, "{low} to {high}, truth {truth}");
    // Both servers send the role at once: the first byte is not the first token.
    let first_byte = figures(&report, Stage::Ttfb);
    assert_eq!(first_byte.finding, Finding::NoDifference, "{first_byte:?}");
}

#[test]
fn a_server_is_no_slower_than_itself() {
    let server = sim(3.0);
    let report = measure(&config(&server.url(), &server.url())).unwrap();
    for figures in &report.cells[0].stages {
        // A connection made anew in a pair or two gives the stage too few samples, which is no finding either.
        let rare = figures.stage == Stage::Connect && figures.finding == Finding::TooFewSamples;
        assert!(rare || figures.finding == Finding::NoDifference, "{figures:?}");
    }
}

#[test]
fn connecting_is_seen_where_every_request_does_it() {
    let server = sim(0.0);
    let mut config = config(&server.url(), &server.url());
    (config.pairs, config.concurrencies, config.body_sizes) = (20, vec![1, 2], vec![500, 5_000]);
    assert!(measure(&config).unwrap().cells.iter().all(|cell| cell.stages[0].stage == Stage::Ttfb));
    config.new_connections = true;
    let report = measure(&config).unwrap();
    assert_eq!(report.cells.len(), 4);
    for cell in &report.cells {
        assert_eq!(cell.stages[0].stage, Stage::Connect, "{cell:?}");
        assert_eq!(cell.stages[0].pairs, 20);
    }
    let log = server.log();
    let last = log.last().unwrap();
    assert_eq!(last.body_bytes, 5_000);
    assert_eq!(last.nth_on_connection, 1);
}

#[test]
fn failures_are_counted_and_told() {
    let server = sim(0.0);
    let models = vec!["another".to_owned()];
    let failing = SimConfig { strict_models: true, models, ..SimConfig::default() };
    let failing = Sim::start(failing).unwrap();
    let mut config = config(&server.url(), &failing.url());
    config.pairs = 10;
    let report = measure(&config).unwrap();
    let cell = &report.cells[0];
    assert_eq!((cell.pairs, cell.direct_failures, cell.through_failures), (0, 0, 10));
    assert!(!report.has_pairs() && cell.stages.is_empty());
    let failure = report.first_failure().unwrap();
    assert!(failure.starts_with("through the gateway: status 404"), "{failure}");
}

#[test]
fn paths_and_settings() {
    let path = |url| Arm::parse(url).unwrap().path.to_string();
    assert_eq!(path("localhost:8000"), "/v1/chat/completions");
    assert_eq!(path("http://h/openai/v1/"), "/openai/v1/chat/completions");
    assert_eq!(path("http://h/v1/chat/completions"), "/v1/chat/completions");
    let url = Arm::parse("http://u:secret@h:1").unwrap().url();
    assert_eq!(url, "http://h:1/v1/chat/completions");
    for change in [
        (|c| c.pairs = 0) as fn(&mut TaxConfig),
        |c| c.concurrencies.push(0),
        |c| c.body_sizes.clear(),
        |c| c.body_sizes.push(1),
        |c| c.confidence = 1.0,
    ] {
        let mut config = config("http://127.0.0.1:1", "http://127.0.0.1:1");
        change(&mut config);
        assert!(measure(&config).is_err(), "{config:?}");
    }
}
