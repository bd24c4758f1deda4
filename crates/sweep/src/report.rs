//! What came out: the document's table, from the results folder alone.

mod alike;
mod best;
mod collect;
mod document;
mod external;
mod factorial;
mod frame;
pub mod grid;
mod html;
mod importance;
mod judge;
mod markdown;
mod path;
mod plots;
mod score;

use std::collections::HashSet;
use std::path::PathBuf;

use serde::Serialize;
use spec::record::{Amendment, Finished, Outcome, Plan, PlanChange, Stopped};
use spec::sweep::{Replicates, Setting, Strategy};

pub use alike::Alike;
pub use best::Best;
pub use collect::{Entry, collect, level_cell};
pub use document::{Block, Document};
pub use external::Agreement;
pub use factorial::Interaction;
pub use frame::FrameError;
pub use html::{Section, page, page_below};
pub use importance::FactorImportance;
pub use judge::Judgement;
pub(crate) use judge::{Known, Measured, MeasuredOn, Rules, compare, known, measured};
pub use markdown::{document, markdown};
pub use path::Path;
pub use plots::Plot;
pub use score::{Basis, ScoreFormat};

/// A sweep's table, ready to be written in any format. Scores are fractions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// The sweep.
    pub sweep: String,
    /// Its file, as it was named when the sweep was planned.
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// The document's words about it.
    pub title: Option<String>,
    /// What `--set` changed in it.
    pub overrides: Vec<String>,
    /// How the sweep became rows.
    pub strategy: Strategy,
    /// How many seeds each row has.
    pub replicates: Replicates,
    /// Differences below it do not matter, a fraction; absent: every difference does.
    pub margin: Option<f64>,
    /// What the scores were measured on; absent while nothing has finished, and where rows differ in it.
    pub basis: Option<Basis>,
    /// Images that one score was measured on; absent where rows differ in it.
    pub images: Option<u64>,
    /// Folds, and with them models, of each run; 0 without cross-validation, absent where rows differ
    /// in it.
    pub folds: Option<u64>,
    /// The rows, in the sweep file's order.
    pub rows: Vec<Row>,
    /// How the plan was changed after results existed.
    pub amendments: Vec<Amendment>,
    /// The path of a chain; absent for other strategies.
    pub path: Option<Path>,
    /// Of a grid or a random search the row with the best validation score.
    pub best: Option<Best>,
    /// Whether factors act on each other, where there are runs that tell.
    pub interactions: Vec<Interaction>,
    /// How much each factor matters, where that can be told.
    pub importance: Vec<FactorImportance>,
    /// Whether what is measured here ranks the rows as what was scored elsewhere does; absent with fewer
    /// than three rows that have both.
    pub agreement: Option<Agreement>,
    /// Levels that trained exactly as another did.
    pub alike: Vec<Alike>,
    /// Why runs did not finish, and how many of them for that reason, each run once.
    pub causes: Vec<(String, usize)>,
    /// What to hand in, where the leaderboard has the labels.
    pub submissions: Vec<Submission>,
}

/// A row: one configuration, all its seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The stage of a chain that it belongs to, from 0; absent for other strategies.
    pub stage: Option<usize>,
    /// The factor, or several joined; `baseline` for the baseline of a sweep without factors.
    pub factor: String,
    /// The level, or several joined.
    pub level: String,
    /// The level of each factor that it is about.
    pub settings: Vec<Setting>,
    /// What its configuration has that its baseline's has not.
    pub changes: Vec<PlanChange>,
    /// Whether it is the baseline, in a chain that of its stage.
    pub baseline: bool,
    /// Whether it is there for an interaction alone, and not compared by itself.
    pub cell: bool,
    /// Whether a run of it began with random weights in its backbone: its numbers say nothing about
    /// pretrained ones.
    pub stand_in: bool,
    /// Seeds planned.
    pub seeds: usize,
    /// What its scores were measured on; absent while none of its runs has finished.
    pub basis: Option<Basis>,
    /// Images that one of its scores was measured on; absent as `basis` is, and where runs differ in it.
    pub images: Option<u64>,
    /// The score over finished seeds; absent where the leaderboard has the labels.
    pub score: Option<Summary>,
    /// The validation accuracy over finished seeds, where there is validation data.
    pub validation: Option<Summary>,
    /// The validation accuracies of the single folds of all finished seeds, where there are folds.
    pub folds: Option<Summary>,
    /// What its runs scored elsewhere, such as on a leaderboard; absent where nobody has said.
    pub external: Option<stats::score::Score>,
    /// How many runs did not finish, by how they ended; `waiting` for those not run.
    pub unfinished: Vec<(String, usize)>,
    /// What its runs took, in the mean over finished seeds.
    pub effort: Option<Effort>,
    /// Why it gets no more seeds, where results decide how many there are; absent where they do not, or
    /// have not.
    pub stopped: Option<Stopped>,
    /// What may be said of it.
    pub judged: Judgement,
}

