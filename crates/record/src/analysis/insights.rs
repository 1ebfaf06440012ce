//! What the figures mean: the thresholds of seed 001 (and a few of our own) as data, applied to a report.

use serde::Serialize;

use crate::analysis::report::Report;

/// How a figure is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Neither good nor bad; a property of this workload.
    Neutral,
    /// Worth a look.
    Attention,
}

/// One figure with its meaning.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Insight {
    /// Short name of the rule.
    pub rule: &'static str,
    /// What is looked at.
    pub title: &'static str,
    /// The figure.
    pub figure: f64,
    /// Its unit: `%`, `x`, `ms`, `tokens/sec`, `B/token`, `tokens/chunk`.
    pub unit: &'static str,
    /// Good, neutral or attention.
    pub verdict: Verdict,
    /// The verdict in a few words.
    pub meaning: &'static str,
    /// What to do; empty when there is nothing to do.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub advice: &'static str,
}

/// One band of a rule: it holds for figures below `below`.
struct Band {
    below: f64,
    verdict: Verdict,
    meaning: &'static str,
    advice: &'static str,
}

struct Rule {
    name: &'static str,
    title: &'static str,
    unit: &'static str,
    figure: fn(&Report) -> Option<f64>,
    /// Ascending; the last one has no upper bound.
    bands: &'static [Band],
}

const fn band(below: f64, verdict: Verdict, meaning: &'static str, advice: &'static str) -> Band {
    Band { below, verdict, meaning, advice }
}

const NO_BOUND: f64 = f64::INFINITY;

/// The smallest figure that is above a threshold of the form "more than x is good".
const fn above(threshold: f64) -> f64 {
    threshold.next_up()
}

