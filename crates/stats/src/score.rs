//! The score of a level: mean over seeds, with an interval.

use serde::Serialize;

use crate::interval::{Covers, Interval, binomial, clopper_pearson, effective_binomial};
use crate::level::{External, Level, PerImage, PerSeed};
use crate::spread::{self, Spread};

/// The score of a level.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// Mean over seeds.
    pub mean: f64,
    /// The interval; absent for one seed's score over an unknown number of images.
    pub interval: Option<Interval>,
    /// What the interval allows for.
    pub covers: Covers,
    /// Number of seeds; 1 for an external score.
    pub seeds: usize,
}

/// The score of a level and its interval at `confidence` (such as 0.95).
///
/// | known | interval | covers |
/// | --- | --- | --- |
/// | right or wrong by image, several seeds | two crossed random factors, then binomial at the effective number of images | seeds and images |
/// | the same, one seed; an external score | Clopper and Pearson's, exact | images |
/// | scores of several seeds, number of images | Student's t with the binomial variance on top: an upper bound, as nothing tells how much of it the seeds share | seeds and images |
/// | scores of several seeds | Student's t | seeds |
pub fn score(level: &Level, confidence: f64) -> Score {
    match level {
        Level::PerImage(level) => per_image(level, confidence),
        Level::PerSeed(level) => per_seed(level, confidence),
        Level::External(level) => external(level, confidence),
    }
}

fn per_image(level: &PerImage, confidence: f64) -> Score {
    let table = level.table();
    let (mean, images) = (table.mean(), table.images() as f64);
    let (interval, covers) = if table.seeds() == 1 {
        (binomial(mean, images, confidence), Covers::Images)
    } else {
        let half_width = Spread::of_table(table, 0.0).half_width(0.5 * (1.0 - confidence));
        let cells = images * table.seeds() as f64;
        let interval = effective_binomial(mean, half_width, images, cells, confidence);
        (interval, Covers::SeedsAndImages)
    };
    Score { mean, interval: Some(interval), covers, seeds: table.seeds() }
}

fn per_seed(level: &PerSeed, confidence: f64) -> Score {
    let seeds = level.scores().len();
    let (mean, over_seeds) = spread::of_values(level.scores());
    let tail = 0.5 * (1.0 - confidence);
    let (interval, covers) = match (seeds, level.images()) {
        (1, None) => (None, Covers::Images),
        (1, Some(images)) => (Some(binomial(mean, images as f64, confidence)), Covers::Images),
        (_, None) => {
            let half_width = over_seeds.half_width(tail);
            let interval =
                Interval { low: (mean - half_width).max(0.0), high: (mean + half_width).min(1.0) };
            (Some(interval), Covers::Seeds)
        }
        (_, Some(images)) => {
            let images = images as f64;
            let spread = Spread::of_seeds(level.scores(), mean * (1.0 - mean) / images);
            let half_width = spread.half_width(tail);
            let interval = effective_binomial(mean, half_width, images, images, confidence);
            (Some(interval), Covers::SeedsAndImages)
        }
    };
    Score { mean, interval, covers, seeds }
}

fn external(level: &External, confidence: f64) -> Score {
    let interval = clopper_pearson(level.right(), level.images(), confidence);
    Score { mean: level.score(), interval: Some(interval), covers: Covers::Images, seeds: 1 }
}
