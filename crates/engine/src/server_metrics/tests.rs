use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokmeter_record::server::{FetchInstants, PhaseMark, Window};
use tokmeter_record::{BenchmarkPhase, WallNs};

use super::*;

const URL: &str = "http://h:1/metrics";
const OTHER: &str = "http://other:1/metrics";
const MOVED: &str = "http://h:1/prometheus/metrics";
const TEXT: &str = "text/plain; version=0.0.4";
/// Far more than anything here takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a page answers.
#[derive(Clone, Debug)]
enum Answer {
    /// Status, content type, body. `N` in the body is the number of GETs so far.
    Page(u16, &'static str, &'static str),
    /// Nobody there.
    Refused,
    /// HEAD is not allowed; GET as given.
    GetOnly(Box<Answer>),
    /// Every GET takes this long.
    Slow(Duration, Box<Answer>),
    /// Only the first GET is answered; the others hang until their time is up.
    Once(Box<Answer>),
    /// The first GETs one way, the rest another.
    Then(u64, Box<Answer>, Box<Answer>),
}

/// A client without a network: pages by URL, and a log of what was asked for.
#[derive(Clone, Default)]
struct Fake {
    pages: Arc<HashMap<&'static str, Answer>>,
    log: Arc<Mutex<Vec<(Method, String)>>>,
}

fn now() -> WallNs {
    WallNs(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as u64)
}

