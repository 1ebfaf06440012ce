//! `tax` against simulated servers.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::run;

fn tax(directory: &Path, direct: &str, through: &str, flags: &[&str]) -> Output {
    run::tokmeter()
        .args(["tax", "--direct", direct, "--through", through, "--osl", "3", "--random-seed", "5"])
        .args(["--json", "out/tax.json", "--html", "tax.html"])
        .args(flags)
        .current_dir(directory)
        .output()
        .expect("the binary starts")
}

#[test]
fn table_json_and_page_tell_the_same() {
    let (fast, slow) = (run::sim(1.0, 1.0), run::sim(6.0, 1.0));
    let place = tempfile::tempdir().unwrap();
    let flags =
        ["--concurrency", "1,4", "--body-size", "400,20k", "--requests", "60", "--confidence", "0.99"];
    let output = tax(place.path(), &fast.url(), &slow.url(), &flags);
    assert!(output.status.success(), "{}", run::shown(&output));
    let report: Value =
        serde_json::from_str(&fs::read_to_string(place.path().join("out/tax.json")).unwrap()).unwrap();
    let page = fs::read_to_string(place.path().join("tax.html")).unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    let cells = report["cells"].as_array().unwrap();
    let sizes: Vec<_> = cells.iter().map(|cell| (&cell["concurrency"], &cell["body_bytes"])).collect();
    assert_eq!(sizes, [(1, 400), (1, 20_000), (4, 400), (4, 20_000)].map(|(c, b)| (c, b)));
    for cell in cells {
        assert_eq!(cell["pairs"], 60);
        let first_token = &cell["stages"][1];
        assert_eq!(
            (&first_token["stage"], &first_token["finding"]),
            (&"first_token".into(), &"slower".into())
        );
        let p50 = format!("{:.3}", first_token["through"]["p50"].as_f64().unwrap());
        assert!(table.contains(&p50) && page.contains(&p50), "{p50}:\n{table}");
    }
    assert_eq!(report["seed"], 5);
    let each = report["interval_confidence"].as_f64().unwrap();
    assert!((each - (1.0 - 0.01 / 12.0)).abs() < 1e-12, "4 cells of 3 stages: {each}");
}

#[test]
fn what_a_server_says_is_escaped_and_secrets_stay_out() {
    let server = run::sim(0.0, 0.0);
    let mut config = run::config(0.0, 0.0);
    config.models = vec!["another".to_owned()];
    config.strict_models = true;
    let refusing = tokmeter_sim::Sim::start(config).unwrap();
    let place = tempfile::tempdir().unwrap();
    let through = refusing.url().replace("://", "://user:s3cret@");
    let flags = ["--requests", "5", "--concurrency", "1", "--model", "<b>'&", "--api-key", "k3y"];
    let output = tax(place.path(), &server.url(), &through, &flags);
    assert_eq!(output.status.code(), Some(3), "{}", run::shown(&output));
    let page = fs::read_to_string(place.path().join("tax.html")).unwrap();
    assert!(page.contains("Model: <b>&lt;b&gt;&#39;&amp;</b>") && !page.contains("<b>'&"), "{page}");
    assert!(page.contains("failed: 0 direct, 5 through the gateway"), "{page}");
    let json = fs::read_to_string(place.path().join("out/tax.json")).unwrap();
    for text in [page, json, run::shown(&output)] {
        assert!(!text.contains("s3cret") && !text.contains("k3y"), "{text}");
    }
}

#[test]
fn wrong_flags_are_refused() {
    let place = tempfile::tempdir().unwrap();
    for (flags, word) in [
        (&["--concurrency", "0"][..], "concurrency"),
        (&["--body-size", "10"], "bytes"),
        (&["--body-size", "many"], "1k"),
        (&["--timeout", "-1"], "timeout"),
        (&["--confidence", "2"], "confidence"),
    ] {
        let output = tax(place.path(), "http://127.0.0.1:1", "http://127.0.0.1:1", flags);
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {}", run::shown(&output));
        assert!(String::from_utf8_lossy(&output.stderr).contains(word), "{flags:?}: {}", run::shown(&output));
    }
}
