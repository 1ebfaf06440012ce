//! The figures of a set of requests before anything is derived from them.

use super::distribution::{Distribution, PERCENTILES, pairwise_sum, percentile_linear};
use super::rows::{Marks, NO_CREDIT, Rows};
use super::summary::{MetricSet, MetricSummary};
use crate::metric::MetricId;
use crate::metric::catalogue::{self, Flags};

/// Counts of a set of requests, and the instants that bound it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub succeeded: u64,
    pub failed: u64,
    pub cancelled: u64,
    pub good: u64,
    pub osl_mismatch: u64,
    pub usage_discrepancy: u64,
    pub unfinished: u64,
    pub context_overflow: u64,
    /// Earliest start of a success.
    pub first_start: Option<u64>,
    /// Latest last-content instant of a success.
    pub last_response: Option<u64>,
}

fn least(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.into_iter().chain(b).min()
}

impl Tally {
    pub fn success(&mut self, rows: &Rows, row: usize) {
        let marks = rows.marks[row];
        self.succeeded += 1;
        self.good += u64::from(marks.has(Marks::GOOD));
        self.osl_mismatch += u64::from(marks.has(Marks::OSL_MISMATCH));
        self.usage_discrepancy += u64::from(marks.has(Marks::USAGE_DISCREPANCY));
        self.unfinished += u64::from(marks.has(Marks::UNFINISHED));
        let start = rows.start[row];
        self.first_start = least(self.first_start, Some(start));
        if let Some(latency) = rows.columns.get(row, catalogue::REQUEST_LATENCY) {
            let response = start.saturating_add((latency * 1e6).round().max(0.0) as u64);
            self.last_response = self.last_response.max(Some(response));
        }
    }

    pub fn failure(&mut self, marks: Marks) {
        self.failed += 1;
        self.cancelled += u64::from(marks.has(Marks::CANCELLED));
        self.context_overflow += u64::from(marks.has(Marks::CONTEXT_OVERFLOW));
    }

    pub fn merge(&mut self, other: &Tally) {
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
        self.good += other.good;
        self.osl_mismatch += other.osl_mismatch;
        self.usage_discrepancy += other.usage_discrepancy;
        self.unfinished += other.unfinished;
        self.context_overflow += other.context_overflow;
        self.first_start = least(self.first_start, other.first_start);
        self.last_response = self.last_response.max(other.last_response);
    }
}

/// Distributions of all metrics of a set of requests, and its counts.
#[derive(Clone, Debug)]
pub(super) struct Aggregate {
    distributions: Vec<Option<Distribution>>,
    pub foreign: Vec<(String, String, Distribution)>,
    /// Failure-adjusted twins by the metric they belong to.
    pub adjusted: Vec<(MetricId, MetricSummary)>,
    pub tally: Tally,
}

impl Aggregate {
    /// Counts alone.
    pub fn of(tally: Tally) -> Self {
        Aggregate {
            distributions: vec![None; MetricId::COUNT],
            foreign: Vec::new(),
            adjusted: Vec::new(),
            tally,
        }
    }

    pub fn set(&mut self, id: MetricId, distribution: Option<Distribution>) {
        self.distributions[id.index()] = distribution;
    }

    pub fn get(&self, id: MetricId) -> Option<&Distribution> {
        self.distributions[id.index()].as_ref()
    }

    /// Sum of a metric over the requests that have it.
    pub fn sum(&self, id: MetricId) -> Option<f64> {
        self.get(id).map(|distribution| distribution.sum)
    }

    /// All distributions that may be shown.
    pub fn shown(&self) -> impl Iterator<Item = (MetricId, &Distribution)> {
        MetricId::all()
            .zip(&self.distributions)
            .filter(|(id, _)| id.def().in_summary())
            .filter_map(|(id, distribution)| Some((id, distribution.as_ref()?)))
    }

    /// Foreign metrics, appended to a set.
    pub fn add_foreign(&self, set: &mut MetricSet) {
        for (tag, unit, distribution) in &self.foreign {
            set.insert(tag.clone(), MetricSummary::distribution(unit.clone(), distribution));
        }
    }
}

/// Which rows to look at.
#[derive(Clone, Copy)]
pub(super) enum Selection<'a> {
    All,
    /// Rows of successes and of failures, ascending.
    Rows(&'a [u32], &'a [u32]),
}

