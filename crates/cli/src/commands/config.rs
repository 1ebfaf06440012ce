//! `config`: write, check or complete a configuration file.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use clap::{ArgAction, Parser};

use crate::args::Cli;
use crate::args::config::{ConfigAction, ConfigArgs};
use crate::config_file;
use crate::exit::{Exit, Failure};

/// Runs the command.
pub fn run(args: &ConfigArgs) -> Result<Exit> {
    let mut out = std::io::stdout().lock();
    match &args.action {
        ConfigAction::Init => out.write_all(template().as_bytes())?,
        ConfigAction::Validate { file } => {
            parse(file)?;
            writeln!(out, "{}: ok", file.display())?;
        }
        ConfigAction::Expand { file } => out.write_all(expanded(file)?.as_bytes())?,
    }
    Ok(Exit::Ok)
}

fn words(file: &Path) -> Result<Vec<OsString>, Failure> {
    let flags = config_file::flags("profile", file, None)?;
    Ok(["tokmeter", "profile"].into_iter().map(OsString::from).chain(flags).collect())
}

fn parse(file: &Path) -> Result<Cli> {
    Cli::try_parse_from(words(file)?).map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Failure::usage(format!("{}: {reason}", file.display())).into()
    })
}

/// Every flag as a comment with its help, the required ones with an example.
fn template() -> String {
    let mut text = String::from(
        "# Configuration of `tokmeter profile --config FILE`. Keys are flag names; flags typed on the command\n\
         # line win over this file. Lines that begin with # are defaults or examples.\n",
    );
    let mut heading = None;
    for argument in config_file::subcommand("profile").get_arguments() {
        let Some(long) = argument.get_long().filter(|long| !matches!(*long, "config" | "help" | "version"))
        else {
            continue;
        };
        if argument.get_help_heading() != heading {
            heading = argument.get_help_heading();
            text.push_str(&format!("\n# --- {} ---\n", heading.unwrap_or("Other")));
        }
        if let Some(help) = argument.get_help() {
            text.push_str(&format!("# {help}\n"));
        }
        let required = argument.is_required_set();
        let value = match argument.get_default_values().first() {
            _ if required => "my-model".to_owned(),
            Some(value) => value.to_string_lossy().into_owned(),
            None if matches!(argument.get_action(), ArgAction::SetTrue) => "false".to_owned(),
            None => String::new(),
        };
        let comment = if required { "" } else { "# " };
        text.push_str(format!("{comment}{long}: {value}").trim_end());
        text.push('\n');
    }
    text
}

/// The file's keys and all defaults.
fn expanded(file: &Path) -> Result<String> {
    parse(file)?;
    let command = config_file::subcommand("profile");
    let words = words(file)?;
    let matches = command.clone().no_binary_name(true).try_get_matches_from(&words[2..])?;
    let mut text = String::new();
    for argument in command.get_arguments() {
        let Some(long) = argument.get_long().filter(|long| !matches!(*long, "config" | "help" | "version"))
        else {
            continue;
        };
        let id = argument.get_id().as_str();
        let Ok(Some(values)) = matches.try_get_raw(id) else { continue };
        let shown: Vec<String> =
            values.map(|value| quoted(&shown_value(long, &value.to_string_lossy()))).collect();
        match shown.as_slice() {
            [] => {}
            [one] => text.push_str(&format!("{long}: {}\n", plain(one))),
            many => text.push_str(&format!("{long}: [{}]\n", many.join(", "))),
        }
    }
    Ok(text)
}

fn quoted(text: &str) -> String {
    // A string is always JSON, and JSON is YAML.
    serde_json::to_string(text).unwrap_or_default()
}

/// The value of a flag without the secrets in it.
fn shown_value(long: &str, value: &str) -> String {
    let redacted = tokmeter_engine::secret::REDACTED;
    let named = |text: &str| match text.split_once(':') {
        Some((name, _)) if tokmeter_engine::secret::is_sensitive(name) => format!("{name}:{redacted}"),
        _ => text.to_owned(),
    };
    match long {
        "api-key" => redacted.to_owned(),
        // A JSON object of headers or fields may hold anything.
        "header" | "extra-inputs" if value.trim_start().starts_with('{') => redacted.to_owned(),
        "header" | "extra-inputs" => named(value),
        _ => value.to_owned(),
    }
}

/// Numbers and booleans need no quotes.
fn plain(quoted: &str) -> &str {
    let inner = quoted.trim_matches('"');
    match inner.parse::<f64>().is_ok() || matches!(inner, "true" | "false") {
        true => inner,
        false => quoted,
    }
}

#[cfg(test)]
mod tests {
    use super::shown_value;

    #[test]
    fn secrets_are_hidden_and_token_counts_are_not() {
        for (flag, value, shown) in [
            ("api-key", "sk-1", "<redacted>"),
            ("header", "Authorization: Bearer sk-1", "Authorization:<redacted>"),
            ("header", "X-Team:search", "X-Team:search"),
            ("extra-inputs", r#"{"api_key":"sk-1"}"#, "<redacted>"),
            ("prompt-input-tokens-mean", "64", "64"),
            ("use-server-token-count", "true", "true"),
        ] {
            assert_eq!(shown_value(flag, value), shown);
        }
    }
}
