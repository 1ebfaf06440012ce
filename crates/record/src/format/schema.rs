//! JSON Schemas (draft 2020-12) of the files of a run.
//!
//! They describe what tokmeter writes: fields without a value are left out, so no field may be null. Unknown fields are
//! allowed, so that a schema of today accepts files of later releases.

/// The schema of one kind of file.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// Short name, as `tokmeter schema` takes it.
    pub name: &'static str,
    /// The file, under its usual name.
    pub file: &'static str,
    /// Whether it holds for each line of the file instead of for the whole.
    pub by_line: bool,
    /// The schema as JSON text.
    pub text: &'static str,
}

macro_rules! schema {
    ($name:literal, $file:literal, $by_line:literal) => {
        Schema {
            name: $name,
            file: $file,
            by_line: $by_line,
            text: include_str!(concat!("../../schemas/", $name, ".schema.json")),
        }
    };
}

/// All schemas.
pub const SCHEMAS: [Schema; 8] = [
    schema!("records", "profile_export.jsonl", true),
    schema!("raw", "profile_export_raw.jsonl", true),
    schema!("inputs", "inputs.json", false),
    schema!("summary", "profile_export_aiperf.json", false),
    schema!("timeslices", "profile_export_aiperf_timeslices.json", false),
    schema!("server-metrics", "server_metrics_export.json", false),
    schema!("server-metrics-lines", "server_metrics_export.jsonl", true),
    schema!("gpu-telemetry", "gpu_telemetry_export.jsonl", true),
];

/// The schema of a short name or of a file's name.
pub fn find(name: &str) -> Option<&'static Schema> {
    SCHEMAS.iter().find(|schema| schema.name == name || schema.file == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_json_and_name_their_file() {
        for schema in &SCHEMAS {
            let parsed: serde_json::Value = serde_json::from_str(schema.text).unwrap();
            assert_eq!(parsed["title"], schema.file);
            assert_eq!(parsed["$id"], format!("urn:tokmeter:schema:{}", schema.name));
            assert_eq!(schema.by_line, schema.file.ends_with(".jsonl"));
        }
        assert_eq!(find("profile_export.jsonl").unwrap().name, "records");
        assert!(find("record").is_none());
    }
}
