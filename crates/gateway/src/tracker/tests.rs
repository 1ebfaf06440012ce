use std::thread::sleep;

use super::*;
use crate::metrics::{Bounds, Format};

const MS: Duration = Duration::from_millis(1);

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new(Bounds::default()))
}

/// The value of a sample on the page.
fn sample(metrics: &Metrics, name: &str) -> f64 {
    let page = metrics.render(Format::Prometheus);
    let line =
        page.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}:\n{page}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_dropped_request_is_recorded_as_cancelled_with_all_it_did() {
    let metrics = metrics();
    let tracker = PerformanceTracker::new(&metrics, "/v1/chat/completions");
    let upstream = tracker.backend_request("p", "m");
    assert_eq!(sample(&metrics, "gateway_requests_in_flight"), 1.0);
    sleep(2 * MS);
    drop((upstream, tracker));
    assert_eq!(sample(&metrics, "gateway_requests_in_flight"), 0.0);
    let cancelled = "gateway_requests_total{provider=\"p\",model=\"m\",endpoint=\"/v1/chat/completions\",\
                     outcome=\"cancelled_by_client\"}";
    assert_eq!(sample(&metrics, cancelled), 1.0);
    let fetch = "request_stage_duration_seconds_sum{stage=\"backend_fetch\"";
    assert!(sample(&metrics, fetch) >= 0.002);
    assert_eq!(sample(&metrics, "backend_ttfb_seconds_count"), 0.0, "no byte, no TTFB");
    let duration = "gen_ai_server_request_duration_seconds_count{gen_ai_operation_name=\"chat\",\
                    gen_ai_provider_name=\"p\",gen_ai_request_model=\"m\",error_type=\"cancelled_by_client\"}";
    assert_eq!(sample(&metrics, duration), 1.0);
}

#[test]
fn overlapping_attempts_count_once_in_the_overhead() {
    let metrics = metrics();
    let tracker = PerformanceTracker::new(&metrics, "/v1/completions");
    sleep(5 * MS);
    let first = tracker.backend_request("a", "m");
    let begun = Instant::now();
    sleep(20 * MS);
    let hedge = tracker.backend_request("b", "m");
    sleep(20 * MS);
    drop(first);
    sleep(20 * MS);
    drop(hedge);
    let upstream = begun.elapsed().as_secs_f64();
    sleep(5 * MS);
    tracker.finish(Outcome::Ok, 200);
    let total = tracker.total_duration().as_secs_f64();
    drop(tracker);
    let overhead = sample(&metrics, "gateway_overhead_seconds_sum");
    assert!(overhead >= 0.010, "{overhead}");
    // Counted twice, the upstream would take 20 ms off this.
    assert!((overhead - (total - upstream)).abs() < 0.005, "{overhead} of {total}, upstream {upstream}");
}

#[test]
fn percentages_need_no_frontend_stage_and_are_a_mean() {
    let metrics = metrics();
    for streamed in [true, false] {
        let tracker = track_request_stages(&metrics, "/v1/responses");
        let upstream = tracker.backend_request("p", "m");
        upstream.first_byte();
        if streamed {
            let stream = tracker.streaming();
            sleep(10 * MS);
            stream.tokens(1);
        }
        drop(upstream);
        tracker.finish(Outcome::Ok, 200);
    }
    let share = |stage: &str| sample(&metrics, &format!("stage_percentage{{stage=\"{stage}\""));
    assert_eq!(share("frontend_processing"), 0.0);
    // One request was nearly all stream, the other had none: their mean, not the last one.
    assert!((25.0..=50.0).contains(&share("stream_processing")), "{}", share("stream_processing"));
    assert!(share("backend_response") > 0.0);
}

#[test]
fn first_byte_and_first_token_are_two_metrics() {
    let metrics = metrics();
    let tracker = PerformanceTracker::new(&metrics, "/v1/chat/completions");
    let upstream = tracker.backend_request("p", "m");
    upstream.first_byte();
    let stream = tracker.streaming();
    sleep(5 * MS);
    stream.tokens(1);
    sleep(5 * MS);
    stream.tokens(1);
    tracker.set_usage(Usage { input: Some(7), output: Some(3), cached_input: Some(4), reasoning: None });
    drop((stream, upstream));
    tracker.finish(Outcome::Ok, 200);
    drop(tracker);
    let byte = sample(&metrics, "time_to_first_chunk_seconds_sum");
    let token = sample(&metrics, "gen_ai_server_time_to_first_token_seconds_sum");
    assert!(token - byte >= 0.005, "byte {byte}, token {token}");
    let per_token = sample(&metrics, "gen_ai_server_time_per_output_token_seconds_sum");
    let streaming = sample(&metrics, "streaming_duration_seconds_sum");
    assert!(per_token >= 0.0025 && per_token <= streaming / 2.0, "{per_token} of {streaming}");
    let tokens = |of: &str| {
        sample(&metrics, &format!("gateway_tokens_total{{provider=\"p\",model=\"m\",token_type=\"{of}\"}}"))
    };
    assert_eq!((tokens("input"), tokens("output"), tokens("cached_input")), (7.0, 3.0, 4.0));
}

#[test]
fn guards_record_on_every_way_out() {
    let metrics = metrics();
    let failing = || -> Result<(), std::num::ParseIntError> {
        let tracker = PerformanceTracker::new(&metrics, "/v1/chat/completions");
        let _stage = tracker.stage("auth_validation");
        let _operation = track_duration(&metrics, "custom_operation");
        "x".parse::<u8>()?;
        Ok(())
    };
    assert!(failing().is_err());
    assert_eq!(sample(&metrics, "operation_duration_seconds_count{operation=\"custom_operation\"}"), 1.0);
    let stage = "request_stage_duration_seconds_count{stage=\"auth_validation\"";
    assert_eq!(sample(&metrics, stage), 1.0);
    assert_eq!(sample(&metrics, "frontend_processing_seconds_count"), 1.0);
}

#[test]
fn server_timing_lists_what_has_happened() {
    let metrics = metrics();
    let tracker = PerformanceTracker::new(&metrics, "/v1/chat/completions");
    {
        let _stage = tracker.stage("request_parsing");
        sleep(MS);
    }
    let _upstream = tracker.backend_request("p", "m");
    let value = tracker.server_timing();
    let names: Vec<&str> = value.split(", ").map(|part| part.split(';').next().unwrap()).collect();
    assert_eq!(names, ["request_parsing", "backend_headers", "gateway_overhead"]);
    let parsing = value.split("dur=").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    assert!(parsing.parse::<f64>().unwrap() >= 1.0, "{value}");
}

#[test]
fn exemplars_name_the_trace() {
    let metrics = metrics();
    let tracker = PerformanceTracker::new(&metrics, "/v1/chat/completions");
    let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    tracker.set_trace(TraceId::of_traceparent(header).unwrap());
    tracker.backend_request("p", "m").first_byte();
    tracker.finish(Outcome::Ok, 200);
    drop(tracker);
    let page = metrics.render(Format::OpenMetrics);
    for name in ["backend_ttfb_seconds_bucket", "gen_ai_server_request_duration_seconds_bucket"] {
        let line = page.lines().find(|line| line.starts_with(name) && line.contains(" # {")).unwrap();
        assert!(line.contains("trace_id=\"0af7651916cd43dd8448eb211c80319c\""), "{line}");
    }
}
