//! Markdown tables, padded to be read in a terminal too.

use std::fmt::Write as _;

/// A column of a table.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its heading.
    pub heading: String,
    /// Whether it is flush right, as numbers are.
    pub right: bool,
    /// Its cells, from the top; as many as the other columns have.
    pub cells: Vec<String>,
}

/// The columns side by side.
pub fn grid(columns: &[Column]) -> String {
    let escaped = |cell: &String| cell.replace('|', "\\|").replace('\n', " ");
    let columns: Vec<(bool, Vec<String>)> = columns
        .iter()
        .map(|column| {
            let cells = std::iter::once(&column.heading).chain(&column.cells);
            (column.right, cells.map(escaped).collect())
        })
        .collect();
    let width =
        |cells: &[String]| cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0).max(3);
    let lines = columns.first().map_or(0, |(_, cells)| cells.len());
    let mut text = String::new();
    for line in 0..lines {
        for (right, cells) in &columns {
            let (cell, width) = (&cells[line], width(cells));
            let _ = match right {
                true => write!(text, "| {cell:>width$} "),
                false => write!(text, "| {cell:<width$} "),
            };
        }
        text.push_str("|\n");
        if line == 0 {
            for (right, cells) in &columns {
                let dashes = "-".repeat(width(cells) - usize::from(*right));
                let _ = write!(text, "| {dashes}{} ", if *right { ":" } else { "" });
            }
            text.push_str("|\n");
        }
    }
    text
}

/// A table from rows of as many cells as there are headings; `right` marks columns of numbers.
pub fn from_rows<const N: usize>(headings: [(&str, bool); N], rows: &[[String; N]]) -> String {
    grid(&columns(headings, rows))
}

/// The columns of such a table.
pub fn columns<const N: usize>(headings: [(&str, bool); N], rows: &[[String; N]]) -> Vec<Column> {
    headings
        .iter()
        .enumerate()
        .map(|(place, (heading, right))| Column {
            heading: (*heading).to_owned(),
            right: *right,
            cells: rows.iter().map(|row| row[place].clone()).collect(),
        })
        .collect()
}
