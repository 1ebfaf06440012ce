//! What the page says of a run beside its requests: figures, verdict, notes, errors, configuration.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::analysis::insights::Insight;
use crate::analysis::report::LineCounts;
use crate::format::SummaryDocument;
use crate::format::summary_json::RunInfo;
use crate::metric::{Group, MetricId};
use crate::statistics::{ErrorCount, MetricSet, MetricSummary};

/// A metric as tables show it.
#[derive(Debug, Serialize)]
struct Shown {
    tag: String,
    header: String,
    /// What it means; empty for metrics of other tools.
    doc: &'static str,
    larger_is_better: bool,
    /// Place in the table; those without one come last.
    order: u16,
    #[serde(flatten)]
    figures: MetricSummary,
}

/// The summary of a run as the page gets it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Facts {
    metrics: Vec<Shown>,
    warmup_metrics: Vec<Shown>,
    /// `valid`, `client-bound`, ... with the reasons, where the run has one.
    verdict: Option<Verdict>,
    /// What a reader should know before believing the numbers.
    notes: Vec<String>,
    insights: Vec<Insight>,
    errors: Vec<ErrorCount>,
    start_time: Option<String>,
    end_time: Option<String>,
    run_info: Option<RunInfo>,
    configuration: Option<Value>,
    /// What only tokmeter says.
    own: Map<String, Value>,
    lines: Option<LineCounts>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Verdict {
    word: String,
    reasons: Vec<String>,
}

impl Facts {
    /// What a summary file tells.
    pub(super) fn of(document: SummaryDocument) -> Facts {
        let own = document.tokmeter;
        let mut notes = strings(own.get("notes"));
        if document.was_cancelled == Some(true) {
            notes.push("the run was cancelled before its end".to_owned());
        }
        if document.is_complete == Some(false) {
            let reason = document.incomplete_reason.as_deref().unwrap_or("no reason given");
            notes.push(format!("the run is not complete: {reason}"));
        }
        Facts {
            metrics: shown(&document.metrics),
            warmup_metrics: document.warmup_metrics.as_ref().map(shown).unwrap_or_default(),
            verdict: own.get("verdict").and_then(verdict),
            notes,
            errors: document.error_summary,
            start_time: document.start_time,
            end_time: document.end_time,
            run_info: document.run_info,
            configuration: document.input_config,
            own,
            ..Facts::default()
        }
    }

    /// Adds what the records tell.
    pub(super) fn analyzed(&mut self, insights: Vec<Insight>, lines: LineCounts) {
        if lines.bad > 0 {
            let first = lines.bad_lines.first();
            let first = first
                .map_or_else(String::new, |bad| format!("; the first is line {}: {}", bad.line, bad.reason));
            self.notes.push(format!("{} lines are no records and left out{first}", lines.bad));
        }
        self.insights = insights;
        self.lines = Some(lines);
    }

    /// Adds a remark.
    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }
}

/// `"valid"`, or an object with the word under `verdict` (or `word`) and `reasons`.
fn verdict(value: &Value) -> Option<Verdict> {
    if let Some(word) = value.as_str() {
        return Some(Verdict { word: word.to_owned(), reasons: Vec::new() });
    }
    let word = ["verdict", "word", "status"].iter().find_map(|key| value.get(key)?.as_str())?;
    Some(Verdict { word: word.to_owned(), reasons: strings(value.get("reasons")) })
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let Some(Value::Array(values)) = value else { return Vec::new() };
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(parts) => {
            let of = |key: &str| parts.get(key).and_then(Value::as_str);
            Some(of("message").or(of("text")).or(of("reason"))?.to_owned())
        }
        _ => None,
    };
    values.iter().filter_map(text).collect()
}

fn shown(metrics: &MetricSet) -> Vec<Shown> {
    let mut known = BTreeMap::new();
    for (tag, figures) in metrics.iter() {
        let def = MetricId::from_tag(tag).map(MetricId::def);
        let order = def.and_then(|def| def.order).unwrap_or(u16::MAX);
        let shown = Shown {
            tag: tag.to_owned(),
            header: def.map_or(tag, |def| def.header).to_owned(),
            doc: def.map_or("", |def| def.doc),
            larger_is_better: def.is_some_and(|def| def.larger_is_better()),
            order,
            figures: figures.clone(),
        };
        // The main table first: it holds what people look for.
        let elsewhere = def.is_none_or(|def| def.group != Group::Default);
        known.insert((elsewhere, order, tag.to_owned()), shown);
    }
    known.into_values().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_verdict_is_a_word_with_reasons() {
        let valid = verdict(&json!("valid")).unwrap();
        assert_eq!((valid.word.as_str(), valid.reasons.len()), ("valid", 0));
        let bound = verdict(&json!({"verdict": "client-bound", "reasons": ["late", {"message": "slow"}, 3]}))
            .unwrap();
        assert_eq!(
            (bound.word.as_str(), bound.reasons),
            ("client-bound", vec!["late".to_owned(), "slow".to_owned()])
        );
        assert_eq!(verdict(&json!({"reasons": []})), None);
    }

    #[test]
    fn what_a_reader_must_know_comes_from_the_summary() {
        let mut document = SummaryDocument {
            was_cancelled: Some(true),
            is_complete: Some(false),
            incomplete_reason: Some("disk full".to_owned()),
            ..Default::default()
        };
        document.tokmeter.insert("notes".to_owned(), json!(["percentiles are approximate"]));
        let facts = Facts::of(document);
        assert_eq!(facts.notes.len(), 3);
        assert!(facts.notes[2].contains("disk full"));
    }
}
