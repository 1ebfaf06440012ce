//! The table of metrics in the guide is the catalogue.

use tokmeter_gateway::{Kind, Source, catalogue};

const GUIDE: &str = include_str!("../../../../docs/gateway.md");

fn table() -> String {
    let mut table = String::from("| metric | type | labels | source | |\n|---|---|---|---|---|\n");
    for spec in catalogue() {
        let source = match spec.source {
            Source::Seed => "seed",
            Source::SeedCode => "seed code",
            Source::OpenTelemetry => "OTel",
            Source::Tokmeter => "tokmeter",
        };
        let labels: Vec<String> = spec.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, kind, labels) = (spec.name, spec.kind.as_str(), labels.join(", "));
        table.push_str(&format!("| `{name}` | {kind} | {labels} | {source} | {} |\n", spec.help));
    }
    table.push_str("\nUpper bounds of the buckets, in the metric's unit:\n\n");
    for spec in catalogue().filter(|spec| spec.kind == Kind::Histogram) {
        let bounds: Vec<String> = spec.buckets.iter().map(ToString::to_string).collect();
        table.push_str(&format!("* `{}`: {}\n", spec.name, bounds.join(", ")));
    }
    table
}

#[test]
fn the_guide_lists_every_metric_as_it_is() {
    let listed =
        GUIDE.split("<!-- catalogue -->\n").nth(1).and_then(|rest| rest.split("<!-- /catalogue -->").next());
    let table = table();
    assert!(listed == Some(&format!("\n{table}\n")), "put this between the marks:\n\n{table}");
}
