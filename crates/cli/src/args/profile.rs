//! Flags of `profile`. Names, aliases and defaults are AIPerf's (contract: CLI.md); ours stand at the end of
//! each group.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tokmeter_engine::dataset::config::RangeStyle;
use tokmeter_engine::dataset::{CacheBust, CorpusStyle, DatasetFormat, SamplingStrategy};
use tokmeter_engine::endpoint::EndpointType;
use tokmeter_engine::request::ModelSelection;
use tokmeter_record::format::server_parquet::Compression;

pub use super::load::{LoadArgs, WarmupArgs};
pub use super::multi_run::MultiRunArgs;
pub use super::network::NetworkArgs;
pub use super::output::{ExportLevel, OutputArgs, RecordFormat};
use super::page_limits::PageLimitArgs;
use super::ranks::RankArgs;
pub use super::readiness::ReadinessArgs;
pub use super::service::{ServiceArgs, UiType};
use super::slo::SloArgs;
use super::swept::Swept;
use super::verdict::VerdictArgs;

/// Load a server, time every phase of every request, and write the results.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ProfileArgs {
    #[command(flatten)]
    pub endpoint: EndpointArgs,
    #[command(flatten)]
    pub transport: TransportArgs,
    #[command(flatten)]
    pub tokens: TokenArgs,
    #[command(flatten)]
    pub input: InputArgs,
    #[command(flatten)]
    pub load: LoadArgs,
    #[command(flatten)]
    pub warmup: WarmupArgs,
    #[command(flatten)]
    pub multi_run: MultiRunArgs,
    #[command(flatten)]
    pub ranks: RankArgs,
    #[command(flatten)]
    pub readiness: ReadinessArgs,
    #[command(flatten)]
    pub server_metrics: ServerMetricsArgs,
    #[command(flatten)]
    pub verdict: VerdictArgs,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub slo: SloArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub service: ServiceArgs,
}

const EXAMPLES: &str = "\
Examples:
  Closed loop, 8 requests in flight, streaming:
    tokmeter profile -m my-model -u localhost:8000 --streaming --concurrency 8 --request-count 200
  Open loop, 20 requests a second, Poisson arrivals, for a minute after 10 requests of warmup:
    tokmeter profile -m my-model -u localhost:8000 --streaming --request-rate 20 --benchmark-duration 60 \\
      --warmup-request-count 10
  Replay a trace with its own timing:
    tokmeter profile -m my-model -u localhost:8000 --streaming --input-file trace.jsonl \\
      --custom-dataset-type mooncake-trace --fixed-schedule
  A sweep, each load three times with a confidence interval:
    tokmeter profile -m my-model -u localhost:8000 --streaming --concurrency 1,8,64 --num-profile-runs 3
  Fail a CI job when more than one request in a hundred fails:
    tokmeter profile -m my-model -u localhost:8000 --streaming --failed-request-threshold 0.01
  Part 2 of 4 machines, which begin together:
    tokmeter profile -m my-model -u server:8000 --streaming --request-rate 400 --benchmark-duration 60 \\
      --random-seed 7 --shard 2/4 --start-at 2026-11-23T09:00:00Z

Exit codes: 0 ok, 1 a threshold failed, 2 usage, 3 target unreachable, 4 run not valid, 130 interrupted.";

/// What is asked, and how.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Endpoint")]
pub struct EndpointArgs {
    /// Model name, or several separated by commas
    #[arg(
        long = "model-names",
        visible_alias = "model",
        short = 'm',
        value_name = "NAME",
        value_delimiter = ',',
        required = true
    )]
    pub model_names: Vec<String>,
    /// How several models are dealt to sessions
    #[arg(long, value_name = "STRATEGY", default_value = "round-robin")]
    pub model_selection_strategy: ModelSelection,
    /// Server, with or without scheme; several are used in turn
    #[arg(long, short = 'u', value_name = "URL", num_args = 1.., default_value = "http://localhost:8000")]
    pub url: Vec<String>,
    /// How several servers are used
    #[arg(long, value_name = "STRATEGY", default_value = "round-robin", ignore_case = true, value_parser = ["round-robin", "round_robin"])]
    pub url_strategy: String,
    /// API of the server
    #[arg(long, value_name = "TYPE", default_value = "chat")]
    pub endpoint_type: EndpointType,
    /// Path that replaces the API's own, beginning with /
    #[arg(long = "custom-endpoint", visible_alias = "endpoint", value_name = "PATH")]
    pub custom_endpoint: Option<String>,
    /// Ask for a stream
    #[arg(long)]
    pub streaming: bool,
    /// Sent as `Authorization: Bearer`; never written anywhere
    #[arg(long, value_name = "KEY", env = "TOKMETER_API_KEY", hide_env_values = true)]
    pub api_key: Option<String>,
    /// Header `Name:Value`, or a JSON object of headers; may be repeated
    #[arg(long, short = 'H', value_name = "HEADER")]
    pub header: Vec<String>,
    /// Fields merged into every body: `key:value` or a JSON object; may be repeated
    #[arg(long, value_name = "FIELD", num_args = 1..)]
    pub extra_inputs: Vec<String>,
    /// Time limit of a request, from its start to its last byte, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 21600.0)]
    pub request_timeout_seconds: f64,
    /// Send `max_tokens` instead of `max_completion_tokens`
    #[arg(long)]
    pub use_legacy_max_tokens: bool,
    /// Body template of `--endpoint-type template`: a file with {{placeholders}}
    #[arg(long, value_name = "FILE")]
    pub template: Option<PathBuf>,
    /// Where the answer's text stands (JSONPath), for `raw` and `template`
    #[arg(long, value_name = "PATH")]
    pub response_path: Option<String>,
}

