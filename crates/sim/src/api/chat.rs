//! OpenAI chat completions.

use super::{Pen, push_usage, push_words, put};
use crate::plan::{Finish, Plan, TokenKind};

/// Opens every event of a stream: `{"id":...,"model":...,`.
pub fn head(plan: &Plan) -> Vec<u8> {
    let mut out = Vec::with_capacity(128);
    put!(
        &mut out,
        r#"{{"id":"chatcmpl-{:016x}","object":"chat.completion.chunk","created":{},"model":{},"choices":["#,
        plan.id,
        plan.created,
        plan.model_json
    );
    out
}

/// The event that names the role, with empty content.
pub fn open(pen: &mut Pen<'_>) {
    let sent = pen.sent;
    pen.event(None, 0, |plan, head, out| {
        out.extend_from_slice(head);
        out.extend_from_slice(
            br#"{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]"#,
        );
        close(out, plan, sent);
    });
}

/// An event of tokens of one kind.
pub fn tokens(
    pen: &mut Pen<'_>,
    first: u32,
    count: u32,
    with_role: bool,
    reasoning_field: &str,
    finish: Option<Finish>,
) {
    let sent = pen.sent;
    pen.event(None, count, |plan, head, out| {
        out.extend_from_slice(head);
        out.extend_from_slice(br#"{"index":0,"delta":{"#);
        if with_role {
            out.extend_from_slice(br#""role":"assistant","#);
        }
        let (kind, place) = plan.kind_of(first);
        match kind {
            TokenKind::Text => out.extend_from_slice(br#""content":""#),
            TokenKind::Reasoning => put!(out, r#""{reasoning_field}":""#),
            TokenKind::Tool => {
                out.extend_from_slice(br#""tool_calls":[{"index":0,"#);
                if place == 0 {
                    put!(out, r#""id":"call_{:016x}","type":"function","#, plan.id);
                }
                out.extend_from_slice(br#""function":{"#);
                if place == 0 {
                    out.extend_from_slice(br#""name":"look_up","#);
                }
                out.extend_from_slice(br#""arguments":""#);
            }
        }
        push_words(out, plan, first, count, true);
        out.extend_from_slice(if kind == TokenKind::Tool { br#""}}]"# } else { br#"""# });
        push_finish(out, finish);
        close(out, plan, sent);
    });
}

/// The event with the finish reason.
pub fn finish(pen: &mut Pen<'_>, finish: Finish, with_usage: bool) {
    let sent = pen.sent;
    pen.event(None, 0, |plan, head, out| {
        out.extend_from_slice(head);
        out.extend_from_slice(br#"{"index":0,"delta":{"#);
        push_finish(out, Some(finish));
        if with_usage {
            out.extend_from_slice(br#","usage":"#);
            push_usage(out, plan, sent);
            out.push(b'}');
        } else {
            close(out, plan, sent);
        }
    });
}

/// The event with usage and no choice.
pub fn usage(pen: &mut Pen<'_>) {
    let sent = pen.sent;
    pen.event(None, 0, |plan, head, out| {
        out.extend_from_slice(head);
        out.extend_from_slice(br#"],"usage":"#);
        push_usage(out, plan, sent);
        out.push(b'}');
    });
}

/// The whole answer as one JSON body.
pub fn body(plan: &Plan, reasoning_field: &str, out: &mut Vec<u8>) {
    put!(
        out,
        r#"{{"id":"chatcmpl-{:016x}","object":"chat.completion","created":{},"model":{},"choices":[{{"index":0,"message":{{"role":"assistant","content":"#,
        plan.id,
        plan.created,
        plan.model_json
    );
    if plan.text > 0 || plan.tool == 0 {
        out.push(b'"');
        push_words(out, plan, plan.reasoning, plan.text, true);
        out.push(b'"');
    } else {
        out.extend_from_slice(b"null");
    }
    if plan.reasoning > 0 {
        put!(out, r#","{reasoning_field}":""#);
        push_words(out, plan, 0, plan.reasoning, true);
        out.push(b'"');
    }
    if plan.tool > 0 {
        put!(
            out,
            r#","tool_calls":[{{"id":"call_{:016x}","type":"function","function":{{"name":"look_up","arguments":""#,
            plan.id
        );
        push_words(out, plan, plan.reasoning + plan.text, plan.tool, true);
        out.extend_from_slice(br#""}}]"#);
    }
    put!(out, r#"}},"logprobs":null,"finish_reason":"{}"}}],"usage":"#, plan.finish.name());
    push_usage(out, plan, plan.total());
    out.push(b'}');
}

/// Closes delta and choice.
fn push_finish(out: &mut Vec<u8>, finish: Option<Finish>) {
    match finish {
        None => out.extend_from_slice(br#"},"logprobs":null,"finish_reason":null}]"#),
        Some(finish) => put!(out, r#"}},"logprobs":null,"finish_reason":"{}"}}]"#, finish.name()),
    }
}

/// Closes the event, with running usage when that was asked for.
fn close(out: &mut Vec<u8>, plan: &Plan, sent: u32) {
    if plan.continuous_usage {
        out.extend_from_slice(br#","usage":"#);
        push_usage(out, plan, sent);
    }
    out.push(b'}');
}
