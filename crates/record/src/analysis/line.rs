//! One line of `profile_export.jsonl`, read for analysis: only the fields that figures need, borrowed from the line.
//!
//! Everything else is skipped without being built. Metric values stay raw text until somebody asks for one, so a
//! line with trace data never pays for the metrics that its trace already answers. serde reads any line; lines of the
//! usual form take a shorter way ([`usual`]).

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::analysis::quantity;

mod usual;

pub(crate) use usual::Layout;

/// Tags whose values the analysis itself may ask for; their position is their slot.
pub(crate) const TAGS: [&str; 27] = [
    "input_tokens",
    "num_input_tokens",
    "input_sequence_length",
    "usage_prompt_tokens",
    "output_tokens",
    "num_output_tokens",
    "output_sequence_length",
    "output_token_count",
    "usage_completion_tokens",
    "request_latency",
    "time_to_first_token",
    "inter_token_latency",
    "inter_chunk_latency",
    "http_req_blocked",
    "http_req_dns_lookup",
    "http_req_connecting",
    "http_req_sending",
    "http_req_waiting",
    "http_req_receiving",
    "http_req_duration",
    "http_req_data_sent",
    "http_req_data_received",
    "http_req_chunks_sent",
    "http_req_chunks_received",
    "http_req_connection_reused",
    "http_req_tcp_connecting",
    "http_req_tls_handshaking",
];

/// Slots of the tags that count input tokens; the first present wins (contract ANALYZE 2.10).
pub(crate) const INPUT_TOKENS: std::ops::Range<usize> = 0..4;
/// Slots of the tags that count output tokens; the first present wins.
pub(crate) const OUTPUT_TOKENS: std::ops::Range<usize> = 4..9;

/// Which metrics to keep while reading lines: the analysis's own and those a filter names.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Tags by length of their name, each with its slot.
    by_length: Vec<Vec<(Box<str>, usize)>>,
    slots: usize,
}

impl Wanted {
    /// The analysis's own tags and `extra` ones.
    pub(crate) fn new<'a>(extra: impl IntoIterator<Item = &'a str>) -> Self {
        let mut wanted = Wanted { by_length: Vec::new(), slots: 0 };
        for tag in TAGS.into_iter().chain(extra) {
            if wanted.slot(tag).is_none() {
                if wanted.by_length.len() <= tag.len() {
                    wanted.by_length.resize(tag.len() + 1, Vec::new());
                }
                wanted.by_length[tag.len()].push((tag.into(), wanted.slots));
                wanted.slots += 1;
            }
        }
        wanted
    }

    /// The slot of a tag.
    pub(crate) fn slot(&self, tag: &str) -> Option<usize> {
        self.by_length.get(tag.len())?.iter().find(|(name, _)| **name == *tag).map(|(_, slot)| *slot)
    }
}

/// A string of the line, borrowed unless it has escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(value)))
            }
            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(value.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// What is read of `metadata`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct MetadataPart<'a> {
    #[serde(borrow, default)]
    pub(crate) x_request_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) conversation_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(crate) benchmark_phase: Option<Text<'a>>,
    #[serde(default)]
    pub(crate) session_num: Option<u64>,
    #[serde(default)]
    pub(crate) turn_index: Option<u32>,
    #[serde(default)]
    pub(crate) credit_issued_ns: Option<u64>,
    #[serde(default)]
    pub(crate) request_start_ns: Option<u64>,
    #[serde(default)]
    pub(crate) request_end_ns: Option<u64>,
    #[serde(default)]
    pub(crate) was_cancelled: bool,
}

/// `[instant, bytes]` of one read or write.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Chunk(pub(crate) u64, pub(crate) u64);

