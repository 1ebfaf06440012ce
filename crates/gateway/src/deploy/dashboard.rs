//! The Grafana dashboard: the seed's ten panels first, then tokens, then the gateway itself.

use serde_json::{Value, json};

use super::query::{Over, mean, quantile, rate, selector, variables};
use super::rules::stage_share;
use crate::catalogue::Metric;

/// Schema of Grafana 12.
const SCHEMA_VERSION: u32 = 41;

const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];

/// Range of a rate on the screen; Grafana puts it in.
const WINDOW: &str = "$__rate_interval";

/// The dashboard as JSON.
pub fn dashboard() -> String {
    let mut grid = Grid::default();
    overview(&mut grid);
    grid.row("Tokens");
    tokens(&mut grid);
    grid.row("The gateway itself");
    gateway(&mut grid);
    let dashboard = json!({
        "uid": "performance-monitoring",
        "title": "Gateway performance",
        "description": "Backend TTFB, streaming, stages, tokens and the gateway's own time",
        "tags": ["llm", "gateway", "tokmeter"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [],
        "templating": {"list": templating()},
        "panels": grid.panels,
    });
    format!("{dashboard:#}\n")
}

fn templating() -> Vec<Value> {
    let mut list = vec![json!({
        "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus",
        "current": {}, "hide": 0, "refresh": 1, "regex": "", "includeAll": false, "multi": false, "options": [],
    })];
    for (label, title) in [("provider", "Provider"), ("model", "Model"), ("endpoint", "Endpoint")] {
        let query = format!("label_values({}, {label})", Metric::Requests.spec().name);
        list.push(json!({
            "name": label, "label": title, "type": "query", "datasource": data_source(),
            "definition": query.clone(), "query": {"query": query, "refId": "variable", "qryType": 1},
            "current": {"text": ["All"], "value": ["$__all"]}, "includeAll": true, "allValue": ".*",
            "multi": true, "hide": 0, "refresh": 2, "regex": "", "sort": 1, "options": [],
        }));
    }
    list
}

fn data_source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

/// Panels placed from left to right, 24 columns wide.
#[derive(Default)]
struct Grid {
    panels: Vec<Value>,
    x: u32,
    y: u32,
    height: u32,
}

/// What a panel shows.
struct Panel<'a> {
    title: &'a str,
    description: &'a str,
    kind: &'a str,
    unit: &'a str,
    size: (u32, u32),
    /// Limits from which on the colour changes: first yellow, then red.
    thresholds: &'a [f64],
    stacked: bool,
    /// Expression and legend.
    targets: Vec<(String, String)>,
}

impl Grid {
    fn place(&mut self, (width, height): (u32, u32)) -> Value {
        if self.x + width > 24 {
            (self.x, self.y, self.height) = (0, self.y + self.height, 0);
        }
        let position = json!({"x": self.x, "y": self.y, "w": width, "h": height});
        self.x += width;
        self.height = self.height.max(height);
        position
    }

    fn row(&mut self, title: &str) {
        let position = self.place((24, 1));
        let id = self.panels.len() + 1;
        self.panels.push(json!({
            "id": id, "type": "row", "title": title, "collapsed": false, "gridPos": position, "panels": [],
        }));
    }

