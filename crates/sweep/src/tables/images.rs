//! A row for each image that each run was asked about.

use rayon::prelude::*;

use super::Stands;
use super::field::{Column, Field, columns as of, keys};
use crate::store::{ReadError, Said, read_predictions};

type Row<'a> = (Stands<'a>, Said);

pub(super) fn columns(standing: &[Stands<'_>]) -> Result<Vec<Column>, ReadError> {
    let read = |standing: &Stands<'_>| match standing.entry.finished() {
        None => Ok(Vec::new()),
        Some(_) => read_predictions(&standing.entry.dir),
    };
    let said = standing.par_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let rows: Vec<Row<'_>> = standing
        .iter()
        .zip(said)
        .flat_map(|(standing, said)| said.into_iter().map(|said| (*standing, said)))
        .collect();
    let mut columns = keys(&rows, |(standing, _)| *standing);
    columns.extend(of(&fields(), &rows));
    Ok(columns)
}

fn fields<'a>() -> Vec<Field<Row<'a>>> {
    vec![
        Field::text("set", |(_, said)| Some(said.set.clone())),
        Field::whole("fold", |(_, said)| said.fold.map(u64::from)),
        Field::text("image", |(_, said)| Some(said.image.clone())),
        Field::text("label", |(_, said)| said.label.clone()),
        Field::text("predicted", |(_, said)| Some(said.predicted.clone())),
        Field::flag("right", |(_, said)| Some(*said.label.as_ref()? == said.predicted)),
        Field::number("probability", |(_, said)| said.probability),
        Field::number("label_probability", |(_, said)| said.label_probability),
    ]
}
