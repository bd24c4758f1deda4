//! The table of all runs: data that the page's script shows a window of, sorted and filtered.

use std::collections::HashMap;

use serde::Serialize;

use crate::report::{Entry, outcome_cause};

/// The data as the script reads it.
#[derive(Debug, Serialize)]
pub(super) struct Runs<'a> {
    columns: Vec<Column<'a>>,
    /// Of each column its values, one for each run.
    values: Vec<Values<'a>>,
}

#[derive(Debug, Serialize)]
struct Column<'a> {
    heading: &'a str,
    kind: Kind,
}

/// How the values of a column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Text,
    Whole,
    Score,
    Seconds,
}

/// Words repeat from run to run, so each is written once.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Values<'a> {
    Words { words: Vec<&'a str>, of: Vec<usize> },
    Numbers(Vec<Option<f64>>),
}

/// A column before it is packed.
enum Of<'a> {
    Word(fn(&'a Entry) -> &'a str),
    Number(Kind, fn(&Entry) -> Option<f64>),
}

impl<'a> Runs<'a> {
    /// Of all entries, in their order. Columns in which nothing is known are left out.
    pub(super) fn of(entries: &'a [Entry]) -> Self {
        let columns: [(&str, Of<'a>); 14] = [
            ("factor", Of::Word(|entry| &entry.factor)),
            ("level", Of::Word(|entry| &entry.level)),
            ("seed", Of::Number(Kind::Whole, |entry| Some(entry.seed as f64))),
            ("outcome", Of::Word(|entry| {
                entry.result.as_ref().map_or("waiting", |result| result.outcome.name())
            })),
            ("score", Of::Number(Kind::Score, Entry::score)),
            ("validation accuracy", Of::Number(Kind::Score, Entry::validation)),
            ("epochs", Of::Number(Kind::Whole, |entry| {
                Some(f64::from(entry.finished()?.epochs))
            })),
            ("best epoch", Of::Number(Kind::Whole, |entry| {
                Some(f64::from(entry.finished()?.stopped_early.as_ref()?.best_epoch))
            })),
            ("updates", Of::Number(Kind::Whole, |entry| Some(entry.finished()?.updates as f64))),
            ("seconds", Of::Number(Kind::Seconds, |entry| Some(entry.result.as_ref()?.seconds))),
            ("attempts", Of::Number(Kind::Whole, |entry| {
                Some(f64::from(entry.result.as_ref()?.attempts))
            })),
            ("device", Of::Word(|entry| {
                entry.result.as_ref().map_or("", |result| &result.device)
            })),
            ("cause", Of::Word(|entry| {
                let cause = entry.result.as_ref().and_then(|result| outcome_cause(&result.outcome));
                cause.and_then(|cause| cause.lines().next()).unwrap_or_default()
            })),
            ("folder", Of::Word(|entry| folder(entry))),
        ];
        let mut runs = Self { columns: Vec::new(), values: Vec::new() };
        for (heading, of) in columns {
            let (kind, values) = match of {
                Of::Word(of) => (Kind::Text, words(entries.iter().map(of))),
                Of::Number(kind, of) => (kind, Values::Numbers(entries.iter().map(of).collect())),
            };
            if !values.is_empty() {
                runs.columns.push(Column { heading, kind });
                runs.values.push(values);
            }
        }
        runs
    }

    /// As JSON that may stand in a page: nothing in it can end the element that it stands in.
    pub(super) fn json(&self) -> String {
        match serde_json::to_string(self) {
            Ok(json) => json.replace('<', "\\u003c"),
            Err(error) => unreachable!("words and finite numbers always become JSON: {error}"),
        }
    }
}

impl Values<'_> {
    fn is_empty(&self) -> bool {
        match self {
            Self::Words { words, .. } => words.iter().all(|word| word.is_empty()),
            Self::Numbers(numbers) => numbers.iter().all(Option::is_none),
        }
    }
}

fn words<'a>(of: impl Iterator<Item = &'a str>) -> Values<'a> {
    let mut places = HashMap::new();
    let mut words = Vec::new();
    let of = of.map(|word| {
        *places.entry(word).or_insert_with(|| {
            words.push(word);
            words.len() - 1
        })
    });
    let of = of.collect();
    Values::Words { words, of }
}

/// The name of a run's folder.
fn folder(entry: &Entry) -> &str {
    entry.dir.root().file_name().and_then(|name| name.to_str()).unwrap_or_default()
}
