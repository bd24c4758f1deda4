//! What runs scored elsewhere, beside what is measured here.

use std::collections::HashSet;

use serde::Serialize;
use stats::level::{External, Level, PerSeed};
use stats::rank::{RankCorrelation, rank_correlation};
use stats::score::{Score, score};

use super::{Entry, Row, the_same};

/// Fewer rows than these can be in any order by chance.
const LEAST_ROWS: usize = 3;

/// How far two ways to score agree about the rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Agreement {
    /// Rows that have both scores; the baseline once.
    pub rows: usize,
    /// The agreement of their ranks.
    pub ranks: RankCorrelation,
}

/// What a row's runs scored elsewhere, with an interval over other test images, and over other seeds where
/// there are several.
pub(super) fn score_of<'a>(entries: impl Iterator<Item = &'a Entry>) -> Option<Score> {
    let scored: Vec<(u64, f64, Option<u64>)> = entries
        .filter_map(|entry| {
            let external = entry.external.as_ref()?;
            Some((entry.seed, external.score, external.images))
        })
        .collect();
    let images = the_same(scored.iter().map(|(_, _, images)| *images)).flatten();
    if let ([(_, single, _)], Some(images)) = (scored.as_slice(), images) {
        return Some(score(&Level::External(External::new(*single, images).ok()?), 0.95));
    }
    let seeds = scored.iter().map(|(seed, ..)| *seed).collect();
    let scores = scored.iter().map(|(_, score, _)| *score).collect();
    Some(score(&Level::PerSeed(PerSeed::new(seeds, scores, images).ok()?), 0.95))
}

/// Whether what is measured here ranks `rows` as what was scored elsewhere does.
pub(super) fn agreement(rows: &[Row], entries: &[Entry]) -> Option<Agreement> {
    let mut seen = HashSet::new();
    let mut pairs = Vec::new();
    for (number, row) in (0_u32..).zip(rows) {
        let runs: Vec<_> = entries
            .iter()
            .filter(|entry| entry.row == number)
            .map(|entry| entry.planned.run)
            .collect();
        // The baseline stands in the rows of every factor.
        if let (Some(here), Some(elsewhere)) = (row.measured(), &row.external)
            && seen.insert(runs)
        {
            pairs.push((here.mean, elsewhere.mean));
        }
    }
    let (here, elsewhere): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    let ranks = rank_correlation(&here, &elsewhere, 0)?;
    (here.len() >= LEAST_ROWS).then_some(Agreement { rows: here.len(), ranks })
}
