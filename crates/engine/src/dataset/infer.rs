//! What format an input file has, told by its beginning.

use std::io::{BufRead, Read};
use std::path::Path;

use super::config::DatasetFormat;
use super::error::DatasetError;
use super::file::{files_of, open};
use super::trace::rows::{AZURE, BURST_GPT};

/// Bytes of a document looked at. Its first entry begins there, with the key that tells the format.
const LOOK: u64 = 256 * 1024;

/// The format of a file or directory.
///
/// # Errors
/// The file cannot be read, or has no known format.
pub(super) fn format_of(path: &Path) -> Result<DatasetFormat, DatasetError> {
    let file = if path.is_dir() {
        let files = files_of(path)?;
        let Some(first) = files.into_iter().next() else {
            return Err(DatasetError::file(path, "is an empty directory"));
        };
        // Bodies in a directory are sessions; anything else in one is a pool for each file.
        return match first_format(&first) {
            Ok(DatasetFormat::RawPayload) => Ok(DatasetFormat::RawPayload),
            Ok(DatasetFormat::SingleTurn) => Ok(DatasetFormat::RandomPool),
            Ok(_) | Err(_) => Err(unknown(&first)),
        };
    } else {
        path
    };
    first_format(file)
}

fn first_format(path: &Path) -> Result<DatasetFormat, DatasetError> {
    let mut line = Vec::new();
    let mut reader = open(path)?.take(LOOK);
    let wrong = |source| DatasetError::read(path, source);
    while line.trim_ascii().is_empty() {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(wrong)? == 0 {
            return Err(DatasetError::file(path, "is empty"));
        }
    }
    let head = String::from_utf8_lossy(&line).into_owned();
    let first = head.trim_start_matches('\u{feff}').trim();
    if let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(first) {
        return by_fields(&fields).ok_or_else(|| unknown(path));
    }
    if first.starts_with(['{', '[']) {
        // One document, over several lines or larger than what is looked at.
        let mut bytes = head.into_bytes();
        reader.read_to_end(&mut bytes).map_err(wrong)?;
        return by_document(&String::from_utf8_lossy(&bytes)).ok_or_else(|| unknown(path));
    }
    let has =
        |columns: [&str; 3]| columns.iter().all(|name| first.split(',').any(|column| column.trim() == *name));
    if has(BURST_GPT) {
        return Ok(DatasetFormat::BurstGptTrace);
    }
    if has(AZURE) {
        return Ok(DatasetFormat::AzureTrace);
    }
    Err(unknown(path))
}

fn by_fields(fields: &serde_json::Map<String, serde_json::Value>) -> Option<DatasetFormat> {
    let has = |name: &str| fields.contains_key(name);
    if has("data") && is_inputs(fields) {
        return Some(DatasetFormat::InputsJson);
    }
    if has("conversations") {
        return Some(DatasetFormat::Sharegpt);
    }
    if has("turns") {
        return Some(DatasetFormat::MultiTurn);
    }
    if has("chat_id") && has("input_length") {
        return Some(DatasetFormat::BailianTrace);
    }
    let traced = ["timestamp", "delay", "output_length", "session_id", "hash_ids"].into_iter().any(has);
    if has("input_length") || has("text_input") || has("payload") || (has("messages") && traced) {
        return Some(DatasetFormat::MooncakeTrace);
    }
    if has("messages") || (has("model") && (has("prompt") || has("input"))) {
        return Some(DatasetFormat::RawPayload);
    }
    ["text", "texts", "image", "images"].into_iter().any(has).then_some(DatasetFormat::SingleTurn)
}

/// The document may be cut off, so its keys are looked for, not parsed.
fn by_document(text: &str) -> Option<DatasetFormat> {
    let list = text.trim_start_matches('\u{feff}').trim_start().starts_with('[');
    match (list, text.contains("\"conversations\""), text.contains("\"payloads\"")) {
        (true, true, _) => Some(DatasetFormat::Sharegpt),
        (false, _, true) => Some(DatasetFormat::InputsJson),
        _ => None,
    }
}

fn is_inputs(fields: &serde_json::Map<String, serde_json::Value>) -> bool {
    let first = fields.get("data").and_then(|data| data.get(0));
    first.is_some_and(|entry| entry.get("payloads").is_some_and(serde_json::Value::is_array))
}

fn unknown(path: &Path) -> DatasetError {
    let words = DatasetFormat::WORDS.join(", ");
    DatasetError::file(
        path,
        format!("the format is not known: say it with `--custom-dataset-type` ({words})"),
    )
}
