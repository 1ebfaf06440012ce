//! OpenAI Responses: named events, numbered, ended by `response.completed` (or `incomplete`).

use super::{Pen, push_number, push_words, put};
use crate::plan::{Finish, Plan, TokenKind};

/// `response.created` and `response.in_progress`.
pub fn open(pen: &mut Pen<'_>) {
    for name in ["response.created", "response.in_progress"] {
        event(pen, name, 0, |plan, out| {
            out.extend_from_slice(br#""response":"#);
            push_response(out, plan, "in_progress", false, 0);
        });
    }
}

/// A delta; opens and closes the output items around it.
pub fn tokens(pen: &mut Pen<'_>, first: u32, count: u32) {
    let (kind, place) = pen.plan.kind_of(first);
    let item = item_index(pen.plan, kind);
    if place == 0 {
        open_item(pen, kind, item);
    }
    event(pen, delta_name(kind), count, |plan, out| {
        push_item_id(out, plan, kind);
        put!(out, r#","output_index":{item},"#);
        if kind != TokenKind::Tool {
            out.extend_from_slice(br#""content_index":0,"#);
        }
        out.extend_from_slice(br#""delta":""#);
        push_words(out, plan, first, count, true);
        out.push(b'"');
    });
    if first + count == pen.plan.kind_end(first) {
        close_item(pen, kind, item);
    }
}

/// The last event, with the whole answer and usage.
pub fn finish(pen: &mut Pen<'_>, finish: Finish) {
    let (name, status) = match finish {
        Finish::Length => ("response.incomplete", "incomplete"),
        Finish::Abort => ("response.failed", "failed"),
        _ => ("response.completed", "completed"),
    };
    let sent = pen.sent;
    event(pen, name, 0, |plan, out| {
        out.extend_from_slice(br#""response":"#);
        push_response(out, plan, status, true, sent);
    });
}

/// The whole answer as one JSON body.
pub fn body(plan: &Plan, out: &mut Vec<u8>) {
    let status = if plan.finish == Finish::Length { "incomplete" } else { "completed" };
    push_response(out, plan, status, true, plan.total());
}

fn open_item(pen: &mut Pen<'_>, kind: TokenKind, item: u32) {
    event(pen, "response.output_item.added", 0, |plan, out| {
        put!(out, r#""output_index":{item},"item":"#);
        push_item(out, plan, kind, false);
    });
    if kind == TokenKind::Text {
        event(pen, "response.content_part.added", 0, |plan, out| {
            push_item_id(out, plan, kind);
            put!(
                out,
                r#","output_index":{item},"content_index":0,"part":{{"type":"output_text","text":"","annotations":[]}}"#
            );
        });
    }
}

fn close_item(pen: &mut Pen<'_>, kind: TokenKind, item: u32) {
    let (done, field) = match kind {
        TokenKind::Text => ("response.output_text.done", "text"),
        TokenKind::Reasoning => ("response.reasoning_text.done", "text"),
        TokenKind::Tool => ("response.function_call_arguments.done", "arguments"),
    };
    event(pen, done, 0, |plan, out| {
        push_item_id(out, plan, kind);
        put!(out, r#","output_index":{item},"{field}":""#);
        push_all(out, plan, kind);
        out.push(b'"');
    });
    if kind == TokenKind::Text {
        event(pen, "response.content_part.done", 0, |plan, out| {
            push_item_id(out, plan, kind);
            put!(out, r#","output_index":{item},"content_index":0,"part":{{"type":"output_text","text":""#);
            push_all(out, plan, kind);
            out.extend_from_slice(br#"","annotations":[]}"#);
        });
    }
    event(pen, "response.output_item.done", 0, |plan, out| {
        put!(out, r#""output_index":{item},"item":"#);
        push_item(out, plan, kind, true);
    });
}

fn event(pen: &mut Pen<'_>, name: &str, tokens: u32, fields: impl FnOnce(&Plan, &mut Vec<u8>)) {
    let sequence = *pen.sequence;
    *pen.sequence += 1;
    pen.event(Some(name), tokens, |plan, _, out| {
        out.extend_from_slice(br#"{"type":""#);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(br#"","sequence_number":"#);
        push_number(out, u64::from(sequence));
        out.push(b',');
        fields(plan, out);
        out.push(b'}');
    });
}

fn delta_name(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Text => "response.output_text.delta",
        TokenKind::Reasoning => "response.reasoning_text.delta",
        TokenKind::Tool => "response.function_call_arguments.delta",
    }
}

fn item_index(plan: &Plan, kind: TokenKind) -> u32 {
    let before = |present: u32| u32::from(present > 0);
    match kind {
        TokenKind::Reasoning => 0,
        TokenKind::Text => before(plan.reasoning),
        TokenKind::Tool => before(plan.reasoning) + before(plan.text),
    }
}

fn push_item_id(out: &mut Vec<u8>, plan: &Plan, kind: TokenKind) {
    out.extend_from_slice(br#""item_id":"#);
    push_id(out, plan, kind);
}

fn push_id(out: &mut Vec<u8>, plan: &Plan, kind: TokenKind) {
    let prefix = match kind {
        TokenKind::Reasoning => "rs",
        TokenKind::Text => "msg",
        TokenKind::Tool => "fc",
    };
    put!(out, r#""{prefix}_{:016x}""#, plan.id);
}

fn push_all(out: &mut Vec<u8>, plan: &Plan, kind: TokenKind) {
    match kind {
        TokenKind::Reasoning => push_words(out, plan, 0, plan.reasoning, true),
        TokenKind::Text => push_words(out, plan, plan.reasoning, plan.text, true),
        TokenKind::Tool => push_words(out, plan, plan.reasoning + plan.text, plan.tool, true),
    }
}

fn push_item(out: &mut Vec<u8>, plan: &Plan, kind: TokenKind, done: bool) {
    let status = if done { "completed" } else { "in_progress" };
    out.extend_from_slice(br#"{"id":"#);
    push_id(out, plan, kind);
    match kind {
        TokenKind::Reasoning => {
            out.extend_from_slice(br#","type":"reasoning","summary":[],"content":["#);
            if done {
                out.extend_from_slice(br#"{"type":"reasoning_text","text":""#);
                push_all(out, plan, kind);
                out.extend_from_slice(br#""}"#);
            }
            out.push(b']');
        }
        TokenKind::Text => {
            out.extend_from_slice(br#","type":"message","role":"assistant","content":["#);
            if done {
                out.extend_from_slice(br#"{"type":"output_text","text":""#);
                push_all(out, plan, kind);
                out.extend_from_slice(br#"","annotations":[]}"#);
            }
            out.push(b']');
        }
        TokenKind::Tool => {
            put!(
                out,
                r#","type":"function_call","call_id":"call_{:016x}","name":"look_up","arguments":""#,
                plan.id
            );
            if done {
                push_all(out, plan, kind);
            }
            out.push(b'"');
        }
    }
    put!(out, r#","status":"{status}"}}"#);
}

fn push_response(out: &mut Vec<u8>, plan: &Plan, status: &str, done: bool, sent: u32) {
    put!(
        out,
        r#"{{"id":"resp_{:016x}","object":"response","created_at":{},"model":{},"status":"{status}","error":null,"output":["#,
        plan.id,
        plan.created,
        plan.model_json
    );
    if done {
        let kinds = [
            (plan.reasoning, TokenKind::Reasoning),
            (plan.text, TokenKind::Text),
            (plan.tool, TokenKind::Tool),
        ];
        let mut first = true;
        for (_, kind) in kinds.into_iter().filter(|(count, _)| *count > 0) {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            push_item(out, plan, kind, true);
        }
    }
    out.extend_from_slice(b"],");
    let reason = if status == "incomplete" { r#"{"reason":"max_output_tokens"}"# } else { "null" };
    put!(out, r#""incomplete_details":{reason},"usage":"#);
    if done {
        put!(
            out,
            r#"{{"input_tokens":{},"input_tokens_details":{{"cached_tokens":{}}},"output_tokens":{sent},"output_tokens_details":{{"reasoning_tokens":{}}},"total_tokens":{}}}}}"#,
            plan.prompt_tokens,
            plan.cached_tokens.unwrap_or(0),
            plan.reasoning.min(sent),
            u64::from(plan.prompt_tokens) + u64::from(sent)
        );
    } else {
        out.extend_from_slice(b"null}");
    }
}
