//! Where scrapes go: the store, the GPU telemetry and the files of raw scrapes.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use tokmeter_record::WallNs;
use tokmeter_record::format::gpu_telemetry_jsonl::GpuTelemetryLine;
use tokmeter_record::format::server_jsonl::ScrapeLine;
use tokmeter_record::server::exposition::Limits;
use tokmeter_record::server::telemetry::{SourceId, Telemetry, read_page};
use tokmeter_record::server::{EndpointId, NotExposition, Page, PhaseMark, Readings, Store};

use super::ServerMetricsConfig;
use super::fetch::Fetched;
use super::latest::LatestGauges;

/// A file of raw scrapes that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {source}", path = path.display())]
pub struct RecordingError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: std::io::Error,
}

/// A file of lines; after an error nothing more is written to it.
#[derive(Debug)]
struct LineFile {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    lines: usize,
    batch: usize,
}

impl LineFile {
    fn create(path: &Path, batch: usize) -> Result<LineFile, RecordingError> {
        match File::create(path) {
            Ok(file) => {
                Ok(LineFile { path: path.to_owned(), file: Some(BufWriter::new(file)), lines: 0, batch })
            }
            Err(source) => Err(RecordingError { path: path.to_owned(), source }),
        }
    }

    fn write(
        &mut self,
        line: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
    ) -> Result<(), RecordingError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        self.lines += 1;
        let full = self.lines.is_multiple_of(self.batch.max(1));
        let written = line(file).and_then(|()| if full { file.flush() } else { Ok(()) });
        self.settle(written)
    }

    fn flush(&mut self) -> Result<(), RecordingError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let flushed = file.flush();
        self.settle(flushed)
    }

    fn settle(&mut self, outcome: std::io::Result<()>) -> Result<(), RecordingError> {
        outcome.map_err(|source| {
            self.file = None;
            RecordingError { path: self.path.clone(), source }
        })
    }
}

/// Where the samples of a page go.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// A server's page.
    Server(EndpointId),
    /// A GPU exporter's page.
    Gpu(SourceId),
}

/// Everything that is collected.
#[derive(Debug, Default)]
pub(super) struct Recording {
    pub store: Store,
    pub telemetry: Telemetry,
    pub notices: Vec<String>,
    pub file_error: Option<RecordingError>,
    limits: Limits,
    latest: LatestGauges,
    jsonl: Option<LineFile>,
    gpu_path: Option<PathBuf>,
    gpu_jsonl: Option<LineFile>,
    batch: usize,
}

impl Recording {
    pub(super) fn create(config: &ServerMetricsConfig) -> Result<Recording, RecordingError> {
        let batch = config.timing.batch;
        Ok(Recording {
            store: Store::new(config.store),
            telemetry: Telemetry::new(),
            notices: Vec::new(),
            file_error: None,
            limits: config.limits,
            latest: config.latest.clone(),
            jsonl: config.jsonl.as_deref().map(|path| LineFile::create(path, batch)).transpose()?,
            gpu_path: config.gpu_jsonl.clone(),
            gpu_jsonl: None,
            batch,
        })
    }

    pub(super) fn begin_phase(&mut self, phase: PhaseMark) {
        self.store.begin_phase(phase);
    }

    pub(super) fn end_phase(&mut self, end: WallNs) {
        self.store.end_phase(end);
    }

    /// Takes in a page.
    pub(super) fn add(&mut self, target: Target, url: &str, fetched: &Fetched) -> Result<(), NotExposition> {
        match target {
            Target::Server(endpoint) => self.add_server(endpoint, url, fetched),
            Target::Gpu(source) => self.add_gpu(source, url, fetched),
        }
    }

    fn add_server(
        &mut self,
        endpoint: EndpointId,
        url: &str,
        fetched: &Fetched,
    ) -> Result<(), NotExposition> {
        if self.store.is_repeat(endpoint, &fetched.body) {
            self.store.add_repeat(endpoint, &fetched.instants);
            return Ok(());
        }
        let page = Page::parse(&fetched.body, fetched.media(), &self.limits)?;
        self.note_problems(url, &page);
        let readings = Readings::of(&page);
        self.store.add(endpoint, &fetched.instants, &readings);
        self.latest.set(url, &readings);
        for notice in self.store.take_notices() {
            tracing::warn!("server metrics: {notice}");
            self.notices.push(notice.to_string());
        }
        if let Some(file) = &mut self.jsonl {
            let phase = self.store.phase_at(fetched.instants.request_sent_ns);
            let line = ScrapeLine {
                endpoint_url: &self.store.endpoint_url(endpoint),
                instants: fetched.instants,
                phase: phase.and_then(|phase| self.store.phases().get(phase)),
                readings: &readings,
            };
            let written = file.write(|output| line.write(output));
            self.keep_error(written);
        }
        Ok(())
    }

    fn add_gpu(&mut self, source: SourceId, url: &str, fetched: &Fetched) -> Result<(), NotExposition> {
        let page = Page::parse(&fetched.body, fetched.media(), &self.limits)?;
        self.note_problems(url, &page);
        let gpus = read_page(&page);
        let at = fetched.instants.first_byte_ns;
        self.telemetry.add(source, at, &gpus);
        if self.gpu_jsonl.is_none()
            && !gpus.is_empty()
            && let Some(path) = self.gpu_path.take()
        {
            match LineFile::create(&path, self.batch) {
                Ok(file) => self.gpu_jsonl = Some(file),
                Err(error) => self.keep_error(Err(error)),
            }
        }
        if let Some(file) = &mut self.gpu_jsonl {
            let url = self.telemetry.url(source).to_owned();
            let written = gpus
                .iter()
                .try_for_each(|gpu| file.write(|output| GpuTelemetryLine::of(gpu, at, &url).write(output)));
            self.keep_error(written);
        }
        Ok(())
    }

    /// Whether a GPU page showed a GPU.
    pub(super) fn has_gpu(&self, source: SourceId) -> bool {
        self.telemetry.has_answered(source)
    }

    /// Writes what is buffered.
    pub(super) fn flush(&mut self) {
        for file in [&mut self.jsonl, &mut self.gpu_jsonl].into_iter().flatten() {
            if let Err(error) = file.flush() {
                self.file_error.get_or_insert(error);
            }
        }
    }

    /// Tells the user something and keeps it for the files.
    pub(super) fn warn(&mut self, notice: String) {
        tracing::warn!("{notice}");
        self.notices.push(notice);
    }

    /// Says what could not be read of a page: the limits that it reached, each once, and its first bad line.
    fn note_problems(&mut self, url: &str, page: &Page<'_>) {
        for limit in &page.problems.limits {
            self.warn_once(format!("{url}: {limit}; what is beyond is left out"), "");
        }
        if let Some(problem) = page.problems.kept.iter().find(|problem| !problem.fault.is_limit()) {
            let total = page.problems.total;
            self.warn_once(
                format!("{url}: lines that could not be read"),
                &format!(", {total} in one page; the first: {problem}"),
            );
        }
    }

    /// The same, unless something was already said that begins like this.
    fn warn_once(&mut self, beginning: String, details: &str) {
        if !self.notices.iter().any(|known| known.starts_with(&beginning)) {
            self.warn(beginning + details);
        }
    }

    fn keep_error(&mut self, written: Result<(), RecordingError>) {
        if let Err(error) = written {
            tracing::warn!("{error}");
            self.file_error.get_or_insert(error);
        }
    }
}
