//! `profile_export_raw.jsonl`: what was sent and every message that came back (FORMATS 3).

use std::collections::BTreeMap;

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::json_text;
use crate::error::RequestError;
use crate::request::Metadata;

/// A field of a server-sent event: `data`, `event`, `id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    /// Name of the field.
    pub name: String,
    /// Its value.
    #[serde(default)]
    pub value: String,
}

/// One response message with the monotonic instant of the read that completed it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum RawResponse {
    /// An event of a stream.
    Stream {
        /// Monotonic instant, ns.
        perf_ns: u64,
        /// Fields of the event.
        packets: Vec<Packet>,
    },
    /// A body of text.
    Text {
        /// Monotonic instant, ns.
        perf_ns: u64,
        /// The body.
        text: String,
        /// Its media type.
        #[serde(default)]
        content_type: Option<String>,
    },
    /// Any other body, base64 in the file.
    Binary {
        /// Monotonic instant, ns.
        perf_ns: u64,
        /// The body in base64.
        raw_bytes: String,
        /// Its media type.
        #[serde(default)]
        content_type: Option<String>,
    },
}

impl RawResponse {
    /// A body of bytes.
    pub fn binary(perf_ns: u64, bytes: &[u8], content_type: Option<String>) -> Self {
        RawResponse::Binary { perf_ns, raw_bytes: base64(bytes), content_type }
    }
}

impl Serialize for RawResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("RawResponse", 3)?;
        let content_type = match self {
            RawResponse::Stream { perf_ns, packets } => {
                fields.serialize_field("perf_ns", perf_ns)?;
                fields.serialize_field("packets", packets)?;
                &None
            }
            RawResponse::Text { perf_ns, text, content_type } => {
                fields.serialize_field("perf_ns", perf_ns)?;
                fields.serialize_field("text", text)?;
                content_type
            }
            RawResponse::Binary { perf_ns, raw_bytes, content_type } => {
                fields.serialize_field("perf_ns", perf_ns)?;
                fields.serialize_field("raw_bytes", raw_bytes)?;
                content_type
            }
        };
        if let Some(content_type) = content_type {
            fields.serialize_field("content_type", content_type)?;
        }
        fields.end()
    }
}

/// RFC 4648 base64 with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let mut bits = 0u32;
        for place in 0..3 {
            bits = bits << 8 | u32::from(three.get(place).copied().unwrap_or(0));
        }
        for place in 0..4 {
            let letter = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize] as char;
            text.push(if place <= three.len() { letter } else { '=' });
        }
    }
    text
}

/// One line, as it is written.
#[derive(Debug, Serialize)]
pub struct RawRecord<'a> {
    /// As in `profile_export.jsonl`; join the two files on `x_request_id`.
    pub metadata: &'a Metadata,
    /// Monotonic instant at which the request began, ns: the zero of the responses' `perf_ns`.
    pub start_perf_ns: u64,
    /// Headers as sent, secrets redacted.
    pub request_headers: BTreeMap<String, String>,
    /// Status, when an answer came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Every message of the answer, in order.
    pub responses: Vec<RawResponse>,
    /// Why the request failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a RequestError>,
    /// The body as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Box<RawValue>>,
}

impl RawRecord<'_> {
    /// The line, line end included.
    pub fn to_line(mut self) -> Vec<u8> {
        let size: usize = self.payload.as_ref().map_or(0, |payload| payload.get().len());
        let mut line = Vec::with_capacity(1024 + size + 256 * self.responses.len());
        // A body may have been written over several lines; the line must be one.
        if let Some(payload) = &self.payload
            && let std::borrow::Cow::Owned(text) = json_text::one_line(payload)
        {
            self.payload = RawValue::from_string(text).ok();
        }
        // Neither memory nor these types can fail to be written.
        match serde_json::to_writer(&mut line, &self) {
            Ok(()) => line.push(b'\n'),
            Err(_) => line.clear(),
        }
        line
    }
}

/// One line, as it is read: our files and AIPerf's.
#[derive(Debug, Deserialize)]
pub struct RawLine {
    /// As in `profile_export.jsonl`.
    pub metadata: Metadata,
    /// Monotonic instant at which the request began, ns.
    #[serde(default)]
    pub start_perf_ns: u64,
    /// Headers as sent, secrets redacted.
    #[serde(default)]
    pub request_headers: BTreeMap<String, String>,
    /// Status, when an answer came.
    #[serde(default)]
    pub status: Option<u16>,
    /// Every message of the answer, in order.
    #[serde(default)]
    pub responses: Vec<RawResponse>,
    /// Why the request failed.
    #[serde(default)]
    pub error: Option<RequestError>,
    /// The body as sent.
    #[serde(default)]
    pub payload: Option<Box<RawValue>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_the_vectors_of_rfc_4648() {
        for (plain, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), text);
        }
    }

    #[test]
    fn a_line_is_one_line_and_comes_back() {
        let metadata = Metadata { session_num: Some(3), ..Metadata::default() };
        let body = "{\n  \"model\": \"m\",\n  \"messages\": []\n}";
        let responses = vec![
            RawResponse::Stream {
                perf_ns: 7,
                packets: vec![Packet { name: "data".into(), value: "[DONE]".into() }],
            },
            RawResponse::Text { perf_ns: 8, text: "a\nb".into(), content_type: None },
            RawResponse::binary(9, &[0, 255], Some("image/png".into())),
        ];
        let raw = RawRecord {
            metadata: &metadata,
            start_perf_ns: 5,
            request_headers: BTreeMap::new(),
            status: Some(200),
            responses: responses.clone(),
            error: None,
            payload: RawValue::from_string(body.to_owned()).ok(),
        };
        let line = String::from_utf8(raw.to_line()).unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        assert!(!line.contains("null"));
        let back: RawLine = serde_json::from_str(&line).unwrap();
        assert_eq!((back.responses, back.start_perf_ns, back.status), (responses, 5, Some(200)));
        assert!(back.payload.unwrap().get().contains("\"messages\": []"));
    }

    #[test]
    fn files_of_aiperf_are_read() {
        for run in ["aiperf-run-streaming", "aiperf-run-errors"] {
            let path =
                format!("{}/../../tests/fixtures/{run}/profile_export_raw.jsonl", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(path).unwrap();
            let lines: Vec<RawLine> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert!(lines.iter().all(|line| line.payload.is_some() && line.start_perf_ns > 0));
            for line in lines.iter().filter(|line| line.error.is_none()) {
                assert!(line.responses.iter().all(|response| matches!(response, RawResponse::Stream { .. })));
                assert!(line.responses.len() > 3);
            }
        }
    }
}
