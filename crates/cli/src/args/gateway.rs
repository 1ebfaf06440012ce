//! Flags of `tokmeter gateway`.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use tokmeter_gateway::GatewayConfig;
use tokmeter_gateway::proxy::{RouteConfig, UpstreamConfig};

/// Run the measuring reverse proxy: forward OpenAI-style requests, stream the answers, export metrics.
///
/// The gateway's own pages are /metrics, /healthz and /readyz. Ctrl-C or SIGTERM drains streams under way; once
/// more ends at once.
#[derive(Args, Clone, Debug, Default)]
pub struct GatewayArgs {
    /// Read settings from this YAML file; flags win over it
    #[arg(long, short = 'f', value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the settings as YAML and leave
    #[arg(long)]
    pub print_config: bool,
    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// A server behind the gateway: its name, the label `provider`, and its base URL without /v1; may be repeated
    #[arg(long = "upstream", value_name = "NAME=URL", value_parser = upstream)]
    upstreams: Vec<UpstreamConfig>,
    /// Where a model goes; `*` is every other one; may be repeated [default: all to the only upstream]
    #[arg(long = "route", value_name = "MODEL=UPSTREAM", value_parser = route)]
    routes: Vec<RouteConfig>,
    /// File with the keys that clients may use, one on each line
    #[arg(long, value_name = "FILE")]
    api_keys_file: Option<PathBuf>,
    /// Environment variable with the keys that clients may use, separated by commas
    #[arg(long, value_name = "VARIABLE")]
    api_keys_env: Option<String>,
    /// Write the traffic to this file as a trace without its content, for `profile` to replay
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Threads that serve [default: one for each core]
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Do not add a Server-Timing header to responses
    #[arg(long)]
    no_server_timing: bool,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    timeouts: TimeoutArgs,
    /// Log more
    #[arg(long, short = 'v', action = clap::ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Limits")]
struct LimitArgs {
    /// Largest request body [default: 33554432]
    #[arg(long, value_name = "BYTES")]
    max_body_bytes: Option<u64>,
    /// How much of a request body is held back to find its model [default: 8388608]
    #[arg(long, value_name = "BYTES")]
    max_peek_bytes: Option<usize>,
    /// Open connections of clients [default: 16384]
    #[arg(long, value_name = "N")]
    max_connections: Option<usize>,
    /// Headers of a request [default: 100]
    #[arg(long, value_name = "N")]
    max_headers: Option<usize>,
    /// Bytes of a request head [default: 65536]
    #[arg(long, value_name = "BYTES")]
    max_head_bytes: Option<usize>,
}

#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Time limits")]
struct TimeoutArgs {
    /// For a connection to an upstream [default: 10]
    #[arg(long, value_name = "SECONDS")]
    connect_timeout: Option<f64>,
    /// From a request to the head of its response [default: 600]
    #[arg(long, value_name = "SECONDS")]
    response_timeout: Option<f64>,
    /// Between two pieces of a response [default: 120]
    #[arg(long, value_name = "SECONDS")]
    idle_timeout: Option<f64>,
    /// For a client's request head, and for idle connections of clients [default: 60]
    #[arg(long, value_name = "SECONDS")]
    client_head_timeout: Option<f64>,
    /// For a client that neither sends its body nor takes its response [default: 60]
    #[arg(long, value_name = "SECONDS")]
    client_idle_timeout: Option<f64>,
    /// For streams under way when the gateway is told to stop [default: 30]
    #[arg(long, value_name = "SECONDS")]
    drain_timeout: Option<f64>,
}

impl GatewayArgs {
    /// The settings these flags and their file ask for.
    ///
    /// # Errors
    /// The file cannot be read, or has an unknown key or a wrong value.
    pub fn to_config(&self) -> anyhow::Result<GatewayConfig> {
        let mut config = match &self.config {
            None => GatewayConfig::default(),
            Some(path) => {
                let name = path.display();
                let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
                yaml_serde::from_str(&text)
                    .with_context(|| format!("{name} is not a gateway configuration"))?
            }
        };
        let GatewayArgs { listen, api_keys_file, api_keys_env, record, workers, .. } = self.clone();
        set(&mut config.listen, listen);
        config.api_keys_file = api_keys_file.or(config.api_keys_file);
        config.api_keys_env = api_keys_env.or(config.api_keys_env);
        config.record = record.or(config.record);
        config.workers = workers.or(config.workers);
        config.server_timing &= !self.no_server_timing;
        if !self.upstreams.is_empty() {
            config.upstreams.clone_from(&self.upstreams);
        }
        if !self.routes.is_empty() {
            config.routes.clone_from(&self.routes);
        }
        let limits = &mut config.limits;
        set(&mut limits.max_body_bytes, self.limits.max_body_bytes);
        set(&mut limits.max_peek_bytes, self.limits.max_peek_bytes);
        set(&mut limits.max_connections, self.limits.max_connections);
        set(&mut limits.max_headers, self.limits.max_headers);
        set(&mut limits.max_head_bytes, self.limits.max_head_bytes);
        let timeouts = &mut config.timeouts;
        set(&mut timeouts.connect, self.timeouts.connect_timeout);
        set(&mut timeouts.response, self.timeouts.response_timeout);
        set(&mut timeouts.idle, self.timeouts.idle_timeout);
        set(&mut timeouts.client_head, self.timeouts.client_head_timeout);
        set(&mut timeouts.client_idle, self.timeouts.client_idle_timeout);
        set(&mut timeouts.drain, self.timeouts.drain_timeout);
        Ok(config)
    }
}

fn set<T>(setting: &mut T, flag: Option<T>) {
    if let Some(value) = flag {
        *setting = value;
    }
}

fn upstream(text: &str) -> Result<UpstreamConfig, String> {
    match text.split_once('=') {
        Some((name, url)) if !name.is_empty() && !url.is_empty() => Ok(UpstreamConfig {
            name: name.to_owned(),
            url: url.to_owned(),
            api_key_env: None,
            api_key_file: None,
        }),
        _ => Err("expected NAME=URL, for example local=http://localhost:8000".to_owned()),
    }
}

/// The last `=` divides: a model may have one in its name.
fn route(text: &str) -> Result<RouteConfig, String> {
    match text.rsplit_once('=') {
        Some((model, upstream)) if !model.is_empty() && !upstream.is_empty() => {
            Ok(RouteConfig { model: model.to_owned(), upstream: upstream.to_owned() })
        }
        _ => Err("expected MODEL=UPSTREAM, for example '*=local'".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: GatewayArgs,
    }

    fn config(flags: &[&str]) -> anyhow::Result<GatewayConfig> {
        let flags = ["gateway"].iter().chain(flags);
        Command::try_parse_from(flags)?.args.to_config()
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "upstreams: [{name: a, url: 'http://h:1', api_key_env: KEY}]\nlimits: {max_headers: 7}\n\
                    timeouts: {idle: 3}\n";
        std::fs::write(file.path(), text).unwrap();
        let path = file.path().display().to_string();
        let both =
            config(&["--config", &path, "--idle-timeout=4", "--route", "a=b=a", "--listen=[::1]:0"]).unwrap();
        assert_eq!((both.timeouts.idle, both.limits.max_headers), (4.0, 7));
        assert_eq!((both.routes[0].model.as_str(), both.routes[0].upstream.as_str()), ("a=b", "a"));
        assert_eq!(both.upstreams[0].api_key_env.as_deref(), Some("KEY"));
        assert_eq!(both.limits.max_connections, GatewayConfig::default().limits.max_connections);
        std::fs::write(file.path(), "upstream: []\n").unwrap();
        assert!(format!("{:#}", config(&["--config", &path]).unwrap_err()).contains("upstream"));
    }

    #[test]
    fn pairs_are_checked() {
        for flags in [["--upstream", "a"], ["--upstream", "=u"], ["--route", "m="], ["--route", "m"]] {
            assert!(config(&flags).is_err(), "{flags:?}");
        }
    }
}
