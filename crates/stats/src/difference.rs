//! The difference between a level and the baseline.

use serde::Serialize;
use thiserror::Error;

use crate::crossed::Crossed;
use crate::interval::{Covers, Interval};
use crate::level::{External, Level, PerImage};
use crate::spread::{self, Spread};
use crate::two_models::{self, Models};
use crate::{permutation, sequential};

/// A difference between a level and the baseline, level minus baseline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Mean over the seeds that both have; of one model each where there is one seed.
    pub estimate: f64,
    /// Its interval; absent for single scores over an unknown number of images.
    pub interval: Option<Interval>,
    /// What the interval allows for.
    pub covers: Covers,
    /// Seeds that both have.
    pub seeds: usize,
    /// What speaks for a difference.
    pub evidence: Evidence,
    #[serde(skip)]
    pub(crate) sample: Sample,
}

/// What speaks for a difference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// Several seeds: it is about the settings.
    Settings(Settings),
    /// One seed: it is about two trained models, not about the settings they were trained with.
    Models(Models),
    /// Single scores over an unknown number of images.
    Nothing,
    /// Every seed's runs were right on the same images.
    Alike,
}

/// Evidence about settings. A claim must hold for other seeds and for other images, so it needs both
/// p-values: the larger one is that of the claim (the intersection-union test of Berger, Technometrics
/// 24, 1982).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Settings {
    /// For a fixed number of seeds [`permutation::sign_flip`], over seeds on these images. Where the
    /// results decided how many seeds there are, one that holds however often one looks
    /// ([`sequential`]), over other images too where results are known by image.
    pub seeds_p: f64,
    /// Over what the interval covers: the smallest level at which it would still contain 0.
    pub spread_p: f64,
}

impl Settings {
    /// The p-value of the claim that the settings differ.
    pub fn p(&self) -> f64 {
        self.seeds_p.max(self.spread_p)
    }
}

/// How the number of seeds came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Replicates {
    /// It was set beforehand.
    #[default]
    Fixed,
    /// Results were looked at to decide whether more are needed.
    Adaptive,
}

/// Levels that cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PairError {
    /// They were tested on different images.
    #[error(
        "one has results for {images} test images and the other for {other}: only runs tested on \
         the same images can be compared image by image"
    )]
    Images {
        /// Images of the one.
        images: usize,
        /// Images of the other.
        other: usize,
    },
    /// They have no seed in common.
    #[error("they have no seed in common: runs are compared under the same seed")]
    NoCommonSeed,
    /// One is an external score and the other is not.
    #[error("an external score can only be compared with another external score")]
    External,
}

/// What a difference was computed from, kept for tests against a margin and for planning.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Sample {
    Crossed { table: Crossed, spread: Spread, by_seed: Vec<f64> },
    BySeed { spread: Spread, by_seed: Vec<f64> },
    Single,
}

impl PartialEq for Spread {
    fn eq(&self, other: &Self) -> bool {
        self.variance() == other.variance() && self.by_seeds() == other.by_seeds()
    }
}

impl Sample {
    /// Differences by seed and their spread, where there are several seeds.
    pub(crate) fn seeds(&self) -> Option<(&[f64], &Spread)> {
        match self {
            Self::Crossed { by_seed, spread, .. } | Self::BySeed { by_seed, spread } => {
                Some((by_seed, spread))
            }
            Self::Single => None,
        }
    }
}

/// The difference between a level and the baseline with its interval at `confidence`, paired by the seeds
/// that both have. Where both are known by image it is paired by image too. `seed` names the draws of
/// the permutation test.
///
/// # Errors
/// When the two were tested on different images, share no seed, or only one is an external score.
pub fn difference(
    level: &Level,
    baseline: &Level,
    confidence: f64,
    replicates: Replicates,
    seed: u64,
) -> Result<Difference, PairError> {
    match (level, baseline) {
        (Level::External(level), Level::External(baseline)) => {
            Ok(external(level, baseline, confidence))
        }
        (Level::External(_), _) | (_, Level::External(_)) => Err(PairError::External),
        (Level::PerImage(level), Level::PerImage(baseline)) => {
            let table = contrast(&[(1.0, level), (-1.0, baseline)])?;
            Ok(of_table(table, 1.0, confidence, replicates, seed))
        }
        (level, baseline) => by_seed(level, baseline, confidence, replicates, seed),
    }
}

