//! Which part of a shared run this machine has, and what names the run.

use std::path::Path;

use serde_json::{Value, json};
use tokmeter_engine::dataset::DatasetConfig;
use tokmeter_engine::schedule::{LoadPlan, Share};
use tokmeter_engine::seed::Seed;
use tokmeter_record::WallNs;
use tokmeter_record::ranks::run_id;

use crate::args::profile::ProfileArgs;
use crate::args::ranks::Shard;
use crate::exit::Failure;

/// This machine's place in a shared run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rank {
    /// From 0.
    pub rank: u32,
    /// Of how many.
    pub ranks: u32,
    /// Who said so.
    pub source: &'static str,
    /// The job, where the engine names it.
    pub job: Option<String>,
}

impl Rank {
    /// The part of the load.
    pub fn share(&self) -> Share {
        Share::new(self.rank, self.ranks).unwrap_or(Share::WHOLE)
    }
}

/// Engines that tell their processes which they are: name, variable of the rank, variable of the number of ranks.
/// A launcher inside another (mpirun in a Slurm job) comes first.
const ENGINES: [(&str, &str, &str); 4] = [
    ("open-mpi", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("pmi", "PMI_RANK", "PMI_SIZE"),
    ("slurm", "SLURM_PROCID", "SLURM_NTASKS"),
    ("kubernetes", "JOB_COMPLETION_INDEX", "TOKMETER_COMPLETIONS"),
];

/// The place that `--shard` gives; `None` without the flag.
///
/// # Errors
/// `auto` where no engine says anything, or half of it; flags that a shared run needs or cannot have.
pub fn resolve(
    args: &ProfileArgs,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Rank>, Failure> {
    let Some(shard) = args.ranks.shard else { return Ok(None) };
    let rank = match shard {
        Shard::Part { rank, ranks } => Rank { rank, ranks, source: "--shard", job: None },
        Shard::Auto => of_engine(&variable)?,
    };
    if rank.ranks > 1 {
        check(args, rank.ranks)?;
    }
    Ok(Some(rank))
}

fn of_engine(variable: &impl Fn(&str) -> Option<String>) -> Result<Rank, Failure> {
    let Some((source, of_rank, of_ranks)) = ENGINES.into_iter().find(|(_, rank, _)| variable(rank).is_some())
    else {
        let known: Vec<_> = ENGINES.iter().map(|(_, rank, ranks)| format!("{rank} with {ranks}")).collect();
        return Err(Failure::usage(format!("--shard auto: none of these is set: {}", known.join(", ")))
            .fix("start it with srun, mpirun or as an Indexed Job, or give --shard I/N"));
    };
    let number = |name: &str| {
        let text = variable(name).ok_or_else(|| {
            Failure::usage(format!("--shard auto: {of_rank} is set, but {name} is not"))
                .fix(format!("set {name} to the number of ranks"))
        })?;
        let wrong = || Failure::usage(format!("--shard auto: {name} is `{text}`, which is no number"));
        text.trim().parse::<u32>().map_err(|_| wrong())
    };
    let (rank, ranks) = (number(of_rank)?, number(of_ranks)?);
    if rank >= ranks {
        return Err(Failure::usage(format!("--shard auto: {of_rank} is {rank}, but {of_ranks} is {ranks}")));
    }
    let slurm = || Some(format!("{}.{}", variable("SLURM_JOB_ID")?, variable("SLURM_STEP_ID")?));
    let job = if source == "slurm" { slurm() } else { None };
    Ok(Rank { rank, ranks, source, job })
}

fn check(args: &ProfileArgs, ranks: u32) -> Result<(), Failure> {
    if args.input.random_seed.is_none() {
        return Err(Failure::usage(format!(
            "--random-seed: {ranks} ranks draw one schedule and one set of prompts only from a seed they share"
        ))
        .fix("give all ranks the same --random-seed"));
    }
    for (flag, given) in [
        ("--export-har", args.output.export_har.is_some()),
        ("--export-perfetto", args.output.export_perfetto.is_some()),
    ] {
        if given {
            return Err(Failure::usage(format!("{flag}: all ranks would write the same file"))
                .fix("leave it out; --export-http-trace keeps the phases of each request in its record"));
        }
    }
    Ok(())
}

/// Everything that is the same on all ranks of a run, and differs between runs.
pub struct Shared<'a> {
    /// How many ranks.
    pub ranks: u32,
    /// Seed of everything random.
    pub seed: Seed,
    /// Common start.
    pub start_at: Option<WallNs>,
    /// What is asked of the server.
    pub dataset: &'a DatasetConfig,
    /// How much, and when.
    pub load: &'a LoadPlan,
    /// The configuration as files show it.
    pub input_config: &'a Value,
}

impl Shared<'_> {
    /// The run's name. Places of files are left out, as they may differ between machines; of an input file its name
    /// and length count.
    pub fn run_id(&self) -> String {
        let mut shown = self.input_config.clone();
        if let Some(fields) = shown.as_object_mut() {
            fields.remove("artifacts");
            fields.remove("datasets");
        }
        let mut dataset = self.dataset.clone();
        let input = dataset.input_file.take().map(|path| file(&path));
        run_id(&json!({
            "version": env!("CARGO_PKG_VERSION"),
            "ranks": self.ranks,
            "random_seed": self.seed.0,
            "start_at": self.start_at,
            "config": shown,
            "dataset": format!("{dataset:?}"),
            "input": input,
            "load": format!("{:?}", self.load),
        }))
    }
}

fn file(path: &Path) -> Value {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    json!({"name": name, "bytes": std::fs::metadata(path).ok().map(|metadata| metadata.len())})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(set: &[(&str, &str)]) -> Result<Rank, String> {
        let variable =
            |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        of_engine(&variable).map_err(|failure| failure.message)
    }

    fn rank(rank: u32, ranks: u32, source: &'static str) -> Rank {
        Rank { rank, ranks, source, job: None }
    }

    #[test]
    fn each_engine_is_understood() {
        let slurm = [("SLURM_PROCID", "2"), ("SLURM_NTASKS", "4")];
        assert_eq!(found(&slurm), Ok(rank(2, 4, "slurm")));
        let step = [&slurm[..], &[("SLURM_JOB_ID", "77"), ("SLURM_STEP_ID", "0")]].concat();
        assert_eq!(found(&step), Ok(Rank { job: Some("77.0".into()), ..rank(2, 4, "slurm") }));
        let pod = [("JOB_COMPLETION_INDEX", "0"), ("TOKMETER_COMPLETIONS", "3")];
        assert_eq!(found(&pod), Ok(rank(0, 3, "kubernetes")));
        let mpi = [&slurm[..], &[("OMPI_COMM_WORLD_RANK", "7"), ("OMPI_COMM_WORLD_SIZE", "8")]].concat();
        assert_eq!(found(&mpi), Ok(rank(7, 8, "open-mpi")));
        assert_eq!(found(&[("PMI_RANK", "1"), ("PMI_SIZE", "2")]), Ok(rank(1, 2, "pmi")));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        for (set, part) in [
            (&[][..], "SLURM_PROCID with SLURM_NTASKS"),
            (&[("JOB_COMPLETION_INDEX", "1")], "TOKMETER_COMPLETIONS is not"),
            (&[("PMI_RANK", "x"), ("PMI_SIZE", "2")], "PMI_RANK is `x`"),
            (&[("PMI_RANK", "2"), ("PMI_SIZE", "2")], "PMI_RANK is 2, but PMI_SIZE is 2"),
        ] {
            let message = found(set).expect_err("refused");
            assert!(message.contains(part), "{message}");
        }
    }
}
