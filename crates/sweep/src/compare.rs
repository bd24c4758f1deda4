//! Two sides, such as two sweeps, two rows or two nights: matched row by row, paired by seed and image.
//!
//! Everything here is pure: collected tables in, findings out.

mod judged;
mod markdown;
mod side;

use serde::Serialize;
use stats::compare::{Comparison, Settings};
use stats::difference::{Difference, Replicates};
use stats::score::{Score, score};
use stats::verdict::Verdict;

use crate::report::{Entry, Known, Measured, known, measured};
use crate::settings::{self, Change};

pub(crate) use judged::{difference_of, judged, lost, replicates};
pub use markdown::markdown;
use side::{Matched, matched};
pub use side::{NothingInCommon, Side};

/// Confidence of all intervals; the rest is the chance of a false claim in the whole comparison.
const CONFIDENCE: f64 = 0.95;

/// Two sides beside each other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// What the first side is called.
    pub from: String,
    /// What the second side is called.
    pub to: String,
    /// Differences below it do not matter, a fraction; absent: every difference does.
    pub margin: Option<f64>,
    /// Over how many comparisons Holm's correction went: the rows here, each once.
    pub family: usize,
    /// Whether results decided how many seeds some row has: p-values are then those of the sequential rule.
    pub adaptive: bool,
    /// The rows that both have.
    pub rows: Vec<Pair>,
    /// The rows that only the first has.
    pub only_from: Vec<String>,
    /// The rows that only the second has.
    pub only_to: Vec<String>,
}

/// A row that both sides have.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pair {
    /// Its name.
    pub row: String,
    /// Seeds that finished on each side.
    pub seeds: [usize; 2],
    /// The score of each side, a fraction; absent while nothing has finished.
    pub scores: [Option<Score>; 2],
    /// Whether each side ran on random weights in place of pretrained ones: then its score is no result.
    pub stand_in: [bool; 2],
    /// Second minus first; absent where the two cannot be compared.
    pub comparison: Option<Comparison>,
    /// Why they cannot be compared.
    pub why_not: Option<WhyNot>,
    /// Seeds that finished on the first side, and ended without finishing on the second.
    pub failed: Vec<u64>,
    /// Runs that have the same id on both sides, and finished on both.
    pub same_runs: usize,
    /// Seeds of those whose results differ: the same work gave other numbers.
    pub changed: Vec<u64>,
    /// In which settings and contents the sides differ.
    pub changes: Vec<Change>,
    /// The versions of training semantics of the sides, where they are not the same or not known.
    pub semantics: Option<[Option<u32>; 2]>,
}

/// Why two sides of a row cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyNot {
    /// Nothing has finished on one of the sides.
    NothingFinished,
    /// Their scores were measured on other images, or on another number of them.
    OtherImages,
    /// They have no seed in common.
    NoSeedInCommon,
    /// One ran on random weights in place of pretrained ones, or both did.
    RandomWeights,
}

/// Something that got worse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "regression", rename_all = "snake_case")]
pub enum Regression {
    /// A row is shown to be worse, by more than the margin where there is one.
    Worse {
        /// The row.
        row: String,
    },
    /// Runs that finished before do not any more.
    Failed {
        /// The row.
        row: String,
        /// Their seeds.
        seeds: Vec<u64>,
    },
}

impl WhyNot {
    /// As a person reads it.
    pub fn words(self) -> &'static str {
        match self {
            Self::NothingFinished => "not compared: nothing has finished",
            Self::OtherImages => "not compared: measured on other images",
            Self::NoSeedInCommon => "not compared: no seed in common",
            Self::RandomWeights => "not compared: ran on random weights",
        }
    }
}

impl Compared {
    /// What got worse from the first side to the second.
    pub fn regressions(&self) -> Vec<Regression> {
        let mut regressions = Vec::new();
        for pair in &self.rows {
            let row = || pair.row.clone();
            if let Some(Comparison { verdict: Verdict::Worse(claim), .. }) = &pair.comparison
                && !claim.within_margin
            {
                regressions.push(Regression::Worse { row: row() });
            }
            if !pair.failed.is_empty() {
                regressions.push(Regression::Failed { row: row(), seeds: pair.failed.clone() });
            }
        }
        regressions
    }

