//! Guards: each times something from its making to its drop, so that an early return, an error, a timeout and a
//! dropped future are timed like everything else.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

use super::{PerformanceTracker, nanos};
use crate::catalogue::Metric;
use crate::metrics::{Histogram, Metrics};

/// Times one stage of a request.
#[derive(Debug)]
#[must_use = "a stage lasts until its guard is dropped"]
pub struct StageGuard {
    pub(super) tracker: PerformanceTracker,
    pub(super) place: Option<usize>,
    pub(super) histogram: Arc<Histogram>,
    pub(super) begun: Instant,
}

impl Drop for StageGuard {
    fn drop(&mut self) {
        let elapsed = nanos(self.begun.elapsed());
        self.histogram.observe_traced(elapsed, self.tracker.trace_id().as_ref());
        if let Some(place) = self.place {
            self.tracker.add_stage(place, elapsed);
        }
    }
}

/// An attempt to have a request answered by an upstream. It lasts until the upstream has sent its last byte:
/// keep the guard with the response body.
#[derive(Debug)]
#[must_use = "an upstream request lasts until its guard is dropped"]
pub struct BackendGuard {
    pub(super) tracker: PerformanceTracker,
}

impl BackendGuard {
    /// The first byte of the response body arrived: the backend's stage ends, its TTFB is recorded. Later calls,
    /// and calls after [`PerformanceTracker::first_byte`], change nothing.
    pub fn first_byte(&self) {
        self.tracker.first_byte();
    }
}

impl Drop for BackendGuard {
    fn drop(&mut self) {
        self.tracker.end_backend();
    }
}

/// Times the streaming of a response body, from its first byte to its last.
#[derive(Debug)]
#[must_use = "a stream lasts until its guard is dropped"]
pub struct StreamGuard {
    pub(super) tracker: PerformanceTracker,
    pub(super) begun: Instant,
}

impl StreamGuard {
    /// So many events with tokens have just arrived. The first call is the first token.
    pub fn tokens(&self, count: u64) {
        self.tracker.tokens(count);
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.tracker.end_stream(nanos(self.begun.elapsed()));
    }
}

/// A tracker that records the percentages of its stages when it is dropped.
#[derive(Debug)]
pub struct RequestStages(PerformanceTracker);

/// Tracks the stages of a request; percentages are recorded on drop, on every way out.
pub fn track_request_stages(metrics: &Arc<Metrics>, endpoint: &str) -> RequestStages {
    RequestStages(PerformanceTracker::new(metrics, endpoint))
}

impl Deref for RequestStages {
    type Target = PerformanceTracker;

    fn deref(&self) -> &PerformanceTracker {
        &self.0
    }
}

impl Drop for RequestStages {
    fn drop(&mut self) {
        self.0.record_percentages();
    }
}

/// Times an operation of one's own.
#[derive(Debug)]
#[must_use = "an operation lasts until its guard is dropped"]
pub struct DurationGuard {
    histogram: Arc<Histogram>,
    begun: Instant,
}

/// Times an operation of one's own into `operation_duration_seconds`, from now until the guard is dropped.
pub fn track_duration(metrics: &Metrics, name: &str) -> DurationGuard {
    let histogram = metrics.histogram(Metric::OperationDuration, &[&metrics.operation(name)]);
    DurationGuard { histogram, begun: Instant::now() }
}

impl Drop for DurationGuard {
    fn drop(&mut self) {
        self.histogram.observe(nanos(self.begun.elapsed()));
    }
}
