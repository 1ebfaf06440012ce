//! Anthropic Messages: named events, ended by `message_stop`.

use super::{Pen, push_words, put};
use crate::plan::{Finish, Plan, TokenKind};

/// `message_start` and `ping`.
pub fn open(pen: &mut Pen<'_>) {
    pen.event(Some("message_start"), 0, |plan, _, out| {
        put!(
            out,
            r#"{{"type":"message_start","message":{{"id":"msg_{:016x}","type":"message","role":"assistant","model":{},"content":[],"stop_reason":null,"stop_sequence":null,"usage":"#,
            plan.id,
            plan.model_json
        );
        push_usage(out, plan, 0);
        out.extend_from_slice(b"}}");
    });
    pen.event(Some("ping"), 0, |_, _, out| out.extend_from_slice(br#"{"type":"ping"}"#));
}

/// A delta; opens and closes the content blocks around it.
pub fn tokens(pen: &mut Pen<'_>, first: u32, count: u32) {
    let (kind, place) = pen.plan.kind_of(first);
    let block = block_index(pen.plan, kind);
    if place == 0 {
        pen.event(Some("content_block_start"), 0, |plan, _, out| {
            put!(out, r#"{{"type":"content_block_start","index":{block},"content_block":"#);
            match kind {
                TokenKind::Text => out.extend_from_slice(br#"{"type":"text","text":""}}"#),
                TokenKind::Reasoning => {
                    out.extend_from_slice(br#"{"type":"thinking","thinking":"","signature":""}}"#)
                }
                TokenKind::Tool => {
                    put!(
                        out,
                        r#"{{"type":"tool_use","id":"toolu_{:016x}","name":"look_up","input":{{}}}}}}"#,
                        plan.id
                    );
                }
            }
        });
    }
    let (delta, field) = match kind {
        TokenKind::Text => ("text_delta", "text"),
        TokenKind::Reasoning => ("thinking_delta", "thinking"),
        TokenKind::Tool => ("input_json_delta", "partial_json"),
    };
    pen.event(Some("content_block_delta"), count, |plan, _, out| {
        put!(out, r#"{{"type":"content_block_delta","index":{block},"delta":{{"type":"{delta}","{field}":""#);
        push_words(out, plan, first, count, true);
        out.extend_from_slice(br#""}}"#);
    });
    if first + count == pen.plan.kind_end(first) {
        pen.event(Some("content_block_stop"), 0, |_, _, out| {
            put!(out, r#"{{"type":"content_block_stop","index":{block}}}"#);
        });
    }
}

/// `message_delta` with the stop reason and usage, and `message_stop`.
pub fn finish(pen: &mut Pen<'_>, finish: Finish) {
    let sent = pen.sent;
    pen.event(Some("message_delta"), 0, |plan, _, out| {
        put!(
            out,
            r#"{{"type":"message_delta","delta":{{"stop_reason":"{}","stop_sequence":null}},"usage":"#,
            stop_reason(finish)
        );
        push_usage(out, plan, sent);
        out.push(b'}');
    });
    pen.event(Some("message_stop"), 0, |_, _, out| out.extend_from_slice(br#"{"type":"message_stop"}"#));
}

/// The whole answer as one JSON body.
pub fn body(plan: &Plan, out: &mut Vec<u8>) {
    put!(
        out,
        r#"{{"id":"msg_{:016x}","type":"message","role":"assistant","model":{},"content":["#,
        plan.id,
        plan.model_json
    );
    let mut comma = "";
    if plan.reasoning > 0 {
        out.extend_from_slice(br#"{"type":"thinking","signature":"","thinking":""#);
        push_words(out, plan, 0, plan.reasoning, true);
        out.extend_from_slice(br#""}"#);
        comma = ",";
    }
    if plan.text > 0 {
        put!(out, r#"{comma}{{"type":"text","text":""#);
        push_words(out, plan, plan.reasoning, plan.text, true);
        out.extend_from_slice(br#""}"#);
        comma = ",";
    }
    if plan.tool > 0 {
        put!(out, r#"{comma}{{"type":"tool_use","id":"toolu_{:016x}","name":"look_up","input":"#, plan.id);
        push_words(out, plan, plan.reasoning + plan.text, plan.tool, false);
        out.push(b'}');
    }
    put!(out, r#"],"stop_reason":"{}","stop_sequence":null,"usage":"#, stop_reason(plan.finish));
    push_usage(out, plan, plan.total());
    out.push(b'}');
}

fn block_index(plan: &Plan, kind: TokenKind) -> u32 {
    let present = |count: u32| u32::from(count > 0);
    match kind {
        TokenKind::Reasoning => 0,
        TokenKind::Text => present(plan.reasoning),
        TokenKind::Tool => present(plan.reasoning) + present(plan.text),
    }
}

fn stop_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::Abort => "abort",
    }
}

/// Anthropic's `input_tokens` leaves out what was read from the cache.
fn push_usage(out: &mut Vec<u8>, plan: &Plan, output_tokens: u32) {
    let cached = plan.cached_tokens.unwrap_or(0);
    put!(
        out,
        r#"{{"input_tokens":{},"cache_read_input_tokens":{cached},"cache_creation_input_tokens":0,"output_tokens":{output_tokens}}}"#,
        plan.prompt_tokens - cached.min(plan.prompt_tokens)
    );
}