/// How connections are made.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connections")]
pub struct TransportArgs {
    /// pooled: any request takes any idle connection; never: a new one each; sticky-user-sessions: one for
    /// each session
    #[arg(long, value_name = "STRATEGY", default_value = "pooled", value_parser = ["pooled", "never", "sticky-user-sessions", "sticky_user_sessions"])]
    pub connection_reuse_strategy: String,
    /// Most connections at once [default: as many as the load needs]
    #[arg(long, value_name = "N")]
    pub max_connections: Option<usize>,
    /// HTTP version; `2` without TLS speaks HTTP/2 at once (prior knowledge)
    #[arg(long, value_name = "VERSION", default_value = "auto", value_parser = ["auto", "1.1", "2"])]
    pub http_version: String,
    /// Requests at once on one HTTP/2 connection
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub http2_streams_per_connection: usize,
    /// Where receive stamps come from; kernel stamps stay true when this machine is busy
    #[arg(long, value_name = "SOURCE", default_value = "auto", value_parser = ["auto", "kernel", "user"])]
    pub timestamp_source: String,
    /// Trust the certificates of this PEM file too
    #[arg(long, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// Client certificate (PEM), with --key
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Key of the client certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Accept any certificate
    #[arg(long)]
    pub insecure: bool,
    /// Do not resume TLS sessions: every new connection pays the full handshake
    #[arg(long)]
    pub no_tls_resumption: bool,
    /// Name sent as SNI and checked in the certificate
    #[arg(long, value_name = "NAME")]
    pub sni: Option<String>,
    /// Use this address for host and port; may be repeated
    #[arg(long, value_name = "HOST:PORT:ADDRESS")]
    pub resolve: Vec<String>,
    /// Connect to another host and port than the URL's; may be repeated
    #[arg(long, value_name = "HOST1:PORT1:HOST2:PORT2")]
    pub connect_to: Vec<String>,
    /// How long resolved names are kept, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300.0)]
    pub dns_ttl: f64,
    /// Time limit for a TCP and TLS handshake, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub connect_timeout: f64,
    /// HTTP proxy (http://host:port); proxy variables of the environment are not used
    #[arg(long, value_name = "URL")]
    pub proxy: Option<String>,
    /// Hosts that are reached without the proxy, separated by commas
    #[arg(long, value_name = "HOSTS", value_delimiter = ',', env = "NO_PROXY")]
    pub no_proxy: Vec<String>,
    /// Largest response header accepted, in KiB
    #[arg(long, value_name = "KIB", default_value_t = 256)]
    pub max_header_kib: usize,
    /// Most header lines of a response accepted
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub max_headers: usize,
    /// Largest response body accepted, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    pub max_body_mib: usize,
    /// Largest event of a stream accepted (one line or many), in MiB
    #[arg(long, value_name = "MIB", default_value_t = 16)]
    pub max_event_mib: usize,
}

/// How tokens are counted.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Tokens")]
pub struct TokenArgs {
    /// `builtin` (o200k_base), a tokenizer.json, or a directory that holds one [default: the server's usage,
    /// else builtin]
    #[arg(long, value_name = "TOKENIZER")]
    pub tokenizer: Option<String>,
    /// Take all token counts from the server's usage object
    #[arg(long, conflicts_with = "tokenizer")]
    pub use_server_token_count: bool,
    /// Ask for usage in every event, for exact inter-token latency (needs --use-server-token-count)
    #[arg(long, requires_all = ["use_server_token_count", "streaming"])]
    pub per_chunk_usage: bool,
}

