//! The batch script for Slurm.

use crate::args::launch::SlurmArgs;
use crate::args::profile::ProfileArgs;

/// The script: one task for each rank, a common start, and the merge at the end.
pub fn script(args: &SlurmArgs, profile: &ProfileArgs) -> String {
    let job = &args.job;
    let mut directives = vec![
        format!("--job-name={}", job.name),
        format!("--ntasks={}", job.ranks),
        format!("--cpus-per-task={}", args.cpus),
        format!("--time={}", args.time),
        format!("--output={}-%j.log", job.name),
    ];
    directives.extend(args.partition.iter().map(|partition| format!("--partition={partition}")));
    let directives: String = directives.iter().map(|line| format!("#SBATCH {line}\n")).collect();

    let mut flags: Vec<String> = job.flags.iter().map(|flag| quoted(flag)).collect();
    flags.push("--shard auto".to_owned());
    let mut steps = String::new();
    let directory = match &profile.output.output_artifact_dir {
        Some(given) => quoted(&given.to_string_lossy()),
        None => {
            flags.push("--artifact-dir \"$artifacts\"".to_owned());
            steps.push_str(&format!("artifacts=artifacts/{}-$SLURM_JOB_ID\n", job.name));
            "\"$artifacts\"".to_owned()
        }
    };
    if profile.ranks.start_at.is_none() {
        flags.push("--start-at \"$start\"".to_owned());
        steps.push_str(&format!("start=$(($(date +%s) + {}))\n", args.start_in));
    }
    let prefix = profile.output.profile_export_prefix.as_ref();
    let prefix =
        prefix.map_or_else(String::new, |prefix| format!(" --profile-export-prefix {}", quoted(prefix)));
    let ranks = job.ranks;
    format!(
        "#!/bin/sh\n\
         {directives}\
         # Made by `tokmeter launch slurm`: one load from {ranks} tasks that begin together. The artifacts must lie on a\n\
         # file system that all nodes share.\n\
         set -eu\n\
         {steps}\
         code=0\n\
         srun --ntasks={ranks} --kill-on-bad-exit=0 tokmeter profile {flags} || code=$?\n\
         tokmeter merge {directory}{prefix}\n\
         exit $code\n",
        flags = flags.join(" "),
    )
}

/// A word as the shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,@%+".contains(&byte);
    match !word.is_empty() && word.bytes().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_from_the_shell_as_they_were() {
        for word in ["plain", "", "two words", "it's", "$HOME `id` \\ \"", "a\nb", "*", "--x=y"] {
            let output = std::process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", quoted(word))])
                .output()
                .expect("a shell");
            assert_eq!(String::from_utf8_lossy(&output.stdout), word);
        }
    }
}
