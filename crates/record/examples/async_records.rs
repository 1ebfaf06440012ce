//! Records in an async program: tokio reads the bytes, [`RecordFeed`] makes records of them.
//!
//! ```text
//! cargo run -p tokmeter-record --example async_records -- artifacts/my-run
//! ```

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;

use tokio::io::AsyncReadExt;
use tokmeter_record::format::records::RecordFeed;
use tokmeter_record::metric::catalogue::OUTPUT_SEQUENCE_LENGTH;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = PathBuf::from(std::env::args().nth(1).ok_or("which directory?")?);
    tokio::runtime::Builder::new_current_thread().build()?.block_on(count(directory))
}

async fn count(directory: PathBuf) -> Result<(), Box<dyn Error>> {
    let mut file = tokio::fs::File::open(directory.join("profile_export.jsonl")).await?;
    let mut records = RecordFeed::new("profile_export.jsonl");
    let mut buffer = vec![0; 1 << 16];
    let (mut count, mut tokens) = (0, 0.0);
    loop {
        let length = file.read(&mut buffer).await?;
        match length {
            0 => records.end(),
            _ => records.feed(&buffer[..length]),
        }
        for record in records.by_ref() {
            tokens += record?.metrics.number(OUTPUT_SEQUENCE_LENGTH).unwrap_or(0.0);
            count += 1;
        }
        if length == 0 {
            break;
        }
    }
    writeln!(std::io::stdout().lock(), "{count} records, {tokens} output tokens")?;
    Ok(())
}
