//! Sending a stream on its schedule.

use super::reply::ResponseHead;
use super::{Connection, Gone, Next};
use crate::clock::{mono_ns, wall_ns};
use crate::config::Flush;
use crate::fault::Fault;
use crate::intake::OpenLog;
use crate::log::WriteLog;
use crate::metrics::Meter;
use crate::plan::{Plan, Timeline};
use crate::script::Script;
use crate::wire::Scratch;

/// Most bytes that are collected for one write.
const COALESCE_BYTES: usize = 64 << 10;

impl Connection {
    /// Sends the head and every event when it is due.
    pub(super) async fn stream_answer(
        &mut self,
        plan: Plan,
        timeline: Timeline,
        close: bool,
        log: &mut OpenLog,
        meter: &mut Meter,
    ) -> Result<Next, Gone> {
        let worker = std::rc::Rc::clone(&self.worker);
        let config = &worker.shared.config;
        let wire = &config.wire;
        let per_event = wire.flush == Flush::PerEvent;
        let mut script = Script::new(config, plan, timeline, log.admitted_ns);
        let mut scratch = worker.scratch();
        ResponseHead {
            status: 200,
            content_type: Some("text/event-stream; charset=utf-8"),
            content_length: None,
            close,
            request_id: log.x_request_id.as_deref(),
        }
        .push(&mut scratch.out);
        if per_event && !wire.headers_with_first_event {
            scratch.cut_here();
            self.flush(&mut scratch, log, meter).await?;
        }
        loop {
            if let Some(fault) = script.cut() {
                scratch.pack(wire, false);
                self.flush(&mut scratch, log, meter).await?;
                worker.put_back(scratch);
                return self.strike(fault).await;
            }
            let Some(due_ns) = script.next_due() else {
                break;
            };
            if due_ns > mono_ns() {
                if log.headers_written_ns > 0 || !wire.headers_with_first_event {
                    self.flush(&mut scratch, log, meter).await?;
                }
                if scratch.out.is_empty() && scratch.events.is_empty() {
                    worker.put_back(scratch);
                    self.wait_until(due_ns).await?;
                    scratch = worker.scratch();
                } else {
                    self.wait_until(due_ns).await?;
                }
            }
            script.render_next(config, &mut scratch.events);
            if scratch.events.marks.len() >= wire.events_per_chunk {
                if script.next_due().is_none() {
                    break;
                }
                scratch.pack(wire, false);
                if per_event || scratch.out.len() >= COALESCE_BYTES {
                    self.flush(&mut scratch, log, meter).await?;
                }
            }
        }
        scratch.pack(wire, true);
        self.flush(&mut scratch, log, meter).await?;
        worker.put_back(scratch);
        let silent = config.connections.silent_close_after_stream;
        Ok(if close || silent { Next::Close } else { Next::KeepAlive })
    }

    /// Writes what is packed, each cut by itself, and logs it.
    async fn flush(
        &mut self,
        scratch: &mut Scratch,
        log: &mut OpenLog,
        meter: &mut Meter,
    ) -> Result<(), Gone> {
        if scratch.out.is_empty() {
            return Ok(());
        }
        scratch.cover();
        let mut start = 0;
        for cut in scratch.cuts.iter().copied() {
            let bytes = &scratch.out[start..cut.end];
            start = cut.end;
            let (start_ns, end_ns) = self.write(bytes).await?;
            let head_only = log.headers_written_ns == 0 && cut.events == 0;
            log.head_written(200, start_ns, end_ns);
            log.sent_tokens += cut.tokens;
            meter.wrote(end_ns, cut.tokens);
            if !head_only {
                log.wrote(WriteLog {
                    scheduled_ns: cut.due_ns,
                    write_start_ns: start_ns,
                    write_end_ns: end_ns,
                    wall_ns: wall_ns(),
                    bytes: bytes.len() as u32,
                    tokens: cut.tokens,
                    events: cut.events,
                });
            }
        }
        scratch.out.clear();
        scratch.cuts.clear();
        Ok(())
    }

    /// Breaks the connection in the middle of a stream.
    async fn strike(&mut self, fault: Fault) -> Result<Next, Gone> {
        Ok(match fault {
            Fault::StallMidStream { .. } => {
                self.wait_gone().await;
                Next::Close
            }
            Fault::CloseMidStream { .. } => Next::Close,
            Fault::BadChunkSize { .. } => {
                self.write(b"not-a-size\r\ndata: lost\n\n\r\n").await?;
                Next::Close
            }
            _ => Next::Reset,
        })
    }
}

impl OpenLog {
    /// Bytes of the body were written.
    pub(crate) fn wrote(&mut self, write: WriteLog) {
        if self.keeps_writes() {
            self.writes.push(write);
        }
    }
}
