//! The findings for people: one line for each thing.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use tokmeter_record::WallNs;
use tokmeter_record::format::utc_time;
use tokmeter_record::trace::StampSource;

use super::Findings;
use super::cache::{PrefixCache, Visible};
use super::connection::{Connection, Tls};
use super::dns::Dns;
use super::keep_alive::{KeepAlive, Kept};
use super::machine::Machine;
use super::metrics::MetricsPages;
use super::models::Models;
use super::protocols::{Protocols, Spoken};
use super::stream::Stream;
use crate::console::harmless_cut;
use crate::console::number::integer;

/// Longest line of a finding.
const WIDTH: usize = 300;
/// Model names shown.
const NAMES: usize = 8;

/// Renders the table; all that a server said is made harmless.
pub fn render(found: &Findings) -> String {
    let mut rows = vec![("endpoint", found.url.clone()), ("addresses", addresses(&found.dns))];
    if let Some(connection) = &found.connection {
        rows.push(("connection", reached(connection)));
        if let Some(tls) = &connection.tls {
            rows.push(("TLS", secured(tls)));
            rows.extend(certificate(tls).map(|text| ("certificate", text)));
        }
    }
    rows.extend(found.http.as_ref().map(|http| ("HTTP", protocols(http))));
    rows.extend(found.models.as_ref().map(|list| ("models", models(list))));
    if let Some(seen) = &found.stream {
        rows.push(("answer", answer(seen)));
        if seen.problem.is_none() {
            rows.push(("stream", stream(seen)));
            rows.push(("tokens", tokens(seen)));
        }
    }
    rows.extend(found.keep_alive.as_ref().map(|kept| ("keep-alive", keep_alive(kept))));
    rows.extend(found.prefix_cache.as_ref().map(|cache| ("prefix cache", prefix_cache(cache))));
    rows.extend(found.metrics.as_ref().map(|pages| ("metrics", metrics(pages))));
    rows.push(("this machine", machine(&found.machine)));
    if let Some(calibration) = &found.calibration {
        rows.push(("own error", calibration.line()));
        rows.extend(calibration.remark().map(|remark| ("", remark)));
    }
    let mut text = String::new();
    for (label, value) in rows {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{label:<14}{}", harmless_cut(&value, WIDTH));
    }
    if let Some(next) = &found.next {
        let _ = writeln!(text, "\nnext: {next}");
    }
    text
}

fn ms(value: f64) -> String {
    format!("{value:.1} ms")
}

fn addresses(dns: &Dns) -> String {
    if let Some(problem) = &dns.problem {
        return problem.clone();
    }
    let each = dns.addresses.iter().map(|address| match (address.connect_ms, &address.problem) {
        (Some(time), _) => format!("{} ({})", address.ip, ms(time)),
        (None, problem) => format!("{} ({})", address.ip, problem.as_deref().unwrap_or("not reached")),
    });
    let list = each.collect::<Vec<_>>().join(", ");
    match dns.lookup_ms {
        Some(lookup) => format!("{list}; looked up in {}", ms(lookup)),
        None => list,
    }
}

fn reached(connection: &Connection) -> String {
    let mut parts = Vec::new();
    parts.extend(connection.remote.as_ref().map(|remote| format!("TCP to {remote}")));
    parts.extend(connection.tcp_ms.map(|time| format!("handshake {}", ms(time))));
    parts.extend(connection.http_version.as_ref().map(|version| format!("HTTP/{version}")));
    parts.extend(connection.server.as_ref().map(|server| format!("server {server}")));
    parts.extend(connection.stamps.map(|source| {
        let source = match source {
            StampSource::Kernel => "the kernel's",
            StampSource::Read => "taken at the read",
            StampSource::Frame => "taken at the frame (several requests share a connection)",
        };
        format!("receive stamps {source}")
    }));
    parts.extend(connection.problem.as_ref().map(|problem| format!("failed: {problem}")));
    parts.join(", ")
}

fn secured(tls: &Tls) -> String {
    let mut parts: Vec<String> = [&tls.version, &tls.cipher].into_iter().flatten().cloned().collect();
    parts.push(match &tls.alpn {
        Some(alpn) => format!("ALPN {alpn}"),
        None => "no ALPN".to_owned(),
    });
    parts.extend(tls.handshake_ms.map(|time| format!("handshake {}", ms(time))));
    parts.join(", ")
}

fn certificate(tls: &Tls) -> Option<String> {
    const DAY: i64 = 86_400;
    /// In the year 2255; nanoseconds of later ones do not fit.
    const LAST_DATE: u64 = 9_000_000_000;
    let end = tls.not_after.map(|end| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs() as i64);
        let days = (end - now) / DAY;
        let date = u64::try_from(end).ok().filter(|end| *end < LAST_DATE).map(|end| {
            let date: String = utc_time(WallNs(end * 1_000_000_000)).chars().take(10).collect();
            format!(" ({date})")
        });
        let date = date.unwrap_or_default();
        match end < now {
            true => format!("expired {} days ago{date}", -days),
            false => format!("ends in {days} days{date}"),
        }
    });
    let parts: Vec<String> = end.into_iter().chain(tls.problem.clone()).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn protocols(http: &Protocols) -> String {
    let said = |name: &str, spoken: &Spoken| match (&spoken.problem, spoken.spoken) {
        (_, true) => format!("{name} yes"),
        (Some(problem), false) => format!("{name} no ({})", harmless_cut(problem, 100)),
        (None, false) => format!("{name} no"),
    };
    format!("{}, {}", said("1.1", &http.http1), said("2", &http.http2))
}

