//! The load flags of `tokmeter profile`, as data.
//!
//! Field names are the flags' names with `_` for `-`, units are the flags' units (seconds unless said
//! otherwise), and `None` or `false` means that the flag was not given. [`LoadConfig::plan`] checks the
//! combination and gives the phases to run.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::choice::choice;

choice! {
    /// How arrivals of an open loop are spaced (`--arrival-pattern`).
    pub enum ArrivalPattern {
        /// Even gaps.
        Constant = "constant",
        /// Exponential gaps.
        Poisson = "poisson",
        /// Gamma gaps, of the shape `--arrival-smoothness`.
        Gamma = "gamma",
        /// Everything at once, as far as the concurrency allows.
        ConcurrencyBurst = "concurrency-burst",
    }
}

/// Every load flag. Defaults are those of CLI.md.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoadConfig {
    /// `--concurrency`: requests in flight at most; alone it makes a closed loop. 1 when no rate is given.
    pub concurrency: Option<u32>,
    /// `--prefill-concurrency`: requests at most that wait for their first token.
    pub prefill_concurrency: Option<u32>,
    /// `--request-rate`: requests per second (open loop).
    pub request_rate: Option<f64>,
    /// `--arrival-pattern`: `poisson` when not given.
    pub arrival_pattern: Option<ArrivalPattern>,
    /// `--arrival-smoothness`: shape of `gamma`, which it selects when given alone.
    pub arrival_smoothness: Option<f64>,
    /// `--request-rate-series`: JSON file of control points.
    pub request_rate_series: Option<PathBuf>,
    /// `--concurrency-ramp-duration`.
    pub concurrency_ramp_duration: Option<f64>,
    /// `--prefill-concurrency-ramp-duration`.
    pub prefill_concurrency_ramp_duration: Option<f64>,
    /// `--request-rate-ramp-duration`.
    pub request_rate_ramp_duration: Option<f64>,

    /// `--request-count`: 10 when nothing else ends the run.
    pub request_count: Option<u64>,
    /// `--conversation-num`: sessions to run.
    pub conversation_num: Option<u64>,
    /// `--benchmark-duration`.
    pub benchmark_duration: Option<f64>,
    /// `--benchmark-grace-period`: 30; `inf` waits for every answer.
    #[serde(with = "seconds_or_inf")]
    pub benchmark_grace_period: Option<f64>,

    /// `--fixed-schedule`: requests at the trace's timestamps.
    pub fixed_schedule: bool,
    /// `--no-fixed-schedule`: not even when the trace has timestamps.
    pub no_fixed_schedule: bool,
    /// `--fixed-schedule-auto-offset`: the first timestamp is the start.
    pub fixed_schedule_auto_offset: bool,
    /// `--fixed-schedule-start-offset`: milliseconds; earlier entries are left out.
    pub fixed_schedule_start_offset: Option<u64>,
    /// `--fixed-schedule-end-offset`: milliseconds; later entries are left out.
    pub fixed_schedule_end_offset: Option<u64>,
    /// `--replay-speedup`: the trace's distances are divided by this.
    pub replay_speedup: Option<f64>,

    /// `--user-centric-rate`: requests per second over all users.
    pub user_centric_rate: Option<f64>,
    /// `--num-users`.
    pub num_users: Option<u32>,

    /// `--request-cancellation-rate`: percent.
    pub request_cancellation_rate: Option<f64>,
    /// `--request-cancellation-delay`: 0; counted from the end of sending.
    pub request_cancellation_delay: Option<f64>,
    /// `--failed-request-threshold`: fraction of failed requests above which the run fails.
    pub failed_request_threshold: Option<f64>,

    /// `--warmup-request-count`.
    pub warmup_request_count: Option<u64>,
    /// `--warmup-duration`.
    pub warmup_duration: Option<f64>,
    /// `--num-warmup-sessions`.
    pub num_warmup_sessions: Option<u64>,
    /// `--warmup-concurrency`: as profiling when not given, like every setting below.
    pub warmup_concurrency: Option<u32>,
    /// `--warmup-prefill-concurrency`.
    pub warmup_prefill_concurrency: Option<u32>,
    /// `--warmup-request-rate`.
    pub warmup_request_rate: Option<f64>,
    /// `--warmup-arrival-pattern`.
    pub warmup_arrival_pattern: Option<ArrivalPattern>,
    /// `--warmup-grace-period`: `inf` when not given.
    #[serde(with = "seconds_or_inf")]
    pub warmup_grace_period: Option<f64>,
    /// `--warmup-concurrency-ramp-duration`.
    pub warmup_concurrency_ramp_duration: Option<f64>,
    /// `--warmup-prefill-concurrency-ramp-duration`.
    pub warmup_prefill_concurrency_ramp_duration: Option<f64>,
    /// `--warmup-request-rate-ramp-duration`.
    pub warmup_request_rate_ramp_duration: Option<f64>,
}

/// Seconds, or the word `inf`, which JSON has no number for.
mod seconds_or_inf {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Number(f64),
        Word(String),
    }

    pub(super) fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            None => serializer.serialize_none(),
            Some(seconds) if seconds.is_infinite() => serializer.serialize_str("inf"),
            Some(seconds) => serializer.serialize_f64(*seconds),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        match Option::<Seconds>::deserialize(deserializer)? {
            None => Ok(None),
            Some(Seconds::Number(seconds)) => Ok(Some(seconds)),
            Some(Seconds::Word(word)) => word
                .parse::<f64>()
                .map(Some)
                .map_err(|_| D::Error::custom(format!("`{word}` is neither a number of seconds nor `inf`"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinite_grace_survives_json() {
        let config = LoadConfig { benchmark_grace_period: Some(f64::INFINITY), ..LoadConfig::default() };
        let text = serde_json::to_string(&config).expect("serializes");
        assert!(text.contains(r#""benchmark_grace_period":"inf""#), "{text}");
        assert_eq!(serde_json::from_str::<LoadConfig>(&text).expect("parses"), config);
        assert!(serde_json::from_str::<LoadConfig>(r#"{"benchmark_grace_period":"soon"}"#).is_err());
        assert!(serde_json::from_str::<LoadConfig>(r#"{"concurency":3}"#).is_err());
    }
}
