//! The columns of a record's metadata, named like its fields.

use super::super::parquet_rows::{Cell, Kind};
use super::text_cell;
use crate::request::Metadata;
use crate::time::WallNs;

/// One column.
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) cell: fn(&Metadata) -> Cell,
}

const fn column(name: &'static str, kind: Kind, cell: fn(&Metadata) -> Cell) -> Column {
    Column { name, kind, cell }
}

fn count(value: Option<u64>) -> Cell {
    super::long(value).map_or(Cell::Null, Cell::Long)
}

fn instant(value: Option<WallNs>) -> Cell {
    count(value.map(|instant| instant.0))
}

fn text(value: &Option<String>) -> Cell {
    value.as_deref().map_or(Cell::Null, text_cell)
}

pub(super) const COLUMNS: [Column; 21] = [
    column("session_num", Kind::Long, |m| count(m.session_num)),
    column("x_request_id", Kind::Text, |m| text(&m.x_request_id)),
    column("x_correlation_id", Kind::Text, |m| text(&m.x_correlation_id)),
    column("conversation_id", Kind::Text, |m| text(&m.conversation_id)),
    column("turn_index", Kind::Long, |m| count(m.turn_index.map(u64::from))),
    column("credit_issued_ns", Kind::Long, |m| instant(m.credit_issued_ns)),
    column("request_start_ns", Kind::Long, |m| instant(Some(m.request_start_ns))),
    column("request_ack_ns", Kind::Long, |m| instant(m.request_ack_ns)),
    column("request_end_ns", Kind::Long, |m| instant(Some(m.request_end_ns))),
    column("worker_id", Kind::Text, |m| text_cell(&m.worker_id)),
    column("record_processor_id", Kind::Text, |m| text_cell(&m.record_processor_id)),
    column("benchmark_phase", Kind::Text, |m| text_cell(m.benchmark_phase.as_str())),
    column("phase_index", Kind::Long, |m| count(m.phase_index.map(u64::from))),
    column("profiling_index", Kind::Long, |m| count(m.profiling_index.map(u64::from))),
    column("phase_name", Kind::Text, |m| text(&m.phase_name)),
    column("phase_kind", Kind::Text, |m| text(&m.phase_kind)),
    column("was_cancelled", Kind::Bool, |m| Cell::Bool(m.was_cancelled)),
    column("cancellation_time_ns", Kind::Long, |m| instant(m.cancellation_time_ns)),
    column("context_overflow_skip", Kind::Bool, |m| Cell::Bool(m.context_overflow_skip)),
    column("agent_depth", Kind::Long, |m| count(Some(u64::from(m.agent_depth)))),
    column("root_correlation_id", Kind::Text, |m| text(&m.root_correlation_id)),
];

/// Whether a column belongs to the metadata.
pub(super) fn is_metadata(name: &str) -> bool {
    COLUMNS.iter().any(|column| column.name == name)
}
