//! What must never reach a file, a log or a screen.

use std::fmt;
use std::sync::Arc;

/// Written in place of a secret.
pub const REDACTED: &str = "<redacted>";

/// A value that prints as [`REDACTED`]; only [`Secret::expose`] gives it away.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<Arc<str>>) -> Self {
        Secret(value.into())
    }

    /// The value, to put on the wire.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// Whether a header or body field of this name holds a secret (FORMATS 2.4's list).
pub fn is_sensitive(name: &str) -> bool {
    const PARTS: [&str; 14] = [
        "auth",
        "token",
        "secret",
        "password",
        "passwd",
        "credential",
        "cookie",
        "api-key",
        "api_key",
        "apikey",
        "session",
        "signature",
        "private-key",
        "access-key",
    ];
    // These end in a sensitive word, but hold counts.
    const HARMLESS: [&str; 3] = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
    let name = name.to_ascii_lowercase();
    !HARMLESS.contains(&name.as_str()) && PARTS.iter().any(|part| name.contains(part))
}

/// Secrets shorter than this are not looked for: they would be found in innocent text.
const SHORTEST: usize = 6;
/// How deep a secret is looked for in JSON that holds JSON as text.
const NESTED_QUOTES: usize = 5;

/// Finds the run's own secrets in what a server sends back: some repeat the key they refuse in the error body,
/// proxies repeat whole requests.
#[derive(Clone, Debug, Default)]
pub struct Scrubber {
    secrets: Vec<Secret>,
}

impl Scrubber {
    /// A scrubber of these values; short ones are left out.
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut secrets: Vec<Secret> = Vec::new();
        for value in values {
            let mut form = value;
            // As it stands in a JSON text, and in a JSON text that is quoted in another one.
            for _ in 0..NESTED_QUOTES {
                let quoted = serde_json::to_string(&form).unwrap_or_default();
                let escaped =
                    quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map(str::to_owned);
                let secret = Secret::new(form);
                if secret.0.len() >= SHORTEST && !secrets.contains(&secret) {
                    secrets.push(secret);
                }
                form = escaped.unwrap_or_default();
            }
        }
        // A secret that holds another one goes first.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.0.len()));
        Scrubber { secrets }
    }

    /// Replaces every secret in a text.
    pub fn text(&self, text: &mut String) {
        for secret in &self.secrets {
            if text.contains(&*secret.0) {
                *text = text.replace(&*secret.0, REDACTED);
            }
        }
    }

    /// Replaces every secret in a line of JSON.
    pub fn line(&self, line: &mut Vec<u8>) {
        for secret in &self.secrets {
            if memchr::memmem::find(line, secret.0.as_bytes()).is_some() {
                let text = String::from_utf8_lossy(line).replace(&*secret.0, REDACTED);
                *line = text.into_bytes();
            }
        }
    }
}

/// Whether a query parameter of this name holds a secret; `key` and `sig` do in cloud APIs.
pub(crate) fn is_sensitive_parameter(name: &str) -> bool {
    is_sensitive(name) || ["key", "sig", "code"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Values of the query parameters that hold secrets.
pub fn secrets_of_query(path: &str) -> impl Iterator<Item = String> {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| is_sensitive_parameter(name))
        .map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_plain_and_escaped() {
        let scrubber = Scrubber::new(["sk-12345".to_owned(), "pa\"ss\\word".to_owned(), "abc".to_owned()]);
        let mut text = "key sk-12345, sk-12345; abc".to_owned();
        scrubber.text(&mut text);
        assert_eq!(text, "key <redacted>, <redacted>; abc");
        let mut line = serde_json::to_vec("it was pa\"ss\\word").unwrap();
        scrubber.line(&mut line);
        assert_eq!(line, b"\"it was <redacted>\"");
        assert!(!format!("{scrubber:?}").contains("12345"));
    }

    #[test]
    fn keys_of_a_query_are_known_by_their_names() {
        let found: Vec<_> = secrets_of_query("/v1?key=abc&model=m&api_key=x&Sig=y").collect();
        assert_eq!(found, ["abc", "x", "y"]);
        assert_eq!(secrets_of_query("/v1").count(), 0);
    }

    #[test]
    fn a_secret_never_prints() {
        let secret = Secret::new("hunter2");
        assert!(!format!("{secret} {secret:?}").contains("hunter2"));
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn sensitive_names_are_recognised_in_any_case() {
        for name in ["Authorization", "X-API-Key", "cookie", "Set-Cookie", "X-Session-Affinity", "my_api_key"]
        {
            assert!(is_sensitive(name), "{name}");
        }
        for name in ["content-type", "x-request-id", "max_tokens", "accept"] {
            assert!(!is_sensitive(name), "{name}");
        }
    }
}
