//! Names of the files of a run (FORMATS 0.2).

use std::path::{Path, PathBuf};

/// Directory and prefix of a run's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactNames {
    directory: PathBuf,
    /// `--profile-export-prefix` without a file ending.
    prefix: Option<String>,
}

/// Endings that people leave on a prefix.
const ENDINGS: [&str; 6] = [".jsonl", ".json", ".csv", ".parquet", ".txt", ".yaml"];

impl ArtifactNames {
    /// Files in a directory. A prefix that ends like a file name loses its ending (`foo.json` is `foo`); an
    /// empty one counts as none.
    pub fn new(directory: impl Into<PathBuf>, prefix: Option<&str>) -> Self {
        let prefix = prefix.map(|prefix| {
            ENDINGS.iter().find_map(|ending| prefix.strip_suffix(ending)).unwrap_or(prefix).to_owned()
        });
        ArtifactNames { directory: directory.into(), prefix: prefix.filter(|prefix| !prefix.is_empty()) }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// `default` without a prefix, the prefix and `ending` with one.
    fn file(&self, default: &str, ending: &str) -> PathBuf {
        match &self.prefix {
            None => self.directory.join(default),
            Some(prefix) => self.directory.join(format!("{prefix}{ending}")),
        }
    }

    /// The dataset as sent.
    pub fn inputs(&self) -> PathBuf {
        self.directory.join("inputs.json")
    }

    /// The answers.
    pub fn outputs(&self) -> PathBuf {
        self.directory.join("outputs.json")
    }

    /// One line for each request.
    pub fn records(&self) -> PathBuf {
        self.file("profile_export.jsonl", ".jsonl")
    }

    /// One row for each request, for DuckDB, Spark and their like.
    pub fn records_parquet(&self) -> PathBuf {
        self.file("profile_export.parquet", ".parquet")
    }

    /// One line for each request, with bodies.
    pub fn raw(&self) -> PathBuf {
        self.file("profile_export_raw.jsonl", "_raw.jsonl")
    }

    /// The summary.
    pub fn summary_json(&self) -> PathBuf {
        self.file("profile_export_aiperf.json", ".json")
    }

    /// The summary as a table.
    pub fn summary_csv(&self) -> PathBuf {
        self.file("profile_export_aiperf.csv", ".csv")
    }

    /// The slices.
    pub fn timeslices_json(&self) -> PathBuf {
        self.file("profile_export_aiperf_timeslices.json", "_timeslices.json")
    }

    /// The slices as a table.
    pub fn timeslices_csv(&self) -> PathBuf {
        self.file("profile_export_aiperf_timeslices.csv", "_timeslices.csv")
    }

    /// What the console showed at the end.
    pub fn console(&self) -> PathBuf {
        self.file("profile_export_console.txt", "_console.txt")
    }

    /// Server metrics in one of their formats: `json`, `csv`, `jsonl` or `parquet`.
    pub fn server_metrics(&self, format: &str) -> PathBuf {
        self.file(&format!("server_metrics_export.{format}"), &format!("_server_metrics.{format}"))
    }

    /// Samples of the GPUs.
    pub fn gpu_telemetry(&self) -> PathBuf {
        self.file("gpu_telemetry_export.jsonl", "_gpu_telemetry.jsonl")
    }

    /// Probes of the network's round trip.
    pub fn network_latency(&self) -> PathBuf {
        self.file("profile_export_network_latency.jsonl", "_network_latency.jsonl")
    }

    /// Written last: everything else is complete.
    pub fn ready(&self) -> PathBuf {
        self.directory.join(".aiperf_results_ready.json")
    }

    /// Directory of one of several runs, counted from 1.
    pub fn run_directory(&self, number: usize) -> PathBuf {
        self.directory.join("profile_runs").join(format!("run_{number:04}"))
    }

    /// Directory of one of the machines that share a run, `rank-07` of 16: all names are of one length.
    pub fn rank_directory(&self, rank: u32, ranks: u32) -> PathBuf {
        let width = ranks.saturating_sub(1).max(1).ilog10() as usize + 1;
        self.directory.join(format!("rank-{rank:0width$}"))
    }

    /// Statistics over several runs, `json` or `csv`.
    pub fn aggregate(&self, format: &str) -> PathBuf {
        self.directory.join("aggregate").join(format!("profile_export_aiperf_aggregate.{format}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(path: PathBuf) -> String {
        path.file_name().unwrap().to_string_lossy().into_owned()
    }

    #[test]
    fn names_without_and_with_a_prefix() {
        let plain = ArtifactNames::new("out", None);
        assert_eq!(plain.records(), Path::new("out/profile_export.jsonl"));
        assert_eq!(name(plain.server_metrics("csv")), "server_metrics_export.csv");
        let foo = ArtifactNames::new("out", Some("foo.json"));
        for (path, expected) in [
            (foo.records(), "foo.jsonl"),
            (foo.raw(), "foo_raw.jsonl"),
            (foo.summary_json(), "foo.json"),
            (foo.summary_csv(), "foo.csv"),
            (foo.timeslices_csv(), "foo_timeslices.csv"),
            (foo.server_metrics("parquet"), "foo_server_metrics.parquet"),
            (foo.inputs(), "inputs.json"),
        ] {
            assert_eq!(name(path), expected);
        }
        assert_eq!(name(ArtifactNames::new("out", Some("foo.bar.json")).summary_json()), "foo.bar.json");
        assert_eq!(name(ArtifactNames::new("out", Some("")).summary_json()), "profile_export_aiperf.json");
        let ranks =
            [(0, 1), (3, 10), (7, 16), (7, 101)].map(|(rank, of)| name(plain.rank_directory(rank, of)));
        assert_eq!(ranks, ["rank-0", "rank-3", "rank-07", "rank-007"]);
        assert!(plain.run_directory(1).ends_with("profile_runs/run_0001"));
    }
}
