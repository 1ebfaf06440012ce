//! From a request head to its answer: routing, refusals, and answers that are no streams.

use super::body::NoBody;
use super::head::{Head, Method};
use super::{Connection, Gone, Next};
use crate::api::{Api, put};
use crate::clock::{mono_ns, wall_ns};
use crate::config::{Connections, Flush};
use crate::error_body::{Engine, error_body, reason_phrase};
use crate::fault::Fault;
use crate::intake::{Intent, OpenLog, Order, Refusal, decide, intend};
use crate::log::{Outcome, WriteLog};
use crate::metrics::Meter;
use crate::plan::Timeline;
use crate::script::whole_body;

/// The fields of a response head.
pub(super) struct ResponseHead<'a> {
    pub status: u16,
    pub content_type: Option<&'a str>,
    /// Otherwise the body is chunked.
    pub content_length: Option<u64>,
    pub close: bool,
    pub request_id: Option<&'a str>,
}

impl ResponseHead<'_> {
    /// Writes the head without the blank line at its end.
    pub fn push_open(&self, out: &mut Vec<u8>) {
        put!(out, "HTTP/1.1 {} {}\r\nserver: tokmeter-sim\r\n", self.status, reason_phrase(self.status));
        if let Some(content_type) = self.content_type {
            put!(out, "content-type: {content_type}\r\n");
        }
        match self.content_length {
            Some(length) => put!(out, "content-length: {length}\r\n"),
            None => out.extend_from_slice(b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n"),
        }
        if let Some(id) = self.request_id {
            put!(out, "x-request-id: {id}\r\n");
        }
        if self.close {
            out.extend_from_slice(b"connection: close\r\n");
        }
    }

    /// Writes the head.
    pub fn push(&self, out: &mut Vec<u8>) {
        self.push_open(out);
        out.extend_from_slice(b"\r\n");
    }
}

