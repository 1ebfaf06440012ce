//! What the server said of itself over the run, as lines of a chart: gauges as they are, counters as rates, and the
//! means of histograms. From `server_metrics_export.parquet` or `.jsonl`.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use serde::{Deserialize, Serialize};

use super::columns;
use crate::analysis::source;
use crate::format::server_json::ServerMetricsFile;
use crate::server::reading::MetricKind;

/// Series that are kept; those of the names met first.
const SERIES: usize = 600;
/// Points of one series; beyond it every second one is dropped.
const POINTS: usize = 2_000;
/// Longest line of the JSON lines.
const LINE_BYTES: usize = 64 << 20;

/// What a series counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Gauge,
    Counter,
    /// Sum and count grow; the page shows the mean over each interval.
    Mean,
}

#[derive(Debug, Default)]
struct Points {
    /// Instant (ns since the epoch), value or sum, count.
    points: Vec<(u64, f64, f64)>,
    stride: u64,
    seen: u64,
}

impl Points {
    fn add(&mut self, at: u64, value: f64, count: f64) {
        // A histogram has one row for each bucket, all of one instant.
        if self.points.last().is_some_and(|last| last.0 == at) || !value.is_finite() || !count.is_finite() {
            return;
        }
        self.stride = self.stride.max(1);
        if self.seen.is_multiple_of(self.stride) {
            self.points.push((at, value, count));
        }
        self.seen += 1;
        if self.points.len() > POINTS {
            let mut keep = false;
            self.points.retain(|_| {
                keep = !keep;
                keep
            });
            self.stride *= 2;
        }
    }
}

type Key = (String, String, String);

/// Series while they are read.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    series: HashMap<Key, (Option<Kind>, Points)>,
    kinds: BTreeMap<String, (Kind, String)>,
}

/// One line of the chart.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    name: String,
    labels: String,
    endpoint: String,
    kind: Kind,
    unit: String,
    /// ms after the first request (f64, base64), ascending.
    t: String,
    /// Values, rates or means (f32, base64).
    v: String,
}

impl Timeline {
    /// Reads what lies beside a record file; `None` when there is nothing.
    pub(super) fn beside(records: &Path) -> Option<Timeline> {
        let mut timeline = Timeline::default();
        let mut files = source::server_metrics_beside(records);
        // Parquet tells the kind of a metric, JSON lines do not.
        files.sort_by_key(|path| path.extension().is_none_or(|extension| extension != "parquet"));
        let first = files.first()?;
        let name = first.file_name()?.to_string_lossy().into_owned();
        let stem = name.split_once(".parquet").or(name.split_once(".jsonl")).map_or(&*name, |(stem, _)| stem);
        timeline.learn_kinds(&first.with_file_name(format!("{stem}.json")));
        for file in &files {
            let read = match file.extension().is_some_and(|extension| extension == "parquet") {
                true => File::open(file).and_then(|file| timeline.read_parquet(file)),
                false => source::open(file)
                    .map_err(io::Error::other)
                    .and_then(|reader| timeline.read_jsonl(&mut BufReader::new(reader))),
            };
            match read {
                Ok(()) if !timeline.series.is_empty() => return Some(timeline),
                Ok(()) => {}
                // Half a file may have been read: what the next one says must not be mixed with it.
                Err(_) => timeline.series.clear(),
            }
        }
        None
    }

    fn learn_kinds(&mut self, json: &Path) {
        let Ok(reader) = source::open(json) else { return };
        let Ok(file) = serde_json::from_reader::<_, ServerMetricsFile>(BufReader::new(reader)) else {
            return;
        };
        for (name, metric) in &file.metrics {
            let kind = match metric.kind {
                MetricKind::Counter => Kind::Counter,
                MetricKind::Histogram | MetricKind::Summary => Kind::Mean,
                _ => Kind::Gauge,
            };
            self.kinds.insert(name.to_string(), (kind, String::new()));
        }
    }

