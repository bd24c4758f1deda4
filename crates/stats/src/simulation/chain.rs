//! Chains whose truth is known: how often one goes astray, and how often it finds what is there.

use super::World;
use super::trial::Size;
use crate::chosen::{By, choose};
use crate::compare::{Settings, compare};
use crate::level::{Level, LevelError};

/// How a chain went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// Whether it took the level that is truly better.
    pub found: bool,
    /// How often it took a level that is no better than the incumbent.
    pub astray: usize,
}

/// A chain of stages with so many `levels` beside the incumbent. The first level of the first stage is
/// truly better by `effect`, or nothing is where that is 0. All comparisons are one family, as in `sweep`.
///
/// # Errors
/// When the size is 0.
pub fn chain(
    world: &World,
    levels: &[usize],
    effect: f64,
    by: By,
    size: Size,
    draw: u64,
) -> Result<Way, LevelError> {
    let family = levels.iter().sum();
    let settings = Settings { family, ..Settings::default() };
    // What later stages run on hangs on the first one's choice: both ways are drawn.
    let mut effects = vec![0.0, effect];
    effects.resize(1 + family, 0.0);
    effects.extend(vec![effect; family]);
    let drawn = world.runs(&effects, size.seeds, size.images, draw)?;
    let drawn: Vec<Level> = drawn.into_iter().map(Level::PerImage).collect();
    let mut way = Way { found: false, astray: 0 };
    let (mut incumbent, mut before) = (0, 0);
    for (stage, count) in levels.iter().enumerate() {
        let first = 1 + before + if way.found { family } else { 0 };
        let rows = compare(&drawn[incumbent], &drawn[first..first + count], &settings);
        if let Some(taken) = choose(&rows.unwrap_or_default(), by).taken() {
            incumbent = first + taken;
            match (stage, taken) {
                (0, 0) if effect > 0.0 => way.found = true,
                _ => way.astray += 1,
            }
        }
        before += count;
    }
    Ok(way)
}