    fn add(&mut self, panel: Panel<'_>) {
        let position = self.place(panel.size);
        let instant = panel.kind != "timeseries";
        let targets: Vec<Value> = panel
            .targets
            .iter()
            .zip('A'..='Z')
            .map(|((expression, legend), id)| {
                json!({
                    "refId": id.to_string(), "datasource": data_source(), "editorMode": "code", "expr": expression,
                    "legendFormat": legend, "instant": instant, "range": !instant, "exemplar": !instant,
                })
            })
            .collect();
        let mut steps = vec![json!({"color": "green", "value": null})];
        for (limit, colour) in panel.thresholds.iter().zip(["yellow", "red"]) {
            steps.push(json!({"color": colour, "value": limit}));
        }
        let mut defaults = json!({
            "unit": panel.unit, "min": 0, "color": {"mode": if instant { "thresholds" } else { "palette-classic" }},
            "thresholds": {"mode": "absolute", "steps": steps},
        });
        if panel.unit == "percentunit" {
            defaults["max"] = json!(1);
        }
        let options = match panel.kind {
            "timeseries" => {
                defaults["custom"] = json!({
                    "drawStyle": "line", "lineWidth": 1, "showPoints": "never", "spanNulls": false,
                    "fillOpacity": if panel.stacked { 60 } else { 0 },
                    "stacking": {"mode": if panel.stacked { "normal" } else { "none" }, "group": "A"},
                    "thresholdsStyle": {"mode": if panel.thresholds.is_empty() { "off" } else { "dashed" }},
                });
                json!({
                    "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"], "showLegend": true},
                    "tooltip": {"mode": "multi", "sort": "desc"},
                })
            }
            "bargauge" => json!({
                "orientation": "horizontal", "displayMode": "gradient", "showUnfilled": true, "valueMode": "color",
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
            }),
            _ => json!({
                "showThresholdLabels": false, "showThresholdMarkers": true, "orientation": "auto",
                "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": false},
            }),
        };
        let id = self.panels.len() + 1;
        self.panels.push(json!({
            "id": id, "type": panel.kind, "title": panel.title, "description": panel.description,
            "datasource": data_source(), "gridPos": position, "targets": targets, "options": options,
            "fieldConfig": {"defaults": defaults, "overrides": []},
        }));
    }

    /// p50, p95 and p99 of a histogram by labels.
    fn quantiles(&mut self, title: &str, metric: Metric, by: &[&str], thresholds: &[f64], width: u32) {
        let names: Vec<String> = by.iter().map(|label| format!("{{{{{label}}}}}")).collect();
        let targets =
            QUANTILES.iter().map(|(name, q)| (quantile(*q, metric, by, shown(metric)), legend(name, &names)));
        self.add(Panel {
            title,
            description: metric.spec().help,
            kind: "timeseries",
            unit: "s",
            size: (width, 9),
            thresholds,
            stacked: false,
            targets: targets.collect(),
        });
    }

    /// Lines by a label.
    fn lines(
        &mut self,
        title: &str,
        description: &str,
        unit: &str,
        stacked: bool,
        targets: Vec<(String, String)>,
    ) {
        let (kind, size, thresholds) = ("timeseries", (12, 9), &[][..]);
        self.add(Panel { title, description, kind, unit, size, thresholds, stacked, targets });
    }

    fn gauge(&mut self, title: &str, description: &str, unit: &str, thresholds: &[f64], expression: String) {
        let targets = vec![(expression, String::new())];
        let (kind, size, stacked) = ("gauge", (6, 6), false);
        self.add(Panel { title, description, kind, unit, size, thresholds, stacked, targets });
    }
}

fn legend(name: &str, labels: &[String]) -> String {
    [name.to_owned()].iter().chain(labels).cloned().collect::<Vec<_>>().join(" ")
}

/// The series that the dashboard's variables choose.
fn shown(metric: Metric) -> Over {
    Over { filter: variables(metric), window: WINDOW }
}

