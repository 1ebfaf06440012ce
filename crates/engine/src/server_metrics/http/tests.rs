use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Instant;

use tokmeter_http::clock;
use tokmeter_record::BenchmarkPhase;
use tokmeter_record::server::known::{self, Role};
use tokmeter_record::server::{PhaseMark, Window};
use tokmeter_sim::{MetricsMode, MetricsPage as SimPage, MetricsSwitch, RunningSim, Sim, SimConfig};

use super::super::{
    MAX_PAGE_BYTES, PageReport, ServerMetrics, ServerMetricsConfig, ServerMetricsOutcome, Timing,
};
use super::*;

/// Far more than anything here takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn fetcher(trusted: Trusted) -> impl FnOnce() -> Result<HttpFetch, String> + Send {
    move || {
        HttpFetch::new(&ClientConfig::default(), MAX_PAGE_BYTES, clock::anchor(), trusted)
            .map_err(|error| error.to_string())
    }
}

fn sim(metrics: SimPage) -> RunningSim {
    Sim::start(SimConfig { metrics, ..SimConfig::default() }).expect("a simulated server")
}

fn config(url: &str) -> ServerMetricsConfig {
    ServerMetricsConfig {
        pages: ServerMetricsConfig::pages(&[url.to_owned()], &[], Some(&[])),
        timing: Timing {
            interval: Duration::from_millis(40),
            flush: Duration::ZERO,
            reachability: Duration::from_secs(2),
            shutdown: Duration::from_secs(2),
            ..Timing::default()
        },
        ..ServerMetricsConfig::default()
    }
}

/// Collects from a simulated server until it has been read so often.
fn collect(sim: &RunningSim, config: ServerMetricsConfig, reads: u64) -> ServerMetricsOutcome {
    let metrics = ServerMetrics::start(config, fetcher(Trusted::default())).expect("started");
    let start = Instant::now();
    while metrics.is_active() && sim.counters().metrics_reads < reads {
        assert!(start.elapsed() < PATIENCE, "{:?}", sim.counters());
        std::thread::sleep(Duration::from_millis(1));
    }
    metrics.finish().expect("no panic")
}

/// Notices, but for the one that depends on how fast this machine is.
fn notices(outcome: &ServerMetricsOutcome) -> Vec<&str> {
    let slow = |notice: &&str| notice.contains("a tenth of the interval");
    outcome.notices.iter().map(String::as_str).filter(|notice| !slow(notice)).collect()
}

fn only(outcome: &ServerMetricsOutcome) -> &PageReport {
    assert_eq!(outcome.pages.len(), 1);
    &outcome.pages[0]
}

#[test]
fn a_vllm_like_server() {
    let sim = sim(SimPage::default());
    let outcome = collect(&sim, config(&sim.url()), 6);
    assert_eq!(notices(&outcome), [] as [&str; 0]);
    assert_eq!(only(&outcome).failures, 0);
    let endpoint = &outcome.store.endpoints()[0];
    assert_eq!(*endpoint.url, *format!("{}/metrics", sim.url()));
    assert!(endpoint.fetches.total >= 4);
    assert!(endpoint.fetches.latency_sum_ns > 0);
    let scrapes = endpoint.scrapes();
    assert!(scrapes.iter().all(|scrape| scrape.request_sent_ns < scrape.timestamp_ns));
    assert!(scrapes.is_sorted_by_key(|scrape| scrape.timestamp_ns));
    let metrics = outcome.store.statistics(Window::Whole, None);
    assert!(metrics.contains_key("vllm:time_to_first_token_seconds"), "{:?}", metrics.keys());
    assert_eq!(sim.counters().connections, 1, "one connection, kept alive");
}

