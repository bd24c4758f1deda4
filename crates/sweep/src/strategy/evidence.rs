//! What strategies decide by: results, as far as they are there.

use std::collections::HashMap;

use spec::paths::ResultsDir;
use spec::record::{Evaluation, Finished, Outcome, PlanRun};
use spec::run_id::RunId;
use spec::sweep::ChooseBy;

use crate::report::{Basis, Known, Measured, MeasuredOn, known};
use crate::store::{self, ReadError};

/// Which score of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum On {
    /// That which the table shows: on test images where they are labelled, else on validation images.
    Shown,
    /// That which a chain chooses by.
    Chosen(ChooseBy),
}

/// Whether a run with this result is still to run.
type IsOpen<'a> = dyn Fn(RunId, Option<&Outcome>) -> bool + 'a;

/// Results that are read when they are asked for, each once.
pub struct Evidence<'a> {
    dir: &'a ResultsDir,
    is_open: Box<IsOpen<'a>>,
    ended: HashMap<RunId, Outcome>,
    measured: HashMap<(RunId, On), Option<(Basis, Measured)>>,
}

impl<'a> Evidence<'a> {
    /// The results in `dir`; `is_open` tells of a run and its result, if it has one, whether it is still
    /// to run.
    pub fn new(
        dir: &'a ResultsDir,
        is_open: impl Fn(RunId, Option<&Outcome>) -> bool + 'a,
    ) -> Self {
        Self { dir, is_open: Box::new(is_open), ended: HashMap::new(), measured: HashMap::new() }
    }

    /// Whether all of `runs` have ended.
    pub(super) fn have_ended<'b>(
        &mut self,
        runs: impl IntoIterator<Item = &'b PlanRun>,
    ) -> Result<bool, ReadError> {
        for run in runs {
            if self.ended.contains_key(&run.run) {
                continue;
            }
            let result = store::read_result(&self.dir.run(run), run.run)?;
            let outcome = result.map(|result| result.outcome);
            match outcome {
                Some(outcome) if !(self.is_open)(run.run, Some(&outcome)) => {
                    self.ended.insert(run.run, outcome);
                }
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// What is known of the runs of a row, which have all ended.
    pub(super) fn of(&mut self, runs: &[PlanRun], on: On) -> Option<Known> {
        let measured: Vec<(Basis, Measured)> =
            runs.iter().filter_map(|run| self.measured(run, on)).collect();
        let images: Option<Vec<u64>> = measured.iter().map(|(_, run)| run.images).collect();
        let images = images.and_then(|images| the_same(&images));
        let bases: Vec<Basis> = measured.iter().map(|(basis, _)| *basis).collect();
        let runs: Vec<Measured> = measured.into_iter().map(|(_, run)| run).collect();
        known(&runs, MeasuredOn::of(the_same(&bases), images))
    }

    /// Whether some of the runs of a row, which have all ended, ended without a score.
    pub(super) fn some_lost(&self, runs: &[PlanRun]) -> bool {
        let finished =
            |run: &PlanRun| matches!(self.ended.get(&run.run), Some(Outcome::Finished(_)));
        !runs.iter().all(finished)
    }

    /// Whether the runs of a row were measured on all training images, fold by fold.
    pub(super) fn has_folds(&self, runs: &[PlanRun]) -> bool {
        let outcomes = runs.iter().filter_map(|run| self.ended.get(&run.run));
        let mut finished = outcomes.filter_map(|outcome| match outcome {
            Outcome::Finished(finished) => Some(finished),
            _ => None,
        });
        finished.any(|finished| !finished.folds.is_empty())
    }

    fn measured(&mut self, run: &PlanRun, on: On) -> Option<(Basis, Measured)> {
        if let Some(known) = self.measured.get(&(run.run, on)) {
            return known.clone();
        }
        let measured = match self.ended.get(&run.run) {
            Some(Outcome::Finished(finished)) => self.read(run, finished, on),
            _ => None,
        };
        self.measured.insert((run.run, on), measured.clone());
        measured
    }

    fn read(&self, run: &PlanRun, finished: &Finished, on: On) -> Option<(Basis, Measured)> {
        // As in the table: what a trainer of the user's own says comes before its validation images.
        if on == On::Shown
            && finished.test.is_none()
            && let Some(score) = finished.score
        {
            let measured = Measured { seed: run.seed, score, images: None, answers: None };
            return Some((Basis::Trainer, measured));
        }
        let (basis, evaluation) = evaluation(finished, on)?;
        let set = if basis == Basis::Test { "test" } else { "validation" };
        let measured = Measured {
            seed: run.seed,
            score: evaluation.accuracy(),
            images: Some(evaluation.images),
            answers: store::read_answers(&self.dir.run(run), set, evaluation),
        };
        Some((basis, measured))
    }
}

fn evaluation(finished: &Finished, on: On) -> Option<(Basis, Evaluation)> {
    let test = finished.test.map(|test| (Basis::Test, test));
    let validation = finished.validation.map(|validation| (Basis::Validation, validation));
    match on {
        On::Shown => test.or(validation),
        On::Chosen(ChooseBy::Validation) => validation,
        On::Chosen(ChooseBy::Test) => test,
    }
}

fn the_same<T: PartialEq + Copy>(values: &[T]) -> Option<T> {
    let first = values.first()?;
    values.iter().all(|value| value == first).then_some(*first)
}
