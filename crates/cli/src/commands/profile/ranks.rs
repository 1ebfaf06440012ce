//! A run that several machines share: what this one says of its part and its clock.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use tokmeter_http::clock;
use tokmeter_record::ranks::{FileServerClock, RankClock, RankFacts, RankStart};
use tokmeter_record::{ClockAnchor, WallNs};

use super::Finished;
use crate::args::profile::ProfileArgs;
use crate::exit::Failure;
use crate::settings::profile::ProfileSettings;

/// Where [`RankFacts`] stand in the summary, below `tokmeter`.
pub const KEY: &str = "ranks";

/// Refuses flags of a shared run for several runs in one command.
///
/// # Errors
/// The flag.
pub fn check_single(args: &ProfileArgs) -> Result<(), Failure> {
    let given = [("--shard", args.ranks.shard.is_some()), ("--start-at", args.ranks.start_at.is_some())];
    match given.into_iter().find(|(_, given)| *given) {
        Some((flag, _)) => {
            Err(Failure::usage(format!("{flag}: holds for one run, not for repeats or a sweep"))
                .fix("give one value for each flag, and start each run by itself"))
        }
        None => Ok(()),
    }
}

/// Tells that the load does not begin at once.
pub fn tell_wait(settings: &ProfileSettings) {
    let Some(at) = settings.start_at else { return };
    let left = at.0.saturating_sub(clock::wall_now().0) as f64 / 1e9;
    if left > 0.0 {
        tracing::info!("the measured load begins in {left:.1} s (--start-at)");
    }
}

/// What the summary says of this rank; `None` when the run is not shared.
pub fn facts(finished: &Finished) -> Option<RankFacts> {
    let profiling = finished.outcome.profiling();
    let start = RankStart {
        intended_ns: finished.settings.start_at,
        actual_ns: profiling.map(|phase| phase.start),
        late_ms: profiling.and_then(|phase| phase.late_ns).map(|ns| ns as f64 / 1e6),
    };
    of(&finished.settings, start, finished.outcome.anchors.1)
}

/// The same before the load: what `recover` leaves to `merge` of a rank that was killed.
pub fn before(settings: &ProfileSettings) -> Option<RankFacts> {
    let start = RankStart { intended_ns: settings.start_at, ..RankStart::default() };
    of(settings, start, clock::anchor())
}

fn of(settings: &ProfileSettings, start: RankStart, anchor: ClockAnchor) -> Option<RankFacts> {
    let rank = settings.rank.as_ref()?;
    let run_id = settings.run_id.clone()?;
    let word = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    Some(RankFacts {
        rank: rank.rank,
        ranks: rank.ranks,
        source: rank.source.to_owned(),
        job: rank.job.clone(),
        run_id,
        random_seed: settings.seed.0,
        host: word("/proc/sys/kernel/hostname"),
        start,
        clock: RankClock {
            anchor,
            boot_id: word("/proc/sys/kernel/random/boot_id"),
            synchronized: synchronized(),
            clocksource: word("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            file_server: file_server(settings.names.directory()),
        },
    })
}

/// A late start, for the reader.
pub fn late(finished: &Finished) -> Option<String> {
    let late_ms = finished.outcome.profiling()?.late_ns? as f64 / 1e6;
    (late_ms >= 1.0).then(|| format!("the load began {late_ms:.0} ms after --start-at"))
}

/// systemd's time service leaves a mark once it has set the clock. Others leave none: unknown, not wrong.
fn synchronized() -> Option<bool> {
    let runs = Path::new("/run/systemd/timesync").is_dir();
    runs.then(|| Path::new("/run/systemd/timesync/synchronized").exists())
}

/// File systems whose servers stamp files with their own clock: magic number of `statfs`, name.
const FILE_SERVERS: [(i64, &str); 8] = [
    (0x6969, "nfs"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x0bd0_0bd0, "lustre"),
    (0x4750_4653, "gpfs"),
    (0x1983_0326, "beegfs"),
    (0x00c3_6400, "ceph"),
    (0x0102_1997, "9p"),
];

/// A server may stamp with a clock that ticks only so often, ms.
const COARSEST_TICK_MS: f64 = 10.0;

/// Asks the file server for its time by writing a small file: the quickest of several answers.
fn file_server(directory: &Path) -> Option<FileServerClock> {
    let magic = rustix::fs::statfs(directory).ok()?.f_type as i64;
    let kind = FILE_SERVERS.into_iter().find(|(known, _)| *known == magic & 0xffff_ffff)?.1;
    let probe = directory.join(".clock-probe");
    let asked = (0..5).filter_map(|_| ask(&probe)).min_by_key(|(before, _, after)| after.0 - before.0);
    let _ = fs::remove_file(&probe);
    let (before, stamp, after) = asked?;
    let middle = before.0 + (after.0.saturating_sub(before.0)) / 2;
    Some(FileServerClock {
        kind: kind.to_owned(),
        ahead_ms: (i128::from(stamp) - i128::from(middle)) as f64 / 1e6,
        uncertainty_ms: after.0.saturating_sub(before.0) as f64 / 2e6 + COARSEST_TICK_MS,
    })
}

fn ask(probe: &Path) -> Option<(WallNs, u64, WallNs)> {
    let _ = fs::remove_file(probe);
    let before = clock::wall_now();
    let mut file = File::create(probe).ok()?;
    file.write_all(b"?").ok()?;
    file.sync_all().ok()?;
    let modified = file.metadata().ok()?.modified().ok()?;
    let after = clock::wall_now();
    let stamp = modified.duration_since(std::time::UNIX_EPOCH).ok()?;
    (after >= before).then(|| Some((before, u64::try_from(stamp.as_nanos()).ok()?, after)))?
}
