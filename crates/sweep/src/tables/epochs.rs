//! A row for each epoch of each run.

use rayon::prelude::*;
use spec::record::EpochMetrics;

use super::Stands;
use super::field::{Column, Field, columns as of, keys};
use crate::store::{ReadError, read_metrics};

type Row<'a> = (Stands<'a>, EpochMetrics);

pub(super) fn columns(standing: &[Stands<'_>]) -> Result<Vec<Column>, ReadError> {
    let read = |standing: &Stands<'_>| match standing.entry.result {
        None => Ok(Vec::new()),
        Some(_) => read_metrics(&standing.entry.dir),
    };
    let epochs = standing.par_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let rows: Vec<Row<'_>> = standing
        .iter()
        .zip(epochs)
        .flat_map(|(standing, epochs)| epochs.into_iter().map(|epoch| (*standing, epoch)))
        .collect();
    let mut columns = keys(&rows, |(standing, _)| *standing);
    columns.extend(of(&fields(), &rows));
    Ok(columns)
}

fn fields<'a>() -> Vec<Field<Row<'a>>> {
    vec![
        Field::whole("fold", |(_, epoch)| epoch.fold.map(u64::from)),
        Field::whole("epoch", |(_, epoch)| Some(epoch.epoch.into())),
        Field::number("loss", |(_, epoch)| epoch.loss),
        Field::number("accuracy", |(_, epoch)| epoch.accuracy),
        Field::number("val_loss", |(_, epoch)| epoch.val_loss),
        Field::number("val_accuracy", |(_, epoch)| epoch.val_accuracy),
        Field::number("val_auc", |(_, epoch)| epoch.val_auc),
        Field::number("learning_rate", |(_, epoch)| epoch.learning_rate),
        Field::number("seconds", |(_, epoch)| Some(epoch.seconds)),
    ]
}
