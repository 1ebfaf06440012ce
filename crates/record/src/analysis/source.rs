//! Where records come from: a file, a run directory, or standard input; JSON lines, plain, gzip or zstd, or Parquet.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use crate::format::records_parquet::{Lines, MAGIC};

/// Why an input cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The path does not exist or cannot be opened.
    #[error("{}: {source}", path.display())]
    Open {
        /// The path.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A directory without a record file.
    #[error(
        "{}: no profile_export.jsonl or .parquet in this directory (records are written with --export-level records or raw)",
        path.display()
    )]
    NoRecords {
        /// The directory.
        path: PathBuf,
    },
    /// A directory with several candidates.
    #[error("{}: several record files, name one of them: {}", path.display(), candidates.join(", "))]
    Ambiguous {
        /// The directory.
        path: PathBuf,
        /// Their names.
        candidates: Vec<String>,
    },
}

/// Endings of files in a run directory that are JSON lines but no records.
const NOT_RECORDS: [&str; 4] = ["_raw", "server_metrics", "gpu_telemetry", "network_latency"];

/// Endings of record files, best first.
const ENDINGS: [&str; 4] = [".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet"];

/// The record file of a path: itself, or in a run directory `profile_export.jsonl` (or `.gz`, `.zst`, `.parquet`), or the only
/// record file of another name (`--profile-export-prefix`).
///
/// # Errors
/// [`SourceError`].
pub fn record_file(path: &Path) -> Result<PathBuf, SourceError> {
    let open = |source| SourceError::Open { path: path.to_owned(), source };
    if !std::fs::metadata(path).map_err(open)?.is_dir() {
        return Ok(path.to_owned());
    }
    for ending in ENDINGS {
        let usual = path.join(format!("profile_export{ending}"));
        if usual.is_file() {
            return Ok(usual);
        }
    }
    let mut candidates: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(path).map_err(open)? {
        let name = entry.map_err(open)?.file_name().to_string_lossy().into_owned();
        let stem = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending));
        if stem.is_some_and(|stem| !NOT_RECORDS.iter().any(|other| stem.contains(other))) {
            candidates.push(name);
        }
    }
    candidates.sort_unstable();
    // One run written in two formats is one run.
    let lines: Vec<String> = candidates.iter().filter(|name| name.contains(".jsonl")).cloned().collect();
    candidates.retain(|name| match name.strip_suffix(".parquet") {
        Some(stem) => !lines.iter().any(|line| line.split(".jsonl").next() == Some(stem)),
        None => true,
    });
    match candidates.as_slice() {
        [] => Err(SourceError::NoRecords { path: path.to_owned() }),
        [only] => Ok(path.join(only)),
        _ => Err(SourceError::Ambiguous { path: path.to_owned(), candidates }),
    }
}

/// The name of a record file without its ending.
pub(crate) fn stem(name: &str) -> &str {
    ENDINGS.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name)
}

/// Files beside a record file in which the run's server metrics may be, best first; only those that exist.
pub fn server_metrics_beside(records: &Path) -> Vec<PathBuf> {
    let dir = records.parent().unwrap_or(Path::new(""));
    let name = records.file_name().unwrap_or_default().to_string_lossy();
    let stem = stem(&name);
    let base = if stem == "profile_export" {
        "server_metrics_export".to_owned()
    } else {
        format!("{stem}_server_metrics")
    };
    ENDINGS.iter().map(|ending| dir.join(format!("{base}{ending}"))).filter(|path| path.is_file()).collect()
}

/// Opens a file; gzip, zstd and Parquet are recognised by their first bytes, whatever the name says. The rows of a
/// Parquet file of records are given as JSON lines.
///
/// # Errors
/// [`SourceError::Open`].
pub fn open(path: &Path) -> Result<Box<dyn Read + Send>, SourceError> {
    let failed = |source| SourceError::Open { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let mut magic = Vec::new();
    // What is no regular file cannot be rewound, and is no Parquet file either: those are read from their end.
    if file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        (&file).take(4).read_to_end(&mut magic).map_err(failed)?;
        file.rewind().map_err(failed)?;
    }
    if magic == MAGIC {
        return Ok(Box::new(Lines::new(file).map_err(failed)?));
    }
    decompressed(Box::new(file)).map_err(failed)
}

