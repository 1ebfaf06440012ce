//! Comparisons and gates keep their promises: equal runs are rarely called different, slower ones are found.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal};
use tokmeter_record::analysis::compare::{self, Change, Options, compare};
use tokmeter_record::analysis::gate::MaxRegress;
use tokmeter_record::analysis::run_sample::RunSample;
use tokmeter_record::analysis::statistic::Statistic;
use tokmeter_record::analysis::verdict::Verdict;
use tokmeter_record::error::RequestError;
use tokmeter_record::metric::catalogue as c;
use tokmeter_record::{RequestRecord, WallNs};

/// A server: how slow it is (1 is the baseline), how much neighbouring requests share, how many requests fail.
#[derive(Clone, Copy)]
struct Server {
    slowness: f64,
    correlation: f64,
    failing: f64,
}

const STEADY: Server = Server { slowness: 1.0, correlation: 0.0, failing: 0.0 };

/// A run of `count` requests with skewed times, four in flight.
fn run(name: &str, count: u64, server: Server, seed: u64) -> RunSample {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let noise = LogNormal::new(0.0, 0.35).unwrap();
    let uniform = rand_distr::Uniform::new(0.0, 1.0).unwrap();
    let mut run = RunSample::new(name);
    let (mut queue, mut at) = (1.0, 1_800_000_000_000_000_000.0);
    for _ in 0..count {
        queue = server.correlation * queue + (1.0 - server.correlation) * noise.sample(&mut random);
        let ttft =
            50.0 * server.slowness * if server.correlation > 0.0 { queue } else { noise.sample(&mut random) };
        let itl = 10.0 * server.slowness * noise.sample(&mut random);
        let latency = ttft + 31.0 * itl;
        at += latency * 1e6 / 4.0;
        let mut record = RequestRecord::default();
        record.metadata.request_end_ns = WallNs(at as u64);
        record.metadata.request_start_ns = WallNs((at - latency * 1e6) as u64);
        record.metadata.credit_issued_ns = Some(record.metadata.request_start_ns);
        if uniform.sample(&mut random) < server.failing {
            record.error = Some(RequestError {
                code: Some(503),
                kind: None,
                message: "busy".into(),
                cause: None,
                cause_chain: None,
                class: None,
                side: None,
                phase: None,
            });
        } else {
            record.metrics.float(c::TIME_TO_FIRST_TOKEN, ttft);
            record.metrics.float(c::INTER_TOKEN_LATENCY, itl);
            record.metrics.float(c::REQUEST_LATENCY, latency);
            record.metrics.float(c::OUTPUT_TOKEN_THROUGHPUT_PER_USER, 1e3 / itl);
            record.metrics.int(c::OUTPUT_SEQUENCE_LENGTH, 32);
            record.metrics.int(c::INPUT_SEQUENCE_LENGTH, 100);
        }
        run.add(&record);
    }
    run
}

/// Fewer draws and figures than the default: these tests make many comparisons without optimisation.
fn options(seed: u64) -> Options {
    let statistics = vec![Statistic::Avg, Statistic::Percentile(50.0), Statistic::Percentile(90.0)];
    Options { draws: 2_000, seed, statistics, ..Options::default() }
}

/// Comparisons of equal runs in which any figure is called better or worse.
fn false_calls(pairs: u64, count: u64, server: Server) -> u64 {
    (0..pairs)
        .filter(|pair| {
            let (a, b) = (run("a", count, server, 2 * pair), run("b", count, server, 2 * pair + 1));
            compare(&a, &b, &options(*pair))
                .figures
                .iter()
                .any(|figure| matches!(figure.change, Change::Better | Change::Worse | Change::Different))
        })
        .count() as u64
}

#[test]
fn equal_runs_are_seldom_called_different() {
    // 5 % of 40 is 2; more than 6 has a probability below 1 %.
    let calls = false_calls(40, 600, STEADY);
    assert!(calls <= 6, "{calls} of 40");
}

#[test]
fn a_shared_queue_does_not_fake_differences() {
    let calls = false_calls(40, 1_000, Server { correlation: 0.9, ..STEADY });
    assert!(calls <= 6, "{calls} of 40");
}

#[test]
fn five_percent_slower_is_found_at_two_thousand_requests() {
    let mut found = 0;
    for seed in 0..10 {
        let baseline = run("a", 2_000, STEADY, 1_000 + 2 * seed);
        let slower = run("b", 2_000, Server { slowness: 1.05, ..STEADY }, 1_001 + 2 * seed);
        let comparison = compare(&baseline, &slower, &options(seed));
        let worse = |metric| {
            comparison
                .figures
                .iter()
                .any(|figure| figure.figure.metric == metric && figure.change == Change::Worse)
        };
        found += u32::from(worse(c::REQUEST_LATENCY) && worse(c::OUTPUT_TOKEN_THROUGHPUT_PER_USER));
        assert!(comparison.figures.iter().all(|figure| figure.change != Change::Better));
    }
    assert!(found >= 9, "{found} of 10");
}

#[test]
fn a_faster_server_is_better_and_the_intervals_hold_the_truth() {
    let baseline = run("a", 2_000, STEADY, 1);
    let faster = run("b", 2_000, Server { slowness: 0.8, ..STEADY }, 2);
    let comparison = compare(&baseline, &faster, &Options::default());
    assert!(!comparison.any_worse());
    for figure in &comparison.figures {
        let truth = match figure.figure.metric {
            c::REQUEST_ERROR_RATE | c::INPUT_SEQUENCE_LENGTH | c::OUTPUT_SEQUENCE_LENGTH => {
                assert_eq!(figure.change, Change::NoEvidence, "{}", figure.figure);
                continue;
            }
            metric if metric.def().larger_is_better() => 25.0,
            _ => -20.0,
        };
        assert_eq!(figure.change, Change::Better, "{}", figure.figure);
        let [low, high] = figure.interval_pct.unwrap();
        assert!(low <= truth && truth <= high, "{}: [{low}, {high}] without {truth}", figure.figure);
    }
}

