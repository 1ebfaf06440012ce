//! Health, model list and metrics page: what is behind each path.

use std::sync::atomic::Ordering::Relaxed;

use serde_json::json;

use crate::config::MetricsMode;
use crate::error_body::{Engine, error_body, reason_phrase};
use crate::metrics::{huge_page, render, trtllm_iteration_json};
use crate::server::Shared;

const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// An answer that is not inference.
pub enum Page {
    Text {
        status: u16,
        content_type: &'static str,
        body: String,
    },
    /// Too large for memory.
    Huge(Box<dyn Iterator<Item = String>>),
    /// No answer.
    Hang,
}

/// The page at `path`.
pub fn page(shared: &Shared, path: &str) -> Page {
    match path {
        "/health" | "/healthz" | "/ping" | "/v1/health/ready" => text("text/plain", String::new()),
        "/version" => text("application/json", json!({"version": env!("CARGO_PKG_VERSION")}).to_string()),
        "/v1/models" => text("application/json", models(shared)),
        "/metrics" | "/prometheus/metrics" => metrics(shared, path),
        _ => not_found(),
    }
}

fn text(content_type: &'static str, body: String) -> Page {
    Page::Text { status: 200, content_type, body }
}

fn not_found() -> Page {
    let body = error_body(Engine::Fastapi, 404, reason_phrase(404)).body;
    Page::Text { status: 404, content_type: "application/json", body }
}

fn models(shared: &Shared) -> String {
    let created = shared.started_wall_ns / 1_000_000_000;
    let data: Vec<_> = shared
        .config
        .models
        .iter()
        .map(|id| json!({"id": id, "object": "model", "created": created, "owned_by": "tokmeter-sim", "max_model_len": 131_072}))
        .collect();
    json!({"object": "list", "data": data}).to_string()
}

fn metrics(shared: &Shared, path: &str) -> Page {
    let settings = &shared.config.metrics;
    let reads = shared.tally.metrics_reads.fetch_add(1, Relaxed);
    let mode = match settings.switch {
        Some(switch) if reads >= switch.after_reads => switch.mode,
        _ => settings.mode,
    };
    let model = shared.config.models.first().map_or("", String::as_str);
    let exposition = || render(&shared.metrics, model, settings.kv_cache_tokens, shared.started_wall_ns);
    let second = path != "/metrics";
    match mode {
        MetricsMode::PrometheusPath if second => text(EXPOSITION, exposition()),
        MetricsMode::PrometheusPath => text("application/json", trtllm_iteration_json(&shared.metrics)),
        MetricsMode::Off => not_found(),
        _ if second => not_found(),
        MetricsMode::Vllm => text(EXPOSITION, exposition()),
        MetricsMode::Json => text("application/json", json!({"status": "ok", "requests": reads}).to_string()),
        MetricsMode::Garbage => {
            text(EXPOSITION, "\u{1}\u{2}%%% {{{ vllm: = = \"\n}} 1 2 3 4\n\nNaN".to_owned())
        }
        MetricsMode::Huge => Page::Huge(Box::new(huge_page(settings.huge_bytes))),
        MetricsMode::Hang => Page::Hang,
    }
}
