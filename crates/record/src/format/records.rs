//! `profile_export.jsonl`: one line for each finished request of any phase and outcome (FORMATS 2).
//!
//! ```no_run
//! use tokmeter_record::format::records::{ReadError, RecordReader};
//! use tokmeter_record::metric::catalogue::TIME_TO_FIRST_TOKEN;
//!
//! for record in RecordReader::open("artifacts/my-run".as_ref())? {
//!     let record = record?;
//!     let first_token_ms = record.metrics.number(TIME_TO_FIRST_TOKEN);
//!     assert!(first_token_ms.is_none_or(|ms| ms >= 0.0));
//! }
//! # Ok::<(), ReadError>(())
//! ```

mod feed;

pub use feed::RecordFeed;

use std::io::{self, Read};
use std::path::Path;
use std::sync::LazyLock;

use crate::analysis::MAX_LINE_BYTES;
use crate::analysis::source::{self, Blocks, Piece, SourceError};
use crate::metric::{MetricId, MetricKey, MetricValue};
use crate::request::RequestRecord;

/// Appends a record as one line, line end included. Internal metrics and values that are not finite are left
/// out; nothing is null.
pub fn write_line(line: &mut Vec<u8>, record: &RequestRecord) {
    let start = line.len();
    // Neither memory nor these types can fail to be written; half a line must not remain in any case.
    if write_fields(line, record).is_err() {
        line.truncate(start);
    }
}

/// As `RequestRecord` serialises, but with the text around each value ready made: metrics are most of a line.
fn write_fields(line: &mut Vec<u8>, record: &RequestRecord) -> serde_json::Result<()> {
    line.extend_from_slice(b"{\"metadata\":");
    serde_json::to_writer(&mut *line, &record.metadata)?;
    line.extend_from_slice(b",\"metrics\":{");
    let mut between: &[u8] = b"";
    for (key, value) in record.metrics.iter().filter(|(key, value)| key.in_files() && value.is_writable()) {
        line.extend_from_slice(between);
        between = b",";
        let known = match key {
            MetricKey::Known(id) => Some(&AROUND[id.index()]),
            MetricKey::Foreign(..) => None,
        };
        match known {
            Some((before, _)) => line.extend_from_slice(before),
            None => {
                serde_json::to_writer(&mut *line, key.tag())?;
                line.extend_from_slice(b":{\"value\":");
            }
        }
        match value {
            MetricValue::Int(value) => serde_json::to_writer(&mut *line, value)?,
            MetricValue::Float(value) => serde_json::to_writer(&mut *line, value)?,
            MetricValue::List(values) => {
                line.push(b'[');
                let mut between: &[u8] = b"";
                for value in values.iter().filter(|value| value.is_finite()) {
                    line.extend_from_slice(between);
                    between = b",";
                    serde_json::to_writer(&mut *line, value)?;
                }
                line.push(b']');
            }
        }
        match known {
            Some((_, after)) => line.extend_from_slice(after),
            None => {
                line.extend_from_slice(b",\"unit\":");
                serde_json::to_writer(&mut *line, key.unit())?;
                line.push(b'}');
            }
        }
    }
    line.push(b'}');
    if let Some(trace) = &record.trace_data {
        line.extend_from_slice(b",\"trace_data\":");
        serde_json::to_writer(&mut *line, trace)?;
    }
    if let Some(error) = &record.error {
        line.extend_from_slice(b",\"error\":");
        serde_json::to_writer(&mut *line, error)?;
    }
    line.extend_from_slice(b"}\n");
    Ok(())
}

/// Text before and after a value.
type Around = (Box<[u8]>, Box<[u8]>);

/// What surrounds the value of each metric of the catalogue. Tags and units need no escapes.
static AROUND: LazyLock<Vec<Around>> = LazyLock::new(|| {
    let around = |id: MetricId| {
        let before = format!("\"{}\":{{\"value\":", id.tag());
        let after = format!(",\"unit\":\"{}\"}}", id.def().unit);
        (before.into_bytes().into(), after.into_bytes().into())
    };
    MetricId::all().map(around).collect()
});

