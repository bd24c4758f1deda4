//! What scores alone can and cannot support: a table for each sweep, every row beside the one that it is
//! compared with.

use miette::Diagnostic;
use serde::Serialize;
use stats::difference::{Difference, Evidence, Replicates, difference};
use stats::holm;
use stats::level::{External, Level, LevelError, PerSeed};
use stats::score::{Score, score};
use thiserror::Error;

use super::{Expects, Line};
use crate::exit::{self, Ends};

/// Confidence of all intervals; the rest is the chance of a false claim among all comparisons.
const CONFIDENCE: f64 = 0.95;

/// Scores, and what they say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Test images that each score was measured on.
    pub images: u64,
    /// The rows, in the order of the file.
    pub rows: Vec<ScoredRow>,
}

/// A row: one level, all its seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoredRow {
    /// The sweep, or what the table is called.
    pub sweep: String,
    /// The factor.
    pub factor: String,
    /// The level.
    pub level: String,
    /// How many runs it is the mean of.
    pub runs: usize,
    /// How many images were right, of a single run; absent where its score is no share of the images.
    pub right: Option<u64>,
    /// Its score, a fraction, with an interval over other images, and over other seeds where there are
    /// several.
    pub score: Score,
    /// Beside the row that it is compared with.
    pub against: Option<Against>,
}

/// A row beside another one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Against {
    /// Which one, by its place in the report, from 0.
    pub row: usize,
    /// This row minus that one.
    pub difference: Difference,
    /// The p-value of "they do not differ".
    pub p: f64,
    /// The same, adjusted by Holm over all comparisons in the report.
    pub adjusted: f64,
    /// Whether the difference holds: of two single runs, of these trained models on other images; of
    /// several, of their settings.
    pub holds: bool,
    /// Whether both scores are some number of right answers: one that is not was measured on something
    /// else or copied wrongly, and then nothing holds.
    pub possible: bool,
    /// What was concluded from it; empty where the file does not say.
    pub conclusion: String,
    /// What it must come to for that; absent where the file does not say.
    pub expects: Option<Expects>,
    /// Whether it does; absent with `expects`.
    pub decided: Option<Decided>,
}

/// What the numbers say of what was expected of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decided {
    /// The difference holds, in the direction that was expected.
    Supported,
    /// A difference holds that was not expected, or in the other direction.
    Contradicted,
    /// Neither: chance can do as much, or the comparison cannot tell.
    NotDecided,
}

impl Decided {
    /// Of a comparison whose difference `holds` and has this `estimate`.
    fn of(expects: Expects, holds: bool, estimate: f64) -> Self {
        match (expects, holds) {
            // That no difference is seen does not show that there is none.
            (_, false) | (Expects::Linked, _) => Self::NotDecided,
            (Expects::Better, true) if estimate > 0.0 => Self::Supported,
            (Expects::Worse, true) if estimate < 0.0 => Self::Supported,
            (Expects::Better | Expects::Worse | Expects::Same, true) => Self::Contradicted,
        }
    }
}

/// Scores that make no report.
#[derive(Debug, Clone, PartialEq, Error, Diagnostic)]
pub enum ReportError {
    /// Such results cannot be.
    #[error("line {line}: {cause}")]
    #[diagnostic(help(
        "a row has one score for each seed, measured on as many images as --images says"
    ))]
    Level {
        /// The line of the row's first score.
        line: u64,
        /// Why.
        cause: LevelError,
    },
    /// What a row is compared with is not there.
    #[error("line {line}: there is no row `{against}` to compare with")]
    #[diagnostic(help("name it as factor=level, or of another table as sweep:factor=level"))]
    NoRow {
        /// The line.
        line: u64,
        /// As it is named.
        against: String,
    },
    /// The two have no seed in common.
    #[error("line {line}: it has no seed in common with `{against}`")]
    #[diagnostic(help("rows are compared under the same seeds"))]
    NoPair {
        /// The line.
        line: u64,
        /// As it is named.
        against: String,
    },
}

impl Ends for ReportError {
    fn exit_code(&self) -> u8 {
        exit::USAGE
    }
}