/// What is sent.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Input")]
pub struct InputArgs {
    /// Dataset file (JSONL, JSON, CSV, text; gzip and zstd too) or directory
    #[arg(long, value_name = "FILE")]
    pub input_file: Option<PathBuf>,
    /// Format of the input file [default: told by its content]
    #[arg(long, value_name = "TYPE", requires = "input_file")]
    pub custom_dataset_type: Option<DatasetFormat>,
    /// Order in which dataset entries are used
    #[arg(long, value_name = "STRATEGY")]
    pub dataset_sampling_strategy: Option<SamplingStrategy>,
    /// Makes all draws reproducible [default: a new seed each run, written to the summary]
    #[arg(long, value_name = "SEED")]
    pub random_seed: Option<u64>,
    /// Sessions to run
    #[arg(long = "conversation-num", visible_aliases = ["num-conversations", "num-sessions"], value_name = "N")]
    pub conversation_num: Option<Swept<u64>>,
    /// Distinct prompts made [default: the request count, else 100]
    #[arg(long = "num-dataset-entries", visible_alias = "num-prompts", value_name = "N")]
    pub num_dataset_entries: Option<u64>,
    /// Turns of a session: mean
    #[arg(long = "conversation-turn-mean", visible_alias = "session-turns-mean", value_name = "N")]
    pub conversation_turn_mean: Option<Swept<f64>>,
    /// Turns of a session: standard deviation
    #[arg(long = "conversation-turn-stddev", visible_alias = "session-turns-stddev", value_name = "N")]
    pub conversation_turn_stddev: Option<f64>,
    /// Pause between turns in ms: mean
    #[arg(
        long = "conversation-turn-delay-mean",
        visible_alias = "session-turn-delay-mean",
        value_name = "MS"
    )]
    pub conversation_turn_delay_mean: Option<f64>,
    /// Pause between turns in ms: standard deviation
    #[arg(
        long = "conversation-turn-delay-stddev",
        visible_alias = "session-turn-delay-stddev",
        value_name = "MS"
    )]
    pub conversation_turn_delay_stddev: Option<f64>,
    /// Factor on every pause between turns
    #[arg(
        long = "conversation-turn-delay-ratio",
        visible_alias = "session-delay-ratio",
        value_name = "RATIO"
    )]
    pub conversation_turn_delay_ratio: Option<f64>,
    /// Longest pause between turns, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub inter_turn_delay_cap_seconds: Option<f64>,
    /// Input tokens: mean (default 550)
    #[arg(long = "prompt-input-tokens-mean", visible_aliases = ["isl", "synthetic-input-tokens-mean"], value_name = "TOKENS")]
    pub prompt_input_tokens_mean: Option<Swept<f64>>,
    /// Input tokens: standard deviation
    #[arg(long = "prompt-input-tokens-stddev", visible_aliases = ["isl-stddev", "synthetic-input-tokens-stddev"], value_name = "TOKENS")]
    pub prompt_input_tokens_stddev: Option<Swept<f64>>,
    /// Tokens of a block of hash-id traces (default 512)
    #[arg(long = "prompt-input-tokens-block-size", visible_aliases = ["isl-block-size", "synthetic-input-tokens-block-size"], value_name = "TOKENS")]
    pub prompt_input_tokens_block_size: Option<u32>,
    /// Output tokens asked for: mean
    #[arg(long = "prompt-output-tokens-mean", visible_aliases = ["osl", "output-tokens-mean"], value_name = "TOKENS")]
    pub prompt_output_tokens_mean: Option<Swept<f64>>,
    /// Output tokens asked for: standard deviation
    #[arg(long = "prompt-output-tokens-stddev", visible_aliases = ["osl-stddev", "output-tokens-stddev"], value_name = "TOKENS")]
    pub prompt_output_tokens_stddev: Option<Swept<f64>>,
    /// Pairs of lengths with probabilities: `128,64:60;512|20,256|10:40`
    #[arg(long = "seq-dist", visible_alias = "sequence-distribution", value_name = "DIST")]
    pub seq_dist: Option<String>,
    /// Texts in one request (embeddings, completions)
    #[arg(long = "prompt-batch-size", visible_aliases = ["batch-size-text", "batch-size"], short = 'b', value_name = "N")]
    pub prompt_batch_size: Option<u32>,
    /// What synthetic prompts are made of: sentences, or words in no order
    #[arg(long, value_name = "CORPUS")]
    pub prompt_corpus: Option<CorpusStyle>,
    /// Draw lengths evenly from a window of this ratio around the means
    #[arg(long, value_name = "RATIO")]
    pub random_range_ratio: Option<String>,
    /// Whose window --random-range-ratio means
    #[arg(long, value_name = "STYLE", default_value = "vllm")]
    pub random_corpus_style: RangeStyle,
    /// System message of every session
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["system_prompt_file", "shared_system_prompt_length", "prompt_prefix_pool_size"])]
    pub system_prompt: Option<String>,
    /// File with the system message of every session
    #[arg(long, value_name = "FILE", conflicts_with_all = ["shared_system_prompt_length", "prompt_prefix_pool_size"])]
    pub system_prompt_file: Option<PathBuf>,
    /// Tokens of a synthetic system message shared by all sessions
    #[arg(long, value_name = "TOKENS")]
    pub shared_system_prompt_length: Option<u32>,
    /// Tokens of a synthetic first message of each session
    #[arg(long, value_name = "TOKENS")]
    pub user_context_prompt_length: Option<u32>,
    /// Number of shared prefixes
    #[arg(long = "prompt-prefix-pool-size", visible_aliases = ["prefix-prompt-pool-size", "num-prefix-prompts"], value_name = "N", requires = "prompt_prefix_length")]
    pub prompt_prefix_pool_size: Option<u32>,
    /// Tokens of each shared prefix
    #[arg(
        long = "prompt-prefix-length",
        visible_alias = "prefix-prompt-length",
        value_name = "TOKENS",
        requires = "prompt_prefix_pool_size"
    )]
    pub prompt_prefix_length: Option<u32>,
    /// Keep repeats from meeting a warm prefix cache
    #[arg(long, value_name = "TARGET", default_value = "none")]
    pub cache_bust: CacheBust,
    /// Images in a chat message
    #[arg(long = "image-batch-size", visible_alias = "batch-size-image", value_name = "N")]
    pub image_batch_size: Option<u32>,
    /// Width of synthetic images: mean, in pixels; 0 sends none
    #[arg(long, value_name = "PIXELS")]
    pub image_width_mean: Option<f64>,
    /// Height of synthetic images: mean, in pixels; 0 sends none
    #[arg(long, value_name = "PIXELS")]
    pub image_height_mean: Option<f64>,
    /// Directory of images to send instead of synthetic ones
    #[arg(long, value_name = "DIR")]
    pub image_source: Option<PathBuf>,
    /// Width of synthetic images: standard deviation
    #[arg(long, value_name = "PIXELS")]
    pub image_width_stddev: Option<f64>,
    /// Height of synthetic images: standard deviation
    #[arg(long, value_name = "PIXELS")]
    pub image_height_stddev: Option<f64>,
    /// Passages to rank: mean
    #[arg(long, value_name = "N")]
    pub rankings_passages_mean: Option<f64>,
    /// Passages to rank: standard deviation
    #[arg(long, value_name = "N")]
    pub rankings_passages_stddev: Option<f64>,
    /// Tokens of a passage: mean
    #[arg(long, value_name = "TOKENS")]
    pub rankings_passages_prompt_token_mean: Option<f64>,
    /// Tokens of a passage: standard deviation
    #[arg(long, value_name = "TOKENS")]
    pub rankings_passages_prompt_token_stddev: Option<f64>,
    /// Tokens of a query: mean
    #[arg(long, value_name = "TOKENS")]
    pub rankings_query_prompt_token_mean: Option<f64>,
    /// Tokens of a query: standard deviation
    #[arg(long, value_name = "TOKENS")]
    pub rankings_query_prompt_token_stddev: Option<f64>,
}

