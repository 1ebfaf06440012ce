//! Metrics: the catalogue of every metric we know, and the values of one record.

pub mod catalogue;
mod slo;
pub mod unit;

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use catalogue::{Flags, Group, Kind, MetricDef, MetricId, Source, ValueType};
pub use slo::{Slo, SloError, Slos};

/// The value of one metric in one record, in the unit of the file (`MetricDef::unit`).
#[derive(Clone, Debug, PartialEq)]
pub enum MetricValue {
    /// Tokens and counts: stay integers in files.
    Int(i64),
    /// Times, rates, ratios.
    Float(f64),
    /// One value for each event: `inter_chunk_latency`.
    List(Vec<f64>),
}

/// Name of a metric: one of ours, or one that another tool wrote.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MetricKey {
    /// In our catalogue.
    Known(MetricId),
    /// Not in our catalogue: tag and unit as found.
    Foreign(Box<str>, Box<str>),
}

impl MetricKey {
    /// The tag, as files show it.
    pub fn tag(&self) -> &str {
        match self {
            MetricKey::Known(id) => id.def().tag,
            MetricKey::Foreign(tag, _) => tag,
        }
    }

    /// Whether a record line may hold it: internal metrics are inputs of others and never leave the program.
    pub fn in_files(&self) -> bool {
        match self {
            MetricKey::Known(id) => id.def().in_records(),
            MetricKey::Foreign(..) => true,
        }
    }

    /// The unit, as files show it.
    pub fn unit(&self) -> &str {
        match self {
            MetricKey::Known(id) => id.def().unit,
            MetricKey::Foreign(_, unit) => unit,
        }
    }
}

/// The metrics of one record, in the order they were added.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    values: Vec<(MetricKey, MetricValue)>,
}

impl Metrics {
    /// No metrics yet, with room for the usual number.
    pub fn with_capacity(n: usize) -> Self {
        Metrics { values: Vec::with_capacity(n) }
    }

    /// Adds an integer metric.
    pub fn int(&mut self, id: MetricId, value: i64) {
        self.values.push((MetricKey::Known(id), MetricValue::Int(value)));
    }

    /// Adds a float metric; a value that is not finite is left out, as files never hold one.
    pub fn float(&mut self, id: MetricId, value: f64) {
        if value.is_finite() {
            self.values.push((MetricKey::Known(id), MetricValue::Float(value)));
        }
    }

    /// Adds a duration given in ns, written in ms.
    pub fn ms(&mut self, id: MetricId, duration_ns: u64) {
        self.float(id, duration_ns as f64 / 1e6);
    }

    /// Adds a list metric.
    pub fn list(&mut self, id: MetricId, values: Vec<f64>) {
        self.values.push((MetricKey::Known(id), MetricValue::List(values)));
    }

    /// Adds a metric under any key.
    pub fn push(&mut self, key: MetricKey, value: MetricValue) {
        self.values.push((key, value));
    }

    /// The value of a metric.
    pub fn get(&self, id: MetricId) -> Option<&MetricValue> {
        self.values.iter().find_map(|(key, value)| match key {
            MetricKey::Known(known) if *known == id => Some(value),
            _ => None,
        })
    }

    /// The value of a scalar metric as a float.
    pub fn number(&self, id: MetricId) -> Option<f64> {
        match self.get(id)? {
            MetricValue::Int(value) => Some(*value as f64),
            MetricValue::Float(value) => Some(*value),
            MetricValue::List(_) => None,
        }
    }

    /// All metrics.
    pub fn iter(&self) -> impl Iterator<Item = (&MetricKey, &MetricValue)> {
        self.values.iter().map(|(key, value)| (key, value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

struct Entry<'a>(&'a MetricValue, &'a str);

impl Serialize for Entry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        match self.0 {
            MetricValue::Int(value) => map.serialize_entry("value", value)?,
            MetricValue::Float(value) => map.serialize_entry("value", value)?,
            MetricValue::List(values) => map.serialize_entry("value", values)?,
        }
        map.serialize_entry("unit", self.1)?;
        map.end()
    }
}

impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.values.iter().filter(|(key, _)| key.in_files()) {
            map.serialize_entry(key.tag(), &Entry(value, key.unit()))?;
        }
        map.end()
    }
}

#[derive(Deserialize)]
struct OwnedEntry {
    value: OwnedValue,
    #[serde(default)]
    unit: String,
}

/// Int, float or list without `untagged`'s buffering.
struct OwnedValue(MetricValue);

impl<'de> Deserialize<'de> for OwnedValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;
        impl<'de> Visitor<'de> for ValueVisitor {
            type Value = OwnedValue;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number or a list of numbers")
            }
            fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
                Ok(OwnedValue(MetricValue::Int(value)))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                Ok(OwnedValue(match i64::try_from(value) {
                    Ok(value) => MetricValue::Int(value),
                    Err(_) => MetricValue::Float(value as f64),
                }))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
                Ok(OwnedValue(MetricValue::Float(value)))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut values = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(4096));
                while let Some(value) = seq.next_element::<f64>()? {
                    values.push(value);
                }
                Ok(OwnedValue(MetricValue::List(values)))
            }
        }
        deserializer.deserialize_any(ValueVisitor)
    }
}

impl<'de> Deserialize<'de> for Metrics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MetricsVisitor;
        impl<'de> Visitor<'de> for MetricsVisitor {
            type Value = Metrics;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a map of metrics")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut metrics = Metrics::with_capacity(48);
                while let Some(tag) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                    let entry: OwnedEntry = map.next_value()?;
                    let key = match MetricId::from_tag(&tag) {
                        Some(id) => MetricKey::Known(id),
                        None => MetricKey::Foreign(tag.into(), entry.unit.into()),
                    };
                    metrics.push(key, entry.value.0);
                }
                Ok(metrics)
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Metrics::default())
            }
        }
        deserializer.deserialize_any(MetricsVisitor)
    }
}
