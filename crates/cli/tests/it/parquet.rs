//! Records as Parquet: written by a run, converted, and read like the JSON lines.

use serde_json::Value;

use crate::run::{self, shown};

/// The report of `analyze` without the names of its inputs.
fn analyzed(path: &std::path::Path) -> Value {
    let output = run::tokmeter().arg("analyze").arg(path).arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", shown(&output));
    let mut report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report.as_object_mut().unwrap().remove("sources");
    report
}

#[test]
fn rows_tell_what_lines_tell() {
    let sim = run::sim(2.0, 1.0);
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    let flags =
        ["--streaming", "--osl", "6", "--request-count", "30", "--concurrency", "3", "--export-http-trace"];
    let both = [&flags[..], &["--record-formats", "jsonl", "parquet"]].concat();
    let output = run::profile(&sim, &path("run"), &both);
    assert!(output.status.success(), "{}", shown(&output));
    let (lines, rows) = (path("run/profile_export.jsonl"), path("run/profile_export.parquet"));
    assert_eq!(analyzed(&lines), analyzed(&rows));

    for (from, to) in [(&lines, "a.parquet"), (&rows, "b.jsonl")] {
        let output = run::tokmeter().arg("convert").arg(from).arg(path(to)).output().unwrap();
        assert!(output.status.success() && shown(&output).contains("30 records"), "{}", shown(&output));
        assert_eq!(analyzed(&path(to)), analyzed(&lines), "{to}");
    }
    let compare = run::tokmeter().arg("compare").arg(&lines).arg(path("a.parquet")).output().unwrap();
    assert!(compare.status.success(), "{}", shown(&compare));

    let only = [&flags[..], &["--record-formats", "parquet"]].concat();
    let output = run::profile(&sim, &path("only"), &only);
    assert!(output.status.success(), "{}", shown(&output));
    assert!(!path("only/profile_export.jsonl").exists());
    assert_eq!(analyzed(&path("only"))["overview"]["total_records"], 30, "a directory leads to its rows");
}

#[test]
fn convert_names_its_mistakes() {
    let place = tempfile::tempdir().unwrap();
    let input = place.path().join("x.jsonl");
    std::fs::write(&input, "nothing\n").unwrap();
    for (output, part) in [("y.csv", ".parquet or .jsonl"), ("y.parquet", "no records")] {
        let result =
            run::tokmeter().arg("convert").arg(&input).arg(place.path().join(output)).output().unwrap();
        assert_eq!(result.status.code(), Some(2), "{}", shown(&result));
        assert!(shown(&result).contains(part), "{}", shown(&result));
        assert!(!place.path().join(output).exists());
    }
}
