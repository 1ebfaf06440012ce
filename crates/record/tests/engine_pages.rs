//! What is odd about the metrics pages of real servers, each with a page captured from one (tests/fixtures/metrics):
//! from the page to the statistics of a window.

use tokmeter_record::WallNs;
use tokmeter_record::server::exposition::Limits;
use tokmeter_record::server::statistics::{Metrics, SeriesStatistics};
use tokmeter_record::server::{
    FetchInstants, Media, MetricKind, NotExposition, Page, Readings, Store, StoreLimits, Window,
};

fn fixture(name: &str) -> String {
    let path = format!("{}/../../tests/fixtures/metrics/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).expect("the fixture is there")
}

/// Statistics over pages that were read one second apart; the first one is the reference.
fn over(pages: &[&str]) -> Metrics {
    let mut store = Store::new(StoreLimits::default());
    let endpoint = store.endpoint("http://h/metrics");
    for (second, text) in (1..).zip(pages) {
        let media = Media::from_content_type("text/plain; version=1.0.0; charset=utf-8");
        let page = Page::parse(text.as_bytes(), media, &Limits::default()).expect("a page");
        let at = WallNs(second * 1_000_000_000);
        store.add(
            endpoint,
            &FetchInstants { request_sent_ns: at, first_byte_ns: at, latency_ns: 1 },
            &Readings::of(&page),
        );
    }
    store.statistics(Window::Whole, None)
}

fn series<'m>(metrics: &'m Metrics, name: &str) -> &'m [SeriesStatistics] {
    &metrics.get(name).unwrap_or_else(|| panic!("{name} is there")).series
}

fn total(metrics: &Metrics, name: &str) -> f64 {
    series(metrics, name).iter().filter_map(|series| series.stats.total).sum()
}

/// The value of a sample line of a page.
fn on_page(page: &str, begin: &str) -> f64 {
    let line = page.lines().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("{begin}"));
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
}

#[test]
fn vllm_creation_times_are_no_metrics_and_a_histogram_keeps_its_total() {
    let metrics = over(&[&fixture("vllm-0.32.0-idle.prom"), &fixture("vllm-0.32.0.prom")]);
    assert!(!metrics.keys().any(|name| name.ends_with("_created")), "`_created` is no gauge to average");
    assert_eq!(metrics["vllm:iteration_tokens_total"].kind, MetricKind::Histogram);
    assert!(series(&metrics, "vllm:iteration_tokens_total")[0].stats.count.is_some_and(|count| count > 0));
    let summary = &metrics["http_request_size_bytes"];
    assert_eq!(summary.kind, MetricKind::Summary);
    let stats = &summary.series[0].stats;
    assert!(stats.count.is_some() && stats.p50_estimate.is_none() && stats.p50.is_none(), "{stats:?}");
    assert!(
        metrics.contains_key("http_requests"),
        "a TYPE line without samples when idle, counted when used"
    );
}

#[test]
fn sglang_gauges_with_bounds_are_gauges_and_nan_is_no_sample() {
    let page = fixture("sglang-0.5.23.prom");
    let metrics = over(&[&page]);
    let keys = &metrics["sglang:routing_key_running_req_count"];
    assert_eq!(keys.kind, MetricKind::Gauge);
    assert!(keys.series.len() > 1 && keys.series.iter().all(|series| series.labels.contains_key("le")));
    assert!(keys.series.iter().any(|series| series.labels.contains_key("gt")));
    assert!(page.contains("sglang:fwd_occupancy"), "the page has it, with NaN");
    assert!(!metrics.contains_key("sglang:fwd_occupancy"), "which is no sample");
    // In multiprocess pages the sum stands before the buckets.
    let ttft = series(&metrics, "sglang:time_to_first_token_seconds");
    assert!(ttft.iter().all(|series| series.buckets.is_some()));
}

