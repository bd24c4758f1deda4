//! One side of a comparison, and which of its rows are those of the other.

use std::collections::HashSet;

use miette::Diagnostic;
use thiserror::Error;

use crate::exit::{self, Ends};
use crate::report::Entry;
use crate::tables::Collected;

/// One side of a comparison.
#[derive(Debug, Clone)]
pub struct Side {
    /// What it is called.
    pub name: String,
    /// What was collected of its sweeps; of a single row, that row's runs alone.
    pub sweeps: Vec<Collected>,
}

/// Two sides that have no row in common.
#[derive(Debug, Error, Diagnostic)]
#[error("{from} and {to} have no row in common")]
#[diagnostic(help(
    "rows are the same when factor and level are; two single rows are compared whatever they are \
     called, as in batch_size:batch_size=16 batch_size:baseline"
))]
pub struct NothingInCommon {
    from: String,
    to: String,
}

impl Ends for NothingInCommon {
    fn exit_code(&self) -> u8 {
        exit::USAGE
    }
}

/// Rows of two sides.
pub(super) struct Matched<'a> {
    /// What both have: its name, and the runs of each side.
    pub(super) pairs: Vec<(String, Vec<&'a Entry>, Vec<&'a Entry>)>,
    pub(super) only_from: Vec<String>,
    pub(super) only_to: Vec<String>,
}

/// A row of a side.
struct Row<'a> {
    sweep: &'a str,
    key: (Option<usize>, &'a str, &'a str),
    entries: Vec<&'a Entry>,
}

impl Row<'_> {
    fn name(&self, with_sweep: bool) -> String {
        let (stage, factor, level) = self.key;
        let sweep = if with_sweep { format!("{}: ", self.sweep) } else { String::new() };
        let stage = stage.map_or(String::new(), |stage| format!("stage {}, ", stage + 1));
        match level {
            "" => format!("{sweep}{stage}{factor}"),
            level => format!("{sweep}{stage}{factor} = {level}"),
        }
    }
}

/// Matches the rows of two sides: by sweep, factor and level where they have a sweep in common, else by
/// factor and level; single rows by themselves.
pub(super) fn matched<'a>(from: &'a Side, to: &'a Side) -> Result<Matched<'a>, NothingInCommon> {
    let (before, after) = (rows(from), rows(to));
    let sweeps: HashSet<&str> = before.iter().map(|row| row.sweep).collect();
    let by_sweep = after.iter().any(|row| sweeps.contains(row.sweep));
    let with_sweep = by_sweep && (sweeps.len() > 1 || to.sweeps.len() > 1);
    let mut pairs: Vec<(String, Vec<&Entry>, Vec<&Entry>)> = Vec::new();
    if let ([one], [other]) = (before.as_slice(), after.as_slice()) {
        let (left, right) =
            (one.name(one.sweep != other.sweep), other.name(one.sweep != other.sweep));
        let name = if left == right { left } else { format!("{left} -> {right}") };
        pairs.push((name, one.entries.clone(), other.entries.clone()));
        return Ok(Matched { pairs, only_from: Vec::new(), only_to: Vec::new() });
    }
    let same = |one: &Row<'_>, other: &Row<'_>| {
        one.key == other.key && (!by_sweep || one.sweep == other.sweep)
    };
    let mut seen = HashSet::new();
    for row in &before {
        let Some(other) = after.iter().find(|other| same(row, other)) else { continue };
        let runs = |entries: &[&Entry]| -> Vec<String> {
            entries.iter().map(|entry| entry.planned.run.to_string()).collect()
        };
        // The baseline stands in the rows of every factor, and is one comparison.
        if seen.insert((runs(&row.entries), runs(&other.entries))) {
            pairs.push((row.name(with_sweep), row.entries.clone(), other.entries.clone()));
        }
    }
    if pairs.is_empty() {
        return Err(NothingInCommon { from: from.name.clone(), to: to.name.clone() });
    }
    let only = |rows: &[Row<'_>], others: &[Row<'_>]| -> Vec<String> {
        let alone = rows.iter().filter(|row| !others.iter().any(|other| same(row, other)));
        alone.map(|row| row.name(with_sweep)).collect()
    };
    let (only_from, only_to) = (only(&before, &after), only(&after, &before));
    Ok(Matched { pairs, only_from, only_to })
}

fn rows(side: &Side) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for Collected { sweep, entries } in &side.sweeps {
        for of_row in entries.chunk_by(|one, next| one.row == next.row) {
            let key = (of_row[0].stage, of_row[0].factor.as_str(), of_row[0].level.as_str());
            rows.push(Row { sweep, key, entries: of_row.iter().collect() });
        }
    }
    rows
}
