//! `tokmeter sim`: flags of the simulated server.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use tokmeter_sim::{
    Distribution, FaultRule, Flush, LineEnd, MetricsMode, MetricsSwitch, OutputTokens, RoleChunk, SimConfig,
    UsageReport,
};

/// Start the simulated server alone: exact timing, faults, metrics, and a log of what it sent.
///
/// Flags override the file given with `--config`, which overrides the defaults.
#[derive(Args, Clone, Debug, Default)]
#[command(after_help = "\
Examples:
  tokmeter sim --ttft-ms 50 --itl-ms 10 --log sim.jsonl
  tokmeter sim --ttft-ms lognormal:200,0.4 --itl-ms normal:20,2 --max-running 32
  tokmeter sim --fault status:429@0.05 --fault reset-mid-stream:3#10,20")]
pub struct SimArgs {
    /// YAML file with any subset of the settings
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the settings that result, as YAML, and exit
    #[arg(long)]
    pub print_config: bool,

    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    timing: TimingArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    wire: WireArgs,
    #[command(flatten)]
    connections: ConnectionArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Default, Clone, Args)]
#[command(next_help_heading = "Server")]
struct ServerArgs {
    /// Address to listen on [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    host: Option<IpAddr>,
    /// Port to listen on, 0 for a free one [default: 8000]
    #[arg(long)]
    port: Option<u16>,
    /// Worker threads [default: 1]
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// A served model; may be repeated [default: sim-model]
    #[arg(long = "model", value_name = "NAME")]
    models: Vec<String>,
    /// Answer 404 to models that are not served
    #[arg(long)]
    strict_models: bool,
    /// Require this key
    #[arg(long, value_name = "KEY", env = "TOKMETER_SIM_API_KEY", hide_env_values = true)]
    api_key: Option<String>,
    /// Seed of everything random [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// What goes wrong: FAULT, FAULT@PROBABILITY or FAULT#REQUEST,REQUEST...; may be repeated
    #[arg(long = "fault", value_name = "RULE", long_help = fault_help())]
    faults: Vec<FaultRule>,
    /// What is behind /metrics [default: vllm]
    #[arg(long, value_name = "PAGE", value_parser = one_of(&MetricsMode::ALL))]
    metrics_page: Option<MetricsMode>,
    /// Change the metrics page after so many reads
    #[arg(long, value_name = "READS:PAGE", value_parser = metrics_switch)]
    metrics_switch: Option<MetricsSwitch>,
    /// Size of the metrics page `huge` in bytes [default: 104857600]
    #[arg(long, value_name = "BYTES")]
    metrics_huge_bytes: Option<u64>,
    /// Tokens that fit the simulated KV cache [default: 1000000]
    #[arg(long, value_name = "N")]
    kv_cache_tokens: Option<u64>,
}

#[derive(Debug, Default, Clone, Args)]
#[command(next_help_heading = "Timing")]
struct TimingArgs {
    /// Milliseconds to the first token: N, uniform:MIN,MAX, normal:MEAN,STDDEV,
    /// lognormal:MEDIAN,SIGMA or exponential:MEAN [default: 0]
    #[arg(long, value_name = "DISTRIBUTION")]
    ttft_ms: Option<Distribution>,
    /// Milliseconds between tokens, same forms [default: 0]
    #[arg(long, value_name = "DISTRIBUTION")]
    itl_ms: Option<Distribution>,
    /// Microseconds to the first token for each prompt token that is not cached [default: 0]
    #[arg(long, value_name = "US")]
    prefill_us_per_token: Option<f64>,
    /// Requests served at the same time; the others wait [default: no limit]
    #[arg(long, value_name = "N")]
    max_running: Option<usize>,
    /// Growth of the time between tokens with each other running request [default: 0]
    #[arg(long, value_name = "SHARE")]
    slowdown_per_running: Option<f64>,
}

