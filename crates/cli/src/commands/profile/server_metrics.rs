//! The server-metrics collector beside a run: started before the warmup, its files written at the end.

use anyhow::{Context, Result};
use serde_json::Value;
use tokmeter_engine::server_metrics::{
    HttpFetch, LatestGauges, ServerMetrics, ServerMetricsConfig, ServerMetricsOutcome, Timing, Trusted,
};
use tokmeter_http::clock;
use tokmeter_record::format::server_json::{ExportOptions, ServerMetricsFile};
use tokmeter_record::format::server_parquet::ParquetMetadata;
use tokmeter_record::server::comparison::{self, SideBySide};
use tokmeter_record::server::known::{self, ServerView};
use tokmeter_record::statistics::{GpuEnergy, GpuVendor, MetricSet, RunFacts, Window};

use crate::args::profile::ProfileArgs;
use crate::args::swept::value;
use crate::commands::server_files::ServerFiles;
use crate::exit::Failure;
use crate::settings::profile::ProfileSettings;

/// Starts the collector; `None` when neither servers nor GPUs are to be asked.
pub fn start(
    args: &ProfileArgs,
    settings: &ProfileSettings,
    latest: LatestGauges,
) -> Result<Option<ServerMetrics>> {
    let given = &args.server_metrics;
    // Of the ranks of a run the first one asks: the others would only ask the same again.
    let asks = settings.rank.as_ref().is_none_or(|rank| rank.rank == 0);
    if !asks || given.no_server_metrics && given.no_gpu_telemetry {
        return Ok(None);
    }
    let servers: &[String] = if given.no_server_metrics { &[] } else { &args.endpoint.url };
    let mut pages =
        ServerMetricsConfig::pages(servers, &given.server_metrics, gpu_pages(&given.gpu_telemetry));
    pages.retain(|page| !(page.gpu && given.no_gpu_telemetry));
    let timing = Timing::from_environment(|name| std::env::var(name).ok())
        .map_err(|error| Failure::usage(error.to_string()))?;
    let config = ServerMetricsConfig {
        pages,
        timing,
        jsonl: wants(args, "jsonl").then(|| settings.names.server_metrics("jsonl")),
        gpu_jsonl: (!given.no_gpu_telemetry).then(|| settings.names.gpu_telemetry()),
        latest,
        ..given.page_limits.collector()
    };
    let trusted = Trusted {
        origins: settings.request.targets.iter().map(|target| target.origin.clone()).collect(),
        headers: tokmeter_engine::request::RequestBuilder::new(settings.request.clone()).credentials(),
    };
    let (transport, anchor) = (settings.transport.clone(), clock::anchor());
    let page_bytes = given.page_limits.page_bytes();
    let fetcher =
        move || HttpFetch::new(&transport, page_bytes, anchor, trusted).map_err(|error| error.to_string());
    let collector = ServerMetrics::start(config, fetcher).context("cannot collect server metrics")?;
    Ok(Some(collector))
}

/// The flag alone (`--gpu-telemetry`) or its absence asks the usual ports.
fn gpu_pages(given: &[String]) -> Option<&[String]> {
    (!given.is_empty()).then_some(given)
}

fn wants(args: &ProfileArgs, format: &str) -> bool {
    !args.server_metrics.no_server_metrics
        && args.server_metrics.server_metrics_formats.iter().any(|given| given == format)
}

/// What a run learned from its servers' metrics.
pub struct Collected {
    /// All scrapes.
    pub outcome: ServerMetricsOutcome,
    /// Statistics over the profiling phase.
    pub file: ServerMetricsFile,
    /// What known engines said about the same requests.
    pub views: Vec<ServerView>,
}

/// Ends the collector: at once when no page answered or the run was interrupted, else after the flush period.
pub fn finish(collector: ServerMetrics, settings: &ProfileSettings, interrupted: bool) -> Result<Collected> {
    let wait = collector.is_active() && !interrupted;
    let ended = if wait { collector.finish() } else { collector.finish_now() };
    let outcome = ended.map_err(|_| anyhow::anyhow!("internal error: the server-metrics thread panicked"))?;
    let file = ServerMetricsFile::of(&outcome.store, &options(settings, &outcome));
    let views = known::views(&file.metrics);
    Ok(Collected { outcome, file, views })
}

fn options(settings: &ProfileSettings, outcome: &ServerMetricsOutcome) -> ExportOptions {
    ExportOptions {
        benchmark_id: Some(settings.benchmark_id.clone()),
        input_config: settings.input_config.clone(),
        slice_ns: settings.statistics.slice_ns,
        notices: outcome.notices.clone(),
        ..ExportOptions::default()
    }
}

/// Writes the files asked for; none when no server page was read.
pub fn write(args: &ProfileArgs, settings: &ProfileSettings, collected: &Collected) -> Result<()> {
    let files = ServerFiles {
        formats: &args.server_metrics.server_metrics_formats,
        compression: args.server_metrics.server_metrics_compression.into(),
        names: &settings.names,
    };
    let metadata = ParquetMetadata {
        model_names: args.endpoint.model_names.clone(),
        concurrency: settings.load.profiling.concurrency.map(u64::from),
        request_rate: value(&args.load.request_rate),
        ..ParquetMetadata::default()
    };
    let options = options(settings, &collected.outcome);
    files.write(&collected.outcome.store, &collected.file, &options, &metadata)
}

/// Client and engines side by side.
pub fn side_by_side(collected: &Collected, client: &MetricSet) -> Vec<SideBySide> {
    comparison::side_by_side(&collected.views, client)
}

/// Facts that GPU exporters add to the statistics.
pub fn gpu_energy(facts: &mut RunFacts, collected: &Collected, window: &Window) {
    let (Some(start), Some(end)) = (window.start, window.end) else { return };
    if !collected.outcome.telemetry.is_empty() {
        let power = collected.outcome.telemetry.power(start, end);
        facts.gpu_energy.push(GpuEnergy {
            vendor: GpuVendor::Nvidia,
            energy_j: power.energy_j,
            power_w: power.power_w,
        });
    }
}

/// The summary's own facts about the collector.
pub fn facts(collected: &Collected, client: &MetricSet) -> Value {
    let pages: Vec<Value> = collected
        .outcome
        .pages
        .iter()
        .filter(|page| page.scrapes > 0 || !page.gpu)
        .map(|page| {
            let mut facts =
                serde_json::json!({"url": page.url, "scrapes": page.scrapes, "failures": page.failures});
            if let Some(reason) = &page.disabled {
                facts["disabled"] = reason.clone().into();
            }
            facts
        })
        .collect();
    serde_json::json!({
        "pages": pages,
        "engines": collected.views,
        "side_by_side": side_by_side(collected, client),
    })
}
