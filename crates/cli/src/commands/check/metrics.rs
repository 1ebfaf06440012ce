//! Where the server's metrics are, and which engine writes them.

use serde::Serialize;
use tokmeter_http::Exchange;
use tokmeter_record::server::exposition::Limits;
use tokmeter_record::server::known::{Engine, role};
use tokmeter_record::server::{Media, Page, Readings};

use super::probe::{Probe, status};
use tokmeter_engine::server_metrics::ACCEPT;

/// Where engines have them: most, and TensorRT-LLM.
const PATHS: [&str; 2] = ["/metrics", "/prometheus/metrics"];

/// What is behind these paths.
#[derive(Debug, Default, Serialize)]
pub struct MetricsPages {
    /// Path of the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<&'static str>,
    /// Metrics on it.
    pub metrics: usize,
    /// Who writes it, by the names of its metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,
    /// What was found at paths that are no such page.
    pub elsewhere: Vec<Elsewhere>,
}

/// A path without metrics.
#[derive(Debug, Serialize)]
pub struct Elsewhere {
    /// The path.
    pub path: &'static str,
    /// What is there.
    pub problem: String,
}

/// Tries the usual paths.
pub fn look(probe: &Probe) -> MetricsPages {
    let mut found = MetricsPages::default();
    for path in PATHS {
        match read(&probe.get(path, ACCEPT)) {
            Ok((metrics, engine)) => return MetricsPages { path: Some(path), metrics, engine, ..found },
            Err(problem) => found.elsewhere.push(Elsewhere { path, problem }),
        }
    }
    found
}

fn read(exchange: &Exchange) -> Result<(usize, Option<Engine>), String> {
    match status(exchange)? {
        200 => {}
        status => return Err(format!("status {status}")),
    }
    let headers = exchange.head.as_ref().map(|head| &head.headers);
    let media = headers.and_then(|headers| headers.get(http::header::CONTENT_TYPE)?.to_str().ok());
    let media = media.map(Media::from_content_type).unwrap_or_default();
    let page = Page::parse(&exchange.body.bytes, media, &Limits::default())
        .map_err(|error| format!("no metrics page: {error}"))?;
    let readings = Readings::of(&page);
    if readings.metrics.is_empty() {
        return Err("no metrics".to_owned());
    }
    let engine = readings.metrics.iter().find_map(|metric| role(&metric.name)).map(|(engine, _)| engine);
    Ok((readings.metrics.len(), engine))
}
