//! A stream as a sequence of steps, each with the instant it is due: the same for HTTP/1.1 and 2.

use crate::api::{self, Api, Pen};
use crate::config::{RoleChunk, SimConfig, UsageReport};
use crate::events::{EventBuf, EventWriter};
use crate::fault::Fault;
use crate::plan::{Plan, Timeline};

/// The state of one stream.
pub struct Script {
    pub plan: Plan,
    timeline: Timeline,
    writer: EventWriter,
    head: Vec<u8>,
    stage: Stage,
    sent: u32,
    sequence: u32,
    due_ns: u64,
    disturbed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    Tokens,
    Finish,
    Usage,
    Done { left: u32 },
    Over,
}

impl Script {
    /// A stream admitted at `admitted_ns`.
    pub fn new(config: &SimConfig, plan: Plan, timeline: Timeline, admitted_ns: u64) -> Self {
        let head = match plan.api {
            Api::Completions => api::completions::head(&plan),
            Api::Chat => api::chat::head(&plan),
            _ => Vec::new(),
        };
        let opens = match plan.api {
            Api::Chat => config.wire.role_chunk == RoleChunk::Immediate,
            Api::Responses | Api::Messages => true,
            _ => false,
        };
        Self {
            plan,
            timeline,
            writer: EventWriter::new(&config.wire),
            head,
            stage: if opens { Stage::Open } else { Stage::Tokens },
            sent: 0,
            sequence: 0,
            due_ns: admitted_ns,
            disturbed: false,
        }
    }

    /// When the next step is due; none at the end of the stream.
    pub fn next_due(&self) -> Option<u64> {
        match self.stage {
            Stage::Over => None,
            Stage::Tokens if self.sent < self.plan.total() && self.cut().is_none() => {
                Some(self.timeline.next_due())
            }
            _ => Some(self.due_ns),
        }
    }

    /// The fault of the connection that strikes now, before the next step.
    pub fn cut(&self) -> Option<Fault> {
        let fault = self.plan.fault?;
        let strikes = matches!(
            fault,
            Fault::ResetMidStream { .. }
                | Fault::ResetAfterLastToken
                | Fault::CloseMidStream { .. }
                | Fault::StallMidStream { .. }
                | Fault::BadChunkSize { .. }
                | Fault::RstStream { .. }
        );
        (strikes && self.stage != Stage::Open && self.reached(fault)).then_some(fault)
    }

    fn reached(&self, fault: Fault) -> bool {
        fault.after_tokens().is_some_and(|after| self.sent >= after.min(self.plan.total()))
    }

    /// Renders the next step.
    pub fn render_next(&mut self, config: &SimConfig, buf: &mut EventBuf) {
        if let Some(due_ns) = self.next_due() {
            self.due_ns = due_ns;
            self.writer.due_at(due_ns);
        }
        match self.stage {
            Stage::Open => {
                let mut pen = self.pen(buf);
                match pen.plan.api {
                    Api::Responses => api::responses::open(&mut pen),
                    Api::Messages => api::messages::open(&mut pen),
                    _ => api::chat::open(&mut pen),
                }
                self.stage = Stage::Tokens;
            }
            Stage::Tokens => self.tokens(config, buf),
            Stage::Finish => self.finish(config, buf),
            Stage::Usage => {
                api::chat::usage(&mut self.pen(buf));
                self.stage = self.done_stage(config);
            }
            Stage::Done { left } => {
                self.pen(buf).event(None, 0, |_, _, out| out.extend_from_slice(b"[DONE]"));
                self.stage = if left > 1 { Stage::Done { left: left - 1 } } else { Stage::Over };
            }
            Stage::Over => {}
        }
        if self.stage == Stage::Over && config.wire.no_final_blank_line {
            self.writer.drop_final_blank_line(buf);
        }
    }

    fn tokens(&mut self, config: &SimConfig, buf: &mut EventBuf) {
        if !self.disturbed
            && let Some(fault) = self.plan.fault
            && self.reached(fault)
            && self.disturb(fault, config, buf)
        {
            return;
        }
        let total = self.plan.total();
        if self.sent >= total {
            self.stage = Stage::Finish;
            self.finish(config, buf);
            return;
        }
        let first = self.sent;
        let until = match self.plan.fault.and_then(|fault| fault.after_tokens()) {
            Some(after) if after > first => after.min(total),
            _ => total,
        };
        let count = config.output.tokens_per_event.min(self.plan.kind_end(first).min(until) - first);
        self.sent += count;
        self.timeline.advance(count);
        let joined = config.output.finish_with_last_token && self.sent == total;
        let finish = (joined && self.ends_well()).then_some(self.plan.finish);
        let with_role = first == 0 && config.wire.role_chunk == RoleChunk::WithFirstToken;
        let mut pen = self.pen(buf);
        match pen.plan.api {
            Api::Completions => api::completions::tokens(&mut pen, first, count, finish),
            Api::Responses => api::responses::tokens(&mut pen, first, count),
            Api::Messages => api::messages::tokens(&mut pen, first, count),
            _ => api::chat::tokens(&mut pen, first, count, with_role, &config.output.reasoning_field, finish),
        }
        if finish.is_some() && self.plan.api.sends_done() {
            self.stage = self.after_finish(config);
        }
    }

