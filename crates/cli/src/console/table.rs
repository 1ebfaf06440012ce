//! A plain table of text: a title, right-aligned columns, fits the width it is given.

use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, Width};

/// Renders a table with a title line. The first column is text, the others are numbers.
pub fn render(title: &str, header: &[&str], rows: &[Vec<String>], width: u16) -> String {
    let mut table = Table::new();
    table
        .load_preset("     ──             ")
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width)
        .set_header(header.iter().enumerate().map(|(column, text)| cell(column, text)));
    for row in rows {
        table.add_row(row.iter().enumerate().map(|(column, text)| cell(column, text)));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(7)));
    }
    let body = table.trim_fmt();
    format!("{title}\n{body}\n")
}

fn cell(column: usize, text: &str) -> Cell {
    let cell = Cell::new(text);
    match column {
        0 => cell,
        _ => cell.set_alignment(CellAlignment::Right),
    }
}
