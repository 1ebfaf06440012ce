//! Flags of `tax`.

use std::path::PathBuf;

use clap::Args;

/// Measure what a gateway costs: paired requests with and without it, in random order.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  tokmeter tax --direct http://localhost:8000 --through http://localhost:8080 --model my-model
  tokmeter tax --direct http://server:8000 --through http://gateway:8080 --model my-model \\
    --concurrency 1,16,64 --body-size 1k,200k --requests 1000 --json tax.json --html tax.html

Each pair is one request straight to the server and one through the gateway, one after the other, in an order drawn
anew each time. A difference is called one only where the interval of its median leaves out zero; the intervals of
all rows hold together with the confidence asked for.")]
pub struct TaxArgs {
    /// URL of the server itself
    #[arg(long, value_name = "URL")]
    pub direct: String,
    /// URL of the gateway in front of it
    #[arg(long, value_name = "URL")]
    pub through: String,
    /// Model to ask for
    #[arg(long, short, value_name = "NAME", default_value = "sim-model")]
    pub model: String,
    /// Requests in flight at once, both ways together; several are measured one after the other
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1,16,64")]
    pub concurrency: Vec<usize>,
    /// Size of each request body in bytes, with k (1000) or M; several are combined with each concurrency
    #[arg(long, value_name = "BYTES", value_delimiter = ',', default_value = "1k", value_parser = size)]
    pub body_size: Vec<usize>,
    /// Pairs of requests for each combination
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub requests: u64,
    /// Pairs sent first and not counted [default: the largest concurrency]
    #[arg(long, value_name = "N")]
    pub warmup: Option<u64>,
    /// Output tokens to ask for
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub osl: u32,
    /// Ask for whole answers instead of streams
    #[arg(long)]
    pub no_streaming: bool,
    /// Open a connection for each request, to see what connecting costs
    #[arg(long)]
    pub new_connections: bool,
    /// Sent as `Authorization: Bearer` both ways
    #[arg(long, value_name = "KEY", env = "TOKMETER_API_KEY", hide_env_values = true)]
    pub api_key: Option<String>,
    /// Time limit of a request, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120.0)]
    pub timeout: f64,
    /// Confidence that all intervals of the medians hold together
    #[arg(long, value_name = "SHARE", default_value_t = 0.95)]
    pub confidence: f64,
    /// Seed of the order within pairs; drawn and written to the JSON without one
    #[arg(long, value_name = "N")]
    pub random_seed: Option<u64>,
    /// Write all figures as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write one self-contained HTML page
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// `200`, `1k`, `200k`, `1M`.
fn size(text: &str) -> Result<usize, String> {
    let (digits, factor) = match text.trim() {
        text if text.ends_with(['k', 'K']) => (&text[..text.len() - 1], 1_000),
        text if text.ends_with('M') => (&text[..text.len() - 1], 1_000_000),
        text => (text, 1),
    };
    let bytes = digits.parse::<usize>().ok().and_then(|number| number.checked_mul(factor));
    bytes
        .filter(|bytes| *bytes <= 64_000_000)
        .ok_or_else(|| "a size up to 64M, such as 1k or 200k".to_owned())
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes() {
        assert_eq!(size("512"), Ok(512));
        assert_eq!(size("200k"), Ok(200_000));
        assert_eq!(size("1M"), Ok(1_000_000));
        for wrong in ["", "k", "1.5k", "-1", "99999999M", "1Ki", "65M"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
