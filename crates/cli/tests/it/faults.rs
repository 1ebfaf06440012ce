//! Faults of servers, networks and this machine: nothing is lost, and every failure is told apart.

mod case;
mod host;
mod judge;
mod page;
mod server;
mod table;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use case::{Case, Mode};
use table::MATRIX;

/// Cells played at the same time; most of them sleep.
const AT_ONCE: usize = 6;

#[test]
fn the_matrix_holds() {
    // TOKMETER_FAULT=words plays the rows with these words only.
    let only = std::env::var("TOKMETER_FAULT").unwrap_or_default();
    let rows = MATRIX.iter().filter(|case| case.fault.contains(&only));
    let cells: Vec<(&Case, Mode)> =
        rows.flat_map(|case| case.modes.iter().map(move |mode| (case, *mode))).collect();
    assert!(!cells.is_empty(), "no row is called `{only}`");
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((case, mode)) = cells.get(next.fetch_add(1, Relaxed)) {
                    let found = judge::play(case, *mode);
                    wrong.lock().expect("no panic while it is held").extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no panic while it was held");
    assert!(wrong.is_empty(), "{} of {} cells:\n{}", wrong.len(), cells.len(), wrong.join("\n"));
}

/// `TOKMETER_WRITE_DOCS=1` writes the page anew.
#[test]
fn the_page_is_the_matrix() {
    let (path, page) = (page::path(), page::page());
    if std::env::var_os("TOKMETER_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("the page can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/faults.md is not the matrix: run the test with TOKMETER_WRITE_DOCS=1");
}
