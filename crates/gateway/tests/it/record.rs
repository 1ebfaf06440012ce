//! `--record`: times, lengths, prefixes and sessions, and nothing of what was said.

use serde_json::Value;

use crate::running::{before, sim};

#[test]
fn the_trace_has_shape_and_no_content() {
    let sim = sim(|_| {});
    let path = std::env::temp_dir().join(format!("tokmeter-trace-{}.jsonl", std::process::id()));
    let mut gateway = before(&sim.url(), |config| config.record = Some(path.clone()));
    for _ in 0..2 {
        assert_eq!(gateway.chat("sim-model", "x-session-id: customer-42\r\n").status(), 200);
    }
    gateway.ask(b"GET /v1/models HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
    gateway.wait_for(3);
    gateway.stop();
    let counts = gateway.gateway.finish_record().expect("written");
    assert_eq!((counts.written, counts.lost), (2, 0));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    for secret in ["one two", "three", "customer", "sim-model"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["output_length"], 8);
    assert!(lines[0]["input_length"].as_u64().unwrap() >= 3, "{text}");
    assert_eq!(lines[0]["hash_ids"], lines[1]["hash_ids"], "the same prompt");
    assert_eq!(lines[0]["session_id"], lines[1]["session_id"]);
    assert!(lines[0].get("delay").is_none() && lines[1]["delay"].as_f64().unwrap() >= 0.0, "{text}");
    assert!(lines[1]["timestamp"].as_f64() > lines[0]["timestamp"].as_f64());
}
