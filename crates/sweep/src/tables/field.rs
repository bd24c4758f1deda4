//! Columns, and how they come from rows.

use super::Stands;

/// A column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its cells, from the top; `None` where there is nothing to say.
    pub values: Values,
}

/// The cells of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Words.
    Text(Vec<Option<String>>),
    /// Yes or no.
    Flag(Vec<Option<bool>>),
    /// Counts.
    Whole(Vec<Option<u64>>),
    /// Measurements.
    Number(Vec<Option<f64>>),
}

/// A column that rows of type `R` have.
pub(super) struct Field<R> {
    pub(super) name: &'static str,
    pub(super) of: Of<R>,
}

/// What a row has to say in a column.
pub(super) enum Of<R> {
    Text(fn(&R) -> Option<String>),
    Flag(fn(&R) -> Option<bool>),
    Whole(fn(&R) -> Option<u64>),
    Number(fn(&R) -> Option<f64>),
}

impl<R> Field<R> {
    pub(super) const fn text(name: &'static str, of: fn(&R) -> Option<String>) -> Self {
        Self { name, of: Of::Text(of) }
    }

    pub(super) const fn flag(name: &'static str, of: fn(&R) -> Option<bool>) -> Self {
        Self { name, of: Of::Flag(of) }
    }

    pub(super) const fn whole(name: &'static str, of: fn(&R) -> Option<u64>) -> Self {
        Self { name, of: Of::Whole(of) }
    }

    pub(super) const fn number(name: &'static str, of: fn(&R) -> Option<f64>) -> Self {
        Self { name, of: Of::Number(of) }
    }

    fn column(&self, rows: &[R]) -> Column {
        let values = match self.of {
            Of::Text(of) => Values::Text(rows.iter().map(of).collect()),
            Of::Flag(of) => Values::Flag(rows.iter().map(of).collect()),
            Of::Whole(of) => Values::Whole(rows.iter().map(of).collect()),
            Of::Number(of) => Values::Number(rows.iter().map(of).collect()),
        };
        Column { name: self.name.to_owned(), values }
    }
}

/// The columns of `rows`.
pub(super) fn columns<R>(fields: &[Field<R>], rows: &[R]) -> Vec<Column> {
    fields.iter().map(|field| field.column(rows)).collect()
}

/// The columns by which the rows of all tables are told apart and joined: they come first.
pub(super) fn keys<R>(rows: &[R], standing: impl Fn(&R) -> Stands<'_>) -> Vec<Column> {
    let text = |name: &str, of: &dyn Fn(Stands<'_>) -> String| Column {
        name: name.to_owned(),
        values: Values::Text(rows.iter().map(|row| Some(of(standing(row)))).collect()),
    };
    let baseline = rows.iter().map(|row| Some(standing(row).entry.baseline)).collect();
    // As reports count them, from 1.
    let stage = |row: &R| standing(row).entry.stage.map(|stage| stage as u64 + 1);
    let stages = rows.iter().map(stage).collect();
    let seeds = rows.iter().map(|row| Some(standing(row).entry.seed)).collect();
    vec![
        text("sweep", &|row| row.sweep.to_owned()),
        Column { name: "stage".to_owned(), values: Values::Whole(stages) },
        text("factor", &|row| row.entry.factor.clone()),
        text("level", &|row| row.entry.level.clone()),
        Column { name: "baseline".to_owned(), values: Values::Flag(baseline) },
        Column { name: "seed".to_owned(), values: Values::Whole(seeds) },
        text("run", &|row| row.entry.planned.run.to_string()),
    ]
}

impl Values {
    /// How many cells there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(cells) => cells.len(),
            Self::Flag(cells) => cells.len(),
            Self::Whole(cells) => cells.len(),
            Self::Number(cells) => cells.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
