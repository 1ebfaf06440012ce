//! Connection flags become the transport's configuration.

use std::time::Duration;

use tokmeter_http::{
    ClientConfig, ConfigError, HttpVersion, Limits, ReuseStrategy, TimestampSource, TlsOptions,
};

use crate::args::profile::TransportArgs;
use crate::exit::Failure;

/// Resolves the connection flags.
pub fn resolve(args: &TransportArgs) -> Result<ClientConfig, Failure> {
    let wrong = |flag: &'static str| move |error: ConfigError| Failure::usage(format!("{flag}: {error}"));
    Ok(ClientConfig {
        http_version: match args.http_version.as_str() {
            "1.1" => HttpVersion::V1,
            "2" => HttpVersion::V2,
            _ => HttpVersion::Auto,
        },
        reuse: match args.connection_reuse_strategy.replace('_', "-").as_str() {
            "never" => ReuseStrategy::Never,
            "sticky-user-sessions" => ReuseStrategy::Sticky,
            _ => ReuseStrategy::Pooled,
        },
        max_connections: args.max_connections,
        streams_per_connection: args.http2_streams_per_connection,
        tls: TlsOptions {
            platform_roots: true,
            ca_file: args.cacert.clone(),
            client_certificate: args.cert.clone().zip(args.key.clone()),
            insecure: args.insecure,
            server_name: args.sni.clone(),
            resumption: !args.no_tls_resumption,
        },
        resolve: parse_all(&args.resolve).map_err(wrong("--resolve"))?,
        connect_to: parse_all(&args.connect_to).map_err(wrong("--connect-to"))?,
        dns_ttl: seconds("--dns-ttl", args.dns_ttl)?,
        proxy: args.proxy.as_deref().map(str::parse).transpose().map_err(wrong("--proxy"))?,
        no_proxy: args.no_proxy.clone(),
        connect_timeout: seconds("--connect-timeout", args.connect_timeout)?,
        timestamps: match args.timestamp_source.as_str() {
            "kernel" => TimestampSource::Kernel,
            "user" => TimestampSource::User,
            _ => TimestampSource::Auto,
        },
        limits: Limits {
            max_header_bytes: args.max_header_kib.saturating_mul(1024),
            max_headers: args.max_headers,
            max_body_bytes: args.max_body_mib.saturating_mul(1 << 20),
            max_event_bytes: args.max_event_mib.saturating_mul(1 << 20),
        },
        ..ClientConfig::default()
    })
}

fn parse_all<T: std::str::FromStr<Err = ConfigError>>(texts: &[String]) -> Result<Vec<T>, ConfigError> {
    texts.iter().map(|text| text.parse()).collect()
}

/// A duration flag, refused when negative or absurd.
pub fn seconds(flag: &str, value: f64) -> Result<Duration, Failure> {
    Duration::try_from_secs_f64(value)
        .map_err(|_| Failure::usage(format!("{flag}: {value} is no number of seconds")).fix("give 0 or more"))
}
