//! Results of other benchmark tools, as far as they have figures like ours: AIPerf and genai-perf summaries, vLLM's
//! `bench serve` JSON, sglang's `bench_serving` JSON lines, guidellm's JSON.
//!
//! Where a file has values of single requests (vLLM `--save-detailed`, sglang `--output-details`, guidellm), they
//! are read like records; otherwise its own statistics are all there is, and comparisons say so. Definitions that
//! differ from ours are noted at each reader.

use serde_json::Value;

use crate::analysis::run_sample::RunSample;

mod guidellm;
mod serving;
mod summary;

/// Why a document is no result we know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForeignError {
    /// None of the formats.
    #[error(
        "no known result format (known: tokmeter and AIPerf run directories and files, genai-perf, vLLM bench, \
         sglang bench_serving, guidellm)"
    )]
    Unknown,
    /// The format is known, but there is nothing in it.
    #[error("{0}: no results in it")]
    Empty(&'static str),
}

/// The tool that wrote a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// AIPerf, tokmeter or genai-perf: metrics are objects with a unit.
    Summary,
    /// vLLM or sglang: `mean_ttft_ms` and the like.
    Serving,
    /// guidellm: a list of benchmarks.
    Guidellm,
}

/// Recognises the tool by the shape of its document.
pub fn tool_of(document: &Value) -> Option<Tool> {
    let is_metric = |value: &Value| value.get("unit").is_some() && value.get("avg").is_some();
    if document.get("benchmarks").is_some_and(Value::is_array) {
        Some(Tool::Guidellm)
    } else if document
        .get("mean_ttft_ms")
        .or(document.get("request_throughput"))
        .is_some_and(Value::is_number)
    {
        Some(Tool::Serving)
    } else if document.as_object().is_some_and(|members| members.values().any(is_metric)) {
        Some(Tool::Summary)
    } else {
        None
    }
}

/// The runs in a document; `name` is how its file is called.
///
/// # Errors
/// [`ForeignError`].
pub fn runs(name: &str, document: &Value) -> Result<Vec<RunSample>, ForeignError> {
    match tool_of(document).ok_or(ForeignError::Unknown)? {
        Tool::Summary => Ok(vec![summary::run(name, document)]),
        Tool::Serving => Ok(vec![serving::run(name, document)]),
        Tool::Guidellm => guidellm::runs(name, document),
    }
}

/// Adds the figures of a summary (`profile_export_aiperf.json`) to a run whose records are known.
pub fn complete(run: &mut RunSample, summary: &Value) {
    summary::give(run, summary);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_no_result_is_refused() {
        for document in [json!([]), json!({}), json!({"a": 1}), json!("x"), json!({"unit": "ms", "avg": 1})] {
            assert_eq!(runs("x", &document).unwrap_err(), ForeignError::Unknown, "{document}");
        }
        assert_eq!(runs("x", &json!({"benchmarks": []})).unwrap_err(), ForeignError::Empty("guidellm"));
    }
}