/// What is read of `trace_data`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct TracePart<'a> {
    #[serde(borrow, default)]
    pub(crate) trace_type: Option<Text<'a>>,
    #[serde(default)]
    pub(crate) request_send_start_ns: Option<u64>,
    #[serde(default)]
    pub(crate) request_send_end_ns: Option<u64>,
    #[serde(default)]
    pub(crate) request_bytes_total: Option<u64>,
    #[serde(default)]
    pub(crate) request_chunks: Vec<Chunk>,
    #[serde(default)]
    pub(crate) response_status_code: Option<u16>,
    #[serde(default)]
    pub(crate) response_receive_start_ns: Option<u64>,
    #[serde(default)]
    pub(crate) response_receive_end_ns: Option<u64>,
    #[serde(default)]
    pub(crate) response_chunks: Vec<Chunk>,
    #[serde(default)]
    pub(crate) response_chunks_count: Option<u64>,
    #[serde(default)]
    pub(crate) response_bytes_total: Option<u64>,
    #[serde(default)]
    pub(crate) error_timestamp_ns: Option<u64>,
    #[serde(default)]
    pub(crate) connection_pool_wait_start_ns: Option<u64>,
    #[serde(default)]
    pub(crate) connection_pool_wait_end_ns: Option<u64>,
    #[serde(default)]
    pub(crate) tcp_connect_start_ns: Option<u64>,
    #[serde(default)]
    pub(crate) tcp_connect_end_ns: Option<u64>,
    #[serde(default)]
    pub(crate) tls_start_ns: Option<u64>,
    #[serde(default)]
    pub(crate) tls_end_ns: Option<u64>,
    #[serde(default)]
    pub(crate) connection_reused_ns: Option<u64>,
    #[serde(default)]
    pub(crate) dns_cache_hit_ns: Option<u64>,
    #[serde(default)]
    pub(crate) dns_lookup_start_ns: Option<u64>,
    #[serde(default)]
    pub(crate) dns_lookup_end_ns: Option<u64>,
    #[serde(default)]
    pub(crate) connection_request_number: Option<u32>,
    #[serde(default)]
    pub(crate) connection: Option<ConnectionPart>,
    #[serde(default)]
    pub(crate) client_recv_lag_ns: Option<u64>,
    #[serde(default)]
    pub(crate) attempts: Vec<IgnoredAny>,
}

/// What is read of `trace_data.connection`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ConnectionPart {
    #[serde(default)]
    pub(crate) connection_id: Option<u64>,
}

/// What is read of `error`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ErrorPart<'a> {
    #[serde(default)]
    pub(crate) code: Option<i64>,
    #[serde(borrow, default, rename = "type")]
    pub(crate) kind: Option<Text<'a>>,
}

/// The wanted metrics of one line, as raw `{"value": ..., "unit": ...}` objects.
#[derive(Debug, Default)]
pub(crate) struct MetricsPart<'a> {
    raw: Vec<Option<&'a str>>,
}

#[derive(Deserialize)]
struct ScalarEntry<'a> {
    value: f64,
    #[serde(borrow, default)]
    unit: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct ListEntry {
    value: Vec<f64>,
}

impl MetricsPart<'_> {
    fn raw(&self, slot: usize) -> Option<&str> {
        *self.raw.get(slot)?
    }

    /// The value of a scalar metric as the file has it.
    pub(crate) fn number(&self, slot: usize) -> Option<f64> {
        let raw = self.raw(slot)?;
        let value = match usual::scalar(raw) {
            Some(value) => value,
            None => serde_json::from_str::<ScalarEntry>(raw).ok()?.value,
        };
        value.is_finite().then_some(value)
    }

    /// The value of a scalar metric in the base unit of its own unit's dimension (ns, bytes, ratio).
    pub(crate) fn base_number(&self, slot: usize) -> Option<f64> {
        let entry: ScalarEntry = serde_json::from_str(self.raw(slot)?).ok()?;
        let unit = entry.unit.as_ref().map_or("", |unit| &unit.0);
        Some(entry.value * quantity::unit(unit).1).filter(|value| value.is_finite())
    }

    /// A duration metric, which files hold in ms, in ns.
    pub(crate) fn duration_ns(&self, slot: usize) -> Option<u64> {
        let ms = self.number(slot)?;
        (ms >= 0.0).then(|| (ms * 1e6).round() as u64)
    }

    /// The values of a list metric as the file has them.
    pub(crate) fn list(&self, slot: usize) -> Option<Vec<f64>> {
        serde_json::from_str::<ListEntry>(self.raw(slot)?).ok().map(|entry| entry.value)
    }

    /// The first of several slots that has a number.
    pub(crate) fn first_number(&self, mut slots: std::ops::Range<usize>) -> Option<f64> {
        slots.find_map(|slot| self.number(slot))
    }
}

/// One line, read for analysis.
#[derive(Debug, Default)]
pub(crate) struct Line<'a> {
    pub(crate) metadata: MetadataPart<'a>,
    pub(crate) metrics: MetricsPart<'a>,
    pub(crate) trace: Option<TracePart<'a>>,
    pub(crate) error: Option<ErrorPart<'a>>,
}

