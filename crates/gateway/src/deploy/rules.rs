//! Prometheus rules: recorded ratios and quantiles, and alerts on them.
//!
//! Alerts of the seed keep its names, thresholds and times. All that judge a quantile or a ratio also ask for traffic:
//! the tail of three requests says nothing. Burn rates follow the multi-window form of the SRE workbook (chapter 5):
//! 14.4 times the budget over 1 h and 5 min, 6 times over 6 h and 30 min.

use std::fmt::Write;

use super::query::{Over, quantile, rate};
use crate::catalogue::Metric;

const HEAD: &str = "# Generated: cargo run --package tokmeter-gateway --example deploy\ngroups:\n";

/// Windows of the burn rates.
const WINDOWS: [&str; 4] = ["5m", "30m", "1h", "6h"];

/// Share of requests that may fail, and share of streams whose first token may be late.
const ERROR_BUDGET: f64 = 0.01;
const LATE_BUDGET: f64 = 0.05;

/// A first token after this is late: a bucket bound, s.
const LATE_AFTER: &str = "2.5";

const NOT_LATE: &str = r#"le="2.5""#;

/// Outcomes for which the gateway or its upstreams answer. A client's own errors and departures, and limits that were
/// set on purpose, do not burn the budget.
const NOT_FAILED: &str = r#"outcome=~"ok|client_error|rate_limited|cancelled_by_client""#;

/// Requests in 5 minutes below which quantiles and ratios raise no alert.
const LEAST_REQUESTS: u32 = 20;

/// The recording rules as YAML.
pub fn recording_rules() -> String {
    let mut text = format!("{HEAD}  - name: gateway_ratios\n    interval: 15s\n    rules:\n");
    for window in WINDOWS {
        let all = rate(Metric::Requests, "", &[], Over::all(window));
        let good = rate(Metric::Requests, "", &[], Over { filter: NOT_FAILED, window });
        record(
            &mut text,
            &format!("gateway:requests_failed:ratio_rate{window}"),
            &format!("1 - ({good} or 0 * {all}) / {all}"),
        );
    }
    for window in WINDOWS {
        let all = rate(Metric::GenAiTimeToFirstToken, "_count", &[], Over::all(window));
        let in_time = Over { filter: NOT_LATE, window };
        let in_time = rate(Metric::GenAiTimeToFirstToken, "_bucket", &[], in_time);
        record(
            &mut text,
            &format!("gateway:first_token_late:ratio_rate{window}"),
            &format!("1 - {in_time} / {all}"),
        );
    }
    text.push_str("  - name: gateway_quantiles\n    interval: 15s\n    rules:\n");
    let five = Over::all("5m");
    let backend = &["provider", "model"];
    let gen_ai = &["gen_ai_provider_name", "gen_ai_request_model"];
    for (name, expression) in [
        ("gateway:requests:rate5m", rate(Metric::Requests, "", &[], five)),
        ("provider_model:requests:rate5m", rate(Metric::Requests, "", backend, five)),
        ("provider_model:backend_ttfb_seconds:p95_5m", quantile(0.95, Metric::BackendTtfb, backend, five)),
        (
            "provider_model:streaming_duration_seconds:p95_5m",
            quantile(0.95, Metric::StreamingDuration, backend, five),
        ),
        (
            "provider_model:time_to_first_token_seconds:p95_5m",
            quantile(0.95, Metric::GenAiTimeToFirstToken, gen_ai, five),
        ),
        (
            "provider_model:time_per_output_token_seconds:p95_5m",
            quantile(0.95, Metric::GenAiTimePerOutputToken, gen_ai, five),
        ),
        ("endpoint:gateway_overhead_seconds:p99_5m", quantile(0.99, Metric::Overhead, &["endpoint"], five)),
        ("stage:request_stage_duration_seconds:share_5m", stage_share(five)),
    ] {
        record(&mut text, name, &expression);
    }
    text
}

/// Share of all time by stage: from sums, so that long requests count for what they are.
pub(super) fn stage_share(over: Over) -> String {
    format!(
        "{} / ignoring(stage) group_left {}",
        rate(Metric::RequestStageDuration, "_sum", &["stage"], over),
        rate(Metric::RequestStageDuration, "_sum", &[], over)
    )
}

/// How bad an alert is.
#[derive(Clone, Copy, Debug)]
enum Severity {
    Info,
    Warning,
    Critical,
}

