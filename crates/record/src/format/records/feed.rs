//! Records out of bytes that somebody else reads: for async programs, with any runtime.

use super::ReadError;
use crate::analysis::MAX_LINE_BYTES;
use crate::request::RequestRecord;

/// Takes the bytes of a file of JSON lines as they come and gives the records that are complete. It reads nothing itself,
/// so it neither blocks nor needs a runtime: await the bytes, [`feed`](RecordFeed::feed) them, take the records.
///
/// ```
/// use tokmeter_record::format::records::RecordFeed;
///
/// let line = br#"{"metadata":{"request_start_ns":1,"request_end_ns":2,"worker_id":"w","record_processor_id":"p",
///     "benchmark_phase":"profiling"}}"#.map(|byte| if byte == b'\n' { b' ' } else { byte });
/// let mut records = RecordFeed::new("a socket");
/// records.feed(&line[..20]);
/// assert!(records.next().is_none());
/// records.feed(&line[20..]);
/// records.end();
/// assert_eq!(records.next().unwrap()?.metadata.worker_id, "w");
/// # Ok::<(), tokmeter_record::format::records::ReadError>(())
/// ```
#[derive(Debug)]
pub struct RecordFeed {
    name: String,
    bytes: Vec<u8>,
    /// Where the next line begins.
    place: usize,
    line: u64,
    /// Inside a line that is too long: bytes are dropped to its end.
    skipping: bool,
    ended: bool,
}

impl RecordFeed {
    /// Nothing fed yet; `name` appears in errors.
    pub fn new(name: impl Into<String>) -> Self {
        RecordFeed { name: name.into(), bytes: Vec::new(), place: 0, line: 0, skipping: false, ended: false }
    }

    /// Adds bytes, cut anywhere. Take the records after each call: what is fed and not taken stays in memory.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.place);
        self.place = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// No more bytes come: a last line without a line end is complete too.
    pub fn end(&mut self) {
        self.ended = true;
    }

    fn bad_line(&self, reason: String) -> ReadError {
        ReadError::Line { name: self.name.clone(), line: self.line, reason }
    }
}

/// The complete records so far; `None` means that more bytes are needed, and after [`RecordFeed::end`] that all is read.
impl Iterator for RecordFeed {
    type Item = Result<RequestRecord, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = &self.bytes[self.place..];
            let end = memchr::memchr(b'\n', rest);
            let Some(length) = end.or((self.ended && !rest.is_empty()).then_some(rest.len())) else {
                if rest.len() > MAX_LINE_BYTES {
                    self.place = self.bytes.len();
                    if !std::mem::replace(&mut self.skipping, true) {
                        self.line += 1;
                        return Some(Err(self.bad_line(format!("longer than {MAX_LINE_BYTES} bytes"))));
                    }
                } else if self.skipping {
                    self.place = self.bytes.len();
                }
                return None;
            };
            let record = match rest[..length].trim_ascii() {
                line if line.is_empty() || self.skipping => None,
                line => Some(serde_json::from_slice::<RequestRecord>(line)),
            };
            self.place += length + usize::from(end.is_some());
            self.line += u64::from(!std::mem::take(&mut self.skipping));
            match record {
                None => {}
                Some(Ok(record)) => return Some(Ok(record)),
                Some(Err(error)) => {
                    let reason = error.to_string().replace("at line 1 column", "at column");
                    return Some(Err(self.bad_line(reason)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::records::{RecordReader, write_line};
    use crate::time::WallNs;

    fn file() -> Vec<u8> {
        let mut file = Vec::new();
        for number in 0..20 {
            let mut record = RequestRecord::default();
            record.metadata.request_start_ns = WallNs(number);
            write_line(&mut file, &record);
            if number == 7 {
                file.extend_from_slice(b"\nno record\n");
            }
        }
        file.pop();
        file
    }

    #[test]
    fn however_the_bytes_are_cut_the_records_are_those_of_the_reader() {
        let told = |items: Vec<Result<RequestRecord, ReadError>>| -> Vec<String> {
            items
                .into_iter()
                .map(|item| match item {
                    Ok(record) => format!("{:?}", record.metadata.request_start_ns),
                    Err(error) => error.to_string(),
                })
                .collect()
        };
        let file = file();
        let whole = told(RecordReader::new("x", &file[..]).collect());
        assert_eq!(whole.len(), 21);
        for size in [1, 7, 100, file.len()] {
            let mut feed = RecordFeed::new("x");
            let mut items = Vec::new();
            for piece in file.chunks(size) {
                feed.feed(piece);
                items.extend(feed.by_ref());
            }
            feed.end();
            items.extend(feed.by_ref());
            assert_eq!(told(items), whole, "in pieces of {size}");
        }
    }

    #[test]
    fn an_endless_line_is_dropped() {
        let mut feed = RecordFeed::new("x");
        let piece = vec![b'a'; MAX_LINE_BYTES / 2 + 1];
        let mut errors = 0;
        for _ in 0..4 {
            feed.feed(&piece);
            errors += feed.by_ref().filter(Result::is_err).count();
            assert!(feed.bytes.len() <= 2 * piece.len());
        }
        assert_eq!(errors, 1);
        feed.feed(b"\n");
        feed.feed(&file());
        feed.end();
        assert_eq!(feed.filter(Result::is_ok).count(), 20);
    }
}
