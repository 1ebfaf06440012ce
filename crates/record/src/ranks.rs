//! Several machines that share a run: what each says of its part, and whether parts belong together.
//!
//! Each rank writes [`RankFacts`] under `tokmeter.ranks` of its summary. [`belong_together`] decides from them
//! alone, so that `merge` never joins records of different runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::time::{ClockAnchor, WallNs};

/// One machine's part of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankFacts {
    /// Which part, from 0.
    pub rank: u32,
    /// Of how many.
    pub ranks: u32,
    /// Who said so: `--shard`, `slurm`, `kubernetes`, `open-mpi`, `pmi`.
    pub source: String,
    /// The job of the machine that started it, where it has a name (`SLURM_JOB_ID.SLURM_STEP_ID`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// See [`run_id`].
    pub run_id: String,
    /// Seed of everything random.
    pub random_seed: u64,
    /// Name of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// When the load began.
    pub start: RankStart,
    /// What is known of its clock.
    pub clock: RankClock,
}

/// When a rank's measured phase was to begin, and when it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RankStart {
    /// `--start-at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intended_ns: Option<WallNs>,
    /// First instant of its schedule; absent when it never began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual_ns: Option<WallNs>,
    /// By how much it missed `--start-at`, ms; 0 when it was there in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_ms: Option<f64>,
}

/// What a rank knows of its clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankClock {
    /// Wall clock and monotonic clock at the same moment.
    pub anchor: ClockAnchor,
    /// The boot of the machine: ranks that share it share their clocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// Whether the system's time service says that the clock is set; absent where none says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synchronized: Option<bool>,
    /// Hardware the kernel counts time with (`tsc`, `kvm-clock`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clocksource: Option<String>,
    /// The file server's clock, when the artifacts lie on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_server: Option<FileServerClock>,
}

/// A file server's clock against that of this machine: a reference that all ranks share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileServerClock {
    /// Kind of file system.
    pub kind: String,
    /// Its clock minus ours, ms.
    pub ahead_ms: f64,
    /// How far that may be off, ms.
    pub uncertainty_ms: f64,
}

/// One clock against another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClockOffset {
    /// How far it is ahead, ms.
    pub ahead_ms: f64,
    /// How far that may be off, ms.
    pub uncertainty_ms: f64,
}

impl RankFacts {
    /// How far this rank's wall clock is ahead of another's; `None` when they have no reference in common: neither
    /// one kernel nor one file server.
    #[must_use]
    pub fn clock_ahead_of(&self, other: &RankFacts) -> Option<ClockOffset> {
        let (own, others) = (&self.clock, &other.clock);
        if own.boot_id.is_some() && own.boot_id == others.boot_id {
            let uncertainty = own.anchor.uncertainty_ns + others.anchor.uncertainty_ns;
            // One monotonic clock: what the wall clock moved between the two readings.
            return Some(ClockOffset {
                ahead_ms: others.anchor.drift_ns(&own.anchor) as f64 / 1e6,
                uncertainty_ms: uncertainty as f64 / 1e6,
            });
        }
        let (own, others) = (own.file_server.as_ref()?, others.file_server.as_ref()?);
        (own.kind == others.kind).then_some(ClockOffset {
            ahead_ms: others.ahead_ms - own.ahead_ms,
            uncertainty_ms: own.uncertainty_ms + others.uncertainty_ms,
        })
    }
}

