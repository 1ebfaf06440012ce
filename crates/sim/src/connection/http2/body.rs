//! Response bodies of HTTP/2: a script played frame by frame.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::{Broken, Http2};
use crate::admission::Admitted;
use crate::clock::{mono_ns, wall_ns};
use crate::config::Flush;
use crate::events::EventBuf;
use crate::fault::Fault;
use crate::intake::OpenLog;
use crate::log::{Outcome, WriteLog};
use crate::metrics::Meter;
use crate::script::Script;
use crate::timer::Sleep;

/// Pause before a stream is broken: h2 forgets the frames of a reset stream that are still queued.
const BEFORE_BREAK_NS: u64 = 10_000_000;
/// Most bytes in one frame handed over.
const COALESCE_BYTES: usize = 64 << 10;

/// The body of an answer.
pub(super) enum AnswerBody {
    Full(Option<Bytes>),
    Blocks(Box<dyn Iterator<Item = Vec<u8>>>),
    Stream(Box<StreamBody>),
}

impl AnswerBody {
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::Full((!bytes.is_empty()).then_some(bytes))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Blocks(blocks) => Poll::Ready(blocks.next().map(|block| Ok(Frame::data(block.into())))),
            Self::Stream(stream) => stream.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Full(None))
    }
}

/// A script and what it reports to.
pub(super) struct StreamBody {
    connection: Rc<Http2>,
    script: Script,
    log: Option<OpenLog>,
    meter: Option<Meter>,
    admitted: Option<Admitted>,
    rendered: EventBuf,
    /// Bytes and events of `rendered` that were handed over.
    taken: usize,
    taken_events: usize,
    sleep: Option<Sleep>,
    /// Frames of at most so many bytes, so many nanoseconds apart.
    pace: Option<(usize, u64)>,
    not_before_ns: u64,
    /// When a scripted break strikes.
    break_ns: Option<u64>,
}

impl StreamBody {
    pub fn new(
        connection: Rc<Http2>,
        script: Script,
        log: OpenLog,
        meter: Meter,
        admitted: Admitted,
    ) -> Self {
        let wire = &connection.worker.shared.config.wire;
        let pace = match script.plan.fault {
            Some(Fault::Drip { interval_ms }) => Some((1, u64::from(interval_ms) * 1_000_000)),
            _ => wire.write_bytes.map(|bytes| (bytes, wire.write_pause_us.saturating_mul(1000))),
        };
        Self {
            connection,
            script,
            log: Some(log),
            meter: Some(meter),
            admitted: Some(admitted),
            rendered: EventBuf::default(),
            taken: 0,
            taken_events: 0,
            sleep: None,
            pace,
            not_before_ns: 0,
            break_ns: None,
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let worker = Rc::clone(&self.connection.worker);
        let config = &worker.shared.config;
        loop {
            if self.taken < self.rendered.bytes.len() {
                if self.not_before_ns > 0 {
                    ready!(self.poll_sleep(self.not_before_ns, cx));
                }
                return Poll::Ready(Some(Ok(Frame::data(self.take_frame(config.wire.flush)))));
            }
            self.rendered.clear();
            (self.taken, self.taken_events) = (0, 0);
            if let Some(fault) = self.script.cut() {
                let break_ns = *self.break_ns.get_or_insert_with(|| mono_ns() + BEFORE_BREAK_NS);
                ready!(self.poll_sleep(break_ns, cx));
                return match fault {
                    // Dropped when the client gives up.
                    Fault::StallMidStream { .. } => Poll::Pending,
                    Fault::CloseMidStream { .. } | Fault::BadChunkSize { .. } => {
                        self.end(Outcome::Fault);
                        self.connection.signals.hang_up();
                        Poll::Pending
                    }
                    _ => {
                        self.end(Outcome::Fault);
                        Poll::Ready(Some(Err(Broken)))
                    }
                };
            }
            let Some(due_ns) = self.script.next_due() else {
                self.end(Outcome::Completed);
                return Poll::Ready(None);
            };
            ready!(self.poll_sleep(due_ns, cx));
            self.script.render_next(config, &mut self.rendered);
            while config.wire.flush == Flush::Coalesce
                && self.rendered.bytes.len() < COALESCE_BYTES
                && self.script.cut().is_none()
                && self.script.next_due().is_some_and(|due_ns| due_ns <= mono_ns())
            {
                self.script.render_next(config, &mut self.rendered);
            }
        }
    }

    fn poll_sleep(&mut self, deadline_ns: u64, cx: &mut Context<'_>) -> Poll<()> {
        if self.sleep.is_none() && deadline_ns <= mono_ns() {
            return Poll::Ready(());
        }
        let timer = &self.connection.worker.timer;
        let sleep = self.sleep.get_or_insert_with(|| timer.sleep_until(deadline_ns));
        ready!(Pin::new(sleep).poll(cx));
        self.sleep = None;
        Poll::Ready(())
    }

    /// The next bytes, logged.
    fn take_frame(&mut self, flush: Flush) -> Bytes {
        let marks = &self.rendered.marks[self.taken_events..];
        let mut end = match flush {
            Flush::PerEvent => marks.first().map_or(self.rendered.bytes.len(), |mark| mark.end),
            Flush::Coalesce => self.rendered.bytes.len(),
        };
        let now_ns = mono_ns();
        if let Some((bytes, pause_ns)) = self.pace {
            end = end.min(self.taken + bytes);
            self.not_before_ns = now_ns.saturating_add(pause_ns);
        }
        let ended: Vec<_> = marks.iter().take_while(|mark| mark.end <= end).copied().collect();
        let tokens = ended.iter().map(|mark| mark.tokens).sum();
        let bytes = Bytes::copy_from_slice(&self.rendered.bytes[self.taken..end]);
        self.taken = end;
        self.taken_events += ended.len();
        if let Some(log) = &mut self.log {
            log.head_written(200, now_ns, now_ns);
            log.sent_tokens += tokens;
            log.wrote(WriteLog {
                scheduled_ns: ended.last().map_or(0, |mark| mark.due_ns),
                write_start_ns: now_ns,
                write_end_ns: now_ns,
                wall_ns: wall_ns(),
                bytes: bytes.len() as u32,
                tokens,
                events: ended.len() as u32,
            });
        }
        if let Some(meter) = &mut self.meter {
            meter.wrote(now_ns, tokens);
        }
        bytes
    }

    fn end(&mut self, outcome: Outcome) {
        if let Some(log) = self.log.take() {
            log.close(outcome);
        }
        if let Some(meter) = self.meter.take() {
            match outcome {
                Outcome::Completed => meter.finish(self.script.plan.finish),
                _ => meter.fail(),
            }
        }
        self.admitted = None;
    }
}
