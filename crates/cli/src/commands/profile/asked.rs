//! Asked against delivered: load, lengths and the prefix cache, for the summary and the console.

use serde_json::{Map, Value, json};
use tokmeter_engine::truth::TokenTruth;
use tokmeter_record::server::known::Role;

use super::{Finished, server_metrics};

/// A mean length this far from the one asked for is told (AIPerf: `METRICS_USAGE_PCT_DIFF_THRESHOLD`).
const INPUT_DIFFERENCE: f64 = 0.10;
/// The same for answers (AIPerf: `METRICS_OSL_MISMATCH`).
const OUTPUT_DIFFERENCE: f64 = 0.05;
/// An unasked share of the input in the server's cache that is told.
const CACHE_SHARE: f64 = 0.10;

/// `load` and `tokens` of the summary's own key.
pub fn facts(finished: &Finished) -> Map<String, Value> {
    let truth = &finished.outcome.notes.tokens;
    let mut facts = Map::new();
    if let Some(delivery) = &finished.outcome.delivery {
        facts.insert("load".to_owned(), json!(delivery));
    }
    let mut tokens = json!(truth);
    if let Some(cache) = server_cache(finished.server_metrics.as_ref()) {
        tokens["server_cache"] =
            json!({"found": cache.found, "looked_up": cache.looked_up, "share": cache.share()});
    }
    if let Some(share) = truth.warm_share() {
        tokens["warm_share"] = json!(share);
    }
    facts.insert("tokens".to_owned(), tokens);
    facts
}

/// What the server's own metrics say of its prefix cache.
struct ServerCache {
    found: f64,
    looked_up: f64,
}

impl ServerCache {
    fn share(&self) -> f64 {
        self.found / self.looked_up.max(1.0)
    }
}

fn server_cache(collected: Option<&server_metrics::Collected>) -> Option<ServerCache> {
    let views = &collected?.views;
    let total = |role: Role| {
        let totals = views.iter().filter_map(|view| view.readings.get(&role)?.total);
        totals.reduce(|a, b| a + b)
    };
    let found = total(Role::CacheHits)?;
    // Engines without a count of their own look every prompt token up.
    let looked_up = total(Role::CacheQueries).or_else(|| total(Role::PromptTokens))?;
    (looked_up > 0.0).then_some(ServerCache { found, looked_up })
}

/// What a reader should know of: load, lengths or cache that were not as asked.
pub fn remarks(finished: &Finished) -> Vec<String> {
    let truth = &finished.outcome.notes.tokens;
    let delivery = finished.outcome.delivery.as_ref();
    let mut remarks = delivery.map(|delivery| delivery.remarks()).unwrap_or_default();
    remarks.extend(lengths(truth));
    remarks.extend(warm_cache(finished, truth));
    remarks
}

fn lengths(truth: &TokenTruth) -> Vec<String> {
    let told = [
        ("input", "the server counted", &truth.input, INPUT_DIFFERENCE),
        ("output", "answers had", &truth.output, OUTPUT_DIFFERENCE),
    ];
    let remark = |(what, who, lengths, limit): (&str, &str, &tokmeter_engine::truth::Lengths, f64)| {
        let difference = lengths.difference().filter(|difference| difference.abs() > limit)?;
        let per_request = |tokens: u64| tokens as f64 / lengths.requests as f64;
        Some(format!(
            "{who} {:.1} {what} tokens per request where {:.1} were asked for ({:+.0} %)",
            per_request(lengths.measured_tokens),
            per_request(lengths.asked_tokens),
            difference * 100.0
        ))
    };
    told.into_iter().filter_map(remark).collect()
}

/// A cache that knows more than this run has sent knows it from an earlier one.
fn warm_cache(finished: &Finished, truth: &TokenTruth) -> Option<String> {
    let advice = match finished.settings.seed_given {
        true => "the seed repeats the prompts of an earlier run: use another --random-seed, or --cache-bust",
        false => "an earlier run or other users sent the same beginnings",
    };
    if truth.cache.requests > 0 {
        let cache = &truth.cache;
        truth.warm_share()?;
        let of_input = |tokens: u64| tokens as f64 * 100.0 / cache.prompt_tokens.max(1) as f64;
        return Some(format!(
            "warm prefix cache: the server found {:.0} % of the input in its cache, this run can have put \
             {:.0} % there; {advice}",
            of_input(cache.cached_tokens),
            of_input(cache.repeated_tokens)
        ));
    }
    // Usage is silent about the cache; the server's metrics may not be, but they count all its users.
    let share = server_cache(finished.server_metrics.as_ref())?.share();
    (!truth.prefixes_overflowed && share > truth.repeated_share + CACHE_SHARE).then(|| {
        format!(
            "warm prefix cache: the server's metrics say that {:.0} % of the prompt tokens were in its cache, \
             this run can have put {:.0} % there; {advice}",
            share * 100.0,
            truth.repeated_share * 100.0
        )
    })
}

/// One line of the console: what was asked for, and what there was.
pub fn headline(finished: &Finished) -> Option<String> {
    let delivery = finished.outcome.delivery.as_ref()?;
    let (asked, delivered) = (&delivery.asked, &delivery.delivered);
    let mut parts = Vec::new();
    if let (Some(asked), Some(delivered)) = (asked.scheduled_rate, delivered.rate) {
        parts.push(format!("{asked:.2} requests/s asked, {delivered:.2} delivered"));
    }
    if let (Some(cap), Some(delivered)) = (asked.concurrency, delivered.concurrency_avg) {
        let asked = if asked.concurrency_avg.is_some() { "asked" } else { "at most" };
        parts.push(format!("{cap} in flight {asked}, {delivered:.1} on average"));
    }
    if let Some(arrivals) = &delivery.arrivals {
        parts.push(format!("KS distance {:.3} (critical {:.3})", arrivals.ks_distance, arrivals.ks_critical));
    }
    if let Some(lag) = &delivery.schedule_lag_ms {
        parts.push(format!("schedule lag p50 {:.3} ms, p99 {:.3} ms", lag.p50, lag.p99));
    }
    (!parts.is_empty()).then(|| format!("load: {}\n", parts.join("; ")))
}