impl Fake {
    fn new(pages: &[(&'static str, Answer)]) -> Fake {
        Fake { pages: Arc::new(pages.iter().cloned().collect()), log: Arc::default() }
    }

    fn count(&self, method: Method, url: &str) -> u64 {
        let log = self.log.lock().expect("not poisoned");
        log.iter().filter(|(known, asked)| *known == method && asked == url).count() as u64
    }

    /// Waits until a page was asked for so often.
    fn wait_for(&self, url: &str, gets: u64) {
        let start = Instant::now();
        while self.count(Method::Get, url) < gets {
            assert!(start.elapsed() < PATIENCE, "{url} was read {} times", self.count(Method::Get, url));
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    async fn answer(
        &self,
        method: Method,
        url: &str,
        answer: &Answer,
        limit: Duration,
    ) -> Result<Fetched, FetchError> {
        let sent = now();
        let gets = self.count(Method::Get, url);
        let page = |status, content_type: &str, body: String| Fetched {
            status,
            content_type: (!content_type.is_empty()).then(|| content_type.to_owned()),
            body: body.into_bytes(),
            instants: FetchInstants { request_sent_ns: sent, first_byte_ns: now(), latency_ns: 1_000_000 },
        };
        match answer {
            Answer::Page(status, content_type, _)
                if method == Method::Head || content_type.contains("json") =>
            {
                Ok(page(*status, content_type, String::new()))
            }
            Answer::Page(status, content_type, body) => {
                Ok(page(*status, content_type, body.replace('N', &gets.to_string())))
            }
            Answer::Refused => {
                Err(FetchError { message: "connection refused".to_owned(), unreachable: true })
            }
            Answer::GetOnly(_) if method == Method::Head => Ok(page(405, "", String::new())),
            Answer::Slow(time, inner) if method == Method::Get => {
                tokio::time::sleep(*time).await;
                Box::pin(self.answer(method, url, inner, limit)).await
            }
            Answer::Once(_) if method == Method::Get && gets > 1 => {
                tokio::time::sleep(limit).await;
                Err(FetchError { message: "timed out".to_owned(), unreachable: false })
            }
            Answer::Then(first, _, after) if gets > *first => {
                Box::pin(self.answer(method, url, after, limit)).await
            }
            Answer::GetOnly(inner)
            | Answer::Slow(_, inner)
            | Answer::Once(inner)
            | Answer::Then(_, inner, _) => Box::pin(self.answer(method, url, inner, limit)).await,
        }
    }
}

impl Fetch for Fake {
    async fn fetch(&self, method: Method, url: &str, timeout: Duration) -> Result<Fetched, FetchError> {
        self.log.lock().expect("not poisoned").push((method, url.to_owned()));
        match self.pages.get(url) {
            Some(answer) => self.answer(method, url, answer, timeout).await,
            None => self.answer(method, url, &Answer::Page(404, "text/html", ""), timeout).await,
        }
    }
}

fn counting() -> Answer {
    Answer::Page(200, TEXT, "# TYPE c_total counter\nc_total N\n")
}

fn json() -> Answer {
    Answer::Page(200, "application/json", "[{\"iter\": 1}]")
}

fn page(url: &str, origin: PageOrigin, gpu: bool) -> MetricsPage {
    MetricsPage { url: url.to_owned(), origin, gpu }
}

fn config(urls: &[&str]) -> ServerMetricsConfig {
    ServerMetricsConfig {
        pages: urls.iter().map(|url| page(url, PageOrigin::Discovered, false)).collect(),
        timing: Timing { interval: Duration::from_millis(2), flush: Duration::ZERO, ..Timing::default() },
        ..ServerMetricsConfig::default()
    }
}

fn start(config: ServerMetricsConfig, fake: &Fake) -> ServerMetrics {
    let fake = fake.clone();
    ServerMetrics::start(config, move || Ok(fake)).expect("started")
}

#[test]
fn baseline_interval_and_last_scrape() {
    let fake = Fake::new(&[(URL, counting())]);
    let metrics = start(config(&[URL]), &fake);
    assert!(metrics.is_active());
    assert_eq!(metrics.baseline()[0].scrapes, 1, "the baseline is taken when start returns");
    assert_eq!(fake.count(Method::Head, URL), 1);
    fake.wait_for(URL, 5);
    let outcome = metrics.finish().expect("no panic");
    let scrapes = fake.count(Method::Get, URL);
    assert_eq!(outcome.pages[0].scrapes, scrapes);
    assert_eq!(outcome.store.endpoints()[0].fetches.total, scrapes);
    let total = outcome.store.statistics(Window::Whole, None)["c"].series[0].stats.total;
    assert_eq!(total, Some(scrapes as f64 - 1.0), "from the first page to the last one");
    assert_eq!(outcome.notices, [] as [&str; 0]);
}

#[test]
fn json_is_not_read_and_the_other_place_is_tried_once() {
    for first in [json(), Answer::GetOnly(Box::new(json()))] {
        let fake = Fake::new(&[(URL, first), (MOVED, counting())]);
        let metrics = start(config(&[URL]), &fake);
        fake.wait_for(MOVED, 3);
        let outcome = metrics.finish().expect("no panic");
        assert_eq!((&*outcome.pages[0].configured_url, &*outcome.pages[0].url), (URL, MOVED));
        assert_eq!(outcome.pages[0].disabled, None);
        assert!(fake.count(Method::Get, URL) <= 1, "its list is not drained again and again");
        assert_eq!(&*outcome.store.endpoints()[0].url, MOVED);
        assert_eq!(&*outcome.store.endpoints()[0].configured_url, URL);
        assert_eq!(outcome.notices, [] as [&str; 0]);
    }
}

#[test]
fn one_warning_disables_one_page_only() {
    let fake = Fake::new(&[(URL, Answer::GetOnly(Box::new(json()))), (OTHER, counting())]);
    let metrics = start(config(&[URL, OTHER]), &fake);
    fake.wait_for(OTHER, 4);
    let outcome = metrics.finish().expect("no panic");
    assert_eq!(
        outcome.notices,
        [
            "Disabling server metrics collection for http://h:1/metrics: endpoint 'http://h:1/metrics' returned \
             non-Prometheus content-type 'application/json'; expected text/plain (Prometheus exposition format). \
             To suppress this warning, pass --no-server-metrics."
        ]
    );
    assert_eq!(fake.count(Method::Get, URL), 1, "never asked again");
    assert_eq!(fake.count(Method::Head, MOVED) + fake.count(Method::Get, MOVED), 2, "one probe");
    assert!(outcome.pages[0].disabled.is_some() && outcome.pages[1].disabled.is_none());
    assert!(outcome.pages[1].scrapes >= 4);
}

#[test]
fn garbage_disables_too() {
    let garbage = Answer::Page(200, "text/plain", "hello world\nthis is a log\n");
    let fake = Fake::new(&[(URL, garbage.clone())]);
    let outcome = start(config(&[URL]), &fake).finish().expect("no panic");
    assert!(
        outcome.notices[0].contains("did not return Prometheus exposition format"),
        "{:?}",
        outcome.notices
    );
    assert_eq!(outcome.notices.len(), 1);
    // A page that turns into something else while it is read.
    let fake = Fake::new(&[(URL, Answer::Then(3, Box::new(counting()), Box::new(garbage)))]);
    let metrics = start(config(&[URL]), &fake);
    fake.wait_for(URL, 4);
    let outcome = metrics.finish().expect("no panic");
    assert!(outcome.pages[0].disabled.is_some());
    assert_eq!((outcome.pages[0].scrapes, fake.count(Method::Get, URL)), (3, 4));
}

#[test]
fn absence_is_told_as_loudly_as_the_origin_deserves() {
    let fake = Fake::new(&[
        (URL, Answer::Refused),
        (OTHER, counting()),
        ("http://key/metrics", Answer::Page(401, "", "")),
    ]);
    let mut config = config(&[]);
    config.pages = vec![
        page(URL, PageOrigin::Tried, true),
        page("http://h:2/metrics", PageOrigin::Tried, true),
        page(OTHER, PageOrigin::Given, true),
        page("http://user:secret@key/metrics", PageOrigin::Discovered, false),
        page("http://key/metrics", PageOrigin::Given, false),
    ];
    let outcome = start(config, &fake).finish().expect("no panic");
    assert_eq!(fake.count(Method::Get, URL), 0, "nobody is there");
    assert_eq!(
        outcome.notices,
        [
            "Disabling GPU telemetry collection for http://other:1/metrics: the page shows no GPU. To suppress this warning, pass --no-gpu-telemetry.",
            "No server metrics from http://key/metrics: status 404. To suppress this warning, pass --no-server-metrics.",
            "No server metrics from http://key/metrics: status 401: the page wants a key. To suppress this warning, pass --no-server-metrics."
        ]
    );
    assert!(
        outcome.pages.iter().all(|page| page.disabled.is_some() && !page.configured_url.contains("secret"))
    );
    assert!(outcome.telemetry.is_empty());
}

#[test]
fn phases_and_raw_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let jsonl = folder.path().join("server_metrics_export.jsonl");
    let gpu_jsonl = folder.path().join("gpu_telemetry_export.jsonl");
    let gpu = Answer::Page(200, TEXT, "DCGM_FI_DEV_POWER_USAGE{gpu=\"0\",UUID=\"u\"} N\n");
    let constant = Answer::Page(200, TEXT, "# TYPE g gauge\ng 7\n");
    let fake = Fake::new(&[(URL, counting()), (OTHER, constant), ("http://gpu/metrics", gpu)]);
    let mut config = config(&[URL, OTHER]);
    config.pages.push(page("http://gpu/metrics", PageOrigin::Given, true));
    config.jsonl = Some(jsonl.clone());
    config.gpu_jsonl = Some(gpu_jsonl.clone());
    let metrics = start(config, &fake);
    metrics.scrape_now(PATIENCE);
    let before = fake.count(Method::Get, URL);
    assert!(before >= 2, "scrape_now returns when the page was read");
    let start_ns = now();
    metrics.begin_phase(PhaseMark {
        kind: BenchmarkPhase::Profiling,
        name: "profiling".to_owned(),
        index: 0,
        profiling_index: Some(0),
        start_ns,
        end_ns: None,
    });
    fake.wait_for(URL, before + 4);
    metrics.end_phase(now());
    let outcome = metrics.finish().expect("no panic");
    let store = &outcome.store;
    let scrapes = store.endpoints()[0].scrapes();
    let reference = scrapes.iter().rposition(|scrape| scrape.request_sent_ns < start_ns).expect("a baseline");
    assert!(scrapes.iter().all(|scrape| scrape.phase.is_some() == (scrape.request_sent_ns >= start_ns)));
    let total = store.statistics(Window::Phase(0), None)["c"].series[0].stats.total;
    assert_eq!(total, Some((scrapes.len() - 1 - reference) as f64));
    assert!(store.phases()[0].end_ns.is_some());
    let lines = std::fs::read_to_string(jsonl).expect("written");
    let of = |url: &str| lines.lines().filter(|line| line.contains(url)).count();
    assert_eq!(of(URL), scrapes.len(), "every changed page has a line");
    assert_eq!(of(OTHER), 1, "an unchanged page has none");
    assert!(lines.lines().last().expect("lines").contains("\"benchmark_phase\":\"profiling\""));
    let gpus = std::fs::read_to_string(gpu_jsonl).expect("written").lines().count() as u64;
    assert_eq!(gpus, fake.count(Method::Get, "http://gpu/metrics"));
    assert!(outcome.telemetry.power(WallNs(0), WallNs(u64::MAX)).power_w.expect("power") > 0.0);
    assert!(outcome.file_error.is_none());
}

#[test]
fn a_dear_page_is_read_less_often_and_this_is_said_once() {
    let slow = Answer::Slow(Duration::from_millis(3), Box::new(counting()));
    let fake = Fake::new(&[(URL, slow)]);
    let mut config = config(&[URL]);
    config.timing.interval = Duration::from_millis(6);
    let metrics = start(config, &fake);
    fake.wait_for(URL, 12);
    let outcome = metrics.finish().expect("no panic");
    assert_eq!(outcome.notices.len(), 1, "{:?}", outcome.notices);
    assert!(
        outcome.notices[0].contains("takes more than a tenth of the interval of 0.006 s"),
        "{:?}",
        outcome.notices
    );
    // After the first five scrapes, whose cost is learned, at least ten times that cost lies between two of them;
    // the last one comes at once.
    let scrapes = outcome.store.endpoints()[0].scrapes();
    let paced = &scrapes[7..scrapes.len() - 1];
    let took = paced[paced.len() - 1].request_sent_ns.0 - paced[0].request_sent_ns.0;
    let least = 30_000_000 * (paced.len() as u64 - 1);
    assert!(took >= least - 15_000_000, "{took} ns instead of {least}");
}

#[test]
fn a_hanging_page_holds_up_neither_the_others_nor_the_end() {
    let fake = Fake::new(&[(URL, Answer::Once(Box::new(counting()))), (OTHER, counting())]);
    let mut config = config(&[URL, OTHER]);
    config.timing.shutdown = Duration::from_millis(20);
    config.timing.reachability = Duration::from_secs(3_600);
    let metrics = start(config, &fake);
    fake.wait_for(URL, 2);
    fake.wait_for(OTHER, 6);
    let begun = Instant::now();
    let outcome = metrics.finish().expect("no panic");
    assert!(begun.elapsed() < PATIENCE, "the hanging fetch was abandoned");
    assert_eq!(outcome.pages[0].scrapes, 1);
    assert!(outcome.pages[1].scrapes >= 6);
}

#[test]
fn failures_in_between_are_said_once_and_survived() {
    let failing = Answer::Then(2, Box::new(counting()), Box::new(Answer::Page(500, "", "")));
    let fake = Fake::new(&[(URL, failing)]);
    let metrics = start(config(&[URL]), &fake);
    fake.wait_for(URL, 3);
    metrics.scrape_now(PATIENCE);
    let outcome = metrics.finish().expect("no panic");
    assert_eq!(outcome.pages[0].scrapes, 2);
    assert!(outcome.pages[0].failures >= 2);
    assert_eq!(outcome.pages[0].disabled, None);
    assert_eq!(
        outcome.notices,
        ["a scrape of http://h:1/metrics failed: status 500; further failures are only counted"]
    );
}

#[test]
fn required_metrics() {
    let fake = Fake::new(&[(URL, counting())]);
    let outcome = start(config(&[URL]), &fake).finish_now().expect("no panic");
    let required = ["c".to_owned(), "c_total".to_owned(), "vllm:x".to_owned()];
    assert_eq!(outcome.missing(&required), ["vllm:x"]);
}

#[test]
fn nothing_to_read_is_no_failure() {
    let outcome = start(config(&[]), &Fake::default()).finish().expect("no panic");
    assert!(outcome.pages.is_empty() && outcome.notices.is_empty());
}

#[test]
fn a_client_that_cannot_be_made_is_an_error() {
    let error =
        ServerMetrics::start::<Fake>(config(&[URL]), || Err("no roots".to_owned())).expect_err("no client");
    assert_eq!(error.to_string(), "cannot set up the server-metrics client: no roots");
    let mut config = config(&[URL]);
    config.jsonl = Some("/nowhere/at/all.jsonl".into());
    let error = ServerMetrics::start(config, || Ok(Fake::default())).expect_err("no file");
    assert!(matches!(error, StartError::File(_)), "{error}");
}
