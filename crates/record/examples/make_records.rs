//! Writes made-up record lines with trace data to standard output, for timing `analyze` and friends:
//!
//! ```text
//! cargo run --release -p tokmeter-record --example make_records -- 1000000 > profile_export.jsonl
//! ```
//! Lines have about 2 KB: the usual metrics, headers, and 12 to 20 response chunks. The same arguments give the same
//! bytes. A second argument is a factor on all waiting times: 1.05 is a server that is 5 % slower; a third one is the
//! seed.

use std::error::Error;
use std::io::{self, BufWriter, Write};

/// A small generator with good enough bits for made-up data (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in (0, 1].
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 1.0) / (1u64 << 53) as f64
    }

    /// A skewed duration in ns: at least `floor`, with an exponential tail of mean `tail`.
    fn duration(&mut self, floor: f64, tail: f64) -> u64 {
        (floor - tail * self.uniform().ln()) as u64
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let count: u64 = arguments.next().unwrap_or_else(|| "1000".to_owned()).parse()?;
    let factor: f64 = arguments.next().unwrap_or_else(|| "1".to_owned()).parse()?;
    let seed: u64 = arguments.next().unwrap_or_else(|| "1".to_owned()).parse()?;
    let mut random = Random(seed);
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    for number in 0..count {
        line(&mut out, &mut random, number, factor)?;
    }
    out.flush()?;
    Ok(())
}

fn line(out: &mut impl Write, random: &mut Random, number: u64, factor: f64) -> io::Result<()> {
    let start = 1_800_000_000_000_000_000 + number * 1_000_000;
    let new_connection = number.is_multiple_of(100);
    let ms = |ns: u64| ns as f64 / 1e6;

    let connecting = if new_connection { random.duration(2e5, 1e5) } else { 0 };
    let send_start = start + 40_000 + connecting;
    let send_end = send_start + random.duration(2e4, 1e4);
    let waiting = random.duration(3e7 * factor, 1e7 * factor);
    let first = send_end + waiting;
    let chunk_count = 12 + random.next() % 9;
    let mut instants = vec![first];
    for _ in 1..chunk_count {
        let last = instants[instants.len() - 1];
        instants.push(last + random.duration(5e6 * factor, 1e6 * factor));
    }
    let last = instants[instants.len() - 1];
    let input = 50 + random.next() % 2_000;
    let output = chunk_count - 1;
    let bytes = chunk_count * 211;
    let (ttft, latency) = (ms(first - start), ms(last - start));
    let itl = (latency - ttft) / (output.max(2) - 1) as f64;

    write!(
        out,
        concat!(
            r#"{{"metadata":{{"session_num":{},"x_request_id":"{:08x}-0000-4000-8000-{:012x}","#,
            r#""x_correlation_id":"{:08x}-0000-4000-9000-{:012x}","conversation_id":"session_{:06}","turn_index":0,"#,
            r#""credit_issued_ns":{},"request_start_ns":{},"request_ack_ns":{},"request_end_ns":{},"#,
            r#""worker_id":"worker_0","record_processor_id":"record_processor_0","benchmark_phase":"profiling","#,
            r#""phase_index":0,"profiling_index":0,"phase_name":"profiling","phase_kind":"profiling","#,
            r#""was_cancelled":false}},"metrics":{{"#
        ),
        number,
        number,
        number,
        number,
        number,
        number % 1_000,
        start - 20_000,
        start,
        first,
        last
    )?;
    let times = [
        ("time_to_first_token", ttft),
        ("request_latency", latency),
        ("inter_token_latency", itl),
        ("decode_duration", latency - ttft),
        ("http_req_blocked", 0.0),
        ("http_req_connecting", ms(connecting)),
        ("http_req_sending", ms(send_end - send_start)),
        ("http_req_waiting", ms(waiting)),
        ("http_req_receiving", ms(last - first)),
        ("http_req_duration", ms(last - send_start)),
    ];
    for (tag, value) in times {
        write!(out, r#""{tag}":{{"value":{value:?},"unit":"ms"}},"#)?;
    }
    write!(
        out,
        concat!(
            r#""output_token_throughput_per_user":{{"value":{:?},"unit":"tokens/sec/user"}},"#,
            r#""input_sequence_length":{{"value":{},"unit":"tokens"}},"#,
            r#""output_sequence_length":{{"value":{},"unit":"tokens"}}}},"#,
            r#""trace_data":{{"trace_type":"hyper","start_ns":{},"request_send_start_ns":{},"#,
            r#""request_headers":{{"accept":"text/event-stream","content-type":"application/json"}},"#,
            r#""request_headers_sent_ns":{},"request_chunks":[[{},{}]],"request_send_end_ns":{},"#,
            r#""request_chunks_count":1,"request_bytes_total":{},"response_status_code":200,"#,
            r#""response_headers_received_ns":{},"response_receive_start_ns":{},"response_chunks":["#
        ),
        1e3 / itl,
        input,
        output,
        start,
        send_start,
        send_end,
        send_end,
        input * 5,
        send_end,
        input * 5,
        first,
        first
    )?;
    for (index, instant) in instants.iter().enumerate() {
        write!(out, "{}[{instant},211]", if index == 0 { "" } else { "," })?;
    }
    write!(
        out,
        r#"],"response_chunks_count":{chunk_count},"response_bytes_total":{bytes},"response_receive_end_ns":{last}"#
    )?;
    if new_connection {
        write!(out, r#","tcp_connect_start_ns":{start},"tcp_connect_end_ns":{}"#, start + connecting)?;
    } else {
        write!(out, r#","connection_reused_ns":{start}"#)?;
    }
    writeln!(out, r#","connection_request_number":{},"stamp_source":"kernel"}}}}"#, number % 100 + 1)
}
