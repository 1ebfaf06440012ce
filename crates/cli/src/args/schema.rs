//! Flags of `schema`.

use clap::Args;

/// Print the JSON Schema of a file that tokmeter writes.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  Which schemas are there?
    tokmeter schema
  That of the records, one of which is a line of profile_export.jsonl:
    tokmeter schema records
    tokmeter schema profile_export.jsonl")]
pub struct SchemaArgs {
    /// Short name or file name; without one, all are listed
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}
