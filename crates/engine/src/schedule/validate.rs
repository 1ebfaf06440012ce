//! Contradictions among load flags, each refused with the flag's name and what to do.

use std::path::PathBuf;

use super::config::{ArrivalPattern, LoadConfig};
use super::plan::LoadContext;

/// Why a load configuration cannot run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LoadError {
    /// Two flags that cannot both hold.
    #[error("`{0}` and `{1}` exclude each other: leave one out")]
    Excludes(&'static str, &'static str),
    /// A flag that means nothing without another.
    #[error("`{flag}` needs {needs}")]
    Needs {
        /// The flag.
        flag: &'static str,
        /// What must be there as well.
        needs: &'static str,
    },
    /// A value outside its range.
    #[error("`{flag}` is {value}, but must be {expected}")]
    Range {
        /// The flag.
        flag: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        expected: String,
    },
    /// `--request-rate-series` names a file that cannot be used.
    #[error("`--request-rate-series` file `{}`: {reason}", .path.display())]
    Series {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// `--num-users` at most.
const MAX_USERS: u64 = 1_000_000;

/// Refuses with [`LoadError::Needs`] when the flag is set and the condition does not hold.
fn need(set: bool, flag: &'static str, holds: bool, needs: &'static str) -> Result<(), LoadError> {
    if set && !holds { Err(LoadError::Needs { flag, needs }) } else { Ok(()) }
}

fn exclude(a: bool, a_flag: &'static str, b: bool, b_flag: &'static str) -> Result<(), LoadError> {
    if a && b { Err(LoadError::Excludes(a_flag, b_flag)) } else { Ok(()) }
}

fn positive(flag: &'static str, value: Option<f64>) -> Result<(), LoadError> {
    match value {
        Some(value) if !(value > 0.0 && value.is_finite()) => {
            Err(LoadError::Range { flag, value: value.to_string(), expected: "greater than 0".to_owned() })
        }
        _ => Ok(()),
    }
}

fn not_negative(flag: &'static str, value: Option<f64>) -> Result<(), LoadError> {
    match value {
        Some(value) if value.is_nan() || value < 0.0 => {
            Err(LoadError::Range { flag, value: value.to_string(), expected: "0 or more".to_owned() })
        }
        _ => Ok(()),
    }
}

fn at_least_one(flag: &'static str, value: Option<u64>) -> Result<(), LoadError> {
    match value {
        Some(0) => Err(LoadError::Range { flag, value: "0".to_owned(), expected: "1 or more".to_owned() }),
        _ => Ok(()),
    }
}

/// All rules of CLI.md section 4 that concern load.
pub(super) fn check(config: &LoadConfig, context: &LoadContext) -> Result<(), LoadError> {
    ranges(config)?;
    rates(config)?;
    slots(config, context)?;
    fixed_schedule(config, context)?;
    users(config, context)?;
    ends(config)?;
    warmup(config)
}

fn ranges(config: &LoadConfig) -> Result<(), LoadError> {
    for (flag, value) in [
        ("--request-rate", config.request_rate),
        ("--arrival-smoothness", config.arrival_smoothness),
        ("--concurrency-ramp-duration", config.concurrency_ramp_duration),
        ("--prefill-concurrency-ramp-duration", config.prefill_concurrency_ramp_duration),
        ("--request-rate-ramp-duration", config.request_rate_ramp_duration),
        ("--benchmark-duration", config.benchmark_duration),
        ("--replay-speedup", config.replay_speedup),
        ("--user-centric-rate", config.user_centric_rate),
        ("--warmup-duration", config.warmup_duration),
        ("--warmup-request-rate", config.warmup_request_rate),
        ("--warmup-concurrency-ramp-duration", config.warmup_concurrency_ramp_duration),
        ("--warmup-prefill-concurrency-ramp-duration", config.warmup_prefill_concurrency_ramp_duration),
        ("--warmup-request-rate-ramp-duration", config.warmup_request_rate_ramp_duration),
    ] {
        positive(flag, value)?;
    }
    not_negative("--benchmark-grace-period", config.benchmark_grace_period)?;
    not_negative("--warmup-grace-period", config.warmup_grace_period)?;
    not_negative(
        "--request-cancellation-delay",
        config.request_cancellation_delay.filter(|d| d.is_finite()),
    )?;
    for (flag, value) in [
        ("--concurrency", config.concurrency.map(u64::from)),
        ("--prefill-concurrency", config.prefill_concurrency.map(u64::from)),
        ("--request-count", config.request_count),
        ("--conversation-num", config.conversation_num),
        ("--num-users", config.num_users.map(u64::from)),
        ("--warmup-request-count", config.warmup_request_count),
        ("--num-warmup-sessions", config.num_warmup_sessions),
        ("--warmup-concurrency", config.warmup_concurrency.map(u64::from)),
        ("--warmup-prefill-concurrency", config.warmup_prefill_concurrency.map(u64::from)),
    ] {
        at_least_one(flag, value)?;
    }
    let within = |flag, value: Option<f64>, low_open: bool, high: f64, expected: &str| match value {
        Some(v) if !(v >= 0.0 && v <= high) || (low_open && v == 0.0) => {
            Err(LoadError::Range { flag, value: v.to_string(), expected: expected.to_owned() })
        }
        _ => Ok(()),
    };
    let rate = config.request_cancellation_rate;
    within("--request-cancellation-rate", rate, true, 100.0, "above 0 and at most 100 (percent)")?;
    within("--failed-request-threshold", config.failed_request_threshold, false, 1.0, "between 0 and 1")?;
    need(
        config.request_cancellation_delay.is_some(),
        "--request-cancellation-delay",
        rate.is_some(),
        "`--request-cancellation-rate`",
    )
}

fn rates(config: &LoadConfig) -> Result<(), LoadError> {
    let (rate, series, users) = (
        config.request_rate.is_some(),
        config.request_rate_series.is_some(),
        config.user_centric_rate.is_some(),
    );
    exclude(rate, "--request-rate", series, "--request-rate-series")?;
    exclude(rate, "--request-rate", users, "--user-centric-rate")?;
    exclude(series, "--request-rate-series", users, "--user-centric-rate")?;
    need(
        config.request_rate_ramp_duration.is_some(),
        "--request-rate-ramp-duration",
        rate || series,
        "`--request-rate` or `--request-rate-series`",
    )?;
    need(
        config.arrival_smoothness.is_some(),
        "--arrival-smoothness",
        matches!(config.arrival_pattern, None | Some(ArrivalPattern::Gamma)),
        "`--arrival-pattern gamma`",
    )?;
    need(
        config.arrival_smoothness.is_some(),
        "--arrival-smoothness",
        rate || series,
        "`--request-rate` or `--request-rate-series`",
    )
}

fn slots(config: &LoadConfig, context: &LoadContext) -> Result<(), LoadError> {
    let below = |flag, prefill: Option<u32>, all: Option<u32>| match (prefill, all) {
        (Some(prefill), Some(all)) if prefill > all => Err(LoadError::Range {
            flag,
            value: prefill.to_string(),
            expected: format!("at most the concurrency, {all}"),
        }),
        _ => Ok(()),
    };
    let streaming = "`--streaming`: without it there is no first token to see";
    need(config.prefill_concurrency.is_some(), "--prefill-concurrency", context.streaming, streaming)?;
    need(
        config.warmup_prefill_concurrency.is_some(),
        "--warmup-prefill-concurrency",
        context.streaming,
        streaming,
    )?;
    let open = config.request_rate.is_some()
        || config.request_rate_series.is_some()
        || config.user_centric_rate.is_some()
        || (context.timestamps && !config.no_fixed_schedule);
    let concurrency = config.concurrency.or((!open).then_some(1));
    below("--prefill-concurrency", config.prefill_concurrency, concurrency)?;
    let warmup = config.warmup_concurrency.or(config.concurrency);
    below("--warmup-prefill-concurrency", config.warmup_prefill_concurrency, warmup)?;
    need(
        config.concurrency_ramp_duration.is_some(),
        "--concurrency-ramp-duration",
        config.concurrency.is_some(),
        "`--concurrency`",
    )?;
    need(
        config.prefill_concurrency_ramp_duration.is_some(),
        "--prefill-concurrency-ramp-duration",
        config.prefill_concurrency.is_some(),
        "`--prefill-concurrency`",
    )
}

fn fixed_schedule(config: &LoadConfig, context: &LoadContext) -> Result<(), LoadError> {
    exclude(config.fixed_schedule, "--fixed-schedule", config.no_fixed_schedule, "--no-fixed-schedule")?;
    let on = config.fixed_schedule || (context.timestamps && !config.no_fixed_schedule);
    let asked = "--fixed-schedule";
    exclude(config.fixed_schedule, asked, config.request_rate.is_some(), "--request-rate")?;
    exclude(config.fixed_schedule, asked, config.request_rate_series.is_some(), "--request-rate-series")?;
    exclude(config.fixed_schedule, asked, config.user_centric_rate.is_some(), "--user-centric-rate")?;
    need(
        config.fixed_schedule,
        asked,
        context.timestamps,
        "a dataset whose entries have timestamps (`--input-file` with a trace)",
    )?;
    let needs = "`--fixed-schedule`, or a trace with timestamps";
    let start = config.fixed_schedule_start_offset;
    let end = config.fixed_schedule_end_offset;
    need(config.fixed_schedule_auto_offset, "--fixed-schedule-auto-offset", on, needs)?;
    need(start.is_some(), "--fixed-schedule-start-offset", on, needs)?;
    need(end.is_some(), "--fixed-schedule-end-offset", on, needs)?;
    need(config.replay_speedup.is_some(), "--replay-speedup", on, needs)?;
    exclude(
        config.fixed_schedule_auto_offset,
        "--fixed-schedule-auto-offset",
        start.is_some(),
        "--fixed-schedule-start-offset",
    )?;
    match (start, end) {
        (Some(start), Some(end)) if start > end => Err(LoadError::Range {
            flag: "--fixed-schedule-start-offset",
            value: start.to_string(),
            expected: format!("at most `--fixed-schedule-end-offset`, {end}"),
        }),
        _ => Ok(()),
    }
}

fn users(config: &LoadConfig, context: &LoadContext) -> Result<(), LoadError> {
    let rate = config.user_centric_rate.is_some();
    need(config.num_users.is_some(), "--num-users", rate, "`--user-centric-rate`")?;
    need(rate, "--user-centric-rate", config.num_users.is_some(), "`--num-users`")?;
    need(
        rate,
        "--user-centric-rate",
        context.turns_mean >= 2.0,
        "sessions of two turns or more on average: `--session-turns-mean 2`",
    )?;
    let Some(users) = config.num_users.map(u64::from) else { return Ok(()) };
    if users > MAX_USERS {
        let expected = format!("at most {MAX_USERS}");
        return Err(LoadError::Range { flag: "--num-users", value: users.to_string(), expected });
    }
    for (flag, value) in
        [("--conversation-num", config.conversation_num), ("--request-count", config.request_count)]
    {
        if let Some(value) = value.filter(|value| *value < users) {
            let expected = format!("at least `--num-users`, {users}");
            return Err(LoadError::Range { flag, value: value.to_string(), expected });
        }
    }
    Ok(())
}

fn ends(config: &LoadConfig) -> Result<(), LoadError> {
    let grace = config.benchmark_grace_period.is_some();
    need(
        grace,
        "--benchmark-grace-period",
        config.benchmark_duration.is_some(),
        "`--benchmark-duration`: a run that ends by count waits for its answers",
    )?;
    let warmup = config.warmup_grace_period.is_some();
    need(warmup, "--warmup-grace-period", config.warmup_duration.is_some(), "`--warmup-duration`")
}

fn warmup(config: &LoadConfig) -> Result<(), LoadError> {
    let ends = config.warmup_request_count.is_some()
        || config.warmup_duration.is_some()
        || config.num_warmup_sessions.is_some();
    let needs = "`--warmup-request-count`, `--warmup-duration` or `--num-warmup-sessions`";
    for (set, flag) in [
        (config.warmup_concurrency.is_some(), "--warmup-concurrency"),
        (config.warmup_prefill_concurrency.is_some(), "--warmup-prefill-concurrency"),
        (config.warmup_request_rate.is_some(), "--warmup-request-rate"),
        (config.warmup_arrival_pattern.is_some(), "--warmup-arrival-pattern"),
        (config.warmup_concurrency_ramp_duration.is_some(), "--warmup-concurrency-ramp-duration"),
        (
            config.warmup_prefill_concurrency_ramp_duration.is_some(),
            "--warmup-prefill-concurrency-ramp-duration",
        ),
        (config.warmup_request_rate_ramp_duration.is_some(), "--warmup-request-rate-ramp-duration"),
    ] {
        need(set, flag, ends, needs)?;
    }
    need(
        config.warmup_request_rate_ramp_duration.is_some(),
        "--warmup-request-rate-ramp-duration",
        config.warmup_request_rate.is_some() || config.request_rate.is_some(),
        "`--warmup-request-rate` or `--request-rate`",
    )
}