impl Selection<'_> {
    fn successes(&self, rows: &Rows) -> Box<dyn Iterator<Item = usize> + '_> {
        match self {
            Selection::All => Box::new(0..rows.len()),
            Selection::Rows(successes, _) => Box::new(successes.iter().map(|&row| row as usize)),
        }
    }

    fn failures(&self, rows: &Rows) -> Box<dyn Iterator<Item = usize> + '_> {
        match self {
            Selection::All => Box::new(0..rows.len()),
            Selection::Rows(_, failures) => Box::new(failures.iter().map(|&row| row as usize)),
        }
    }
}

/// Metrics that follow from the metadata of a success.
pub(super) fn computed_of_success(
    rows: &Rows,
    row: usize,
    fixed_schedule: bool,
    mut add: impl FnMut(MetricId, f64),
) {
    let (start, credit) = (rows.start[row], rows.credit[row]);
    if credit == NO_CREDIT {
        return;
    }
    computed_of_any(rows, row, &mut add);
    // In a replay the intended instant is the trace's own.
    if fixed_schedule && rows.columns.get(row, catalogue::REPLAY_SEND_SCHEDULE_OFFSET).is_none() {
        let offset = i128::from(start) - i128::from(credit);
        add(catalogue::REPLAY_SEND_SCHEDULE_OFFSET, offset as f64);
    }
}

/// Metrics that follow from the metadata of a request of any outcome.
pub(super) fn computed_of_any(rows: &Rows, row: usize, mut add: impl FnMut(MetricId, f64)) {
    let (start, end, credit) = (rows.start[row], rows.end[row], rows.credit[row]);
    if credit != NO_CREDIT {
        add(catalogue::CREDIT_TO_START_LATENCY, start.saturating_sub(credit) as f64 / 1e6);
        add(catalogue::EFFECTIVE_LATENCY, end.saturating_sub(credit) as f64 / 1e6);
    }
}

/// The failure-adjusted twin: `succeeded` finite values, the one at rank r being `value_of(r)`, and above
/// them `failed` infinite ones. What is infinite is left out, and so are mean, maximum, sum and deviation.
pub(super) fn adjusted_twin(
    succeeded: u64,
    failed: u64,
    min: f64,
    value_of: impl Fn(u64) -> f64,
) -> MetricSummary {
    let last = (succeeded + failed).saturating_sub(1) as f64;
    let [p1, p5, p10, p25, p50, p75, p90, p95, p99] = PERCENTILES.map(|p| {
        let rank = (last * (p / 100.0)).round_ties_even() as u64;
        (rank < succeeded).then(|| value_of(rank))
    });
    MetricSummary {
        unit: "ms".into(),
        p1,
        p5,
        p10,
        p25,
        p50,
        p75,
        p90,
        p95,
        p99,
        min: Some(min),
        count: Some(succeeded + failed),
        ..MetricSummary::default()
    }
}

/// Exact figures of the selected requests.
pub(super) fn aggregate(
    successes: &Rows,
    failures: &Rows,
    selection: Selection<'_>,
    rtt_ms: Option<f64>,
    fixed_schedule: bool,
) -> Aggregate {
    let mut aggregate = Aggregate::of(Tally::default());
    for row in selection.successes(successes) {
        aggregate.tally.success(successes, row);
    }
    for row in selection.failures(failures) {
        aggregate.tally.failure(failures.marks[row]);
    }
    let failed = aggregate.tally.failed;
    let mut values: Vec<f64> = Vec::new();
    for (id, column) in successes.columns.present() {
        gather(&mut values, column, selection.successes(successes));
        if let (Some(adjusted), Some(rtt)) = (catalogue::network_adjusted(id), rtt_ms) {
            let mut lowered: Vec<f64> = values.iter().map(|value| (value - rtt).max(0.0)).collect();
            aggregate.set(adjusted, Distribution::exact(&mut lowered));
        }
        let distribution = Distribution::exact(&mut values);
        if failed > 0 && !values.is_empty() && id.def().flags.contains(Flags::FAILURE_ADJUSTED) {
            let twin = adjusted_twin(values.len() as u64, failed, values[0], |rank| values[rank as usize]);
            aggregate.adjusted.push((id, twin));
        }
        aggregate.set(id, distribution);
    }
    for (id, column) in failures.columns.present() {
        gather(&mut values, column, selection.failures(failures));
        aggregate.set(id, Distribution::exact(&mut values));
    }
    for (tag, unit, column) in successes.columns.foreign() {
        gather(&mut values, column, selection.successes(successes));
        if let Some(distribution) = Distribution::exact(&mut values) {
            aggregate.foreign.push((tag.to_owned(), unit.to_owned(), distribution));
        }
    }
    let mut computed: Vec<(MetricId, Vec<f64>)> = Vec::new();
    let mut add = |id: MetricId, value: f64| match computed.iter_mut().find(|(known, _)| *known == id) {
        Some((_, values)) => values.push(value),
        None => computed.push((id, vec![value])),
    };
    for row in selection.successes(successes) {
        computed_of_success(successes, row, fixed_schedule, &mut add);
    }
    for row in selection.failures(failures) {
        computed_of_any(failures, row, &mut add);
    }
    for (id, mut values) in computed {
        aggregate.set(id, Distribution::exact(&mut values));
    }
    aggregate.set(catalogue::INTER_CHUNK_LATENCY, gap_distribution(successes, selection));
    aggregate
}