/// The rules, in the seed's order. Bounds are the seed's, except `inter_chunk_consistency` (the seed says "low") and
/// the last three, which are ours.
static RULES: &[Rule] = &[
    Rule {
        name: "connection_reuse",
        title: "Connection reuse",
        unit: "%",
        figure: |report| report.connections.reuse_rate_pct,
        bands: &[
            band(
                above(90.0),
                Verdict::Attention,
                "connections are opened again and again",
                "Look for a server or proxy that closes idle connections (keep-alive timeout, Connection: close) \
                 and for more concurrency than requests; set-up costs are in these latencies.",
            ),
            band(NO_BOUND, Verdict::Good, "good connection pooling", ""),
        ],
    },
    Rule {
        name: "dns_cache_hits",
        title: "DNS cache hit rate",
        unit: "%",
        figure: |report| report.dns.hit_rate_pct,
        bands: &[
            band(
                above(95.0),
                Verdict::Attention,
                "names are resolved again and again",
                "Keep connections alive, raise the TTL of the name, or measure against an address.",
            ),
            band(NO_BOUND, Verdict::Good, "efficient DNS caching", ""),
        ],
    },
    Rule {
        name: "inter_chunk_consistency",
        title: "Inter-chunk latency, p99 over p50",
        unit: "x",
        figure: |report| {
            let gaps = report.streaming.inter_chunk_latency.as_ref()?;
            (gaps.p50 > 0.0).then(|| gaps.p99 / gaps.p50)
        },
        bands: &[
            band(3.0, Verdict::Good, "stable streaming", ""),
            band(
                10.0,
                Verdict::Neutral,
                "uneven streaming",
                "Compare with the server's batch size: prefills of other requests pause a stream.",
            ),
            band(
                NO_BOUND,
                Verdict::Attention,
                "streams stall",
                "Look at preemptions and KV cache use in the server's metrics, and use --slowest for the requests \
                 with the longest gaps.",
            ),
        ],
    },
    Rule {
        name: "transfer_ratio",
        title: "Transfer over processing",
        unit: "x",
        figure: |report| report.network_efficiency.as_ref().map(|efficiency| efficiency.transfer_ratio),
        bands: &[
            band(
                0.5,
                Verdict::Neutral,
                "server-bound: most of the time passes before the first byte",
                "Shorten queueing and prefill: prefix caching, chunked prefill, more replicas.",
            ),
            band(above(2.0), Verdict::Neutral, "processing and transfer are balanced", ""),
            band(
                NO_BOUND,
                Verdict::Neutral,
                "network-bound, or a long generation that is streamed",
                "If few tokens make up this time, look at the connection; if many do, decoding speed decides.",
            ),
        ],
    },
    Rule {
        name: "token_throughput",
        title: "Token throughput of a request",
        unit: "tokens/sec",
        figure: |report| report.tokens.throughput.as_ref().map(|rate| rate.avg),
        bands: &[
            band(
                20.0,
                Verdict::Attention,
                "slow generation, potential bottleneck",
                "Check batch size, GPU use and queue of the server; people read about 5 to 10 tokens/sec.",
            ),
            band(above(100.0), Verdict::Neutral, "moderate generation", ""),
            band(NO_BOUND, Verdict::Good, "fast generation", ""),
        ],
    },
    Rule {
        name: "time_per_token",
        title: "Time per output token",
        unit: "ms",
        figure: |report| report.tokens.time_per_token.as_ref().map(|time| time.avg),
        bands: &[
            band(10.0, Verdict::Good, "excellent", ""),
            band(above(50.0), Verdict::Good, "good", ""),
            band(
                above(100.0),
                Verdict::Neutral,
                "fair",
                "Short outputs count the whole TTFB; compare with ITL.",
            ),
            band(
                NO_BOUND,
                Verdict::Attention,
                "needs investigation",
                "Short outputs count the whole TTFB; if ITL is high too, the server decodes slowly.",
            ),
        ],
    },
    Rule {
        name: "bytes_per_token",
        title: "Bytes per token",
        unit: "B/token",
        figure: |report| report.tokens.bytes_per_token.as_ref().map(|bytes| bytes.avg),
        bands: &[
            band(3.0, Verdict::Good, "compact payload", ""),
            band(above(8.0), Verdict::Good, "typical of an efficient API", ""),
            band(above(20.0), Verdict::Neutral, "some metadata beside the text", ""),
            band(
                NO_BOUND,
                Verdict::Attention,
                "inefficient payload, or metadata in every event",
                "An SSE event of the OpenAI API has about 200 bytes of JSON around each token; fewer, larger \
                 events or compression help on slow links.",
            ),
        ],
    },
    Rule {
        name: "tokens_per_chunk",
        title: "Tokens per chunk",
        unit: "tokens/chunk",
        figure: |report| report.correlation.as_ref().and_then(|tokens| tokens.avg_tokens_per_chunk),
        bands: &[
            band(1.0, Verdict::Neutral, "very fine streaming, may have overhead", ""),
            band(above(10.0), Verdict::Good, "fine streaming", ""),
            band(
                NO_BOUND,
                Verdict::Neutral,
                "coarse batching: better throughput, higher latency between updates",
                "If that is not intended, look for a proxy that buffers (proxy_buffering, compression).",
            ),
        ],
    },
    Rule {
        name: "coalesced_chunks",
        title: "Chunks that arrived together with the one before",
        unit: "%",
        figure: |report| {
            let gaps = report.streaming.inter_chunk_latency.as_ref().map_or(0, |gaps| gaps.count);
            let all = gaps + report.streaming.coalesced;
            (all > 0).then(|| 100.0 * report.streaming.coalesced as f64 / all as f64)
        },
        bands: &[
            band(above(10.0), Verdict::Good, "events arrive one by one", ""),
            band(
                NO_BOUND,
                Verdict::Attention,
                "many events arrive in one read",
                "The server or a proxy batches events, or the client read late: gaps between tokens are then not \
                 the server's.",
            ),
        ],
    },
    Rule {
        name: "queue_wait",
        title: "Queue wait, p99 over the median latency",
        unit: "%",
        figure: |report| {
            let wait = report.connections.queue_wait.as_ref()?.p99;
            let whole = report.phases.total.as_ref()?.p50;
            (whole > 0.0).then(|| 100.0 * wait / whole)
        },
        bands: &[
            band(above(5.0), Verdict::Good, "requests hardly wait for a connection", ""),
            band(
                NO_BOUND,
                Verdict::Attention,
                "requests wait for a connection",
                "The connection limit is below the load: raise it, or these latencies measure the client's own \
                 queue.",
            ),
        ],
    },
    Rule {
        name: "failures",
        title: "Failed requests",
        unit: "%",
        figure: |report| {
            let all = report.overview.phased_records();
            (all > 0).then(|| 100.0 * report.overview.failed as f64 / all as f64)
        },
        bands: &[
            band(f64::MIN_POSITIVE, Verdict::Good, "none", ""),
            band(
                NO_BOUND,
                Verdict::Attention,
                "some requests failed",
                "Their bytes and times are in the figures above; --filter 'not failed' leaves them out.",
            ),
        ],
    },
];

