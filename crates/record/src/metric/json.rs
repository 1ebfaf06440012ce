//! Metrics as JSON: `{tag: {"value": 12.5, "unit": "ms"}}`.
//!
//! Reading is tolerant: a value that is no number (or list of numbers) is passed over, a unit other than ours
//! is converted where both measure the same, and tags we do not know are kept with the unit they came with.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{MetricId, MetricKey, MetricValue, Metrics, unit};

struct Entry<'a>(&'a MetricValue, &'a str);

impl Serialize for Entry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        match self.0 {
            MetricValue::Int(value) => map.serialize_entry("value", value)?,
            MetricValue::Float(value) => map.serialize_entry("value", value)?,
            MetricValue::List(values) if values.iter().all(|value| value.is_finite()) => {
                map.serialize_entry("value", values)?;
            }
            MetricValue::List(values) => {
                let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
                map.serialize_entry("value", &finite)?;
            }
        }
        map.serialize_entry("unit", self.1)?;
        map.end()
    }
}

impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.iter().filter(|(key, value)| key.in_files() && value.is_writable()) {
            map.serialize_entry(key.tag(), &Entry(value, key.unit()))?;
        }
        map.end()
    }
}

/// A string of the input, borrowed where it holds no escape.
struct Text<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// The value of a metric; `None` for what is neither a number nor a list of numbers.
struct Value;

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Option<MetricValue>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = Option<MetricValue>;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a number or a list of numbers")
    }
    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(MetricValue::Int(value)))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Some(match i64::try_from(value) {
            Ok(value) => MetricValue::Int(value),
            Err(_) => MetricValue::Float(value as f64),
        }))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(value.is_finite().then_some(MetricValue::Float(value)))
    }
    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(MetricValue::Int(i64::from(value))))
    }
    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(4096));
        while let Some(item) = seq.next_element_seed(Value)? {
            match item {
                Some(MetricValue::Int(value)) => values.push(value as f64),
                Some(MetricValue::Float(value)) => values.push(value),
                Some(MetricValue::List(_)) | None => {}
            }
        }
        Ok(Some(MetricValue::List(values)))
    }
}

/// Value and unit of one metric. Anything else at this place counts as no value.
struct EntryVisitor;

impl<'de> DeserializeSeed<'de> for EntryVisitor {
    type Value = (Option<MetricValue>, Option<Cow<'de, str>>);
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = (Option<MetricValue>, Option<Cow<'de, str>>);
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object with value and unit")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut value, mut unit) = (None, None);
        while let Some(Text(key)) = map.next_key()? {
            match key.as_ref() {
                "value" => value = map.next_value_seed(Value)?,
                "unit" => unit = Some(map.next_value::<Text<'de>>()?.0),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok((value, unit))
    }
}

fn converted(value: MetricValue, from: &str, to: &str) -> Option<MetricValue> {
    Some(match value {
        MetricValue::Int(value) => MetricValue::Float(unit::convert(value as f64, from, to)?),
        MetricValue::Float(value) => MetricValue::Float(unit::convert(value, from, to)?),
        MetricValue::List(values) => {
            let values = values.into_iter().map(|value| unit::convert(value, from, to));
            MetricValue::List(values.collect::<Option<_>>()?)
        }
    })
}

impl<'de> Deserialize<'de> for Metrics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MetricsVisitor;
        impl<'de> Visitor<'de> for MetricsVisitor {
            type Value = Metrics;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a map of metrics")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metrics, A::Error> {
                let mut metrics = Metrics::with_capacity(48);
                while let Some(Text(tag)) = map.next_key()? {
                    let (value, unit) = map.next_value_seed(EntryVisitor)?;
                    let Some(value) = value else { continue };
                    let ours = MetricId::from_tag(&tag);
                    let (key, value) = match (ours, unit.as_deref()) {
                        (Some(id), None) => (MetricKey::Known(id), Some(value)),
                        (Some(id), Some(unit)) if unit == id.def().unit => {
                            (MetricKey::Known(id), Some(value))
                        }
                        (Some(id), Some(unit)) => {
                            (MetricKey::Known(id), converted(value, unit, id.def().unit))
                        }
                        (None, unit) => {
                            (MetricKey::Foreign(tag.into(), unit.unwrap_or_default().into()), Some(value))
                        }
                    };
                    if let Some(value) = value {
                        metrics.push(key, value);
                    }
                }
                Ok(metrics)
            }
            /// Older files write null for a failed request.
            fn visit_unit<E>(self) -> Result<Metrics, E> {
                Ok(Metrics::default())
            }
        }
        deserializer.deserialize_any(MetricsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::catalogue;

    #[test]
    fn round_trip_keeps_types_and_foreign_metrics() {
        let text = r#"{"input_sequence_length":{"value":64,"unit":"tokens"},"request_latency":{"value":225.5,"unit":"ms"},"inter_chunk_latency":{"value":[1.5,2.0],"unit":"ms"},"their_metric":{"value":3,"unit":"apples"}}"#;
        let metrics: Metrics = serde_json::from_str(text).unwrap();
        assert_eq!(metrics.get(catalogue::INPUT_SEQUENCE_LENGTH), Some(&MetricValue::Int(64)));
        assert_eq!(serde_json::to_string(&metrics).unwrap(), text);
    }

    #[test]
    fn hidden_metrics_stay_inside() {
        let mut metrics = Metrics::default();
        metrics.int(catalogue::REQUESTED_OSL, 24);
        metrics.ms(catalogue::STREAM_SETUP_LATENCY, 5);
        metrics.ms(catalogue::EFFECTIVE_LATENCY, 5);
        metrics.int(catalogue::GOOD_REQUEST_COUNT, 1);
        assert_eq!(
            serde_json::to_string(&metrics).unwrap(),
            r#"{"good_request_count":{"value":1,"unit":"requests"}}"#
        );
    }

    #[test]
    fn odd_values_are_passed_over_and_units_converted() {
        let text = r#"{"request_latency":{"value":0.5,"unit":"sec"},"time_to_first_token":{"value":null,"unit":"ms"},
            "goodput":{"value":"x"},"inter_chunk_latency":{"value":[[1],2,null],"unit":"ms","n":{}},
            "http_req_data_sent":{"value":2048,"unit":"B"},"decode_duration":{"value":3,"unit":"apples"}}"#;
        let metrics: Metrics = serde_json::from_str(text).unwrap();
        assert_eq!(metrics.number(catalogue::REQUEST_LATENCY), Some(500.0));
        assert_eq!(metrics.number(catalogue::HTTP_REQ_DATA_SENT), Some(2.0));
        assert_eq!(metrics.get(catalogue::INTER_CHUNK_LATENCY), Some(&MetricValue::List(vec![2.0])));
        assert_eq!(metrics.len(), 3);
        assert!(serde_json::from_str::<Metrics>("null").unwrap().is_empty());
        assert!(serde_json::from_str::<Metrics>("[]").is_err());
    }
}
