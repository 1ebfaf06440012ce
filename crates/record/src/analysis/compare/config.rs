//! Do two runs differ in what was asked of them? Their configurations, key by key.

use serde::Serialize;
use serde_json::Value;

/// How much a difference of configuration matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// The runs did different work or bore different load: their latencies cannot be compared.
    Refuse,
    /// The difference may be what is being compared (another model, another build), or explain a part of it.
    Warn,
}

/// One key in which two configurations differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The key, such as `phases[0].concurrency`.
    pub key: String,
    /// In the baseline; absent when it is not set there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// In the other run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<String>,
    /// Whether it matters.
    pub weight: Weight,
}

/// Keys (without indices) by how much a difference matters; the first that the key begins with decides. What is not
/// listed, such as paths and names, does not matter.
const WEIGHTS: &[(&str, Option<Weight>)] = &[
    ("endpoint.type", Some(Weight::Refuse)),
    ("endpoint.streaming", Some(Weight::Refuse)),
    ("endpoint.extra", Some(Weight::Refuse)),
    ("endpoint.connection_reuse", Some(Weight::Refuse)),
    ("endpoint.timeout", Some(Weight::Warn)),
    ("datasets.name", None),
    ("datasets.entries", Some(Weight::Warn)),
    ("datasets.random_seed", Some(Weight::Warn)),
    ("datasets.path", Some(Weight::Warn)),
    ("datasets", Some(Weight::Refuse)),
    ("phases.name", None),
    ("phases.requests", Some(Weight::Warn)),
    ("phases.duration", Some(Weight::Warn)),
    ("phases.sessions", Some(Weight::Warn)),
    ("phases.grace_period", Some(Weight::Warn)),
    ("phases", Some(Weight::Refuse)),
    ("models", Some(Weight::Warn)),
    ("tokenizer", Some(Weight::Warn)),
    ("random_seed", Some(Weight::Warn)),
    ("slos", Some(Weight::Warn)),
    ("tokmeter.version", Some(Weight::Warn)),
    ("tokmeter.random_seed", Some(Weight::Warn)),
    ("tokmeter.token_source", Some(Weight::Refuse)),
    ("tokmeter.verdict.verdict", Some(Weight::Warn)),
];

fn weight(key: &str) -> Option<Weight> {
    let mut plain = String::with_capacity(key.len());
    let mut inside = false;
    for character in key.chars() {
        match character {
            '[' => inside = true,
            ']' => inside = false,
            other if !inside => plain.push(other),
            _ => {}
        }
    }
    let begins = |prefix: &str| {
        plain.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    WEIGHTS.iter().find(|(prefix, _)| begins(prefix)).and_then(|(_, weight)| *weight)
}

/// The leaves of a JSON value with their keys.
fn leaves(key: &str, value: &Value, out: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                leaves(&key, member, out);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                leaves(&format!("{key}[{index}]"), item, out);
            }
        }
        Value::String(text) => out.push((key.to_owned(), text.clone())),
        Value::Null => {}
        // 64 and 64.0 are the same setting.
        Value::Number(number) => {
            out.push((
                key.to_owned(),
                number.as_f64().map_or_else(|| number.to_string(), |number| number.to_string()),
            ));
        }
        Value::Bool(flag) => out.push((key.to_owned(), flag.to_string())),
    }
}

/// What matters of a summary file: `input_config`, and of `tokmeter` what describes the run.
fn settings(summary: &Value) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    if let Some(config) = summary.get("input_config") {
        leaves("", config, &mut settings);
    }
    if let Some(ours) = summary.get("tokmeter") {
        leaves("tokmeter", ours, &mut settings);
    }
    settings.retain(|(key, _)| weight(key).is_some());
    settings.sort();
    settings
}

/// The differences that matter between the summaries (`profile_export_aiperf.json`) of two runs, the weightiest first.
pub fn differences(baseline: &Value, candidate: &Value) -> Vec<Difference> {
    let (from, to) = (settings(baseline), settings(candidate));
    let find = |settings: &[(String, String)], key: &str| {
        settings.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone())
    };
    let mut keys: Vec<&String> = from.iter().chain(&to).map(|(key, _)| key).collect();
    keys.sort();
    keys.dedup();
    let mut differences: Vec<Difference> = keys
        .into_iter()
        .filter_map(|key| {
            let (baseline, candidate) = (find(&from, key), find(&to, key));
            let weight = weight(key).filter(|_| baseline != candidate)?;
            Some(Difference { key: key.clone(), baseline, candidate, weight })
        })
        .collect();
    differences.sort_by(|a, b| (a.weight, &a.key).cmp(&(b.weight, &b.key)));
    differences
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn summary() -> Value {
        json!({"input_config": {
            "models": {"items": [{"name": "m"}]},
            "endpoint": {"urls": ["http://a"], "type": "chat", "streaming": true},
            "datasets": [{"name": "main", "type": "synthetic", "entries": 40, "prompts": {"isl": {"mean": 64.0}}}],
            "phases": [{"name": "profiling", "type": "concurrency", "requests": 40, "concurrency": 4}],
            "artifacts": {"dir": "x"}
        }, "tokmeter": {"token_source": "usage"}})
    }

    fn differing(change: impl FnOnce(&mut Value)) -> Vec<(String, Weight)> {
        let mut other = summary();
        change(&mut other);
        differences(&summary(), &other).into_iter().map(|found| (found.key, found.weight)).collect()
    }

    #[test]
    fn what_does_not_matter_is_not_mentioned() {
        assert_eq!(differing(|_| ()), []);
        assert_eq!(differing(|other| other["input_config"]["endpoint"]["urls"][0] = json!("http://b")), []);
        assert_eq!(differing(|other| other["input_config"]["artifacts"]["dir"] = json!("y")), []);
        let whole =
            |other: &mut Value| other["input_config"]["datasets"][0]["prompts"]["isl"]["mean"] = json!(64);
        assert_eq!(differing(whole), []);
    }

    #[test]
    fn other_load_or_work_is_refused_and_other_models_are_mentioned() {
        let found = differing(|other| {
            other["input_config"]["models"]["items"][0]["name"] = json!("n");
            other["input_config"]["phases"][0]["concurrency"] = json!(8);
            other["input_config"]["phases"][0]["requests"] = json!(80);
            other["input_config"]["datasets"][0]["prompts"]["isl"]["mean"] = json!(65.0);
            other["tokmeter"]["token_source"] = json!("builtin");
        });
        assert_eq!(
            found,
            [
                ("datasets[0].prompts.isl.mean".to_owned(), Weight::Refuse),
                ("phases[0].concurrency".to_owned(), Weight::Refuse),
                ("tokmeter.token_source".to_owned(), Weight::Refuse),
                ("models.items[0].name".to_owned(), Weight::Warn),
                ("phases[0].requests".to_owned(), Weight::Warn),
            ]
        );
    }

    #[test]
    fn a_key_that_only_one_has_is_a_difference() {
        let found = differing(|other| other["input_config"]["phases"][0]["rate"] = json!(20.0));
        assert_eq!(found, [("phases[0].rate".to_owned(), Weight::Refuse)]);
        assert_eq!(differences(&json!({}), &json!({"input_config": 5})), []);
    }
}
