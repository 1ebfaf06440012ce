//! The configuration a run was made with, as files show it (FORMATS 5.2): it validates as AIPerf's
//! `BenchmarkConfig`, so only keys of that schema appear, and no secret does.

use std::path::Path;

use serde_json::{Map, Value, json};
use tokmeter_engine::schedule::{LoadShape, PhasePlan, Spacing};
use tokmeter_engine::secret;
use tokmeter_record::server::without_credentials;

use crate::args::profile::ProfileArgs;
use crate::args::swept::value;

/// `input_config` of the summary.
pub fn input_config(
    args: &ProfileArgs,
    warmup: Option<&PhasePlan>,
    profiling: &PhasePlan,
    dir: &Path,
) -> Value {
    let mut config = json!({
        "models": {"items": args.endpoint.model_names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()},
        "endpoint": endpoint(args),
        "datasets": [dataset(args, profiling)],
        "phases": phases(warmup, profiling),
        "artifacts": {"dir": dir},
    });
    if let Some(seconds) = args.output.slice_duration {
        config["artifacts"]["slice_duration"] = json!(seconds);
    }
    config
}

fn endpoint(args: &ProfileArgs) -> Value {
    let given = &args.endpoint;
    let urls: Vec<String> = given.url.iter().map(|url| without_credentials(url)).collect();
    let mut endpoint = json!({
        "urls": urls,
        "type": given.endpoint_type.as_str(),
        "streaming": given.streaming,
    });
    if let Some(path) = &given.custom_endpoint {
        endpoint["path"] = json!(without_credentials(path));
    }
    if given.api_key.is_some() {
        endpoint["api_key"] = json!(secret::REDACTED);
    }
    if args.tokens.use_server_token_count {
        endpoint["use_server_token_count"] = json!(true);
    }
    endpoint
}

fn dataset(args: &ProfileArgs, profiling: &PhasePlan) -> Value {
    let input = &args.input;
    match &input.input_file {
        Some(path) => {
            let mut dataset = json!({"name": "main", "type": "file", "path": path});
            if let Some(format) = input.custom_dataset_type {
                dataset["format"] = json!(format);
            }
            dataset
        }
        None => {
            let mut prompts = Map::new();
            let isl = value(&input.prompt_input_tokens_mean).unwrap_or(550.0);
            prompts.insert("isl".into(), length(isl, value(&input.prompt_input_tokens_stddev)));
            if let Some(osl) = value(&input.prompt_output_tokens_mean) {
                prompts.insert("osl".into(), length(osl, value(&input.prompt_output_tokens_stddev)));
            }
            let entries =
                input.num_dataset_entries.or(profiling.requests).or(profiling.sessions).unwrap_or(100);
            json!({"name": "main", "type": "synthetic", "entries": entries, "prompts": prompts})
        }
    }
}

fn length(mean: f64, stddev: Option<f64>) -> Value {
    match stddev.filter(|&stddev| stddev > 0.0) {
        Some(stddev) => json!({"mean": mean, "stddev": stddev}),
        None => json!({"mean": mean}),
    }
}

fn phases(warmup: Option<&PhasePlan>, profiling: &PhasePlan) -> Value {
    let warmup = warmup.map(|plan| {
        let mut phase = phase("warmup", plan);
        phase["exclude_from_results"] = json!(true);
        phase
    });
    warmup.into_iter().chain([phase("profiling", profiling)]).collect()
}

fn phase(kind: &str, plan: &PhasePlan) -> Value {
    let mut phase = json!({"name": kind, "kind": kind});
    let mut set = |key: &str, value: Value| phase[key] = value;
    match &plan.shape {
        LoadShape::Closed => set("type", json!("concurrency")),
        LoadShape::Rate { profile, spacing } => {
            set("type", json!(pattern_name(spacing)));
            set("rate", json!(profile.peak()));
            if let Spacing::Gamma { smoothness } = spacing {
                set("smoothness", json!(smoothness));
            }
        }
        LoadShape::FixedSchedule(replay) => {
            set("type", json!("fixed_schedule"));
            set("auto_offset", json!(replay.auto_offset));
        }
        LoadShape::UserCentric(rate) => {
            set("type", json!("user_centric"));
            set("rate", json!(rate.rate));
            set("users", json!(rate.users));
        }
    }
    if let Some(concurrency) = plan.concurrency {
        set("concurrency", json!(concurrency));
    }
    if let Some(prefill) = plan.prefill_concurrency {
        set("prefill_concurrency", json!(prefill));
    }
    if let Some(requests) = plan.requests {
        set("requests", json!(requests));
    }
    if let Some(sessions) = plan.sessions {
        set("sessions", json!(sessions));
    }
    if let Some(duration) = plan.duration {
        set("duration", json!(duration.as_secs_f64()));
        if let Some(grace) = plan.grace {
            set("grace_period", json!(grace.as_secs_f64()));
        }
    }
    if let Some(cancellation) = &plan.cancellation {
        set("cancellation", json!({"rate": cancellation.percent, "delay": cancellation.delay.as_secs_f64()}));
    }
    phase
}

fn pattern_name(spacing: &Spacing) -> &'static str {
    match spacing {
        Spacing::Constant => "constant",
        Spacing::Poisson => "poisson",
        Spacing::Gamma { .. } => "gamma",
        Spacing::ConcurrencyBurst => "concurrency_burst",
    }
}

/// What the load is called in directory names (FORMATS 0.1).
pub fn stimulus(plan: &PhasePlan) -> String {
    let cap = plan.concurrency.map(|cap| format!("concurrency{cap}"));
    match &plan.shape {
        LoadShape::Closed => cap.unwrap_or_else(|| "concurrency1".into()),
        LoadShape::Rate { profile, .. } => {
            let rate = format!("request_rate{:?}", profile.peak());
            cap.map_or(rate.clone(), |cap| format!("{cap}-{rate}"))
        }
        LoadShape::FixedSchedule(_) => "fixed_schedule".into(),
        LoadShape::UserCentric(rate) => format!("user_centric-users{}-qps{:?}", rate.users, rate.rate),
    }
}
