//! Cost of reading one server-sent event, for both readers. `cargo bench -p tokmeter-http --bench sse`
//!
//! Goal: under 100 ns for an event of 250 bytes that arrives in a read of its own.

#![allow(clippy::print_stdout, reason = "a bench prints its table")]

use std::hint::black_box;
use std::time::Instant;

use tokmeter_http::exchange::StampedBody;
use tokmeter_http::sse::{self, Parser};
use tokmeter_record::MonoNs;

const EVENTS: usize = 10_000;
const ROUNDS: usize = 50;

fn main() {
    println!("{:<34} {:>12} {:>12}", "stream of events of 250 bytes", "median ns", "best ns");
    for (name, line_end) in [("LF", "\n"), ("CRLF", "\r\n")] {
        let data = "x".repeat(250 - "data: ".len() - 2 * line_end.len());
        let event = format!("data: {data}{line_end}{line_end}");
        let mut body = StampedBody::default();
        for i in 0..EVENTS {
            body.append(event.as_bytes(), MonoNs(i as u64));
        }
        report(&format!("{name}, finished body"), || {
            sse::events(black_box(&body)).map(|event| event.data.len()).sum()
        });
        report(&format!("{name}, pushed, one event a read"), || pushed(&body, event.len()));
        report(&format!("{name}, pushed, reads of 1000 bytes"), || pushed(&body, 1000));
        report(&format!("{name}, pushed, reads of 97 bytes"), || pushed(&body, 97));
    }
}

fn pushed(body: &StampedBody, read: usize) -> usize {
    let (mut parser, mut bytes) = (Parser::default(), 0);
    for (i, piece) in body.bytes.chunks(read).enumerate() {
        let outcome = parser.push(black_box(piece), MonoNs(i as u64), &mut |event| bytes += event.data.len());
        assert_eq!(outcome, Ok(()));
    }
    bytes
}

fn report(name: &str, read: impl Fn() -> usize) {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            black_box(read());
            start.elapsed().as_nanos() as f64 / EVENTS as f64
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!("{name:<34} {:>12.1} {:>12.1}", rounds[ROUNDS / 2], rounds[0]);
}
