use std::fs::File;
use std::io::Read;
use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};

use super::*;
use crate::format::records::{RecordReader, write_line};

fn fixture(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name)
}

/// The records written as rows and read back as lines.
fn through(records: &[RequestRecord]) -> Vec<RequestRecord> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("profile_export.parquet");
    let mut rows = RecordRows::create(File::create(&path).unwrap()).unwrap();
    records.iter().for_each(|record| rows.push(record).unwrap());
    rows.finish().unwrap();
    RecordReader::open(&path).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn nothing_of_a_record_is_lost() {
    for name in [
        "aiperf-run-streaming/profile_export.jsonl",
        "aiperf-run-errors/profile_export.jsonl",
        "vectors/analyze_vector.jsonl",
    ] {
        let read = RecordReader::open(&fixture(name)).unwrap();
        let records: Vec<RequestRecord> = read.collect::<Result<_, _>>().unwrap();
        assert!(!records.is_empty());
        // The order of metrics within a record is that of the catalogue; everything else is as it was.
        let sorted = |record: &RequestRecord| {
            let mut line = Vec::new();
            write_line(&mut line, record);
            let mut value: serde_json::Value = serde_json::from_slice(&line).unwrap();
            for (_, metric) in value["metrics"].as_object_mut().unwrap() {
                // 5 and 5.0 are one number in a column of floats.
                if let Some(number) = metric["value"].as_f64() {
                    metric["value"] = number.into();
                }
            }
            value
        };
        let back = through(&records);
        assert_eq!(back.len(), records.len(), "{name}");
        for (back, record) in back.iter().zip(&records) {
            assert_eq!(sorted(back), sorted(record), "{name}");
        }
    }
}

#[test]
fn metrics_of_other_tools_and_odd_values_survive() {
    use crate::metric::catalogue as c;
    let mut record = RequestRecord::default();
    record.metrics.push(MetricKey::Foreign("their \"metric\"".into(), "apples".into()), MetricValue::Int(3));
    record.metrics.list(c::INTER_CHUNK_LATENCY, vec![]);
    record.metrics.push(MetricKey::Known(c::INPUT_SEQUENCE_LENGTH), MetricValue::Float(2.5));
    let mut listed = RequestRecord::default();
    listed.metrics.list(c::INTER_CHUNK_LATENCY, vec![1.5, 0.25]);
    listed.error =
        serde_json::from_str(r#"{"code":500,"message":"a\nb","cause_chain":["x","y"],"side":"server"}"#)
            .unwrap();
    let back = through(&[record.clone(), listed.clone(), RequestRecord::default()]);
    assert_eq!(back[0].metrics.get(c::INTER_CHUNK_LATENCY), Some(&MetricValue::List(vec![])));
    assert_eq!(back[0].metrics.number(c::INPUT_SEQUENCE_LENGTH), Some(2.5));
    assert!(back[0].metrics.iter().any(|(key, value)| key.tag() == "their \"metric\""
        && key.unit() == "apples"
        && *value == MetricValue::Int(3)));
    assert_eq!(back[1], listed);
    assert_eq!(back[2], RequestRecord::default());
}

#[test]
fn row_groups_bound_the_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("many.parquet");
    let mut rows = RecordRows::create(File::create(&path).unwrap()).unwrap();
    let mut record = RequestRecord::default();
    for number in 0..25_000 {
        record.metadata.session_num = Some(number);
        rows.push(&record).unwrap();
    }
    rows.finish().unwrap();
    let file = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
    let sizes: Vec<i64> = file.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(sizes, [10_000, 10_000, 5_000]);
    let numbers: Vec<u64> = RecordReader::open(&path)
        .unwrap()
        .map(|record| record.unwrap().metadata.session_num.unwrap())
        .collect();
    assert!(numbers.into_iter().eq(0..25_000));
}

#[test]
fn what_holds_no_records_is_refused() {
    let server = fixture("aiperf-run-streaming/server_metrics_export.parquet");
    let error = Lines::new(File::open(server).unwrap()).err().unwrap().to_string();
    assert!(error.contains("request_start_ns"), "{error}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cut.parquet");
    std::fs::write(&path, b"PAR1 and nothing else PAR1").unwrap();
    assert!(RecordReader::open(&path).is_err());
    let empty = through(&[]);
    assert!(empty.is_empty());
}

#[test]
fn a_cut_file_is_an_error_not_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("whole.parquet");
    let mut rows = RecordRows::create(File::create(&path).unwrap()).unwrap();
    (0..50).for_each(|_| rows.push(&RequestRecord::default()).unwrap());
    rows.finish().unwrap();
    let mut whole = Vec::new();
    File::open(&path).unwrap().read_to_end(&mut whole).unwrap();
    for keep in [4, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..keep]).unwrap();
        assert!(RecordReader::open(&path).is_err(), "{keep} of {} bytes", whole.len());
    }
}
