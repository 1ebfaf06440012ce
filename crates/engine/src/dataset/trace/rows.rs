//! Traces in CSV: BurstGPT and Azure's LLM inference traces. One request a row; the prompts are ours.

use std::path::Path;
use std::time::Duration;

use super::super::error::DatasetError;
use super::super::file::{LoadContext, open};
use super::super::messages::{duration_ms, millis};
use super::{Asked, Record, Trace, check_blocks};

/// Columns of a format: instant, input tokens, output tokens.
pub(in super::super) const BURST_GPT: [&str; 3] = ["Timestamp", "Request tokens", "Response tokens"];
/// The same of Azure's traces.
pub(in super::super) const AZURE: [&str; 3] = ["TIMESTAMP", "ContextTokens", "GeneratedTokens"];

/// BurstGPT: seconds since the start (<https://github.com/HPMLL/BurstGPT>).
pub(in super::super) fn burst_gpt(path: &Path, context: &LoadContext<'_>) -> Result<Trace, DatasetError> {
    read(path, context, BURST_GPT, |text| {
        let seconds: f64 = text.trim().parse().map_err(|_| format!("`{text}` is no number of seconds"))?;
        Ok(millis(Some(seconds * 1e3), "Timestamp")?.map_or(Duration::ZERO, duration_ms))
    })
}

/// Azure: dates and times, counted here from the first
/// (<https://github.com/Azure/AzurePublicDataset>).
pub(in super::super) fn azure(path: &Path, context: &LoadContext<'_>) -> Result<Trace, DatasetError> {
    let mut first = None;
    read(path, context, AZURE, |text| {
        let (plain, shift) = without_offset(text.trim());
        let civil: jiff::civil::DateTime =
            plain.parse().map_err(|_| format!("`{text}` is no date and time"))?;
        let nanos = civil
            .to_zoned(jiff::tz::TimeZone::UTC)
            .map_err(|error| error.to_string())?
            .timestamp()
            .as_nanosecond()
            - i128::from(shift) * 1_000_000_000;
        let since_first = nanos - *first.get_or_insert(nanos);
        u64::try_from(since_first)
            .map(Duration::from_nanos)
            .map_err(|_| format!("`{text}` is before the first row"))
    })
}

/// A timestamp without its trailing `Z` or `+00:00`, and that offset in seconds.
fn without_offset(text: &str) -> (&str, i64) {
    if let Some(plain) = text.strip_suffix(['Z', 'z']) {
        return (plain, 0);
    }
    let offset =
        text.len().checked_sub(6).and_then(|at| text.split_at_checked(at)).and_then(|(plain, offset)| {
            let sign = match offset.as_bytes() {
                [b'+', _, _, b':', _, _] => 1,
                [b'-', _, _, b':', _, _] => -1,
                _ => return None,
            };
            let hours: i64 = offset[1..3].parse().ok()?;
            let minutes: i64 = offset[4..6].parse().ok()?;
            Some((plain, sign * (hours * 3_600 + minutes * 60)))
        });
    offset.unwrap_or((text, 0))
}

fn read(
    path: &Path,
    context: &LoadContext<'_>,
    columns: [&str; 3],
    mut instant: impl FnMut(&str) -> Result<Duration, String>,
) -> Result<Trace, DatasetError> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(open(path)?);
    let broken = |error: csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        DatasetError::line(path, line, error.to_string())
    };
    let header = reader.headers().map_err(broken)?.clone();
    let find = |name: &str| {
        header.iter().position(|column| column.trim_start_matches('\u{feff}') == name).ok_or_else(|| {
            let reason = format!("has no column `{name}`; expected {}", columns.join(", "));
            DatasetError::line(path, 1, reason)
        })
    };
    let [at, input, output] = [find(columns[0])?, find(columns[1])?, find(columns[2])?];
    let (mut groups, mut skipped) = (Vec::new(), 0);
    for row in reader.records() {
        let row = row.map_err(broken)?;
        let line = row.position().map_or(0, csv::Position::line);
        let record = record(&row, [at, input, output], columns, &mut instant)
            .map_err(|reason| DatasetError::line(path, line, reason))?;
        match record {
            Some(record) => groups.push((None, vec![record])),
            None => skipped += 1,
        }
    }
    Ok(Trace { skipped, ..Trace::new(groups, 1, context) })
}

/// One row; `None` for a request of no tokens or without an answer, which cannot be sent again (BurstGPT
/// records failures so).
fn record(
    row: &csv::StringRecord,
    places: [usize; 3],
    columns: [&str; 3],
    instant: &mut impl FnMut(&str) -> Result<Duration, String>,
) -> Result<Option<Record>, String> {
    let field = |which: usize| row.get(places[which]).unwrap_or_default();
    let tokens = |which: usize| -> Result<u32, String> {
        let text = field(which);
        // Written as a float by tools that had missing values in the column.
        let number: f64 = text.parse().map_err(|_| format!("{} `{text}` is no number", columns[which]))?;
        if number.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&number) {
            return Err(format!("{} `{text}` is no count of tokens", columns[which]));
        }
        Ok(number as u32)
    };
    let (at, input, output) = (instant(field(0))?, tokens(1)?, tokens(2)?);
    if input == 0 || output == 0 {
        return Ok(None);
    }
    check_blocks(input, 0, 1)?;
    Ok(Some(Record {
        asked: Asked::Length { tokens: input, blocks: Box::default() },
        output_tokens: Some(output),
        at: Some(at),
        delay: Duration::ZERO,
        extra: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::without_offset;

    #[test]
    fn offsets_are_taken_off() {
        assert_eq!(without_offset("2024-05-10 00:00:00.009930+00:00"), ("2024-05-10 00:00:00.009930", 0));
        assert_eq!(without_offset("2024-05-10 02:00:00+02:30"), ("2024-05-10 02:00:00", 9_000));
        assert_eq!(without_offset("2024-05-10T00:00:00Z"), ("2024-05-10T00:00:00", 0));
        assert_eq!(without_offset("2023-11-16 18:15:46.6805900"), ("2023-11-16 18:15:46.6805900", 0));
        assert_eq!(without_offset("é"), ("é", 0));
    }
}
