//! Error bodies and error events of many servers, read into one shape.

use http::StatusCode;
use serde_json::Value;
use tokmeter_record::ErrorClass;

use super::{ReplyError, ServerError};

/// Longest message kept, in bytes. Servers put whole prompts and stack traces into error bodies.
const MESSAGE_LIMIT: usize = 4096;

/// Longest error body that is looked into, in bytes.
const BODY_LIMIT: usize = 256 * 1024;

/// Reads the body of an answer outside 2xx, whatever it is: `{"error":{…}}`, `{"error":"…"}`, flat objects,
/// FastAPI's `detail`, plain text, HTML of a proxy, nothing.
pub fn decode_error(status: u16, body: &[u8]) -> ReplyError {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let text = bounded(body.trim_ascii());
    let said = said_by(body);
    let message = if text.is_empty() { format!("status {status} with an empty body") } else { text };
    ReplyError {
        class: ErrorClass::HttpStatus,
        code: Some(i64::from(status)),
        kind: Some(reason.map_or_else(|| format!("status {status}"), str::to_owned)),
        context_overflow: is_context_overflow(&message, said.as_ref()),
        message,
        said,
    }
}

/// An error event inside a stream.
pub(super) fn stream_error(text: &str) -> ReplyError {
    let said = said_by(text.as_bytes());
    let message = bounded(text.trim().as_bytes());
    ReplyError {
        class: ErrorClass::StreamError,
        code: Some(502),
        kind: Some("SSEResponseError".to_owned()),
        context_overflow: is_context_overflow(&message, said.as_ref()),
        message,
        said,
    }
}

/// A 2xx answer that says by itself that it failed, or cannot be used.
pub(super) fn unusable(class: ErrorClass, message: impl Into<String>) -> ReplyError {
    ReplyError {
        class,
        code: None,
        kind: Some("InvalidInferenceResultError".to_owned()),
        message: message.into(),
        said: None,
        context_overflow: false,
    }
}

/// An error object in a 2xx answer that is no stream.
pub(super) fn error_in_body(text: &str) -> ReplyError {
    let failed = stream_error(text);
    let message = format!("status 2xx with an error in the body: {}", failed.message);
    ReplyError {
        said: failed.said,
        context_overflow: failed.context_overflow,
        ..unusable(ErrorClass::InvalidResponse, message)
    }
}

/// What a server's error text says, where its shape is known.
fn said_by(body: &[u8]) -> Option<ServerError> {
    let body = &body[..body.len().min(BODY_LIMIT)];
    let said = match serde_json::from_slice::<Value>(body) {
        Ok(value) => said_in(&value)?,
        Err(_) => ServerError { message: page_title(body)?, kind: None, code: None },
    };
    let bound = |text: String| bounded(text.as_bytes());
    Some(ServerError { message: bound(said.message), kind: said.kind.map(bound), code: said.code.map(bound) })
}

fn said_in(value: &Value) -> Option<ServerError> {
    let object = match value {
        Value::Object(object) => object,
        Value::String(text) => {
            return Some(ServerError { message: text.clone(), kind: None, code: None });
        }
        _ => return None,
    };
    let text = |keys: &[&str]| keys.iter().find_map(|key| object.get(*key).and_then(scalar));
    // `response` holds the failed answer of the Responses API.
    for key in ["error", "response"] {
        match object.get(key) {
            Some(Value::Object(_)) => {
                if let Some(inner) = object.get(key).and_then(said_in) {
                    return Some(inner);
                }
            }
            Some(Value::String(message)) => {
                let kind = text(&["error_type", "type"]);
                return Some(ServerError { message: message.clone(), kind, code: text(&["code"]) });
            }
            _ => {}
        }
    }
    let kind = text(&["type", "error_type"]).filter(|kind| kind != "error");
    // llama-cpp-python sends types with empty messages.
    let message = text(&["message", "msg", "error_message"])
        .filter(|message| !message.is_empty())
        .or_else(|| object.get("detail").and_then(detail))
        .or_else(|| kind.clone())?;
    Some(ServerError { message, kind, code: text(&["code", "error_code", "status"]) })
}

/// FastAPI: a text, a list of findings, or an object.
fn detail(value: &Value) -> Option<String> {
    match value {
        Value::Array(findings) => {
            let said: Vec<String> = findings.iter().filter_map(finding).collect();
            (!said.is_empty()).then(|| said.join("; "))
        }
        Value::Object(_) => said_in(value).map(|said| said.message),
        other => scalar(other),
    }
}

/// One finding of a validation error: where and what.
fn finding(value: &Value) -> Option<String> {
    let what =
        value.get("msg").or_else(|| value.get("message")).and_then(scalar).or_else(|| scalar(value))?;
    let place: Vec<String> =
        value.get("loc").and_then(Value::as_array).into_iter().flatten().filter_map(scalar).collect();
    Some(if place.is_empty() { what } else { format!("{}: {what}", place.join(".")) })
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Title of an HTML page, as proxies send; else the text itself.
fn page_title(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    // ASCII lower case keeps every offset.
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title>").and_then(|start| {
        let start = start + "<title>".len();
        let end = lower[start..].find("</title>")? + start;
        Some(text[start..end].trim().to_owned())
    });
    Some(title.unwrap_or_else(|| text.to_owned()))
}

