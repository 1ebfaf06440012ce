//! One page: finding it, reading it, giving it up.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokmeter_record::server::{Media, NotExposition, without_credentials};

use super::PageReport;
use super::config::{MetricsPage, PageOrigin, Timing};
use super::fetch::{Fetch, FetchError, Fetched, Method};
use super::recording::{Recording, Target};
use super::supervisor::Signal;

/// Share of the interval that a scrape may take.
const MAX_SHARE: u32 = 10;
/// Scrapes whose cheapest one tells what a scrape costs: single slow ones are waiting, not cost.
const COST_SCRAPES: usize = 5;
/// Pages are read at least this often, whatever they cost.
const MAX_INTERVAL: Duration = Duration::from_secs(10);
/// What is said at the end of a warning about a page.
const SUPPRESS: &str = "To suppress this warning, pass --no-server-metrics.";

/// One page and its state.
pub(super) struct Endpoint<F> {
    page: MetricsPage,
    url: RefCell<String>,
    target: Target,
    timing: Timing,
    fetch: Rc<F>,
    recording: Rc<RefCell<Recording>>,
    disabled: RefCell<Option<String>>,
    scrapes: Cell<u64>,
    failures: Cell<u64>,
    costs: RefCell<Vec<Duration>>,
    slowed: Cell<bool>,
    failing: Cell<bool>,
}

/// Why a page is not read.
enum Refusal {
    /// Nobody is there, or they refuse.
    Unreachable(String),
    /// They are there, but show something else.
    NotMetrics(String),
}

impl<F: Fetch> Endpoint<F> {
    pub(super) fn new(
        page: MetricsPage,
        target: Target,
        timing: Timing,
        fetch: Rc<F>,
        recording: Rc<RefCell<Recording>>,
    ) -> Self {
        Endpoint {
            url: RefCell::new(page.url.clone()),
            page,
            target,
            timing,
            fetch,
            recording,
            disabled: RefCell::default(),
            scrapes: Cell::default(),
            failures: Cell::default(),
            costs: RefCell::default(),
            slowed: Cell::default(),
            failing: Cell::default(),
        }
    }

    pub(super) fn is_active(&self) -> bool {
        self.disabled.borrow().is_none()
    }

    /// The URL, fit to be shown.
    fn shown(&self) -> String {
        without_credentials(&self.url.borrow())
    }

    pub(super) fn report(&self) -> PageReport {
        PageReport {
            configured_url: without_credentials(&self.page.url),
            url: self.shown(),
            gpu: self.page.gpu,
            disabled: self.disabled.borrow().clone(),
            scrapes: self.scrapes.get(),
            failures: self.failures.get(),
        }
    }

    /// Tests the page and takes the baseline. A page that shows something else gets one try at
    /// `/prometheus/metrics` (TensorRT-LLM); after that it is disabled.
    pub(super) async fn discover(&self) {
        let url = self.url.borrow().clone();
        let Err(refusal) = self.try_page(&url).await else { return };
        let refusal = match (refusal, alternative(&url)) {
            (Refusal::NotMetrics(why), Some(other)) if !self.page.gpu => match self.try_page(&other).await {
                Ok(()) => {
                    tracing::info!("server metrics are at {}", self.shown());
                    return;
                }
                Err(_) => Refusal::NotMetrics(why),
            },
            (refusal, _) => refusal,
        };
        self.disable(refusal);
    }

    /// HEAD, then GET, whose page is the baseline.
    async fn try_page(&self, url: &str) -> Result<(), Refusal> {
        let limit = self.timing.reachability;
        match self.fetch.fetch(Method::Head, url, limit).await {
            Err(error) if error.unreachable => return Err(Refusal::Unreachable(error.message)),
            // What HEAD calls JSON is not asked for: TensorRT-LLM's list is emptied by reading it.
            Ok(head) if head.is_success() => self.refuse_json(url, &head)?,
            _ => {}
        }
        let fetched = match self.fetch.fetch(Method::Get, url, limit).await {
            Ok(fetched) if fetched.is_success() => fetched,
            Ok(fetched) => return Err(Refusal::Unreachable(status_text(&fetched))),
            Err(error) => return Err(Refusal::Unreachable(error.message)),
        };
        self.refuse_json(url, &fetched)?;
        self.take(url, &fetched)?;
        if let Target::Gpu(source) = self.target
            && !self.recording.borrow().has_gpu(source)
        {
            return Err(Refusal::NotMetrics("the page shows no GPU".to_owned()));
        }
        self.move_to(url);
        Ok(())
    }

    fn refuse_json(&self, url: &str, answer: &Fetched) -> Result<(), Refusal> {
        if answer.media() != Media::Json {
            return Ok(());
        }
        let content_type: String =
            answer.content_type.iter().flat_map(|value| value.chars()).take(100).collect();
        let url = without_credentials(url);
        Err(Refusal::NotMetrics(format!(
            "endpoint '{url}' returned non-Prometheus content-type '{content_type}'; \
             expected text/plain (Prometheus exposition format)"
        )))
    }

    fn take(&self, url: &str, fetched: &Fetched) -> Result<(), Refusal> {
        let url = without_credentials(url);
        let added = self.recording.borrow_mut().add(self.target, &url, fetched);
        added.map_err(|error: NotExposition| {
            Refusal::NotMetrics(format!(
                "endpoint '{url}' did not return Prometheus exposition format: {error}"
            ))
        })?;
        self.scrapes.set(self.scrapes.get() + 1);
        Ok(())
    }

