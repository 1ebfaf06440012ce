//! `scrape`: server metrics without load, or one page from a file.

mod page;

use std::fs;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use http::{HeaderMap, HeaderValue, header};
use serde_json::json;
use tokmeter_engine::RunControl;
use tokmeter_engine::server_metrics::{
    HttpFetch, MetricsPage, PageReport, ServerMetrics, ServerMetricsConfig, ServerMetricsOutcome, Timing,
    Trusted,
};
use tokmeter_http::{ClientConfig, Origin, TlsOptions, clock};
use tokmeter_record::format::names::ArtifactNames;
use tokmeter_record::format::server_json::{ExportOptions, ServerMetricsFile};
use tokmeter_record::format::server_parquet::ParquetMetadata;
use tokmeter_record::server::{PhaseMark, without_credentials};
use tokmeter_record::{BenchmarkPhase, WallNs};

use super::server_files::ServerFiles;
use crate::args::scrape::{PrintFormat, ScrapeArgs};
use crate::console::{self, harmless, server_metrics};
use crate::exit::{Exit, Failure};
use crate::settings::pairs;
use crate::{log, signal};

/// Runs the command.
pub fn run(args: &ScrapeArgs) -> Result<Exit> {
    log::start("warning", 0);
    match &args.page {
        Some(path) => page::print(path, args.format, &args.page_limits),
        None => collect(args),
    }
}

fn collect(args: &ScrapeArgs) -> Result<Exit> {
    let names = ArtifactNames::new(&args.output_artifact_dir, args.profile_export_prefix.as_deref());
    let slice_ns = slice(args.slice_duration)?;
    let config = config(args, &names)?;
    let trusted = trusted(args, &config.pages)?;
    fs::create_dir_all(names.directory()).map_err(|error| {
        Failure::usage(format!(
            "--output-artifact-dir: cannot create {}: {error}",
            names.directory().display()
        ))
        .fix("choose a directory you may write to")
    })?;
    let control = RunControl::default();
    signal::stop_on_interrupt(control.clone()).context("cannot listen for signals")?;
    let (transport, anchor) = (transport(args), clock::anchor());
    let page_bytes = args.page_limits.page_bytes();
    let fetcher =
        move || HttpFetch::new(&transport, page_bytes, anchor, trusted).map_err(|error| error.to_string());
    let collector = ServerMetrics::start(config, fetcher).context("cannot collect server metrics")?;
    if !collector.is_active() {
        let pages = collector.baseline().to_vec();
        let _ = collector.finish_now();
        return Err(unreachable(&pages).into());
    }
    let outcome = watch(collector, args.duration, &control)?;

    let options = ExportOptions {
        benchmark_id: Some(format!(
            "{:012x}",
            tokmeter_engine::seed::Seed::from_entropy().0 & 0xffff_ffff_ffff
        )),
        input_config: echo(args),
        slice_ns,
        notices: outcome.notices.clone(),
        ..ExportOptions::default()
    };
    let file = ServerMetricsFile::of(&outcome.store, &options);
    let files = ServerFiles {
        formats: &args.server_metrics_formats,
        compression: args.server_metrics_compression.into(),
        names: &names,
    };
    files.write(&outcome.store, &file, &options, &ParquetMetadata::default())?;
    print(args, &names, &outcome, &file)?;
    if let Some(error) = outcome.file_error {
        return Err(Failure::usage(error.to_string())
            .fix("free space or choose another --output-artifact-dir")
            .into());
    }
    Ok(if control.was_interrupted() { Exit::Interrupted } else { Exit::Ok })
}

fn slice(seconds: Option<f64>) -> Result<Option<u64>, Failure> {
    match seconds {
        Some(seconds) if !(seconds.is_finite() && seconds > 0.0) => {
            Err(Failure::usage(format!("--slice-duration: {seconds} is no length of time"))
                .fix("give seconds > 0"))
        }
        seconds => Ok(seconds.map(|seconds| (seconds * 1e9) as u64)),
    }
}

fn config(args: &ScrapeArgs, names: &ArtifactNames) -> Result<ServerMetricsConfig, Failure> {
    let environment = Timing::from_environment(|name| std::env::var(name).ok())
        .map_err(|error| Failure::usage(error.to_string()))?;
    let wants = |format: &str| args.server_metrics_formats.iter().any(|given| given == format);
    Ok(ServerMetricsConfig {
        pages: ServerMetricsConfig::pages(&[], &args.urls, Some(&args.gpu_telemetry)),
        timing: Timing { interval: args.interval.unwrap_or(environment.interval), ..environment },
        jsonl: wants("jsonl").then(|| names.server_metrics("jsonl")),
        gpu_jsonl: Some(names.gpu_telemetry()),
        ..args.page_limits.collector()
    })
}

