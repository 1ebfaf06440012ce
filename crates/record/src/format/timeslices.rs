//! `profile_export_aiperf_timeslices.{json,csv}`: the metrics of each slice of the profiling phase (FORMATS 6).

use std::fmt;
use std::io::{self, Write};

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::summary_csv::{STATISTICS, figure, header, sorted, table};
use crate::statistics::{MetricSet, MetricSummary, Slice};
use crate::time::WallNs;

/// The whole file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TimeslicesDocument {
    /// Slices that hold requests, in time order.
    #[serde(default)]
    pub timeslices: Vec<Slice>,
    /// The configuration as run, in AIPerf's schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_config: Option<Value>,
}

impl Serialize for Slice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("start_ns", &self.start)?;
        map.serialize_entry("end_ns", &self.end)?;
        if !self.complete {
            map.serialize_entry("is_complete", &false)?;
        }
        for (tag, summary) in self.metrics.iter() {
            map.serialize_entry(tag, summary)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Slice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SliceVisitor;
        impl<'de> Visitor<'de> for SliceVisitor {
            type Value = Slice;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a slice")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Slice, A::Error> {
                let (mut start, mut end, mut complete) = (None, None, None);
                let mut metrics = MetricSet::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "start_ns" => start = Some(map.next_value()?),
                        "end_ns" => end = Some(map.next_value()?),
                        "is_complete" => complete = map.next_value::<Option<bool>>()?,
                        _ => {
                            let value: Value = map.next_value()?;
                            if value.get("unit").is_some() {
                                let summary = MetricSummary::deserialize(value).map_err(A::Error::custom)?;
                                metrics.insert(key, summary);
                            }
                        }
                    }
                }
                let missing = A::Error::missing_field;
                Ok(Slice {
                    start: start.ok_or_else(|| missing("start_ns"))?,
                    end: end.ok_or_else(|| missing("end_ns"))?,
                    complete: complete.unwrap_or(true),
                    metrics,
                })
            }
        }
        deserializer.deserialize_map(SliceVisitor)
    }
}

impl TimeslicesDocument {
    /// Writes the JSON file.
    ///
    /// # Errors
    /// The writer's own.
    pub fn write(&self, mut writer: impl Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut writer, self)?;
        writer.write_all(b"\n")?;
        writer.flush()
    }

    /// Writes the CSV file: one row for each figure.
    ///
    /// # Errors
    /// The writer's own.
    pub fn write_csv(&self, writer: impl Write) -> io::Result<()> {
        let mut rows = table(writer);
        rows.write_record(["Timeslice", "Start_NS", "End_NS", "Metric", "Unit", "Stat", "Value"])?;
        for (number, slice) in self.timeslices.iter().enumerate() {
            let (WallNs(start), WallNs(end)) = (slice.start, slice.end);
            let place = [number.to_string(), start.to_string(), end.to_string()];
            for (tag, summary) in sorted(&slice.metrics) {
                let name = header(tag);
                for stat in STATISTICS {
                    if let Some(value) = summary.stat(stat) {
                        let figure = figure(Some(value));
                        let what = [name.as_str(), summary.unit.as_ref(), stat, figure.as_str()];
                        rows.write_record(place.iter().map(String::as_str).chain(what))?;
                    }
                }
            }
        }
        rows.flush()
    }
}
