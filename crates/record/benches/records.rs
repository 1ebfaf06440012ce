//! What a record costs: writing its line, reading it back, taking it into the statistics, and the end of a
//! run. `cargo bench -p tokmeter-record` prints a table; an argument sets the number of records.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

use tokmeter_record::format::records::{RecordReader, write_line};
use tokmeter_record::metric::catalogue as c;
use tokmeter_record::statistics::{Options, RunStatistics, Window};
use tokmeter_record::{MetricId, RequestRecord, WallNs};

/// A record like those of a streamed chat: about 45 metrics and a gap for each token after the first.
fn record(number: u64, tokens: u64) -> RequestRecord {
    let mut record = RequestRecord::default();
    let start = 1_795_322_200_000_000_000 + number * 500_000;
    let metadata = &mut record.metadata;
    metadata.session_num = Some(number);
    metadata.x_request_id = Some(format!("38541192-db23-463d-8389-{number:012x}"));
    metadata.x_correlation_id = Some(format!("78475519-58e2-416f-a5d4-{number:012x}"));
    metadata.conversation_id = Some(format!("session_{number:06}"));
    metadata.turn_index = Some(0);
    metadata.credit_issued_ns = Some(WallNs(start - 1_000));
    metadata.request_start_ns = WallNs(start);
    metadata.worker_id = "worker_00000000".into();
    metadata.record_processor_id = "record_processor_00000000".into();
    let gaps: Vec<u64> =
        (0..tokens - 1).map(|i| 5_000_000 + (i * 7919 + number * 104_729) % 4_000_000).collect();
    let ttft = 30_000_000 + number * 7919 % 20_000_000;
    let latency = ttft + gaps.iter().sum::<u64>();
    metadata.request_end_ns = WallNs(start + latency + 150_000);
    let metrics = &mut record.metrics;
    metrics.ms(c::TIME_TO_FIRST_TOKEN, ttft);
    metrics.ms(c::TIME_TO_FIRST_OUTPUT_TOKEN, ttft);
    metrics.ms(c::TIME_TO_SECOND_TOKEN, gaps[0]);
    metrics.ms(c::REQUEST_LATENCY, latency);
    metrics.ms(c::DECODE_DURATION, latency - ttft);
    metrics.float(c::INTER_TOKEN_LATENCY, (latency - ttft) as f64 / 1e6 / (tokens - 1) as f64);
    metrics.float(c::OUTPUT_TOKEN_THROUGHPUT_PER_USER, 1e9 * (tokens - 1) as f64 / (latency - ttft) as f64);
    metrics.int(c::INPUT_SEQUENCE_LENGTH, 550);
    metrics.int(c::OUTPUT_SEQUENCE_LENGTH, tokens as i64);
    metrics.int(c::OUTPUT_TOKEN_COUNT, tokens as i64);
    metrics.int(c::REQUESTED_OSL, tokens as i64);
    metrics.list(c::INTER_CHUNK_LATENCY, gaps.iter().map(|&gap| gap as f64 / 1e6).collect());
    let with_prefix = |prefix: &'static str| MetricId::all().filter(move |id| id.tag().starts_with(prefix));
    for (place, id) in with_prefix("http_req_").enumerate() {
        metrics.ms(id, 10_000 + (number * 31 + place as u64 * 17) % 100_000);
    }
    for id in with_prefix("usage_").take(8) {
        metrics.int(id, 64 + number as i64 % 11);
    }
    record
}

fn per_record<T>(count: u64, work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let value = work();
    (start.elapsed().as_secs_f64() * 1e6 / count as f64, value)
}

fn main() {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(100_000);
    println!(
        "| tokens | records | metrics | write us | line B | read us | add us | bytes/record | finish us/record | finish s |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for tokens in [16, 100] {
        let sample: Vec<RequestRecord> = (0..1000).map(|number| record(number, tokens)).collect();
        let mut line = Vec::new();
        let (write, ()) = per_record(20_000, || {
            for round in 0..20 {
                for record in &sample {
                    line.clear();
                    write_line(&mut line, black_box(record));
                }
                black_box(round);
            }
        });
        let mut file = Vec::new();
        sample.iter().for_each(|record| write_line(&mut file, record));
        let (read, _) = per_record(5_000, || {
            (0..5)
                .map(|_| RecordReader::new("memory", &file[..]).filter(Result::is_ok).count())
                .sum::<usize>()
        });
        let mut statistics = RunStatistics::new(Options::default());
        let mut adding = 0.0;
        let mut number = 0;
        while number < count {
            let batch: Vec<RequestRecord> =
                (number..number + 1000).map(|number| record(number, tokens)).collect();
            let (took, ()) = per_record(1, || batch.iter().for_each(|record| statistics.add(record)));
            adding += took;
            number += 1000;
        }
        let bytes = statistics.bytes() as u64 / number;
        let start = 1_795_322_200_000_000_000;
        let window = Window::new(WallNs(start), WallNs(start + number * 500_000 + 2_000_000_000));
        let (finish, summary) = per_record(number, || statistics.finish(&window));
        println!(
            "| {tokens} | {number} | {} | {write:.2} | {} | {read:.2} | {:.2} | {bytes} | {finish:.2} | {:.2} |",
            sample[0].metrics.len(),
            file.len() / sample.len(),
            adding / number as f64,
            finish * number as f64 / 1e6,
        );
        assert_eq!(summary.counts.succeeded, number);
        summary.notes.iter().for_each(|note| println!("note: {note}"));
    }
}
