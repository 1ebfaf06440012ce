//! What did the slowest requests ask for? Joins records with `inputs.json`:
//!
//! ```text
//! cargo run -p tokmeter-record --example slowest_inputs -- artifacts/my-run
//! ```

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;

use tokmeter_record::format::inputs::Inputs;
use tokmeter_record::format::records::RecordReader;
use tokmeter_record::metric::catalogue::{REQUEST_LATENCY, TIME_TO_FIRST_TOKEN};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = PathBuf::from(std::env::args().nth(1).ok_or("which directory?")?);
    let inputs = Inputs::open(&directory.join("inputs.json"))?;
    let records = RecordReader::open(&directory)?.tolerant();

    let mut joined: Vec<_> = inputs.join(records).filter(|(record, _)| record.is_success()).collect();
    let latency =
        |record: &tokmeter_record::RequestRecord| record.metrics.number(REQUEST_LATENCY).unwrap_or(0.0);
    joined.sort_by(|(a, _), (b, _)| latency(b).total_cmp(&latency(a)));

    let mut out = std::io::stdout().lock();
    for (record, payload) in joined.iter().take(5) {
        writeln!(
            out,
            "{} latency {:.1} ms, first token {:?} ms: {}",
            record.metadata.x_request_id.as_deref().unwrap_or("?"),
            latency(record),
            record.metrics.number(TIME_TO_FIRST_TOKEN),
            payload.map_or("input not in inputs.json", |payload| payload.get()),
        )?;
    }
    Ok(())
}
