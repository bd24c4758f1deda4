//! Tidy tables for other programs: a row for each run, for each of its epochs, or for each image that it
//! was asked about. `docs/tables.md` says what every column is; a test holds it to what stands here.

mod epochs;
mod field;
mod images;
mod runs;
mod settings;
mod write;

use clap::ValueEnum;

use crate::report::Entry;
use crate::store::ReadError;

pub use field::{Column, Values};
pub use write::{FileFormat, TableError, write};

/// What a table has a row for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Each run of each row of the report
    #[default]
    Runs,
    /// Each epoch of each of those
    Epochs,
    /// Each image that each of those was asked about
    Images,
}

/// The runs of a sweep as CSV, for `runs.csv`.
///
/// # Errors
/// When a value cannot be written as CSV, which none should be.
pub fn runs_csv(sweep: &str, entries: &[Entry]) -> Result<Vec<u8>, TableError> {
    let standing: Vec<Stands<'_>> = entries.iter().map(|entry| Stands { sweep, entry }).collect();
    let mut csv = Vec::new();
    write::csv(std::iter::once(part(Kind::Runs, &standing)), &mut csv)?;
    Ok(csv)
}

/// What was collected of a sweep.
#[derive(Debug, Clone)]
pub struct Collected {
    /// The sweep.
    pub sweep: String,
    /// Its runs as they stand in its rows.
    pub entries: Vec<Entry>,
}

/// A run as it stands in a row of a sweep.
#[derive(Debug, Clone, Copy)]
struct Stands<'a> {
    sweep: &'a str,
    entry: &'a Entry,
}

/// So many runs are read at a time: a table of images may be larger than memory.
const AT_ONCE: usize = 64;

/// The parts of the table of `kind`, from the top; all have the same columns. There is one at least, so
/// that a table without rows has its columns too.
pub fn parts(
    kind: Kind,
    sweeps: &[Collected],
) -> Box<dyn Iterator<Item = Result<Vec<Column>, ReadError>> + '_> {
    let mut standing: Vec<Stands<'_>> = Vec::new();
    for Collected { sweep, entries } in sweeps {
        standing.extend(entries.iter().map(|entry| Stands { sweep, entry }));
    }
    if kind == Kind::Runs || standing.is_empty() {
        return Box::new(std::iter::once(part(kind, &standing)));
    }
    let parts = standing.len().div_ceil(AT_ONCE);
    Box::new((0..parts).map(move |number| {
        let end = standing.len().min((number + 1) * AT_ONCE);
        part(kind, &standing[number * AT_ONCE..end])
    }))
}

fn part(kind: Kind, standing: &[Stands<'_>]) -> Result<Vec<Column>, ReadError> {
    match kind {
        Kind::Runs => Ok(runs::columns(standing)),
        Kind::Epochs => epochs::columns(standing),
        Kind::Images => images::columns(standing),
    }
}
