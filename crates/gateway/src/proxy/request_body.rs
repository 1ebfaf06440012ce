//! A request body on its way to the upstream: what was held back to find the model, then the rest as it comes.

use std::collections::VecDeque;
use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep, timeout};

use super::answer::Refusal;
use super::peek::{ModelScanner, Peek};
use crate::tracker::PerformanceTracker;

/// Why a body ended early, for whoever waits for the response.
#[derive(Clone, Debug, Default)]
pub struct Fate(Arc<AtomicU8>);

const TOO_LARGE: u8 = 1;
const TOO_SLOW: u8 = 2;
const UNREADABLE: u8 = 3;
const CUT_SHORT: u8 = 4;

impl Fate {
    /// What went wrong with the body, if anything.
    pub fn refusal(&self, limit: u64) -> Option<Refusal> {
        match self.0.load(Relaxed) {
            TOO_LARGE => Some(Refusal::TooLarge(limit)),
            TOO_SLOW => Some(Refusal::BodyTimeout),
            UNREADABLE => Some(Refusal::BadBody),
            CUT_SHORT => Some(Refusal::BodyCutShort),
            _ => None,
        }
    }
}

/// A request body is not what it should be.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the request body ended early")]
pub struct EndedEarly;

/// A copy of a request body, for the recorder.
#[derive(Clone, Debug, Default)]
pub struct Copy(Arc<Mutex<Vec<Bytes>>>);

impl Copy {
    fn push(&self, bytes: &Bytes) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes.clone());
    }

    /// The bytes so far.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).concat()
    }
}

/// Whether the client went away in the middle of its body, and did not just send a bad one.
fn is_cut_short(error: &hyper::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    error.is_incomplete_message()
        || error.is_closed()
        || cause.is_some_and(|cause| matches!(cause.kind(), UnexpectedEof | ConnectionReset | BrokenPipe))
}

/// A request body being forwarded.
#[derive(Debug)]
pub struct ForwardBody {
    held: VecDeque<Bytes>,
    rest: Option<Incoming>,
    /// Bytes that may still come.
    room: u64,
    size: SizeHint,
    fate: Fate,
    idle: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    copy: Option<Copy>,
}

impl ForwardBody {
    pub fn new(body: Incoming, limit: u64, idle: Duration) -> Self {
        let size = body.size_hint();
        let rest = (!body.is_end_stream()).then_some(body);
        ForwardBody {
            held: VecDeque::new(),
            rest,
            room: limit,
            size,
            fate: Fate::default(),
            idle,
            timer: None,
            copy: None,
        }
    }

    /// Why it ended early, if it does.
    pub fn fate(&self) -> Fate {
        self.fate.clone()
    }

    /// A copy of all that passes from now on, and of what is held back.
    pub fn copy(&mut self) -> Copy {
        let copy = Copy::default();
        self.held.iter().for_each(|bytes| copy.push(bytes));
        self.copy = Some(copy.clone());
        copy
    }

    /// Reads on until the model is known, or known not to be there; `most` bytes are held back for it at most.
    ///
    /// # Errors
    /// The body is too large, too slow or cannot be read.
    pub async fn model(&mut self, tracker: &PerformanceTracker, most: usize) -> Result<Peek, Refusal> {
        let mut scanner = ModelScanner::default();
        let (mut waited, mut scanned) = (Duration::ZERO, Duration::ZERO);
        let mut held = 0;
        let peek = loop {
            let Some(rest) = &mut self.rest else { break Peek::Nothing };
            let begun = tracker.total_duration();
            let frame = timeout(self.idle, rest.frame()).await.map_err(|_| Refusal::BodyTimeout)?;
            let arrived = tracker.total_duration();
            waited += arrived - begun;
            let bytes = match frame {
                None => {
                    self.rest = None;
                    break Peek::Nothing;
                }
                Some(Err(error)) if is_cut_short(&error) => return Err(Refusal::BodyCutShort),
                Some(Err(_)) => return Err(Refusal::BadBody),
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            };
            self.room = match self.room.checked_sub(bytes.len() as u64) {
                Some(room) => room,
                None => return Err(Refusal::TooLarge(self.room)),
            };
            let peek = scanner.push(&bytes);
            held += bytes.len();
            self.held.push_back(bytes);
            scanned += tracker.total_duration() - arrived;
            if peek != Peek::More {
                break peek;
            }
            if held >= most {
                break Peek::More;
            }
        };
        if self.rest.as_ref().is_some_and(Incoming::is_end_stream) {
            self.rest = None;
        }
        tracker.add_stage_time("request_body_receive", waited);
        tracker.add_stage_time("request_parsing", scanned);
        Ok(peek)
    }

    fn end(&mut self, fate: u8) -> Poll<Option<Result<Frame<Bytes>, EndedEarly>>> {
        self.rest = None;
        self.fate.0.store(fate, Relaxed);
        Poll::Ready(Some(Err(EndedEarly)))
    }
}

impl Body for ForwardBody {
    type Data = Bytes;
    type Error = EndedEarly;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, EndedEarly>>> {
        let this = self.get_mut();
        if let Some(bytes) = this.held.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        let Some(rest) = &mut this.rest else { return Poll::Ready(None) };
        let frame = match Pin::new(rest).poll_frame(context) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                let idle = this.idle;
                let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(idle)));
                return match timer.as_mut().poll(context) {
                    Poll::Ready(()) => this.end(TOO_SLOW),
                    Poll::Pending => Poll::Pending,
                };
            }
        };
        this.timer = None;
        match frame {
            None => {
                this.rest = None;
                Poll::Ready(None)
            }
            Some(Err(error)) => this.end(if is_cut_short(&error) { CUT_SHORT } else { UNREADABLE }),
            Some(Ok(frame)) => {
                let bytes = frame.data_ref();
                match this.room.checked_sub(bytes.map_or(0, |bytes| bytes.len() as u64)) {
                    None => return this.end(TOO_LARGE),
                    Some(room) => this.room = room,
                }
                if let (Some(copy), Some(bytes)) = (&this.copy, bytes) {
                    copy.push(bytes);
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && self.rest.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        // Asked before anything is forwarded: the length the client announced.
        self.size
    }
}
