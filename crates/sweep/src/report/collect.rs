//! From the results folder to one entry for each run of each row.

use rayon::prelude::*;
use spec::config::{Config, Weights};
use spec::paths::{ResultsDir, RunDir};
use spec::record::{Finished, Plan, PlanRun, RunResult};

use super::Basis;
use crate::store::{self, Answers, ReadError};

/// A run as it stands in a row. A run that several rows share has an entry in each.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Number of its row, from 0.
    pub row: u32,
    /// The factor; `baseline` for the baseline of a sweep without factors.
    pub factor: String,
    /// The level.
    pub level: String,
    /// Whether the row is the baseline.
    pub baseline: bool,
    /// The run's seed.
    pub seed: u64,
    /// The run.
    pub planned: PlanRun,
    /// Its folder.
    pub dir: RunDir,
    /// How it ended; absent while it has not.
    pub result: Option<RunResult>,
    /// What its score is measured on; absent unless it finished.
    pub basis: Option<Basis>,
    /// Which of those images it told right, where that is known.
    pub answers: Option<Answers>,
    /// Whether its backbone began with random weights, which stand in for pretrained ones.
    pub stand_in: bool,
}

impl Entry {
    /// What it has to show, if it finished.
    pub fn finished(&self) -> Option<&Finished> {
        match &self.result.as_ref()?.outcome {
            spec::record::Outcome::Finished(finished) => Some(finished),
            _ => None,
        }
    }

    /// Its score, a fraction; absent where the leaderboard has the labels.
    pub fn score(&self) -> Option<f64> {
        let finished = self.finished()?;
        match self.basis? {
            Basis::Test => finished.test.map(|test| test.accuracy()),
            Basis::Validation => self.validation(),
            Basis::Leaderboard | Basis::Nothing => None,
        }
    }

    /// What is known here of how well it does: the score, or the validation accuracy where the leaderboard
    /// has the labels.
    pub fn measured(&self) -> Option<f64> {
        match self.basis? {
            Basis::Leaderboard => self.validation(),
            Basis::Test | Basis::Validation | Basis::Nothing => self.score(),
        }
    }

    /// Its validation accuracy, a fraction.
    pub fn validation(&self) -> Option<f64> {
        self.finished()?.validation.map(|validation| validation.accuracy())
    }

    /// The validation accuracy of each fold, fractions; none without folds.
    pub fn folds(&self) -> impl Iterator<Item = f64> {
        let folds = self.finished().map(|finished| finished.folds.as_slice()).unwrap_or_default();
        folds.iter().map(|fold| fold.validation.accuracy())
    }

    /// Images that the score was measured on; where the leaderboard has the labels, those that the
    /// validation accuracy was.
    pub fn images(&self) -> Option<u64> {
        let finished = self.finished()?;
        finished.test.or(finished.validation).map(|evaluation| evaluation.images)
    }
}

/// A row of a plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlanRow<'a> {
    /// The factor; `baseline` for the baseline of a sweep without factors.
    pub factor: &'a str,
    /// The level.
    pub level: &'a str,
    /// Whether it is the baseline.
    pub baseline: bool,
    /// Its runs, one for each seed.
    pub runs: &'a [PlanRun],
}

/// A level as tables show it: the baseline's own is marked.
pub fn level_cell(level: &str, baseline: bool) -> String {
    match (baseline, level) {
        (true, "") | (false, _) => level.to_owned(),
        (true, level) => format!("{level} (baseline)"),
    }
}

/// The rows of a plan's table. The baseline has one of its own only without factors: each of those has it
/// among its levels.
pub fn rows(plan: &Plan) -> Vec<PlanRow<'_>> {
    let mut rows = Vec::new();
    if plan.factors.is_empty() {
        let runs = plan.baseline.as_slice();
        rows.push(PlanRow { factor: "baseline", level: "", baseline: true, runs });
    }
    for factor in &plan.factors {
        rows.extend(factor.levels.iter().map(|level| PlanRow {
            factor: &factor.name,
            level: &level.label,
            baseline: level.baseline,
            runs: &level.runs,
        }));
    }
    rows
}

/// Everything known of a plan's rows.
///
/// # Errors
/// When a newer version of this program wrote a record.
pub fn collect(dir: &ResultsDir, plan: &Plan) -> Result<Vec<Entry>, ReadError> {
    let mut entries = Vec::new();
    for (row, PlanRow { factor, level, baseline, runs }) in (0..).zip(rows(plan)) {
        for planned in runs {
            let run_dir = dir.run(planned);
            let result = store::read_result(&run_dir, planned.run)?;
            let mut entry = Entry {
                row,
                factor: factor.to_owned(),
                level: level.to_owned(),
                baseline,
                seed: planned.seed,
                planned: planned.clone(),
                dir: run_dir,
                result,
                basis: None,
                answers: None,
                stand_in: false,
            };
            let config = store::read_config(&entry.dir)?.map(|config| config.config);
            entry.stand_in =
                config.as_ref().is_some_and(|config| config.model.weights == Weights::None);
            entry.basis = basis(&entry, config.as_ref());
            entries.push(entry);
        }
    }
    entries.par_iter_mut().for_each(|entry| entry.answers = answers(entry));
    Ok(entries)
}

fn answers(entry: &Entry) -> Option<Answers> {
    let finished = entry.finished()?;
    let (set, measured) = match entry.basis? {
        Basis::Test => ("test", finished.test?),
        Basis::Leaderboard | Basis::Validation => ("validation", finished.validation?),
        Basis::Nothing => return None,
    };
    store::read_answers(&entry.dir, set, measured)
}

fn basis(entry: &Entry, config: Option<&Config>) -> Option<Basis> {
    let finished = entry.finished()?;
    if finished.test.is_some() {
        return Some(Basis::Test);
    }
    let has_test = config.is_some_and(|config| config.data.test.is_some());
    Some(match (has_test, finished.validation) {
        (true, _) => Basis::Leaderboard,
        (false, Some(_)) => Basis::Validation,
        (false, None) => Basis::Nothing,
    })
}