/// Sends a request that is not streamed and reads the whole answer.
fn ask(sim: &RunningSim) -> String {
    let body =
        r#"{"model":"sim-model","max_tokens":7,"messages":[{"role":"user","content":"one two three"}]}"#;
    let mut stream = TcpStream::connect(sim.addr()).expect("connected");
    let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: sim\r\nConnection: close\r\nContent-Type: application/json";
    write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn counters_of_a_phase_are_what_was_sent_in_it() {
    let sim = sim(SimPage::default());
    assert!(ask(&sim).starts_with("HTTP/1.1 200"));
    let metrics = ServerMetrics::start(config(&sim.url()), fetcher(Trusted::default())).expect("started");
    for _ in 0..2 {
        ask(&sim);
    }
    sim.wait_for_log(3, PATIENCE).expect("three requests");
    metrics.scrape_now(PATIENCE);
    let (start_ns, before) = (clock::wall_now(), sim.counters());
    metrics.begin_phase(PhaseMark {
        kind: BenchmarkPhase::Profiling,
        name: "profiling".to_owned(),
        index: 0,
        profiling_index: Some(0),
        start_ns,
        end_ns: None,
    });
    for _ in 0..5 {
        ask(&sim);
    }
    sim.wait_for_log(8, PATIENCE).expect("eight requests");
    metrics.end_phase(clock::wall_now());
    let outcome = metrics.finish().expect("no panic");
    let statistics = outcome.store.statistics(Window::Phase(0), None);
    let total =
        |name: &str| statistics[name].series.iter().filter_map(|series| series.stats.total).sum::<f64>();
    assert_eq!(total("vllm:request_success"), 5.0);
    let tokens = (sim.counters().tokens - before.tokens) as f64;
    assert!(tokens > 0.0);
    assert_eq!(total("vllm:generation_tokens"), tokens);
    let views = known::views(&statistics);
    assert_eq!(views[0].readings[&Role::Requests].total, Some(5.0));
    assert_eq!(views[0].readings[&Role::RequestLatency].count, Some(5));
}

#[test]
fn tensorrt_llm_has_its_page_elsewhere() {
    let sim = sim(SimPage { mode: MetricsMode::PrometheusPath, ..SimPage::default() });
    let outcome = collect(&sim, config(&sim.url()), 6);
    assert_eq!(only(&outcome).url, format!("{}/prometheus/metrics", sim.url()));
    assert!(only(&outcome).scrapes >= 3);
    assert_eq!(notices(&outcome), [] as [&str; 0]);
}

#[test]
fn pages_that_are_none() {
    for (mode, why) in [
        (MetricsMode::Json, "returned non-Prometheus content-type 'application/json'"),
        (MetricsMode::Garbage, "did not return Prometheus exposition format"),
        (MetricsMode::Off, "status 404"),
        (MetricsMode::Hang, "timed out"),
    ] {
        let sim = sim(SimPage { mode, ..SimPage::default() });
        let mut config = config(&sim.url());
        config.timing.reachability = Duration::from_millis(300);
        let outcome = collect(&sim, config, u64::MAX);
        let notices = notices(&outcome);
        assert!(matches!(notices[..], [one] if one.contains(why)), "{mode:?}: {notices:?}");
        assert!(only(&outcome).disabled.is_some());
    }
}

#[test]
fn a_page_that_changes_its_kind_is_given_up() {
    let switch = Some(MetricsSwitch { after_reads: 5, mode: MetricsMode::Json });
    let sim = sim(SimPage { switch, ..SimPage::default() });
    let outcome = collect(&sim, config(&sim.url()), 6);
    let notices = notices(&outcome);
    assert!(matches!(notices[..], [one] if one.contains("application/json")), "{notices:?}");
    assert!(outcome.store.endpoints()[0].fetches.total > 0, "what came before is kept");
}

#[test]
fn a_page_without_end_is_bounded() {
    let huge_bytes = MAX_PAGE_BYTES as u64 * 2;
    let sim = sim(SimPage { mode: MetricsMode::Huge, huge_bytes, ..SimPage::default() });
    let mut config = config(&sim.url());
    config.timing.reachability = PATIENCE;
    let outcome = collect(&sim, config, u64::MAX);
    assert!(only(&outcome).disabled.is_some());
    assert_eq!(outcome.store.series().len(), 0);
}

#[test]
fn nobody_there() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address").port()
    };
    let metrics = ServerMetrics::start(config(&format!("127.0.0.1:{port}")), fetcher(Trusted::default()));
    let outcome = metrics.expect("started").finish().expect("no panic");
    assert!(only(&outcome).disabled.is_some());
    assert_eq!(outcome.notices.len(), 1);
}

/// A server that answers one connection with fixed text and then keeps it open; gives its address and what it
/// was sent.
fn answer_and_stall(text: &'static str) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let (heard, hearing) = mpsc::channel();
    std::thread::spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else { return };
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read(&mut buffer) {
                Ok(read) if read > 0 => request.extend_from_slice(&buffer[..read]),
                _ => break,
            }
        }
        let _ = stream.write_all(text.as_bytes());
        let _ = heard.send(String::from_utf8_lossy(&request).into_owned());
        // Until the client hangs up.
        while matches!(stream.read(&mut buffer), Ok(read) if read > 0) {}
    });
    (address, hearing)
}

fn fetch(url: &str, trusted: Trusted, limit: Duration) -> Result<Fetched, FetchError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let fetch = fetcher(trusted)().expect("a client");
    runtime.block_on(fetch.fetch(Method::Get, url, limit))
}

#[test]
fn the_body_of_json_is_never_read() {
    let (address, hearing) = answer_and_stall(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n[{",
    );
    let url = format!("http://{address}/metrics");
    // The body never comes, so waiting for it would end in the time limit.
    let fetched = fetch(&url, Trusted::default(), PATIENCE).expect("an answer");
    assert_eq!((fetched.media(), fetched.body.len()), (Media::Json, 0));
    let request = hearing.recv().expect("a request").to_ascii_lowercase();
    assert!(request.starts_with("get /metrics http/1.1\r\n"), "{request}");
    assert!(request.contains("\r\naccept: text/plain;version=0.0.4\r\n"), "{request}");
    assert!(!request.contains("accept-encoding"), "{request}");
    assert!(!request.contains("authorization"), "{request}");
}

#[test]
fn a_key_goes_to_its_own_server_only() {
    const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\na 1\n";
    for trusts in [true, false] {
        let (address, hearing) = answer_and_stall(ANSWER);
        let own = if trusts { address.clone() } else { "127.0.0.1:1".to_owned() };
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer key"));
        let origins = vec![Origin::parse(&own).expect("a URL").origin];
        let url = format!("http://{address}/metrics?a=b");
        let fetched = fetch(&url, Trusted { origins, headers }, PATIENCE).expect("an answer");
        assert_eq!(fetched.body, b"a 1\n");
        let request = hearing.recv().expect("a request").to_ascii_lowercase();
        assert!(request.starts_with("get /metrics?a=b "), "{request}");
        assert_eq!(request.contains("authorization: bearer key"), trusts, "{request}");
    }
}

#[test]
fn times_out_and_says_so() {
    let (address, _hearing) =
        answer_and_stall("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\na 1");
    let error = fetch(&format!("http://{address}/metrics"), Trusted::default(), Duration::from_millis(100));
    let error = error.expect_err("half a page is no page");
    assert!(!error.unreachable, "{error}");
    assert!(fetch("http://bad host/metrics", Trusted::default(), PATIENCE).expect_err("no URL").unreachable);
}
