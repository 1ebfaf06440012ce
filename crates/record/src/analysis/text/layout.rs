//! Numbers, lines and tables as seed 001 prints them. Columns count characters, so that `μs` lines up.

use std::fmt::{self, Write};

use crate::analysis::distribution::Summary;

/// Width of the rulers and of wrapped text.
const WIDTH: usize = 80;

/// A duration: below 1 ms in μs, else in ms, never in seconds.
pub(super) fn time(ms: f64) -> String {
    if ms < 1.0 { format!("{:.2}μs", ms * 1e3) } else { format!("{ms:.2}ms") }
}

/// A size in B, KB or MB (divisor 1024) with the given decimals for plain bytes; KB and MB have two.
pub(super) fn bytes(size: f64, decimals: usize) -> String {
    const KB: f64 = 1024.0;
    if size < KB {
        format!("{size:.decimals$}B")
    } else if size < KB * KB {
        format!("{:.2}KB", size / KB)
    } else {
        format!("{:.2}MB", size / (KB * KB))
    }
}

/// A count with thousands separators.
pub(super) fn thousands(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Section title between its rulers.
pub(super) fn title(out: &mut dyn Write, text: &str) -> fmt::Result {
    let ruler = "=".repeat(WIDTH);
    writeln!(out, "{ruler}\n  {text}\n{ruler}")
}

/// `label` and a value whose last character stands in column `end`; `suffix` follows outside the column.
pub(super) fn line(
    out: &mut dyn Write,
    indent: usize,
    label: &str,
    value: &str,
    end: usize,
    suffix: &str,
) -> fmt::Result {
    let used = indent + label.chars().count();
    let room = end.saturating_sub(used).max(value.chars().count() + 1);
    writeln!(out, "{:indent$}{label}{value:>room$}{suffix}", "")
}

/// Head of a Metric/Value table with its title.
pub(super) fn table_head(out: &mut dyn Write, title: &str) -> fmt::Result {
    writeln!(out, "{title}:")?;
    writeln!(out, "  {:<30} Value", "Metric")?;
    writeln!(out, "  {} {}", "-".repeat(30), "-".repeat(15))
}

/// A row of a table; its value's last character stands in column `end`.
pub(super) fn row(out: &mut dyn Write, label: &str, value: &str, end: usize) -> fmt::Result {
    let room = end.saturating_sub(33);
    writeln!(out, "  {label:<30} {value:>room$}")
}

/// Min, max, mean and percentiles of a figure, each printed by `show`, ending in column `end`.
pub(super) fn percentile_table(
    out: &mut dyn Write,
    title: &str,
    summary: Option<&Summary>,
    end: usize,
    show: impl Fn(f64) -> String,
) -> fmt::Result {
    let Some(summary) = summary.filter(|summary| summary.max > 0.0) else {
        return writeln!(out, "{title}:\n  No data available");
    };
    table_head(out, title)?;
    for (label, value) in [
        ("Min", summary.min),
        ("Max", summary.max),
        ("Mean", summary.avg),
        ("Median (p50)", summary.p50),
        ("p90", summary.p90),
        ("p95", summary.p95),
        ("p99", summary.p99),
    ] {
        row(out, label, &show(value), end)?;
    }
    Ok(())
}

/// The table of a duration.
pub(super) fn time_table(out: &mut dyn Write, title: &str, summary: Option<&Summary>) -> fmt::Result {
    percentile_table(out, title, summary, 41, time)
}

/// Text in lines of at most 80 characters.
pub(super) fn wrapped(out: &mut dyn Write, first: &str, next: &str, text: &str) -> fmt::Result {
    let mut line = first.to_owned();
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            writeln!(out, "{line}")?;
            line = next.to_owned();
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    writeln!(out, "{line}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_as_the_seed_prints_them() {
        assert_eq!(time(0.703_125), "703.12μs");
        assert_eq!(time(0.999), "999.00μs");
        assert_eq!(time(1.0), "1.00ms");
        assert_eq!(time(61_000.0), "61000.00ms");
        assert_eq!(bytes(5.0, 1), "5.0B");
        assert_eq!(bytes(14.75, 2), "14.75B");
        assert_eq!(bytes(17_408.0, 2), "17.00KB");
        assert_eq!(bytes(3.0 * 1024.0 * 1024.0, 1), "3.00MB");
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_000), "1,000");
        assert_eq!(thousands(1_234_567), "1,234,567");
    }

    #[test]
    fn long_values_push_their_column_instead_of_the_label() {
        let mut text = String::new();
        line(&mut text, 2, "A label of some length:", "1234567890123456789012345", 30, "!").unwrap();
        assert_eq!(text, "  A label of some length: 1234567890123456789012345!\n");
    }

    #[test]
    fn wrapped_text_keeps_its_margin() {
        let mut text = String::new();
        wrapped(&mut text, "  - ", "    ", &"word ".repeat(30)).unwrap();
        assert!(text.lines().all(|line| line.chars().count() <= 80));
        assert!(text.lines().skip(1).all(|line| line.starts_with("    word")));
    }
}