impl Connection {
    /// Reads the rest of a request and answers it.
    pub(super) async fn answer(&mut self, head: Box<Head>, head_received_ns: u64) -> Result<Next, Gone> {
        let close = head.close || self.must_close();
        let api = Api::of_path(&head.path).filter(|_| head.method == Method::Post);
        let mut log = api.map(|_| {
            let mut log = OpenLog::open(&self.worker.shared, &head.path, &head.identity, head_received_ns);
            log.connection = self.id;
            log.nth_on_connection = self.nth;
            log
        });
        let intent = log.as_mut().map(|log| intend(&self.worker.shared, &head.identity, log));
        if let Some(Ok(Intent { fault: Some(Fault::StallRequest), .. })) = &intent {
            // Logged at once: with its window full, the server may never hear that the client closed.
            drop(log);
            self.ignore_until_gone().await;
            return Err(Gone);
        }
        let body = match self.read_body(&head).await {
            Ok(body) => body,
            Err(NoBody::Gone) => {
                if let Some(log) = log {
                    log.close(Outcome::ClientDisconnected);
                }
                return Err(Gone);
            }
            Err(NoBody::Refused(status)) => {
                if let Some(mut log) = log.take() {
                    log.status = status;
                    log.close(Outcome::Rejected);
                }
                self.plain_error(status, true).await?;
                return Ok(Next::Linger);
            }
        };
        let (Some(api), Some(mut log), Some(intent)) = (api, log, intent) else {
            self.consume(body.consumed);
            return Box::pin(self.page(&head, close)).await;
        };
        log.body_received_ns = body.received_ns;
        log.body_received_wall_ns = wall_ns().saturating_sub(mono_ns().saturating_sub(body.received_ns));
        let order =
            decide(&self.worker.shared, api, &head.identity, intent, &self.inbuf[body.range], &mut log);
        self.consume(body.consumed);
        if self.worker.shared.config.wire.early_hints {
            self.write(b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\n\r\n").await?;
        }
        match order {
            Err(refusal) => self.refuse(&refusal, close, log).await,
            Ok(order) => self.fulfil(order, close, log).await,
        }
    }

    fn must_close(&self) -> bool {
        let Connections { keep_alive, max_requests, .. } = self.worker.shared.config.connections;
        !keep_alive || max_requests.is_some_and(|most| self.nth >= most)
    }

    async fn refuse(&mut self, refusal: &Refusal, close: bool, mut log: OpenLog) -> Result<Next, Gone> {
        let answer = error_body(Engine::Vllm, refusal.status, &refusal.message);
        let result = self
            .send_whole(refusal.status, answer.content_type, answer.body.as_bytes(), close, &mut log)
            .await;
        log.close(if result.is_ok() { Outcome::Rejected } else { Outcome::ClientDisconnected });
        result
    }

    /// Admits a request and gives it the planned answer.
    async fn fulfil(&mut self, order: Order, close: bool, mut log: OpenLog) -> Result<Next, Gone> {
        let Order { plan, draws } = order;
        if let Some(fault) = plan.fault
            && let Some(end) = Box::pin(self.fail_at_once(fault, &plan, close, &mut log)).await
        {
            log.close(Outcome::Fault);
            return end;
        }
        let worker = std::rc::Rc::clone(&self.worker);
        let config = &worker.shared.config;
        let mut meter = Meter::arrive(&worker.metrics, log.body_received_ns, plan.prompt_tokens);
        let admission = std::sync::Arc::clone(&worker.shared.admission);
        let entered = match config.timing.max_running {
            None => Ok(admission.enter().await),
            Some(_) => self.while_connected(admission.enter()).await,
        };
        let Ok(admitted) = entered else {
            log.close(Outcome::ClientDisconnected);
            return Err(Gone);
        };
        // Without a queue the schedule starts at receipt.
        log.admitted_ns = if config.timing.max_running.is_some() { mono_ns() } else { log.body_received_ns };
        meter.admit(log.admitted_ns, plan.cached_tokens.unwrap_or(0));
        let timeline = Timeline::new(config, &plan, log.admitted_ns, admitted.running, draws);
        let fault = plan.fault;
        let close = close || fault == Some(Fault::GoAway);
        let finish = plan.finish;
        let usual_pace = self.pace;
        self.slow_down(fault);
        let result = if plan.stream {
            self.stream_answer(plan, timeline, close, &mut log, &mut meter).await
        } else {
            self.whole_answer(&plan, timeline, close, &mut log, &mut meter).await
        };
        self.pace = usual_pace;
        match (&result, fault) {
            (Ok(_), None | Some(Fault::GoAway | Fault::Abort { .. } | Fault::Drip { .. })) => {
                meter.finish(finish)
            }
            (Ok(_), Some(_)) => meter.fail(),
            (Err(Gone), _) => drop(meter),
        }
        drop(admitted);
        log.close(if result.is_ok() { Outcome::Completed } else { Outcome::ClientDisconnected });
        result
    }

    /// An answer with `Content-Length`, due when its last token is.
    async fn whole_answer(
        &mut self,
        plan: &crate::plan::Plan,
        mut timeline: Timeline,
        close: bool,
        log: &mut OpenLog,
        meter: &mut Meter,
    ) -> Result<Next, Gone> {
        let total = plan.total();
        let due_ns = timeline.due_of_last(total);
        if due_ns > mono_ns() {
            self.wait_until(due_ns).await?;
        }
        let worker = std::rc::Rc::clone(&self.worker);
        let mut scratch = worker.scratch();
        whole_body(&worker.shared.config, plan, &mut scratch.events.bytes);
        let body = &mut scratch.events.bytes;
        let result = match plan.fault {
            Some(fault) if fault.after_tokens().is_some() && !matches!(fault, Fault::Abort { .. }) => {
                Box::pin(self.spoil_whole(fault, body, close, log)).await
            }
            _ => self.send_whole(200, Some("application/json"), body, close, log).await,
        };
        worker.put_back(scratch);
        if result.is_ok() && plan.fault.is_none_or(|fault| fault.after_tokens().is_none()) {
            let now_ns = log.writes.last().map_or_else(mono_ns, |write| write.write_end_ns);
            log.sent_tokens = total;
            if let Some(write) = log.writes.last_mut() {
                write.tokens = total;
                write.scheduled_ns = due_ns;
            }
            meter.wrote(now_ns, total);
        }
        result
    }

    /// Head and body, logged: in one write when writes are coalesced, else in two.
    pub(super) async fn send_whole(
        &mut self,
        status: u16,
        content_type: Option<&str>,
        body: &[u8],
        close: bool,
        log: &mut OpenLog,
    ) -> Result<Next, Gone> {
        let worker = std::rc::Rc::clone(&self.worker);
        let mut scratch = worker.scratch();
        let head = ResponseHead {
            status,
            content_type,
            content_length: Some(body.len() as u64),
            close,
            request_id: log.x_request_id.as_deref(),
        };
        head.push(&mut scratch.out);
        if worker.shared.config.wire.flush == Flush::PerEvent {
            let (start_ns, end_ns) = self.write(&scratch.out).await?;
            log.head_written(status, start_ns, end_ns);
            scratch.out.clear();
        }
        scratch.out.extend_from_slice(body);
        let (start_ns, end_ns) = self.write(&scratch.out).await?;
        log.head_written(status, start_ns, end_ns);
        log.wrote(WriteLog {
            scheduled_ns: 0,
            write_start_ns: start_ns,
            write_end_ns: end_ns,
            wall_ns: wall_ns(),
            bytes: scratch.out.len() as u32,
            tokens: 0,
            events: 0,
        });
        worker.put_back(scratch);
        Ok(if close { Next::Close } else { Next::KeepAlive })
    }

    /// A refusal of the server itself, outside the log.
    pub(super) async fn plain_error(&mut self, status: u16, close: bool) -> Result<(), Gone> {
        let answer = error_body(Engine::Vllm, status, reason_phrase(status));
        self.send_page(status, answer.content_type, answer.body.as_bytes(), close).await
    }

    /// Head and body in one write, not logged.
    pub(super) async fn send_page(
        &mut self,
        status: u16,
        content_type: Option<&str>,
        body: &[u8],
        close: bool,
    ) -> Result<(), Gone> {
        let head = ResponseHead {
            status,
            content_type,
            content_length: Some(body.len() as u64),
            close,
            request_id: None,
        };
        let mut out = Vec::with_capacity(256 + body.len());
        head.push(&mut out);
        out.extend_from_slice(body);
        self.write(&out).await.map(|_| ())
    }
}

impl OpenLog {
    /// The response head was written, if it was not before.
    pub(crate) fn head_written(&mut self, status: u16, start_ns: u64, end_ns: u64) {
        if self.headers_written_ns == 0 {
            self.status = status;
            self.headers_write_start_ns = start_ns;
            self.headers_written_ns = end_ns;
        }
    }
}