#[test]
fn the_same_seed_gives_the_same_comparison() {
    let (a, b) = (run("a", 500, STEADY, 1), run("b", 500, STEADY, 2));
    assert_eq!(compare(&a, &b, &options(7)), compare(&a, &b, &options(7)));
}

#[test]
fn more_errors_and_other_work_are_told() {
    let baseline = run("a", 1_000, STEADY, 1);
    let failing = run("b", 1_000, Server { failing: 0.05, ..STEADY }, 2);
    let comparison = compare(&baseline, &failing, &Options::default());
    let rate =
        comparison.figures.iter().find(|figure| figure.figure.metric == c::REQUEST_ERROR_RATE).unwrap();
    assert_eq!((rate.baseline, rate.change), (0.0, Change::Worse));
    assert!((rate.change_pct.unwrap() - rate.candidate).abs() < 1e-9, "in percentage points");

    let mut longer = RunSample::new("longer");
    for index in 0..500 {
        let mut record = RequestRecord::default();
        record.metadata.request_end_ns = WallNs(index * 1_000_000);
        record.metrics.int(c::INPUT_SEQUENCE_LENGTH, 200 + (index % 7) as i64);
        longer.add(&record);
    }
    assert!(compare(&baseline, &longer, &Options::default()).different_work());
}

#[test]
fn small_runs_and_summaries_get_no_verdict() {
    let (few, many) = (run("few", 30, STEADY, 1), run("many", 1_000, STEADY, 2));
    let comparison = compare(&few, &many, &Options::default());
    let of = |name: &str| comparison.figures.iter().find(|figure| figure.figure.to_string() == name).unwrap();
    assert_eq!(of("request_latency_p99").change, Change::NotEnoughSamples);
    assert_eq!(of("request_latency_p99").interval_pct, None);
    let mut summary = RunSample::new("summary");
    let p50: tokmeter_record::analysis::statistic::Figure = "ttft_p50".parse().unwrap();
    summary.give(p50.metric, p50.statistic, 100.0);
    let comparison = compare(&many, &summary, &Options::default());
    assert_eq!(comparison.figures.len(), 1);
    assert_eq!(
        (comparison.figures[0].change, comparison.figures[0].interval_pct),
        (Change::SummaryOnly, None)
    );
    assert!(comparison.figures[0].change_pct.unwrap() > 80.0);
}

#[test]
fn a_small_effect_is_no_difference_however_many_requests_show_it() {
    let baseline = run("a", 10_000, STEADY, 1);
    let hardly = run("b", 10_000, Server { slowness: 1.03, ..STEADY }, 2);
    assert!(!compare(&baseline, &hardly, &Options { min_effect: 0.05, ..options(1) }).any_worse());
    assert!(compare(&baseline, &hardly, &Options { min_effect: 0.0, ..options(1) }).any_worse());
}

#[test]
fn gates_are_met_broken_or_not_proven() {
    let baseline = run("a", 2_000, STEADY, 1);
    let equal = run("b", 2_000, STEADY, 2);
    let slower = run("c", 2_000, Server { slowness: 1.2, ..STEADY }, 3);
    let check = |gate: &str, candidate: &RunSample| {
        gate.parse::<MaxRegress>().unwrap().check(&baseline, candidate, 0.95, 0)
    };
    for (gate, candidate, verdict) in [
        ("latency_p50=5%", &equal, Verdict::Met),
        ("latency_p50=5%", &slower, Verdict::Broken),
        ("latency_p50=20%", &slower, Verdict::Unproven),
        ("latency_p50=30%", &slower, Verdict::Met),
        ("tps_avg=5%", &equal, Verdict::Met),
        ("tps_avg=5%", &slower, Verdict::Broken),
        ("request_throughput=5%", &slower, Verdict::Broken),
        ("error_rate=1%", &equal, Verdict::Met),
        ("goodput=1%", &equal, Verdict::NoData),
    ] {
        let check = check(gate, candidate);
        assert_eq!(check.verdict, verdict, "{gate}: {}", check.message);
    }
    let few = run("few", 50, STEADY, 4);
    assert_eq!(check("latency_p99=5%", &few).verdict, Verdict::NotEnoughSamples);
    assert!(check("latency_p50=5%", &slower).message.contains("5% are allowed"));
}

#[test]
fn gate_texts_are_checked() {
    for (text, part) in [
        ("ttft_p95", "expected a figure and a percentage"),
        ("ttft_p95=5", "expected a figure and a percentage"),
        ("ttft_p95=-5%", "expected a figure and a percentage"),
        ("ttft_p95=nan%", "expected a figure and a percentage"),
        ("ttft=5%", "say which statistic"),
    ] {
        let error = text.parse::<MaxRegress>().unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    assert_eq!("ttft_p95 = 5 %".parse::<MaxRegress>().unwrap().limit_pct, 5.0);
}

#[test]
fn the_table_says_it_all() {
    let comparison = compare(
        &run("runs/a", 1_000, STEADY, 1),
        &run("runs/b", 1_000, Server { slowness: 1.1, failing: 0.02, ..STEADY }, 2),
        &Options::default(),
    );
    let mut text = String::new();
    compare::text::write(&comparison, &mut text).unwrap();
    insta::assert_snapshot!("comparison", text);
}
