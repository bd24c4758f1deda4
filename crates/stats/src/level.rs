//! What is known of a level: the results of its runs.

use serde::Serialize;
use thiserror::Error;

use crate::crossed::Crossed;

/// The results of a level, as detailed as they are known.
#[derive(Debug, Clone, PartialEq)]
pub enum Level {
    /// Which test images each seed's run classified right.
    PerImage(PerImage),
    /// A score for each seed.
    PerSeed(PerSeed),
    /// One score from elsewhere, such as a leaderboard.
    External(External),
}

impl Level {
    /// Its scores by seed; absent for an external score.
    pub(crate) fn per_seed(&self) -> Option<PerSeed> {
        match self {
            Self::PerImage(level) => Some(level.per_seed()),
            Self::PerSeed(level) => Some(level.clone()),
            Self::External(_) => None,
        }
    }
}

/// Which test images were classified right, for each seed: the same images in the same order.
#[derive(Debug, Clone, PartialEq)]
pub struct PerImage {
    seeds: Vec<u64>,
    right: Crossed,
}

/// A score for each seed.
#[derive(Debug, Clone, PartialEq)]
pub struct PerSeed {
    seeds: Vec<u64>,
    scores: Vec<f64>,
    images: Option<u64>,
}

/// One score of one trained model on a number of images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct External {
    score: f64,
    images: u64,
}

/// Results that cannot be those of a level.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum LevelError {
    /// There is no run.
    #[error("there is no run: a level needs one seed at least")]
    NoSeed,
    /// There is no image.
    #[error("there is no test image: a score needs one at least")]
    NoImage,
    /// A seed stands there twice.
    #[error("seed {seed} is there twice: a level has one run for each seed")]
    SeedTwice {
        /// The seed.
        seed: u64,
    },
    /// Seeds and results are not equally many.
    #[error("there are {seeds} seeds and results of {runs} runs: they must be equally many")]
    Count {
        /// Number of seeds.
        seeds: usize,
        /// Number of runs with results.
        runs: usize,
    },
    /// A run was tested on another number of images than the first one.
    #[error(
        "seed {seed} has results for {images} test images and the first seed for {expected}: \
         all runs of a level must be tested on the same images"
    )]
    Ragged {
        /// The seed.
        seed: u64,
        /// Its number of images.
        images: usize,
        /// That of the first seed.
        expected: usize,
    },
    /// A score that is no fraction.
    #[error("{score} is no score: scores are fractions from 0 to 1")]
    NoFraction {
        /// The value given.
        score: f64,
    },
}

impl PerImage {
    /// Results by seed and image: `right[s][i]` says whether the run under `seeds[s]` classified test
    /// image `i` right.
    ///
    /// # Errors
    /// When there is nothing, a seed is there twice, or the runs have different numbers of images.
    pub fn new(seeds: Vec<u64>, right: &[Vec<bool>]) -> Result<Self, LevelError> {
        let shares = right
            .iter()
            .map(|run| run.iter().map(|right| f64::from(u8::from(*right))).collect())
            .collect();
        Self::from_shares(seeds, shares)
    }

    /// As [`PerImage::new`], for seeds with several models each, such as one for each fold: the share of
    /// a seed's models that classified the image right.
    ///
    /// # Errors
    /// As [`PerImage::new`], and when a share is no fraction.
    pub fn from_shares(seeds: Vec<u64>, shares: Vec<Vec<f64>>) -> Result<Self, LevelError> {
        check_seeds(&seeds, shares.len())?;
        let expected = shares[0].len();
        if expected == 0 {
            return Err(LevelError::NoImage);
        }
        for (seed, run) in seeds.iter().zip(&shares) {
            if run.len() != expected {
                return Err(LevelError::Ragged { seed: *seed, images: run.len(), expected });
            }
            run.iter().copied().try_for_each(check_fraction)?;
        }
        Ok(Self { seeds, right: Crossed::from_rows(shares) })
    }

    /// The seeds, in the order of the rows.
    pub fn seeds(&self) -> &[u64] {
        &self.seeds
    }

    /// The table of seeds by images.
    pub fn table(&self) -> &Crossed {
        &self.right
    }

    pub(crate) fn run(&self, seed: u64) -> Option<&[f64]> {
        let at = self.seeds.iter().position(|own| *own == seed)?;
        Some(self.right.row(at))
    }

