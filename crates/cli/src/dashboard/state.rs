//! What the dashboard knows: counters, their history by the second, and the records of the last seconds. Knows nothing
//! of terminals.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokmeter_engine::LiveCounts;
use tokmeter_record::analysis::gauges::GaugeKind;

use super::feed::Sample;
use crate::console::harmless;
use crate::console::progress::Expected;

/// Percentiles are taken over this long.
pub const WINDOW: Duration = Duration::from_secs(10);
/// Records of the window that are kept.
const WINDOW_RECORDS: usize = 20_000;
/// Seconds of history.
const HISTORY: usize = 300;
/// Lines of the log.
const LOG: usize = 200;
/// Different errors that are counted one by one.
const ERRORS: usize = 50;

/// A gauge of the servers.
#[derive(Clone, Debug, PartialEq)]
pub struct Gauge {
    /// What it means.
    pub kind: GaugeKind,
    /// Its name on the metrics page.
    pub name: String,
    /// Its newest value.
    pub value: f64,
}

/// What happened since the last update.
#[derive(Debug, Default)]
pub struct Update {
    /// Since the screen began.
    pub at: Duration,
    /// Counters now.
    pub counts: LiveCounts,
    /// A phase that began.
    pub phase: Option<Expected>,
    /// Records that ended.
    pub samples: Vec<Sample>,
    /// The servers' gauges now.
    pub gauges: Vec<Gauge>,
    /// New lines of the log.
    pub log: Vec<String>,
}

/// The phase in progress.
#[derive(Clone, Debug)]
pub struct PhaseProgress {
    /// What it is expected to do.
    pub expected: Expected,
    /// When it began.
    pub since: Duration,
    /// Counters when it began.
    pub before: LiveCounts,
}

/// One value for each second, newest last.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Requests that ended, per second.
    pub requests: VecDeque<f64>,
    /// Output tokens per second.
    pub tokens: VecDeque<f64>,
    /// Requests in flight.
    pub in_flight: VecDeque<f64>,
    /// Median time to first token over the window, ms.
    pub ttft: VecDeque<f64>,
    /// Median inter-token latency over the window, ms.
    pub itl: VecDeque<f64>,
    /// Median latency over the window, ms.
    pub latency: VecDeque<f64>,
}

/// Median and 99th percentile over the window, ms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantiles {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
}

/// Everything the screen shows.
#[derive(Clone, Debug)]
pub struct State {
    /// What is measured.
    pub title: String,
    /// Since the screen began.
    pub at: Duration,
    /// Counters now.
    pub counts: LiveCounts,
    /// The phase in progress.
    pub phase: Option<PhaseProgress>,
    /// By the second.
    pub history: History,
    /// The servers' gauges now.
    pub gauges: Vec<Gauge>,
    /// Newest last.
    pub log: VecDeque<String>,
    /// The user asked for the end.
    pub ending: bool,
    /// The keys are shown.
    pub help: bool,
    errors: BTreeMap<String, u64>,
    window: VecDeque<(Duration, Sample)>,
    last_second: Duration,
    at_last_second: LiveCounts,
}

impl State {
    /// Nothing happened yet.
    pub fn new(title: String) -> State {
        State {
            title: harmless(&title).into_owned(),
            at: Duration::ZERO,
            counts: LiveCounts::default(),
            phase: None,
            history: History::default(),
            gauges: Vec::new(),
            log: VecDeque::new(),
            ending: false,
            help: false,
            errors: BTreeMap::new(),
            window: VecDeque::new(),
            last_second: Duration::ZERO,
            at_last_second: LiveCounts::default(),
        }
    }

    /// Takes in what happened. Text from outside is made harmless here.
    pub fn update(&mut self, update: Update) {
        self.at = update.at;
        self.counts = update.counts;
        self.gauges = update.gauges;
        if let Some(expected) = update.phase {
            self.phase = Some(PhaseProgress { expected, since: self.at, before: self.counts });
            self.window.clear();
        }
        for line in update.log {
            self.log.push_back(harmless(line.trim_end()).into_owned());
        }
        while self.log.len() > LOG {
            self.log.pop_front();
        }
        for sample in update.samples {
            if let Some(error) = &sample.error {
                self.count_error(error);
            }
            self.window.push_back((self.at, sample));
        }
        let oldest = self.at.saturating_sub(WINDOW);
        while self.window.len() > WINDOW_RECORDS || self.window.front().is_some_and(|(at, _)| *at < oldest) {
            self.window.pop_front();
        }
        if self.at.saturating_sub(self.last_second) >= Duration::from_secs(1) {
            self.remember();
        }
    }

    fn count_error(&mut self, error: &str) {
        let text = harmless(error).into_owned();
        let known = self.errors.contains_key(&text) || self.errors.len() < ERRORS;
        *self.errors.entry(if known { text } else { "other errors".to_owned() }).or_default() += 1;
    }

    fn remember(&mut self) {
        let seconds = (self.at - self.last_second).as_secs_f64();
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        let (now, before) = (self.counts, self.at_last_second);
        let median = |of: Option<Quantiles>| of.map_or(0.0, |quantiles| quantiles.p50);
        let (ttft, itl, latency) = (median(self.ttft()), median(self.itl()), median(self.latency()));
        let history = &mut self.history;
        for (values, value) in [
            (&mut history.requests, rate(now.records(), before.records())),
            (&mut history.tokens, rate(now.output_tokens, before.output_tokens)),
            (&mut history.in_flight, now.in_flight() as f64),
            (&mut history.ttft, ttft),
            (&mut history.itl, itl),
            (&mut history.latency, latency),
        ] {
            values.push_back(value);
            if values.len() > HISTORY {
                values.pop_front();
            }
        }
        (self.last_second, self.at_last_second) = (self.at, now);
    }

