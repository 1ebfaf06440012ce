//! The body of a measured response: first byte, first token, last byte, waits for the client, and drop.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http::StatusCode;
use http::response::Parts;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::outcome::Outcome;
use crate::reading::Reading;
use crate::tracker::{PerformanceTracker, StreamGuard};

pin_project! {
    /// A body that is measured while it passes, unchanged and frame by frame. Nothing is asked of the inner body
    /// before the client can take more.
    #[derive(Debug)]
    pub struct MeasuredBody<B> {
        #[pin]
        inner: B,
        watch: Watch,
    }
}

impl<B: Body<Data = Bytes>> MeasuredBody<B> {
    pub(crate) fn new(inner: B, head: &Parts, tracker: PerformanceTracker) -> Self {
        let mut watch = Watch {
            tracker: Some(tracker),
            status: head.status,
            reading: Reading::new(&head.headers),
            stream: None,
            missing: inner.size_hint().exact(),
            handed_over: None,
        };
        if inner.is_end_stream() {
            watch.end();
        }
        MeasuredBody { inner, watch }
    }
}

/// What is known of a body on its way. Dropped before its end, the client went away.
#[derive(Debug)]
struct Watch {
    /// Until the end.
    tracker: Option<PerformanceTracker>,
    status: StatusCode,
    reading: Reading,
    stream: Option<StreamGuard>,
    /// Bytes still to come, where the length is known. A server that has written them all does not ask for the end.
    missing: Option<u64>,
    /// When the last frame was handed over.
    handed_over: Option<Instant>,
}

impl Watch {
    fn data(&mut self, bytes: &Bytes) {
        let Some(tracker) = &self.tracker else { return };
        if bytes.is_empty() {
            return;
        }
        tracker.first_byte();
        if self.stream.is_none() && self.reading.is_stream() {
            self.stream = Some(tracker.streaming());
        }
        let tokens = self.reading.push(bytes);
        if let Some(stream) = &self.stream {
            stream.tokens(tokens);
        }
        self.missing = self.missing.map(|missing| missing.saturating_sub(bytes.len() as u64));
    }

    /// The last byte has been handed over.
    fn end(&mut self) {
        let Some(tracker) = self.tracker.take() else { return };
        let (usage, told) = self.reading.end();
        tracker.set_usage(usage);
        let outcome = match Outcome::of_status(self.status, tracker.asked_upstream()) {
            Outcome::Ok => told,
            by_status => by_status,
        };
        self.close(&tracker, outcome);
    }

    fn close(&mut self, tracker: &PerformanceTracker, outcome: Outcome) {
        self.stream = None;
        tracker.finish(outcome, self.status.as_u16());
        tracker.record_percentages();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(tracker) = self.tracker.take() {
            let (usage, _) = self.reading.end();
            tracker.set_usage(usage);
            self.close(&tracker, Outcome::CancelledByClient);
        }
    }
}

impl<B: Body<Data = Bytes>> Body for MeasuredBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        let watch = this.watch;
        if let (Some(since), Some(tracker)) = (watch.handed_over.take(), &watch.tracker) {
            tracker.add_client_wait(since.elapsed());
        }
        let frame = ready!(this.inner.as_mut().poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(bytes) = frame.data_ref() {
                    watch.data(bytes);
                }
                if watch.missing == Some(0) || this.inner.is_end_stream() {
                    watch.end();
                }
                watch.handed_over = Some(Instant::now());
            }
            Some(Err(_)) => {
                if let Some(tracker) = watch.tracker.take() {
                    let (usage, _) = watch.reading.end();
                    tracker.set_usage(usage);
                    // Whoever knows better, a time limit for example, has said so before.
                    watch.close(&tracker, Outcome::UpstreamError);
                }
            }
            None => watch.end(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
