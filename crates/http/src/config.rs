//! How to connect.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use http::HeaderValue;

use crate::exchange::Origin;
use crate::origin::{UrlError, basic_authorization, checked_host, parse_port, split_port};

/// Which HTTP to speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HttpVersion {
    /// HTTP/2 where TLS's ALPN chooses it, HTTP/1.1 elsewhere.
    #[default]
    Auto,
    /// HTTP/1.1 only.
    V1,
    /// HTTP/2 only; without TLS by prior knowledge (h2c).
    V2,
}

/// What becomes of a connection after an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReuseStrategy {
    /// Any request may use any idle connection.
    #[default]
    Pooled,
    /// A new connection for each request.
    Never,
    /// A connection of its own for each [`crate::Request::sticky`] key, kept until the key's last request.
    Sticky,
}

/// Where receive stamps come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TimestampSource {
    /// The kernel where it gives them, user space otherwise; the source is recorded.
    #[default]
    Auto,
    /// The kernel; an error when the sockets of this machine cannot stamp.
    Kernel,
    /// User space, directly after each read.
    User,
}

/// How to trust and identify with TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// Trust the platform's root certificates.
    pub platform_roots: bool,
    /// PEM file of further CA certificates to trust.
    pub ca_file: Option<PathBuf>,
    /// PEM files of our certificate chain and its private key.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// Accept any certificate.
    pub insecure: bool,
    /// Name to send (SNI) and to check the certificate for, instead of the URL's host.
    pub server_name: Option<String>,
    /// Resume earlier sessions (tickets, TLS 1.3 PSK).
    pub resumption: bool,
}

impl Default for TlsOptions {
    fn default() -> Self {
        TlsOptions {
            platform_roots: true,
            ca_file: None,
            client_certificate: None,
            insecure: false,
            server_name: None,
            resumption: true,
        }
    }
}

/// Bounds on what a server may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a response head, of trailers, or of one HTTP/2 header list. At least 8192 for HTTP/1.1's buffer.
    pub max_header_bytes: usize,
    /// Header lines of a response.
    pub max_headers: usize,
    /// Bytes of a response body. Never more than 4 GiB - 1.
    pub max_body_bytes: usize,
    /// Bytes of one event of an event stream, and so of one line.
    pub max_event_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_header_bytes: 64 * 1024,
            max_headers: 100,
            max_body_bytes: 64 * 1024 * 1024,
            max_event_bytes: 16 * 1024 * 1024,
        }
    }
}

/// `host:port:address`: this address instead of a lookup (curl's `--resolve`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolveOverride {
    /// Host name of the URL.
    pub host: String,
    /// Port of the URL; `None` (written `*`) for any.
    pub port: Option<u16>,
    /// Where to connect.
    pub address: IpAddr,
}

/// `host:port:to-host:to-port`: connect elsewhere, and keep name, `Host` and SNI (curl's `--connect-to`).
/// An empty part stands for any, or for unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectTo {
    /// Host of the URL; `None` for any.
    pub host: Option<String>,
    /// Port of the URL; `None` for any.
    pub port: Option<u16>,
    /// Host to connect to; `None` for the URL's.
    pub to_host: Option<String>,
    /// Port to connect to; `None` for the URL's.
    pub to_port: Option<u16>,
}

/// An HTTP proxy: `CONNECT` for https, absolute URLs for http.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// `Proxy-Authorization`, from `user:password@` of the proxy's URL.
    pub authorization: Option<HeaderValue>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({}:{})", self.host, self.port)
    }
}

/// How a client connects and what it accepts. One for all shards of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// Which HTTP to speak.
    pub http_version: HttpVersion,
    /// What becomes of a connection after an answer.
    pub reuse: ReuseStrategy,
    /// Open connections of one client (shard), all servers together; `None` for no limit. Requests beyond it
    /// wait in order, and that wait is `blocked`.
    pub max_connections: Option<usize>,
    /// Streams at once on one HTTP/2 connection; the server's own limit holds if it is lower.
    pub streams_per_connection: usize,
    /// Trust and identity.
    pub tls: TlsOptions,
    /// Addresses that need no lookup.
    pub resolve: Vec<ResolveOverride>,
    /// Other places to connect to.
    pub connect_to: Vec<ConnectTo>,
    /// How long a resolved name is kept.
    pub dns_ttl: Duration,
    /// Proxy for all servers but those of `no_proxy`. The environment is never read here.
    pub proxy: Option<Proxy>,
    /// Hosts reached without proxy: `*`, a name (and all names below it), an address, or a network `10.0.0.0/8`.
    pub no_proxy: Vec<String>,
    /// Limit for resolving, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Idle connections older than this are closed, not used.
    pub idle_timeout: Duration,
    /// Local addresses to connect from, taken in turn.
    pub source_addresses: Vec<IpAddr>,
    /// Where receive stamps come from.
    pub timestamps: TimestampSource,
    /// Bounds on what a server may send.
    pub limits: Limits,
    /// Keep the sent headers and the instants of body writes (`--export-http-trace`).
    pub keep_request: bool,
    /// Ask the kernel for `TCP_INFO` at the end of a request; on a connection with many short requests the answer
    /// is used for 50 ms.
    pub tcp_info: bool,
}