impl Severity {
    const fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

struct Alert {
    name: &'static str,
    condition: String,
    wait: &'static str,
    severity: Severity,
    summary: &'static str,
    description: String,
}

/// The alerting rules as YAML.
pub fn alert_rules() -> String {
    let mut text = String::from(HEAD);
    for (group, alerts) in [
        ("performance_alerts", performance()),
        ("token_alerts", tokens()),
        ("gateway_alerts", gateway()),
        ("burn_rate_alerts", burn_rates()),
    ] {
        let _ = writeln!(text, "  - name: {group}\n    rules:");
        for alert in alerts {
            let _ = write!(
                text,
                "      - alert: {}\n        expr: |-\n          {}\n        for: {}\n        labels:\n          severity: {}\n        \
                 annotations:\n          summary: {:?}\n          description: {:?}\n",
                alert.name,
                alert.condition,
                alert.wait,
                alert.severity.as_str(),
                alert.summary,
                alert.description,
            );
        }
    }
    text
}

/// p95 of a histogram above a limit, with traffic.
fn slow(metric: Metric, by: &[&str], limit: &str) -> String {
    let five = Over::all("5m");
    let enough = format!("sum(increase({}_count[5m]))", metric.spec().name);
    let (enough, matching) = match by {
        [] => (enough, String::new()),
        _ => (format!("{enough} by ({})", by.join(", ")), format!("on ({}) ", by.join(", "))),
    };
    format!("{} > {limit} and {matching}{enough} >= {LEAST_REQUESTS}", quantile(0.95, metric, by, five))
}

fn alert(
    name: &'static str,
    condition: String,
    wait: &'static str,
    severity: Severity,
    summary: &'static str,
    description: impl Into<String>,
) -> Alert {
    Alert { name, condition, wait, severity, summary, description: description.into() }
}

/// The seed's alerts, and those of its gateway's code.
fn performance() -> Vec<Alert> {
    use Severity::{Critical, Info, Warning};
    let backend_share = {
        let over = Over { filter: r#"stage="backend_fetch""#, window: "5m" };
        let part = rate(Metric::RequestStageDuration, "_sum", &[], over);
        let all = rate(Metric::RequestStageDuration, "_sum", &[], Over::all("5m"));
        let requests = Metric::Requests.spec().name;
        format!("{part} / {all} > 0.9 and sum(increase({requests}[5m])) >= {LEAST_REQUESTS}")
    };
    vec![
        alert(
            "HighBackendTTFB",
            slow(Metric::BackendTtfb, &[], "2.0"),
            "5m",
            Warning,
            "High backend TTFB detected",
            "p95 TTFB > 2.0s for 5 minutes",
        ),
        alert(
            "CriticalBackendTTFB",
            slow(Metric::BackendTtfb, &[], "3.0"),
            "2m",
            Critical,
            "Critical backend TTFB",
            "p95 TTFB > 3.0s for 2 minutes",
        ),
        alert(
            "HighStreamingDuration",
            slow(Metric::StreamingDuration, &[], "1.5"),
            "5m",
            Warning,
            "High streaming duration",
            "p95 > 1.5s for 5 minutes; long answers do that too, see SlowOutputTokens",
        ),
        alert(
            "CriticalStreamingDuration",
            slow(Metric::StreamingDuration, &[], "2.5"),
            "2m",
            Critical,
            "Critical streaming duration",
            "p95 > 2.5s for 2 minutes; long answers do that too, see SlowOutputTokens",
        ),
        alert(
            "HighFrontendProcessing",
            slow(Metric::FrontendProcessing, &[], "0.01"),
            "5m",
            Warning,
            "Frontend processing time excessive",
            "p95 of parsing, authentication and preparation > 10ms for 5 minutes",
        ),
        alert(
            "SlowProviderTTFB",
            slow(Metric::BackendTtfb, &["provider"], "2.5"),
            "5m",
            Warning,
            "A provider is slow to answer",
            "{{ $labels.provider }}: p95 TTFB {{ $value | humanizeDuration }}",
        ),
        alert(
            "SlowModelTTFB",
            slow(Metric::BackendTtfb, &["provider", "model"], "3.0"),
            "5m",
            Warning,
            "A model is slow to answer",
            "{{ $labels.model }} at {{ $labels.provider }}: p95 TTFB {{ $value | humanizeDuration }}",
        ),
        alert(
            "BackendResponseDominating",
            backend_share,
            "10m",
            Info,
            "Almost all time is spent waiting for backends",
            "backend_fetch is {{ $value | humanizePercentage }} of all time: cold starts, queues or prefill",
        ),
    ]
}

/// Normalised by tokens: an answer that is long is not slow.
fn tokens() -> Vec<Alert> {
    let by = &["gen_ai_provider_name", "gen_ai_request_model"];
    let of = "{{ $labels.gen_ai_request_model }} at {{ $labels.gen_ai_provider_name }}";
    vec![
        alert(
            "SlowFirstToken",
            slow(Metric::GenAiTimeToFirstToken, by, "2.5"),
            "5m",
            Severity::Warning,
            "First tokens come late",
            format!("{of}: p95 time to first token {{{{ $value | humanizeDuration }}}}"),
        ),
        alert(
            "SlowOutputTokens",
            slow(Metric::GenAiTimePerOutputToken, by, "0.1"),
            "5m",
            Severity::Warning,
            "Output tokens come slowly",
            format!("{of}: p95 {{{{ $value | humanizeDuration }}}} per output token, less than 10 tokens/s"),
        ),
    ]
}

/// The gateway itself.
fn gateway() -> Vec<Alert> {
    let overhead = quantile(0.99, Metric::Overhead, &[], Over::all("5m"));
    let enough = format!("sum(increase({}_count[5m]))", Metric::Overhead.spec().name);
    vec![
        alert(
            "GatewayAbsent",
            format!("absent({})", Metric::Connections.spec().name),
            "2m",
            Severity::Critical,
            "No gateway is scraped",
            "no metrics of any gateway for 2 minutes: it is down, or Prometheus cannot reach it",
        ),
        alert(
            "HighGatewayOverhead",
            format!("{overhead} > 0.025 and {enough} >= {LEAST_REQUESTS}"),
            "5m",
            Severity::Warning,
            "The gateway itself takes time",
            "p99 outside upstream intervals > 25ms for 5 minutes",
        ),
        alert(
            "ClientConnectionsRefused",
            format!("increase({}[5m]) > 0", Metric::ConnectionsRefused.spec().name),
            "0m",
            Severity::Warning,
            "Client connections are refused",
            "the limit of connections was reached: {{ $value }} refused in 5 minutes",
        ),
    ]
}

fn burn_rates() -> Vec<Alert> {
    // Late first tokens and failed requests, each fast (2 % of a 30-day budget in an hour) and slow (5 % in 6 hours).
    let burn = |ratio: &str, budget: f64, factor: f64, long: &str, short: &str| {
        let limit = factor * budget;
        format!(
            "gateway:{ratio}:ratio_rate{long} > {limit:.3} and gateway:{ratio}:ratio_rate{short} > {limit:.3} \
             and sum(increase({}[{long}])) >= {LEAST_REQUESTS}",
            Metric::Requests.spec().name
        )
    };
    let share = |what: &str| format!("{{{{ $value | humanizePercentage }}}} of {what} in the long window");
    let failed = "requests fail on the side of the gateway or its upstreams";
    let late = format!("streams have their first token after more than {LATE_AFTER}s");
    let rows = [
        ("FailedRequestsBurnFast", "requests_failed", ERROR_BUDGET, true, share(failed)),
        ("FailedRequestsBurnSlow", "requests_failed", ERROR_BUDGET, false, share(failed)),
        ("LateFirstTokenBurnFast", "first_token_late", LATE_BUDGET, true, share(&late)),
        ("LateFirstTokenBurnSlow", "first_token_late", LATE_BUDGET, false, share(&late)),
    ];
    rows.into_iter()
        .map(|(name, ratio, budget, fast, description)| {
            let (condition, wait, severity) = match fast {
                true => (burn(ratio, budget, 14.4, "1h", "5m"), "2m", Severity::Critical),
                false => (burn(ratio, budget, 6.0, "6h", "30m"), "15m", Severity::Warning),
            };
            alert(name, condition, wait, severity, "The error budget burns too fast", description)
        })
        .collect()
}

fn record(text: &mut String, name: &str, expression: &str) {
    let _ = write!(text, "      - record: {name}\n        expr: |-\n          {expression}\n");
}
