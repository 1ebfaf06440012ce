//! Flags of `check`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use tokmeter_engine::endpoint::EndpointType;

/// Say what an endpoint is, with a handful of requests: names, TLS, HTTP, models, streams, cache, metrics.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  tokmeter check localhost:8000
  TOKMETER_API_KEY=... tokmeter check https://api.example.com/v1 -m my-model
  tokmeter check localhost:8000 --json | jq .stream

Every request is small and bounded in time and size. The last line is the profile command to run next.

Exit codes: 0 the endpoint answers, 1 it is there but a small request failed, 2 usage, 3 unreachable.")]
pub struct CheckArgs {
    /// Server, with or without scheme
    #[arg(value_name = "URL")]
    pub url: String,
    /// Model to ask for [default: the first of the server's list]
    #[arg(long, short, value_name = "NAME")]
    pub model: Option<String>,
    /// API of the server
    #[arg(long, value_name = "TYPE", default_value = "chat", value_parser = api())]
    pub endpoint_type: EndpointType,
    /// Sent as `Authorization: Bearer`; never written anywhere
    #[arg(long, value_name = "KEY", env = "TOKMETER_API_KEY", hide_env_values = true)]
    pub api_key: Option<String>,
    /// Header `Name:Value`, or a JSON object of headers; may be repeated
    #[arg(long, short = 'H', value_name = "HEADER")]
    pub header: Vec<String>,
    /// Trust the certificates of this PEM file too
    #[arg(long, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// Accept any certificate
    #[arg(long)]
    pub insecure: bool,
    /// Time limit of each request, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub timeout: f64,
    /// Load a simulated server of our own for 3 seconds, too, and state this machine's own error at that load
    #[arg(long)]
    pub calibrate: bool,
    /// Requests in flight of the calibration [default: 1 without a rate]
    #[arg(long, value_name = "N", requires = "calibrate")]
    pub concurrency: Option<u32>,
    /// Requests a second of the calibration
    #[arg(long, value_name = "RATE", requires = "calibrate")]
    pub request_rate: Option<f64>,
    /// Print all that was found as JSON
    #[arg(long)]
    pub json: bool,
}

/// The APIs that make text.
fn api() -> impl TypedValueParser<Value = EndpointType> {
    PossibleValuesParser::new(["chat", "completions", "responses", "messages"])
        .try_map(|name| name.parse::<EndpointType>())
}
