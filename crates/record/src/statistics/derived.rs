//! Metrics of a run that follow from others: totals, rates, goodput, energy.

use super::aggregate::Aggregate;
use super::distribution::Distribution;
use super::summary::{MetricSet, MetricSummary};
use super::sweep::TimeWeighted;
use super::{GpuVendor, RunFacts};
use crate::metric::MetricId;
use crate::metric::catalogue::{self as c, Flags};

/// What the figures of a set of requests are put in relation to.
pub(super) struct Context<'a> {
    /// Divisor of every rate, s.
    pub window_s: Option<f64>,
    /// Sweep line over the same window.
    pub weighted: Option<&'a TimeWeighted>,
    /// Facts of the run that no record holds.
    pub facts: &'a RunFacts,
    /// Whether SLOs were judged.
    pub goodput: bool,
    /// Whether latency from the intended instant, replay lag, network and energy belong here (not in slices).
    pub whole_phase: bool,
}

/// Collects metrics by their row in the catalogue.
struct Table(Vec<Option<MetricSummary>>);

impl Table {
    fn scalar(&mut self, id: MetricId, value: Option<f64>) {
        if let Some(summary) = value.and_then(|value| MetricSummary::scalar(id.def().unit, value)) {
            self.0[id.index()] = Some(summary);
        }
    }

    fn count(&mut self, id: MetricId, value: u64) {
        self.scalar(id, Some(value as f64));
    }

    fn value(&self, id: MetricId) -> Option<f64> {
        self.0[id.index()].as_ref()?.avg
    }
}

/// All metrics of a set of requests, in the order of the catalogue.
pub(super) fn metrics(aggregate: &Aggregate, context: &Context<'_>) -> MetricSet {
    let mut table = Table(vec![None; MetricId::COUNT]);
    for (id, distribution) in aggregate.shown() {
        let of_whole = Flags::SUMMARY_ONLY.union(Flags::FIXED_SCHEDULE);
        if context.whole_phase || !id.def().flags.intersects(of_whole) {
            table.0[id.index()] = Some(MetricSummary::distribution(id.def().unit, distribution));
        }
    }
    for (id, twin) in &aggregate.adjusted {
        if let Some(adjusted) = c::failure_adjusted(*id) {
            table.0[adjusted.index()] = Some(twin.clone());
        }
    }
    totals(&mut table, aggregate);
    counts(&mut table, aggregate, context);
    rates(&mut table, aggregate, context);
    if context.whole_phase {
        table.scalar(c::NETWORK_RTT, context.facts.network_rtt_ms);
        replay(&mut table, aggregate);
        energy(&mut table, aggregate, context);
    }
    if let Some(weighted) =
        context.weighted.filter(|_| aggregate.tally.succeeded + aggregate.tally.failed > 0)
    {
        for (id, summary) in &weighted.metrics {
            table.0[id.index()] = Some(summary.clone());
        }
    }
    let mut set = MetricSet::default();
    for (id, summary) in MetricId::all().zip(table.0) {
        if let Some(summary) = summary {
            set.insert(id.tag(), summary);
        }
    }
    aggregate.add_foreign(&mut set);
    set
}

fn ratio(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    Some(a? / b?)
}

fn totals(table: &mut Table, aggregate: &Aggregate) {
    for id in MetricId::all() {
        if let Some(total) = c::total_of(id) {
            table.scalar(total, aggregate.sum(id));
        }
    }
    let cached = ratio(
        table.value(c::TOTAL_USAGE_PROMPT_CACHE_READ_TOKENS),
        table.value(c::TOTAL_USAGE_PROMPT_TOKENS),
    );
    table.scalar(c::OVERALL_USAGE_PROMPT_CACHE_READ_PCT, cached.map(|share| 100.0 * share));
    let steps = table.value(c::TOTAL_SPEC_DECODE_STEPS);
    let accepted = table.value(c::TOTAL_ACCEPTED_DRAFT_TOKENS);
    let drafted = table.value(c::TOTAL_DRAFT_TOKENS);
    let length = ratio(accepted, steps).map(|share| 1.0 + share);
    table.scalar(c::SPEC_DECODE_TOKEN_WEIGHTED_ACCEPTANCE_LENGTH, length);
    let rate = ratio(accepted, drafted).map(|share| 100.0 * share);
    table.scalar(c::SPEC_DECODE_OVERALL_DRAFT_ACCEPTANCE_RATE, rate);
}

fn counts(table: &mut Table, aggregate: &Aggregate, context: &Context<'_>) {
    let tally = &aggregate.tally;
    let completed = tally.succeeded + tally.failed;
    if completed == 0 {
        return;
    }
    table.count(c::REQUEST_COUNT, tally.succeeded);
    table.count(c::COMPLETED_REQUEST_COUNT, completed);
    table.scalar(c::REQUEST_ERROR_RATE, Some(100.0 * tally.failed as f64 / completed as f64));
    if tally.failed > 0 {
        table.count(c::ERROR_REQUEST_COUNT, tally.failed);
        table.count(c::CONTEXT_OVERFLOW_COUNT, tally.context_overflow);
    }
    if tally.unfinished > 0 {
        table.count(c::FINISH_REASON_MISSING_COUNT, tally.unfinished);
    }
    if aggregate.get(c::OSL_MISMATCH_DIFF_PCT).is_some() {
        table.count(c::OSL_MISMATCH_COUNT, tally.osl_mismatch);
    }
    let compared = [c::USAGE_PROMPT_TOKENS_DIFF_PCT, c::USAGE_COMPLETION_TOKENS_DIFF_PCT];
    if compared.iter().any(|&id| aggregate.get(id).is_some()) {
        table.count(c::USAGE_DISCREPANCY_COUNT, tally.usage_discrepancy);
    }
    if context.goodput {
        table.count(c::GOOD_REQUEST_COUNT, tally.good);
        table.scalar(c::GOOD_REQUEST_FRACTION, Some(tally.good as f64 / completed as f64));
    }
    if let (Some(first), Some(last)) = (tally.first_start, tally.last_response) {
        table.scalar(c::BENCHMARK_DURATION, Some(last.saturating_sub(first) as f64 / 1e9));
    }
}

