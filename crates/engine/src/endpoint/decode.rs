//! From an answer's bytes to a [`Reply`]: stream or document, error or success.
//!
//! What the answer is decides its own content type, never what was asked for: servers stream unasked and
//! answer a stream request with a document.

mod repair;
mod shortcut;

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderMap;
use serde::de::IgnoredAny;
use tokmeter_http::exchange::{Exchange, StampedBody};
use tokmeter_http::sse;
use tokmeter_record::{ErrorClass, MonoNs};

use super::errors::{decode_error, stream_error, unusable};
use super::reading::{Reading, Shape};
use super::{Endpoint, Reply};
use repair::repaired;
use shortcut::Shortcuts;

/// The parts of an exchange that say what the answer means.
#[derive(Clone, Copy, Debug)]
pub struct ExchangeView<'a> {
    /// HTTP status.
    pub status: u16,
    /// Headers of the answer.
    pub headers: &'a HeaderMap,
    /// The body with its stamps.
    pub body: &'a StampedBody,
    /// Whether a stream was asked for. Decides only where the answer itself does not tell.
    pub streaming: bool,
}

impl<'a> ExchangeView<'a> {
    /// The view of a finished exchange; `None` when no response head came.
    pub fn of(exchange: &'a Exchange, streaming: bool) -> Option<Self> {
        let head = exchange.head.as_ref()?;
        let status = head.status.as_u16();
        Some(ExchangeView { status, headers: &head.headers, body: &exchange.body, streaming })
    }

    fn content_type(&self) -> Option<&'a str> {
        self.headers.get(http::header::CONTENT_TYPE)?.to_str().ok()
    }

    /// The content coding of an answer that has one. None is asked for, so none is undone: a bomb stays packed.
    fn packed(&self) -> Option<Cow<'a, str>> {
        let coding = self.headers.get(http::header::CONTENT_ENCODING)?.as_bytes().trim_ascii();
        let plain = coding.is_empty() || coding.eq_ignore_ascii_case(b"identity");
        (!plain).then(|| String::from_utf8_lossy(&coding[..coding.len().min(40)]))
    }

    fn is_stream(&self) -> bool {
        let media_type = self.content_type().and_then(|value| value.split(';').next()).unwrap_or("").trim();
        if media_type.eq_ignore_ascii_case("text/event-stream") {
            return true;
        }
        if media_type.eq_ignore_ascii_case("application/json") {
            return false;
        }
        // A missing or wrong type: look at the first bytes.
        let start = self.body.bytes.trim_ascii_start();
        let start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start);
        let fields: [&[u8]; 4] = [b"data:", b"event:", b"id:", b":"];
        match start.first() {
            None => self.streaming,
            Some(_) => fields.iter().any(|field| start.starts_with(field)),
        }
    }

    fn last_byte_at(&self) -> Option<MonoNs> {
        self.body.chunks.last().map(|chunk| chunk.at)
    }
}

/// Reads the answers of one endpoint. Cheap to make; one for each decode thread.
#[derive(Clone, Debug)]
pub struct Decoder {
    endpoint: Arc<Endpoint>,
    keep_text: bool,
    /// Off in the tests that compare both ways of reading.
    shortcuts: bool,
}

impl Decoder {
    /// A decoder that keeps the texts of answers only if `keep_text`; lengths and kinds are always known.
    pub fn new(endpoint: Arc<Endpoint>, keep_text: bool) -> Self {
        Decoder { endpoint, keep_text, shortcuts: true }
    }

