//! Sessions with their first body ready, ahead of the shards that send them.
//!
//! Building a prompt and its JSON costs tens of microseconds; on a shard that would be lateness for every
//! stream it serves. A feeder thread works ahead into bounded queues.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, bounded};
use tokmeter_record::MonoNs;

use crate::dataset::Session;
use crate::endpoint::BodyError;
use crate::handover::send_unhurried;

/// One session to run.
#[derive(Clone, Debug)]
pub struct Job {
    /// What to ask.
    pub session: Arc<Session>,
    /// Body of the first turn.
    pub first_body: Bytes,
    /// When the schedule wants it begun, where the schedule decides which session begins when.
    pub intended: Option<MonoNs>,
    /// Turns to send at most.
    pub turns: Option<u32>,
}

/// Jobs ready ahead of each shard.
const AHEAD: usize = 256;

/// The shard's end of the queue.
#[derive(Clone)]
pub struct Feed {
    jobs: Receiver<Job>,
    starved: Arc<AtomicU64>,
}

/// What a shard found when it asked for a job.
pub enum Next {
    /// A job.
    Job(Job),
    /// The feeder has not caught up; ask again shortly.
    NotYet,
    /// There are no more.
    End,
}

impl Feed {
    /// Takes the next job, without waiting.
    pub fn next(&self) -> Next {
        match self.jobs.try_recv() {
            Ok(job) => Next::Job(job),
            Err(crossbeam_channel::TryRecvError::Empty) => {
                self.starved.fetch_add(1, Ordering::Relaxed);
                Next::NotYet
            }
            Err(crossbeam_channel::TryRecvError::Disconnected) => Next::End,
        }
    }
}

/// How jobs reach the shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dealing {
    /// Any shard takes the next job (closed loop).
    Shared,
    /// Job `i` belongs to shard `i mod shards` (open loop: each shard has its part of the schedule).
    RoundRobin,
}

/// The feeder: a thread that turns an iterator of jobs into the shards' queues.
pub struct Feeder {
    /// One feed for each shard.
    pub feeds: Vec<Feed>,
    /// How the feeder did.
    pub report: FeederReport,
}

/// How a feeder did; complete once its phase is over.
#[derive(Clone, Debug, Default)]
pub struct FeederReport {
    starved: Arc<AtomicU64>,
    error: Arc<OnceLock<BodyError>>,
}

impl FeederReport {
    /// How often a shard asked and found nothing ready: time the client, not the server, cost.
    pub fn starved(&self) -> u64 {
        self.starved.load(Ordering::Relaxed)
    }

    /// The session that could not be turned into a body: it ended the feed.
    pub fn error(&self) -> Option<&BodyError> {
        self.error.get()
    }
}

impl Feeder {
    /// Starts the thread. It ends with the iterator, at its first error, or when every shard has dropped its
    /// feed.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        shards: usize,
        dealing: Dealing,
        jobs: impl Iterator<Item = Result<Job, BodyError>> + Send + 'static,
    ) -> std::io::Result<Feeder> {
        let report = FeederReport::default();
        let (senders, receivers): (Vec<_>, Vec<_>) = match dealing {
            Dealing::Shared => {
                let (sender, receiver) = bounded(AHEAD * shards);
                (vec![sender], vec![receiver; shards])
            }
            Dealing::RoundRobin => (0..shards).map(|_| bounded(AHEAD)).unzip(),
        };
        let error = report.error.clone();
        std::thread::Builder::new().name("feeder".into()).spawn(move || deal(jobs, &senders, &error))?;
        let feed = |jobs| Feed { jobs, starved: report.starved.clone() };
        Ok(Feeder { feeds: receivers.into_iter().map(feed).collect(), report })
    }
}

fn deal(
    jobs: impl Iterator<Item = Result<Job, BodyError>>,
    senders: &[Sender<Job>],
    error: &OnceLock<BodyError>,
) {
    for (number, job) in jobs.enumerate() {
        match job {
            Ok(job) => {
                // The shard is gone: the phase is over.
                if send_unhurried(&senders[number % senders.len()], job).is_err() {
                    return;
                }
            }
            Err(reason) => {
                let _ = error.set(reason);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(i: usize) -> Job {
        Job {
            session: Arc::new(Session {
                id: format!("s{i}").into(),
                system: None,
                context: None,
                turns: vec![],
                self_contained: false,
            }),
            first_body: Bytes::new(),
            intended: None,
            turns: None,
        }
    }

    fn jobs(n: usize) -> impl Iterator<Item = Result<Job, BodyError>> + Send + 'static {
        (0..n).map(|i| Ok(job(i)))
    }

    fn drain(feed: &Feed) -> Vec<String> {
        let mut ids = Vec::new();
        loop {
            match feed.next() {
                Next::Job(job) => ids.push(job.session.id.to_string()),
                Next::NotYet => std::thread::yield_now(),
                Next::End => return ids,
            }
        }
    }

    #[test]
    fn round_robin_deals_every_job_to_its_own_shard_in_order() {
        let feeder = Feeder::start(2, Dealing::RoundRobin, jobs(601)).unwrap();
        let (even, odd) = std::thread::scope(|scope| {
            let even = scope.spawn(|| drain(&feeder.feeds[0]));
            let odd = drain(&feeder.feeds[1]);
            (even.join().unwrap(), odd)
        });
        assert_eq!(even.len(), 301);
        assert_eq!(odd.len(), 300);
        assert_eq!(even[1], "s2");
        assert_eq!(odd[299], "s599");
    }

    #[test]
    fn a_shared_feed_gives_each_job_once() {
        let feeder = Feeder::start(2, Dealing::Shared, jobs(500)).unwrap();
        let mut all = drain(&feeder.feeds[1]);
        all.extend(drain(&feeder.feeds[0]));
        assert_eq!(all.len(), 500);
    }

    #[test]
    fn an_error_ends_the_feed_and_is_kept() {
        let error = || BodyError::Template { reason: "no".into() };
        let jobs = (0..10).map(move |i| if i < 3 { Ok(job(i)) } else { Err(error()) });
        let feeder = Feeder::start(1, Dealing::Shared, jobs).unwrap();
        assert_eq!(drain(&feeder.feeds[0]).len(), 3);
        assert_eq!(feeder.report.error(), Some(&error()));
    }

    #[test]
    fn a_dropped_feed_ends_the_feeder() {
        let feeder = Feeder::start(1, Dealing::Shared, jobs(1_000_000)).unwrap();
        drop(feeder);
    }
}
