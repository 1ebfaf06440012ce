//! What a gateway can be told: every setting, its unit and its default.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use http::Uri;
use serde::{Deserialize, Serialize};

/// Everything a gateway can be told. Deserializes from any subset of its keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatewayConfig {
    /// Address to listen on. Port 0 takes a free one. Default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// The servers behind the gateway.
    pub upstreams: Vec<UpstreamConfig>,
    /// Which model goes where. Without any, everything goes to the only upstream.
    pub routes: Vec<RouteConfig>,
    /// File with the keys that clients may use, one on each line; `#` begins a comment. Default: no key is asked for.
    pub api_keys_file: Option<PathBuf>,
    /// Environment variable with keys that clients may use, separated by commas.
    pub api_keys_env: Option<String>,
    /// Limits.
    pub limits: Limits,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Add a `Server-Timing` header to responses. Default on.
    pub server_timing: bool,
    /// Write the traffic as a content-free trace to this file. Default: none.
    pub record: Option<PathBuf>,
    /// Threads that serve. Default: as many as there are cores.
    pub workers: Option<usize>,
}

impl Default for GatewayConfig {
    fn default() -> Self {
        GatewayConfig {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            upstreams: Vec::new(),
            routes: Vec::new(),
            api_keys_file: None,
            api_keys_env: None,
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            server_timing: true,
            record: None,
            workers: None,
        }
    }
}

/// A server behind the gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Its name: the label `provider`.
    pub name: String,
    /// Where it is: `http://HOST:PORT` or `https://HOST`, with a path to put before that of the request.
    pub url: String,
    /// Environment variable with the key to send it as `Authorization: Bearer`. Default: what the client sent,
    /// unless the gateway asks clients for keys of its own.
    #[serde(default)]
    pub api_key_env: Option<String>,
    /// The same from a file.
    #[serde(default)]
    pub api_key_file: Option<PathBuf>,
}

/// Where a model goes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// The model as clients name it, or `*` for every other one and for requests without a model.
    pub model: String,
    /// Name of the upstream.
    pub upstream: String,
}

/// Limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest request body in bytes; above it the answer is 413. Default 32 MiB.
    pub max_body_bytes: u64,
    /// How much of a request body is held back to find its model, in bytes. Default 8 MiB.
    pub max_peek_bytes: usize,
    /// Open connections of clients; further ones are closed at once. Default 16384.
    pub max_connections: usize,
    /// Headers of a request; above it the answer is 431. Default 100.
    pub max_headers: usize,
    /// Bytes of a request head; above it the answer is 431. Default 64 KiB, at least 8 KiB.
    pub max_head_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_body_bytes: 32 << 20,
            max_peek_bytes: 8 << 20,
            max_connections: 16_384,
            max_headers: 100,
            max_head_bytes: 64 << 10,
        }
    }
}

/// Time limits in seconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// A connection to an upstream. Default 10.
    pub connect: f64,
    /// From sending a request to the head of its response. Default 600.
    pub response: f64,
    /// Between two pieces of a response. Default 120.
    pub idle: f64,
    /// A client's request head; also how long an idle connection is kept. Default 60.
    pub client_head: f64,
    /// A client that sends its body, or takes its response, not at all. Default 60.
    pub client_idle: f64,
    /// Streams that are left when the gateway is told to stop. Default 30.
    pub drain: f64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: 10.0,
            response: 600.0,
            idle: 120.0,
            client_head: 60.0,
            client_idle: 60.0,
            drain: 30.0,
        }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is nothing behind the gateway.
    #[error("no upstream is given")]
    NoUpstream,
    /// Two upstreams share a name.
    #[error("two upstreams are called `{0}`")]
    SameName(String),
    /// A URL that is none, or not http(s).
    #[error("upstream `{name}`: `{url}` is no http:// or https:// URL with a host")]
    Url {
        /// The upstream.
        name: String,
        /// What was given, without user information.
        url: String,
    },
    /// A route to nowhere.
    #[error("route of `{model}`: there is no upstream `{upstream}`")]
    UnknownUpstream {
        /// The model.
        model: String,
        /// The name.
        upstream: String,
    },
    /// Several upstreams, and nothing says which one to use.
    #[error("{0} upstreams need routes, for example `*` to one of them")]
    NoRoute(usize),
    /// Two routes for the same model.
    #[error("model `{0}` has two routes")]
    SameModel(String),
    /// A number that makes no sense.
    #[error("`{name}` must be {wanted}")]
    Number {
        /// The setting.
        name: &'static str,
        /// What it must be.
        wanted: &'static str,
    },
    /// A file with keys cannot be read.
    #[error("cannot read the keys in `{}`: {source}", .path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// An environment variable is not set.
    #[error("environment variable `{0}` is not set or not text")]
    KeyVariable(String),
    /// Keys are asked for, but there are none; or a key that no header can hold.
    #[error("{0} holds no key that can be used")]
    NoKey(String),
    /// The trace cannot be written.
    #[error("cannot write the trace `{}`: {source}", .path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

