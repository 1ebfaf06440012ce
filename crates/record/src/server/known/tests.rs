use super::*;
use crate::server::exposition::{Limits, Media, Page};
use crate::server::{FetchInstants, Readings, Store, StoreLimits, Window};
use crate::time::WallNs;

/// Statistics between two pages.
fn between(pages: [&str; 2]) -> Metrics {
    let mut store = Store::new(StoreLimits::default());
    let endpoint = store.endpoint("http://h/metrics");
    for (index, page) in pages.iter().enumerate() {
        let page = Page::parse(page.as_bytes(), Media::Text, &Limits::default()).expect("a page");
        let at = WallNs(1_000_000_000 * (1 + index as u64));
        let instants = FetchInstants { request_sent_ns: at, first_byte_ns: at, latency_ns: 1 };
        store.add(endpoint, &instants, &Readings::of(&page));
    }
    store.statistics(Window::Whole, None)
}

fn fixtures(idle: &str, used: &str) -> Metrics {
    let read = |name: &str| {
        let path = format!("{}/../../tests/fixtures/metrics/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).expect("the fixture is there")
    };
    between([&read(idle), &read(used)])
}

#[test]
fn names_of_the_engines() {
    assert_eq!(role("vllm:prompt_tokens"), Some((Engine::Vllm, Role::PromptTokens)));
    assert_eq!(role("trtllm:request_success"), Some((Engine::Trtllm, Role::Requests)));
    assert_eq!(role("trtllm_request_success"), Some((Engine::Trtllm, Role::Requests)));
    assert_eq!(role("vllm:prompt_tokens_total"), None);
    assert_eq!(role("trtllm:"), None);
}

#[test]
fn the_roles_that_captured_pages_have() {
    for (idle, used, engine, absent) in [
        ("vllm-0.32.0-idle.prom", "vllm-0.32.0.prom", Engine::Vllm, &[][..]),
        (
            "sglang-0.5.23-idle.prom",
            "sglang-0.5.23.prom",
            Engine::Sglang,
            &[Role::PrefillTime, Role::DecodeTime, Role::CacheQueries, Role::Preemptions],
        ),
        (
            "dynamo-frontend-1.6.1-idle.prom",
            "dynamo-frontend-1.6.1.prom",
            Engine::Dynamo,
            &[
                Role::QueueTime,
                Role::PrefillTime,
                Role::DecodeTime,
                Role::CacheQueries,
                Role::KvCacheUsage,
                Role::Preemptions,
            ],
        ),
        (
            "trtllm-prometheus.prom",
            "trtllm-prometheus.prom",
            Engine::Trtllm,
            &[Role::CacheQueries, Role::Preemptions],
        ),
    ] {
        let views = views(&fixtures(idle, used));
        let view = views.iter().find(|view| view.engine == engine).expect("a view");
        for (_, role, _) in NAMES.iter().filter(|(known, ..)| *known == engine) {
            assert!(view.readings.contains_key(role), "{engine:?} has {role:?}");
        }
        for role in absent {
            assert!(!view.readings.contains_key(role), "{engine:?} has no {role:?}");
        }
    }
}

#[test]
fn what_vllm_says_of_its_own_run() {
    let metrics = fixtures("vllm-0.32.0-idle.prom", "vllm-0.32.0.prom");
    let views = views(&metrics);
    let readings = &views[0].readings;
    let ttft = &readings[&Role::TimeToFirstToken];
    let stats = &metrics["vllm:time_to_first_token_seconds"].series[0].stats;
    assert_eq!((ttft.count, ttft.total, ttft.p99), (stats.count, stats.sum, stats.p99_estimate));
    let finished: f64 = metrics["vllm:request_success"].series.iter().filter_map(|s| s.stats.total).sum();
    assert!(finished > 0.0);
    assert_eq!(readings[&Role::Requests].total, Some(finished));
}

#[test]
fn label_sets_are_merged() {
    let page = |a: u64, b: u64| {
        format!(
            "# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{{e=\"0\"}} 3\nvllm:num_requests_running{{e=\"1\"}} 4\n\
             # TYPE vllm:kv_cache_usage_perc gauge\nvllm:kv_cache_usage_perc{{e=\"0\"}} 0.2\nvllm:kv_cache_usage_perc{{e=\"1\"}} 0.6\n\
             # TYPE vllm:time_to_first_token_seconds histogram\n\
             vllm:time_to_first_token_seconds_bucket{{e=\"0\",le=\"1\"}} {a}\nvllm:time_to_first_token_seconds_bucket{{e=\"0\",le=\"+Inf\"}} {a}\n\
             vllm:time_to_first_token_seconds_sum{{e=\"0\"}} {a}\nvllm:time_to_first_token_seconds_count{{e=\"0\"}} {a}\n\
             vllm:time_to_first_token_seconds_bucket{{e=\"1\",le=\"1\"}} {b}\nvllm:time_to_first_token_seconds_bucket{{e=\"1\",le=\"+Inf\"}} {b}\n\
             vllm:time_to_first_token_seconds_sum{{e=\"1\"}} {b}\nvllm:time_to_first_token_seconds_count{{e=\"1\"}} {b}\n"
        )
    };
    let views = views(&between([&page(1, 2), &page(11, 32)]));
    let readings = &views[0].readings;
    assert_eq!(readings[&Role::Running].avg, Some(7.0));
    assert_eq!(
        (readings[&Role::KvCacheUsage].avg, readings[&Role::KvCacheUsage].max),
        (Some(0.4), Some(0.6))
    );
    let ttft = &readings[&Role::TimeToFirstToken];
    assert_eq!((ttft.count, ttft.total, ttft.avg), (Some(40), Some(40.0), Some(1.0)));
    assert!(ttft.p50.expect("merged buckets") <= 1.0);
}

#[test]
fn the_newer_of_two_names_counts() {
    let page = "# TYPE vllm:gpu_cache_usage_perc gauge\nvllm:gpu_cache_usage_perc 0.1\n\
                # TYPE vllm:kv_cache_usage_perc gauge\nvllm:kv_cache_usage_perc 0.3\n";
    let views = views(&between([page, page]));
    assert_eq!(&*views[0].readings[&Role::KvCacheUsage].metric, "vllm:kv_cache_usage_perc");
}