    /// Its scores alone.
    pub fn per_seed(&self) -> PerSeed {
        PerSeed {
            seeds: self.seeds.clone(),
            scores: self.right.seed_means(),
            images: Some(self.right.images() as u64),
        }
    }
}

impl PerSeed {
    /// Scores by seed; `images` is the number of test images that each was measured on, if known.
    ///
    /// # Errors
    /// When there is no score, a seed is there twice, or a score is no fraction.
    pub fn new(seeds: Vec<u64>, scores: Vec<f64>, images: Option<u64>) -> Result<Self, LevelError> {
        check_seeds(&seeds, scores.len())?;
        scores.iter().copied().try_for_each(check_fraction)?;
        if images == Some(0) {
            return Err(LevelError::NoImage);
        }
        Ok(Self { seeds, scores, images })
    }

    /// The seeds.
    pub fn seeds(&self) -> &[u64] {
        &self.seeds
    }

    /// The scores, in the order of the seeds.
    pub fn scores(&self) -> &[f64] {
        &self.scores
    }

    /// Number of test images, if known.
    pub fn images(&self) -> Option<u64> {
        self.images
    }

    pub(crate) fn score(&self, seed: u64) -> Option<f64> {
        let at = self.seeds.iter().position(|own| *own == seed)?;
        Some(self.scores[at])
    }
}

impl External {
    /// A score measured elsewhere on so many images.
    ///
    /// # Errors
    /// When the score is no fraction or there is no image.
    pub fn new(score: f64, images: u64) -> Result<Self, LevelError> {
        check_fraction(score)?;
        if images == 0 {
            return Err(LevelError::NoImage);
        }
        Ok(Self { score, images })
    }

    /// The score.
    pub fn score(&self) -> f64 {
        self.score
    }

    /// Number of images.
    pub fn images(&self) -> u64 {
        self.images
    }

    /// Images classified right: the nearest count. See [`External::is_count`].
    pub fn right(&self) -> u64 {
        (self.score * self.images as f64).round() as u64
    }

    /// Whether the score is a number of right images over all, as far as five digits, cut or rounded,
    /// can tell. A score that is not was measured on another number of images, or copied wrongly.
    pub fn is_count(&self) -> bool {
        (self.right() as f64 / self.images as f64 - self.score).abs() < 1e-5
    }
}

fn check_seeds(seeds: &[u64], runs: usize) -> Result<(), LevelError> {
    if seeds.is_empty() {
        return Err(LevelError::NoSeed);
    }
    if seeds.len() != runs {
        return Err(LevelError::Count { seeds: seeds.len(), runs });
    }
    match seeds.iter().enumerate().find(|(at, seed)| seeds[..*at].contains(seed)) {
        Some((_, seed)) => Err(LevelError::SeedTwice { seed: *seed }),
        None => Ok(()),
    }
}

fn check_fraction(score: f64) -> Result<(), LevelError> {
    if (0.0..=1.0).contains(&score) { Ok(()) } else { Err(LevelError::NoFraction { score }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_level_is_refused() {
        let cases = [
            (PerImage::new(vec![], &[]).err(), "there is no run"),
            (PerImage::new(vec![1], &[vec![]]).err(), "no test image"),
            (PerImage::new(vec![7, 7], &[vec![true], vec![true]]).err(), "seed 7 is there twice"),
            (PerImage::new(vec![1, 2], &[vec![true]]).err(), "2 seeds and results of 1 runs"),
            (
                PerImage::new(vec![1, 2], &[vec![true], vec![true, false]]).err(),
                "seed 2 has results for 2 test images and the first seed for 1",
            ),
        ];
        for (error, words) in cases {
            let error = error.map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(words), "{error:?} should say {words:?}");
        }
        assert!(PerSeed::new(vec![1], vec![f64::NAN], None).is_err());
        assert!(PerSeed::new(vec![1], vec![0.5], Some(0)).is_err());
        assert!(External::new(59.3, 744).is_err());
    }

    #[test]
    fn a_score_tells_how_many_images_were_right() {
        let score = External::new(0.59274, 744).unwrap();
        assert_eq!((score.right(), score.is_count()), (441, true));
        assert!(!External::new(0.32215, 744).unwrap().is_count());
    }
}
