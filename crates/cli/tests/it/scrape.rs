//! `scrape`: pages from files, and the collector without load.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use std::{fs, thread};

use serde_json::Value;
use tokmeter_sim::RunningSim;

use crate::run;

fn scrape(flags: &[&str]) -> Output {
    run::tokmeter().arg("scrape").args(flags).stdin(Stdio::null()).output().expect("the binary starts")
}

fn fixture(name: &str) -> String {
    format!("{}/../../tests/fixtures/metrics/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).expect("JSON")
}

#[test]
fn a_page_as_json_and_as_a_table() {
    let path = fixture("vllm-0.32.0.prom");
    let output = scrape(&["--page", &path, "--format", "json"]);
    assert!(output.status.success(), "{}", run::shown(&output));
    let page = json(&output.stdout);
    let families = page["families"].as_array().expect("families");
    let ttft = families.iter().find(|family| family["name"] == "vllm:time_to_first_token_seconds");
    assert_eq!(ttft.expect("the histogram is there")["type"], "histogram");
    assert_eq!(page["problems"], serde_json::json!([]));

    let from_pipe = run::tokmeter()
        .args(["scrape", "--page", "-"])
        .stdin(fs::File::open(&path).expect("the fixture"))
        .output()
        .expect("the binary starts");
    let text = String::from_utf8(from_pipe.stdout).expect("text");
    assert!(text.starts_with(&format!("{} families", families.len())), "{text}");
    assert!(text.lines().any(|line| line.starts_with(" vllm:num_requests_running ")), "{text}");
}

#[test]
fn openmetrics_is_known_by_its_end() {
    let place = tempfile::tempdir().expect("a directory");
    let stamp = |ending: &str, stamp: &str| {
        let path = place.path().join("page");
        fs::write(&path, format!("# TYPE a gauge\na 1 {stamp}\n{ending}")).expect("written");
        let output = scrape(&["--page", &path.display().to_string(), "--format", "json"]);
        json(&output.stdout)["families"][0]["samples"][0]["timestamp"].as_f64()
    };
    assert_eq!(stamp("# EOF\n", "1520879607.5"), Some(1_520_879_607.5), "seconds");
    assert_eq!(stamp("", "1520879607500"), Some(1_520_879_607.5), "milliseconds");
}

#[test]
fn what_is_no_page_is_refused() {
    for (name, reason) in [("trtllm-metrics.json", "--page"), ("missing.prom", "cannot read")] {
        let output = scrape(&["--page", &fixture(name)]);
        assert_eq!(output.status.code(), Some(2), "{}", run::shown(&output));
        assert!(run::shown(&output).contains(reason), "{}", run::shown(&output));
    }
    let output = scrape(&["localhost:1", "--page", &fixture("vllm-0.32.0.prom")]);
    assert_eq!(output.status.code(), Some(2), "{}", run::shown(&output));
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let place = tempfile::tempdir().expect("a directory");
    let directory = place.path().join("out").display().to_string();
    let output = scrape(&["http://me:s3cret@127.0.0.1:9", "--artifact-dir", &directory]);
    let shown = run::shown(&output);
    assert_eq!(output.status.code(), Some(3), "{shown}");
    assert!(shown.contains("http://127.0.0.1:9/metrics") && !shown.contains("s3cret"), "{shown}");
}

fn read(directory: &Path, name: &str) -> Vec<u8> {
    fs::read(directory.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A collector that goes on until it is interrupted; returns when its baseline is taken.
fn watching(sim: &RunningSim, directory: &Path) -> Child {
    let child = run::tokmeter()
        .args(["scrape", &sim.url(), "--duration", "1h", "--interval", "20ms", "--slice-duration", "0.05"])
        .args(["--server-metrics-formats", "json", "csv", "parquet", "jsonl"])
        .args(["--server-metrics-compression", "zstd", "--artifact-dir"])
        .arg(directory)
        .env("TOKMETER_API_KEY", "s3cret")
        .env("AIPERF_SERVER_METRICS_EXPORT_BATCH_SIZE", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let raw = directory.join("server_metrics_export.jsonl");
    while !fs::read(&raw).is_ok_and(|text| text.ends_with(b"\n")) {
        thread::sleep(Duration::from_millis(5));
    }
    child
}

/// The counters over the window are what others sent to the server meanwhile, by the server's own log.
#[test]
fn the_collector_alone_sees_the_load_of_others_and_writes_all_files_when_interrupted() {
    let sim = run::sim(5.0, 1.0);
    let place = tempfile::tempdir().expect("a directory");
    let directory = place.path().join("scrape");
    let scraper = watching(&sim, &directory);
    let load = run::profile(
        &sim,
        &place.path().join("load"),
        &["--streaming", "--request-count", "20", "--concurrency", "4", "--osl", "5", "--no-server-metrics"],
    );
    assert!(load.status.success(), "{}", run::shown(&load));
    let interrupted = Command::new("kill").args(["-INT", &scraper.id().to_string()]).status();
    assert!(interrupted.expect("kill").success());
    let output = scraper.wait_with_output().expect("it ends");
    let shown = run::shown(&output);
    assert_eq!(output.status.code(), Some(130), "{shown}");
    assert!(shown.contains("vllm:time_to_first_token_seconds (seconds)"), "{shown}");

    let file = json(&read(&directory, "server_metrics_export.json"));
    let total = |name: &str| -> f64 {
        let series = file["metrics"][name]["series"].as_array().expect("series");
        series.iter().filter_map(|series| series["stats"]["total"].as_f64()).sum()
    };
    let log = sim.log();
    assert_eq!(log.len(), 20);
    let tokens: u32 = log.iter().map(|request| request.sent_tokens).sum();
    assert_eq!(total("vllm:request_success"), 20.0, "{shown}");
    assert_eq!(total("vllm:generation_tokens"), f64::from(tokens));
    let running = &file["metrics"]["vllm:num_requests_running"]["series"][0];
    assert!(running["timeslices"].as_array().is_some_and(|slices| !slices.is_empty()), "{running}");
    assert!(read(&directory, "server_metrics_export.parquet").starts_with(b"PAR1"));
    assert!(read(&directory, "server_metrics_export.csv").starts_with(b"Endpoint,Type,Metric,Unit"));
    for name in ["server_metrics_export.json", "server_metrics_export.jsonl"] {
        assert!(!String::from_utf8_lossy(&read(&directory, name)).contains("s3cret"), "{name}");
    }
}

#[test]
fn a_short_look_ends_well_and_prints_the_file() {
    let sim = run::sim(1.0, 1.0);
    let place = tempfile::tempdir().expect("a directory");
    let directory = place.path().join("scrape").display().to_string();
    let flags = ["--duration", "50ms", "--format", "json", "--server-metrics-formats", "json"];
    let output = scrape(&[&[&*sim.url(), "--artifact-dir", &directory], &flags[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", run::shown(&output));
    assert_eq!(json(&output.stdout), json(&read(Path::new(&directory), "server_metrics_export.json")));
    let files = fs::read_dir(&directory).expect("the directory").count();
    assert_eq!(files, 1, "nothing else was asked for");
}

/// Scrapes a simulated server for a second; the number of fetches.
fn fetches(environment: &[(&str, &str)]) -> u64 {
    let sim = run::sim(1.0, 1.0);
    let place = tempfile::tempdir().expect("a directory");
    let output = run::tokmeter()
        .args(["scrape", &sim.url(), "--duration", "1s", "--format", "json", "--artifact-dir"])
        .arg(place.path())
        .envs(environment.iter().copied())
        .output()
        .expect("the binary starts");
    assert!(output.status.success(), "{}", run::shown(&output));
    let info = &json(&output.stdout)["summary"]["endpoint_info"];
    let pages = info.as_object().expect("pages").values();
    pages.map(|page| page["total_fetches"].as_u64().expect("a count")).sum()
}

#[test]
fn environment_variables_of_the_guide_and_ours_which_win() {
    const AIPERF: &str = "AIPERF_SERVER_METRICS_COLLECTION_INTERVAL";
    const OURS: &str = "TOKMETER_SERVER_METRICS_COLLECTION_INTERVAL";
    // Baseline, begin, end and last scrape, and none in between, however long the second takes.
    let few = fetches(&[(AIPERF, "1000")]);
    assert!((2..=4).contains(&few), "{few}");
    let ours = fetches(&[(AIPERF, "0.01"), (OURS, "1000s")]);
    assert!((2..=4).contains(&ours), "{ours}");

    let output = run::tokmeter().args(["scrape", "localhost:1"]).env(AIPERF, "soon").output();
    let output = output.expect("the binary starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(run::shown(&output).contains("AIPERF_SERVER_METRICS_COLLECTION_INTERVAL=\"soon\""));
}

/// Every limit on a page that is reached is told, on the console and in the file, and costs what it says only.
#[test]
fn limits_on_pages_are_told() {
    let sim = run::sim(1.0, 1.0);
    let place = tempfile::tempdir().expect("a directory");
    let directory = place.path().display().to_string();
    let look = |limit: &str| {
        let flags = ["--duration", "10ms", "--server-metrics-formats", "json", limit];
        scrape(&[&[&*sim.url(), "--artifact-dir", &directory], &flags[..]].concat())
    };
    let metrics = |file: &Value| file["metrics"].as_object().map_or(0, serde_json::Map::len);
    assert!(look("--max-page-mib=1").status.success());
    let all = metrics(&json(&read(place.path(), "server_metrics_export.json")));
    for (limit, notice) in [
        ("--max-page-families=3", "more families in one page than the limit"),
        ("--max-page-samples=3", "more samples in one page than the limit"),
        ("--max-page-labels=0", "more labels of one sample than the limit"),
        ("--max-series=3", "more than 3 series"),
    ] {
        let output = look(limit);
        let shown = run::shown(&output);
        let file = json(&read(place.path(), "server_metrics_export.json"));
        let notices = file["summary"]["notices"].as_array().expect("notices");
        let told = notices.iter().filter(|told| told.as_str().is_some_and(|told| told.contains(notice)));
        assert_eq!(told.count(), 1, "{limit}: {notices:?}");
        assert!(shown.contains(notice) && metrics(&file) < all, "{limit}: {shown}");
    }
    // A page of which nothing is left is not read.
    for (limit, reason) in [("--max-page-mib=0", "limit"), ("--max-page-line-kib=0", "line too long")] {
        let output = look(limit);
        assert_eq!(output.status.code(), Some(3), "{}", run::shown(&output));
        assert!(run::shown(&output).contains(reason), "{}", run::shown(&output));
    }
}

#[test]
fn a_page_that_never_answers_is_left_after_the_reachability_timeout() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let place = tempfile::tempdir().expect("a directory");
    let begin = std::time::Instant::now();
    let output = run::tokmeter()
        .args(["scrape", &url, "--artifact-dir"])
        .arg(place.path())
        .env("AIPERF_SERVER_METRICS_REACHABILITY_TIMEOUT", "0.1")
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(3), "{}", run::shown(&output));
    assert!(begin.elapsed() < Duration::from_secs(9), "the default alone is 10 s for each attempt");
}
