//! The `profile` command to run next.

use tokmeter_engine::endpoint::EndpointType;
use tokmeter_record::server::without_credentials;

use super::probe::Probe;
use super::stream::Stream;
use crate::args::check::CheckArgs;

/// The command, for a POSIX shell. Headers and credentials are not repeated.
pub fn command(args: &CheckArgs, probe: &Probe, stream: &Stream) -> String {
    let mut words: Vec<String> = ["tokmeter", "profile", "-m"].map(str::to_owned).to_vec();
    words.push(quoted(probe.model.as_deref().unwrap_or_default()));
    words.extend(["-u".to_owned(), quoted(&without_credentials(&args.url))]);
    if args.endpoint_type != EndpointType::Chat {
        words.extend(["--endpoint-type".to_owned(), args.endpoint_type.as_str().to_owned()]);
    }
    if stream.streams {
        words.push("--streaming".to_owned());
    }
    if stream.legacy_max_tokens {
        words.push("--use-legacy-max-tokens".to_owned());
    }
    if let Some(path) = &args.cacert {
        words.extend(["--cacert".to_owned(), quoted(&path.display().to_string())]);
    }
    if args.insecure {
        words.push("--insecure".to_owned());
    }
    words.extend(["--concurrency", "8", "--request-count", "200"].map(str::to_owned));
    words.join(" ")
}

/// A word that a shell takes as it is; control characters, which no terminal should get, are replaced.
fn quoted(word: &str) -> String {
    let word = crate::console::harmless(word);
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+=,[]".contains(c);
    match !word.is_empty() && !word.starts_with('-') && word.chars().all(plain) {
        true => word.into_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_servers_model_name_is_one_word_of_a_shell() {
        assert_eq!(quoted("meta-llama/Llama-3.1-8B"), "meta-llama/Llama-3.1-8B");
        assert_eq!(quoted("a; rm -rf /"), "'a; rm -rf /'");
        assert_eq!(quoted("$(reboot)"), "'$(reboot)'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("a\x1b[2J"), "'a\u{fffd}[2J'");
    }
}
