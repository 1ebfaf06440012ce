//! Metrics: the catalogue of every metric we know, and the values of one record.

pub mod catalogue;
mod json;
mod slo;
pub mod unit;

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

impl MetricValue {
    /// Whether a file may hold it: a number that is finite, or a list (whose finite numbers are written).
    pub fn is_writable(&self) -> bool {
        !matches!(self, MetricValue::Float(value) if !value.is_finite())
    }
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