/// Names a run by what was asked of it: 16 hex digits of the SHA-256 of its configuration. Ranks of one run have the
/// same; runs that differ in anything `config` holds do not.
#[must_use]
pub fn run_id(config: &Value) -> String {
    // Maps are ordered by key, so equal configurations have equal texts.
    let digest = Sha256::digest(config.to_string().as_bytes());
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Why parts are not those of one run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Foreign {
    /// Other configuration, seed or start.
    #[error("{0} and {1} are parts of different runs (run ids {2} and {3})")]
    Run(String, String, String, String),
    /// Another start of the same configuration.
    #[error("{0} and {1} were started by different jobs ({2} and {3})")]
    Job(String, String, String, String),
    /// A rank that is there twice.
    #[error("{0} and {1} are both rank {2}")]
    Twice(String, String, u32),
    /// Ranks that are not there.
    #[error("of {ranks} ranks these are missing: {missing}")]
    Missing {
        /// How many there should be.
        ranks: u32,
        /// Their numbers.
        missing: String,
    },
}

/// Checks that parts, each with a name for messages, are all parts of one run. Gives the ranks that are missing,
/// which is an error unless `partial`.
///
/// # Errors
/// The first two parts that do not belong together, or what is missing.
pub fn belong_together(parts: &[(String, RankFacts)], partial: bool) -> Result<Vec<u32>, Foreign> {
    let mut seen = BTreeMap::new();
    let Some((first_name, first)) = parts.first() else { return Ok(Vec::new()) };
    for (name, facts) in parts {
        let names = || (first_name.clone(), name.clone());
        if (&facts.run_id, facts.ranks) != (&first.run_id, first.ranks) {
            let (a, b) = names();
            return Err(Foreign::Run(a, b, first.run_id.clone(), facts.run_id.clone()));
        }
        if facts.job != first.job {
            let (a, b) = names();
            let job = |job: &Option<String>| job.clone().unwrap_or_else(|| "none".to_owned());
            return Err(Foreign::Job(a, b, job(&first.job), job(&facts.job)));
        }
        if let Some(other) = seen.insert(facts.rank, name) {
            return Err(Foreign::Twice(other.clone(), name.clone(), facts.rank));
        }
    }
    let missing: Vec<u32> = (0..first.ranks).filter(|rank| !seen.contains_key(rank)).collect();
    if !missing.is_empty() && !partial {
        let numbers: Vec<String> = missing.iter().take(20).map(u32::to_string).collect();
        let more = if missing.len() > numbers.len() { ", ..." } else { "" };
        return Err(Foreign::Missing { ranks: first.ranks, missing: numbers.join(", ") + more });
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn facts(rank: u32) -> RankFacts {
        RankFacts {
            rank,
            ranks: 3,
            source: "slurm".into(),
            job: Some("7.0".into()),
            run_id: "aa".into(),
            random_seed: 1,
            host: None,
            start: RankStart::default(),
            clock: RankClock {
                anchor: ClockAnchor { mono_ns: 1_000, wall_ns: 5_000_000, uncertainty_ns: 100 },
                boot_id: None,
                synchronized: None,
                clocksource: None,
                file_server: None,
            },
        }
    }

    fn parts(facts: impl IntoIterator<Item = RankFacts>) -> Vec<(String, RankFacts)> {
        facts.into_iter().enumerate().map(|(index, facts)| (format!("dir{index}"), facts)).collect()
    }

    #[test]
    fn parts_of_one_run_belong_together_in_any_order() {
        assert_eq!(belong_together(&parts([2, 0, 1].map(facts)), false), Ok(vec![]));
        assert_eq!(belong_together(&parts([2].map(facts)), true), Ok(vec![0, 1]));
    }

    #[test]
    fn each_way_not_to_belong_is_named() {
        let refused = |facts: [RankFacts; 3]| belong_together(&parts(facts), true).unwrap_err().to_string();
        let mut other = [0, 1, 2].map(facts);
        other[2].run_id = "bb".into();
        assert_eq!(refused(other), "dir0 and dir2 are parts of different runs (run ids aa and bb)");
        let mut size = [0, 1, 2].map(facts);
        size[1].ranks = 4;
        assert!(refused(size).contains("different runs"));
        let mut job = [0, 1, 2].map(facts);
        job[1].job = Some("8.0".into());
        assert_eq!(refused(job), "dir0 and dir1 were started by different jobs (7.0 and 8.0)");
        assert_eq!(refused([0, 1, 1].map(facts)), "dir1 and dir2 are both rank 1");
        let missing = belong_together(&parts([0, 2].map(facts)), false).unwrap_err();
        assert_eq!(missing.to_string(), "of 3 ranks these are missing: 1");
    }

    #[test]
    fn clocks_are_compared_by_what_they_share() {
        let (mut a, mut b) = (facts(0), facts(1));
        assert_eq!(b.clock_ahead_of(&a), None);
        let server = |ahead_ms| FileServerClock { kind: "nfs".into(), ahead_ms, uncertainty_ms: 4.0 };
        (a.clock.file_server, b.clock.file_server) = (Some(server(30.0)), Some(server(10.0)));
        // The server is 30 ms ahead of a and 10 ms ahead of b: b is 20 ms ahead of a.
        assert_eq!(b.clock_ahead_of(&a), Some(ClockOffset { ahead_ms: 20.0, uncertainty_ms: 8.0 }));
        (a.clock.boot_id, b.clock.boot_id) = (Some("x".into()), Some("x".into()));
        b.clock.anchor = ClockAnchor { mono_ns: 2_000, wall_ns: 7_001_000, uncertainty_ns: 100 };
        let offset = b.clock_ahead_of(&a).unwrap();
        assert!((offset.ahead_ms - 2.0).abs() < 1e-9, "{offset:?}");
    }

    #[test]
    fn a_run_id_follows_the_configuration_and_not_the_order_of_its_keys() {
        let id = run_id(&json!({"seed": 1, "rate": 2.0}));
        assert_eq!((id.len(), &id), (16, &run_id(&json!({"rate": 2.0, "seed": 1}))));
        assert_ne!(id, run_id(&json!({"rate": 2.0, "seed": 2})));
    }
}
