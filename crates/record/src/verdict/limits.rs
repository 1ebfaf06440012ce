//! What may be tolerated before a run is no longer `valid`.

use serde::{Deserialize, Serialize};

use super::Evidence;

/// A limit for each figure of the evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Limits {
    /// Receive lag (p99) as a share of the median inter-token latency.
    pub recv_lag_share: f64,
    /// Receive lag (p99) that is always tolerated, ms.
    pub recv_lag_ms: f64,
    /// Schedule lag (p99), ms.
    pub schedule_lag_ms: f64,
    /// CPU time of the busiest sending thread over the phase's length.
    pub shard_busy: f64,
    /// Mean wait of a sending thread for a core, ms.
    pub core_wait_ms: f64,
    /// Calibrated error (p99) as a share of the median time to first token.
    pub own_error: f64,
    /// Share of the run under a CPU quota's brake.
    pub throttled: f64,
    /// Share of the CPU the hypervisor takes.
    pub steal: f64,
    /// Waits for the decoders.
    pub decode_stalls: f64,
    /// Least share of the asked rate.
    pub delivered: f64,
    /// Share of arrivals that find no slot.
    pub slot_waits: f64,
    /// Share of prompt tokens cached without being meant to.
    pub cached: f64,
    /// Move of the wall clock, ms.
    pub clock_step_ms: f64,
    /// Least number of successful requests.
    pub samples: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            recv_lag_share: 0.25,
            recv_lag_ms: 2.0,
            schedule_lag_ms: 5.0,
            shard_busy: 0.9,
            core_wait_ms: 1.0,
            own_error: 0.25,
            throttled: 0.01,
            steal: 0.05,
            decode_stalls: 0.0,
            delivered: 0.95,
            slot_waits: 0.05,
            cached: 0.2,
            clock_step_ms: 20.0,
            samples: 100.0,
        }
    }
}

/// A limit that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Not `NAME=VALUE` with a number of at least 0.
    #[error("`{0}` is not NAME=NUMBER")]
    Form(String),
    /// No such limit.
    #[error("there is no limit `{name}`; known are {}", .names.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        names: Vec<&'static str>,
    },
}

impl Limits {
    fn fields(&mut self) -> [(&'static str, &mut f64); 14] {
        [
            ("recv-lag-share", &mut self.recv_lag_share),
            ("recv-lag-ms", &mut self.recv_lag_ms),
            ("schedule-lag-ms", &mut self.schedule_lag_ms),
            ("shard-busy", &mut self.shard_busy),
            ("core-wait-ms", &mut self.core_wait_ms),
            ("own-error", &mut self.own_error),
            ("throttled", &mut self.throttled),
            ("steal", &mut self.steal),
            ("decode-stalls", &mut self.decode_stalls),
            ("delivered", &mut self.delivered),
            ("slot-waits", &mut self.slot_waits),
            ("cached", &mut self.cached),
            ("clock-step-ms", &mut self.clock_step_ms),
            ("samples", &mut self.samples),
        ]
    }

    /// Sets a limit from `NAME=VALUE`.
    ///
    /// # Errors
    /// When the name is unknown or the value is no number of at least 0.
    pub fn set(&mut self, text: &str) -> Result<(), LimitError> {
        let form = || LimitError::Form(text.to_owned());
        let (name, value) = text.split_once('=').ok_or_else(form)?;
        let value: f64 = value.trim().parse().map_err(|_| form())?;
        if !value.is_finite() || value < 0.0 {
            return Err(form());
        }
        let name = name.trim();
        let names = self.fields().map(|(name, _)| name).to_vec();
        match self.fields().into_iter().find(|(known, _)| *known == name) {
            Some((_, limit)) => *limit = value,
            None => return Err(LimitError::Unknown { name: name.to_owned(), names }),
        }
        Ok(())
    }

    /// Receive lag tolerated beside this run's inter-token latency, ms.
    pub fn recv_lag(&self, seen: &Evidence) -> f64 {
        seen.inter_token_p50_ms.map_or(0.0, |gap| gap * self.recv_lag_share).max(self.recv_lag_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_set_by_name() {
        let mut limits = Limits::default();
        limits.set("shard-busy=0.5").unwrap();
        assert_eq!(limits.shard_busy, 0.5);
        let error = limits.set("shard_busy=0.5").unwrap_err().to_string();
        assert!(error.contains("`shard_busy`") && error.contains("shard-busy, core-wait-ms"), "{error}");
        for wrong in ["samples", "samples=", "samples=-1", "samples=NaN", "samples=inf"] {
            assert_eq!(limits.set(wrong), Err(LimitError::Form(wrong.to_owned())));
        }
    }

    #[test]
    fn slow_streams_tolerate_more_lag() {
        let limits = Limits::default();
        let at = |gap| limits.recv_lag(&Evidence { inter_token_p50_ms: gap, ..Evidence::default() });
        assert_eq!((at(None), at(Some(1.0)), at(Some(40.0))), (2.0, 2.0, 10.0));
    }
}
