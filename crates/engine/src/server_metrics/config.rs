//! What is read, how often, and where raw scrapes go.

use std::path::PathBuf;
use std::time::Duration;

use tokmeter_record::server::StoreLimits;
use tokmeter_record::server::exposition::Limits;

use super::latest::LatestGauges;

/// Where a page's URL comes from; decides how loudly its absence is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageOrigin {
    /// `<url>/metrics` of a server under test.
    Discovered,
    /// Given by the user.
    Given,
    /// The usual address of a GPU exporter; its absence is the usual case.
    Tried,
}

/// One page to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsPage {
    /// Its URL, as [`metrics_url`] makes it.
    pub url: String,
    /// Where the URL comes from.
    pub origin: PageOrigin,
    /// A page of a GPU exporter.
    pub gpu: bool,
}

/// What the collector does.
#[derive(Clone, Debug, Default)]
pub struct ServerMetricsConfig {
    /// Pages to read; of equal URLs the first one counts.
    pub pages: Vec<MetricsPage>,
    /// Times.
    pub timing: Timing,
    /// How much of a page is read.
    pub limits: Limits,
    /// How much is kept.
    pub store: StoreLimits,
    /// `server_metrics_export.jsonl`, when wanted.
    pub jsonl: Option<PathBuf>,
    /// `gpu_telemetry_export.jsonl`; made when a GPU is seen.
    pub gpu_jsonl: Option<PathBuf>,
    /// Where a display finds the newest gauges.
    pub latest: LatestGauges,
}

impl ServerMetricsConfig {
    /// Pages for servers under test, further URLs and GPU exporters. Without `gpus` the usual ports of a DCGM
    /// exporter are tried silently.
    pub fn pages(servers: &[String], further: &[String], gpus: Option<&[String]>) -> Vec<MetricsPage> {
        let usual = ["http://localhost:9400/metrics", "http://localhost:9401/metrics"];
        let mut pages: Vec<MetricsPage> = Vec::new();
        let mut add = |url: String, origin, gpu| {
            if pages.iter().all(|page| page.url != url) {
                pages.push(MetricsPage { url, origin, gpu });
            }
        };
        for url in servers {
            add(discovered_url(url), PageOrigin::Discovered, false);
        }
        for url in further {
            add(metrics_url(url), PageOrigin::Given, false);
        }
        match gpus {
            Some(gpus) => gpus.iter().for_each(|url| add(metrics_url(url), PageOrigin::Given, true)),
            None => usual.iter().for_each(|url| add((*url).to_owned(), PageOrigin::Tried, true)),
        }
        pages
    }
}

/// The metrics page of a server under test: `/metrics` below its base URL. The `/v1` of OpenAI-style base URLs
/// is no part of it.
fn discovered_url(server: &str) -> String {
    let base = server.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let base = base.strip_suffix("/v1").unwrap_or(base);
    metrics_url(base)
}

/// A metrics URL as users write it: `host:port` and `http://host:port` get `http://` and `/metrics`; a URL with
/// a path stays as it is, but for a base path that lacks `/metrics`.
pub fn metrics_url(url: &str) -> String {
    let url = url.trim();
    let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let (base, query) = match url.find(['?', '#']) {
        Some(at) => url.split_at(at),
        None => (url.as_str(), ""),
    };
    let base = base.trim_end_matches('/');
    let has_path = base.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    if base.ends_with("/metrics") || has_path && !query.is_empty() {
        format!("{base}{query}")
    } else if has_path && is_page(base) {
        base.to_owned()
    } else {
        format!("{base}/metrics{query}")
    }
}

/// Paths that name a page of their own, not the base of one: `/stats`, `/telemetry`, `/metrics.txt`.
fn is_page(base: &str) -> bool {
    let last = base.rsplit('/').next().unwrap_or_default();
    ["stats", "telemetry", "prometheus"].contains(&last) || last.contains("metrics")
}

/// Times of the collector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timing {
    /// From one scrape to the next (`SERVER_METRICS_COLLECTION_INTERVAL`, 0.333 s).
    pub interval: Duration,
    /// How long scrapes go on after the load (`SERVER_METRICS_COLLECTION_FLUSH_PERIOD`, 2 s).
    pub flush: Duration,
    /// Limit of each attempt to reach a page (`SERVER_METRICS_REACHABILITY_TIMEOUT`, 10 s).
    pub reachability: Duration,
    /// Limit of the last scrape (`SERVER_METRICS_SHUTDOWN_DELAY`, 5 s).
    pub shutdown: Duration,
    /// Lines of the raw file that are written together (`SERVER_METRICS_EXPORT_BATCH_SIZE`, 100).
    pub batch: usize,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            interval: Duration::from_millis(333),
            flush: Duration::from_secs(2),
            reachability: Duration::from_secs(10),
            shutdown: Duration::from_secs(5),
            batch: 100,
        }
    }
}

/// An environment variable that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}={value:?} is not {expected}")]
pub struct TimingError {
    /// The variable.
    pub name: String,
    /// Its value.
    pub value: String,
    /// What it should be.
    pub expected: &'static str,
}