/// Metrics of the server and its GPUs.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server metrics")]
pub struct ServerMetricsArgs {
    /// More Prometheus pages to scrape, beside <url>/metrics
    #[arg(long, value_name = "URL", num_args = 1..)]
    pub server_metrics: Vec<String>,
    /// Scrape nothing
    #[arg(long, conflicts_with = "server_metrics")]
    pub no_server_metrics: bool,
    /// Files to write
    #[arg(long, value_name = "FORMAT", num_args = 1.., value_delimiter = ',', default_values = ["json", "csv", "parquet"], value_parser = ["json", "csv", "parquet", "jsonl"])]
    pub server_metrics_formats: Vec<String>,
    /// Compression of the Parquet file
    #[arg(long, value_name = "CODEC", default_value = "snappy")]
    pub server_metrics_compression: ParquetCompression,
    /// Fail the run (exit 4) when this metric is not offered; may be repeated
    #[arg(long, value_name = "NAME")]
    pub server_metrics_required: Vec<String>,
    /// DCGM exporter pages [default: localhost:9400 and :9401, tried silently]
    #[arg(long, value_name = "URL", num_args = 0..)]
    pub gpu_telemetry: Vec<String>,
    /// Ask no GPU exporter
    #[arg(long, conflicts_with = "gpu_telemetry")]
    pub no_gpu_telemetry: bool,
    /// Limits on pages.
    #[command(flatten)]
    pub page_limits: PageLimitArgs,
}

/// Compression of the server metrics' Parquet file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ParquetCompression {
    /// Fast, read everywhere.
    Snappy,
    /// Smaller.
    Zstd,
}

impl From<ParquetCompression> for Compression {
    fn from(given: ParquetCompression) -> Compression {
        match given {
            ParquetCompression::Snappy => Compression::Snappy,
            ParquetCompression::Zstd => Compression::Zstd,
        }
    }
}
