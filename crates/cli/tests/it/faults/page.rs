//! `docs/faults.md`: the matrix as a page.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::case::{Case, Expect};
use super::table::MATRIX;

const HEAD: &str = "\
# What a run survives

Every fault below is played against the binary in every mode named, each time the tests run
(`cargo nextest run -p tokmeter faults`). This page is written from the table that the tests read, and a test fails when
the two differ. For each cell the test requires that

* the run ends in bounded time, with the exit code given and the reason on stderr;
* every request that the server's own log knows has exactly one record, and the requests that met the fault are the ones
  whose records say so, with class, side and phase as given; all others succeeded;
* the summary, its error table and the records count the same: sent = succeeded + failed + cancelled;
* the client stays below 400 MiB, and nothing from the server reaches the terminal as an escape sequence.

Modes: *closed* loop, *open* loop, *turns* (conversations), *whole* answers without streaming, all four over HTTP/1.1,
and *h2*, a closed loop over HTTP/2.

";

const TAIL: &str = include_str!("notes.md");

/// The page's text.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("| fault | modes | record: class, side, phase | exit |\n|---|---|---|---|\n");
    for case in MATRIX {
        let modes: Vec<&str> = case.modes.iter().map(|mode| mode.name()).collect();
        let _ =
            writeln!(page, "| {} | {} | {} | {} |", case.fault, modes.join(", "), outcomes(case), case.exit);
    }
    page + "\n" + TAIL
}

fn outcomes(case: &Case) -> String {
    let told = |expect| match expect {
        Expect::Answered => "success".to_owned(),
        Expect::Fails(class, side, phase) => format!("`{class}`, {side}, {phase}"),
    };
    let others = case.otherwise.iter().map(|(mode, expect)| format!("{}: {}", mode.name(), told(*expect)));
    [told(case.expect)].into_iter().chain(others).collect::<Vec<_>>().join("; ")
}

/// Where it stands.
pub fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/faults.md")
}