#[derive(Debug, Default, Clone, Args)]
#[command(next_help_heading = "Answers")]
struct OutputArgs {
    /// Output tokens, N or a distribution [default: what the request asks for]
    #[arg(long, value_name = "DISTRIBUTION")]
    output_tokens: Option<Distribution>,
    /// Output tokens of requests that name no maximum [default: 16]
    #[arg(long, value_name = "N")]
    default_output_tokens: Option<u32>,
    /// Longest answer in tokens, whatever is asked [default: 1000000]
    #[arg(long, value_name = "N")]
    most_tokens: Option<u32>,
    /// Ignore the maximum a request names
    #[arg(long)]
    ignore_max_tokens: bool,
    /// Tokens of reasoning before the text [default: 0]
    #[arg(long, value_name = "N")]
    reasoning_tokens: Option<u32>,
    /// Name of the delta with reasoning [default: reasoning_content]
    #[arg(long, value_name = "NAME")]
    reasoning_field: Option<String>,
    /// Tokens of a tool call after the text [default: 0]
    #[arg(long, value_name = "N")]
    tool_call_tokens: Option<u32>,
    /// Tokens in one event [default: 1]
    #[arg(long, value_name = "N")]
    tokens_per_event: Option<u32>,
    /// When a stream reports usage [default: on-request]
    #[arg(long, value_name = "WHEN", value_parser = one_of(&UsageReport::ALL))]
    usage: Option<UsageReport>,
    /// Send the finish reason with the last token
    #[arg(long)]
    finish_with_last_token: bool,
    /// Blocks of 64 characters the prefix cache remembers, 0 for no cache [default: 0]
    #[arg(long, value_name = "N")]
    prefix_cache_blocks: Option<usize>,
}

#[derive(Debug, Default, Clone, Args)]
#[command(next_help_heading = "Wire")]
struct WireArgs {
    /// One write per event, or everything that is due in one [default: per-event]
    #[arg(long, value_name = "WHEN", value_parser = one_of(&Flush::ALL))]
    flush: Option<Flush>,
    /// Events in one HTTP chunk [default: 1]
    #[arg(long, value_name = "N")]
    events_per_chunk: Option<usize>,
    /// Cut events into HTTP chunks of at most so many bytes
    #[arg(long, value_name = "BYTES")]
    chunk_bytes: Option<usize>,
    /// Cut writes, framing included, at every so many bytes
    #[arg(long, value_name = "BYTES")]
    write_bytes: Option<usize>,
    /// Pause between the pieces of a cut write [default: 0]
    #[arg(long, value_name = "US")]
    write_pause_us: Option<u64>,
    /// Where a chat stream names the role [default: immediate]
    #[arg(long, value_name = "WHERE", value_parser = one_of(&RoleChunk::ALL))]
    role_chunk: Option<RoleChunk>,
    /// Send the response head with the first event instead of at once
    #[arg(long)]
    headers_with_first_event: bool,
    /// Line ends of the stream [default: lf]
    #[arg(long, value_name = "END", value_parser = one_of(&LineEnd::ALL))]
    line_end: Option<LineEnd>,
    /// Write `data:` without a space
    #[arg(long)]
    no_space: bool,
    /// Start the stream with a byte order mark
    #[arg(long)]
    bom: bool,
    /// Put each payload on two `data:` lines
    #[arg(long)]
    split_data_lines: bool,
    /// Add `event:` and `id:` lines to chat and completions
    #[arg(long)]
    event_lines: bool,
    /// Leave out the `event:` lines of APIs that name their events
    #[arg(long)]
    no_event_lines: bool,
    /// Send a comment before every N-th event
    #[arg(long, value_name = "N")]
    ping_every_events: Option<u32>,
    /// Leave out the blank line of the last event
    #[arg(long)]
    no_final_blank_line: bool,
    /// How many `[DONE]` events end a stream [default: 1]
    #[arg(long, value_name = "N")]
    done_events: Option<u32>,
    /// Send `103 Early Hints` before each response
    #[arg(long)]
    early_hints: bool,
}

#[derive(Debug, Default, Clone, Args)]
#[command(next_help_heading = "Connections")]
struct ConnectionArgs {
    /// Close the connection after every answer, and say so
    #[arg(long)]
    no_keep_alive: bool,
    /// Requests of one connection [default: no limit]
    #[arg(long, value_name = "N")]
    max_requests_per_connection: Option<u64>,
    /// Close idle connections without a word
    #[arg(long, value_name = "MS")]
    idle_timeout_ms: Option<u64>,
    /// Close after every stream without having said so, as llama.cpp does
    #[arg(long)]
    silent_close_after_stream: bool,
    /// Go on answering clients that have shut down their sending side
    #[arg(long)]
    allow_half_close: bool,
    /// Flow-control window of an HTTP/2 request body [default: 1048576]
    #[arg(long, value_name = "BYTES")]
    http2_window: Option<u32>,
    /// Speak HTTP/1.1 only
    #[arg(long)]
    no_http2: bool,
}

#[derive(Debug, Default, Clone, Args)]
#[command(next_help_heading = "Log")]
struct LogArgs {
    /// Write every finished request to this file, one JSON object per line
    #[arg(long = "log", value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// Log requests without their writes
    #[arg(long)]
    log_without_writes: bool,
    /// Log request bodies
    #[arg(long)]
    log_bodies: bool,
}

