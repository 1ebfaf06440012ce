//! Faults of servers, networks and this machine: nothing is lost, and every failure is told apart.

mod case;
mod expiry;
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

/// Every limit of the page is a flag of `profile` with the default told.
#[test]
fn the_limits_told_are_the_flags() {
    let help = crate::run::tokmeter().args(["profile", "--help"]).output().expect("the binary starts");
    let help = String::from_utf8(help.stdout).expect("text");
    let mut found = 0;
    for row in page::page().lines().filter(|row| row.contains("| `--max-")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let (flag, default) = (cells[2].trim_matches('`'), cells[3].split(' ').next().unwrap_or_default());
        let described =
            help.split_once(&format!("{flag} <")).unwrap_or_else(|| panic!("{flag} is no flag")).1;
        let told = described.split_once("[default: ").expect("a default").1.split(']').next();
        assert_eq!(told, Some(default), "{flag}");
        found += 1;
    }
    assert_eq!(found, 11, "limits in the page");
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