/// A reader of the decompressed bytes of a gzip or zstd stream, or of the bytes as they are.
///
/// # Errors
/// The reader's own.
pub fn decompressed(mut reader: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut magic = [0u8; 4];
    let mut length = 0;
    while length < magic.len() {
        match reader.read(&mut magic[length..]) {
            Ok(0) => break,
            Ok(n) => length += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let whole = io::Cursor::new(magic[..length].to_vec()).chain(reader);
    Ok(match magic {
        [0x1f, 0x8b, ..] => {
            Box::new(flate2::read::MultiGzDecoder::new(BufReader::with_capacity(1 << 17, whole)))
        }
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::Decoder::new(whole)?),
        _ => Box::new(whole),
    })
}

/// A piece of an input that begins and ends at line ends.
#[derive(Debug)]
pub struct Block {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Number of the first line, from 1.
    pub first_line: u64,
}

/// What [`Blocks`] yields.
#[derive(Debug)]
pub enum Piece {
    /// Whole lines.
    Lines(Block),
    /// A line that is longer than the bound was skipped.
    TooLong {
        /// Its number, from 1.
        line: u64,
    },
}

/// Cuts a stream into blocks of whole lines of about a given size.
pub struct Blocks<R> {
    reader: R,
    size: usize,
    max_line: usize,
    /// Begin of a line whose end was not read yet.
    carry: Vec<u8>,
    next_line: u64,
    /// Inside a line that is too long: drop bytes to its end.
    skipping: bool,
    ended: bool,
}

impl<R: Read> Blocks<R> {
    /// Blocks of about `size` bytes; a line longer than `max_line` bytes is skipped and reported.
    pub fn new(reader: R, size: usize, max_line: usize) -> Self {
        let size = size.max(1);
        Blocks { reader, size, max_line, carry: Vec::new(), next_line: 1, skipping: false, ended: false }
    }

    /// Number of the line that the next piece begins with, from 1.
    pub fn next_line(&self) -> u64 {
        self.next_line
    }

    /// The next piece, `None` at the end. `buffer` is reused as the block's memory.
    ///
    /// # Errors
    /// The reader's own; the stream cannot be continued after one.
    pub fn next_piece(&mut self, mut buffer: Vec<u8>) -> io::Result<Option<Piece>> {
        buffer.clear();
        buffer.append(&mut self.carry);
        while !self.ended {
            let old = buffer.len();
            buffer.reserve(self.size);
            self.ended = (&mut self.reader).take(self.size as u64).read_to_end(&mut buffer)? < self.size;
            if self.skipping {
                let Some(end) = memchr::memchr(b'\n', &buffer) else {
                    buffer.clear();
                    continue;
                };
                buffer.drain(..=end);
                self.skipping = false;
                self.next_line += 1;
            }
            let searched = old.min(buffer.len());
            if let Some(end) = memchr::memrchr(b'\n', &buffer[searched..]) {
                self.carry.extend_from_slice(&buffer[searched + end + 1..]);
                buffer.truncate(searched + end + 1);
                break;
            }
            if buffer.len() > self.max_line {
                self.skipping = true;
                return Ok(Some(Piece::TooLong { line: self.next_line }));
            }
        }
        if buffer.is_empty() || self.skipping {
            return Ok(None);
        }
        let first_line = self.next_line;
        self.next_line += memchr::memchr_iter(b'\n', &buffer).count() as u64;
        Ok(Some(Piece::Lines(Block { bytes: buffer, first_line })))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn lines_of(input: &str, size: usize, max_line: usize) -> Vec<(u64, String)> {
        let mut blocks = Blocks::new(input.as_bytes(), size, max_line);
        let mut lines = Vec::new();
        while let Some(piece) = blocks.next_piece(Vec::new()).unwrap() {
            match piece {
                Piece::Lines(block) => {
                    let text = String::from_utf8(block.bytes).unwrap();
                    for (index, line) in text.lines().enumerate() {
                        lines.push((block.first_line + index as u64, line.to_owned()));
                    }
                }
                Piece::TooLong { line } => lines.push((line, "TOO LONG".into())),
            }
        }
        lines
    }

    #[test]
    fn every_line_comes_once_with_its_number_at_any_block_size() {
        let input = "one\n\nthree\nfour is longer\nfive";
        let expected: Vec<(u64, String)> =
            input.lines().enumerate().map(|(index, line)| (index as u64 + 1, line.to_owned())).collect();
        for size in 1..40 {
            assert_eq!(lines_of(input, size, 1_000), expected, "block size {size}");
        }
        assert_eq!(lines_of("", 8, 100), []);
        assert_eq!(lines_of("a\n", 1, 100), [(1, "a".to_owned())]);
    }

    #[test]
    fn a_line_beyond_the_bound_is_reported_and_the_next_ones_are_read() {
        let input = format!("ok\n{}\nafter\n", "x".repeat(500));
        for size in [16, 64, 256] {
            let lines = lines_of(&input, size, 100);
            assert_eq!(lines.last(), Some(&(3, "after".to_owned())), "block size {size}");
            if size < 256 {
                assert!(lines.contains(&(2, "TOO LONG".to_owned())), "block size {size}: {lines:?}");
            }
        }
        assert_eq!(lines_of(&"x".repeat(500), 16, 100), [(1, "TOO LONG".to_owned())]);
    }

    #[test]
    fn compression_is_seen_in_the_bytes() {
        let text = b"{\"metadata\":{}}\n".repeat(100);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        let zstd = zstd::encode_all(text.as_slice(), 1).unwrap();
        for packed in [text.clone(), gzip.finish().unwrap(), zstd] {
            let mut plain = Vec::new();
            decompressed(Box::new(io::Cursor::new(packed))).unwrap().read_to_end(&mut plain).unwrap();
            assert_eq!(plain, text);
        }
        let mut short = Vec::new();
        decompressed(Box::new(io::Cursor::new(b"{}".to_vec()))).unwrap().read_to_end(&mut short).unwrap();
        assert_eq!(short, b"{}");
    }

    #[test]
    fn a_run_directory_leads_to_its_records() {
        let dir = tempfile::tempdir().unwrap();
        let touch = |name: &str| std::fs::write(dir.path().join(name), "").unwrap();
        assert!(matches!(record_file(dir.path()), Err(SourceError::NoRecords { .. })));
        touch("foo_raw.jsonl");
        touch("foo_server_metrics.jsonl");
        touch("server_metrics_export.jsonl");
        touch("gpu_telemetry_export.jsonl");
        assert!(matches!(record_file(dir.path()), Err(SourceError::NoRecords { .. })));
        touch("foo.jsonl.gz");
        assert_eq!(record_file(dir.path()).unwrap(), dir.path().join("foo.jsonl.gz"));
        touch("bar.jsonl");
        assert!(matches!(record_file(dir.path()), Err(SourceError::Ambiguous { .. })));
        assert_eq!(
            server_metrics_beside(&dir.path().join("foo.jsonl")),
            [dir.path().join("foo_server_metrics.jsonl")]
        );
        assert_eq!(
            server_metrics_beside(&dir.path().join("profile_export.jsonl.gz")),
            [dir.path().join("server_metrics_export.jsonl")]
        );
        touch("profile_export.jsonl.zst");
        assert_eq!(record_file(dir.path()).unwrap(), dir.path().join("profile_export.jsonl.zst"));
        assert_eq!(record_file(&dir.path().join("bar.jsonl")).unwrap(), dir.path().join("bar.jsonl"));
        assert!(matches!(record_file(&dir.path().join("no")), Err(SourceError::Open { .. })));
    }
}
