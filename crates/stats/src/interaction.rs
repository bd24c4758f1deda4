//! Whether two factors act on each other: what changing one thing at a time cannot see.

use serde::Serialize;

use crate::compare::{Comparison, Settings, judge};
use crate::difference::{self, PairError};
use crate::level::Level;

/// An interaction of one level of each factor: by how much the effect of the column's level changes when
/// the row's level is set too. Zero means that the two effects add up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Interaction {
    /// Row of the factorial, from 1: 0 is the baseline's.
    pub row: usize,
    /// Column, likewise.
    pub column: usize,
    /// The contrast as `difference`, with interval, p-value and verdict: better means that the two
    /// together do better than their separate effects add up to.
    pub comparison: Comparison,
}

/// All interactions of a small factorial with the baseline at `runs[0][0]`: for each other row r and
/// column c the contrast (r, c) - (r, 0) - (0, c) + (0, 0), by seed, and by image where all are known so, adjusted by Holm over all
/// of them (Montgomery, Design and Analysis of Experiments, chapter 5).
///
/// # Errors
/// When the runs were tested on different images or share no seed.
pub fn interactions(
    runs: &[Vec<&Level>],
    settings: &Settings,
) -> Result<Vec<Interaction>, PairError> {
    let mut places = Vec::new();
    let mut contrasts = Vec::new();
    let Some((first, others)) = runs.split_first() else { return Ok(Vec::new()) };
    for (row, levels) in (1..).zip(others) {
        for column in 1..levels.len().min(first.len()) {
            let terms =
                [(1.0, levels[column]), (-1.0, levels[0]), (-1.0, first[column]), (1.0, first[0])];
            places.push((row, column));
            let confidence = 1.0 - settings.alpha;
            let (replicates, seed) = (settings.replicates, settings.seed);
            // Four cells of 0 or 1 reach twice as far as two.
            contrasts.push(difference::of_contrast(&terms, 2.0, confidence, replicates, seed)?);
        }
    }
    let judged = judge(contrasts, settings);
    Ok(places
        .into_iter()
        .zip(judged)
        .map(|((row, column), comparison)| Interaction { row, column, comparison })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::{PerImage, PerSeed};
    use crate::verdict::Verdict;

    fn level(right: impl Fn(usize, usize) -> bool) -> Level {
        let runs: Vec<Vec<bool>> =
            (0..8).map(|seed| (0..100).map(|image| right(seed, image)).collect()).collect();
        Level::PerImage(PerImage::new((0..8).collect(), &runs).unwrap())
    }

    /// The same without the images.
    fn by_seed(level: &Level) -> Level {
        let Level::PerImage(level) = level else { panic!("known by image") };
        let scores = level.table().seed_means();
        Level::PerSeed(PerSeed::new(level.seeds().to_vec(), scores, Some(100)).unwrap())
    }

    #[test]
    fn effects_that_add_up_do_not_interact_and_others_do() {
        let corner = level(|seed, image| image < 50 + seed);
        let batch = level(|seed, image| image < 60 + seed);
        let rate = level(|seed, image| image < 55 + (seed + 1) % 8);
        let both = |effect: usize| level(move |seed, image| image < effect + (seed + 1) % 8);
        let settings = Settings::default();
        let contrast = |both: &Level| {
            let found =
                interactions(&[vec![&corner, &rate], vec![&batch, both]], &settings).unwrap();
            found[0].comparison.clone()
        };
        let additive = contrast(&both(65));
        assert!(additive.difference.estimate.abs() < 1e-12);
        let synergy = contrast(&both(90));
        assert!((synergy.difference.estimate - 0.25).abs() < 1e-12);
        assert!(matches!(synergy.verdict, Verdict::Better(_)), "{}", synergy.verdict);
        // Scores alone give the same estimate, over these images.
        let [corner, batch, rate, both] = [&corner, &batch, &rate, &both(90)].map(by_seed);
        let found = interactions(&[vec![&corner, &rate], vec![&batch, &both]], &settings).unwrap();
        let alone = &found[0].comparison.difference;
        assert!((alone.estimate - 0.25).abs() < 1e-12);
        assert_eq!(alone.covers, crate::interval::Covers::Seeds);
    }
}
