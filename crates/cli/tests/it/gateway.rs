//! `tokmeter gateway` before a simulated server: `profile` runs through it, and its trace is replayed.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::run;

struct Gateway {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
    url: String,
}

impl Gateway {
    fn start(flags: &[&str]) -> Self {
        let mut child = run::tokmeter()
            .args(["gateway", "--listen", "127.0.0.1:0"])
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let url = line.trim().rsplit(' ').next().unwrap().to_owned();
        assert!(url.starts_with("http://"), "{line}");
        Gateway { child, stdout, url }
    }

    /// Stops it; what it printed last.
    fn stop(mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        assert!(self.child.wait().unwrap().success(), "{rest}");
        rest
    }
}

#[test]
fn what_passes_is_recorded_and_replayed() {
    const SESSIONS: usize = 6;
    let sim = run::sim(5.0, 1.0);
    let place = tempfile::tempdir().unwrap();
    let trace = place.path().join("trace.jsonl");
    let upstream = format!("sim={}", sim.url());
    let gateway = Gateway::start(&["--upstream", &upstream, "--record", trace.to_str().unwrap()]);
    let output = run::tokmeter()
        .args(["profile", "--model", "sim-model", "--url", &gateway.url, "--ui", "none", "--streaming"])
        .args(["--concurrency", "3", "--num-sessions", "6", "--session-turns-mean", "2"])
        .args(["--synthetic-input-tokens-mean", "200", "--output-tokens-mean", "12"])
        .arg("--artifact-dir")
        .arg(place.path().join("first"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", run::shown(&output));
    let told = gateway.stop();
    assert!(told.contains("(12 requests, 0 lost)"), "{told}");
    let seen = sim.log();

    let flags = ["--custom-dataset-type", "mooncake-trace", "--isl-block-size", "64", "--fixed-schedule"];
    let replay = place.path().join("second");
    let trace_flags = ["--streaming", "--input-file", trace.to_str().unwrap()];
    let output = run::profile(&sim, &replay, &[&flags[..], &trace_flags[..]].concat());
    assert!(output.status.success(), "{}", run::shown(&output));
    let replayed = &sim.log()[seen.len()..];
    assert_eq!(replayed.len(), seen.len());
    let outputs = |log: &[std::sync::Arc<tokmeter_sim::RequestLog>]| {
        let mut tokens: Vec<u32> = log.iter().map(|entry| entry.sent_tokens).collect();
        tokens.sort_unstable();
        tokens
    };
    assert_eq!(outputs(replayed), outputs(&seen), "answers of the same lengths");
    let bytes = |log: &[std::sync::Arc<tokmeter_sim::RequestLog>]| {
        log.iter().map(|entry| entry.prompt_bytes as f64).sum::<f64>()
    };
    let ratio = bytes(replayed) / bytes(&seen);
    assert!((0.7..1.4).contains(&ratio), "prompts of the same lengths: {ratio}");
    let sessions: std::collections::HashSet<_> =
        replayed.iter().map(|entry| entry.x_correlation_id.clone()).collect();
    assert_eq!(sessions.len(), SESSIONS);
}

#[test]
fn wrong_settings_are_told_with_a_fix() {
    for (flags, said) in [
        (&[][..], "no upstream is given"),
        (&["--upstream", "a=http://h", "--upstream", "b=http://h"][..], "need routes"),
        (&["--upstream", "a=http://h", "--api-keys-env", "TOKMETER_NO_SUCH_KEYS"][..], "is not set"),
    ] {
        let output = run::tokmeter().arg("gateway").args(flags).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", run::shown(&output));
        assert!(String::from_utf8_lossy(&output.stderr).contains(said), "{}", run::shown(&output));
    }
}
