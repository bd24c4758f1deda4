//! From the results folder to one entry for each run of each row.

use rayon::prelude::*;
use spec::config::Config;
use spec::paths::{ResultsDir, RunDir};
use spec::record::{
    ExternalScore, Finished, Plan, PlanChange, PlanRow, PlanRun, RunConfig, RunResult,
};
use spec::sweep::{Replicates, Setting};

use super::Basis;
use crate::store::{self, Answers, ReadError};

/// A run as it stands in a row. A run that several rows share has an entry in each.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Number of its row, from 0.
    pub row: u32,
    /// The stage of a chain that the row belongs to, from 0; absent for other strategies.
    pub stage: Option<usize>,
    /// The factor, or several joined; `baseline` for the baseline of a sweep without factors.
    pub factor: String,
    /// The level, or several joined.
    pub level: String,
    /// The level of each factor that the row is about.
    pub settings: Vec<Setting>,
    /// What the row's configuration has that its baseline's has not.
    pub changes: Vec<PlanChange>,
    /// Whether the row is the baseline, in a chain that of its stage.
    pub baseline: bool,
    /// Whether the row is there for an interaction alone.
    pub cell: bool,
    /// Whether results decided how many seeds the row has.
    pub adaptive: bool,
    /// The run's seed.
    pub seed: u64,
    /// The run.
    pub planned: PlanRun,
    /// Its folder.
    pub dir: RunDir,
    /// What was asked for; absent while it has not begun.
    pub asked: Option<RunConfig>,
    /// How it ended; absent while it has not.
    pub result: Option<RunResult>,
    /// What its score is measured on; absent unless it finished.
    pub basis: Option<Basis>,
    /// Which of those images it told right, where that is known.
    pub answers: Option<Answers>,
    /// What it scored elsewhere, such as on a leaderboard; absent where nobody has said, and unless it
    /// finished.
    pub external: Option<ExternalScore>,
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
            Basis::Trainer => finished.score,
            Basis::Leaderboard | Basis::Nothing => None,
        }
    }

    /// What is known here of how well it does: the score, or the validation accuracy where the leaderboard
    /// has the labels.
    pub fn measured(&self) -> Option<f64> {
        match self.basis? {
            Basis::Leaderboard => self.validation(),
            Basis::Test | Basis::Validation | Basis::Trainer | Basis::Nothing => self.score(),
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

/// A level as tables show it: the baseline's own is marked.
pub fn level_cell(level: &str, baseline: bool) -> String {
    match (baseline, level) {
        (true, "") | (false, _) => level.to_owned(),
        (true, level) => format!("{level} (baseline)"),
    }
}

/// Everything known of a plan's rows.
///
/// # Errors
/// When a newer version of this program wrote a record.
pub fn collect(dir: &ResultsDir, plan: &Plan) -> Result<Vec<Entry>, ReadError> {
    let standing = (0..).zip(&plan.rows);
    let standing =
        standing.flat_map(|(row, of_row)| of_row.runs.iter().map(move |run| (row, of_row, run)));
    let standing: Vec<(u32, &PlanRow, &PlanRun)> = standing.collect();
    standing
        .into_par_iter()
        .map(|(row, of_row, run)| entry(dir, plan, (row, of_row), run))
        .collect()
}

fn entry(
    dir: &ResultsDir,
    plan: &Plan,
    (row, of_row): (u32, &PlanRow),
    planned: &PlanRun,
) -> Result<Entry, ReadError> {
    let PlanRow { stage, settings, baseline, cell, changes, .. } = of_row;
    let run_dir = dir.run(planned);
    let result = store::read_result(&run_dir, planned.run)?;
    let mut entry = Entry {
        row,
        stage: *stage,
        factor: of_row.factor(),
        level: of_row.level(),
        settings: settings.clone(),
        changes: changes.clone(),
        baseline: *baseline,
        cell: *cell,
        adaptive: matches!(plan.replicates, Replicates::UntilDecided { .. }),
        seed: planned.seed,
        planned: planned.clone(),
        asked: store::read_config(&run_dir)?,
        dir: run_dir,
        result,
        basis: None,
        answers: None,
        external: None,
        stand_in: false,
    };
    let config = entry.asked.as_ref().map(|asked| &asked.config);
    entry.stand_in = config.is_some_and(Config::is_stand_in);
    entry.basis = basis(&entry, config);
    if entry.finished().is_some() {
        entry.external = store::read_score(&entry.dir, planned.run)?;
    }
    entry.answers = answers(&entry);
    Ok(entry)
}

fn answers(entry: &Entry) -> Option<Answers> {
    let finished = entry.finished()?;
    let (set, measured) = match entry.basis? {
        Basis::Test => ("test", finished.test?),
        Basis::Leaderboard | Basis::Validation => ("validation", finished.validation?),
        Basis::Trainer | Basis::Nothing => return None,
    };
    store::read_answers(&entry.dir, set, measured)
}

fn basis(entry: &Entry, config: Option<&Config>) -> Option<Basis> {
    let finished = entry.finished()?;
    if finished.test.is_some() {
        return Some(Basis::Test);
    }
    if finished.score.is_some() {
        return Some(Basis::Trainer);
    }
    let data = config.and_then(Config::data);
    let has_test = data.is_some_and(|data| data.test.is_some());
    Some(match (has_test, finished.validation) {
        (true, _) => Basis::Leaderboard,
        (false, Some(_)) => Basis::Validation,
        (false, None) => Basis::Nothing,
    })
}
