//! Whether a run's numbers are the server's: one word, with the reasons and the figures behind it.
//!
//! [`Evidence`] is what the run knows of itself, [`Limits`] is what may be tolerated, [`assess`] compares. Every limit
//! can be set (`--verdict-limit NAME=VALUE`); `docs/verdict.md` lists them.

mod evidence;
mod limits;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use evidence::Evidence;
pub use limits::{LimitError, Limits};

/// What a run's numbers are worth. The order is that of severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunVerdict {
    /// They are the server's.
    #[default]
    Valid,
    /// Right, but too few for what is read from them.
    TooFewSamples,
    /// Something beside the load shaped them: a warm prefix cache, a wall clock that was set.
    Contaminated,
    /// The server did not get the load that was asked for.
    UnderDelivered,
    /// This machine or process was the limit.
    ClientBound,
}

impl RunVerdict {
    /// As in files: `client-bound`.
    pub fn as_str(self) -> &'static str {
        match self {
            RunVerdict::Valid => "valid",
            RunVerdict::TooFewSamples => "too-few-samples",
            RunVerdict::Contaminated => "contaminated",
            RunVerdict::UnderDelivered => "under-delivered",
            RunVerdict::ClientBound => "client-bound",
        }
    }
}

impl fmt::Display for RunVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One figure that crossed its limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// What it makes of the run.
    pub verdict: RunVerdict,
    /// Name of the limit, as in `--verdict-limit`.
    pub limit: String,
    /// What was seen, in the limit's unit.
    pub figure: f64,
    /// What was tolerated.
    pub tolerated: f64,
    /// In one sentence.
    pub message: String,
}

/// The verdict of a run with its reasons.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Assessment {
    /// The most severe of the reasons; `valid` when there is none.
    pub verdict: RunVerdict,
    /// Every figure that crossed its limit, the most severe first.
    pub reasons: Vec<Reason>,
    /// How far a single latency may be off because of this client, ms ([`Evidence::error_bar_ms`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_bar_ms: Option<f64>,
    /// The highest percentile with at least five values above it; absent below ten samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub highest_percentile: Option<f64>,
    /// The figures it was decided on.
    pub evidence: Evidence,
}

/// Compares the evidence with the limits.
pub fn assess(evidence: Evidence, limits: &Limits) -> Assessment {
    let mut reasons: Vec<Reason> = checks(&evidence, limits).into_iter().flatten().collect();
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.verdict));
    Assessment {
        verdict: reasons.first().map_or(RunVerdict::Valid, |reason| reason.verdict),
        reasons,
        error_bar_ms: evidence.error_bar_ms(),
        highest_percentile: highest_percentile(evidence.samples),
        evidence,
    }
}

fn checks(seen: &Evidence, limits: &Limits) -> Vec<Option<Reason>> {
    use RunVerdict::*;
    let above =
        |verdict, limit: &str, figure: Option<f64>, tolerated: f64, message: &dyn Fn(f64) -> String| {
            let figure = figure.filter(|figure| *figure > tolerated)?;
            Some(Reason { verdict, limit: limit.to_owned(), figure, tolerated, message: message(figure) })
        };
    let below =
        |verdict, limit: &str, figure: Option<f64>, tolerated: f64, message: &dyn Fn(f64) -> String| {
            let figure = figure.filter(|figure| *figure < tolerated)?;
            Some(Reason { verdict, limit: limit.to_owned(), figure, tolerated, message: message(figure) })
        };
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    vec![
        above(ClientBound, "recv-lag-ms", seen.recv_lag_p99_ms, limits.recv_lag(seen), &|lag| {
            let unread = match seen.unread_high_bytes {
                Some(bytes) if bytes > 0 => {
                    format!(", up to {:.1} KiB in one of them", bytes as f64 / 1024.0)
                }
                _ => String::new(),
            };
            format!("data lay {lag:.2} ms (p99) in this machine's sockets before it was read{unread}")
        }),
        above(ClientBound, "schedule-lag-ms", seen.schedule_lag_p99_ms, limits.schedule_lag_ms, &|lag| {
            format!("requests were sent {lag:.2} ms (p99) later than intended")
        }),
        above(ClientBound, "shard-busy", seen.shard_busy, limits.shard_busy, &|share| {
            format!("a sending thread was busy {} of the time", percent(share))
        }),
        above(ClientBound, "core-wait-ms", seen.core_wait_ms, limits.core_wait_ms, &|wait| {
            format!("a sending thread waited {wait:.2} ms for a core each time it was needed")
        }),
        above(ClientBound, "own-error", seen.own_error_share(), limits.own_error, &|share| {
            format!("this machine's own error at this load is {} of the time to first token", percent(share))
        }),
        above(ClientBound, "throttled", seen.throttled_share, limits.throttled, &|share| {
            format!("a CPU quota held this process back {} of the time", percent(share))
        }),
        above(ClientBound, "steal", seen.steal_share, limits.steal, &|share| {
            format!("the hypervisor took {} of the CPU", percent(share))
        }),
        above(
            ClientBound,
            "decode-stalls",
            Some(seen.decode_stalls as f64),
            limits.decode_stalls,
            &|stalls| format!("requests waited {stalls:.0} times for answers to be decoded"),
        ),
        below(UnderDelivered, "delivered", seen.delivered_share(), limits.delivered, &|share| {
            format!("only {} of the asked request rate was sent", percent(share))
        }),
        above(UnderDelivered, "slot-waits", seen.slot_wait_share(), limits.slot_waits, &|share| {
            format!("{} of the arrivals found every slot taken and waited", percent(share))
        }),
        above(Contaminated, "cached", seen.unasked_cached_share(), limits.cached, &|share| {
            format!(
                "{} of the prompt tokens came from the server's cache without being meant to",
                percent(share)
            )
        }),
        above(
            Contaminated,
            "clock-step-ms",
            seen.clock_step_ms.map(f64::abs),
            limits.clock_step_ms,
            &|step| format!("the wall clock was moved by {step:.1} ms during the run"),
        ),
        below(TooFewSamples, "samples", Some(seen.samples as f64), limits.samples, &|samples| {
            format!("{samples:.0} successful requests: a high percentile of so few is one request's luck")
        }),
    ]
}

