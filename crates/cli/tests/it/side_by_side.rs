//! Client and server side by side, against what the simulated server logged.

use serde_json::Value;

use crate::run;

fn row<'v>(side: &'v Value, quantity: &str) -> &'v Value {
    let rows = side["rows"].as_array().expect("rows");
    rows.iter().find(|row| row["quantity"] == quantity).unwrap_or_else(|| panic!("{quantity}: {side}"))
}

#[test]
fn both_sides_of_a_run_agree_with_the_log() {
    let sim = run::sim(20.0, 2.0);
    let place = tempfile::tempdir().expect("a directory");
    let flags = ["--streaming", "--request-count", "40", "--concurrency", "4", "--isl", "32", "--osl", "8"];
    let output = run::profile(&sim, place.path(), &flags);
    let shown = run::shown(&output);
    assert!(output.status.success(), "{shown}");
    assert!(shown.contains("Client and server | vLLM at http://127.0.0.1"), "{shown}");
    assert!(shown.contains(" = connection set-up "), "{shown}");

    let summary = run::summary(place.path());
    let sides = summary["tokmeter"]["server_metrics"]["side_by_side"].as_array().expect("engines");
    assert_eq!(sides.len(), 1);
    let log = sim.log();
    let sum = |of: fn(&tokmeter_sim::RequestLog) -> u32| log.iter().map(|r| f64::from(of(r))).sum::<f64>();
    for (quantity, truth) in [
        ("requests", log.len() as f64),
        ("prompt_tokens", sum(|request| request.prompt_tokens)),
        ("output_tokens", sum(|request| request.sent_tokens)),
    ] {
        let row = row(&sides[0], quantity);
        assert_eq!(row["server"]["total"].as_f64(), Some(truth), "{row}");
        assert_eq!(row["client"]["total"].as_f64(), Some(truth), "{row}");
        assert_eq!(row["difference"].as_f64(), Some(0.0), "{row}");
    }
    for quantity in ["time_to_first_token", "request_latency"] {
        let row = row(&sides[0], quantity);
        let difference = row["difference"].as_f64().expect("a difference");
        let shares = row["shares"].as_array().expect("its parts");
        let parts: f64 = shares.iter().filter_map(|share| share["ms"].as_f64()).sum();
        assert!((parts - difference).abs() < 1e-6, "{row}");
        let rest = shares.last().expect("a rest");
        assert!(rest["cause"].as_str().is_some_and(|cause| cause.starts_with("network")), "{row}");
        assert!(rest["ms"].as_f64().is_some_and(|ms| ms > 0.0), "the parts do not exceed the whole: {row}");
        assert!(difference > 0.0, "the client's span holds the server's: {row}");
    }
    // The page was read while four requests at a time were served.
    let in_flight = row(&sides[0], "requests_in_flight");
    assert!(in_flight["client"]["avg"].as_f64().is_some_and(|n| n > 0.0 && n <= 4.0), "{in_flight}");
    assert!(sides[0].get("notes").is_none(), "{}", sides[0]);
}
