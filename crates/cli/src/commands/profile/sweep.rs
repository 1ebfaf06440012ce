//! Which runs a command asks for: the variations of a sweep, each once or several times, and where the files
//! of each go (layout: FORMATS 11 and AIPerf's sweep reference).

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tokmeter_engine::seed::Seed;
use tokmeter_record::format::summary_json::RunInfo;
use tokmeter_record::format::sweep::SweepParameter;

use crate::args::profile::{ProfileArgs, WarmupArgs};
use crate::args::swept::Swept;
use crate::exit::Failure;
use crate::settings::{artifact, profile as settings};

/// A flag with several values.
struct Axis {
    name: &'static str,
    values: Vec<Value>,
    set: fn(&mut ProfileArgs, usize),
}

/// One combination of values.
pub struct Variation {
    /// Name of its directory; empty when nothing is swept.
    pub label: String,
    /// Value of each swept flag.
    pub parameters: Map<String, Value>,
    /// The flags of its runs but directory and seed.
    args: ProfileArgs,
}

/// All runs of a command.
pub struct Plan {
    /// What is swept; empty for mere repetition.
    pub parameters: Vec<SweepParameter>,
    /// In the order of the values typed.
    pub variations: Vec<Variation>,
    /// Runs of each variation.
    pub trials: u32,
    independent: bool,
    base: PathBuf,
    sweep_id: String,
    seed: Seed,
}

/// One run of the plan.
pub struct PlannedRun {
    /// Index of its variation.
    pub variation: usize,
    /// Number among the runs of its variation, from 0.
    pub trial: u32,
    /// Its name.
    pub label: String,
    /// Its flags.
    pub args: ProfileArgs,
    /// What the summary says of its place among the others.
    pub identity: RunInfo,
}

/// The flags of `args` that have several values.
fn axes(args: &ProfileArgs) -> Vec<Axis> {
    fn values<T: Copy + serde::Serialize>(swept: &Option<Swept<T>>) -> Vec<Value> {
        // A length of 512 tokens is no 512.0.
        let plain = |value: Value| match value.as_f64() {
            Some(number) if number.fract() == 0.0 && value.is_f64() => json!(number as i64),
            _ => value,
        };
        swept.iter().flat_map(|swept| swept.values()).map(|value| plain(json!(value))).collect()
    }
    macro_rules! axis {
        ($name:literal, $group:ident.$field:ident) => {
            Axis {
                name: $name,
                values: values(&args.$group.$field),
                set: |args, index| {
                    args.$group.$field = args.$group.$field.as_ref().map(|swept| swept.only(index));
                },
            }
        };
    }
    let mut axes = vec![
        axis!("concurrency", load.concurrency),
        axis!("prefill_concurrency", load.prefill_concurrency),
        axis!("request_rate", load.request_rate),
        axis!("request_count", load.request_count),
        axis!("benchmark_duration", load.benchmark_duration),
        axis!("num_users", load.num_users),
        axis!("conversation_num", input.conversation_num),
        axis!("session_turns_mean", input.conversation_turn_mean),
        axis!("isl", input.prompt_input_tokens_mean),
        axis!("isl_stddev", input.prompt_input_tokens_stddev),
        axis!("osl", input.prompt_output_tokens_mean),
        axis!("osl_stddev", input.prompt_output_tokens_stddev),
    ];
    axes.retain(|axis| axis.values.len() > 1);
    for axis in axes.iter_mut().filter(|axis| axis.name == "request_rate") {
        // A rate is a float everywhere, in directory names too.
        axis.values.iter_mut().for_each(|value| *value = json!(value.as_f64()));
    }
    axes
}

/// The runs that the flags ask for; `None` when it is a single one.
pub fn plan(args: &ProfileArgs) -> Result<Option<Plan>, Failure> {
    let given = &args.multi_run;
    check(args)?;
    let axes = axes(args);
    if axes.is_empty() && given.num_profile_runs == 1 {
        return Ok(None);
    }
    let zip = given.sweep_type.eq_ignore_ascii_case("zip");
    let variations: Vec<Variation> =
        picks(&axes, zip)?.into_iter().map(|pick| variation(args, &axes, &pick)).collect();
    let names: Vec<&str> = axes.iter().map(|axis| axis.name).collect();
    let base = match axes.is_empty() {
        true => settings::resolve(args)?.names.directory().to_owned(),
        false => artifact::directory(args, &format!("{}_sweep", names.join("_"))),
    };
    // What is wrong with the last variation is told before the first one runs.
    for variation in variations.iter().filter(|_| !axes.is_empty()) {
        settings::resolve(&variation.args).map_err(|failure| Failure {
            message: format!("{}: {}", variation.label, failure.message),
            ..failure
        })?;
    }
    let parameter = |axis: Axis| SweepParameter { name: axis.name.to_owned(), values: axis.values };
    Ok(Some(Plan {
        parameters: axes.into_iter().map(parameter).collect(),
        variations,
        trials: given.num_profile_runs,
        independent: given.parameter_sweep_mode.eq_ignore_ascii_case("independent"),
        base,
        sweep_id: format!("{:012x}", Seed::from_entropy().0 & 0xffff_ffff_ffff),
        seed: args.input.random_seed.map_or_else(Seed::from_entropy, Seed),
    }))
}