impl<'a> Line<'a> {
    /// Reads a line; the error says where in the line and why.
    pub(crate) fn parse(
        line: &'a [u8],
        wanted: &Wanted,
        layout: &mut Layout,
    ) -> Result<Self, serde_json::Error> {
        // Checked once as a whole, the line need not be checked again string by string.
        let text = std::str::from_utf8(line).map_err(serde_json::Error::custom)?;
        usual::line(text, wanted, layout).map_or_else(|| Self::parse_any(text, wanted), Ok)
    }

    fn parse_any(text: &'a str, wanted: &Wanted) -> Result<Self, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let parsed = LineSeed(wanted).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(parsed)
    }
}

struct LineSeed<'w>(&'w Wanted);

impl<'de> DeserializeSeed<'de> for LineSeed<'_> {
    type Value = Line<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for LineSeed<'_> {
    type Value = Line<'de>;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a record object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut line = Line::default();
        let mut has_metadata = false;
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match &*key.0 {
                "metadata" => {
                    line.metadata = map.next_value()?;
                    has_metadata = true;
                }
                "metrics" => line.metrics = map.next_value_seed(MetricsSeed(self.0))?,
                "trace_data" => line.trace = map.next_value()?,
                "error" => line.error = map.next_value()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if has_metadata { Ok(line) } else { Err(A::Error::missing_field("metadata")) }
    }
}

struct MetricsSeed<'w>(&'w Wanted);

impl<'de> DeserializeSeed<'de> for MetricsSeed<'_> {
    type Value = MetricsPart<'de>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for MetricsSeed<'_> {
    type Value = MetricsPart<'de>;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a map of metrics")
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(MetricsPart::default())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut raw = vec![None; self.0.slots];
        while let Some(tag) = map.next_key::<Text<'de>>()? {
            match self.0.slot(&tag.0) {
                Some(slot) => raw[slot] = Some(map.next_value::<&'de RawValue>()?.get()),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(MetricsPart { raw })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Line<'_>, String> {
        Line::parse(line.as_bytes(), &Wanted::new([]), &mut Layout::default())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_slot_ranges_name_the_token_tags() {
        assert!(
            INPUT_TOKENS.map(|slot| TAGS[slot]).all(|tag| tag.contains("input") || tag.contains("prompt"))
        );
        assert!(
            OUTPUT_TOKENS.map(|slot| TAGS[slot]).all(|tag| tag.contains("output") || tag.contains("compl"))
        );
        let wanted = Wanted::new(["foreign_metric", "request_latency"]);
        assert_eq!(wanted.slots, TAGS.len() + 1);
        assert_eq!(wanted.slot("foreign_metric"), Some(TAGS.len()));
        assert_eq!(wanted.slot("nobody"), None);
    }

    #[test]
    fn values_are_read_when_asked_for() {
        let text = r#"{"metadata":{"x_request_id":"a\"b"},"metrics":{"request_latency":{"value":12.5,"unit":"ms"},
            "inter_chunk_latency":{"value":[1.0,0,2],"unit":"ms"},"unknown":{"value":{},"unit":"x"},
            "http_req_data_received":{"unit":"KB","value":2}},"other":[1,{"a":null}]}"#;
        let line = parse(text).unwrap();
        assert_eq!(line.metadata.x_request_id.unwrap().0, "a\"b");
        let wanted = Wanted::new([]);
        let slot = |tag| wanted.slot(tag).unwrap();
        assert_eq!(line.metrics.duration_ns(slot("request_latency")), Some(12_500_000));
        assert_eq!(line.metrics.list(slot("inter_chunk_latency")), Some(vec![1.0, 0.0, 2.0]));
        assert_eq!(line.metrics.number(slot("inter_chunk_latency")), None);
        assert_eq!(line.metrics.base_number(slot("http_req_data_received")), Some(2048.0));
        assert_eq!(line.metrics.number(slot("time_to_first_token")), None);
    }

    #[test]
    fn a_line_that_is_no_record_says_why() {
        assert!(parse("{}").unwrap_err().contains("missing field `metadata`"));
        assert!(parse("[1]").unwrap_err().contains("expected a record object"));
        assert!(parse(r#"{"metadata":{}}x"#).unwrap_err().contains("trailing characters"));
        assert!(parse(r#"{"metadata":{},"metrics":{"request_la"#).unwrap_err().contains("EOF"));
        assert!(parse(r#"{"metadata":{},"metrics":null,"trace_data":null,"error":null}"#).is_ok());
    }
}