    fn move_to(&self, url: &str) {
        if *self.url.borrow() != url {
            *self.url.borrow_mut() = url.to_owned();
            if let Target::Server(endpoint) = self.target {
                self.recording.borrow_mut().store.move_endpoint(endpoint, url);
            }
        }
    }

    /// Gives the page up, and says so as loudly as its origin deserves.
    fn disable(&self, refusal: Refusal) {
        let url = self.shown();
        let (Refusal::Unreachable(why) | Refusal::NotMetrics(why)) = &refusal;
        let silent = self.page.origin == PageOrigin::Tried;
        if !silent {
            let flag = if self.page.gpu {
                SUPPRESS.replace("server-metrics", "gpu-telemetry")
            } else {
                SUPPRESS.to_owned()
            };
            let what = if self.page.gpu { "GPU telemetry" } else { "server metrics" };
            let notice = match &refusal {
                Refusal::NotMetrics(_) => format!("Disabling {what} collection for {url}: {why}. {flag}"),
                Refusal::Unreachable(_) => format!("No {what} from {url}: {why}. {flag}"),
            };
            self.recording.borrow_mut().warn(notice);
        }
        *self.disabled.borrow_mut() = Some(why.clone());
    }

    /// Reads the page at its interval, and at every signal, until the last one.
    pub(super) async fn watch(&self, mut signals: watch::Receiver<Signal>, served: impl Fn(u64)) {
        let mut next = Instant::now() + self.interval();
        while self.is_active() {
            tokio::select! {
                () = sleep_until(next) => {}
                changed = signals.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
            }
            let signal = *signals.borrow_and_update();
            let started = Instant::now();
            let limit = if signal.last { self.timing.shutdown } else { self.timing.reachability };
            self.scrape(limit).await;
            served(signal.number);
            if signal.last {
                return;
            }
            next = started + self.interval();
        }
    }

    /// Reads the page once.
    async fn scrape(&self, limit: Duration) {
        let url = self.url.borrow().clone();
        let started = Instant::now();
        let fetched = match self.fetch.fetch(Method::Get, &url, limit).await {
            Ok(fetched) if fetched.is_success() => fetched,
            Ok(fetched) => return self.fail(&status_text(&fetched)),
            Err(FetchError { message, .. }) => return self.fail(&message),
        };
        self.failing.set(false);
        if let Err(refusal) = self.refuse_json(&url, &fetched).and_then(|()| self.take(&url, &fetched)) {
            return self.disable(refusal);
        }
        self.note_cost(started.elapsed());
    }

    fn fail(&self, why: &str) {
        self.failures.set(self.failures.get() + 1);
        self.failing.set(true);
        if self.failures.get() == 1 {
            let url = self.shown();
            let notice = format!("a scrape of {url} failed: {why}; further failures are only counted");
            self.recording.borrow_mut().warn(notice);
        }
    }

    /// Time from the start of one scrape to the start of the next.
    fn interval(&self) -> Duration {
        if self.failing.get() {
            // Whoever does not answer is not asked three times a second.
            return self.timing.interval.max(Duration::from_secs(1));
        }
        let costs = self.costs.borrow();
        let cost = costs.iter().min().copied().unwrap_or_default();
        let slowest = MAX_INTERVAL.max(self.timing.interval);
        if costs.len() < COST_SCRAPES {
            self.timing.interval
        } else {
            cost.saturating_mul(MAX_SHARE).clamp(self.timing.interval, slowest)
        }
    }

    fn note_cost(&self, cost: Duration) {
        let mut costs = self.costs.borrow_mut();
        if costs.len() == COST_SCRAPES {
            costs.remove(0);
        }
        costs.push(cost);
        drop(costs);
        let interval = self.interval();
        if interval > self.timing.interval && !self.slowed.replace(true) {
            let url = self.shown();
            self.recording.borrow_mut().warn(format!(
                "a scrape of {url} takes more than a tenth of the interval of {:.3} s; it is read every {:.3} s instead",
                self.timing.interval.as_secs_f64(),
                interval.as_secs_f64(),
            ));
        }
    }
}

fn status_text(fetched: &Fetched) -> String {
    match fetched.status {
        status @ (401 | 403) => format!("status {status}: the page wants a key"),
        status => format!("status {status}"),
    }
}

/// Where TensorRT-LLM has its page, for a URL that ends with `/metrics`.
fn alternative(url: &str) -> Option<String> {
    let base = url.strip_suffix("/metrics")?;
    (!base.ends_with("/prometheus")).then(|| format!("{base}/prometheus/metrics"))
}

#[cfg(test)]
mod tests {
    use super::alternative;

    #[test]
    fn one_other_place_to_look() {
        for (url, other) in [
            ("http://h:1/metrics", Some("http://h:1/prometheus/metrics")),
            ("http://h/v1/metrics", Some("http://h/v1/prometheus/metrics")),
            ("http://h/prometheus/metrics", None),
            ("http://h/stats", None),
        ] {
            assert_eq!(alternative(url).as_deref(), other, "{url}");
        }
    }
}
