//! The page around the data: markup, styles and scripts in one file, with a policy that admits only these scripts.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::embed::{self, Embedded};
use super::gather::Run;

const PAGE: &str = include_str!("page/page.html");
const STYLES: [&str; 2] = [include_str!("page/uplot/uPlot.min.css"), include_str!("page/report.css")];
/// In the order in which they build on each other.
const SCRIPTS: [&str; 9] = [
    include_str!("page/uplot/uPlot.iife.min.js"),
    include_str!("page/data.js"),
    include_str!("page/elements.js"),
    include_str!("page/charts.js"),
    include_str!("page/overview.js"),
    include_str!("page/time.js"),
    include_str!("page/lanes.js"),
    include_str!("page/requests.js"),
    include_str!("page/main.js"),
];

/// Writes the page of these runs. Memory does not grow with the page: the data is written as it is encoded.
///
/// # Errors
/// The writer's own.
pub fn write_page(runs: &[Run], out: &mut dyn Write) -> io::Result<()> {
    let mut out = io::BufWriter::with_capacity(1 << 16, out);
    let mut rest = PAGE;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((place, after)) = after.split_once("}}") else { break };
        out.write_all(before.as_bytes())?;
        match place {
            "policy" => out.write_all(policy().as_bytes())?,
            "styles" => elements("style", &STYLES, &mut out)?,
            "scripts" => elements("script", &SCRIPTS, &mut out)?,
            "data" => embed::write_json(&Embedded::of(runs), &mut out)?,
            _ => {}
        }
        rest = after;
    }
    out.write_all(rest.as_bytes())?;
    out.flush()
}

fn elements(name: &str, texts: &[&str], out: &mut dyn Write) -> io::Result<()> {
    texts.iter().try_for_each(|text| write!(out, "<{name}>{text}</{name}>"))
}

/// Nothing is loaded from anywhere; of scripts and styles only our own run, known by their hashes.
fn policy() -> String {
    let hashes = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text))))
            .collect::<Vec<_>>()
    };
    format!(
        "default-src 'none'; script-src {}; style-src {}; img-src data:; base-uri 'none'; form-action 'none'",
        hashes(&SCRIPTS).join(" "),
        hashes(&STYLES).join(" ")
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::report::Limits;

    fn page(paths: &[&str]) -> String {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
        let runs: Vec<Run> =
            paths.iter().map(|path| Run::read(&fixtures.join(path), &Limits::default()).unwrap()).collect();
        let mut out = Vec::new();
        write_page(&runs, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_page_stands_alone_and_holds_its_data() {
        let page = page(&["aiperf-run-streaming", "aiperf-run-errors", "aiperf-run-errors"]);
        for place in ["{{policy}}", "{{styles}}", "{{scripts}}", "{{data}}", " src=", "<link", "@import"] {
            assert!(!page.contains(place), "{place} is left open or loads something");
        }
        let (_, data) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
        let (data, _) = data.split_once("</script>").unwrap();
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["runs"][0]["requests"]["total"], 40);
        assert_eq!(data["runs"][2]["name"], "aiperf-run-errors (2)");
    }

    #[test]
    fn scripts_and_styles_cannot_end_their_elements() {
        for text in SCRIPTS.iter().chain(&STYLES) {
            let lower = text.to_lowercase();
            assert!(!lower.contains("</script") && !lower.contains("</style") && !lower.contains("<!--"));
            assert!(
                !lower.contains("innerhtml =") && !lower.contains("insertadjacenthtml"),
                "text is never markup"
            );
        }
    }

    #[test]
    fn the_policy_names_each_script_by_its_hash() {
        let policy = policy();
        assert_eq!(policy.matches("'sha256-").count(), SCRIPTS.len() + STYLES.len());
        assert!(!policy.contains("unsafe"));
    }
}