    fn quantiles(&self, of: impl Fn(&Sample) -> Option<f64>) -> Option<Quantiles> {
        let mut values: Vec<f64> = self.window.iter().filter_map(|(_, sample)| of(sample)).collect();
        values.sort_unstable_by(f64::total_cmp);
        let at = |q: f64| values.get(((values.len().saturating_sub(1)) as f64 * q).round() as usize).copied();
        Some(Quantiles { p50: at(0.5)?, p99: at(0.99)? })
    }

    /// Time to first token over the window.
    pub fn ttft(&self) -> Option<Quantiles> {
        self.quantiles(|sample| sample.ttft)
    }

    /// Inter-token latency over the window.
    pub fn itl(&self) -> Option<Quantiles> {
        self.quantiles(|sample| sample.itl)
    }

    /// Request latency over the window.
    pub fn latency(&self) -> Option<Quantiles> {
        self.quantiles(|sample| sample.latency)
    }

    /// From the intended to the real start, over the window.
    pub fn schedule_lag(&self) -> Option<Quantiles> {
        self.quantiles(|sample| Some(sample.schedule_lag))
    }

    /// From the arrival of bytes to their read, over the window.
    pub fn receive_lag(&self) -> Option<Quantiles> {
        self.quantiles(|sample| sample.receive_lag)
    }

    /// Errors by number of requests, most first.
    pub fn errors(&self) -> Vec<(&str, u64)> {
        let mut errors: Vec<_> = self.errors.iter().map(|(text, count)| (text.as_str(), *count)).collect();
        errors.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        errors
    }

    /// Share of the phase that is done (0 to 1), requests done, and how long the rest takes at this rate.
    pub fn progress(&self) -> Option<(f64, u64, Option<Duration>)> {
        let phase = self.phase.as_ref()?;
        let done = self.counts.records().saturating_sub(phase.before.records());
        let elapsed = self.at.saturating_sub(phase.since).as_secs_f64();
        let by_requests =
            phase.expected.requests.filter(|n| *n > 0).map(|requests| done as f64 / requests as f64);
        let by_time =
            phase.expected.duration.filter(|d| !d.is_zero()).map(|length| elapsed / length.as_secs_f64());
        let share = by_requests.into_iter().chain(by_time).reduce(f64::max)?.clamp(0.0, 1.0);
        let left = (share > 0.0).then(|| Duration::from_secs_f64(elapsed * (1.0 - share) / share));
        Some((share, done, left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(records: u64, tokens: u64) -> LiveCounts {
        LiveCounts {
            started: records + 4,
            ended: records,
            succeeded: records,
            output_tokens: tokens,
            ..LiveCounts::default()
        }
    }

    fn at(seconds: f64, records: u64) -> Update {
        Update {
            at: Duration::from_secs_f64(seconds),
            counts: counts(records, 10 * records),
            ..Update::default()
        }
    }

    #[test]
    fn rates_are_remembered_by_the_second() {
        let mut state = State::new(String::new());
        for (seconds, records) in [(0.2, 2), (0.9, 8), (1.0, 10), (1.5, 20), (2.0, 30)] {
            state.update(at(seconds, records));
        }
        assert_eq!(state.history.requests, [10.0, 20.0]);
        assert_eq!(state.history.tokens, [100.0, 200.0]);
        assert_eq!(state.history.in_flight, [4.0, 4.0]);
    }

    #[test]
    fn percentiles_forget_what_is_older_than_the_window() {
        let mut state = State::new(String::new());
        let sample = |ms| Sample { ttft: Some(ms), ..Sample::default() };
        state.update(Update { samples: vec![sample(1_000.0)], ..at(1.0, 1) });
        state.update(Update { samples: (1..=100).map(|ms| sample(f64::from(ms))).collect(), ..at(5.0, 101) });
        assert_eq!(state.ttft().map(|q| q.p99), Some(100.0));
        state.update(at(14.0, 101));
        assert_eq!(state.ttft(), Some(Quantiles { p50: 51.0, p99: 99.0 }));
        state.update(at(16.0, 101));
        assert_eq!(state.ttft(), None);
    }

    #[test]
    fn progress_counts_from_the_begin_of_the_phase() {
        let mut state = State::new(String::new());
        state.update(at(1.0, 50));
        assert_eq!(state.progress(), None);
        let expected = Expected { phase: "profiling".into(), requests: Some(100), duration: None };
        state.update(Update { phase: Some(expected), ..at(2.0, 50) });
        state.update(at(4.0, 75));
        assert_eq!(state.progress(), Some((0.25, 25, Some(Duration::from_secs(6)))));
    }

    #[test]
    fn text_from_a_server_cannot_steer_the_terminal() {
        let mut state = State::new("a\x1b[2Jb".to_owned());
        let failed = Sample { error: Some("x\x1b]0;y\x07".into()), ..Sample::default() };
        state.update(Update {
            samples: vec![failed.clone(), failed],
            log: vec!["l\rm".into()],
            ..at(1.0, 2)
        });
        let text = format!("{}{:?}{:?}", state.title, state.errors(), state.log);
        assert!(!text.contains(char::is_control), "{text:?}");
        assert_eq!(state.errors()[0].1, 2);
    }
}
