//! The settings of each run, a column for each key of a sweep file.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use spec::config::Config;

use super::Stands;
use super::field::{Column, Values};
use crate::settings::{flat, shown};

/// A column for every setting that one of the runs has, by its path (`train.batch_size`), in the order of
/// their names. What a run has left out or switched off is absent.
pub(super) fn columns(standing: &[Stands<'_>]) -> Vec<Column> {
    // Runs that stand beside each other mostly differ in their seeds alone.
    let alike: Vec<(usize, BTreeMap<String, Value>)> = standing
        .chunk_by(|one, other| asked(one) == asked(other))
        .map(|rows| (rows.len(), asked(&rows[0]).map(flat).unwrap_or_default()))
        .collect();
    let names: BTreeSet<&String> = alike.iter().flat_map(|(_, settings)| settings.keys()).collect();
    names
        .into_iter()
        .map(|name| {
            let cells = alike
                .iter()
                .flat_map(|(rows, settings)| std::iter::repeat_n(settings.get(name), *rows));
            let cells: Vec<Option<&Value>> = cells.collect();
            Column { name: name.clone(), values: values(&cells) }
        })
        .collect()
}

fn asked<'a>(row: &Stands<'a>) -> Option<&'a Config> {
    row.entry.asked.as_ref().map(|asked| &asked.config)
}

/// Of the narrowest type that holds all cells.
fn values(cells: &[Option<&Value>]) -> Values {
    let all = |fits: fn(&Value) -> bool| cells.iter().flatten().all(|value| fits(value));
    match () {
        () if all(Value::is_boolean) => {
            Values::Flag(cells.iter().map(|cell| cell.and_then(Value::as_bool)).collect())
        }
        () if all(Value::is_u64) => {
            Values::Whole(cells.iter().map(|cell| cell.and_then(Value::as_u64)).collect())
        }
        () if all(Value::is_number) => {
            Values::Number(cells.iter().map(|cell| cell.and_then(Value::as_f64)).collect())
        }
        () => Values::Text(cells.iter().map(|cell| cell.map(shown)).collect()),
    }
}