fn rates(table: &mut Table, aggregate: &Aggregate, context: &Context<'_>) {
    let window = context.window_s;
    let input = aggregate.sum(c::INPUT_SEQUENCE_LENGTH);
    let output = aggregate.sum(c::OUTPUT_SEQUENCE_LENGTH);
    table.scalar(c::REQUEST_THROUGHPUT, ratio(table.value(c::REQUEST_COUNT), window));
    table.scalar(c::GOODPUT, ratio(table.value(c::GOOD_REQUEST_COUNT), window));
    table.scalar(c::INPUT_TOKEN_THROUGHPUT, ratio(input, window));
    table.scalar(c::OUTPUT_TOKEN_THROUGHPUT, ratio(output, window));
    let both = input.zip(output).map(|(input, output)| input + output);
    table.scalar(c::TOTAL_TOKEN_THROUGHPUT, ratio(both, window));
}

fn replay(table: &mut Table, aggregate: &Aggregate) {
    let Some(offsets) = aggregate.get(c::REPLAY_SEND_SCHEDULE_OFFSET) else { return };
    let lag = |percentile: usize| (offsets.percentiles[percentile] - offsets.min) / 1e6;
    let (p50, p90, p99) = (lag(4), lag(6), lag(8));
    table.scalar(c::REPLAY_SCHED_LAG_P50, Some(p50));
    table.scalar(c::REPLAY_SCHED_LAG_P90, Some(p90));
    table.scalar(c::REPLAY_SCHED_LAG_P99, Some(p99));
    table.count(c::REPLAY_SCHED_DEGRADED, u64::from(p99 > 500.0));
}

/// The energy metrics of one vendor: delay product, then as in the catalogue.
type EnergyIds = [MetricId; 12];

const NVIDIA: EnergyIds = [
    c::NVIDIA_ENERGY_DELAY_PRODUCT,
    c::NVIDIA_PERFORMANCE_PER_WATT,
    c::NVIDIA_OUTPUT_TPS_PER_WATT,
    c::NVIDIA_GOODPUT_PER_WATT,
    c::NVIDIA_AVERAGE_GPU_POWER,
    c::NVIDIA_TOTAL_GPU_ENERGY,
    c::NVIDIA_TOTAL_GPU_POWER,
    c::NVIDIA_ENERGY_PER_TOTAL_TOKEN,
    c::NVIDIA_ENERGY_PER_OUTPUT_TOKEN,
    c::NVIDIA_ENERGY_PER_REQUEST,
    c::NVIDIA_OUTPUT_TOKENS_PER_JOULE,
    c::NVIDIA_ENERGY_PER_USER,
];

const AMD: EnergyIds = [
    c::AMD_ENERGY_DELAY_PRODUCT,
    c::AMD_PERFORMANCE_PER_WATT,
    c::AMD_OUTPUT_TPS_PER_WATT,
    c::AMD_GOODPUT_PER_WATT,
    c::AMD_AVERAGE_GPU_POWER,
    c::AMD_TOTAL_GPU_ENERGY,
    c::AMD_TOTAL_GPU_POWER,
    c::AMD_ENERGY_PER_TOTAL_TOKEN,
    c::AMD_ENERGY_PER_OUTPUT_TOKEN,
    c::AMD_ENERGY_PER_REQUEST,
    c::AMD_OUTPUT_TOKENS_PER_JOULE,
    c::AMD_ENERGY_PER_USER,
];

fn energy(table: &mut Table, aggregate: &Aggregate, context: &Context<'_>) {
    for gpu in &context.facts.gpu_energy {
        let window = context.window_s;
        let fleet = gpu.power_w;
        let energy = gpu.energy_j.or_else(|| Some(fleet? * window?));
        let average = ratio(energy, window);
        let requests = table.value(c::REQUEST_COUNT);
        let latency_s = aggregate.get(c::REQUEST_LATENCY).map(|latency: &Distribution| latency.avg / 1e3);
        let input = aggregate.sum(c::INPUT_SEQUENCE_LENGTH);
        let output = aggregate.sum(c::OUTPUT_SEQUENCE_LENGTH);
        let all_tokens = input.or(output).map(|_| input.unwrap_or(0.0) + output.unwrap_or(0.0));
        let per_request = ratio(energy, requests);
        let users = context.facts.concurrency.map(f64::from);
        let milli = |value: Option<f64>| value.map(|value| 1000.0 * value);
        let values = [
            per_request.zip(latency_s).map(|(energy, latency)| energy * latency),
            ratio(table.value(c::REQUEST_THROUGHPUT), average),
            ratio(table.value(c::OUTPUT_TOKEN_THROUGHPUT), average),
            ratio(table.value(c::GOODPUT), average),
            average,
            energy,
            fleet,
            milli(ratio(energy, all_tokens)),
            milli(ratio(energy, output)),
            per_request,
            ratio(output, energy),
            ratio(energy, users),
        ];
        let ids = match gpu.vendor {
            GpuVendor::Nvidia => NVIDIA,
            GpuVendor::Amd => AMD,
        };
        for (id, value) in ids.into_iter().zip(values) {
            table.scalar(id, value);
        }
    }
}