/// Why records cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such file.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The file breaks off: nothing more comes after this.
    #[error("{name}: {source}")]
    Io {
        /// Which input.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// One line is no record; the next ones can still be read.
    #[error("{name}, line {line}: {reason}")]
    Line {
        /// Which input.
        name: String,
        /// Number of the line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
}

/// Reads records one by one: our files and AIPerf's, plain, gzip or zstd. Empty lines are passed over;
/// unknown keys are ignored. A bad line is an item of its own, after which reading goes on.
pub struct RecordReader<R = Box<dyn Read + Send>> {
    name: String,
    blocks: Blocks<R>,
    bytes: Vec<u8>,
    place: usize,
    line: u64,
    ended: bool,
}

/// Bytes read at a time.
const BLOCK: usize = 1 << 20;

impl RecordReader {
    /// Records of a file, or of the run in a directory.
    ///
    /// # Errors
    /// [`ReadError::Source`].
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let file = source::record_file(path)?;
        let reader = source::open(&file)?;
        Ok(RecordReader::new(file.display().to_string(), reader))
    }

    /// Records from standard input.
    ///
    /// # Errors
    /// [`ReadError::Io`].
    pub fn stdin() -> Result<Self, ReadError> {
        let name = "standard input".to_owned();
        match source::decompressed(Box::new(io::stdin())) {
            Ok(reader) => Ok(RecordReader::new(name, reader)),
            Err(source) => Err(ReadError::Io { name, source }),
        }
    }
}

impl<R: Read> RecordReader<R> {
    /// Records of a stream of plain lines; `name` appears in errors.
    pub fn new(name: impl Into<String>, reader: R) -> Self {
        RecordReader {
            name: name.into(),
            blocks: Blocks::new(reader, BLOCK, MAX_LINE_BYTES),
            bytes: Vec::new(),
            place: 0,
            line: 0,
            ended: false,
        }
    }

    /// The same records without the bad lines, which are counted and the first ones named.
    pub fn tolerant(self) -> TolerantReader<R> {
        TolerantReader { reader: self, bad: BadLines::default() }
    }

    fn bad_line(&self, reason: impl ToString) -> ReadError {
        ReadError::Line { name: self.name.clone(), line: self.line, reason: reason.to_string() }
    }
}

impl<R: Read> Iterator for RecordReader<R> {
    type Item = Result<RequestRecord, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.bytes.get(self.place..).unwrap_or_default();
            if rest.is_empty() {
                if self.ended {
                    return None;
                }
                match self.blocks.next_piece(std::mem::take(&mut self.bytes)) {
                    Ok(Some(Piece::Lines(block))) => {
                        self.line = block.first_line - 1;
                        self.bytes = block.bytes;
                        self.place = 0;
                    }
                    Ok(Some(Piece::TooLong { line })) => {
                        self.line = line;
                        self.place = 0;
                        return Some(Err(self.bad_line(format!("longer than {MAX_LINE_BYTES} bytes"))));
                    }
                    Ok(None) => self.ended = true,
                    Err(source) => {
                        self.ended = true;
                        return Some(Err(ReadError::Io { name: self.name.clone(), source }));
                    }
                }
                continue;
            }
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let line = rest[..end].trim_ascii();
            let record = (!line.is_empty()).then(|| serde_json::from_slice::<RequestRecord>(line));
            self.place += end + 1;
            self.line += 1;
            match record {
                None => {}
                Some(Ok(record)) => return Some(Ok(record)),
                // The position within the line is in the message; its line number is always 1.
                Some(Err(error)) => {
                    let reason = error.to_string().replace("at line 1 column", "at column");
                    return Some(Err(self.bad_line(reason)));
                }
            }
        }
    }
}

/// Lines that were no records.
#[derive(Debug, Default)]
pub struct BadLines {
    /// How many.
    pub count: u64,
    /// The first ones, with input, line and reason.
    pub named: Vec<String>,
}

impl BadLines {
    /// Bad lines that are named; the others are only counted.
    pub const MOST_NAMED: usize = 10;
}

/// See [`RecordReader::tolerant`]. An input that breaks off ends the records; [`bad_lines`](Self::bad_lines)
/// then names that too.
pub struct TolerantReader<R = Box<dyn Read + Send>> {
    reader: RecordReader<R>,
    bad: BadLines,
}