/// The insights of a report: one for each rule whose figure exists.
pub fn of(report: &Report) -> Vec<Insight> {
    RULES.iter().filter_map(|rule| Some(judge(rule, (rule.figure)(report)?))).collect()
}

fn judge(rule: &Rule, figure: f64) -> Insight {
    let index = rule.bands.iter().position(|band| figure < band.below).unwrap_or(rule.bands.len() - 1);
    let band = &rule.bands[index];
    Insight {
        rule: rule.name,
        title: rule.title,
        figure,
        unit: rule.unit,
        verdict: band.verdict,
        meaning: band.meaning,
        advice: band.advice,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(name: &str, figure: f64) -> &'static str {
        let rule = RULES.iter().find(|rule| rule.name == name).unwrap();
        judge(rule, figure).meaning
    }

    #[test]
    fn bands_ascend_and_the_last_is_open() {
        for rule in RULES {
            assert!(rule.bands.windows(2).all(|pair| pair[0].below < pair[1].below), "{}", rule.name);
            assert_eq!(rule.bands.last().unwrap().below, NO_BOUND, "{}", rule.name);
        }
    }

    #[test]
    fn the_seeds_thresholds_decide() {
        assert_eq!(meaning("connection_reuse", 90.0), "connections are opened again and again");
        assert_eq!(meaning("connection_reuse", 90.1), "good connection pooling");
        assert_eq!(meaning("dns_cache_hits", 95.0), "names are resolved again and again");
        assert_eq!(meaning("dns_cache_hits", 99.0), "efficient DNS caching");
        assert!(meaning("transfer_ratio", 0.49).starts_with("server-bound"));
        assert!(meaning("transfer_ratio", 2.0).contains("balanced"));
        assert!(meaning("transfer_ratio", 2.01).starts_with("network-bound"));
        assert!(meaning("token_throughput", 19.9).starts_with("slow"));
        assert!(meaning("token_throughput", 20.0).starts_with("moderate"));
        assert!(meaning("token_throughput", 100.1).starts_with("fast"));
        assert_eq!(meaning("time_per_token", 9.99), "excellent");
        assert_eq!(meaning("time_per_token", 50.0), "good");
        assert_eq!(meaning("time_per_token", 100.0), "fair");
        assert_eq!(meaning("time_per_token", 100.1), "needs investigation");
        assert!(meaning("bytes_per_token", 8.0).starts_with("typical"));
        assert!(meaning("bytes_per_token", 20.1).starts_with("inefficient"));
        assert!(meaning("tokens_per_chunk", 0.9).starts_with("very fine"));
        assert!(meaning("tokens_per_chunk", 10.1).starts_with("coarse"));
        assert_eq!(meaning("failures", 0.0), "none");
        assert_eq!(meaning("failures", 0.1), "some requests failed");
    }
}