    fn add(&mut self, key: Key, kind: Option<Kind>, at: u64, value: f64, count: f64) {
        if key.0.ends_with("_info") || self.series.len() == SERIES && !self.series.contains_key(&key) {
            return;
        }
        self.series.entry(key).or_insert_with(|| (kind, Points::default())).1.add(at, value, count);
    }

    fn read_parquet(&mut self, file: File) -> io::Result<()> {
        let reader = SerializedFileReader::new(file).map_err(io::Error::other)?;
        for row in reader.get_row_iter(None).map_err(io::Error::other)? {
            self.parquet_row(&row.map_err(io::Error::other)?);
        }
        Ok(())
    }

    fn parquet_row(&mut self, row: &Row) {
        let (mut name, mut endpoint, mut labels) = (String::new(), String::new(), Vec::new());
        let (mut kind, mut at, mut unit) = (None, None, String::new());
        let (mut value, mut sum, mut count) = (None, None, None);
        for (column, field) in row.get_column_iter() {
            match (column.as_str(), field) {
                ("metric_name", Field::Str(text)) => name.clone_from(text),
                ("endpoint_url", Field::Str(text)) => endpoint.clone_from(text),
                ("unit", Field::Str(text)) => unit.clone_from(text),
                ("metric_type", Field::Str(text)) => kind = Some(text.clone()),
                ("description" | "bucket_le", _) => {}
                ("timestamp_ns", Field::Long(instant)) => at = u64::try_from(*instant).ok(),
                ("value", Field::Double(number)) => value = Some(*number),
                ("sum", Field::Double(number)) => sum = Some(*number),
                ("count", Field::Double(number)) => count = Some(*number),
                (label, Field::Str(text)) => labels.push(format!("{label}={text}")),
                _ => {}
            }
        }
        let kind = match (kind.as_deref(), sum) {
            (Some("counter"), _) => Kind::Counter,
            (_, Some(_)) => Kind::Mean,
            _ => Kind::Gauge,
        };
        let Some(at) = at else { return };
        if !unit.is_empty() && self.kinds.get(&name).is_none_or(|(_, unit)| unit.is_empty()) {
            self.kinds.insert(name.clone(), (kind, unit));
        }
        let key = (name, labels.join(", "), endpoint);
        match (kind, value, sum, count) {
            (Kind::Mean, _, Some(sum), Some(count)) => self.add(key, Some(kind), at, sum, count),
            (Kind::Gauge | Kind::Counter, Some(value), ..) => self.add(key, Some(kind), at, value, 0.0),
            _ => {}
        }
    }

