//! Any bytes as a record file: what is exported of it for network panels and for Perfetto is JSON, entry by entry.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tokmeter_record::RequestRecord;
use tokmeter_record::format::har::HarWriter;
use tokmeter_record::format::perfetto::PerfettoWriter;
use tokmeter_record::format::records::RecordReader;

fuzz_target!(|bytes: &[u8]| {
    let read: Vec<RequestRecord> = RecordReader::new("fuzz", bytes).tolerant().collect();
    let Some(first) = read.first() else { return };
    let mut archive = HarWriter::new(Vec::new(), "0").expect("memory takes it");
    let mut timeline = PerfettoWriter::new(Vec::new(), first.metadata.request_start_ns).expect("memory takes it");
    let mut entries = 0;
    for record in &read {
        entries += usize::from(archive.record(record).expect("memory takes it"));
        timeline.record(record).expect("memory takes it");
    }
    let archive: Value = json(&archive.finish().expect("memory takes it"));
    assert_eq!(archive["log"]["entries"].as_array().map(Vec::len), Some(entries));
    for entry in archive["log"]["entries"].as_array().into_iter().flatten() {
        let timings = entry["timings"].as_object().expect("every entry has timings");
        // HAR 1.2: -1 where a phase does not apply, never another negative number.
        let fits = |value: &Value| value.as_f64().is_some_and(|ms| ms == -1.0 || ms >= 0.0);
        assert!(timings.values().all(fits), "{timings:?}");
    }
    json(&timeline.finish().expect("memory takes it"));
});

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}
