//! The model list.

use serde::Serialize;
use tokmeter_http::Exchange;

use super::probe::status;
use crate::args::check::CheckArgs;

/// Names kept of a list.
const MOST_NAMES: usize = 1000;
/// Characters kept of a name.
const LONGEST_NAME: usize = 200;

/// `/v1/models`.
#[derive(Debug, Default, Serialize)]
pub struct Models {
    /// Listed names.
    pub listed: Vec<String>,
    /// Who the list says owns the first one: engines write their own name there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owned_by: Option<String>,
    /// Longest context of the model asked, in tokens, where the list has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_model_len: Option<u64>,
    /// The model that is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<String>,
    /// Why there is no list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Reads the list and chooses a model: the user's, else the first.
pub fn read(args: &CheckArgs, page: Exchange) -> Models {
    let mut models = match list(&page) {
        Ok(entries) => of_entries(&entries, args.model.as_deref()),
        Err(problem) => Models { problem: Some(problem), ..Models::default() },
    };
    models.used = args.model.clone().or_else(|| models.listed.first().cloned());
    models
}

fn list(page: &Exchange) -> Result<Vec<serde_json::Value>, String> {
    match status(page)? {
        200..300 => {}
        status => return Err(format!("status {status}")),
    }
    let list: serde_json::Value =
        serde_json::from_slice(&page.body.bytes).map_err(|error| format!("no JSON: {error}"))?;
    match list.get("data").unwrap_or(&list) {
        serde_json::Value::Array(entries) => Ok(entries.iter().take(MOST_NAMES).cloned().collect()),
        _ => Err("JSON without a list of models".to_owned()),
    }
}

fn of_entries(entries: &[serde_json::Value], wanted: Option<&str>) -> Models {
    let name = |entry: &serde_json::Value| {
        let id = entry["id"].as_str()?;
        (!id.is_empty() && id.chars().count() <= LONGEST_NAME).then(|| id.to_owned())
    };
    let used = match wanted {
        Some(wanted) => entries.iter().find(|entry| entry["id"] == wanted),
        None => entries.first(),
    };
    Models {
        listed: entries.iter().filter_map(name).collect(),
        owned_by: entries
            .first()
            .and_then(|entry| Some(entry["owned_by"].as_str()?.chars().take(LONGEST_NAME).collect())),
        max_model_len: used.and_then(|entry| entry["max_model_len"].as_u64()),
        ..Models::default()
    }
}
