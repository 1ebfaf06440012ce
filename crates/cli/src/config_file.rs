//! `--config FILE.yaml`: flags as keys. A flag on the command line wins over the file, the file over the
//! default. The file goes through the same parser as the flags, so both know the same names and checks.

use std::ffi::OsString;
use std::path::Path;

use clap::parser::ValueSource;
use clap::{ArgAction, Command, CommandFactory};
use yaml_serde::Value;

use crate::args::Cli;
use crate::exit::Failure;

/// The command line with the file's flags added, where the command line does not have them.
pub fn merge(command: &str, typed: &[OsString], file: &Path) -> Result<Vec<OsString>, Failure> {
    let mut merged = typed.to_vec();
    merged.extend(flags(command, file, Some(typed))?);
    Ok(merged)
}

/// The file's flags alone.
pub fn flags(command: &str, file: &Path, typed: Option<&[OsString]>) -> Result<Vec<OsString>, Failure> {
    let place = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("cannot read {place}: {error}")))?;
    let document: Value = yaml_serde::from_str(&text)
        .map_err(|error| Failure::usage(format!("{place} is no valid YAML: {error}")))?;
    let Value::Mapping(entries) = document else {
        return Err(Failure::usage(format!("{place}: expected flags as keys"))
            .fix("`tokmeter config init` prints an example"));
    };
    let command = subcommand(command);
    let given = typed.map(|typed| given_ids(&command, typed)).unwrap_or_default();
    let mut flags = Vec::new();
    for (key, value) in &entries {
        let Some(key) = key.as_str() else {
            return Err(Failure::usage(format!("{place}: a key is no text: {key:?}")));
        };
        let argument = find(&command, key).ok_or_else(|| unknown_key(&command, &place.to_string(), key))?;
        if !given.iter().any(|id| id == argument.get_id().as_str()) {
            push(&mut flags, argument, key, value)
                .map_err(|reason| Failure::usage(format!("{place}: {reason}")))?;
        }
    }
    Ok(flags)
}

/// The clap definition of one command.
pub fn subcommand(name: &str) -> Command {
    let mut cli = Cli::command();
    cli.build();
    cli.find_subcommand(name).cloned().unwrap_or_default()
}

fn given_ids(command: &Command, typed: &[OsString]) -> Vec<String> {
    let matches = command.clone().ignore_errors(true).no_binary_name(true).try_get_matches_from(typed);
    let Ok(matches) = matches else { return Vec::new() };
    matches
        .ids()
        .filter(|id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine))
        .map(|id| id.as_str().to_owned())
        .collect()
}

fn find<'a>(command: &'a Command, key: &str) -> Option<&'a clap::Arg> {
    let name = key.replace('_', "-");
    command.get_arguments().filter(|argument| argument.get_long() != Some("config")).find(|argument| {
        argument.get_long() == Some(&name)
            || argument.get_all_aliases().is_some_and(|aliases| aliases.contains(&name.as_str()))
    })
}

fn unknown_key(command: &Command, place: &str, key: &str) -> Failure {
    let name = key.replace('_', "-");
    let nearest = command
        .get_arguments()
        .filter_map(clap::Arg::get_long)
        .min_by_key(|long| edit_distance(long, &name))
        .unwrap_or_default();
    Failure::usage(format!("{place}: unknown key `{key}`")).fix(format!("did you mean `{nearest}`?"))
}

fn push(flags: &mut Vec<OsString>, argument: &clap::Arg, key: &str, value: &Value) -> Result<(), String> {
    let flag = format!("--{}", argument.get_long().unwrap_or_default());
    let is_switch = matches!(argument.get_action(), ArgAction::SetTrue | ArgAction::Count);
    match value {
        Value::Null | Value::Bool(false) if is_switch => Ok(()),
        Value::Null => Ok(()),
        Value::Bool(true) if is_switch => {
            flags.push(flag.into());
            Ok(())
        }
        // How often it is given, as `config expand` writes it.
        Value::Number(times) if matches!(argument.get_action(), ArgAction::Count) => {
            let times = times.as_u64().filter(|times| *times <= u8::MAX.into());
            let times = times.ok_or_else(|| format!("`{key}` takes a count from 0 to 255"))?;
            flags.extend((0..times).map(|_| OsString::from(&flag)));
            Ok(())
        }
        _ if is_switch => Err(format!("`{key}` takes true or false")),
        // A flag that is given once takes its values with commas: a sweep.
        Value::Sequence(items) if matches!(argument.get_action(), ArgAction::Set) => {
            let words: Option<Vec<String>> = items.iter().map(word).collect();
            let words = words.ok_or_else(|| format!("`{key}` takes plain values"))?;
            flags.push(format!("{flag}={}", words.join(",")).into());
            Ok(())
        }
        Value::Sequence(items) => items.iter().try_for_each(|item| push(flags, argument, key, item)),
        Value::Mapping(_) => {
            let json = serde_json::to_string(value).map_err(|error| format!("`{key}`: {error}"))?;
            flags.push(format!("{flag}={json}").into());
            Ok(())
        }
        scalar => {
            let text =
                word(scalar).ok_or_else(|| format!("`{key}` has a value of an unknown kind: {scalar:?}"))?;
            flags.push(format!("{flag}={text}").into());
            Ok(())
        }
    }
}

/// A plain value as it is typed.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Levenshtein distance, for suggestions.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn words(flags: &[OsString]) -> Vec<&str> {
        flags.iter().map(|flag| flag.to_str().unwrap()).collect()
    }

    #[test]
    fn keys_are_flags_with_either_separator_and_any_alias() {
        let file = file(
            "model: m\nrequest_count: 5\nstreaming: true\nuse-legacy-max-tokens: false\nheader: [A:1, B:2]\n",
        );
        let flags = flags("profile", file.path(), None).unwrap();
        assert_eq!(
            words(&flags),
            ["--model-names=m", "--request-count=5", "--streaming", "--header=A:1", "--header=B:2"]
        );
    }

    #[test]
    fn a_list_for_a_flag_of_one_value_is_a_sweep() {
        let file = file("concurrency: [1, 2, 4]\nheader: [A:1, B:2]\n");
        let flags = flags("profile", file.path(), None).unwrap();
        assert_eq!(words(&flags), ["--concurrency=1,2,4", "--header=A:1", "--header=B:2"]);
    }

    #[test]
    fn the_command_line_wins() {
        let file = file("model: from-file\nconcurrency: 4\n");
        let typed: Vec<OsString> = ["--model", "typed"].iter().map(OsString::from).collect();
        let merged = merge("profile", &typed, file.path()).unwrap();
        assert_eq!(words(&merged), ["--model", "typed", "--concurrency=4"]);
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let file = file("concurency: 4\n");
        let failure = flags("profile", file.path(), None).unwrap_err();
        assert!(failure.message.contains("unknown key `concurency`"), "{failure}");
        assert_eq!(failure.fix.as_deref(), Some("did you mean `concurrency`?"));
    }

    #[test]
    fn a_switch_takes_no_number() {
        let file = file("streaming: 3\n");
        assert!(flags("profile", file.path(), None).unwrap_err().message.contains("true or false"));
    }

    #[test]
    fn distance_counts_edits() {
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
    }
}
