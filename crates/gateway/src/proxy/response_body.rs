//! A response body on its way from the upstream, with a limit on its silence.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::outcome::Outcome;
use crate::tracker::{BackendGuard, PerformanceTracker};

/// Why a response broke off. The client sees its connection closed before the end.
#[derive(Debug, thiserror::Error)]
pub enum ResponseError {
    /// The upstream closed or reset its connection, or broke the protocol.
    #[error("the upstream broke off: {0}")]
    Upstream(#[from] hyper::Error),
    /// The upstream sent nothing for too long.
    #[error("the upstream sent nothing for {0:?}")]
    Silent(Duration),
}

/// A response body from an upstream.
#[derive(Debug)]
pub struct UpstreamBody {
    inner: Incoming,
    /// Until the last byte has come.
    upstream: Option<(BackendGuard, PerformanceTracker)>,
    idle: Duration,
    /// Since when this body has been waiting for the upstream.
    waiting: Option<Instant>,
    /// One timer for all waits: it is set anew only when it rings.
    timer: Option<Pin<Box<Sleep>>>,
}

impl UpstreamBody {
    pub fn new(inner: Incoming, guard: BackendGuard, tracker: PerformanceTracker, idle: Duration) -> Self {
        let upstream = (!inner.is_end_stream()).then_some((guard, tracker));
        UpstreamBody { inner, upstream, idle, waiting: None, timer: None }
    }

    /// Whether the upstream has been silent for too long; wakes the task when it will have been.
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let since = *self.waiting.get_or_insert_with(Instant::now);
        let end = since + self.idle;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
        while timer.as_mut().poll(context).is_ready() {
            if Instant::now() >= end {
                return Poll::Ready(());
            }
            // It was set for an earlier wait.
            timer.as_mut().reset(end);
        }
        Poll::Pending
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = ResponseError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseError>>> {
        let this = self.get_mut();
        let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(context) else {
            if this.poll_silence(context).is_pending() {
                return Poll::Pending;
            }
            if let Some((_, tracker)) = this.upstream.take() {
                tracker.set_outcome(Outcome::Timeout);
            }
            return Poll::Ready(Some(Err(ResponseError::Silent(this.idle))));
        };
        this.waiting = None;
        if this.inner.is_end_stream() || !matches!(frame, Some(Ok(_))) {
            // A body of one frame ends with its first byte.
            if let Some((_, tracker)) = &this.upstream
                && matches!(frame, Some(Ok(_)))
            {
                tracker.first_byte();
            }
            this.upstream = None;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(ResponseError::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
