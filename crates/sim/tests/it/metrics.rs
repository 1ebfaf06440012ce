//! The metrics page: true to the log, and false when told to be.

use tokmeter_sim::{Distribution, MetricsMode, MetricsSwitch};

use crate::client::{Client, PATIENCE, chat, start};

/// The value of the sample whose name is `name` and whose labels contain `label`.
pub fn value(page: &str, name: &str, label: &str) -> f64 {
    page.lines()
        .filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(label))
        .find_map(|line| line.rsplit_once(' ')?.1.parse().ok())
        .unwrap_or_else(|| panic!("no {name} {label} in\n{page}"))
}

#[test]
fn the_page_is_the_sum_of_the_log() {
    let sim = start(|config| {
        config.workers = 2;
        config.timing.ttft_ms = Distribution::constant(3.0);
        config.timing.itl_ms = Distribution::constant(1.0);
        config.output.prefix_cache_blocks = 100;
    });
    let mut prompt = chat(7);
    prompt["messages"][0]["content"] = "abc ".repeat(40).into();
    let mut clients = [Client::connect(&sim), Client::connect(&sim)];
    for n in 0..10 {
        let mut body = prompt.clone();
        body["stream"] = (n % 3 > 0).into();
        assert_eq!(clients[n % 2].post("/v1/chat/completions", "", &body).status, 200);
    }
    let log = sim.wait_for_log(10, PATIENCE).expect("logged");
    let response = clients[0].get("/metrics");
    assert!(response.header("content-type").is_some_and(|t| t.starts_with("text/plain; version=0.0.4")));
    let page = response.text();
    assert_eq!(value(page, "vllm:generation_tokens_total", ""), 70.0);
    assert_eq!(value(page, "vllm:prompt_tokens_total", ""), 400.0);
    assert_eq!(value(page, "vllm:prefix_cache_queries_total", ""), 400.0);
    let cached: u32 = log.iter().map(|e| e.cached_tokens).sum();
    assert_eq!(cached, 9 * 32);
    assert_eq!(value(page, "vllm:prefix_cache_hits_total", ""), f64::from(cached));
    assert_eq!(value(page, "vllm:request_success_total", "finished_reason=\"length\""), 10.0);
    assert_eq!(value(page, "vllm:request_success_total", "finished_reason=\"stop\""), 0.0);

    let seconds = |ns: u64| ns as f64 / 1e9;
    let firsts =
        || log.iter().map(|e| e.first_token_write().expect("a token").write_end_ns - e.body_received_ns);
    let close = |name: &str, expected: f64| {
        let got = value(page, name, "");
        assert!((got - expected).abs() < 1e-6, "{name} is {got}, the log says {expected}");
    };
    close("vllm:time_to_first_token_seconds_sum", firsts().map(seconds).sum());
    let last =
        |e: &tokmeter_sim::RequestLog| e.writes.iter().rfind(|w| w.tokens > 0).expect("a token").write_end_ns;
    close(
        "vllm:e2e_request_latency_seconds_sum",
        log.iter().map(|e| seconds(last(e) - e.body_received_ns)).sum(),
    );
    let decode =
        log.iter().map(|e| seconds(last(e) - e.first_token_write().expect("a token").write_end_ns)).sum();
    close("vllm:request_decode_time_seconds_sum", decode);
    close("vllm:inter_token_latency_seconds_sum", decode);
    close("vllm:inter_token_latency_seconds_count", 60.0);
    close("vllm:request_queue_time_seconds_count", 10.0);
    let below = firsts().filter(|&ns| seconds(ns) <= 0.005).count();
    assert_eq!(value(page, "vllm:time_to_first_token_seconds_bucket", "le=\"0.005\""), below as f64);
    assert_eq!(value(page, "vllm:time_to_first_token_seconds_bucket", "le=\"+Inf\""), 10.0);
    assert!(firsts().all(|ns| ns >= 3_000_000));
}

#[test]
fn every_line_of_the_page_is_exposition() {
    let sim = start(|config| config.models = vec!["we\"ird\\name".to_owned()]);
    let mut client = Client::connect(&sim);
    client.post("/v1/chat/completions", "", &chat(3));
    let page = client.get("/metrics");
    let mut families = std::collections::HashSet::new();
    for line in page.text().lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            assert!(families.insert(family.to_owned()), "{family} twice");
        } else if !line.starts_with("# HELP ") {
            let (series, value) = line.rsplit_once(' ').expect("name and value");
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(!series.contains('{') || series.ends_with('}'), "{line}");
        }
    }
    assert!(page.text().contains(r#"model_name="we\"ird\\name""#));
    for histogram in
        ["time_to_first_token", "inter_token_latency", "e2e_request_latency", "request_queue_time"]
    {
        assert!(families.contains(&format!("vllm:{histogram}_seconds histogram")), "{histogram}");
    }
}

#[test]
fn the_page_can_be_anything_else() {
    let page = |mode, path: &str| {
        let sim = start(|config| {
            config.metrics.mode = mode;
            config.metrics.huge_bytes = 1 << 20;
        });
        let mut client = Client::connect(&sim);
        client.get(path)
    };
    assert!(page(MetricsMode::Json, "/metrics").json().is_object());
    assert_eq!(page(MetricsMode::Off, "/metrics").status, 404);
    assert_eq!(page(MetricsMode::Vllm, "/prometheus/metrics").status, 404);
    assert_eq!(page(MetricsMode::PrometheusPath, "/metrics").json(), serde_json::json!([]));
    assert!(
        page(MetricsMode::PrometheusPath, "/prometheus/metrics").text().contains("vllm:prompt_tokens_total")
    );
    let huge = page(MetricsMode::Huge, "/metrics").body.len();
    assert!((1_000_000..1_100_000).contains(&huge), "{huge}");
    assert!(page(MetricsMode::Garbage, "/metrics").text().contains("%%%"));
}

#[test]
fn the_page_can_hang_and_change_while_it_runs() {
    let sim = start(|config| {
        config.metrics.switch = Some(MetricsSwitch { after_reads: 2, mode: MetricsMode::Json });
    });
    let mut client = Client::connect(&sim);
    let types: Vec<bool> =
        (0..4).map(|_| client.get("/metrics").header("content-type") == Some("application/json")).collect();
    assert_eq!(types, [false, false, true, true]);
    assert_eq!(sim.counters().metrics_reads, 4);

    let sim = start(|config| config.metrics.mode = MetricsMode::Hang);
    let mut client = Client::connect(&sim);
    client.stream.set_nonblocking(false).expect("blocking");
    client.send(b"GET /metrics HTTP/1.1\r\n\r\n");
    client.stream.set_read_timeout(Some(std::time::Duration::from_millis(50))).expect("timeout");
    let read = std::io::Read::read(&mut client.stream, &mut [0; 1]);
    assert!(
        read.is_err_and(|e| matches!(
            e.kind(),
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
        ))
    );
}