    fn read_jsonl(&mut self, reader: &mut dyn BufRead) -> io::Result<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let mut bounded = io::Read::take(&mut *reader, LINE_BYTES as u64);
            if bounded.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            let Ok(scrape) = serde_json::from_slice::<Scrape>(&line) else { continue };
            for (name, samples) in scrape.metrics {
                let known = self.kinds.get(&name).map(|(kind, _)| *kind);
                for sample in samples {
                    let labels: Vec<String> =
                        sample.labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
                    let key = (name.clone(), labels.join(", "), scrape.endpoint_url.clone());
                    match (sample.value, sample.sum, sample.count) {
                        (Some(value), ..) => self.add(key, known, scrape.timestamp_ns, value, 0.0),
                        (None, Some(sum), Some(count)) => {
                            self.add(key, Some(Kind::Mean), scrape.timestamp_ns, sum, count);
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    /// The lines, with time counted from `origin` (ns since the epoch). Series that never move from 0 are left out.
    pub(super) fn finish(self, origin: u64) -> Vec<Line> {
        let kinds = self.kinds;
        let mut lines: Vec<Line> = self
            .series
            .into_iter()
            .filter_map(|((name, labels, endpoint), (kind, points))| {
                let kind = kind.unwrap_or(Kind::Gauge);
                let shown = values(kind, &points.points);
                if shown.len() < 2 || shown.iter().all(|(_, value)| *value == 0.0) {
                    return None;
                }
                let ms = |at: u64| (i128::from(at) - i128::from(origin)) as f64 / 1e6;
                Some(Line {
                    t: columns::base64(shown.iter().map(|(at, _)| ms(*at))),
                    v: columns::base64(shown.iter().map(|(_, value)| *value as f32)),
                    unit: kinds.get(&name).map(|(_, unit)| unit.clone()).unwrap_or_default(),
                    name,
                    labels,
                    endpoint,
                    kind,
                })
            })
            .collect();
        lines.sort_by(|a, b| (&a.name, &a.labels, &a.endpoint).cmp(&(&b.name, &b.labels, &b.endpoint)));
        lines
    }
}

fn values(kind: Kind, points: &[(u64, f64, f64)]) -> Vec<(u64, f64)> {
    let steps = points.windows(2).map(|pair| (pair[0], pair[1]));
    match kind {
        Kind::Gauge => points.iter().map(|(at, value, _)| (*at, *value)).collect(),
        // A counter that falls was set back with its server: no rate over that interval.
        Kind::Counter => steps
            .filter(|(a, b)| b.0 > a.0 && b.1 >= a.1)
            .map(|(a, b)| (b.0, (b.1 - a.1) / ((b.0 - a.0) as f64 / 1e9)))
            .collect(),
        Kind::Mean => {
            steps.filter(|(a, b)| b.2 > a.2).map(|(a, b)| (b.0, (b.1 - a.1) / (b.2 - a.2))).collect()
        }
    }
}

#[derive(Deserialize)]
struct Scrape {
    #[serde(default)]
    endpoint_url: String,
    timestamp_ns: u64,
    #[serde(default)]
    metrics: BTreeMap<String, Vec<Sample>>,
}

#[derive(Deserialize)]
struct Sample {
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    value: Option<f64>,
    #[serde(default)]
    sum: Option<f64>,
    #[serde(default)]
    count: Option<f64>,
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn fixture() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/fixtures/aiperf-run-streaming/profile_export.jsonl")
    }

    #[test]
    fn lines_come_from_either_file_and_mean_the_same() {
        let whole = Timeline::beside(&fixture()).unwrap().finish(0);
        let kind_of =
            |lines: &[Line], name: &str| lines.iter().find(|line| line.name == name).map(|line| line.kind);
        assert_eq!(kind_of(&whole, "vllm:num_requests_running"), Some(Kind::Gauge));
        assert_eq!(kind_of(&whole, "vllm:prompt_tokens"), Some(Kind::Counter));
        assert_eq!(kind_of(&whole, "vllm:time_to_first_token_seconds"), Some(Kind::Mean));
        let dir = tempfile::tempdir().unwrap();
        for name in ["profile_export.jsonl", "server_metrics_export.jsonl", "server_metrics_export.json"] {
            std::fs::copy(fixture().with_file_name(name), dir.path().join(name)).unwrap();
        }
        let lines = Timeline::beside(&dir.path().join("profile_export.jsonl")).unwrap().finish(0);
        for name in ["vllm:num_requests_running", "vllm:prompt_tokens", "vllm:time_to_first_token_seconds"] {
            assert_eq!(kind_of(&lines, name), kind_of(&whole, name), "{name}");
        }
        assert!(Timeline::beside(&dir.path().join("other.jsonl")).is_none());
    }

    #[test]
    fn rates_and_means_are_taken_over_each_interval() {
        let second = 1_000_000_000;
        let points = [(0, 10.0, 1.0), (second, 30.0, 3.0), (2 * second, 5.0, 3.0), (3 * second, 9.0, 7.0)];
        assert_eq!(values(Kind::Counter, &points), [(second, 20.0), (3 * second, 4.0)]);
        assert_eq!(values(Kind::Mean, &points), [(second, 10.0), (3 * second, 1.0)]);
        assert_eq!(values(Kind::Gauge, &points).len(), 4);
    }

    #[test]
    fn a_long_run_is_thinned() {
        let mut points = Points::default();
        for at in 0..1_000_000u64 {
            points.add(at, at as f64, 0.0);
        }
        assert!(points.points.len() <= POINTS && points.points.len() > POINTS / 3, "{}", points.points.len());
        assert!(points.points.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
