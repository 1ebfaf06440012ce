//! One cell of the matrix: a run of the binary, judged by the server's own log.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokmeter_sim::{Fault, FaultRule, MetricsMode, MetricsSwitch, RunningSim, Sim};

use super::case::{Case, Expect, Mode, Server};
use super::server::Raw;
use crate::run;

/// No run may take longer, on however busy a machine; the runs themselves are over in seconds.
const PATIENCE: Duration = Duration::from_secs(90);
/// Resident memory of the client, whatever a server sends, MiB.
const MEMORY_MIB: f64 = 400.0;

/// Who serves a cell.
enum Serving {
    Sim(RunningSim),
    Raw(Raw),
    Nobody,
}

/// Plays a case in a mode; what is wrong with the outcome, one line each.
pub fn play(case: &Case, mode: Mode) -> Vec<String> {
    let directory = tempfile::tempdir().expect("a directory");
    let (serving, url) = serve(case);
    let begin = Instant::now();
    let mut command = run::tokmeter();
    command.args(["profile", "--model=sim-model", "--ui=none", "--no-gpu-telemetry", "--url", &url]);
    if !matches!(case.server, Server::Metrics(_)) {
        command.arg("--no-server-metrics");
    }
    command.args(mode.flags()).args(case.flags).arg("--artifact-dir").arg(directory.path());
    let output = command.output().expect("the binary starts");
    let mut verdict = Verdict { case, mode, wrong: Vec::new() };
    verdict.expect(begin.elapsed() < PATIENCE, || format!("took {:?}", begin.elapsed()));
    verdict.output(&output);
    if !directory.path().join("profile_export_aiperf.json").exists() {
        verdict.expect(false, || format!("no summary: {}", run::shown(&output)));
        return verdict.wrong;
    }
    verdict.files(directory.path(), &serving);
    verdict.wrong
}

fn serve(case: &Case) -> (Serving, String) {
    let mut config = run::config(2.0, 1.0);
    match case.server {
        Server::Nobody(url) => return (Serving::Nobody, url.to_owned()),
        Server::Raw(_) | Server::Greeting(_) => {
            let raw = Raw::start(case.server);
            let scheme = if case.expect == Expect::Fails("tls", "network", "tls") { "https" } else { "http" };
            let url = format!("{scheme}://{}", raw.address);
            return (Serving::Raw(raw), url);
        }
        Server::Sim(script) => {
            let fault: Fault = serde_json::from_value(Value::String(script.to_owned())).expect(script);
            config.faults.push(FaultRule::at(fault, (1..40).map(|n| 3 * n - 1).collect::<Vec<u64>>()));
            config.connections.http2_window = 65_535;
        }
        Server::Metrics(mode) => {
            config.metrics.switch = Some(MetricsSwitch { after_reads: 1, mode });
            // Long enough for scrapes to meet the new page.
            config.timing.itl_ms = tokmeter_sim::Distribution::constant(40.0);
            assert_ne!(mode, MetricsMode::Vllm);
        }
    }
    let sim = Sim::start(config).expect("the simulated server starts");
    let url = sim.url();
    (Serving::Sim(sim), url)
}

/// What is wrong so far.
struct Verdict<'a> {
    case: &'a Case,
    mode: Mode,
    wrong: Vec<String>,
}