impl Timing {
    /// The defaults, changed by the environment: `TOKMETER_SERVER_METRICS_*`, or AIPerf's names
    /// `AIPERF_SERVER_METRICS_*`. `variable` reads one, usually [`std::env::var`].
    ///
    /// # Errors
    /// A value that is no number in its range. Seconds may carry an `s` (`0.333s`).
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Timing, TimingError> {
        let find = |suffix: &str| {
            let names = ["TOKMETER", "AIPERF"].map(|product| format!("{product}_SERVER_METRICS_{suffix}"));
            names.into_iter().find_map(|name| variable(&name).map(|value| (name, value)))
        };
        let seconds = |suffix: &str, default: Duration, zero: bool| {
            let Some((name, value)) = find(suffix) else { return Ok(default) };
            let number = value.trim().trim_end_matches('s').parse::<f64>().ok();
            let fits = |seconds: &f64| (*seconds > 0.0 || zero && *seconds == 0.0) && *seconds <= 1e6;
            match number.filter(fits) {
                Some(seconds) => Ok(Duration::from_secs_f64(seconds)),
                None => Err(TimingError { name, value, expected: "a number of seconds" }),
            }
        };
        let own = Timing::default();
        let batch = match find("EXPORT_BATCH_SIZE") {
            None => own.batch,
            Some((name, value)) => match value.trim().parse() {
                Ok(lines) if lines > 0 => lines,
                _ => return Err(TimingError { name, value, expected: "a number of lines above 0" }),
            },
        };
        Ok(Timing {
            interval: seconds("COLLECTION_INTERVAL", own.interval, false)?,
            flush: seconds("COLLECTION_FLUSH_PERIOD", own.flush, true)?,
            reachability: seconds("REACHABILITY_TIMEOUT", own.reachability, false)?,
            shutdown: seconds("SHUTDOWN_DELAY", own.shutdown, true)?,
            batch,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_as_users_write_them() {
        for (written, url) in [
            ("localhost:8081", "http://localhost:8081/metrics"),
            ("http://node1:8081", "http://node1:8081/metrics"),
            ("http://node1:8081/", "http://node1:8081/metrics"),
            ("https://h/metrics", "https://h/metrics"),
            ("https://h/prometheus/metrics/", "https://h/prometheus/metrics"),
            ("h/base", "http://h/base/metrics"),
            ("h/stats", "http://h/stats"),
            ("h/federate?match[]=x", "http://h/federate?match[]=x"),
            ("h:1?x=y", "http://h:1/metrics?x=y"),
        ] {
            assert_eq!(metrics_url(written), url, "{written}");
        }
    }

    #[test]
    fn pages_of_a_run() {
        let strings = |urls: &[&str]| urls.iter().map(|url| (*url).to_owned()).collect::<Vec<_>>();
        let servers = strings(&["localhost:8000", "http://h/v1/", "http://localhost:8000"]);
        let pages = ServerMetricsConfig::pages(&servers, &strings(&["h/metrics", "other:1"]), None);
        let shown: Vec<_> = pages.iter().map(|page| (&*page.url, page.origin, page.gpu)).collect();
        assert_eq!(
            shown,
            [
                ("http://localhost:8000/metrics", PageOrigin::Discovered, false),
                ("http://h/metrics", PageOrigin::Discovered, false),
                ("http://other:1/metrics", PageOrigin::Given, false),
                ("http://localhost:9400/metrics", PageOrigin::Tried, true),
                ("http://localhost:9401/metrics", PageOrigin::Tried, true),
            ]
        );
        let pages = ServerMetricsConfig::pages(&[], &[], Some(&strings(&["gpu:9400"])));
        assert_eq!(pages.len(), 1);
        assert_eq!((&*pages[0].url, pages[0].origin), ("http://gpu:9400/metrics", PageOrigin::Given));
    }

    #[test]
    fn the_environment_changes_times() {
        let timing = Timing::from_environment(|name| match name {
            "AIPERF_SERVER_METRICS_COLLECTION_INTERVAL" => Some("1.5".to_owned()),
            "TOKMETER_SERVER_METRICS_COLLECTION_INTERVAL" => Some("0.25s".to_owned()),
            "AIPERF_SERVER_METRICS_COLLECTION_FLUSH_PERIOD" => Some("0".to_owned()),
            "AIPERF_SERVER_METRICS_EXPORT_BATCH_SIZE" => Some("7".to_owned()),
            _ => None,
        });
        let expected = Timing {
            interval: Duration::from_millis(250),
            flush: Duration::ZERO,
            batch: 7,
            ..Timing::default()
        };
        assert_eq!(timing, Ok(expected));
        for (name, value) in [
            ("COLLECTION_INTERVAL", "0"),
            ("COLLECTION_INTERVAL", "soon"),
            ("COLLECTION_INTERVAL", "NaN"),
            ("REACHABILITY_TIMEOUT", "-1"),
            ("EXPORT_BATCH_SIZE", "0"),
            ("SHUTDOWN_DELAY", "1e300"),
        ] {
            let variable = format!("AIPERF_SERVER_METRICS_{name}");
            let read = |asked: &str| (asked == variable).then(|| value.to_owned());
            let error = Timing::from_environment(read).expect_err("a bad value");
            assert_eq!((&*error.name, &*error.value), (&*variable, value));
        }
    }
}