/// What `lines`, each measured on so many `images`, say.
///
/// # Errors
/// When a row has a seed twice, or is compared with what is not there.
pub fn report(lines: &[Line], images: u64) -> Result<Report, ReportError> {
    let mut groups: Vec<Vec<&Line>> = Vec::new();
    for line in lines {
        let same = |first: &Line| name(first) == name(line);
        match groups.iter_mut().find(|group| same(group[0])) {
            Some(group) => group.push(line),
            None => groups.push(vec![line]),
        }
    }
    let by_seed = |group: &Vec<&Line>| {
        let seeds = group.iter().map(|line| line.seed).collect();
        let scores = group.iter().map(|line| line.score.score).collect();
        PerSeed::new(seeds, scores, Some(images))
            .map(Level::PerSeed)
            .map_err(|cause| ReportError::Level { line: group[0].line, cause })
    };
    let levels = groups.iter().map(by_seed).collect::<Result<Vec<_>, _>>()?;
    let mut compared: Vec<(usize, usize, Difference)> = Vec::new();
    for (at, group) in groups.iter().enumerate() {
        let Some(line) = group.iter().find(|line| !line.against.is_empty()) else { continue };
        let named = (line.line, line.against.clone());
        let other = groups.iter().position(|other| is_named(&line.against, other[0], line));
        let (line, against) = named;
        let Some(other) = other else { return Err(ReportError::NoRow { line, against }) };
        let found = difference(&levels[at], &levels[other], CONFIDENCE, Replicates::Fixed, 0);
        let found = found.map_err(|_| ReportError::NoPair { line, against })?;
        compared.push((at, other, found));
    }
    let p_values: Vec<f64> =
        compared.iter().map(|(_, _, difference)| p_value(difference)).collect();
    let adjusted = holm::adjust(&p_values, 0);
    let mut rows = Vec::new();
    for (group, level) in groups.iter().zip(&levels) {
        let first = group[0];
        let cause = |cause| ReportError::Level { line: first.line, cause };
        // A single score has its exact interval.
        let single = External::new(first.score.score, images).map_err(cause)?;
        let level = if group.len() == 1 { &Level::External(single) } else { level };
        rows.push(ScoredRow {
            sweep: first.sweep.clone(),
            factor: first.factor.clone(),
            level: first.level.clone(),
            runs: group.len(),
            right: if group.len() == 1 { first.score.right(images) } else { None },
            score: score(level, CONFIDENCE),
            against: None,
        });
    }
    for (((at, row, difference), p), adjusted) in compared.into_iter().zip(p_values).zip(adjusted) {
        let is_possible = |row: &ScoredRow| row.runs > 1 || row.right.is_some();
        let possible = is_possible(&rows[at]) && is_possible(&rows[row]);
        let holds = possible && adjusted <= 1.0 - CONFIDENCE;
        let mut conclusions = groups[at].iter().map(|line| line.conclusion.as_str());
        let conclusion = conclusions.find(|words| !words.is_empty()).unwrap_or_default();
        let conclusion = conclusion.to_owned();
        let expects = groups[at].iter().find_map(|line| line.expects);
        let decided = expects.map(|expects| Decided::of(expects, holds, difference.estimate));
        rows[at].against = Some(Against {
            row,
            difference,
            p,
            adjusted,
            holds,
            possible,
            conclusion,
            expects,
            decided,
        });
    }
    Ok(Report { images, rows })
}

fn name(line: &Line) -> (&str, &str, &str) {
    (&line.sweep, &line.factor, &line.level)
}

/// Whether `wanted`, as `from` says it, is the row of `line`.
fn is_named(wanted: &str, line: &Line, from: &Line) -> bool {
    let row = format!("{}={}", line.factor, line.level);
    let here = line.sweep == from.sweep && wanted == row;
    here || wanted == format!("{}:{row}", line.sweep)
}

fn p_value(difference: &Difference) -> f64 {
    match difference.evidence {
        Evidence::Settings(settings) => settings.p(),
        Evidence::Models(models) => models.p(),
        Evidence::Nothing | Evidence::Alike => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conclusion_has_a_direction() {
        use Decided::{Contradicted, NotDecided, Supported};
        let cases = [
            (Expects::Better, [Supported, Contradicted]),
            (Expects::Worse, [Contradicted, Supported]),
            (Expects::Same, [Contradicted, Contradicted]),
            (Expects::Linked, [NotDecided, NotDecided]),
        ];
        for (expects, held) in cases {
            assert_eq!([0.1, -0.1].map(|estimate| Decided::of(expects, true, estimate)), held);
            assert_eq!(Decided::of(expects, false, 0.1), NotDecided, "{expects:?}");
        }
    }
}
