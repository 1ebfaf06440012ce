//! `server_metrics_export.{json,csv,parquet}`, as `profile` and `scrape` write them.

use std::io;

use anyhow::Result;
use tokmeter_http::clock;
use tokmeter_record::format::names::ArtifactNames;
use tokmeter_record::format::server_json::{ExportOptions, ServerMetricsFile};
use tokmeter_record::format::server_parquet::{Compression, ParquetMetadata};
use tokmeter_record::format::{server_csv, server_parquet};
use tokmeter_record::server::Store;

use super::profile::files;

/// Which files, and where.
pub struct ServerFiles<'a> {
    /// `json`, `csv`, `parquet`; `jsonl` is written while scraping.
    pub formats: &'a [String],
    /// Of the Parquet file.
    pub compression: Compression,
    /// Names of the files.
    pub names: &'a ArtifactNames,
}

impl ServerFiles<'_> {
    /// Writes the files asked for; none when no server page was read. `metadata` gives the facts of the Parquet
    /// file that only the command knows.
    pub fn write(
        &self,
        store: &Store,
        file: &ServerMetricsFile,
        options: &ExportOptions,
        metadata: &ParquetMetadata,
    ) -> Result<()> {
        if file.metrics.is_empty() {
            return Ok(());
        }
        let wants = |format: &str| self.formats.iter().any(|given| given == format);
        let path = |format| self.names.server_metrics(format);
        if wants("json") {
            files::replace(&path("json"), |output| file.write(output))?;
        }
        if wants("csv") {
            let write = |output| server_csv::write(&file.metrics, output).map_err(io::Error::other);
            files::replace(&path("csv"), write)?;
        }
        if wants("parquet") {
            let metadata = ParquetMetadata {
                benchmark_id: options.benchmark_id.clone().unwrap_or_default(),
                exported_at: clock::wall_now(),
                hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
                input_config: options.input_config.clone(),
                ..metadata.clone()
            };
            let window = options.window(store);
            files::replace(&path("parquet"), |output| {
                server_parquet::write(store, window, &metadata, self.compression, output)
                    .map_err(io::Error::other)
            })?;
        }
        Ok(())
    }
}