/// Whether the server refused because prompt and answer do not fit its context.
///
/// Codes and wordings seen: OpenAI, vLLM, SGLang, llama.cpp, Anthropic, TensorRT-LLM, TGI.
fn is_context_overflow(message: &str, said: Option<&ServerError>) -> bool {
    const WORDINGS: [&str; 10] = [
        "context length",
        "maximum context",
        "context_length_exceeded",
        "exceed_context_size",
        "context size",
        "context window",
        "prompt is too long",
        "input is too long",
        "max_seq_len",
        "`inputs` must have less",
    ];
    let says = |text: &str| {
        let text = text.to_ascii_lowercase();
        WORDINGS.iter().any(|wording| text.contains(wording))
    };
    says(message) || said.is_some_and(|said| says(&said.message) || said.code.as_deref().is_some_and(says))
}

/// Text of at most [`MESSAGE_LIMIT`] bytes, cut between characters.
fn bounded(text: &[u8]) -> String {
    let cut = text.len() > MESSAGE_LIMIT;
    let head = &text[..text.len().min(MESSAGE_LIMIT)];
    let mut kept = String::from_utf8_lossy(head).into_owned();
    if cut {
        // The cut may have left part of a character.
        while kept.ends_with('\u{FFFD}') {
            kept.pop();
        }
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &str) -> (String, Option<String>, Option<String>) {
        let error = decode_error(400, body.as_bytes());
        assert_eq!((error.class, error.code), (ErrorClass::HttpStatus, Some(400)));
        assert_eq!(error.kind.as_deref(), Some("Bad Request"));
        assert_eq!(error.message, body.trim());
        let said = error.said.unwrap();
        (said.message, said.kind, said.code)
    }

    fn parts(message: &str, kind: &str, code: &str) -> (String, Option<String>, Option<String>) {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        (message.to_owned(), some(kind), some(code))
    }

    #[test]
    fn all_shapes_of_error_bodies() {
        for (body, want) in [
            (r#"{"error":{"message":"m","type":"t","param":null,"code":"c"}}"#, parts("m", "t", "c")),
            (r#"{"error":{"message":"m","type":"t","code":404}}"#, parts("m", "t", "404")),
            (r#"{"error":"Unauthorized"}"#, parts("Unauthorized", "", "")),
            (r#"{"error":"boom","error_type":"overloaded"}"#, parts("boom", "overloaded", "")),
            (
                r#"{"object":"error","message":"m","type":"BadRequestError","code":400}"#,
                parts("m", "BadRequestError", "400"),
            ),
            (r#"{"message":"m","type":"Not Found","code":404}"#, parts("m", "Not Found", "404")),
            (
                r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#,
                parts("m", "overloaded_error", ""),
            ),
            (
                r#"{"error":{"message":"","type":"internal_server_error","code":null}}"#,
                parts("internal_server_error", "internal_server_error", ""),
            ),
            (r#"{"detail":"Not Found"}"#, parts("Not Found", "", "")),
            (
                r#"{"detail":[{"type":"json_invalid","loc":["body",28],"msg":"bad"}]}"#,
                parts("body.28: bad", "", ""),
            ),
            (r#"{"detail":[{"msg":"a"},{"msg":"b","loc":[]}]}"#, parts("a; b", "", "")),
            (r#"{"detail":{"message":"inner"}}"#, parts("inner", "", "")),
            (
                r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"m"}}}"#,
                parts("m", "", "server_error"),
            ),
            (r#""just text""#, parts("just text", "", "")),
            ("Internal Server Error", parts("Internal Server Error", "", "")),
            ("<html><head><TITLE> 502 Bad Gateway </TITLE></head></html>", parts("502 Bad Gateway", "", "")),
        ] {
            assert_eq!(said(body), want, "{body}");
        }
    }

    #[test]
    fn an_empty_body_still_has_a_message() {
        let error = decode_error(404, b" \n");
        assert_eq!(error.message, "status 404 with an empty body");
        assert_eq!((error.kind.as_deref(), error.said), (Some("Not Found"), None));
    }

    #[test]
    fn messages_are_bounded_and_cut_between_characters() {
        let error = decode_error(500, "ä".repeat(5000).as_bytes());
        assert!(error.message.len() <= MESSAGE_LIMIT + '…'.len_utf8());
        assert!(error.message.ends_with("ä…"), "no broken character at the cut");
        let huge = format!("{{\"error\":{{\"message\":\"{}\"}}}}", "x".repeat(MESSAGE_LIMIT * 2));
        assert!(decode_error(500, huge.as_bytes()).said.unwrap().message.len() < MESSAGE_LIMIT + 8);
    }

    #[test]
    fn context_overflow_is_known_by_code_and_by_wording() {
        for body in [
            r#"{"error":{"message":"This model's maximum context length is 4096 tokens.","code":400}}"#,
            r#"{"error":{"message":"too many","code":"context_length_exceeded"}}"#,
            r#"{"error":{"code":400,"message":"request exceeds","type":"exceed_context_size_error"}}"#,
            r#"{"message":"The input (10251 tokens) is longer than the model's context length (4096 tokens)."}"#,
            r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens"}}"#,
        ] {
            assert!(decode_error(400, body.as_bytes()).context_overflow, "{body}");
        }
        assert!(!decode_error(400, br#"{"error":{"message":"bad temperature"}}"#).context_overflow);
    }
}
