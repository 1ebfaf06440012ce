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

#[cfg(test)]
mod tests {
    use super::*;

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
