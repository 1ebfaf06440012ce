//! What the tracker costs a request. `cargo bench -p tokmeter-gateway --bench tracker`
//!
//! Goal: under 2 us for everything that is recorded of a streamed request beside the reading of its events.

#![allow(clippy::print_stdout, reason = "a bench prints its table")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use tokmeter_gateway::{
    Bounds, Format, Metrics, Outcome, PerformanceTracker, TraceId, Usage, track_request_stages,
};

const ROUNDS: usize = 50;
const REQUESTS: usize = 10_000;

fn main() {
    println!("{:<56} {:>10} {:>10}", "a request", "median ns", "best ns");
    let metrics = Arc::new(Metrics::new(Bounds::default()));
    let trace = TraceId::of_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    report("three stages, upstream, stream, usage, percentages", || request(&metrics, None));
    report("the same with a trace, so with exemplars", || request(&metrics, trace));
    report("a reading of the clock, of which a request has 14", || {
        black_box(Instant::now());
    });
    report("refused: one stage", || {
        let tracker = PerformanceTracker::new(&metrics, "/v1/chat/completions");
        drop(tracker.stage("auth_validation"));
        tracker.finish(Outcome::ClientError, 401);
    });
    let page = metrics.render(Format::Prometheus);
    assert!(page.contains("gen_ai_server_time_per_output_token_seconds_count"), "everything was recorded");
}

fn request(metrics: &Arc<Metrics>, trace: Option<TraceId>) {
    let tracker = track_request_stages(metrics, "/v1/chat/completions");
    if let Some(trace) = trace {
        tracker.set_trace(trace);
    }
    for stage in ["request_parsing", "auth_validation", "request_preparation"] {
        drop(tracker.stage(stage));
    }
    let upstream = tracker.backend_request("openrouter", "some-model");
    upstream.first_byte();
    let stream = tracker.streaming();
    stream.tokens(1);
    stream.tokens(1);
    tracker.set_usage(Usage { input: Some(100), output: Some(2), cached_input: None, reasoning: None });
    drop((stream, upstream));
    tracker.finish(Outcome::Ok, 200);
}

fn report(name: &str, mut work: impl FnMut()) {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            for _ in 0..REQUESTS {
                work();
            }
            begun.elapsed().as_nanos() as f64 / REQUESTS as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!("{name:<56} {:>10.0} {:>10.0}", rounds[ROUNDS / 2], rounds[0]);
}