impl SimArgs {
    /// The settings these flags ask for.
    ///
    /// # Errors
    /// The file of `--config` cannot be read or has an unknown key or a wrong value.
    pub fn to_config(&self) -> anyhow::Result<SimConfig> {
        let mut config = match &self.config {
            None => SimConfig { bind: SocketAddr::from(([127, 0, 0, 1], 8000)), ..SimConfig::default() },
            Some(path) => {
                let name = path.display();
                let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
                yaml_serde::from_str(&text)
                    .with_context(|| format!("{name} is not a simulator configuration"))?
            }
        };
        // The log only keeps what its file needs: nobody reads the one in memory.
        config.log.keep_requests = 0;
        self.server.apply(&mut config);
        self.timing.apply(&mut config);
        self.output.apply(&mut config);
        self.wire.apply(&mut config);
        self.connections.apply(&mut config);
        set_some(&mut config.log.file, &self.log.log_file);
        config.log.writes &= !self.log.log_without_writes;
        config.log.bodies |= self.log.log_bodies;
        Ok(config)
    }
}

impl ServerArgs {
    fn apply(&self, config: &mut SimConfig) {
        if let Some(host) = self.host {
            config.bind.set_ip(host);
        }
        if let Some(port) = self.port {
            config.bind.set_port(port);
        }
        set(&mut config.workers, &self.workers);
        if !self.models.is_empty() {
            config.models.clone_from(&self.models);
        }
        config.strict_models |= self.strict_models;
        set_some(&mut config.api_key, &self.api_key);
        set(&mut config.seed, &self.seed);
        if !self.faults.is_empty() {
            config.faults.clone_from(&self.faults);
        }
        set(&mut config.metrics.mode, &self.metrics_page);
        set_some(&mut config.metrics.switch, &self.metrics_switch);
        set(&mut config.metrics.huge_bytes, &self.metrics_huge_bytes);
        set(&mut config.metrics.kv_cache_tokens, &self.kv_cache_tokens);
    }
}

impl TimingArgs {
    fn apply(&self, config: &mut SimConfig) {
        let timing = &mut config.timing;
        set(&mut timing.ttft_ms, &self.ttft_ms);
        set(&mut timing.itl_ms, &self.itl_ms);
        set(&mut timing.prefill_us_per_token, &self.prefill_us_per_token);
        set_some(&mut timing.max_running, &self.max_running);
        set(&mut timing.slowdown_per_running, &self.slowdown_per_running);
    }
}

impl OutputArgs {
    fn apply(&self, config: &mut SimConfig) {
        let output = &mut config.output;
        set(&mut output.tokens, &self.output_tokens.map(OutputTokens::Drawn));
        set(&mut output.default_tokens, &self.default_output_tokens);
        set(&mut output.most_tokens, &self.most_tokens);
        output.honour_max_tokens &= !self.ignore_max_tokens;
        set(&mut output.reasoning_tokens, &self.reasoning_tokens);
        set(&mut output.reasoning_field, &self.reasoning_field);
        set(&mut output.tool_call_tokens, &self.tool_call_tokens);
        set(&mut output.tokens_per_event, &self.tokens_per_event);
        set(&mut output.usage, &self.usage);
        output.finish_with_last_token |= self.finish_with_last_token;
        set(&mut output.prefix_cache_blocks, &self.prefix_cache_blocks);
    }
}

impl WireArgs {
    fn apply(&self, config: &mut SimConfig) {
        let wire = &mut config.wire;
        set(&mut wire.flush, &self.flush);
        set(&mut wire.events_per_chunk, &self.events_per_chunk);
        set_some(&mut wire.chunk_bytes, &self.chunk_bytes);
        set_some(&mut wire.write_bytes, &self.write_bytes);
        set(&mut wire.write_pause_us, &self.write_pause_us);
        set(&mut wire.role_chunk, &self.role_chunk);
        wire.headers_with_first_event |= self.headers_with_first_event;
        set(&mut wire.line_end, &self.line_end);
        wire.no_space |= self.no_space;
        wire.bom |= self.bom;
        wire.split_data_lines |= self.split_data_lines;
        wire.event_lines |= self.event_lines;
        wire.no_event_lines |= self.no_event_lines;
        set_some(&mut wire.ping_every_events, &self.ping_every_events);
        wire.no_final_blank_line |= self.no_final_blank_line;
        set(&mut wire.done_events, &self.done_events);
        wire.early_hints |= self.early_hints;
    }
}

impl ConnectionArgs {
    fn apply(&self, config: &mut SimConfig) {
        let connections = &mut config.connections;
        connections.keep_alive &= !self.no_keep_alive;
        set_some(&mut connections.max_requests, &self.max_requests_per_connection);
        set_some(&mut connections.idle_timeout_ms, &self.idle_timeout_ms);
        connections.silent_close_after_stream |= self.silent_close_after_stream;
        connections.allow_half_close |= self.allow_half_close;
        set(&mut connections.http2_window, &self.http2_window);
        connections.http2 &= !self.no_http2;
    }
}