impl GatewayConfig {
    /// Checks what can be checked without opening anything.
    ///
    /// # Errors
    /// The first contradiction found.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.upstreams.is_empty() {
            return Err(ConfigError::NoUpstream);
        }
        let mut names = HashSet::new();
        for upstream in &self.upstreams {
            if !names.insert(upstream.name.as_str()) {
                return Err(ConfigError::SameName(upstream.name.clone()));
            }
            upstream.uri()?;
        }
        let mut models = HashSet::new();
        for RouteConfig { model, upstream } in &self.routes {
            if !names.contains(upstream.as_str()) {
                return Err(ConfigError::UnknownUpstream {
                    model: model.clone(),
                    upstream: upstream.clone(),
                });
            }
            if !models.insert(model.as_str()) {
                return Err(ConfigError::SameModel(model.clone()));
            }
        }
        if self.routes.is_empty() && self.upstreams.len() > 1 {
            return Err(ConfigError::NoRoute(self.upstreams.len()));
        }
        let Limits { max_peek_bytes, max_connections, max_headers, max_head_bytes, .. } = self.limits;
        let Timeouts { connect, response, idle, client_head, client_idle, drain } = self.timeouts;
        let positive = [
            ("max_peek_bytes", max_peek_bytes > 0),
            ("max_connections", max_connections > 0),
            ("max_headers", max_headers > 0),
            ("workers", self.workers != Some(0)),
        ];
        if let Some((name, _)) = positive.into_iter().find(|(_, fine)| !fine) {
            return Err(ConfigError::Number { name, wanted: "1 or more" });
        }
        if max_head_bytes < 8192 {
            return Err(ConfigError::Number { name: "max_head_bytes", wanted: "8192 or more" });
        }
        // A year is for ever, and what no clock can add up is no time limit.
        let in_range = |seconds: f64| seconds > 0.0 && seconds <= 31_536_000.0;
        let times = [
            ("connect", in_range(connect)),
            ("response", in_range(response)),
            ("idle", in_range(idle)),
            ("client_head", in_range(client_head)),
            ("client_idle", in_range(client_idle)),
            ("drain", drain == 0.0 || in_range(drain)),
        ];
        match times.into_iter().find(|(_, fine)| !fine) {
            Some((name, _)) => {
                Err(ConfigError::Number { name, wanted: "seconds, above 0 and at most a year" })
            }
            None => Ok(()),
        }
    }
}

impl UpstreamConfig {
    /// The URL, parsed.
    pub(crate) fn uri(&self) -> Result<Uri, ConfigError> {
        let shown = self.url.rsplit('@').next().unwrap_or_default().to_owned();
        let wrong = || ConfigError::Url { name: self.name.clone(), url: shown.clone() };
        let uri: Uri = self.url.parse().map_err(|_| wrong())?;
        let usable = matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
            && uri.query().is_none();
        if usable { Ok(uri) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(name: &str, url: &str) -> UpstreamConfig {
        UpstreamConfig { name: name.into(), url: url.into(), api_key_env: None, api_key_file: None }
    }

    fn problem(change: impl FnOnce(&mut GatewayConfig)) -> Option<String> {
        let mut config =
            GatewayConfig { upstreams: vec![upstream("a", "http://h:1/v1")], ..GatewayConfig::default() };
        change(&mut config);
        config.check().err().map(|error| error.to_string())
    }

    #[test]
    fn contradictions_are_refused_by_name() {
        assert_eq!(problem(|_| {}), None);
        let route =
            |model: &str, upstream: &str| RouteConfig { model: model.into(), upstream: upstream.into() };
        type Change = Box<dyn FnOnce(&mut GatewayConfig)>;
        let cases: [(&str, Change); 9] = [
            ("no upstream", Box::new(|config| config.upstreams.clear())),
            ("two upstreams", Box::new(|config| config.upstreams.push(upstream("a", "http://h:2")))),
            ("need routes", Box::new(|config| config.upstreams.push(upstream("b", "http://h:2")))),
            ("no http://", Box::new(|config| config.upstreams[0].url = "ftp://h".into())),
            ("no upstream `x`", Box::new(move |config| config.routes = vec![route("m", "x")])),
            ("two routes", Box::new(move |config| config.routes = vec![route("m", "a"), route("m", "a")])),
            ("max_connections", Box::new(|config| config.limits.max_connections = 0)),
            ("max_head_bytes", Box::new(|config| config.limits.max_head_bytes = 10)),
            ("idle", Box::new(|config| config.timeouts.idle = f64::NAN)),
        ];
        for (wanted, change) in cases {
            let told = problem(change).unwrap_or_default();
            assert!(told.contains(wanted), "`{told}` does not say `{wanted}`");
        }
    }

    #[test]
    fn a_password_in_a_url_is_not_repeated() {
        let told = problem(|config| config.upstreams[0].url = "http://me:s3cret@h:1".into()).unwrap();
        assert!(!told.contains("s3cret"), "{told}");
    }
}
