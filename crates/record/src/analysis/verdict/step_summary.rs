//! Checks as Markdown for the step summary of a GitHub job (`$GITHUB_STEP_SUMMARY`).

use std::fmt;

use super::{Check, Verdict, number};

/// Writes a heading and a table with a row for each check.
///
/// # Errors
/// The writer's own.
pub fn write(title: &str, checks: &[Check], allow_unproven: bool, out: &mut dyn fmt::Write) -> fmt::Result {
    let failed = checks.iter().filter(|check| !check.passed(allow_unproven)).count();
    writeln!(out, "## {}\n", escaped(title))?;
    match failed {
        0 => writeln!(out, "All {} checks passed.\n", checks.len())?,
        _ => writeln!(out, "**{failed} of {} checks failed.**\n", checks.len())?,
    }
    writeln!(out, "| | Check | Verdict | Estimate | Bound | Limit | Samples |")?;
    writeln!(out, "|---|---|---|---:|---:|---:|---:|")?;
    for check in checks {
        let mark = match (check.verdict, check.passed(allow_unproven)) {
            (Verdict::Met, _) => "✅",
            (_, true) => "⚠️",
            (_, false) => "❌",
        };
        let shown = |value: Option<f64>| value.map_or("–".to_owned(), number);
        writeln!(
            out,
            "| {mark} | `{}` | {} | {} | {} | {} {} | {} |",
            in_code(&check.name),
            check.verdict.as_str(),
            shown(check.estimate),
            shown(check.bound),
            number(check.limit),
            escaped(&check.unit),
            check.samples,
        )?;
    }
    writeln!(out)?;
    for check in checks.iter().filter(|check| check.verdict != Verdict::Met) {
        writeln!(out, "- {}", escaped(&check.message))?;
    }
    Ok(())
}

/// Text that Markdown takes as text: its own signs are escaped, line ends become blanks, control characters `�`.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' | '\t' => safe.push(' '),
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' | '@' => {
                safe.push('\\');
                safe.push(character);
            }
            other if other.is_control() => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}

/// Text inside a code span of a table.
fn in_code(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '`' => "'".to_owned(),
            '|' => "\\|".to_owned(),
            other if other.is_control() => " ".to_owned(),
            other => other.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::verdict::tests::checks;

    #[test]
    fn the_table_shows_every_check() {
        let mut markdown = String::new();
        write("SLOs of my_run", &checks(), false, &mut markdown).unwrap();
        insta::assert_snapshot!("step_summary", markdown);
    }

    #[test]
    fn nothing_escapes_its_cell() {
        assert_eq!(escaped("a|b\n<img>*_`@x"), "a\\|b &lt;img&gt;\\*\\_\\`\\@x");
        assert_eq!(in_code("a|`b\n"), "a\\|'b ");
    }
}
