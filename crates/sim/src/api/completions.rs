//! OpenAI completions.

use super::{Pen, push_usage, push_words, put};
use crate::plan::{Finish, Plan};

/// Opens every event of a stream.
pub fn head(plan: &Plan) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    put!(
        &mut out,
        r#"{{"id":"cmpl-{:016x}","object":"text_completion","created":{},"model":{},"choices":["#,
        plan.id,
        plan.created,
        plan.model_json
    );
    out
}

/// An event of tokens. This API has no place for reasoning or tools: all of it is text.
pub fn tokens(pen: &mut Pen<'_>, first: u32, count: u32, finish: Option<Finish>) {
    let sent = pen.sent;
    pen.event(None, count, |plan, head, out| {
        out.extend_from_slice(head);
        out.extend_from_slice(br#"{"index":0,"text":""#);
        push_words(out, plan, first, count, true);
        close_choice(out, finish);
        close(out, plan, sent);
    });
}

/// The event with the finish reason.
pub fn finish(pen: &mut Pen<'_>, finish: Finish, with_usage: bool) {
    let sent = pen.sent;
    pen.event(None, 0, |plan, head, out| {
        out.extend_from_slice(head);
        out.extend_from_slice(br#"{"index":0,"text":""#);
        close_choice(out, Some(finish));
        if with_usage {
            out.extend_from_slice(br#","usage":"#);
            push_usage(out, plan, sent);
            out.push(b'}');
        } else {
            close(out, plan, sent);
        }
    });
}

/// The whole answer as one JSON body.
pub fn body(plan: &Plan, out: &mut Vec<u8>) {
    put!(
        out,
        r#"{{"id":"cmpl-{:016x}","object":"text_completion","created":{},"model":{},"choices":[{{"index":0,"text":""#,
        plan.id,
        plan.created,
        plan.model_json
    );
    push_words(out, plan, 0, plan.total(), true);
    close_choice(out, Some(plan.finish));
    out.extend_from_slice(br#","usage":"#);
    push_usage(out, plan, plan.total());
    out.push(b'}');
}

fn close_choice(out: &mut Vec<u8>, finish: Option<Finish>) {
    match finish {
        None => out.extend_from_slice(br#"","logprobs":null,"finish_reason":null}]"#),
        Some(finish) => put!(out, r#"","logprobs":null,"finish_reason":"{}"}}]"#, finish.name()),
    }
}

fn close(out: &mut Vec<u8>, plan: &Plan, sent: u32) {
    if plan.continuous_usage {
        out.extend_from_slice(br#","usage":"#);
        push_usage(out, plan, sent);
    }
    out.push(b'}');
}
