//! The unit of a metric, inferred from its help text and its name (FORMATS 7.4).
//!
//! In this order: a scale in the text (`0-1`, `1 means 100 percent`); a tag like `(in MiB)`; a phrase like
//! `in seconds` or `(ms)`; the longest known suffix of the name; `num_requests_` in the name.

/// Units by suffix of the family name, without regard to case.
const SUFFIXES: &[(&str, &str)] = &[
    ("_seconds", "seconds"),
    ("_seconds_total", "seconds"),
    ("_milliseconds", "milliseconds"),
    ("_ms", "milliseconds"),
    ("_ms_total", "milliseconds"),
    ("_nanoseconds", "nanoseconds"),
    ("_ns", "nanoseconds"),
    ("_ns_total", "nanoseconds"),
    ("_bytes", "bytes"),
    ("_kilobytes", "kilobytes"),
    ("_megabytes", "megabytes"),
    ("_gigabytes", "gigabytes"),
    ("_bytes_total", "bytes"),
    ("_total", "count"),
    ("_count", "count"),
    ("_tokens", "tokens"),
    ("_tokens_total", "tokens"),
    ("_requests", "requests"),
    ("_requests_total", "requests"),
    ("request_success", "requests"),
    ("_errors", "errors"),
    ("_errors_total", "errors"),
    ("_error_count", "errors"),
    ("_error_count_total", "errors"),
    ("_reqs", "requests"),
    ("_blocks", "blocks"),
    ("_blocks_total", "blocks"),
    ("_block_count", "blocks"),
    ("_gb_s", "gb/s"),
    ("_ratio", "ratio"),
    ("_percent", "percent"),
    ("_perc", "percent"),
    ("_celsius", "celsius"),
    ("_joules", "joule"),
    ("_watts", "watt"),
];

/// Units of `(in X)`, in exact case: `mJ` and `MJ` differ.
const TAGS: &[(&str, &str)] = &[
    ("MiB", "megabytes"),
    ("GiB", "gigabytes"),
    ("KiB", "kilobytes"),
    ("B", "bytes"),
    ("MB", "megabytes"),
    ("GB", "gigabytes"),
    ("KB", "kilobytes"),
    ("TB", "terabytes"),
    ("C", "celsius"),
    ("°C", "celsius"),
    ("F", "fahrenheit"),
    ("°F", "fahrenheit"),
    ("K", "kelvin"),
    ("Hz", "hertz"),
    ("MHz", "megahertz"),
    ("GHz", "gigahertz"),
    ("W", "watt"),
    ("mW", "milliwatt"),
    ("J", "joule"),
    ("mJ", "millijoule"),
    ("MJ", "megajoule"),
    ("s", "seconds"),
    ("sec", "seconds"),
    ("ms", "milliseconds"),
    ("ns", "nanoseconds"),
    ("us", "microseconds"),
    ("µs", "microseconds"),
    ("GB/s", "gb/s"),
    ("MB/s", "mb/s"),
    ("%", "percent"),
    ("percent", "percent"),
];

/// Words that name a unit after `in ` or alone in parentheses, in lower case. Rates stand before the word
/// they begin with.
const WORDS: &[(&str, &str)] = &[
    ("tokens per second", "tokens/s"),
    ("tokens/second", "tokens/s"),
    ("tokens/sec", "tokens/s"),
    ("tokens/s", "tokens/s"),
    ("requests per second", "requests/s"),
    ("requests/second", "requests/s"),
    ("requests/sec", "requests/s"),
    ("requests/s", "requests/s"),
    ("gb/s", "gb/s"),
    ("mb/s", "mb/s"),
    ("milliseconds", "milliseconds"),
    ("millisecond", "milliseconds"),
    ("microseconds", "microseconds"),
    ("microsecond", "microseconds"),
    ("nanoseconds", "nanoseconds"),
    ("nanosecond", "nanoseconds"),
    ("seconds", "seconds"),
    ("second", "seconds"),
    ("ms", "milliseconds"),
    ("ns", "nanoseconds"),
    ("bytes", "bytes"),
];

/// The unit of a metric; none when nothing tells it.
pub fn infer(name: &str, description: &str) -> Option<&'static str> {
    scale(description)
        .or_else(|| tag(description))
        .or_else(|| phrase(description))
        .or_else(|| suffix(name))
        .or_else(|| name.to_ascii_lowercase().contains("num_requests_").then_some("requests"))
}

