//! Error bodies as six engines write them, by status.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A server whose error bodies are imitated. Shapes were captured from running servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// vLLM: `{"error":{message,type,param,code}}`, and `{"error":"Unauthorized"}` for 401.
    Vllm,
    /// SGLang: flat `{"object":"error",...}`.
    Sglang,
    /// llama.cpp: `{"error":{code,message,type}}` with `Connection: close`.
    Llamacpp,
    /// Dynamo: flat `{"message","type","code"}`; its 404 may be empty.
    Dynamo,
    /// FastAPI, as llama-cpp-python: `{"detail": ...}`, a string or a list.
    Fastapi,
    /// HF `transformers serve`: `text/plain` for 500, then close.
    Hf,
}

impl Engine {
    /// Names on the command line.
    pub const ALL: [(&'static str, Self); 6] = [
        ("vllm", Self::Vllm),
        ("sglang", Self::Sglang),
        ("llamacpp", Self::Llamacpp),
        ("dynamo", Self::Dynamo),
        ("fastapi", Self::Fastapi),
        ("hf", Self::Hf),
    ];
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(_, engine)| engine == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, engine)| *engine)
            .ok_or_else(|| format!("no engine is called `{text}`"))
    }
}

/// A complete error answer.
#[derive(Debug, PartialEq, Eq)]
pub struct ErrorBody {
    /// `Content-Type`; none for an empty body.
    pub content_type: Option<&'static str>,
    /// The body.
    pub body: String,
    /// The engine says `Connection: close` and means it.
    pub close: bool,
}

/// What `engine` answers with `status`.
pub fn error_body(engine: Engine, status: u16, message: &str) -> ErrorBody {
    let text = serde_json::Value::from(message);
    let phrase = reason_phrase(status);
    let json = |body: String, close: bool| ErrorBody { content_type: Some("application/json"), body, close };
    match (engine, status) {
        (Engine::Vllm, 401) => json(r#"{"error":"Unauthorized"}"#.to_owned(), false),
        (Engine::Vllm, _) => json(
            format!(
                r#"{{"error":{{"message":{text},"type":"{}","param":null,"code":{status}}}}}"#,
                error_type(status)
            ),
            false,
        ),
        (Engine::Sglang, _) => json(
            format!(
                r#"{{"object":"error","message":{text},"type":"{}","param":null,"code":{status}}}"#,
                error_type(status)
            ),
            false,
        ),
        (Engine::Llamacpp, _) => {
            let kind = match status {
                400 | 422 => "invalid_request_error",
                401 => "authentication_error",
                404 => "not_found_error",
                503 => "unavailable_error",
                _ => "server_error",
            };
            json(format!(r#"{{"error":{{"code":{status},"message":{text},"type":"{kind}"}}}}"#), true)
        }
        (Engine::Dynamo, _) => {
            json(format!(r#"{{"message":{text},"type":"{phrase}","code":{status}}}"#), false)
        }
        (Engine::Fastapi | Engine::Hf, 422) => json(
            format!(
                r#"{{"detail":[{{"type":"json_invalid","loc":["body",28],"msg":{text},"input":{{}},"ctx":{{"error":"Expecting value"}}}}]}}"#
            ),
            false,
        ),
        (Engine::Fastapi, _) => json(format!(r#"{{"detail":{text}}}"#), false),
        (Engine::Hf, 500..) => ErrorBody {
            content_type: Some("text/plain; charset=utf-8"),
            body: phrase.to_owned(),
            close: true,
        },
        (Engine::Hf, _) => json(format!(r#"{{"detail":{text}}}"#), false),
    }
}

fn error_type(status: u16) -> &'static str {
    match status {
        401 => "AuthenticationError",
        404 => "NotFoundError",
        429 => "RateLimitError",
        500.. => "InternalServerError",
        _ => "BadRequestError",
    }
}

/// The reason phrase of RFC 9110 for the statuses the simulator sends.
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_bodies_are_json_whatever_the_message() {
        for (_, engine) in Engine::ALL {
            for status in [400, 401, 404, 422, 429, 500, 503] {
                let answer = error_body(engine, status, "a \"quoted\"\nmessage");
                if answer.content_type == Some("application/json") {
                    let parsed: Result<serde_json::Value, _> = serde_json::from_str(&answer.body);
                    assert!(parsed.is_ok(), "{engine} {status}: {}", answer.body);
                } else {
                    assert!(engine == Engine::Hf && status >= 500, "{engine} {status}");
                }
            }
        }
    }
}
