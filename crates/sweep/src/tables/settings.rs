//! The settings of each run, a column for each key of a sweep file.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Stands;
use super::field::{Column, Values};
use crate::settings::{flat, shown};

/// A column for every setting that one of the runs has, by its path (`train.batch_size`), in the order of
/// their names. What a run has left out or switched off is absent.
pub(super) fn columns(standing: &[Stands<'_>]) -> Vec<Column> {
    let rows: Vec<BTreeMap<String, Value>> = standing
        .iter()
        .map(|row| row.entry.asked.as_ref().map(|asked| flat(&asked.config)).unwrap_or_default())
        .collect();
    let mut names: Vec<&String> = rows.iter().flat_map(BTreeMap::keys).collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .map(|name| {
            let cells: Vec<Option<&Value>> = rows.iter().map(|row| row.get(name)).collect();
            Column { name: name.clone(), values: values(&cells) }
        })
        .collect()
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