    /// Rows in which the same work gave other numbers.
    pub fn changed(&self) -> Vec<&Pair> {
        self.rows.iter().filter(|pair| !pair.changed.is_empty()).collect()
    }
}

/// Compares `to` with `from`, row by row. Rows share the chance of a false claim by Holm's correction; a
/// row that stands in several places, as the baseline does, counts once.
///
/// # Errors
/// When the two have no row in common.
pub fn compare(from: &Side, to: &Side, margin: Option<f64>) -> Result<Compared, NothingInCommon> {
    let Matched { pairs, only_from, only_to } = matched(from, to)?;
    let sides: Vec<[&[&Entry]; 2]> =
        pairs.iter().map(|(_, from, to)| [from.as_slice(), to.as_slice()]).collect();
    let replicates = replicates(&sides);
    let family = pairs.len();
    let alpha = 1.0 - CONFIDENCE;
    let settings = Settings { alpha, family, margin, replicates, ..Settings::default() };
    let judged = judged(&sides, &settings, paired);
    let rows = pairs.iter().zip(judged).map(|((row, from, to), judged)| {
        let (comparison, why_not) = match judged {
            Ok(comparison) => (Some(comparison), None),
            Err(why_not) => (None, Some(why_not)),
        };
        pair(row.clone(), from, to, comparison, why_not)
    });
    Ok(Compared {
        rows: rows.collect(),
        from: from.name.clone(),
        to: to.name.clone(),
        margin,
        family,
        adaptive: replicates == Replicates::Adaptive,
        only_from,
        only_to,
    })
}

/// What is known of a side's runs; nothing while none has finished.
fn known_of(side: &[&Entry]) -> Option<Known> {
    let measured: Vec<Measured> = side.iter().copied().filter_map(measured).collect();
    known(&measured, None)
}

fn stands_in(side: &[&Entry]) -> bool {
    side.iter().any(|entry| entry.stand_in)
}

fn paired(from: &[&Entry], to: &[&Entry], settings: &Settings) -> Result<Difference, WhyNot> {
    if [from, to].map(known_of).iter().any(Option::is_none) {
        return Err(WhyNot::NothingFinished);
    }
    if stands_in(from) || stands_in(to) {
        return Err(WhyNot::RandomWeights);
    }
    difference_of(from, to, settings)
}

fn pair(
    row: String,
    from: &[&Entry],
    to: &[&Entry],
    comparison: Option<Comparison>,
    why_not: Option<WhyNot>,
) -> Pair {
    let of_seed = |seed: u64| from.iter().find(|entry| entry.seed == seed);
    let both = || to.iter().filter_map(|after| Some((*of_seed(after.seed)?, *after)));
    let same = both().filter(|(before, after)| {
        before.planned.run == after.planned.run
            && before.finished().is_some()
            && after.finished().is_some()
    });
    let same: Vec<(&Entry, &Entry)> = same.collect();
    let changed = same.iter().filter(|(before, after)| before.finished() != after.finished());
    let asked = |side: &[&Entry]| side.iter().find_map(|entry| entry.asked.clone());
    let (before, after) = (asked(from), asked(to));
    // Of runs that have not begun there is nothing to tell.
    let semantics = before
        .as_ref()
        .zip(after.as_ref())
        .map(|(one, other)| [one, other].map(settings::semantics))
        .filter(|[one, other]| one != other);
    let scored = |side: &[&Entry]| known_of(side).map(|known| score(&known.level, CONFIDENCE));
    let finished = |side: &[&Entry]| side.iter().filter(|entry| entry.finished().is_some()).count();
    Pair {
        row,
        seeds: [finished(from), finished(to)],
        scores: [scored(from), scored(to)],
        stand_in: [stands_in(from), stands_in(to)],
        comparison,
        why_not,
        failed: lost(from, to),
        same_runs: same.len(),
        changed: changed.map(|(_, after)| after.seed).collect(),
        changes: before
            .zip(after)
            .map(|(one, other)| settings::changes(&one, &other))
            .unwrap_or_default(),
        semantics,
    }
}
