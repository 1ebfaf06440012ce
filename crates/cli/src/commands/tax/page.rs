//! The measurement as one HTML page that needs nothing else.

use std::fmt::Write;

use tokmeter_engine::tax::{Finding, TaxReport};

use super::rows;

const HEAD: &str = r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>tokmeter tax</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
div { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #8885; }
th:first-child, td:first-child { text-align: left; }
.slower td:first-child { border-left: .3rem solid #d9480f; }
.faster td:first-child { border-left: .3rem solid #2b8a3e; }
.same td:first-child { border-left: .3rem solid #8885; }
</style></head><body>
<h1>What the gateway costs</h1>
"#;

/// Renders the page.
pub fn render(report: &TaxReport) -> String {
    let mut page = String::from(HEAD);
    let facts = [
        ("Direct", report.direct.clone()),
        ("Through", report.through.clone()),
        ("Model", report.model.clone()),
        ("Answers", if report.streaming { "streams".into() } else { "whole".into() }),
        ("Output tokens", report.output_tokens.to_string()),
        ("Connections", if report.new_connections { "one for each request" } else { "kept" }.into()),
        ("Seed", report.seed.to_string()),
    ];
    page.push_str("<p>");
    for (name, value) in facts {
        let _ = write!(page, "{name}: <b>{}</b><br>", escaped(&value));
    }
    page.push_str("</p>\n");
    for cell in &report.cells {
        let _ = write!(page, "<h2>{}</h2>\n<div><table><thead><tr>", escaped(&rows::title(cell)));
        for name in rows::HEADER {
            let _ = write!(page, "<th scope=\"col\">{}</th>", escaped(name));
        }
        page.push_str("</tr></thead><tbody>\n");
        for row in rows::rows(cell) {
            let class = match row.finding {
                Finding::Slower => "slower",
                Finding::Faster => "faster",
                Finding::NoDifference | Finding::TooFewSamples => "same",
            };
            let _ = write!(page, "<tr class=\"{class}\">");
            for text in row.cells {
                let _ = write!(page, "<td>{}</td>", escaped(&text));
            }
            page.push_str("</tr>\n");
        }
        page.push_str("</tbody></table></div>\n");
        if let Some(failures) = rows::failures(cell) {
            let _ = writeln!(page, "<p>{}</p>", escaped(&failures));
        }
    }
    let _ = writeln!(page, "<p>{}</p>\n</body></html>", escaped(&rows::legend(report)));
    page
}

/// Text for HTML content and quoted attributes.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            control if control.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}
