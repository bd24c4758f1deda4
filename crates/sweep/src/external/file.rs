//! A file of scores.

use std::path::{Path, PathBuf};

use miette::Diagnostic;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Given, NoScore};
use crate::exit::{self, Ends};

/// A score in a file, and what it is of.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its line in the file, from 1.
    pub line: u64,
    /// The run, as `sweep explain` finds it; empty where the row and the seed name it.
    pub run: String,
    /// The sweep, or what the table is to be called.
    pub sweep: String,
    /// The factor.
    pub factor: String,
    /// The level.
    pub level: String,
    /// The seed; 1 where the file does not say.
    pub seed: u64,
    /// The score.
    pub score: Given,
    /// The score as it is written.
    pub given: String,
    /// The row that it is compared with, `factor=level` of the same sweep or `sweep:factor=level`.
    pub against: String,
    /// What was concluded from that comparison.
    pub conclusion: String,
    /// What the comparison must come to for that; absent where the file does not say.
    pub expects: Option<Expects>,
}

/// What a conclusion expects of the row beside the one that it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expects {
    /// It scores higher.
    Better,
    /// It scores lower.
    Worse,
    /// The two do not differ.
    Same,
    /// What it changes hangs on another factor's level, which takes runs with both to tell.
    Linked,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    run: String,
    #[serde(default)]
    sweep: String,
    #[serde(default)]
    factor: String,
    #[serde(default)]
    level: String,
    #[serde(default)]
    seed: Option<u64>,
    score: String,
    #[serde(default)]
    against: String,
    #[serde(default)]
    conclusion: String,
    #[serde(default)]
    expects: Option<Expects>,
}

/// A file of scores that cannot be read.
#[derive(Debug, Error, Diagnostic)]
pub enum FileError {
    /// It is no such table.
    #[error("{} is no file of scores: {cause}", file.display())]
    #[diagnostic(help(
        "it is a CSV with a header: `score`, and `run`, or `sweep`, `factor`, `level` and `seed`; for a report \
         also `against`, `conclusion` and `expects` (better, worse, same or linked): see docs/tables.md"
    ))]
    Table {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: String,
    },
    /// A score in it is none.
    #[error("{}, line {line}: {cause}", file.display())]
    Score {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: u64,
        /// Why.
        #[diagnostic_source]
        cause: NoScore,
    },
}

impl Ends for FileError {
    fn exit_code(&self) -> u8 {
        exit::USAGE
    }
}

/// The scores in `file`.
///
/// # Errors
/// When it is no such file, or a score in it is none.
pub fn read(file: &Path) -> Result<Vec<Line>, FileError> {
    let broken = |cause: String| FileError::Table { file: file.to_owned(), cause };
    let opened = fs_err::File::open(file).map_err(|error| broken(error.to_string()))?;
    let mut csv = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(opened);
    let headers = csv.headers().map_err(|error| broken(error.to_string()))?.clone();
    let mut lines = Vec::new();
    for record in csv.records() {
        let record = record.map_err(|error| broken(error.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        let written: Written =
            record.deserialize(Some(&headers)).map_err(|error| broken(error.to_string()))?;
        let score = written.score.parse().map_err(|cause| FileError::Score {
            file: file.to_owned(),
            line,
            cause,
        })?;
        lines.push(Line {
            line,
            run: written.run,
            sweep: written.sweep,
            factor: written.factor,
            level: written.level,
            seed: written.seed.unwrap_or(1),
            score,
            given: written.score,
            against: written.against,
            conclusion: written.conclusion,
            expects: written.expects,
        });
    }
    Ok(lines)
}
