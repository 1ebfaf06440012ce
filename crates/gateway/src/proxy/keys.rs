//! Keys: who may use the gateway, and what it shows its upstreams. They are compared in constant time and printed
//! nowhere.

use std::fmt;
use std::path::Path;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use subtle::{Choice, ConstantTimeEq};

use super::config::{ConfigError, GatewayConfig, UpstreamConfig};

/// The keys that clients may use.
pub struct Keys(Vec<Box<[u8]>>);

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

impl Keys {
    /// The keys of a configuration; `None` when it asks for none.
    pub fn load(config: &GatewayConfig) -> Result<Option<Self>, ConfigError> {
        let mut keys = Vec::new();
        if let Some(path) = &config.api_keys_file {
            let text = read(path)?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            let before = keys.len();
            keys.extend(lines.map(|key| key.as_bytes().into()));
            if keys.len() == before {
                return Err(ConfigError::NoKey(format!("`{}`", path.display())));
            }
        }
        if let Some(name) = &config.api_keys_env {
            let value = variable(name)?;
            let before = keys.len();
            let values = value.split(',').map(str::trim).filter(|key| !key.is_empty());
            keys.extend(values.map(|key| key.as_bytes().into()));
            if keys.len() == before {
                return Err(ConfigError::NoKey(format!("environment variable `{name}`")));
            }
        }
        Ok((!keys.is_empty()).then_some(Keys(keys)))
    }

    /// Whether a request shows one of the keys, as `Authorization: Bearer` (OpenAI) or `x-api-key` (Anthropic).
    /// Every key is compared, whichever fits.
    pub fn admit(&self, headers: &HeaderMap) -> bool {
        let bearer = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).and_then(|value| {
            let (scheme, key) = value.split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then_some(key)
        });
        let own = headers.get("x-api-key").map(HeaderValue::as_bytes);
        let shown = bearer.or(own).unwrap_or_default();
        let admitted = self.0.iter().fold(Choice::from(0), |found, key| found | key.ct_eq(shown));
        admitted.into()
    }
}

/// The `Authorization` an upstream is shown, where it has a key of its own.
pub fn upstream_authorization(upstream: &UpstreamConfig) -> Result<Option<HeaderValue>, ConfigError> {
    let (key, place) = match (&upstream.api_key_env, &upstream.api_key_file) {
        (Some(name), _) => (variable(name)?, format!("environment variable `{name}`")),
        (None, Some(path)) => (read(path)?, format!("`{}`", path.display())),
        (None, None) => return Ok(None),
    };
    let key = key.trim();
    let value = HeaderValue::from_str(&format!("Bearer {key}")).ok().filter(|_| !key.is_empty());
    let mut value = value.ok_or(ConfigError::NoKey(place))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::KeyFile { path: path.to_owned(), source })
}

fn variable(name: &str) -> Result<String, ConfigError> {
    std::env::var(name).map_err(|_| ConfigError::KeyVariable(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(name: &'static str, value: &'static str) -> bool {
        let keys = Keys(vec![b"alpha".as_slice().into(), b"beta".as_slice().into()]);
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        keys.admit(&headers)
    }

    #[test]
    fn both_ways_of_showing_a_key_are_read() {
        assert!(admits("authorization", "Bearer alpha") && admits("authorization", "bearer beta"));
        assert!(admits("x-api-key", "beta"));
        for wrong in ["Bearer alph", "Bearer alphaa", "alpha", "Basic alpha", "Bearer ", ""] {
            assert!(!admits("authorization", wrong), "{wrong}");
        }
        assert!(!Keys(vec![b"a".as_slice().into()]).admit(&HeaderMap::new()));
    }

    #[test]
    fn keys_never_print() {
        assert_eq!(format!("{:?}", Keys(vec![b"s3cret".as_slice().into()])), "1 keys");
    }
}
