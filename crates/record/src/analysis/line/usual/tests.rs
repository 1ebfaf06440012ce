use proptest::prelude::*;

use super::*;
use crate::analysis::line::{Line, TAGS};

fn wanted() -> Wanted {
    Wanted::new(["foreign_metric"])
}

/// A line as tokmeter writes it, with every field that is read and some that are not.
const LINE: &str = concat!(
    r#"{"metadata":{"session_num":7,"x_request_id":"a-b","conversation_id":"session_000007","turn_index":0,"#,
    r#""credit_issued_ns":1799999999999980000,"request_start_ns":1800000000000000000,"#,
    r#""request_end_ns":1800000000104846902,"worker_id":"wörker","benchmark_phase":"profiling","#,
    r#""was_cancelled":false},"metrics":{"time_to_first_token":{"value":30.614008,"unit":"ms"},"#,
    r#""inter_chunk_latency":{"value":[1.5,0,2e-3],"unit":"ms"},"request_latency":{"value":104,"unit":"ms"},"#,
    r#""foreign_metric":{"value":-1.25E+2,"unit":"x"},"other":{"value":[[],{}],"unit":null}},"#,
    r#""trace_data":{"trace_type":"hyper","request_headers":{"accept":"*/*"},"#,
    r#""request_chunks":[[1800000000000319749,1455]],"response_status_code":200,"#,
    r#""response_chunks":[[1800000000030614008,211],[1800000000036425342,12345678]],"#,
    r#""connection":{"connection_id":3,"tls":{"version":"1.3"}},"attempts":[],"client_recv_lag_ns":0},"#,
    r#""error":{"code":503,"type":"Service Unavailable","message":"no"}}"#,
);

/// One line alone.
fn alone(text: &str) -> Option<Line<'_>> {
    line(text, &wanted(), &mut Layout::default())
}

/// What is read of a line after `LINE`, in the usual form and by serde.
fn both(text: &str) -> (Option<String>, Option<String>) {
    let (wanted, mut layout) = (wanted(), Layout::default());
    let shown = |line: Line| format!("{line:?}");
    assert!(line(LINE, &wanted, &mut layout).is_some());
    (line(text, &wanted, &mut layout).map(shown), Line::parse_any(text, &wanted).ok().map(shown))
}

#[test]
fn a_whole_line_is_read_as_serde_reads_it() {
    let (usual, any) = both(LINE);
    assert!(usual.is_some());
    assert_eq!(usual, any);
    let read = alone(LINE).unwrap();
    assert_eq!(read.metadata.request_start_ns, Some(1_800_000_000_000_000_000));
    assert_eq!(read.metrics.number(TAGS.len()), Some(-125.0));
    assert_eq!(read.trace.unwrap().response_chunks[1].1, 12_345_678);
}

#[test]
fn what_is_not_usual_is_left_to_serde() {
    for unusual in [
        r#"{"metadata":{"x_request_id":"a\"b"}}"#,
        r#"{"metadata":{"turn_index":-1}}"#,
        r#"{"metadata":{"turn_index":4294967296}}"#,
        r#"{"metadata":{"turn_index":01}}"#,
        r#"{"metadata":{"turn_index":1.0}}"#,
        r#"{"metadata":{"turn_index":1,"turn_index":2}}"#,
        r#"{"metadata":{"credit_issued_ns":18446744073709551616}}"#,
        r#"{"metadata":{"was_cancelled":null}}"#,
        r#"{"metadata": {}}"#,
        r#"{"metadata":{}} "#,
        r#"{"metadata":{}}x"#,
        r#"{"metadata":{},}"#,
        r#"{"metrics":{}}"#,
        r#"{"metadata":{},"trace_data":{"attempts":[{}]}}"#,
        r#"{"metadata":{},"other":[1,]}"#,
        r#"{"metadata":{},"other":-}"#,
        r#"{"metadata":{},"other":1.}"#,
        "{\"metadata\":{\"x_request_id\":\"tab\there\"}}",
        r#"{"metadata":{"x_request_id":"no end"#,
        "",
    ] {
        assert!(alone(unusual).is_none(), "{unusual}");
    }
}

#[test]
fn keys_may_be_missing_new_or_in_another_order() {
    let (wanted, mut layout) = (wanted(), Layout::default());
    let mut session = |keys: &str| {
        let text = format!(r#"{{"metadata":{{{keys}}}}}"#);
        line(&text, &wanted, &mut layout).map(|line| (line.metadata.session_num, line.metadata.turn_index))
    };
    assert_eq!(session(r#""session_num":1,"worker_id":"w","turn_index":2"#), Some((Some(1), Some(2))));
    assert_eq!(session(r#""session_num":3,"turn_index":4"#), Some((Some(3), Some(4))));
    assert_eq!(session(r#""session_num":5,"new":[],"turn_index":6"#), Some((Some(5), Some(6))));
    assert_eq!(session(r#""turn_index":7"#), Some((None, Some(7))));
    // Another order is learned when it has been met.
    assert_eq!(session(r#""turn_index":7,"session_num":8"#), None);
    assert_eq!(session(r#""turn_index":7,"session_num":8"#), Some((Some(8), Some(7))));
    assert_eq!(session(r#""turn_index":7,"turn_index":8"#), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// A line with pieces cut out, doubled or replaced: whatever is still read is what serde reads.
    #[test]
    fn a_spoiled_line_is_never_read_otherwise(
        edits in prop::collection::vec((0..LINE.len(), 0..40usize, "[-{}\\[\\]\",:0-9a-e.\\\\ ]{0,3}"), 1..4)
    ) {
        let mut text = LINE.to_owned();
        for (at, length, instead) in edits {
            let boundary = |place: usize| (place.min(text.len())..=text.len()).find(|&at| text.is_char_boundary(at));
            let (Some(from), Some(to)) = (boundary(at), boundary(at + length)) else { continue };
            text.replace_range(from..to, &instead);
        }
        let (usual, any) = both(&text);
        if usual.is_some() {
            prop_assert_eq!(usual, any);
        }
    }

    #[test]
    fn every_whole_number_is_read(value: u64, fewer in 0..64u32) {
        let value = value >> fewer;
        let text = format!(r#"{{"metadata":{{"credit_issued_ns":{value}}}}}"#);
        prop_assert_eq!(alone(&text).unwrap().metadata.credit_issued_ns, Some(value));
    }

    #[test]
    fn every_number_is_the_one_that_serde_reads(value: f64) {
        let object = format!(r#"{{"value":{},"unit":"ms"}}"#, serde_json::json!(value));
        let read = serde_json::from_str::<super::super::ScalarEntry>(&object).ok().map(|entry| entry.value);
        prop_assert_eq!(scalar(&object), read.filter(|_| value.is_finite()));
    }
}