/// A weighted sum of levels, by seed and image, over the seeds that all of them have.
pub(crate) fn contrast(terms: &[(f64, &PerImage)]) -> Result<Crossed, PairError> {
    let Some((_, first)) = terms.first() else { return Err(PairError::NoCommonSeed) };
    let images = first.table().images();
    if let Some((_, other)) = terms.iter().find(|(_, level)| level.table().images() != images) {
        return Err(PairError::Images { images, other: other.table().images() });
    }
    let rows = first.seeds().iter().filter_map(|seed| {
        let runs: Option<Vec<(f64, &[f64])>> =
            terms.iter().map(|(weight, level)| Some((*weight, level.run(*seed)?))).collect();
        let runs = runs?;
        let cell = |image: usize| runs.iter().map(|(weight, run)| weight * run[image]).sum();
        Some((0..images).map(cell).collect())
    });
    let table = Crossed::from_rows(rows);
    if table.seeds() == 0 { Err(PairError::NoCommonSeed) } else { Ok(table) }
}

/// The mean of a contrast whose cells lie between minus and plus `reach`.
pub(crate) fn of_table(
    table: Crossed,
    reach: f64,
    confidence: f64,
    replicates: Replicates,
    seed: u64,
) -> Difference {
    let seeds = table.seeds();
    let spread = Spread::of_table(&table, 0.5 * reach);
    let estimate = table.mean();
    let half_width = spread.half_width(0.5 * (1.0 - confidence));
    let interval = around(estimate, half_width);
    // What no difference can reach is no part of its interval.
    let interval = Interval { low: interval.low.max(-reach), high: interval.high.min(reach) };
    if table.is_zero() {
        let covers = if seeds == 1 { Covers::Images } else { Covers::SeedsAndImages };
        let (sample, evidence) = (Sample::Single, Evidence::Alike);
        return Difference { estimate, interval: Some(interval), covers, seeds, evidence, sample };
    }
    if seeds == 1 {
        let count = |wanted: fn(f64) -> bool| {
            table.row(0).iter().filter(|cell| wanted(**cell)).count() as u64
        };
        let models = two_models::mcnemar(count(|cell| cell > 0.0), count(|cell| cell < 0.0));
        return Difference {
            estimate,
            interval: Some(interval),
            covers: Covers::Images,
            seeds,
            evidence: Evidence::Models(models),
            sample: Sample::Single,
        };
    }
    let by_seed = table.seed_means();
    let evidence = Evidence::Settings(Settings {
        seeds_p: match replicates {
            Replicates::Fixed => permutation::sign_flip(&by_seed, seed),
            Replicates::Adaptive => sequential::anytime_images_p(&by_seed, &spread),
        },
        spread_p: spread.p(estimate),
    });
    Difference {
        estimate,
        interval: Some(interval),
        covers: Covers::SeedsAndImages,
        seeds,
        evidence,
        sample: Sample::Crossed { table, spread, by_seed },
    }
}

fn by_seed(
    level: &Level,
    baseline: &Level,
    confidence: f64,
    replicates: Replicates,
    seed: u64,
) -> Result<Difference, PairError> {
    let (Some(level), Some(baseline)) = (level.per_seed(), baseline.per_seed()) else {
        return Err(PairError::External);
    };
    let pairs: Vec<(f64, f64)> = level
        .seeds()
        .iter()
        .zip(level.scores())
        .filter_map(|(seed, score)| Some((*score, baseline.score(*seed)?)))
        .collect();
    if let [(score, baseline_score)] = pairs[..] {
        let images = level.images().zip(baseline.images());
        let models = images.and_then(|(images, baseline_images)| {
            let level = External::new(score, images).ok()?;
            let baseline = External::new(baseline_score, baseline_images).ok()?;
            Some(external(&level, &baseline, confidence))
        });
        return Ok(models.unwrap_or(Difference {
            estimate: score - baseline_score,
            interval: None,
            covers: Covers::Images,
            seeds: 1,
            evidence: Evidence::Nothing,
            sample: Sample::Single,
        }));
    }
    let differences: Vec<f64> = pairs.iter().map(|(score, baseline)| score - baseline).collect();
    of_seeds(differences, confidence, replicates, seed)
}

