//! The best of many combinations, and what that owes to being the best of many.

use serde::Serialize;
use stats::level::PerImage;
use stats::selection::selection;

use super::{Entry, Row};
use crate::store;

/// More cells of runs by images than this are not drawn again two thousand times.
const MOST_CELLS: usize = 400_000;

/// The row with the best validation score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Best {
    /// Its number among the rows, from 0.
    pub row: usize,
    /// Its mean validation accuracy.
    pub validation: f64,
    /// How many rows it was chosen from.
    pub of: usize,
    /// By how much that overstates its validation accuracy on average, for being the best of so many;
    /// absent where it cannot be told, as when seeds are validated on images of their own.
    pub optimism: Option<f64>,
}

/// The best of the rows whose seeds have all finished with a validation score; none without one.
pub(super) fn best(rows: &[Row], entries: &[Entry]) -> Option<Best> {
    let candidates: Vec<(usize, f64)> = rows
        .iter()
        .enumerate()
        .filter(|(_, row)| !row.stand_in && row.unfinished.is_empty())
        .filter_map(|(at, row)| Some((at, row.validation?.mean)))
        .collect();
    // Of equal ones the first.
    let (row, validation) =
        candidates.iter().rev().max_by(|(_, left), (_, right)| left.total_cmp(right)).copied()?;
    let rows: Vec<usize> = candidates.iter().map(|(at, _)| *at).collect();
    let optimism = optimism(&rows, entries);
    Some(Best { row, validation, of: candidates.len(), optimism })
}

fn optimism(rows: &[usize], entries: &[Entry]) -> Option<f64> {
    let mut images = None;
    let mut cells = 0;
    let mut level = |row: usize| -> Option<PerImage> {
        let runs = entries.iter().filter(|entry| entry.row as usize == row);
        let mut seeds = Vec::new();
        let mut right = Vec::new();
        for run in runs {
            let validation = run.finished()?.validation?;
            cells += validation.images as usize;
            if cells > MOST_CELLS {
                return None;
            }
            let answers = store::read_answers(&run.dir, "validation", validation)?;
            if *images.get_or_insert(answers.images) != answers.images {
                return None;
            }
            seeds.push(run.seed);
            right.push(answers.right);
        }
        PerImage::new(seeds, &right).ok()
    };
    let levels: Option<Vec<PerImage>> = rows.iter().map(|row| level(*row)).collect();
    let levels = levels?;
    let levels: Vec<&PerImage> = levels.iter().collect();
    Some(selection(&levels, 0).ok()?.optimism)
}
