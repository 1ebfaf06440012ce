//! One pass over the records of all parts: statistics, and one file that holds them all.

use std::cell::RefCell;
use std::io::{self, Read, Write};

use tokmeter_record::analysis::MAX_LINE_BYTES;
use tokmeter_record::format::records::{ReadError, RecordReader};
use tokmeter_record::statistics::{Options, RunStatistics};

/// Why parts could not be joined.
#[derive(Debug)]
pub enum JoinError {
    /// A record that cannot be read.
    Record(ReadError),
    /// The joined file cannot be written.
    Write(io::Error),
}

/// What came out.
pub struct Joined {
    /// Of all records.
    pub statistics: RunStatistics,
    /// Records of each part.
    pub records: Vec<u64>,
}

/// The records of one part.
pub struct Source<R> {
    /// For messages.
    pub name: String,
    /// JSON lines.
    pub from: R,
    /// Its process was killed: the last line may be half a one, which is left out.
    pub may_be_cut: bool,
}

/// Reads every part once: each record goes into the statistics, each line into `output`. Memory is that of the
/// statistics, whatever the number of records.
///
/// # Errors
/// The first line that is no record, or what keeps the output from being written.
pub fn join<R: Read>(
    parts: impl IntoIterator<Item = Source<R>>,
    options: Options,
    output: impl Write,
) -> Result<Joined, JoinError> {
    let output = RefCell::new(Output { to: output, unended: Vec::new(), failed: None });
    let mut joined = Joined { statistics: RunStatistics::new(options), records: Vec::new() };
    for Source { name, from, may_be_cut } in parts {
        let mut count = 0;
        let mut reader = RecordReader::new(name, Copied { from, output: &output });
        while let Some(record) = reader.next() {
            match record {
                Ok(record) => joined.statistics.add(&record),
                Err(error) => {
                    if let Some(failed) = output.borrow_mut().failed.take() {
                        return Err(JoinError::Write(failed));
                    }
                    let is_half = reader.next().is_none() && !output.borrow().unended.is_empty();
                    if !(may_be_cut && is_half) {
                        return Err(JoinError::Record(error));
                    }
                    output.borrow_mut().unended.clear();
                    break;
                }
            }
            count += 1;
        }
        joined.records.push(count);
        output.borrow_mut().end_line().map_err(JoinError::Write)?;
    }
    output.into_inner().to.flush().map_err(JoinError::Write)?;
    Ok(joined)
}

struct Output<W> {
    to: W,
    /// The begin of a line whose end was not read yet.
    unended: Vec<u8>,
    failed: Option<io::Error>,
}

impl<W: Write> Output<W> {
    /// Writes all whole lines.
    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        let whole = memchr::memrchr(b'\n', bytes).map_or(0, |place| place + 1);
        if whole > 0 {
            self.to.write_all(&self.unended)?;
            self.to.write_all(&bytes[..whole])?;
            self.unended.clear();
        }
        self.unended.extend_from_slice(&bytes[whole..]);
        if self.unended.len() > MAX_LINE_BYTES {
            // The reader refuses such a line, and with it the output.
            self.unended.clear();
        }
        Ok(())
    }

    /// The next part begins a line of its own.
    fn end_line(&mut self) -> io::Result<()> {
        if !self.unended.is_empty() {
            self.unended.push(b'\n');
            self.to.write_all(&self.unended)?;
            self.unended.clear();
        }
        Ok(())
    }
}

/// A reader whose bytes are written on as they are read.
struct Copied<'a, R, W> {
    from: R,
    output: &'a RefCell<Output<W>>,
}

