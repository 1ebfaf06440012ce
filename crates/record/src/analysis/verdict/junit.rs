//! Checks as JUnit XML, the format that GitLab, Jenkins, Azure and others show as test results.

use std::fmt;

use super::{Check, Verdict};

/// Writes one test suite with a test case for each check. What is not proven is a failure unless `allow_unproven`,
/// then it is skipped; missing data is an error.
///
/// # Errors
/// The writer's own.
pub fn write(suite: &str, checks: &[Check], allow_unproven: bool, out: &mut dyn fmt::Write) -> fmt::Result {
    let count = |matches: &dyn Fn(&Check) -> bool| checks.iter().filter(|check| matches(check)).count();
    let errors = count(&|check| check.verdict == Verdict::NoData);
    let failures = count(&|check| !check.passed(allow_unproven)) - errors;
    let skipped = count(&|check| check.verdict != Verdict::Met && check.passed(allow_unproven));
    let suite = escaped(suite);
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(
        out,
        r#"<testsuites tests="{0}" failures="{failures}" errors="{errors}" skipped="{skipped}">"#,
        checks.len()
    )?;
    writeln!(
        out,
        r#"  <testsuite name="{suite}" tests="{}" failures="{failures}" errors="{errors}" skipped="{skipped}">"#,
        checks.len()
    )?;
    for check in checks {
        let (name, message) = (escaped(&check.name), escaped(&check.message));
        let element = match check.verdict {
            Verdict::Met => {
                writeln!(out, r#"    <testcase classname="{suite}" name="{name}">"#)?;
                writeln!(out, "      <system-out>{message}</system-out>\n    </testcase>")?;
                continue;
            }
            Verdict::NoData => "error",
            _ if check.passed(allow_unproven) => "skipped",
            _ => "failure",
        };
        writeln!(out, r#"    <testcase classname="{suite}" name="{name}">"#)?;
        if element == "skipped" {
            writeln!(out, r#"      <skipped message="{message}"/>"#)?;
        } else {
            let kind = check.verdict.as_str();
            writeln!(out, r#"      <{element} type="{kind}" message="{message}">{message}</{element}>"#)?;
        }
        writeln!(out, "    </testcase>")?;
    }
    writeln!(out, "  </testsuite>\n</testsuites>")
}

/// Text that is safe in XML text and attribute values. Characters that XML 1.0 forbids become `�`.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&apos;"),
            '\t' => safe.push_str("&#9;"),
            '\n' => safe.push_str("&#10;"),
            '\r' => safe.push_str("&#13;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::verdict::tests::checks;

    #[test]
    fn every_verdict_has_its_element() {
        let mut xml = String::new();
        write("slo <&\"'>\u{1}", &checks(), false, &mut xml).unwrap();
        insta::assert_snapshot!("junit", xml);
        let mut lenient = String::new();
        write("slo", &checks(), true, &mut lenient).unwrap();
        assert!(lenient.contains(r#"failures="1" errors="1" skipped="2""#), "{lenient}");
    }
}
