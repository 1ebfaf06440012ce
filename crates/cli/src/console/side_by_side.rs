//! Client and server side by side, with what the difference is made of.

use std::fmt::Write;

use tokmeter_record::server::comparison::{Comparison, Side, SideBySide};
use tokmeter_record::server::without_credentials;

use super::number::grouped;
use super::{harmless, table};

/// One table for each engine; nothing without one.
pub fn tables(sides: &[SideBySide], width: u16) -> String {
    sides.iter().map(|side| one(side, width)).collect::<Vec<_>>().join("\n")
}

fn one(side: &SideBySide, width: u16) -> String {
    let name = side.engine.display();
    let urls: Vec<String> = side.endpoint_urls.iter().map(|url| without_credentials(url)).collect();
    let title = format!("Client and server | {name} at {}", harmless(&urls.join(", ")));
    let rows: Vec<Vec<String>> = side.rows.iter().flat_map(rows).collect();
    let mut text = table::render(&title, &["", "client", name, "difference"], &rows, width);
    for row in side.rows.iter().filter(|row| !row.shares.is_empty()) {
        let parts: Vec<String> =
            row.shares.iter().map(|share| format!("{} {}", share.cause.label(), grouped(share.ms))).collect();
        let difference = row.difference.map_or_else(String::new, grouped);
        let _ = writeln!(text, "{}: {difference} = {}", row.quantity.label(), parts.join(" + "));
    }
    if let Some(lag) = side.client_lag_ms {
        let _ = writeln!(
            text,
            "client lag {} ms is in none of these: receive stamps are the kernel's",
            grouped(lag)
        );
    }
    for note in &side.notes {
        let _ = writeln!(text, "note: {}", harmless(note));
    }
    text
}

/// The lines of a quantity: its total or mean, and further statistics that both sides have.
fn rows(row: &Comparison) -> Vec<Vec<String>> {
    let label = row.quantity.label();
    let cell = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), grouped);
    if row.client.total.or(row.server.total).is_some() {
        return vec![vec![
            label.to_owned(),
            cell(row.client.total),
            cell(row.server.total),
            cell(row.difference),
        ]];
    }
    const STATISTICS: [&str; 4] = ["avg", "p50", "p99", "max"];
    let figures = |side: &Side| [side.avg, side.p50, side.p99, side.max];
    let both = figures(&row.client).into_iter().zip(figures(&row.server));
    let lines = STATISTICS.into_iter().zip(both).filter_map(|(name, (client, server))| {
        server?;
        // The server's percentiles are read from buckets.
        let estimated = if name.starts_with('p') { "~" } else { "" };
        let difference = client.zip(server).map(|(client, server)| client - server);
        let server = server.map_or_else(String::new, |value| format!("{estimated}{}", grouped(value)));
        let difference =
            difference.map_or_else(|| "-".to_owned(), |value| format!("{estimated}{}", grouped(value)));
        Some(vec![format!("{label} {name}"), cell(client), server, difference])
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use tokmeter_record::server::comparison::{Cause, Compared, Share};
    use tokmeter_record::server::known::Engine;

    use super::*;

    #[test]
    fn a_table_names_the_parts_of_a_difference() {
        let client = Side { avg: Some(25.0), p99: Some(30.0), ..Side::default() };
        let server = Side { avg: Some(20.0), p99: Some(28.0), ..Side::default() };
        let shares =
            vec![Share { cause: Cause::ConnectionSetup, ms: 1.5 }, Share { cause: Cause::Network, ms: 3.5 }];
        let latency = Comparison {
            quantity: Compared::TimeToFirstToken,
            server_metrics: Vec::new(),
            client,
            server,
            difference: Some(5.0),
            shares,
        };
        let total = |total| Side { total: Some(total), ..Side::default() };
        let tokens = Comparison {
            quantity: Compared::OutputTokens,
            server_metrics: Vec::new(),
            client: total(1440.0),
            server: total(1440.0),
            difference: Some(0.0),
            shares: Vec::new(),
        };
        let side = SideBySide {
            engine: Engine::Vllm,
            endpoint_urls: vec!["http://user:secret@h:8000/metrics".into()],
            rows: vec![latency, tokens],
            client_lag_ms: Some(0.25),
            notes: vec!["a note".to_owned()],
        };
        let text = tables(&[side], 100);
        for line in [
            "Client and server | vLLM at http://h:8000/metrics",
            "Time to first token (ms): 5.00 = connection set-up 1.50 + network and HTTP layer 3.50",
            "client lag 0.25 ms is in none of these: receive stamps are the kernel's",
            "note: a note",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
        let words = |begin: &str| {
            let line = text.lines().map(str::trim_start).find(|line| line.starts_with(begin)).expect(begin);
            line[begin.len()..].split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(words("Time to first token (ms) avg"), ["25.00", "20.00", "5.00"]);
        assert_eq!(words("Time to first token (ms) p99"), ["30.00", "~28.00", "~2.00"]);
        assert_eq!(words("Output tokens"), ["1,440.00", "1,440.00", "0.00"]);
    }
}