fn set<T: Clone>(setting: &mut T, flag: &Option<T>) {
    if let Some(value) = flag {
        setting.clone_from(value);
    }
}

fn set_some<T: Clone>(setting: &mut Option<T>, flag: &Option<T>) {
    if flag.is_some() {
        setting.clone_from(flag);
    }
}

/// Accepts the names of `table`.
fn one_of<T: Copy + Send + Sync + 'static>(
    table: &'static [(&'static str, T)],
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(table.iter().map(|(name, _)| *name)).try_map(move |given| {
        table
            .iter()
            .find(|(name, _)| *name == given)
            .map(|(_, value)| *value)
            .ok_or("not one of the possible values")
    })
}

fn metrics_switch(text: &str) -> Result<MetricsSwitch, String> {
    let (reads, page) = text.split_once(':').ok_or("expected READS:PAGE")?;
    let after_reads = u64::from_str(reads).map_err(|_| format!("`{reads}` is not a number"))?;
    let mode = MetricsMode::ALL
        .iter()
        .find(|(name, _)| *name == page)
        .map(|(_, mode)| *mode)
        .ok_or_else(|| format!("no metrics page is called `{page}`"))?;
    Ok(MetricsSwitch { after_reads, mode })
}

fn fault_help() -> String {
    let names: Vec<String> = tokmeter_sim::Fault::all().iter().map(ToString::to_string).collect();
    format!(
        "What goes wrong: FAULT, FAULT@PROBABILITY or FAULT#REQUEST,REQUEST...; may be repeated, the first rule \
         that applies to a request wins. A client can ask for one with the header `X-Sim-Script: FAULT`.\n\n\
         Faults with their default parameters (tokens sent before, bytes, milliseconds or status): {}",
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: SimArgs,
    }

    fn config(flags: &[&str]) -> SimConfig {
        let flags = ["sim"].iter().chain(flags);
        Command::try_parse_from(flags).expect("valid flags").args.to_config().expect("valid configuration")
    }

    #[test]
    fn without_flags_it_is_the_default_on_port_8000() {
        let mut expected = SimConfig::default();
        expected.bind.set_port(8000);
        expected.log.keep_requests = 0;
        assert_eq!(config(&[]), expected);
    }

    #[test]
    fn flags_reach_their_settings() {
        let config = config(&[
            "--port=0",
            "--ttft-ms=normal:50,5",
            "--itl-ms=10",
            "--output-tokens=uniform:10,20",
            "--flush=coalesce",
            "--line-end=mixed",
            "--fault=status:429@0.1",
            "--fault=truncate#3,4",
            "--metrics-switch=5:garbage",
            "--no-http2",
            "--log=sim.jsonl",
        ]);
        assert_eq!(config.bind.port(), 0);
        assert_eq!(config.timing.ttft_ms, Distribution::Normal { mean: 50.0, stddev: 5.0 });
        assert_eq!(config.output.tokens, OutputTokens::Drawn(Distribution::Uniform { min: 10.0, max: 20.0 }));
        assert_eq!((config.wire.flush, config.wire.line_end), (Flush::Coalesce, LineEnd::Mixed));
        assert_eq!(config.faults.len(), 2);
        assert_eq!(config.faults[1].ordinals.as_deref(), Some([3, 4].as_slice()));
        assert_eq!(config.metrics.switch, Some(MetricsSwitch { after_reads: 5, mode: MetricsMode::Garbage }));
        assert!(!config.connections.http2);
        assert_eq!(config.log.file.as_deref(), Some("sim.jsonl".as_ref()));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for flag in
            ["--fault=nonsense", "--ttft-ms=-5", "--flush=never", "--metrics-switch=json", "--port=99999"]
        {
            assert!(Command::try_parse_from(["sim", flag]).is_err(), "{flag} was accepted");
        }
    }

    #[test]
    fn flags_win_over_the_file() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "timing:\n  ttft_ms: {shape: constant, value: 7}\nseed: 3\n")
            .expect("written");
        let path = file.path().display().to_string();
        let both = config(&["--config", &path, "--seed=4"]);
        assert_eq!((both.seed, both.timing.ttft_ms), (4, Distribution::constant(7.0)));
        std::fs::write(file.path(), "sead: 3\n").expect("written");
        let wrong = Command::try_parse_from(["sim", "--config", &path]).expect("flags").args.to_config();
        assert!(format!("{:#}", wrong.expect_err("unknown key")).contains("sead"));
    }
}