impl Default for ClientConfig {
    fn default() -> Self {
        ClientConfig {
            http_version: HttpVersion::Auto,
            reuse: ReuseStrategy::Pooled,
            max_connections: None,
            streams_per_connection: 100,
            tls: TlsOptions::default(),
            resolve: Vec::new(),
            connect_to: Vec::new(),
            dns_ttl: Duration::from_secs(300),
            proxy: None,
            no_proxy: Vec::new(),
            connect_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(90),
            source_addresses: Vec::new(),
            timestamps: TimestampSource::Auto,
            limits: Limits::default(),
            keep_request: false,
            tcp_info: true,
        }
    }
}

/// A setting that cannot be used. The text names the fault and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A URL or a part of one.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// A `--resolve` or `--connect-to` that cannot be read.
    #[error("{0:?} is not of the form {1}")]
    Form(String, &'static str),
    /// A certificate or key file.
    #[error("cannot use {path}: {reason}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS settings that contradict each other or this machine.
    #[error("{0}")]
    Tls(String),
    /// Kernel stamps were demanded and are not to be had.
    #[error("this machine gives no kernel receive stamps ({0}); use the timestamp source auto or user")]
    KernelStamps(std::io::Error),
    /// A number out of range.
    #[error("{0}")]
    Range(&'static str),
}

impl ClientConfig {
    /// Checks what can be checked without a connection.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.max_connections == Some(0) {
            return Err(ConfigError::Range("the connection limit must be at least 1"));
        }
        if self.streams_per_connection == 0 {
            return Err(ConfigError::Range("the number of streams per connection must be at least 1"));
        }
        if self.limits.max_header_bytes == 0 || self.limits.max_headers == 0 {
            return Err(ConfigError::Range("the header limits must be at least 1"));
        }
        if self.limits.max_body_bytes >= u32::MAX as usize {
            return Err(ConfigError::Range("the body limit must be below 4 GiB"));
        }
        Ok(())
    }

    /// The proxy for an origin, unless `no_proxy` exempts it.
    pub(crate) fn proxy_for(&self, origin: &Origin) -> Option<&Proxy> {
        let proxy = self.proxy.as_ref()?;
        let exempt = self.no_proxy.iter().any(|rule| exempts(rule.trim(), &origin.host));
        (!exempt).then_some(proxy)
    }
}

/// Whether a `no_proxy` rule holds for a host.
fn exempts(rule: &str, host: &str) -> bool {
    if rule == "*" {
        return true;
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return match rule.split_once('/') {
            Some((network, bits)) => match (network.parse::<IpAddr>(), bits.parse::<u32>()) {
                (Ok(network), Ok(bits)) => in_network(address, network, bits),
                _ => false,
            },
            None => rule.trim_matches(['[', ']']).parse::<IpAddr>() == Ok(address),
        };
    }
    let name = rule.trim_start_matches("*.").trim_start_matches('.').to_ascii_lowercase();
    if name.is_empty() {
        return false;
    }
    host == name || host.strip_suffix(&name).is_some_and(|front| front.ends_with('.'))
}

fn in_network(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let (address, network, width) = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) => (u128::from(u32::from(a)), u128::from(u32::from(n)), 32),
        (IpAddr::V6(a), IpAddr::V6(n)) => (u128::from(a), u128::from(n), 128),
        _ => return false,
    };
    bits <= width && (bits == 0 || (address ^ network) >> (width - bits) == 0)
}

impl FromStr for ResolveOverride {
    type Err = ConfigError;

    /// `host:port:address`, the port `*` for any, an IPv6 address with or without brackets.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let form = || ConfigError::Form(text.into(), "host:port:address");
        let (host, rest) = text.split_once(':').ok_or_else(form)?;
        let (port, address) = rest.split_once(':').ok_or_else(form)?;
        let port = if port == "*" { None } else { Some(parse_port(port)?) };
        let address = address.trim_matches(['[', ']']).parse().map_err(|_| form())?;
        if host.is_empty() {
            return Err(form());
        }
        Ok(ResolveOverride { host: checked_host(host)?, port, address })
    }
}

