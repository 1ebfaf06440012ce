//! Flags of `launch`.

use clap::{Args, Subcommand};

/// Start a run on many machines, or print what would start it.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
tokmeter does not schedule machines: it writes the job for the engine that does. What stands after `--` are flags of
`profile`; `--shard auto` is added.

Examples:
  tokmeter launch slurm --ranks 4 --dry-run -- -m my-model -u http://server:8000 --streaming \\
    --request-rate 400 --benchmark-duration 60 --random-seed 7
  tokmeter launch kubernetes --ranks 4 --image registry.example/tokmeter:0.1 --dry-run -- -m my-model \\
    -u http://server:8000 --streaming --concurrency 64 --request-count 4000 --random-seed 7 | kubectl create -f -")]
pub struct LaunchArgs {
    #[command(subcommand)]
    pub engine: Engine,
}

/// Who schedules the machines.
#[derive(Clone, Debug, Subcommand)]
pub enum Engine {
    /// A batch script for sbatch
    Slurm(SlurmArgs),
    /// An Indexed Job for kubectl
    Kubernetes(KubernetesArgs),
}

/// What all engines are told.
#[derive(Args, Clone, Debug)]
pub struct JobArgs {
    /// Processes that share the load
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub ranks: u32,
    /// Name of the job
    #[arg(long, value_name = "NAME", default_value = "tokmeter", value_parser = job_name)]
    pub name: String,
    /// Print the job and do not start it
    #[arg(long)]
    pub dry_run: bool,
    /// Flags of `profile`
    #[arg(last = true, required = true, value_name = "PROFILE FLAGS")]
    pub flags: Vec<String>,
}

/// A DNS label (RFC 1123), as Kubernetes wants it; Slurm and directories take it too.
fn job_name(text: &str) -> Result<String, &'static str> {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = |byte: u8| letter(byte) || byte == b'-';
    let ends = text.bytes().next().is_some_and(letter) && text.bytes().last().is_some_and(letter);
    match ends && text.len() <= 63 && text.bytes().all(fits) {
        true => Ok(text.to_owned()),
        false => Err("expected at most 63 small letters, digits and hyphens"),
    }
}

/// Slurm.
#[derive(Args, Clone, Debug)]
pub struct SlurmArgs {
    #[command(flatten)]
    pub job: JobArgs,
    /// Partition of the cluster
    #[arg(long, value_name = "NAME")]
    pub partition: Option<String>,
    /// Longest time of the job, as Slurm writes it
    #[arg(long, value_name = "TIME", default_value = "00:30:00")]
    pub time: String,
    /// Cores of each process
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub cpus: u32,
    /// Time from the start of the job to the start of the load, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub start_in: u32,
}

/// Kubernetes.
#[derive(Args, Clone, Debug)]
pub struct KubernetesArgs {
    #[command(flatten)]
    pub job: JobArgs,
    /// Image that holds tokmeter (built by you: `FROM scratch` and a static program will do)
    #[arg(long, value_name = "IMAGE")]
    pub image: String,
    /// Namespace of the job
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Volume claim for the artifacts: all pods write to it
    #[arg(long, value_name = "CLAIM", default_value = "tokmeter-artifacts")]
    pub claim: String,
    /// Secret whose key `api-key` holds the server's API key
    #[arg(long, value_name = "SECRET")]
    pub api_key_secret: Option<String>,
    /// Cores of each pod
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub cpus: u32,
    /// Memory of each pod
    #[arg(long, value_name = "SIZE", default_value = "1Gi")]
    pub memory: String,
}
