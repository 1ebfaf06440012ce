//! Records on their way to the dashboard: written by the collector, taken by the screen.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokmeter_engine::sink::RunSink;
use tokmeter_engine::{CollectorError, RecordSink};
use tokmeter_record::RequestRecord;
use tokmeter_record::metric::catalogue as c;

/// Records that wait for the screen; more are left out of its percentiles.
const WAITING: usize = 20_000;

/// What the screen wants of one record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Time to first token, ms.
    pub ttft: Option<f64>,
    /// Inter-token latency, ms.
    pub itl: Option<f64>,
    /// Request latency, ms.
    pub latency: Option<f64>,
    /// From the intended to the real start, ms.
    pub schedule_lag: f64,
    /// From the arrival of bytes to their read, ms.
    pub receive_lag: Option<f64>,
    /// Why it failed.
    pub error: Option<String>,
}

impl Sample {
    fn of(record: &RequestRecord) -> Sample {
        let number = |id| record.metrics.number(id);
        let metadata = &record.metadata;
        let intended = metadata.credit_issued_ns.unwrap_or(metadata.request_start_ns);
        let error = record.error.as_ref().map(|error| {
            let kind = error.kind.as_deref().unwrap_or("error");
            let code = error.code.map_or_else(String::new, |code| format!("{code} "));
            format!("{code}{kind}: {}", error.message).chars().take(200).collect()
        });
        Sample {
            ttft: number(c::TIME_TO_FIRST_TOKEN),
            itl: number(c::INTER_TOKEN_LATENCY),
            latency: number(c::REQUEST_LATENCY),
            schedule_lag: metadata.request_start_ns.0.saturating_sub(intended.0) as f64 / 1e6,
            receive_lag: number(c::CLIENT_RECV_LAG),
            error,
        }
    }
}

/// Samples between two redraws.
#[derive(Debug, Default)]
pub struct Feed {
    open: AtomicBool,
    samples: Mutex<Vec<Sample>>,
}

impl Feed {
    /// Somebody watches from now on.
    pub fn open(&self) {
        self.open.store(true, Ordering::Relaxed);
    }

    fn add(&self, record: &RequestRecord) {
        if !self.open.load(Ordering::Relaxed) {
            return;
        }
        let sample = Sample::of(record);
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() < WAITING {
            samples.push(sample);
        }
    }

    /// All samples since the last call.
    pub fn take(&self) -> Vec<Sample> {
        std::mem::take(&mut *self.samples.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The sink of a run that somebody may watch.
pub struct Watched {
    /// Where records go.
    pub sink: RunSink,
    /// Where the dashboard finds them.
    pub feed: Arc<Feed>,
}

impl RecordSink for Watched {
    fn record(&mut self, record: &RequestRecord, text: Option<&str>) -> Result<(), CollectorError> {
        self.feed.add(record);
        self.sink.record(record, text)
    }
}

#[cfg(test)]
mod tests {
    use tokmeter_record::WallNs;

    use super::*;

    #[test]
    fn nothing_piles_up_while_nobody_watches() {
        let feed = Feed::default();
        let mut record = RequestRecord::default();
        record.metadata.credit_issued_ns = Some(WallNs(1_000_000));
        record.metadata.request_start_ns = WallNs(3_000_000);
        record.metrics.float(c::TIME_TO_FIRST_TOKEN, 12.5);
        feed.add(&record);
        assert_eq!(feed.take(), []);
        feed.open();
        for _ in 0..WAITING + 10 {
            feed.add(&record);
        }
        let samples = feed.take();
        assert_eq!(samples.len(), WAITING);
        assert_eq!((samples[0].schedule_lag, samples[0].ttft), (2.0, Some(12.5)));
        assert_eq!(feed.take(), []);
    }
}