impl<R: Read> TolerantReader<R> {
    /// What could not be read so far.
    pub fn bad_lines(&self) -> &BadLines {
        &self.bad
    }
}

impl<R: Read> Iterator for TolerantReader<R> {
    type Item = RequestRecord;

    fn next(&mut self) -> Option<RequestRecord> {
        loop {
            match self.reader.next()? {
                Ok(record) => return Some(record),
                Err(error) => {
                    self.bad.count += 1;
                    if self.bad.named.len() < BadLines::MOST_NAMED {
                        self.bad.named.push(error.to_string());
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::catalogue;
    use crate::time::WallNs;

    fn record(number: u64) -> RequestRecord {
        let mut record = RequestRecord::default();
        record.metadata.session_num = Some(number);
        record.metadata.request_start_ns = WallNs(1_795_322_200_809_770_908 + number);
        record.metrics.int(catalogue::INPUT_SEQUENCE_LENGTH, 64);
        record.metrics.ms(catalogue::REQUEST_LATENCY, 225_697_348);
        record
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut file = Vec::new();
        for number in 0..100 {
            write_line(&mut file, &record(number));
        }
        assert!(file.ends_with(b"}\n") && !file.windows(4).any(|four| four == b"null"));
        let back: Vec<RequestRecord> =
            RecordReader::new("memory", &file[..]).collect::<Result<_, _>>().unwrap();
        assert_eq!(back, (0..100).map(record).collect::<Vec<_>>());
    }

    #[test]
    fn a_line_is_what_serde_makes_of_the_record() {
        let mut record = record(7);
        record.metrics.list(catalogue::INTER_CHUNK_LATENCY, vec![1.25, 0.0, 1e-6]);
        record.metrics.int(catalogue::REQUESTED_OSL, 24);
        let foreign = MetricKey::Foreign("their \"metric\"".into(), "ap\\ples".into());
        record.metrics.push(foreign, MetricValue::Float(0.1 + 0.2));
        record.metrics.push(MetricKey::Known(catalogue::GOODPUT), MetricValue::Float(f64::NAN));
        record.trace_data = Some(crate::trace::TraceData::default());
        let mut line = Vec::new();
        write_line(&mut line, &record);
        assert_eq!(String::from_utf8(line).unwrap(), serde_json::to_string(&record).unwrap() + "\n");
        record.metrics = Default::default();
        record.error = serde_json::from_str(r#"{"code":500,"message":"a\nb"}"#).unwrap();
        let mut line = Vec::new();
        write_line(&mut line, &record);
        assert_eq!(String::from_utf8(line).unwrap(), serde_json::to_string(&record).unwrap() + "\n");
    }

    #[test]
    fn every_metric_of_the_catalogue_is_plain_text() {
        for id in MetricId::all() {
            let plain = |text: &str| text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
            assert!(plain(id.tag()) && plain(id.def().unit), "{}", id.tag());
        }
    }

    #[test]
    fn bad_lines_are_named_and_do_not_hide_the_others() {
        let mut file = Vec::new();
        write_line(&mut file, &record(0));
        file.extend_from_slice(b"\n{\"metadata\":{}}\nnot json\n");
        write_line(&mut file, &record(1));
        file.extend_from_slice(b"{\"metadata\":{\"request_start_ns\":1,");
        let errors: Vec<String> = RecordReader::new("x.jsonl", &file[..])
            .filter_map(|item| item.err().map(|error| error.to_string()))
            .collect();
        assert_eq!(errors.len(), 3);
        assert!(errors[0].starts_with("x.jsonl, line 3: missing field `request_start_ns`"), "{}", errors[0]);
        assert!(errors[1].starts_with("x.jsonl, line 4: "), "{}", errors[1]);
        assert!(errors[2].starts_with("x.jsonl, line 6: "), "{}", errors[2]);
        let mut tolerant = RecordReader::new("x.jsonl", &file[..]).tolerant();
        assert_eq!(tolerant.by_ref().count(), 2);
        assert_eq!((tolerant.bad_lines().count, tolerant.bad_lines().named.len()), (3, 3));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = RecordReader::open(Path::new("/no/such/run")).err().unwrap();
        assert!(error.to_string().contains("/no/such/run"));
    }
}
