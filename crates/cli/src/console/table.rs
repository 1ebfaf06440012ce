//! A plain table of text: a title, right-aligned columns, fits the width it is given.

use comfy_table::{
    Cell, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width,
};

/// One rule below the header, nothing else: the figures are what is read.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Renders a table with a title line. The first column is text, the others are numbers.
pub fn render(title: &str, header: &[&str], rows: &[Vec<String>], width: u16) -> String {
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width)
        .set_header(header.iter().enumerate().map(|(column, text)| cell(column, text)).collect::<Vec<_>>());
    for row in rows {
        table.add_row(row.iter().enumerate().map(|(column, text)| cell(column, text)).collect::<Vec<_>>());
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(7)));
    }
    format!("{title}\n{}\n", table.trim_fmt())
}

fn cell(column: usize, text: &str) -> Cell {
    let cell = Cell::new(text);
    match column {
        0 => cell,
        _ => cell.set_alignment(CellAlignment::Right),
    }
}