    /// Nothing is scripted to happen between the last token and the finish reason.
    fn ends_well(&self) -> bool {
        self.disturbed || self.plan.fault.and_then(|fault| fault.after_tokens()).is_none()
    }

    /// Renders what a fault puts into the stream; true when that was the step.
    fn disturb(&mut self, fault: Fault, config: &SimConfig, buf: &mut EventBuf) -> bool {
        self.disturbed = true;
        match fault {
            Fault::ErrorEvent { .. } | Fault::NamedErrorEvent { .. } => {
                let named = matches!(fault, Fault::NamedErrorEvent { .. });
                api::error_event(&mut self.pen(buf), named);
                self.stage = self.done_stage(config);
            }
            Fault::Truncate { .. } => self.stage = Stage::Over,
            Fault::DoneWithoutFinish { .. } => self.stage = self.done_stage(config),
            Fault::Abort { .. } => self.stage = Stage::Finish,
            Fault::InvalidJson { .. } => {
                self.pen(buf)
                    .event(None, 0, |_, _, out| out.extend_from_slice(br#"{"choices":[{"index":0,"del"#));
            }
            Fault::InvalidUtf8 { .. } => {
                self.pen(buf).event(None, 0, |_, _, out| {
                    out.extend_from_slice(
                        b"{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xff\xfe\xc3\"}}]}",
                    );
                });
            }
            _ => return false,
        }
        true
    }

    fn finish(&mut self, config: &SimConfig, buf: &mut EventBuf) {
        let with_usage = self.plan.usage == UsageReport::WithFinish;
        let finish = self.plan.finish;
        let mut pen = self.pen(buf);
        match pen.plan.api {
            Api::Completions => api::completions::finish(&mut pen, finish, with_usage),
            Api::Responses => api::responses::finish(&mut pen, finish),
            Api::Messages => api::messages::finish(&mut pen, finish),
            _ => api::chat::finish(&mut pen, finish, with_usage),
        }
        self.stage = self.after_finish(config);
    }

    fn after_finish(&self, config: &SimConfig) -> Stage {
        if self.plan.include_usage && self.plan.api.sends_done() {
            Stage::Usage
        } else {
            self.done_stage(config)
        }
    }

    fn done_stage(&self, config: &SimConfig) -> Stage {
        match config.wire.done_events {
            left if left > 0 && self.plan.api.sends_done() => Stage::Done { left },
            _ => Stage::Over,
        }
    }

    fn pen<'a>(&'a mut self, buf: &'a mut EventBuf) -> Pen<'a> {
        Pen {
            plan: &self.plan,
            head: &self.head,
            writer: &mut self.writer,
            buf,
            sent: self.sent,
            sequence: &mut self.sequence,
        }
    }
}

/// The answer of a request that is not a stream.
pub fn whole_body(config: &SimConfig, plan: &Plan, out: &mut Vec<u8>) {
    match plan.api {
        Api::Chat => api::chat::body(plan, &config.output.reasoning_field, out),
        Api::Completions => api::completions::body(plan, out),
        Api::Responses => api::responses::body(plan, out),
        Api::Messages => api::messages::body(plan, out),
        Api::Embeddings => api::vectors::embeddings(plan, config.output.embedding_dimensions, out),
        Api::Rankings => api::vectors::rankings(plan, out),
    }
}

/// A stream as one run of bytes, without timing.
pub fn whole_stream(config: &SimConfig, plan: &Plan, out: &mut Vec<u8>) {
    let timeline = Timeline::new(config, plan, 0, 1, crate::plan::Draws::new(config.seed, None, 0));
    let mut script = Script::new(config, plan.clone(), timeline, 0);
    let mut buf = EventBuf::default();
    while script.next_due().is_some() {
        script.render_next(config, &mut buf);
    }
    out.append(&mut buf.bytes);
}