/// The highest usual percentile with five values or more above it.
fn highest_percentile(samples: u64) -> Option<f64> {
    [99.99, 99.9, 99.0, 95.0, 90.0, 75.0, 50.0]
        .into_iter()
        .find(|percentile| samples as f64 * (100.0 - percentile) / 100.0 >= 5.0 - 1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn healthy() -> Evidence {
        Evidence {
            recv_lag_p50_ms: Some(0.02),
            recv_lag_p99_ms: Some(0.2),
            schedule_lag_p99_ms: Some(0.1),
            first_token_p50_ms: Some(50.0),
            inter_token_p50_ms: Some(10.0),
            shard_busy: Some(0.2),
            asked_rate: Some(100.0),
            delivered_rate: Some(99.5),
            requests: 2000,
            samples: 2000,
            kernel_stamps: Some(1.0),
            ..Evidence::default()
        }
    }

    #[test]
    fn a_healthy_run_is_valid_and_says_up_to_which_percentile() {
        let found = assess(healthy(), &Limits::default());
        assert_eq!((found.verdict, found.reasons.len()), (RunVerdict::Valid, 0));
        assert_eq!(found.highest_percentile, Some(99.0));
    }

    #[test]
    fn each_figure_crosses_its_own_limit() {
        type Spoil = fn(&mut Evidence);
        let cases: [(Spoil, RunVerdict, &str); 13] = [
            (|e| e.recv_lag_p99_ms = Some(9.0), RunVerdict::ClientBound, "recv-lag-ms"),
            (|e| e.schedule_lag_p99_ms = Some(50.0), RunVerdict::ClientBound, "schedule-lag-ms"),
            (|e| e.shard_busy = Some(0.99), RunVerdict::ClientBound, "shard-busy"),
            (|e| e.core_wait_ms = Some(4.0), RunVerdict::ClientBound, "core-wait-ms"),
            (|e| e.calibrated_error_p99_ms = Some(30.0), RunVerdict::ClientBound, "own-error"),
            (|e| e.throttled_share = Some(0.3), RunVerdict::ClientBound, "throttled"),
            (|e| e.steal_share = Some(0.3), RunVerdict::ClientBound, "steal"),
            (|e| e.decode_stalls = 3, RunVerdict::ClientBound, "decode-stalls"),
            (|e| e.delivered_rate = Some(70.0), RunVerdict::UnderDelivered, "delivered"),
            (|e| e.slot_waits = 900, RunVerdict::UnderDelivered, "slot-waits"),
            (|e| e.cached_share = Some(0.8), RunVerdict::Contaminated, "cached"),
            (|e| e.clock_step_ms = Some(-400.0), RunVerdict::Contaminated, "clock-step-ms"),
            (|e| e.samples = 20, RunVerdict::TooFewSamples, "samples"),
        ];
        for (spoil, verdict, limit) in cases {
            let mut evidence = healthy();
            spoil(&mut evidence);
            let found = assess(evidence, &Limits::default());
            assert_eq!(found.verdict, verdict, "{limit}");
            assert_eq!(found.reasons.iter().map(|reason| &*reason.limit).collect::<Vec<_>>(), [limit]);
        }
    }

    #[test]
    fn the_most_severe_reason_is_the_verdict() {
        let evidence = Evidence { samples: 5, shard_busy: Some(1.0), ..healthy() };
        let found = assess(evidence, &Limits::default());
        assert_eq!(found.verdict, RunVerdict::ClientBound);
        assert_eq!(found.reasons.len(), 2);
        assert_eq!(found.highest_percentile, None);
    }

    #[test]
    fn a_receive_lag_tells_how_much_lay_unread() {
        let late = Evidence { recv_lag_p99_ms: Some(9.0), ..healthy() };
        let told = |evidence| assess(evidence, &Limits::default()).reasons[0].message.clone();
        assert!(told(late.clone()).ends_with("before it was read"));
        let evidence = Evidence { unread_high_bytes: Some(1536), ..late };
        assert!(told(evidence).ends_with("before it was read, up to 1.5 KiB in one of them"));
    }

    #[test]
    fn cached_tokens_that_were_asked_for_are_no_fault() {
        let evidence = Evidence { cached_share: Some(0.8), cached_share_asked: Some(0.75), ..healthy() };
        assert_eq!(assess(evidence, &Limits::default()).verdict, RunVerdict::Valid);
    }

    #[test]
    fn a_limit_that_is_set_is_the_one_that_counts() {
        let mut limits = Limits::default();
        limits.set("samples=5000").unwrap();
        assert_eq!(assess(healthy(), &limits).verdict, RunVerdict::TooFewSamples);
    }
}