impl FromStr for ConnectTo {
    type Err = ConfigError;

    /// `host:port:to-host:to-port`; IPv6 addresses in brackets; any part may be empty.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let form = || ConfigError::Form(text.into(), "host:port:to-host:to-port");
        let mut parts: Vec<&str> = Vec::with_capacity(4);
        let mut rest = text;
        while parts.len() < 3 {
            let end = match rest.strip_prefix('[') {
                Some(inner) => inner.find(']').map(|at| at + 2).ok_or_else(form)?,
                None => rest.find(':').ok_or_else(form)?,
            };
            parts.push(&rest[..end]);
            rest = rest[end..].strip_prefix(':').ok_or_else(form)?;
        }
        let host = |part: &str| -> Result<Option<String>, ConfigError> {
            let part = part.trim_matches(['[', ']']);
            if part.is_empty() { Ok(None) } else { Ok(Some(checked_host(part)?)) }
        };
        let port = |part: &str| -> Result<Option<u16>, ConfigError> {
            if part.is_empty() { Ok(None) } else { Ok(Some(parse_port(part)?)) }
        };
        Ok(ConnectTo {
            host: host(parts[0])?,
            port: port(parts[1])?,
            to_host: host(parts[2])?,
            to_port: port(rest)?,
        })
    }
}

impl FromStr for Proxy {
    type Err = ConfigError;

    /// `[http://][user:password@]host[:port]`; port 8080 when none is given.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let rest = match text.trim().split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) => return Err(UrlError::Scheme(format!("{scheme} (of the proxy)")).into()),
            None => text.trim(),
        };
        let rest = rest.trim_end_matches('/');
        let (user_info, host_port) = match rest.rsplit_once('@') {
            Some((user_info, host_port)) => (Some(user_info), host_port),
            None => (None, rest),
        };
        let (host, port) = split_port(host_port)?;
        if host.is_empty() {
            return Err(UrlError::NoHost(host_port.into()).into());
        }
        Ok(Proxy {
            host: checked_host(host)?,
            port: port.map(parse_port).transpose()?.unwrap_or(8080),
            authorization: user_info.map(basic_authorization).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_rules() {
        for (rule, host, expected) in [
            ("*", "x.test", true),
            ("llm.test", "llm.test", true),
            ("llm.test", "a.llm.test", true),
            (".llm.test", "a.llm.test", true),
            ("llm.test", "notllm.test", false),
            ("10.0.0.0/8", "10.2.3.4", true),
            ("10.0.0.0/8", "11.2.3.4", false),
            ("0.0.0.0/0", "11.2.3.4", true),
            ("10.0.0.0/99", "10.2.3.4", false),
            ("[::1]", "::1", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("", "x", false),
        ] {
            assert_eq!(exempts(rule, host), expected, "{rule} for {host}");
        }
    }

    #[test]
    fn overrides_as_curl_writes_them() {
        let plain: ResolveOverride = "llm.test:443:10.0.0.7".parse().expect("valid");
        assert_eq!(
            plain,
            ResolveOverride { host: "llm.test".into(), port: Some(443), address: [10, 0, 0, 7].into() }
        );
        let any: ResolveOverride = "llm.test:*:[::1]".parse().expect("valid");
        assert_eq!((any.port, any.address.to_string()), (None, "::1".into()));
        for wrong in ["llm.test", "llm.test:443", "llm.test:443:name", "llm.test:x:10.0.0.1", ":1:10.0.0.1"] {
            assert!(wrong.parse::<ResolveOverride>().is_err(), "{wrong}");
        }
        let to: ConnectTo = "::other.test:8443".parse().expect("valid");
        assert_eq!(
            to,
            ConnectTo { host: None, port: None, to_host: Some("other.test".into()), to_port: Some(8443) }
        );
        let six: ConnectTo = "a:80:[::1]:".parse().expect("valid");
        assert_eq!((six.to_host.as_deref(), six.to_port), (Some("::1"), None));
        for wrong in ["a", "a:1", "a:1:b", "a:1:[::1:2", "a:b:c:d"] {
            assert!(wrong.parse::<ConnectTo>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_proxy_never_shows_its_password() {
        let proxy: Proxy = "http://u:s3cret@proxy.test:3128/".parse().expect("valid");
        assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.test", 3128));
        assert_eq!(proxy.authorization.as_ref().map(HeaderValue::as_bytes), Some(&b"Basic dTpzM2NyZXQ="[..]));
        assert!(!format!("{proxy:?}").contains("dTpz"));
        assert!("socks5://p:1".parse::<Proxy>().is_err());
    }
}
