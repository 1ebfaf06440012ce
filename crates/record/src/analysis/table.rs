//! The report as a flat CSV: one row for each number, for spreadsheets and scripts.

use std::io;

use serde_json::Value;

use crate::analysis::report::Report;
use crate::analysis::text::Section;

/// Writes `section,figure,statistic,unit,value`; a figure without statistics has an empty third cell. Durations are
/// in ms, sizes in bytes. With `only`, those sections; all when it is empty.
///
/// # Errors
/// The writer's own.
pub fn write_csv(report: &Report, only: &[Section], out: &mut dyn io::Write) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(["section", "figure", "statistic", "unit", "value"])?;
    if let Value::Object(sections) = report.selected(only) {
        for (section, value) in &sections {
            match (section.as_str(), value) {
                ("insights", Value::Array(insights)) => {
                    for insight in insights {
                        let text = |key: &str| insight[key].as_str().unwrap_or_default();
                        let figure = insight["figure"].to_string();
                        writer.write_record([
                            "insights",
                            text("rule"),
                            text("verdict"),
                            text("unit"),
                            &figure,
                        ])?;
                    }
                }
                (_, Value::Object(figures)) if figures.contains_key("unit") => {
                    summary(&mut writer, section, "", figures)?;
                }
                (_, Value::Object(figures)) => {
                    for (figure, value) in figures {
                        match value {
                            Value::Object(statistics) => summary(&mut writer, section, figure, statistics)?,
                            Value::Number(number) => {
                                writer.write_record([
                                    section,
                                    figure,
                                    "",
                                    unit_of(figure),
                                    &number.to_string(),
                                ])?;
                            }
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
    }
    writer.flush()
}

fn summary(
    writer: &mut csv::Writer<&mut dyn io::Write>,
    section: &str,
    figure: &str,
    statistics: &serde_json::Map<String, Value>,
) -> io::Result<()> {
    let unit = statistics.get("unit").and_then(Value::as_str).unwrap_or_default();
    for (statistic, value) in statistics {
        if let Value::Number(number) = value {
            let unit = if statistic == "count" { "" } else { unit };
            writer.write_record([section, figure, statistic, unit, &number.to_string()])?;
        }
    }
    Ok(())
}

/// Unit of a single number, from the end of its name.
fn unit_of(figure: &str) -> &'static str {
    match figure {
        figure if figure.ends_with("_ms") => "ms",
        figure if figure.ends_with("_pct") => "%",
        "transfer_ratio" => "ratio",
        figure if figure.ends_with("_bytes") => "B",
        _ => "",
    }
}