fn check(args: &ProfileArgs) -> Result<(), Failure> {
    let given = &args.multi_run;
    for (flag, seconds) in [
        ("--profile-run-cooldown-seconds", given.profile_run_cooldown_seconds),
        ("--parameter-sweep-cooldown-seconds", given.parameter_sweep_cooldown_seconds),
    ] {
        crate::settings::transport::seconds(flag, seconds)?;
    }
    let level = given.confidence_level;
    if !(level > 0.0 && level < 1.0) {
        return Err(Failure::usage(format!("--confidence-level: {level} is no probability"))
            .fix("give a number between 0 and 1, for example 0.95"));
    }
    if given.num_profile_runs == 1 && (given.vary_seed_per_trial || given.profile_run_cooldown_seconds > 0.0)
    {
        return Err(Failure::usage(
            "--vary-seed-per-trial and --profile-run-cooldown-seconds need --num-profile-runs 2 or more",
        ));
    }
    Ok(())
}

/// For each variation the index of the value of each axis.
fn picks(axes: &[Axis], zip: bool) -> Result<Vec<Vec<usize>>, Failure> {
    if zip && let Some(first) = axes.first() {
        let length = first.values.len();
        if let Some(other) = axes.iter().find(|axis| axis.values.len() != length) {
            return Err(Failure::usage(format!(
                "--sweep-type zip: `{}` has {length} values, `{}` has {}",
                first.name,
                other.name,
                other.values.len()
            ))
            .fix("give all swept flags the same number of values, or use --sweep-type grid"));
        }
        return Ok((0..length).map(|index| vec![index; axes.len()]).collect());
    }
    Ok(axes.iter().fold(vec![Vec::new()], |picks, axis| {
        let with = |pick: &Vec<usize>, index| pick.iter().copied().chain([index]).collect();
        picks.iter().flat_map(|pick| (0..axis.values.len()).map(move |index| with(pick, index))).collect()
    }))
}

fn variation(args: &ProfileArgs, axes: &[Axis], pick: &[usize]) -> Variation {
    let mut args = args.clone();
    let mut parameters = Map::new();
    for (axis, &index) in axes.iter().zip(pick) {
        (axis.set)(&mut args, index);
        parameters.insert(axis.name.to_owned(), axis.values[index].clone());
    }
    let parts: Vec<String> =
        axes.iter().zip(pick).map(|(axis, &index)| format!("{}_{}", axis.name, axis.values[index])).collect();
    Variation { label: parts.join("__"), parameters, args }
}

impl Plan {
    /// The runs in their order.
    pub fn runs(&self) -> Vec<PlannedRun> {
        let (variations, trials) = (0..self.variations.len(), 0..self.trials);
        match self.independent {
            true => variations.flat_map(|v| trials.clone().map(move |t| (v, t))).collect::<Vec<_>>(),
            false => trials.flat_map(|t| variations.clone().map(move |v| (v, t))).collect(),
        }
        .into_iter()
        .map(|(variation, trial)| self.run(variation, trial))
        .collect()
    }

    fn run(&self, index: usize, trial: u32) -> PlannedRun {
        let variation = &self.variations[index];
        let mut args = variation.args.clone();
        let given = &args.multi_run;
        let consistent = !given.no_set_consistent_seed && !given.vary_seed_per_trial;
        let warm_once = !given.no_profile_run_disable_warmup_after_first;
        let seed = match index {
            _ if given.parameter_sweep_same_seed => self.seed,
            0 => self.seed,
            _ => self.seed.derive("variation", index as u64),
        };
        let seed = if consistent || trial == 0 { seed } else { seed.derive("trial", u64::from(trial)) };
        // Below 2^53, so that every JSON reader keeps all its digits.
        let seed = if seed == self.seed { seed.0 } else { seed.0 >> 11 };
        args.input.random_seed = Some(seed);
        let directory = self.run_directory(variation, trial);
        // One file for all runs would hold the last one only.
        for export in [&mut args.output.export_har, &mut args.output.export_perfetto].into_iter().flatten() {
            if let Some(name) = export.file_name() {
                *export = directory.join(name);
            }
        }
        args.output.output_artifact_dir = Some(directory);
        if warm_once && trial > 0 {
            args.warmup = WarmupArgs::default();
        }
        let run = (self.trials > 1).then(|| format!("run_{:04}", trial + 1));
        let swept = !self.parameters.is_empty();
        let identity = RunInfo {
            sweep_id: swept.then(|| self.sweep_id.clone()),
            trial: Some(trial),
            run_label: run.clone(),
            variation_label: swept.then(|| variation.label.clone()),
            variation_index: swept.then_some(index as u32),
            variation_values: swept.then(|| variation.parameters.clone()),
            ..RunInfo::default()
        };
        let parts: Vec<String> = swept.then(|| variation.label.clone()).into_iter().chain(run).collect();
        PlannedRun { variation: index, trial, label: parts.join(" "), args, identity }
    }