/// Every page is named by the user, so every page gets the user's headers.
fn trusted(args: &ScrapeArgs, pages: &[MetricsPage]) -> Result<Trusted, Failure> {
    let origin = |page: &MetricsPage| Ok(Origin::parse(&page.url)?.origin);
    let origins: Result<Vec<Arc<Origin>>, tokmeter_http::UrlError> = pages.iter().map(origin).collect();
    let origins = origins.map_err(|error| Failure::usage(format!("URL: {error}")))?;
    let mut headers: HeaderMap = pairs::headers(&args.header)?.into_iter().collect();
    if let Some(key) = &args.api_key {
        let mut value = HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| {
            Failure::usage("--api-key: the key has characters a header cannot hold (a line end?)")
        })?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(Trusted { origins, headers })
}

fn transport(args: &ScrapeArgs) -> ClientConfig {
    let tls = TlsOptions { ca_file: args.cacert.clone(), insecure: args.insecure, ..TlsOptions::default() };
    ClientConfig { tls, ..ClientConfig::default() }
}

/// Lets the collector work for the time asked, or until the user interrupts.
fn watch(collector: ServerMetrics, duration: Duration, control: &RunControl) -> Result<ServerMetricsOutcome> {
    const LOOK: Duration = Duration::from_millis(20);
    collector.begin_phase(phase(clock::wall_now()));
    let begin = Instant::now();
    while let Some(left) = duration.checked_sub(begin.elapsed()).filter(|left| !left.is_zero()) {
        if control.was_interrupted() {
            break;
        }
        thread::sleep(left.min(LOOK));
    }
    collector.end_phase(clock::wall_now());
    collector.finish_now().map_err(|_| anyhow::anyhow!("internal error: the server-metrics thread panicked"))
}

/// The whole time is one phase, as readers of the files expect it.
fn phase(start_ns: WallNs) -> PhaseMark {
    let kind = BenchmarkPhase::Profiling;
    PhaseMark {
        kind,
        name: kind.as_str().to_owned(),
        index: 0,
        profiling_index: Some(0),
        start_ns,
        end_ns: None,
    }
}

fn unreachable(pages: &[PageReport]) -> Failure {
    let reason = |page: &PageReport| {
        format!("{}: {}", page.configured_url, page.disabled.as_deref().unwrap_or("not reached"))
    };
    let reasons: Vec<String> = pages.iter().map(reason).collect();
    Failure {
        exit: Exit::Unreachable,
        message: format!("no metrics page can be read: {}", harmless(&reasons.join("; "))),
        fix: Some("check that the server runs and that its metrics are switched on".to_owned()),
    }
}

/// What was asked, for the files; without secrets.
fn echo(args: &ScrapeArgs) -> serde_json::Value {
    let shown = |urls: &[String]| urls.iter().map(|url| without_credentials(url)).collect::<Vec<_>>();
    json!({
        "endpoint": {"urls": shown(&args.urls)},
        "artifacts": {"dir": args.output_artifact_dir, "slice_duration": args.slice_duration},
        "scrape": {"duration_seconds": args.duration.as_secs_f64(), "gpu_telemetry": shown(&args.gpu_telemetry)},
    })
}

fn print(
    args: &ScrapeArgs,
    names: &ArtifactNames,
    outcome: &ServerMetricsOutcome,
    file: &ServerMetricsFile,
) -> Result<()> {
    let mut out = io::stdout().lock();
    if args.format == PrintFormat::Json {
        file.write(&mut out)?;
        return Ok(());
    }
    let width = console::width();
    out.write_all(server_metrics::statistics(&file.metrics, width).as_bytes())?;
    let range = file.summary.phase_time_ranges.get(BenchmarkPhase::Profiling.as_str());
    if let Some(range) = range.filter(|_| !outcome.telemetry.is_empty()) {
        let block = outcome.telemetry.block(WallNs(range.start_ns), WallNs(range.end_ns));
        writeln!(out, "\n{}", server_metrics::gpus(&block, width).trim_end())?;
    }
    for page in &outcome.pages {
        let failed = if page.failures > 0 { format!(", {} failed", page.failures) } else { String::new() };
        let disabled =
            page.disabled.as_ref().map_or_else(String::new, |reason| format!("; not read: {reason}"));
        writeln!(out, "{}: {} scrapes{failed}{}", harmless(&page.url), page.scrapes, harmless(&disabled))?;
    }
    for notice in &outcome.notices {
        writeln!(out, "note: {}", harmless(notice))?;
    }
    writeln!(out, "\nfiles in {}", names.directory().display())?;
    Ok(())
}
