//! The parts of a shared run: where they are, and whether they belong together.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokmeter_record::WallNs;
use tokmeter_record::format::SummaryDocument;
use tokmeter_record::format::names::ArtifactNames;
use tokmeter_record::ranks::{RankFacts, belong_together};
use tokmeter_record::verdict::{Assessment, Evidence};

use crate::args::merge::MergeArgs;
use crate::commands::profile::ranks::KEY;
use crate::exit::Failure;

/// One rank's directory.
pub struct Part {
    /// Its files.
    pub names: ArtifactNames,
    /// What it says of itself.
    pub facts: RankFacts,
    /// Its summary.
    pub document: SummaryDocument,
}

impl Part {
    /// A fact of its summary's own key.
    pub fn fact(&self, path: &str) -> Option<&Value> {
        let (key, rest) = path.split_once('/').map_or((path, ""), |(key, _)| (key, &path[key.len()..]));
        self.document.tokmeter.get(key)?.pointer(rest)
    }

    /// Start and end of its warmup.
    pub fn warmup(&self) -> Option<(WallNs, WallNs)> {
        let at = |path| Some(WallNs(self.fact(path)?.as_u64()?));
        at("warmup_window/start_ns").zip(at("warmup_window/end_ns"))
    }

    /// What its own verdict was decided on.
    pub fn evidence(&self) -> Evidence {
        let verdict = self.fact("verdict").cloned();
        let assessment = verdict.and_then(|value| serde_json::from_value::<Assessment>(value).ok());
        assessment.map(|assessment| assessment.evidence).unwrap_or_default()
    }
}

/// All parts in order of their ranks, what is missing, and where the result goes.
pub struct Parts {
    /// At least one.
    pub parts: Vec<Part>,
    /// Ranks that are not there.
    pub missing: Vec<u32>,
    /// Place of the result.
    pub output: PathBuf,
}

/// Finds and checks the parts.
///
/// # Errors
/// A directory without a part; parts that do not belong together; no place for the result.
pub fn find(args: &MergeArgs) -> Result<Parts, Failure> {
    let prefix = args.profile_export_prefix.as_deref();
    let mut parts = Vec::new();
    for directory in &args.directories {
        let below = ranks_below(directory).map_err(|error| {
            Failure::usage(format!("cannot read {}: {error}", directory.display()))
                .fix("name the directories of the ranks, or the one that holds them")
        })?;
        let given = if below.is_empty() { vec![directory.clone()] } else { below };
        for directory in given {
            parts.extend(part(&directory, prefix)?);
        }
    }
    if parts.is_empty() {
        return Err(Failure::usage("no rank has a summary").fix("wait until the ranks have ended"));
    }
    parts.sort_by_key(|part| part.facts.rank);
    let named: Vec<_> =
        parts.iter().map(|part| (part.names.directory().display().to_string(), part.facts.clone())).collect();
    let missing = belong_together(&named, args.partial).map_err(|error| {
        Failure::usage(error.to_string()).fix(
            "name all parts of one run and nothing else; --partial joins a run whose ranks did not all end",
        )
    })?;
    let output = output(args, &parts)?;
    Ok(Parts { parts, missing, output })
}

/// `rank-*` below a directory.
fn ranks_below(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("rank-"));
        if number.is_some_and(|number| number.parse::<u32>().is_ok()) && entry.path().is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// The part in a directory; `None` when it did not come to its summary.
fn part(directory: &Path, prefix: Option<&str>) -> Result<Option<Part>, Failure> {
    let names = ArtifactNames::new(directory, prefix);
    let path = names.summary_json();
    let Ok(bytes) = fs::read(&path) else { return Ok(None) };
    let document: SummaryDocument = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::usage(format!("{} is no summary: {error}", path.display())))?;
    let facts = document.tokmeter.get(KEY).cloned().ok_or_else(|| {
        Failure::usage(format!("{} is no part of a shared run", directory.display()))
            .fix("parts are made with `tokmeter profile --shard`")
    })?;
    let facts: RankFacts = serde_json::from_value(facts)
        .map_err(|error| Failure::usage(format!("{}: tokmeter.{KEY}: {error}", path.display())))?;
    Ok(Some(Part { names, facts, document }))
}

fn output(args: &MergeArgs, parts: &[Part]) -> Result<PathBuf, Failure> {
    let place = match &args.artifact_dir {
        Some(given) => given.clone(),
        None => {
            let parent = |part: &Part| {
                let directory = part.names.directory();
                let whole = fs::canonicalize(directory).ok();
                let above = directory.parent().filter(|above| !above.as_os_str().is_empty());
                above.map(Path::to_owned).or_else(|| Some(whole?.parent()?.to_owned()))
            };
            let first = parent(&parts[0]);
            first.filter(|first| parts.iter().all(|part| parent(part).as_ref() == Some(first))).ok_or_else(
                || {
                    Failure::usage("--artifact-dir: the ranks lie in different places")
                        .fix("say where the result goes")
                },
            )?
        }
    };
    let real = |path: &Path| fs::canonicalize(path).ok();
    let is_part = |part: &Part| real(&place).is_some() && real(part.names.directory()) == real(&place);
    if parts.iter().any(is_part) {
        return Err(Failure::usage(format!("--artifact-dir: {} is one of the parts", place.display()))
            .fix("choose another directory"));
    }
    Ok(place)
}