    fn run_directory(&self, variation: &Variation, trial: u32) -> PathBuf {
        let runs =
            |base: PathBuf, word: &str| base.join("profile_runs").join(format!("{word}_{:04}", trial + 1));
        let base = self.base.clone();
        match (self.parameters.is_empty(), self.trials, self.independent) {
            (true, ..) => runs(base, "run"),
            (false, 1, _) => base.join(&variation.label),
            (false, _, false) => runs(base, "trial").join(&variation.label),
            (false, _, true) => runs(base.join(&variation.label), "trial"),
        }
    }

    /// Where everything is.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// Directory of the estimates over the runs of a variation.
    pub fn aggregate_directory(&self, variation: &Variation) -> PathBuf {
        match self.independent && !self.parameters.is_empty() {
            true => self.base.join(&variation.label).join("aggregate"),
            false => self.base.join("aggregate").join(&variation.label),
        }
    }

    /// Directory of the comparison of the variations.
    pub fn sweep_directory(&self) -> PathBuf {
        self.base.join("sweep_aggregate")
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn planned(flags: &str) -> Result<Plan, Failure> {
        let words = format!("tokmeter profile -m m --url localhost:1 --artifact-dir out {flags}");
        let Ok(Cli { command: Command::Profile(args) }) = Cli::try_parse_from(words.split_whitespace())
        else {
            panic!("flags of profile: {flags}");
        };
        plan(&args).map(|plan| plan.expect("several runs"))
    }

    fn directories(plan: &Plan) -> Vec<String> {
        let directory = |run: &PlannedRun| {
            run.args.output.output_artifact_dir.as_ref().unwrap().to_string_lossy().into_owned()
        };
        plan.runs().iter().map(directory).collect()
    }

    #[test]
    fn runs_go_where_readers_look_for_them() {
        let repeated = planned("--concurrency 1,2 --num-profile-runs 2").unwrap();
        assert_eq!(
            directories(&repeated),
            [
                "out/profile_runs/trial_0001/concurrency_1",
                "out/profile_runs/trial_0001/concurrency_2",
                "out/profile_runs/trial_0002/concurrency_1",
                "out/profile_runs/trial_0002/concurrency_2",
            ]
        );
        let independent =
            planned("--concurrency 1,2 --num-profile-runs 2 --parameter-sweep-mode independent").unwrap();
        assert_eq!(directories(&independent)[1], "out/concurrency_1/profile_runs/trial_0002");
        assert_eq!(directories(&planned("--num-profile-runs 3").unwrap())[2], "out/profile_runs/run_0003");
        let rates = planned("--request-rate 5,10.5 --isl 64,128").unwrap();
        assert_eq!(
            directories(&rates),
            [
                "out/request_rate_5.0__isl_64",
                "out/request_rate_5.0__isl_128",
                "out/request_rate_10.5__isl_64",
                "out/request_rate_10.5__isl_128",
            ]
        );
    }

    #[test]
    fn zip_pairs_values_and_wants_equally_many() {
        let zipped = planned("--isl 64,128 --osl 8,16 --sweep-type zip").unwrap();
        assert_eq!(directories(&zipped), ["out/isl_64__osl_8", "out/isl_128__osl_16"]);
        let failure = planned("--isl 64,128 --osl 8,16,32 --sweep-type zip").err().unwrap();
        assert!(failure.message.contains("`isl` has 2 values, `osl` has 3"), "{failure}");
    }

    #[test]
    fn seeds_stay_for_repeats_and_differ_for_variations() {
        let seeds = |flags: &str| -> Vec<u64> {
            planned(flags).unwrap().runs().iter().map(|run| run.args.input.random_seed.unwrap()).collect()
        };
        let same = seeds("--num-profile-runs 2 --random-seed 7");
        assert_eq!(same, [7, 7]);
        let varied = seeds("--num-profile-runs 2 --random-seed 7 --vary-seed-per-trial");
        assert!(varied[0] == 7 && varied[1] != 7 && varied[1] < 1 << 53);
        let swept = seeds("--concurrency 1,2 --random-seed 7");
        assert!(swept[0] == 7 && swept[1] != 7);
        assert_eq!(seeds("--concurrency 1,2 --random-seed 7 --parameter-sweep-same-seed"), [7, 7]);
    }

    #[test]
    fn repeats_do_not_warm_up_again_and_a_bad_variation_is_told_first() {
        let warmups = |flags: &str| -> Vec<Option<u64>> {
            let plan = planned(&format!("--num-profile-runs 2 --warmup-request-count 4 {flags}")).unwrap();
            plan.runs().iter().map(|run| run.args.warmup.warmup_request_count).collect()
        };
        assert_eq!(warmups(""), [Some(4), None]);
        assert_eq!(warmups("--no-profile-run-disable-warmup-after-first"), [Some(4), Some(4)]);
        let failure = planned("--concurrency 4,2 --prefill-concurrency 3 --streaming").err().unwrap();
        assert!(failure.message.starts_with("concurrency_2: "), "{failure}");
    }
}
