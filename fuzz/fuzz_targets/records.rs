//! Any bytes as a record file: no panic, every line is a record or a named mistake, and what was read is written and
//! read back the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tokmeter_record::RequestRecord;
use tokmeter_record::format::records::{RecordReader, write_line};
use tokmeter_record::statistics::{Options, RunStatistics, Window};

fuzz_target!(|bytes: &[u8]| {
    let read: Vec<RequestRecord> = RecordReader::new("fuzz", bytes).tolerant().collect();
    let mut statistics = RunStatistics::new(Options::default());
    let mut written = Vec::new();
    for record in &read {
        statistics.add(record);
        write_line(&mut written, record);
    }
    assert_eq!(statistics.counts().completed() + statistics.warmup_counts().completed(), read.len() as u64);
    let summary = statistics.finish(&Window::default());
    assert!(summary.counts.failed >= summary.counts.cancelled);

    let again: Vec<RequestRecord> = RecordReader::new("again", &*written).filter_map(Result::ok).collect();
    assert_eq!(again.len(), read.len(), "a record that was read can be written and read");
});