/// A weighted sum of levels with its interval at `confidence`, over the seeds that all of them have; image
/// by image where all are known so. Its cells lie between minus and plus `reach`.
pub(crate) fn of_contrast(
    terms: &[(f64, &Level)],
    reach: f64,
    confidence: f64,
    replicates: Replicates,
    seed: u64,
) -> Result<Difference, PairError> {
    let by_image: Option<Vec<(f64, &PerImage)>> = terms
        .iter()
        .map(|(weight, level)| match level {
            Level::PerImage(level) => Some((*weight, level)),
            Level::PerSeed(_) | Level::External(_) => None,
        })
        .collect();
    if let Some(terms) = by_image {
        return Ok(of_table(contrast(&terms)?, reach, confidence, replicates, seed));
    }
    let levels: Option<Vec<_>> =
        terms.iter().map(|(weight, level)| Some((*weight, level.per_seed()?))).collect();
    let levels = levels.ok_or(PairError::External)?;
    let (_, first) = levels.first().ok_or(PairError::NoCommonSeed)?;
    let sums = first.seeds().iter().filter_map(|seed| {
        levels.iter().map(|(weight, level)| Some(weight * level.score(*seed)?)).sum()
    });
    of_seeds(sums.collect(), confidence, replicates, seed)
}

/// The mean of one value for each seed.
fn of_seeds(
    differences: Vec<f64>,
    confidence: f64,
    replicates: Replicates,
    seed: u64,
) -> Result<Difference, PairError> {
    if differences.is_empty() {
        return Err(PairError::NoCommonSeed);
    }
    if let [estimate] = differences[..] {
        return Ok(Difference {
            estimate,
            interval: None,
            covers: Covers::Seeds,
            seeds: 1,
            evidence: Evidence::Nothing,
            sample: Sample::Single,
        });
    }
    let (estimate, spread) = spread::of_values(&differences);
    // Scores over a few images tie by chance. Equal ones are then no proof that nothing differs, and from
    // differences that are all the same nobody can tell how far others lie.
    let interval = (spread.variance() > 0.0)
        .then(|| around(estimate, spread.half_width(0.5 * (1.0 - confidence))));
    let evidence = if differences.iter().all(|value| *value == 0.0) {
        Evidence::Settings(Settings { seeds_p: 1.0, spread_p: 1.0 })
    } else {
        Evidence::Settings(Settings {
            seeds_p: match replicates {
                Replicates::Fixed => permutation::sign_flip(&differences, seed),
                Replicates::Adaptive => sequential::anytime_p(&differences),
            },
            spread_p: spread.p(estimate),
        })
    };
    Ok(Difference {
        estimate,
        interval,
        covers: Covers::Seeds,
        seeds: differences.len(),
        evidence,
        sample: Sample::BySeed { spread, by_seed: differences },
    })
}

/// Two single scores. Which images were right is not known, so they count as independent.
fn external(level: &External, baseline: &External, confidence: f64) -> Difference {
    let own = (level.right(), level.images());
    let base = (baseline.right(), baseline.images());
    Difference {
        estimate: level.score() - baseline.score(),
        interval: Some(two_models::newcombe(own, base, confidence)),
        covers: Covers::Images,
        seeds: 1,
        evidence: Evidence::Models(two_models::fisher(own, base)),
        sample: Sample::Single,
    }
}

fn around(estimate: f64, half_width: f64) -> Interval {
    Interval { low: estimate - half_width, high: estimate + half_width }
}
