//! A row for each run.

use spec::record::StoppedEarly;

use super::field::{Column, Field, columns as of, keys};
use super::{Stands, settings};
use crate::report::{Basis, outcome_cause};

pub(super) fn columns(standing: &[Stands<'_>]) -> Vec<Column> {
    let mut columns = keys(standing, |row| *row);
    columns.extend(of(&fields(), standing));
    columns.extend(settings::columns(standing));
    columns
}

fn fields<'a>() -> Vec<Field<Stands<'a>>> {
    vec![
        Field::text("outcome", |Stands { entry, .. }| {
            let result = entry.result.as_ref();
            Some(result.map_or("waiting", |result| result.outcome.name()).to_owned())
        }),
        Field::flag("random_weights", |Stands { entry, .. }| Some(entry.stand_in)),
        Field::text("score_on", |Stands { entry, .. }| {
            let word = match entry.basis? {
                Basis::Test => "test",
                Basis::Leaderboard => "leaderboard",
                Basis::Validation => "validation",
                Basis::Trainer => "trainer",
                Basis::Nothing => "nothing",
            };
            Some(word.to_owned())
        }),
        Field::number("score", |Stands { entry, .. }| entry.score()),
        Field::whole("images", |Stands { entry, .. }| entry.images()),
        Field::whole("correct", |Stands { entry, .. }| {
            let finished = entry.finished()?;
            finished.test.or(finished.validation).map(|measured| measured.correct)
        }),
        Field::number("loss", |Stands { entry, .. }| {
            let finished = entry.finished()?;
            finished.test.or(finished.validation).map(|measured| measured.loss)
        }),
        Field::number("external_score", |Stands { entry, .. }| {
            Some(entry.external.as_ref()?.score)
        }),
        Field::number("val_accuracy", |Stands { entry, .. }| entry.validation()),
        Field::number("val_loss", |Stands { entry, .. }| {
            entry.finished()?.validation.map(|validation| validation.loss)
        }),
        Field::text("fold_val_accuracies", |Stands { entry, .. }| {
            let folds: Vec<String> = entry.folds().map(|fold| fold.to_string()).collect();
            (!folds.is_empty()).then(|| folds.join(" "))
        }),
        Field::whole("epochs", |Stands { entry, .. }| Some(entry.finished()?.epochs.into())),
        Field::whole("updates", |Stands { entry, .. }| Some(entry.finished()?.updates)),
        Field::whole("images_seen", |Stands { entry, .. }| Some(entry.finished()?.images_seen)),
        Field::whole("stopped_epoch", |row| Some(stopped(row)?.epoch.into())),
        Field::whole("best_epoch", |row| Some(stopped(row)?.best_epoch.into())),
        Field::whole("attempts", |Stands { entry, .. }| {
            Some(entry.result.as_ref()?.attempts.into())
        }),
        Field::text("started", |Stands { entry, .. }| Some(entry.result.as_ref()?.started.clone())),
        Field::number("seconds", |Stands { entry, .. }| Some(entry.result.as_ref()?.seconds)),
        Field::text("device", |Stands { entry, .. }| Some(entry.result.as_ref()?.device.clone())),
        Field::text("program", |Stands { entry, .. }| entry.result.as_ref()?.program.clone()),
        Field::text("folder", |Stands { entry, .. }| Some(entry.dir.root().display().to_string())),
        Field::text("cause", |Stands { entry, .. }| {
            outcome_cause(&entry.result.as_ref()?.outcome).map(str::to_owned)
        }),
    ]
}

fn stopped<'a>(row: &Stands<'a>) -> Option<&'a StoppedEarly> {
    row.entry.finished()?.stopped_early.as_ref()
}