fn gather(values: &mut Vec<f64>, column: &[f64], rows: impl Iterator<Item = usize>) {
    values.clear();
    values.extend(rows.filter_map(|row| column.get(row).copied()).filter(|value| !value.is_nan()));
}

/// Statistics over every gap of the selected requests, ms.
fn gap_distribution(rows: &Rows, selection: Selection<'_>) -> Option<Distribution> {
    if rows.gaps.len() == 0 {
        return None;
    }
    // Halves the memory of the usual case: a gap of less than 4.29 s fits in 32 bits.
    let places = || selection.successes(rows).flat_map(|row| rows.gaps.range(row));
    match places().map(|place| u32::try_from(rows.gaps.ns(place))).collect::<Result<Vec<u32>, _>>() {
        Ok(short) => distribution_of_ns(short),
        Err(_) => distribution_of_ns(places().map(|place| rows.gaps.ns(place)).collect()),
    }
}

fn distribution_of_ns<T: Copy + Ord + Into<u64>>(mut ns: Vec<T>) -> Option<Distribution> {
    if ns.is_empty() {
        return None;
    }
    let count = ns.len() as f64;
    let ms = |value: T| value.into() as f64 / 1e6;
    let sum = ns.iter().map(|&value| u128::from(value.into())).sum::<u128>() as f64 / 1e6;
    let avg = sum / count;
    let parts: Vec<f64> =
        ns.chunks(4096).map(|part| part.iter().map(|&value| (ms(value) - avg).powi(2)).sum()).collect();
    ns.sort_unstable();
    let last = ns.len() - 1;
    Some(Distribution {
        count: ns.len() as u64,
        sum,
        avg,
        min: ms(ns[0]),
        max: ms(ns[last]),
        std: (pairwise_sum(&parts) / count).sqrt(),
        percentiles: PERCENTILES.map(|p| {
            let rank = last as f64 * (p / 100.0);
            let below = rank.floor() as usize;
            let pair = [ms(ns[below]), ms(ns[(below + 1).min(last)])];
            percentile_linear(&pair, (rank - below as f64) * 100.0).unwrap_or(avg)
        }),
        approximate: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::percentile_nearest;

    #[test]
    fn failures_are_infinitely_slow() {
        let values = [1.0, 2.0, 3.0];
        let twin = adjusted_twin(3, 2, 1.0, |rank| values[rank as usize]);
        let mut all = values.to_vec();
        all.extend([f64::INFINITY; 2]);
        assert_eq!(twin.p50, percentile_nearest(&all, 50.0).filter(|v| v.is_finite()));
        assert_eq!(twin.p50, Some(3.0));
        assert_eq!((twin.p75, twin.p99, twin.avg, twin.max, twin.std), (None, None, None, None, None));
        assert_eq!((twin.min, twin.count), (Some(1.0), Some(5)));
    }

    #[test]
    fn gaps_in_ns_equal_the_same_values_in_ms() {
        let ns: Vec<u64> = (0..1000).map(|i| i * i * 977 % 50_000_000).collect();
        let mut ms: Vec<f64> = ns.iter().map(|&v| v as f64 / 1e6).collect();
        let exact = Distribution::exact(&mut ms).unwrap();
        let got = distribution_of_ns(ns).unwrap();
        for (a, b) in [(got.avg, exact.avg), (got.std, exact.std), (got.sum, exact.sum), (got.max, exact.max)]
        {
            assert!((a - b).abs() <= 1e-9 * b.abs().max(1e-9), "{a} {b}");
        }
        for (a, b) in got.percentiles.iter().zip(exact.percentiles) {
            assert!((a - b).abs() <= 1e-9 * b.max(1e-9), "{a} {b}");
        }
    }
}