#[test]
fn dynamo_families_that_appear_with_traffic_had_counted_nothing_before() {
    let (idle, used) = (fixture("dynamo-frontend-1.6.1-idle.prom"), fixture("dynamo-frontend-1.6.1.prom"));
    let families = |page: &str| page.lines().filter(|line| line.starts_with("# TYPE ")).count();
    assert_eq!((families(&idle), families(&used)), (58, 83));
    let metrics = over(&[&idle, &used]);
    let name = "dynamo_frontend_output_tokens_total";
    assert!(!idle.lines().any(|line| line.starts_with(name)), "not there while idle");
    assert!(on_page(&used, name) > 0.0);
    assert_eq!(
        total(&metrics, "dynamo_frontend_output_tokens"),
        on_page(&used, name),
        "all of it is of this window"
    );
    let duration = series(&metrics, "dynamo_frontend_request_duration_seconds");
    let count: u64 = duration.iter().filter_map(|series| series.stats.count).sum();
    assert!(count > 0 && duration.iter().any(|series| series.stats.p99_estimate.is_some()));
}

#[test]
fn counters_without_total_are_counters() {
    for name in ["dynamo-frontend-1.6.1.prom", "dynamo-frontend-kvrouter-1.6.1.prom"] {
        let text = fixture(name);
        let declared = |line: &&str| line.starts_with("# TYPE ") && line.ends_with(" counter");
        let without = text.lines().filter(declared).filter_map(|line| line.split(' ').nth(2));
        let metrics = over(&[&text]);
        let mut seen = 0;
        for family in without.filter(|family| !family.ends_with("_total")) {
            if let Some(metric) = metrics.get(family) {
                assert_eq!(metric.kind, MetricKind::Counter, "{name}: {family}");
                seen += 1;
            }
        }
        assert!(seen > 0, "{name} has counters without `_total`");
    }
}

#[test]
fn a_mocker_speaks_for_the_engine_it_imitates() {
    use tokmeter_record::server::known::{Engine, role};

    for (name, engine) in
        [("dynamo-worker-vllm-1.6.1.prom", Engine::Vllm), ("dynamo-worker-trtllm-1.6.1.prom", Engine::Trtllm)]
    {
        let metrics = over(&[&fixture(name)]);
        let spoken: Vec<Engine> = metrics.keys().filter_map(|name| Some(role(name)?.0)).collect();
        assert!(!spoken.is_empty() && spoken.iter().all(|spoken| *spoken == engine), "{name}: {spoken:?}");
    }
}

#[test]
fn llamacpp_names_a_maximum_counter_and_averages_since_the_last_scrape() {
    let page = fixture("llamacpp-b11434.prom");
    let later = page
        .replace("llamacpp:n_tokens_max 4095", "llamacpp:n_tokens_max 100")
        .replace("llamacpp:predicted_tokens_seconds 969.388", "llamacpp:predicted_tokens_seconds 0");
    assert_ne!(page, later);
    let metrics = over(&[&page, &later]);
    // A fall of a maximum is no restart of the server: the totals beside it go on.
    assert_eq!(total(&metrics, "llamacpp:tokens_predicted"), 0.0);
    let maximum = &metrics["llamacpp:n_tokens_max"];
    assert_eq!(maximum.kind, MetricKind::Gauge, "typed counter, but a maximum");
    assert_eq!((maximum.series[0].stats.min, maximum.series[0].stats.max), (Some(100.0), Some(4095.0)));
    let average = &series(&metrics, "llamacpp:predicted_tokens_seconds")[0].stats;
    assert_eq!((average.min, average.max), (Some(0.0), Some(969.388)), "each scrape begins a new average");
}

#[test]
fn trtllm_iteration_statistics_are_refused_and_its_real_page_is_read() {
    for name in ["trtllm-metrics.json", "trtllm-metrics-empty.json"] {
        let text = fixture(name);
        let refused = Page::parse(text.as_bytes(), Media::Text, &Limits::default());
        assert!(matches!(refused, Err(NotExposition::Json)), "{name}");
    }
    let metrics = over(&[&fixture("trtllm-prometheus.prom")]);
    let success = &series(&metrics, "trtllm_request_success")[0];
    assert_eq!(success.labels["model_name"].as_ref(), "undefined");
    assert_eq!(success.labels["engine_type"].as_ref(), "undefined");
}
