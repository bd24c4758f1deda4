//! What a page shows beyond the table: epochs, answers and settings of the rows that are drawn.

use std::collections::{BTreeMap, HashSet};

use rayon::prelude::*;
use spec::record::{EpochMetrics, Outcome, RunConfig};

use crate::report::{Basis, Entry, Table};
use crate::store::{self, ReadError};

/// Rows drawn at most: a page of hundreds of plots is read by nobody.
const DRAWN: usize = 24;

/// What is known of the rows of a table; nothing of those that are not drawn.
#[derive(Debug)]
pub(super) struct Details {
    /// One for each row of the table.
    pub(super) rows: Vec<Option<RowDetails>>,
    /// Classes by name, as far as anybody was told or told of them, sorted.
    pub(super) classes: Vec<String>,
}

/// What is known of a row.
#[derive(Debug, Default)]
pub(super) struct RowDetails {
    /// Whether an earlier row has the same runs, as the baseline of another factor has.
    pub(super) again: bool,
    /// How each finished or diverged run went, by seed.
    pub(super) courses: Vec<Course>,
    /// What was said of each image, by its name.
    pub(super) told: BTreeMap<String, Told>,
    /// What its first run was asked for.
    pub(super) asked: Option<RunConfig>,
}

/// How a run, or a fold of one, went.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) epochs: Vec<EpochMetrics>,
    pub(super) end: End,
}

/// How training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It ran all epochs.
    All { epochs: u32 },
    /// Nothing improved any more.
    Stopped { epoch: u32, best: u32 },
    /// The loss became no number.
    Diverged { epoch: u32 },
}

/// What the runs of a row said of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) label: String,
    /// How often each class was said.
    pub(super) said: BTreeMap<String, u32>,
}

impl Told {
    pub(super) fn right(&self) -> u32 {
        self.said.get(&self.label).copied().unwrap_or(0)
    }

    pub(super) fn times(&self) -> u32 {
        self.said.values().sum()
    }
}

impl Details {
    /// Reads them.
    ///
    /// # Errors
    /// When a file is there and cannot be read, or is newer.
    pub(super) fn read(table: &Table, entries: &[Entry]) -> Result<Self, ReadError> {
        let drawn = drawn(table);
        let mut seen = HashSet::new();
        let mut rows = Vec::new();
        for number in 0..table.rows.len() {
            let of_row: Vec<&Entry> =
                entries.iter().filter(|entry| entry.row as usize == number).collect();
            if !drawn.contains(&number) {
                rows.push(None);
                continue;
            }
            let runs: Vec<_> = of_row.iter().map(|entry| entry.planned.run).collect();
            let again = !seen.insert(runs);
            rows.push(Some(RowDetails { again, ..read(&of_row)? }));
        }
        let told = rows.iter().flatten().flat_map(|row| row.told.values());
        let words = told.flat_map(|told| told.said.keys().chain([&told.label]));
        let classes: std::collections::BTreeSet<String> = words.cloned().collect();
        Ok(Self { rows, classes: classes.into_iter().collect() })
    }

    /// How many rows are drawn.
    pub(super) fn drawn(&self) -> usize {
        self.rows.iter().flatten().count()
    }
}

/// Which rows: all, or baselines and then the best.
fn drawn(table: &Table) -> HashSet<usize> {
    let mut order: Vec<usize> = (0..table.rows.len()).collect();
    if order.len() > DRAWN {
        let mean = |at: &usize| table.rows[*at].measured().map_or(f64::MIN, |score| score.mean);
        order.sort_by(|one, other| {
            let baseline = |at: &usize| !table.rows[*at].baseline;
            baseline(one).cmp(&baseline(other)).then(mean(other).total_cmp(&mean(one)))
        });
        order.truncate(DRAWN);
    }
    order.into_iter().collect()
}

fn read(entries: &[&Entry]) -> Result<RowDetails, ReadError> {
    let read: Result<Vec<_>, ReadError> = entries.par_iter().map(|entry| of_run(entry)).collect();
    let mut row = RowDetails::default();
    for (courses, told) in read? {
        row.courses.extend(courses);
        for (image, label, predicted) in told {
            let told = row.told.entry(image).or_default();
            told.label = label;
            *told.said.entry(predicted).or_default() += 1;
        }
    }
    if let Some(entry) = entries.first() {
        row.asked = store::read_config(&entry.dir)?;
    }
    Ok(row)
}

type Answer = (String, String, String);

fn of_run(entry: &Entry) -> Result<(Vec<Course>, Vec<Answer>), ReadError> {
    let outcome = entry.result.as_ref().map(|result| &result.outcome);
    let epochs = match outcome {
        Some(Outcome::Finished(_) | Outcome::Diverged { .. }) => store::read_metrics(&entry.dir)?,
        _ => Vec::new(),
    };
    let courses = epochs.chunk_by(|one, next| one.fold == next.fold);
    let courses =
        courses.map(|epochs| Course { epochs: epochs.to_vec(), end: end(outcome, epochs) });
    let set = match entry.basis {
        Some(Basis::Test) => "test",
        Some(Basis::Leaderboard | Basis::Validation) => "validation",
        Some(Basis::Trainer | Basis::Nothing) | None => return Ok((courses.collect(), Vec::new())),
    };
    let said = store::read_predictions(&entry.dir)?.into_iter().filter(|said| said.set == set);
    let answers = said.filter_map(|said| Some((said.image, said.label?, said.predicted)));
    Ok((courses.collect(), answers.collect()))
}

fn end(outcome: Option<&Outcome>, epochs: &[EpochMetrics]) -> End {
    let fold = epochs.first().and_then(|epoch| epoch.fold);
    let last = epochs.last().map_or(0, |epoch| epoch.epoch);
    let stopped = match outcome {
        Some(Outcome::Diverged { epoch, .. }) => return End::Diverged { epoch: *epoch },
        Some(Outcome::Finished(finished)) => match fold {
            None => finished.stopped_early.as_ref(),
            Some(fold) => {
                let fold = finished.folds.iter().find(|known| known.fold == fold);
                fold.and_then(|fold| fold.stopped_early.as_ref())
            }
        },
        _ => None,
    };
    match stopped {
        Some(stopped) => End::Stopped { epoch: stopped.epoch, best: stopped.best_epoch },
        None => End::All { epochs: last },
    }
}