fn models(models: &Models) -> String {
    let mut text = match &models.problem {
        Some(problem) => format!("no list at /v1/models ({problem})"),
        None if models.listed.is_empty() => "the list is empty".to_owned(),
        None => models.listed.iter().take(NAMES).cloned().collect::<Vec<_>>().join(", "),
    };
    let more = models.listed.len().saturating_sub(NAMES);
    if more > 0 {
        let _ = write!(text, " and {more} more");
    }
    if let Some(owner) = &models.owned_by {
        let _ = write!(text, "; owned by {owner}");
    }
    if let Some(length) = models.max_model_len {
        let _ = write!(text, "; context {} tokens", integer(length));
    }
    match &models.used {
        Some(used) if models.listed.len() != 1 => {
            let _ = write!(text, "; asked: {used}");
        }
        _ => {}
    }
    text
}

fn answer(seen: &Stream) -> String {
    let mut parts = Vec::new();
    parts.extend(seen.status.map(|status| format!("status {status}")));
    parts.extend(seen.content_type.clone());
    parts.extend(seen.first_token_ms.map(|time| format!("first token after {}", ms(time))));
    parts.extend(seen.finish_reason.as_ref().map(|reason| format!("finish reason {reason}")));
    if seen.reasoning {
        parts.push("with reasoning".to_owned());
    }
    if seen.legacy_max_tokens {
        parts.push("takes max_tokens only".to_owned());
    }
    parts.extend(seen.problem.as_ref().map(|problem| format!("failed: {problem}")));
    parts.join(", ")
}

fn stream(seen: &Stream) -> String {
    if !seen.streams {
        return "no: the answer came whole".to_owned();
    }
    let mut parts = vec![format!("yes, {} events", seen.events)];
    parts.push(format!("line ends {}", seen.line_ends.join(" and ")));
    if seen.coalesced_events > 0 {
        parts.push(format!("{} events shared a read with an earlier one", seen.coalesced_events));
    }
    if seen.comments > 0 {
        parts.push(format!("{} comments", seen.comments));
    }
    parts.push(if seen.done_marker { "ends with [DONE]" } else { "no [DONE]" }.to_owned());
    parts.join(", ")
}

fn tokens(seen: &Stream) -> String {
    let count = |tokens: Option<i64>| tokens.map_or_else(|| "?".to_owned(), |tokens| tokens.to_string());
    let usage = match seen.usage {
        true => format!(
            "usage object: {} prompt, {} completion",
            count(seen.prompt_tokens),
            count(seen.completion_tokens)
        ),
        false => "no usage object; tokens will be counted here".to_owned(),
    };
    match seen.tokens_per_event {
        Some(ratio) => format!("{usage}; {ratio:.2} tokens per event"),
        None => usage,
    }
}

fn keep_alive(kept: &KeepAlive) -> String {
    let said = |kept: Option<Kept>| match kept {
        Some(Kept::Open) => "kept",
        Some(Kept::Closed) => "closed",
        Some(Kept::ClosedLate) => "closed without a word, seen only by the next request",
        None => "not known",
    };
    match kept.after_answer {
        Some(_) => {
            format!("{} after a page, {} after an answer", said(kept.after_page), said(kept.after_answer))
        }
        None => format!("{} after a page", said(kept.after_page)),
    }
}

fn prefix_cache(cache: &PrefixCache) -> String {
    let times = cache
        .first_ms
        .zip(cache.again_ms)
        .map(|(first, again)| format!("first token after {}, again after {}", ms(first), ms(again)));
    let times = times.unwrap_or_else(|| "no first token to compare".to_owned());
    match cache.visible {
        Visible::Counted => {
            let of = cache.prompt_tokens.map_or_else(String::new, |tokens| format!(" of {tokens}"));
            let cached = cache.cached_tokens.unwrap_or(0);
            format!("yes: {cached}{of} tokens of a repeated prompt cached; {times}")
        }
        Visible::Faster => format!("likely, though the server counts no cached tokens: {times}"),
        Visible::No => format!("none seen: {times}"),
        Visible::Unknown => {
            format!("not known: {}", cache.problem.as_deref().unwrap_or("the long prompt was not answered"))
        }
    }
}

fn metrics(pages: &MetricsPages) -> String {
    match pages.path {
        Some(path) => {
            let engine = pages.engine.map_or("an engine we do not know", |engine| engine.display());
            format!("{path}: {} metrics, by their names of {engine}", pages.metrics)
        }
        None => {
            let tried = pages.elsewhere.iter().map(|page| format!("{} ({})", page.path, page.problem));
            format!("none at {}", tried.collect::<Vec<_>>().join(", "))
        }
    }
}

fn machine(machine: &Machine) -> String {
    let limit = |limit: Option<u64>| limit.map_or_else(|| "unlimited".to_owned(), integer);
    let ports = match (machine.local_ports, machine.port_count()) {
        (Some((first, last)), Some(count)) => format!("{} local ports ({first}-{last})", integer(count)),
        _ => "local ports not known".to_owned(),
    };
    format!(
        "{} cores, open files {} (hard limit {}), {ports}",
        machine.cores,
        limit(machine.open_files_soft),
        limit(machine.open_files_hard)
    )
}