/// What runs took: levels of one factor differ in that too, and may differ by it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Effort {
    /// Epochs really trained.
    pub epochs: f64,
    /// Optimiser steps.
    pub updates: f64,
    /// Images that went through them, repeats included.
    pub images: f64,
    /// Wall-clock seconds from start to end; of fused runs, beside each other.
    pub seconds: f64,
}

/// Some numbers in short.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// How many; at least 1.
    pub n: usize,
    /// Their mean.
    pub mean: f64,
    /// Their sample standard deviation (n - 1); absent for a single one.
    pub std: Option<f64>,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

/// A file for the leaderboard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Submission {
    /// Which row its run stands in.
    pub row: String,
    /// The run's seed.
    pub seed: u64,
    /// The file.
    pub file: PathBuf,
}

impl Row {
    /// The level as it is shown: what others are compared with is marked, and in a chain is called the
    /// incumbent.
    pub fn shown(&self) -> String {
        match (self.baseline, self.stage) {
            (true, Some(_)) => format!("{} (incumbent)", self.level),
            _ => level_cell(&self.level, self.baseline),
        }
    }

    /// Which of its replicates will never have a score, and why not, as in `3 of 10 diverged`; what waits or
    /// was interrupted is still to come.
    pub fn lost(&self) -> Option<String> {
        let lost =
            self.unfinished.iter().filter(|(how, _)| how != "waiting" && how != "interrupted");
        let words: Vec<String> =
            lost.map(|(how, count)| format!("{count} of {} {how}", self.seeds)).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }

    /// How many seeds finished.
    pub fn finished(&self) -> usize {
        self.seeds - self.unfinished.iter().map(|(_, count)| count).sum::<usize>()
    }

    /// What is known here of how well it does: the score, or what stands beside it where the leaderboard
    /// has the labels.
    pub fn measured(&self) -> Option<Summary> {
        match self.basis? {
            Basis::Leaderboard => self.validation,
            Basis::Test | Basis::Validation | Basis::Trainer | Basis::Nothing => self.score,
        }
    }
}

impl Table {
    /// Whether rows were measured on different things, so that their scores cannot be compared.
    pub fn is_mixed(&self) -> bool {
        let mut measured = self.rows.iter().filter(|row| row.basis.is_some());
        let first = measured.next();
        measured.any(|row| {
            first.is_some_and(|first| (first.basis, first.images) != (row.basis, row.images))
        })
    }

    /// The table of what was collected of `plan`.
    ///
    /// # Errors
    /// When the aggregation fails, which no input should make it do.
    pub fn new(plan: &Plan, entries: &[Entry]) -> Result<Self, FrameError> {
        let summaries = frame::summarize(entries)?;
        let rows =
            summaries.into_iter().map(|(row, score, validation)| -> Result<Row, FrameError> {
                let of_row = || entries.iter().filter(|entry| entry.row == row);
                let first = of_row().next();
                Ok(Row {
                    stage: first.and_then(|entry| entry.stage),
                    factor: first.map(|entry| entry.factor.clone()).unwrap_or_default(),
                    level: first.map(|entry| entry.level.clone()).unwrap_or_default(),
                    settings: first.map(|entry| entry.settings.clone()).unwrap_or_default(),
                    changes: first.map(|entry| entry.changes.clone()).unwrap_or_default(),
                    baseline: first.is_some_and(|entry| entry.baseline),
                    cell: first.is_some_and(|entry| entry.cell),
                    stand_in: of_row().any(|entry| entry.stand_in),
                    seeds: of_row().count(),
                    basis: the_same(of_row().filter_map(|entry| entry.basis)),
                    images: the_same(of_row().filter_map(Entry::images)),
                    score,
                    validation,
                    folds: frame::summary_of(of_row().flat_map(Entry::folds))?,
                    external: external::score_of(of_row()),
                    unfinished: unfinished(of_row()),
                    effort: effort(of_row()),
                    stopped: plan.rows.get(row as usize).and_then(|row| row.stopped),
                    judged: Judgement::default(),
                })
            });
        let mut rows = rows.collect::<Result<Vec<Row>, FrameError>>()?;
        let knowns = judge::knowns(&rows, entries);
        let rules = Rules::of(plan);
        let judgements = judge::judgements(&rows, &knowns, &rules);
        for (judged, row) in judgements.into_iter().zip(&mut rows) {
            row.judged = judged;
        }
        let agreement = external::agreement(&rows, entries);
        let is_search = matches!(plan.strategy, Strategy::Grid | Strategy::Random { .. });
        let finished: Vec<&Entry> = entries.iter().filter(|entry| entry.basis.is_some()).collect();
        Ok(Self {
            sweep: plan.sweep.clone(),
            file: plan.file.clone(),
            title: plan.title.clone(),
            overrides: plan.overrides.clone(),
            strategy: plan.strategy,
            replicates: plan.replicates,
            margin: plan.margin,
            amendments: plan.amendments.clone(),
            path: path::path(plan, &rows, &knowns, &rules),
            best: is_search.then(|| best::best(&rows, entries)).flatten(),
            interactions: factorial::interactions(plan, &rows, &knowns, &rules),
            importance: importance::importances(plan.strategy, &rows, entries),
            basis: the_same(finished.iter().filter_map(|entry| entry.basis)),
            images: the_same(finished.iter().filter_map(|entry| entry.images())),
            folds: the_same(finished.iter().map(|entry| entry.folds().count() as u64)),
            rows,
            agreement,
            alike: alike::alike(entries),
            causes: causes(entries),
            submissions: submissions(&finished),
        })
    }
}

