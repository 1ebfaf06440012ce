//! A page as JSON, for people and for comparison with other parsers.

use serde_json::{Map, Value, json};

use super::{Family, FamilyKind, Page, Part, Sample};

impl Page<'_> {
    /// The page as `{"families": [{name, type, help?, unit?, samples: [{name, labels, value, timestamp?}]}],
    /// "problems": [...]}`. Time stamps are seconds; values that JSON does not know are text (`NaN`, `+Inf`).
    pub fn to_json(&self) -> Value {
        let families: Vec<Value> = self.families.iter().map(|family| self.family_json(family)).collect();
        let problems: Vec<String> = self.problems.kept.iter().map(ToString::to_string).collect();
        json!({ "families": families, "problems": problems })
    }

    fn family_json(&self, family: &Family<'_>) -> Value {
        let samples: Vec<Value> = self.samples(family).iter().map(|s| self.sample_json(family, s)).collect();
        let mut object = Map::new();
        object.insert("name".to_owned(), json!(family.name));
        object.insert("type".to_owned(), json!(family.kind.as_str()));
        object.extend(family.help.as_ref().map(|help| ("help".to_owned(), json!(help))));
        object.extend(family.unit.as_ref().map(|unit| ("unit".to_owned(), json!(unit))));
        object.insert("samples".to_owned(), Value::Array(samples));
        Value::Object(object)
    }

    fn sample_json(&self, family: &Family<'_>, sample: &Sample<'_>) -> Value {
        let labels = self.all_labels(sample).iter().map(|l| (l.name.to_string(), json!(l.value)));
        let mut object = Map::new();
        object.insert("name".to_owned(), Value::String(sample_name(family, sample.part)));
        object.insert("labels".to_owned(), Value::Object(labels.collect()));
        object.insert("value".to_owned(), number(sample.value));
        let timestamp = sample.timestamp_ns.map(|ns| ("timestamp".to_owned(), json!(ns as f64 / 1e9)));
        object.extend(timestamp);
        Value::Object(object)
    }
}

/// The name of a sample line; a counter's is shown with `_total`.
fn sample_name(family: &Family<'_>, part: Part) -> String {
    let gauge = family.kind == FamilyKind::GaugeHistogram;
    let suffix = match (part, family.kind) {
        (Part::Value, FamilyKind::Counter) => "_total",
        (Part::Value, FamilyKind::Info) => "_info",
        (Part::Value | Part::Quantile, _) => "",
        (Part::Bucket, _) => "_bucket",
        (Part::Sum, _) if gauge => "_gsum",
        (Part::Count, _) if gauge => "_gcount",
        (Part::Sum, _) => "_sum",
        (Part::Count, _) => "_count",
        (Part::Created, _) => "_created",
    };
    format!("{}{suffix}", family.name)
}

fn number(value: f64) -> Value {
    if value.is_nan() {
        json!("NaN")
    } else if value.is_infinite() {
        json!(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else {
        json!(value)
    }
}
