//! Single trials: draw runs, judge them, compare with the truth. Tests and `examples/simulate.rs` count
//! many of them.

use super::World;
use crate::bootstrap::pigeonhole;
use crate::compare::{Comparison, Next, Settings, compare, judge, next};
use crate::difference::{Replicates, difference};
use crate::level::{Level, LevelError, PerImage};
use crate::score::score;
use crate::verdict::Verdict;

/// How many runs a trial has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Seeds of each level.
    pub seeds: usize,
    /// Test images.
    pub images: usize,
}

/// Whether the interval of a score contains the truth.
///
/// # Errors
/// When the size is 0.
pub fn score_is_covered(world: &World, size: Size, draw: u64) -> Result<bool, LevelError> {
    let mut runs = world.runs(&[0.0], size.seeds, size.images, draw)?;
    let interval = runs.pop().and_then(|level| score(&Level::PerImage(level), 0.95).interval);
    Ok(interval.is_some_and(|interval| interval.contains(world.accuracy)))
}

/// Whether the middle 95 % of a pigeonhole bootstrap contain the truth: the method that was not chosen.
///
/// # Errors
/// When the size is 0.
pub fn bootstrap_is_covered(world: &World, size: Size, draw: u64) -> Result<bool, LevelError> {
    const DRAWS: u32 = 400;
    let runs = world.runs(&[0.0], size.seeds, size.images, draw)?;
    let rows = (0..size.seeds).map(|seed| runs[0].table().row(seed)).collect();
    let mut means: Vec<f64> = pigeonhole(&[rows], DRAWS, draw).into_iter().flatten().collect();
    means.sort_by(f64::total_cmp);
    let (low, high) = (means[DRAWS as usize / 40], means[DRAWS as usize * 39 / 40 - 1]);
    Ok((low..=high).contains(&world.accuracy))
}

/// Whether the interval of a difference contains the true `effect`.
///
/// # Errors
/// When the size is 0.
pub fn difference_is_covered(
    world: &World,
    effect: f64,
    size: Size,
    draw: u64,
) -> Result<bool, LevelError> {
    let levels = levels(world.runs(&[0.0, effect], size.seeds, size.images, draw)?);
    let found = difference(&levels[1], &levels[0], 0.95, Replicates::Fixed, 0);
    let interval = found.ok().and_then(|difference| difference.interval);
    Ok(interval.is_some_and(|interval| interval.contains(effect)))
}

/// The rows of a sweep whose levels have the given true `effects`.
///
/// # Errors
/// When the size is 0.
pub fn sweep(
    world: &World,
    effects: &[f64],
    size: Size,
    settings: &Settings,
    draw: u64,
) -> Result<Vec<Comparison>, LevelError> {
    let effects: Vec<f64> = std::iter::once(0.0).chain(effects.iter().copied()).collect();
    let levels = levels(world.runs(&effects, size.seeds, size.images, draw)?);
    Ok(compare(&levels[0], &levels[1..], settings).unwrap_or_default())
}

/// When an adaptive sweep looks at its results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looks {
    /// After every seed: the hardest for a rule that must not be fooled by looking.
    EverySeed,
    /// After a quarter more seeds, as `sweep run` does.
    AQuarterMore,
}

/// The rows of an adaptive sweep where it stops: every level gets seeds until [`next`] says otherwise;
/// `size.seeds` is the maximum.
///
/// # Errors
/// When the size is 0.
pub fn adaptive_sweep(
    world: &World,
    effects: &[f64],
    (min, looks): (usize, Looks),
    size: Size,
    draw: u64,
) -> Result<Vec<Comparison>, LevelError> {
    let effects: Vec<f64> = std::iter::once(0.0).chain(effects.iter().copied()).collect();
    let runs = world.runs(&effects, size.seeds, size.images, draw)?;
    let settings =
        Settings { replicates: Replicates::Adaptive, outlook: false, ..Settings::default() };
    let first = |level: &PerImage, seeds: usize| -> Result<Level, LevelError> {
        let rows = (0..seeds).map(|seed| level.table().row(seed).to_vec()).collect();
        Ok(Level::PerImage(PerImage::from_shares(level.seeds()[..seeds].to_vec(), rows)?))
    };
    let mut seeds = vec![min; runs.len() - 1];
    loop {
        let baseline = first(&runs[0], seeds.iter().copied().max().unwrap_or(min))?;
        let mut differences = Vec::new();
        for (level, seeds) in runs[1..].iter().zip(&seeds) {
            let level = first(level, *seeds)?;
            differences.extend(difference(&level, &baseline, 0.95, Replicates::Adaptive, 0));
        }
        let rows = judge(differences, &settings);
        let mut more = false;
        for (row, seeds) in rows.iter().zip(&mut seeds) {
            if next(row, min, size.seeds) == Next::AnotherSeed {
                let step = match looks {
                    Looks::EverySeed => 1,
                    Looks::AQuarterMore => (*seeds / 4).max(1),
                };
                *seeds = (*seeds + step).min(size.seeds);
                more = true;
            }
        }
        if !more {
            return Ok(rows);
        }
    }
}

/// Whether a row claims a difference.
pub fn claims(row: &Comparison) -> bool {
    matches!(row.verdict, Verdict::Better(_) | Verdict::Worse(_))
}

fn levels(runs: Vec<PerImage>) -> Vec<Level> {
    runs.into_iter().map(Level::PerImage).collect()
}