fn unfinished<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<(String, usize)> {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for entry in entries.filter(|entry| entry.finished().is_none()) {
        let name = entry.result.as_ref().map_or("waiting", |result| result.outcome.name());
        match counts.iter_mut().find(|(counted, _)| counted == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name.to_owned(), 1)),
        }
    }
    counts
}

fn effort<'a>(entries: impl Iterator<Item = &'a Entry>) -> Option<Effort> {
    let taken =
        entries.filter_map(|entry| Some((entry.finished()?, entry.result.as_ref()?.seconds)));
    let taken: Vec<_> = taken.collect();
    let mean = |of: &dyn Fn(&(&Finished, f64)) -> f64| {
        taken.iter().map(of).sum::<f64>() / taken.len() as f64
    };
    (!taken.is_empty()).then(|| Effort {
        epochs: mean(&|(finished, _)| finished.epochs.into()),
        updates: mean(&|(finished, _)| finished.updates as f64),
        images: mean(&|(finished, _)| finished.images_seen as f64),
        seconds: mean(&|(_, seconds)| *seconds),
    })
}

fn the_same<T: PartialEq>(mut values: impl Iterator<Item = T>) -> Option<T> {
    let first = values.next()?;
    values.all(|value| value == first).then_some(first)
}

/// The first line of each cause; the rest is in the runs' folders.
fn causes(entries: &[Entry]) -> Vec<(String, usize)> {
    let mut runs = HashSet::new();
    let mut causes: Vec<(String, usize)> = Vec::new();
    for entry in entries.iter().filter(|entry| runs.insert(entry.planned.run)) {
        let Some(outcome) = entry.result.as_ref().map(|result| &result.outcome) else { continue };
        let Some(cause) = outcome_cause(outcome).and_then(|cause| cause.lines().next()) else {
            continue;
        };
        let cause = format!("{}: {cause}", outcome.name());
        match causes.iter_mut().find(|(counted, _)| *counted == cause) {
            Some((_, count)) => *count += 1,
            None => causes.push((cause, 1)),
        }
    }
    causes
}

/// Why a run did not finish.
pub fn outcome_cause(outcome: &Outcome) -> Option<&str> {
    match outcome {
        Outcome::Finished(_) => None,
        Outcome::Diverged { cause, .. }
        | Outcome::OutOfMemory { cause }
        | Outcome::TimedOut { cause }
        | Outcome::Failed { cause }
        | Outcome::Interrupted { cause } => Some(cause),
    }
}

/// Each file once, though the baseline stands in many rows; none of a stand-in, which is no result.
fn submissions(finished: &[&Entry]) -> Vec<Submission> {
    let mut submissions: Vec<Submission> = Vec::new();
    let waits = |entry: &&&Entry| entry.basis == Some(Basis::Leaderboard) && !entry.stand_in;
    for entry in finished.iter().filter(waits) {
        let file = entry.dir.submission();
        if submissions.iter().all(|known| known.file != file) {
            let row = if entry.baseline {
                "baseline".to_owned()
            } else {
                format!("{}={}", entry.factor, entry.level)
            };
            submissions.push(Submission { row, seed: entry.seed, file });
        }
    }
    submissions
}