/// `0-1`, `0.0 to 1.0`, `1 means 100 percent`, `1 is 100%`, `1==100%`: ratio. `0-100`: percent.
fn scale(text: &str) -> Option<&'static str> {
    let numbers = numbers(text);
    for (index, first) in numbers.iter().enumerate() {
        let Some(second) = numbers.get(index + 1) else { break };
        let between = text[first.end..second.start].trim().to_lowercase();
        match (first.value, second.value) {
            (0.0, upper) if matches!(&*between, "-" | "–" | "—" | "to") => match upper {
                1.0 => return Some("ratio"),
                100.0 => return Some("percent"),
                _ => {}
            },
            (1.0, 100.0) if matches!(&*between, "means" | "is" | "equals" | "=" | "==") => {
                let after = text[second.end..].trim_start();
                if after.starts_with('%') || after.to_lowercase().starts_with("percent") {
                    return Some("ratio");
                }
            }
            _ => {}
        }
    }
    None
}

struct Number {
    start: usize,
    end: usize,
    value: f64,
}

/// Plain decimal numbers that are not part of a word.
fn numbers(text: &str) -> Vec<Number> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && (bytes[at].is_ascii_digit() || bytes[at] == b'.') {
            at += 1;
        }
        // A full stop that ends the sentence is no decimal point.
        let digits = text[start..at].trim_end_matches('.');
        let part_of_word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let word_before = text[..start].chars().next_back().is_some_and(part_of_word);
        let word_after = text[at..].chars().next().is_some_and(|c| c.is_alphanumeric() || c == '_');
        if !word_before
            && !word_after
            && let Ok(value) = digits.parse()
        {
            found.push(Number { start, end: start + digits.len(), value });
        }
    }
    found
}

/// `(in X)` with one of the known tags.
fn tag(text: &str) -> Option<&'static str> {
    let mut rest = text;
    while let Some(at) = rest.find("(in ") {
        rest = &rest[at + 4..];
        let end = rest.find(')')?;
        if let Some((_, unit)) = TAGS.iter().find(|(tag, _)| *tag == rest[..end].trim()) {
            return Some(unit);
        }
    }
    None
}

/// `in seconds`, `(ms)`, `in tokens/s`, without regard to case.
fn phrase(text: &str) -> Option<&'static str> {
    let text = text.to_lowercase();
    for (at, _) in text.match_indices("in ") {
        let begins_word = !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if !begins_word {
            continue;
        }
        let rest = text[at + 3..].trim_start();
        let words = WORDS.iter().chain(&[("tokens", "tokens")]);
        if let Some(unit) = words.into_iter().find_map(|(word, unit)| whole_word(rest, word).then_some(*unit))
        {
            return Some(unit);
        }
    }
    for (at, _) in text.match_indices('(') {
        let rest = &text[at + 1..];
        let Some(end) = rest.find(')') else { break };
        if let Some((_, unit)) = WORDS.iter().find(|(word, _)| *word == rest[..end].trim()) {
            return Some(unit);
        }
    }
    None
}

fn whole_word(text: &str, word: &str) -> bool {
    text.strip_prefix(word)
        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '/'))
}

fn suffix(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    SUFFIXES
        .iter()
        .filter(|(suffix, _)| name.ends_with(suffix))
        .max_by_key(|(suffix, _)| suffix.len())
        .map(|(_, unit)| *unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Vectors {
        suffixes: std::collections::BTreeMap<String, String>,
        paren_tags: std::collections::BTreeMap<String, String>,
        cases: Vec<Case>,
    }

    #[derive(serde::Deserialize)]
    struct Case {
        name: String,
        description: Option<String>,
        unit: Option<String>,
    }

    #[test]
    fn reference_cases() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/vectors/units.json");
        let text = std::fs::read_to_string(path).expect("the vectors are there");
        let vectors: Vectors = serde_json::from_str(&text).expect("the vectors are JSON");
        assert_eq!(vectors.cases.len(), 169);
        for case in &vectors.cases {
            let description = case.description.as_deref().unwrap_or_default();
            assert_eq!(infer(&case.name, description), case.unit.as_deref(), "{} / {description}", case.name);
        }
        assert_eq!(vectors.suffixes.len(), SUFFIXES.len());
        for (suffix, unit) in &vectors.suffixes {
            assert_eq!(infer(&format!("x{suffix}"), ""), Some(&**unit), "{suffix}");
        }
        assert_eq!(vectors.paren_tags.len(), TAGS.len());
        for (tag, unit) in &vectors.paren_tags {
            assert_eq!(infer("x", &format!("something (in {tag}).")), Some(&**unit), "{tag}");
        }
    }

    #[test]
    fn what_real_pages_say() {
        for (name, description, unit) in [
            ("vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", Some("ratio")),
            (
                "llamacpp:predicted_tokens_seconds",
                "Average generation throughput in tokens/s",
                Some("tokens/s"),
            ),
            ("DCGM_FI_DEV_FB_USED", "Framebuffer memory used (in MiB).", Some("megabytes")),
            ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "Total energy since boot (in mJ).", Some("millijoule")),
            ("x", "Decode throughput in tokens per second.", Some("tokens/s")),
            ("x", "Used within seconds", None),
            ("x", "Schema 1.0-1", None),
        ] {
            assert_eq!(infer(name, description), unit, "{name} / {description}");
        }
    }
}