impl<R: Read, W: Write> Read for Copied<'_, R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(buffer)?;
        let mut output = self.output.borrow_mut();
        if let Err(error) = output.push(&buffer[..length]) {
            output.failed = Some(error);
            return Err(io::Error::other("the joined records cannot be written"));
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokmeter_record::format::SummaryDocument;
    use tokmeter_record::format::records::write_line;
    use tokmeter_record::metric::{MetricId, catalogue as c};
    use tokmeter_record::statistics::Window;
    use tokmeter_record::{BenchmarkPhase, ErrorClass, RequestError, RequestRecord, WallNs};

    use super::*;

    fn source(from: &[u8], may_be_cut: bool) -> Source<&[u8]> {
        Source { name: "a".to_owned(), from, may_be_cut }
    }

    const START: u64 = 1_795_322_200_000_000_000;

    fn error(message: String) -> RequestError {
        RequestError {
            code: Some(500),
            kind: None,
            message,
            cause: None,
            cause_chain: None,
            class: Some(ErrorClass::Timeout),
            side: None,
            phase: None,
        }
    }

    fn record(number: u64, start_ms: u64, latency_ms: u32, gaps: &[f64], failed: bool) -> RequestRecord {
        let mut record = RequestRecord::default();
        let start = START + start_ms * 1_000_000;
        record.metadata.session_num = Some(number);
        record.metadata.request_start_ns = WallNs(start);
        record.metadata.credit_issued_ns = Some(WallNs(start - 1_000));
        record.metadata.request_end_ns = WallNs(start + u64::from(latency_ms) * 1_000_000);
        if number % 7 == 3 {
            record.metadata.benchmark_phase = BenchmarkPhase::Warmup;
        }
        if failed {
            record.error = Some(error(format!("broke {}", number % 3)));
            return record;
        }
        record.metrics.int(c::INPUT_SEQUENCE_LENGTH, 10 + (number % 50) as i64);
        record.metrics.int(c::OUTPUT_SEQUENCE_LENGTH, 1 + gaps.len() as i64);
        record.metrics.ms(c::REQUEST_LATENCY, u64::from(latency_ms) * 1_000_000);
        record.metrics.ms(c::TIME_TO_FIRST_TOKEN, u64::from(latency_ms) * 400_000 + number);
        record.metrics.list(c::INTER_CHUNK_LATENCY, gaps.to_vec());
        record
    }

    fn lines(records: &[&RequestRecord]) -> Vec<u8> {
        let mut text = Vec::new();
        for record in records {
            write_line(&mut text, record);
        }
        text
    }

    /// The metrics of a summary as JSON numbers by name.
    fn summary(parts: &[Vec<u8>], options: &Options) -> (serde_json::Value, Vec<u8>) {
        let mut all = Vec::new();
        let named = parts.iter().map(|part| source(part, false));
        let joined = join(named, options.clone(), &mut all).expect("records");
        let window = Window::new(WallNs(START), WallNs(START + 120_000_000_000));
        let document = SummaryDocument::of(&joined.statistics.finish(&window), &window);
        (serde_json::to_value(&document).expect("a summary"), all)
    }

    fn without_time_weighted(summary: &mut serde_json::Value) {
        let metrics = summary.as_object_mut().expect("a summary");
        metrics
            .retain(|tag, _| MetricId::from_tag(tag).is_none_or(|id| id.def().kind != c::Kind::TimeWeighted));
    }

    /// Equal but for the order in which floats were added.
    fn assert_alike(a: &serde_json::Value, b: &serde_json::Value, path: &str) {
        match (a, b) {
            (serde_json::Value::Number(x), serde_json::Value::Number(y)) => {
                let (x, y) = (x.as_f64().expect("a number"), y.as_f64().expect("a number"));
                assert!((x - y).abs() <= 1e-9 * x.abs().max(y.abs()).max(1e-6), "{path}: {x} and {y}");
            }
            (serde_json::Value::Object(x), serde_json::Value::Object(y)) => {
                assert_eq!(x.keys().collect::<Vec<_>>(), y.keys().collect::<Vec<_>>(), "{path}");
                x.iter().for_each(|(key, value)| assert_alike(value, &y[key], &format!("{path}/{key}")));
            }
            (serde_json::Value::Array(x), serde_json::Value::Array(y)) => {
                assert_eq!(x.len(), y.len(), "{path}");
                x.iter().zip(y).for_each(|(x, y)| assert_alike(x, y, path));
            }
            _ => assert_eq!(a, b, "{path}"),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn parts_in_any_order_give_the_summary_of_the_whole(
            drawn in prop::collection::vec(
                (0u64..60_000, 1u32..5_000, prop::collection::vec(0.01f64..50.0, 0..6), 0u8..10),
                1..60,
            ),
            owners in prop::collection::vec(0usize..5, 60),
            order in Just((0..5usize).collect::<Vec<_>>()).prop_shuffle(),
            folded in any::<bool>(),
        ) {
            let records: Vec<_> = drawn
                .iter()
                .enumerate()
                .map(|(n, (start, latency, gaps, fate))| record(n as u64, *start, *latency, gaps, *fate == 0))
                .collect();
            let options = Options { fold_after: if folded { 10 } else { 1_000 }, ..Options::default() };
            let (mut whole, text) = summary(&[lines(&records.iter().collect::<Vec<_>>())], &options);
            let part = |owner: usize| -> Vec<&RequestRecord> {
                records.iter().zip(&owners).filter(|(_, of)| **of == owner).map(|(record, _)| record).collect()
            };
            // A part may lack its last line end.
            let parts: Vec<Vec<u8>> = order.iter().map(|owner| lines(&part(*owner)).trim_ascii_end().to_vec()).collect();
            let (mut merged, joined) = summary(&parts, &options);
            if folded {
                // Of folded records the time-weighted metrics are means over bins, which begin where the first record
                // does.
                without_time_weighted(&mut whole);
                without_time_weighted(&mut merged);
            }
            assert_alike(&whole, &merged, "");
            let sorted = |text: &[u8]| {
                let mut lines: Vec<_> = text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
                lines.sort_unstable();
                lines
            };
            prop_assert_eq!(sorted(&joined), sorted(&text));
        }
    }

    #[test]
    fn half_a_line_is_refused_unless_its_process_was_killed() {
        let good = lines(&[&record(0, 1, 5, &[], false)]);
        let half = [&good[..], b"{\"metadata\":"].concat();
        let Err(JoinError::Record(error)) = join([source(&half, false)], Options::default(), io::sink())
        else {
            panic!("half a line is no record");
        };
        assert!(error.to_string().starts_with("a, line 2: "), "{error}");
        let mut all = Vec::new();
        let joined = join([source(&half, true), source(&good, false)], Options::default(), &mut all);
        assert_eq!(joined.expect("only the last line is cut").records, [1, 1]);
        assert_eq!(all, [&good[..], &good].concat());
        // A bad line with others after it was not cut by a kill.
        for broken in [[b"{\n", &good[..]].concat(), [&good[..], b"{\n"].concat()] {
            let joined = join([source(&broken, true)], Options::default(), io::sink());
            assert!(matches!(joined, Err(JoinError::Record(_))));
        }
    }

    #[test]
    fn a_full_disk_is_no_bad_record() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::Error::new(io::ErrorKind::StorageFull, "full"))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let text = lines(&[&record(0, 1, 5, &[], false)]);
        let joined = join([source(&text, false)], Options::default(), Full);
        assert!(matches!(joined, Err(JoinError::Write(error)) if error.kind() == io::ErrorKind::StorageFull));
    }
}