impl Verdict<'_> {
    fn expect(&mut self, holds: bool, message: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(format!("{} [{}]: {}", self.case.fault, self.mode.name(), message()));
        }
    }

    fn output(&mut self, output: &Output) {
        let (exit, says) = (self.case.exit, self.case.says);
        self.expect(output.status.code() == Some(exit), || {
            format!("not exit {exit}: {}", run::shown(output))
        });
        let stderr = String::from_utf8_lossy(&output.stderr);
        self.expect(stderr.contains(says), || format!("stderr lacks `{says}`: {stderr}"));
        self.expect(!stderr.contains("panicked"), || format!("a panic: {stderr}"));
        self.expect(!output.stdout.contains(&0x1b), || "an escape character on stdout".to_owned());
    }

    fn files(&mut self, directory: &Path, serving: &Serving) {
        let records = run::records(directory);
        let summary = run::summary(directory);
        let by_id: BTreeMap<&str, &Value> = records
            .iter()
            .map(|record| (record["metadata"]["x_request_id"].as_str().unwrap_or(""), record))
            .collect();
        self.expect(by_id.len() == records.len(), || "a request has more than one record".to_owned());
        self.expect(!records.is_empty(), || "no records".to_owned());

        // Aggregates count every record once.
        let failed = records.iter().filter(|record| record.get("error").is_some()).count() as u64;
        let requests = &summary["tokmeter"]["requests"];
        let count = |key: &str| requests[key].as_u64().unwrap_or(u64::MAX);
        self.expect(count("sent") == records.len() as u64, || {
            format!("{requests} and {} records", records.len())
        });
        self.expect(count("failed") == failed, || format!("{requests} and {failed} failed records"));
        self.expect(count("succeeded") == records.len() as u64 - failed && count("cancelled") == 0, || {
            format!("{requests} and {} records of which {failed} failed", records.len())
        });
        let grouped: u64 = summary["error_summary"]
            .as_array()
            .map_or(0, |kinds| kinds.iter().filter_map(|kind| kind["count"].as_u64()).sum());
        self.expect(grouped == failed, || format!("error_summary counts {grouped} of {failed}"));
        let memory = summary["tokmeter"]["health"]["peak_memory_mib"].as_f64().unwrap_or(0.0);
        self.expect(memory < MEMORY_MIB, || format!("{memory:.0} MiB resident"));

        if matches!(self.case.server, Server::Metrics(_)) {
            let page = &summary["tokmeter"]["server_metrics"]["pages"][0];
            let told = page["failures"].as_u64() > Some(0) || page["disabled"].is_string();
            self.expect(told, || format!("the summary does not tell what became of the page: {page}"));
        }

        // The server's log says which requests met the fault: the last attempt of each counts.
        let met = met(serving);
        let expected = self.case.expected(self.mode);
        for (id, record) in &by_id {
            let met = met.as_ref().is_none_or(|met| met.get(*id).copied().unwrap_or(false));
            self.record(record, if met { expected } else { Expect::Answered }, expected);
        }
        if let Some(met) = &met {
            let known: BTreeSet<&str> = by_id.keys().copied().collect();
            let lost: Vec<_> = met.keys().filter(|id| !known.contains(id.as_str())).collect();
            self.expect(lost.is_empty(), || format!("the server saw requests without a record: {lost:?}"));
            let any = ever_met(serving) || !matches!(self.case.server, Server::Sim(_));
            self.expect(any, || "no request met the fault".to_owned());
        }
    }

    fn record(&mut self, record: &Value, expected: Expect, of_fault: Expect) {
        let error = record.get("error");
        let told = error.map(|error| (class_of(error), &error["side"], &error["phase"]));
        let neighbours_class = match of_fault {
            Expect::Fails(class, ..) => class,
            Expect::Answered => "",
        };
        let holds = match (expected, told) {
            (Expect::Answered, None) => true,
            (Expect::Fails(class, side, phase), Some(told)) => told == (class, &side.into(), &phase.into()),
            // The connection went down under it.
            (Expect::Answered, Some((class, ..))) => {
                self.case.shared.contains(&self.mode)
                    && (class == "disconnected" || class == neighbours_class)
            }
            (Expect::Fails(..), None) => false,
        };
        let error = error.unwrap_or(&Value::Null);
        self.expect(holds, || format!("expected {expected:?}, the record says {error}"));
    }
}

/// The class of an error. On a kept-alive connection a fault before the answer is met twice: the request is sent
/// once more, and the class then says so.
fn class_of(error: &Value) -> &str {
    match error["class"].as_str().unwrap_or("none") {
        "stale_connection" => "disconnected",
        class => class,
    }
}

/// Whether any attempt met the fault; a second attempt may have been spared.
fn ever_met(serving: &Serving) -> bool {
    match serving {
        Serving::Sim(sim) => sim.log().iter().any(|request| request.fault.is_some()),
        Serving::Raw(_) | Serving::Nobody => true,
    }
}

/// Each request the server saw, and whether its last attempt met the fault. `None`: nobody saw any, and all did.
fn met(serving: &Serving) -> Option<BTreeMap<String, bool>> {
    match serving {
        Serving::Nobody => None,
        Serving::Raw(raw) => {
            let ids = raw.ids();
            // A greeting meets requests that were never read.
            if ids.is_empty() { None } else { Some(ids.into_iter().map(|id| (id, true)).collect()) }
        }
        Serving::Sim(sim) => {
            // The server notices the end of a request a little later than the client.
            sim.wait_for_log(sim.counters().received, Duration::from_secs(10));
            let mut log = sim.log();
            log.sort_by_key(|request| request.ordinal);
            Some(log.iter().filter_map(|r| Some((r.x_request_id.clone()?, r.fault.is_some()))).collect())
        }
    }
}
