//! `runs.csv`: a row for each run of each row of the table, for other programs.

use serde::Serialize;

use super::{Basis, Entry, outcome_cause};
use crate::store::WriteError;

#[derive(Serialize)]
struct Record<'a> {
    factor: &'a str,
    level: &'a str,
    baseline: bool,
    seed: u64,
    run: String,
    outcome: &'a str,
    random_weights: bool,
    score_on: Option<Basis>,
    score: Option<f64>,
    images: Option<u64>,
    correct: Option<u64>,
    loss: Option<f64>,
    val_accuracy: Option<f64>,
    val_loss: Option<f64>,
    /// Of each fold, with a space between.
    fold_val_accuracies: String,
    epochs: Option<u32>,
    updates: Option<u64>,
    best_epoch: Option<u32>,
    attempts: Option<u32>,
    seconds: Option<f64>,
    device: &'a str,
    folder: String,
    cause: Option<&'a str>,
}

/// The entries as CSV; scores are fractions, `score_on` says of what.
///
/// # Errors
/// When a value cannot be written as CSV, which none should be.
pub fn runs_csv(entries: &[Entry]) -> Result<Vec<u8>, WriteError> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    for entry in entries {
        csv.serialize(record(entry))?;
    }
    csv.into_inner().map_err(|error| std::io::Error::other(error.to_string()).into())
}

fn record(entry: &Entry) -> Record<'_> {
    let result = entry.result.as_ref();
    let finished = entry.finished();
    let measured = finished.and_then(|finished| finished.test.or(finished.validation));
    let validation = finished.and_then(|finished| finished.validation);
    Record {
        factor: &entry.factor,
        level: &entry.level,
        baseline: entry.baseline,
        seed: entry.seed,
        run: entry.planned.run.to_string(),
        outcome: result.map_or("waiting", |result| result.outcome.name()),
        random_weights: entry.stand_in,
        score_on: entry.basis,
        score: entry.score(),
        images: measured.map(|measured| measured.images),
        correct: measured.map(|measured| measured.correct),
        loss: measured.map(|measured| measured.loss),
        val_accuracy: entry.validation(),
        val_loss: validation.map(|validation| validation.loss),
        fold_val_accuracies: entry
            .folds()
            .map(|fold| fold.to_string())
            .collect::<Vec<_>>()
            .join(" "),
        epochs: finished.map(|finished| finished.epochs),
        updates: finished.map(|finished| finished.updates),
        best_epoch: finished.and_then(|finished| Some(finished.stopped_early.as_ref()?.best_epoch)),
        attempts: result.map(|result| result.attempts),
        seconds: result.map(|result| result.seconds),
        device: result.map_or("", |result| &result.device),
        folder: entry.dir.root().display().to_string(),
        cause: result.and_then(|result| outcome_cause(&result.outcome)),
    }
}