/// The seed's panels, in its order.
fn overview(grid: &mut Grid) {
    const BACKEND: [&str; 2] = ["provider", "model"];
    let (ttfb, stream, front) = (Metric::BackendTtfb, Metric::StreamingDuration, Metric::FrontendProcessing);
    let stages = Metric::RequestStageDuration;
    let five = |metric| Over { filter: variables(metric), window: "5m" };
    grid.quantiles("Backend API TTFB by provider and model", ttfb, &BACKEND, &[1.5, 2.0], 12);
    grid.quantiles("Streaming duration by provider and model", stream, &BACKEND, &[1.0, 1.5], 12);
    grid.add(Panel {
        title: "Frontend processing time (p95)",
        description: front.spec().help,
        kind: "timeseries",
        unit: "s",
        size: (12, 9),
        thresholds: &[0.003, 0.01],
        stacked: false,
        targets: vec![(quantile(0.95, front, &["endpoint"], shown(front)), "{{endpoint}}".to_owned())],
    });
    let by_stage = || "{{stage}}".to_owned();
    let breakdown = mean(stages, &["stage"], shown(stages));
    grid.lines(
        "Request stage breakdown",
        "Mean time in each stage",
        "s",
        true,
        vec![(breakdown, by_stage())],
    );
    let shares = stage_share(shown(stages));
    let description = "Share of all requests' time, from sums: long requests count for what they are";
    grid.lines("Time distribution by stage", description, "percentunit", true, vec![(shares, by_stage())]);
    grid.add(Panel {
        title: "Top 10 slowest backend TTFB (p95)",
        description: "By provider and model, over 5 minutes",
        kind: "bargauge",
        unit: "s",
        size: (12, 9),
        thresholds: &[1.5, 2.0],
        stacked: false,
        targets: vec![(
            format!("topk(10, {})", quantile(0.95, ttfb, &BACKEND, five(ttfb))),
            "{{provider}} {{model}}".to_owned(),
        )],
    });
    let p95 = |metric| quantile(0.95, metric, &[], five(metric));
    grid.gauge("Backend TTFB p95", "Over 5 minutes", "s", &[1.5, 2.0], p95(ttfb));
    grid.gauge("Streaming p95", "Over 5 minutes", "s", &[1.0, 1.5], p95(stream));
    grid.gauge("Frontend p95", "Over 5 minutes; the norm is below 3 ms", "s", &[0.003, 0.01], p95(front));
    let share = selector(Metric::StagePercentage, "", r#"stage="backend_response", endpoint=~"$endpoint""#);
    let description = "Mean share of the backend in a request";
    grid.gauge("Backend response share", description, "percent", &[70.0, 90.0], format!("avg({share})"));
}

fn tokens(grid: &mut Grid) {
    const GEN_AI: [&str; 2] = ["gen_ai_provider_name", "gen_ai_request_model"];
    let first = Metric::GenAiTimeToFirstToken;
    grid.quantiles("Time to first token", first, &GEN_AI, &[1.0, 2.5], 12);
    grid.quantiles("Time per output token", Metric::GenAiTimePerOutputToken, &GEN_AI, &[0.05, 0.1], 12);
    grid.quantiles("Time to first chunk", Metric::TimeToFirstChunk, &["provider", "model"], &[], 12);
    grid.quantiles("Request duration", Metric::GenAiRequestDuration, &GEN_AI, &[], 12);
    let tokens = rate(Metric::Tokens, "", &["token_type"], shown(Metric::Tokens));
    let help = Metric::Tokens.spec().help;
    grid.lines("Tokens per second", help, "short", false, vec![(tokens, "{{token_type}}".to_owned())]);
    let usage = mean(Metric::GenAiTokenUsage, &["gen_ai_token_type"], shown(Metric::GenAiTokenUsage));
    let by_type = "{{gen_ai_token_type}}".to_owned();
    grid.lines("Tokens per request", "Mean", "short", false, vec![(usage, by_type)]);
}

fn gateway(grid: &mut Grid) {
    grid.quantiles("Gateway overhead", Metric::Overhead, &["endpoint"], &[0.003, 0.025], 12);
    grid.quantiles("Wait for clients to take bytes", Metric::ClientWait, &["endpoint"], &[], 12);
    let requests = rate(Metric::Requests, "", &["outcome"], shown(Metric::Requests));
    let help = Metric::Requests.spec().help;
    grid.lines(
        "Requests per second by outcome",
        help,
        "reqps",
        true,
        vec![(requests, "{{outcome}}".to_owned())],
    );
    let in_flight = selector(Metric::InFlight, "", variables(Metric::InFlight));
    let connections = Metric::Connections.spec().name;
    let refused = rate(Metric::ConnectionsRefused, "", &[], shown(Metric::ConnectionsRefused));
    grid.lines(
        "In flight",
        "Requests and client connections",
        "short",
        false,
        vec![
            (format!("sum({in_flight}) by (endpoint)"), "requests {{endpoint}}".to_owned()),
            (format!("sum({connections})"), "client connections".to_owned()),
            (refused, "connections refused per second".to_owned()),
        ],
    );
}