    /// Reads one answer. Never fails: what is wrong with the answer is in [`Reply::error`].
    ///
    /// An exchange that failed in the transport may be read too: the reply then holds what had come, and
    /// its error (usually `Truncated`) ranks after the transport's.
    pub fn decode(&self, view: &ExchangeView<'_>) -> Reply {
        let packed = view.packed().filter(|_| !view.body.bytes.is_empty());
        let mut reply = if !(200..300).contains(&view.status) {
            Reply { error: Some(decode_error(view.status, &view.body.bytes)), ..Reply::default() }
        } else if let Some(coding) = packed {
            let message = format!("the answer is compressed ({coding}), and no compression was asked for");
            let error = unusable(ErrorClass::InvalidResponse, message);
            Reply { error: Some(error), ..Reply::default() }
        } else if view.is_stream() {
            self.read_stream(view.body)
        } else {
            self.read_document(view)
        };
        reply.last_event_at = view.last_byte_at();
        reply
    }

    fn read_stream(&self, body: &StampedBody) -> Reply {
        let mut reading = Reading::new(self.keep_text, true, body.chunks.len() + 1);
        let mut cut = false;
        let mut events = sse::events(body);
        let mut shortcuts = Shortcuts::default();
        for event in events.by_ref() {
            let data = event.data.trim_ascii();
            if event.incomplete && data != b"[DONE]" && serde_json::from_slice::<IgnoredAny>(data).is_err() {
                cut = true;
                break;
            }
            reading.begin(event.at, event.coalesced);
            let error_event = event.name == b"error";
            if error_event || !self.shortcuts || !shortcuts.read(data, &mut reading) {
                self.read_event(error_event, data, &mut reading);
                if let (Some(text), Cow::Borrowed(data)) = (reading.only_text(), &event.data) {
                    shortcuts.learn(data.trim_ascii(), text);
                }
            }
            reading.commit();
        }
        reading.finish_stream(events.comments(), self.endpoint.kind().announces_end(), cut)
    }

    fn read_event(&self, error_event: bool, data: &[u8], reading: &mut Reading) {
        match data {
            b"[DONE]" => reading.done_marker(),
            b"" => {}
            _ if error_event => reading.error_event(&String::from_utf8_lossy(data)),
            // llama.cpp opens a batch of prompts with it.
            b"null" => {}
            _ => match self.read(data, reading) {
                Ok(Shape::Known) => {}
                // Events of a server's own are harmless, but a flat `{"message":…,"code":…}` is an error.
                Ok(Shape::Unknown) => {
                    let error = stream_error(&String::from_utf8_lossy(data));
                    if error.said.as_ref().is_some_and(|said| said.code.is_some()) {
                        reading.fail(error);
                    }
                }
                Err(error) => {
                    let message = format!("an event is not what the API promises: {error}");
                    reading.fail(unusable(ErrorClass::InvalidResponse, message));
                }
            },
        }
    }

    fn read_document(&self, view: &ExchangeView<'_>) -> Reply {
        let data = view.body.bytes.trim_ascii();
        let mut reading = Reading::new(self.keep_text, false, 1);
        if !data.is_empty() {
            reading.begin(view.last_byte_at().unwrap_or_default(), false);
            let problem = match self.read(data, &mut reading) {
                Ok(Shape::Known) => None,
                Ok(Shape::Unknown) => Some("the fields of this API are missing".to_owned()),
                Err(error) => Some(error.to_string()),
            };
            if let Some(problem) = problem {
                let kind = self.endpoint.kind();
                let content_type = view.content_type().unwrap_or("no content type");
                let message = format!("the body ({content_type}) is no answer of '{kind}': {problem}");
                reading.fail(unusable(ErrorClass::InvalidResponse, message));
            }
            reading.commit();
        }
        reading.finish_body()
    }

    /// Reads one JSON message; bytes or escapes that are no Unicode are replaced, not refused.
    fn read(&self, data: &[u8], reading: &mut Reading) -> Result<Shape, serde_json::Error> {
        match std::str::from_utf8(data) {
            Ok(text) => self.endpoint.read_message(text, reading).or_else(|error| match repaired(data) {
                Some(text) => self.endpoint.read_message(&text, reading),
                None => Err(error),
            }),
            Err(_) => {
                let text = repaired(data).unwrap_or_default();
                self.endpoint.read_message(&text, reading)
            }
        }
    }
}

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;
