//! Recomputes the summary of a run from its records, ours or AIPerf's, and prints it as JSON:
//!
//! ```text
//! cargo run -p tokmeter-record --example recompute_summary -- artifacts/my-run
//! ```

use std::error::Error;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use tokmeter_record::RunStatistics;
use tokmeter_record::format::SummaryDocument;
use tokmeter_record::format::names::ArtifactNames;
use tokmeter_record::format::records::RecordReader;
use tokmeter_record::statistics::Options;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = PathBuf::from(std::env::args().nth(1).ok_or("which directory?")?);
    let written = SummaryDocument::read(File::open(ArtifactNames::new(&directory, None).summary_json())?)?;
    let window = written.window();

    let mut statistics = RunStatistics::new(Options::default());
    let mut records = RecordReader::open(&directory)?.tolerant();
    for record in records.by_ref() {
        statistics.add(&record);
    }
    let mut document = SummaryDocument::of(&statistics.finish(&window), &window);
    document.benchmark_id = written.benchmark_id;
    document.input_config = written.input_config;
    document.run_info = written.run_info;
    if records.bad_lines().count > 0 {
        let named = records.bad_lines().named.clone();
        document.tokmeter.insert("bad_lines".into(), named.into());
    }
    document.write(io::stdout().lock())?;
    Ok(())
}
