//! The winner's curse: the best of several levels on the same test images looks better than it is.

use serde::Serialize;

use crate::bootstrap::pigeonhole;
use crate::difference::PairError;
use crate::distribution::normal_tail;
use crate::level::PerImage;

/// Resamples drawn.
pub const DRAWS: u32 = 2000;

/// What is left of the best score once the choice is accounted for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Selection {
    /// The level with the best score, by its place.
    pub best: usize,
    /// Its score.
    pub score: f64,
    /// By how much choosing the best on these images and seeds overstates a score, on average.
    pub optimism: f64,
    /// For each level, how often it would be the best with other seeds and images.
    pub wins: Vec<f64>,
}

impl Selection {
    /// The score with the optimism taken off.
    pub fn corrected(&self) -> f64 {
        self.score - self.optimism
    }
}

/// How much the best of several levels owes to being chosen. Seeds and images are drawn anew, with
/// replacement and the same for all levels (the pigeonhole bootstrap of Owen, Annals of Applied
/// Statistics 1, 2007); the best level of each draw is compared with what it scores on all seeds and
/// images (the optimism of Efron, Journal of the American Statistical Association 78, 1983). Levels are
/// first moved towards their mean by the share of their spread that chance explains (Stein's
/// estimate): taken as they are, they would look more different than they are and the choice easier.
///
/// # Errors
/// When there is no level, or the levels have different images or no common seed.
pub fn selection(levels: &[&PerImage], seed: u64) -> Result<Selection, PairError> {
    let tables = common(levels)?;
    let scores: Vec<f64> =
        tables.iter().map(|table| crate::crossed::mean(&table.concat())).collect();
    let best = best_of(&scores);
    let draws = pigeonhole(&tables, DRAWS, seed);
    let centre = crate::crossed::mean(&scores);
    let kept = kept_spread(&scores, &draws);
    let moved: Vec<f64> = scores.iter().map(|score| centre + kept * (score - centre)).collect();
    let mut wins = vec![0_u32; levels.len()];
    let mut optimism = 0.0;
    for draw in &draws {
        let errors: Vec<f64> =
            draw.iter().zip(&scores).map(|(value, score)| value - score).collect();
        let seen: Vec<f64> =
            moved.iter().zip(&errors).map(|(value, error)| value + error).collect();
        let winner = best_of(&seen);
        wins[winner] += 1;
        optimism += errors[winner];
    }
    let total = f64::from(DRAWS);
    Ok(Selection {
        best,
        score: scores[best],
        optimism: (optimism / total).max(0.0),
        wins: wins.into_iter().map(|count| f64::from(count) / total).collect(),
    })
}

/// The share of the levels' spread that is not chance: one less the variance that chance gives to the
/// spread over the variance seen.
fn kept_spread(scores: &[f64], draws: &[Vec<f64>]) -> f64 {
    let seen = crate::crossed::variance(scores);
    let chance: Vec<f64> = draws
        .iter()
        .map(|draw| {
            let errors: Vec<f64> =
                draw.iter().zip(scores).map(|(value, score)| value - score).collect();
            crate::crossed::variance(&errors)
        })
        .collect();
    if seen > 0.0 { (1.0 - crate::crossed::mean(&chance) / seen).max(0.0) } else { 0.0 }
}

/// The rows of all levels under the seeds that all of them have.
fn common<'a>(levels: &[&'a PerImage]) -> Result<Vec<Vec<&'a [f64]>>, PairError> {
    let Some(first) = levels.first() else { return Err(PairError::NoCommonSeed) };
    let images = first.table().images();
    if let Some(other) = levels.iter().find(|level| level.table().images() != images) {
        return Err(PairError::Images { images, other: other.table().images() });
    }
    let shared: Vec<u64> = first
        .seeds()
        .iter()
        .copied()
        .filter(|seed| levels.iter().all(|level| level.run(*seed).is_some()))
        .collect();
    if shared.is_empty() {
        return Err(PairError::NoCommonSeed);
    }
    Ok(levels
        .iter()
        .map(|level| shared.iter().filter_map(|seed| level.run(*seed)).collect())
        .collect())
}

/// The first of the largest values.
fn best_of(values: &[f64]) -> usize {
    (1..values.len()).fold(0, |best, at| if values[at] > values[best] { at } else { best })
}

/// How many standard deviations the highest of so many independent normal draws lies above their mean, on
/// average (Tippett, Biometrika 17, 1925).
pub fn expected_maximum(draws: usize) -> f64 {
    let step = 1e-3;
    let grid = (1..=10_000).map(|at| step * (f64::from(at) - 0.5));
    // The mean of a variable is the area above its distribution function, less that below it left of 0.
    let below = |x: f64| (1.0 - normal_tail(x)).powf(draws as f64);
    grid.map(|x| step * ((1.0 - below(x)) - below(-x))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_of_many_lies_where_tippett_found_it() {
        for (draws, expected) in [(1, 0.0), (2, 0.564_19), (10, 1.538_75), (100, 2.507_59)] {
            let found = expected_maximum(draws);
            assert!((found - expected).abs() < 1e-4, "{draws}: {found}");
        }
    }

    #[test]
    fn a_clear_winner_owes_nothing_to_the_choice() {
        let level = |right: usize| {
            let runs: Vec<Vec<bool>> =
                (0..5).map(|_| (0..200).map(|image| image % 10 < right).collect()).collect();
            PerImage::new((0..5).collect(), &runs).unwrap()
        };
        let (low, high) = (level(3), level(9));
        let found = selection(&[&low, &high], 1).unwrap();
        assert_eq!((found.best, found.wins[1]), (1, 1.0));
        assert!(found.optimism < 0.002 && (found.score - 0.9).abs() < 1e-12);
        assert_eq!(selection(&[], 1), Err(PairError::NoCommonSeed));
    }
}
