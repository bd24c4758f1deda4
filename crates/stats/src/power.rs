//! What a study can see: planning, not evidence.
//!
//! Power is that of the two-sided t-test with the variances found here (Cohen, Statistical Power
//! Analysis for the Behavioral Sciences, 1988), its degrees of freedom Satterthwaite's. The number of
//! seeds at which the permutation test can speak at all is respected on top.

use serde::Serialize;

use crate::difference::{Difference, Replicates};
use crate::distribution::{bisect, noncentral_t_two_tails, t_upper};
use crate::spread::Spread;
use crate::{permutation, sequential};

/// What it would take to see a difference as large as the observed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Needed {
    /// So many seeds for each level.
    Seeds(usize),
    /// No number of seeds is enough: about so many test images, and many seeds.
    Images(usize),
}

/// Seeds beyond which more images are asked for instead.
const MOST_SEEDS: usize = 1000;

/// How sure a study is meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Aim {
    /// The chance of a false claim in the whole sweep.
    pub alpha: f64,
    /// The chance to see a difference that is there.
    pub power: f64,
    /// Comparisons that share `alpha`.
    pub family: usize,
    /// How the number of seeds comes about.
    pub replicates: Replicates,
}

impl Aim {
    /// The fewest seeds at which anything can be claimed.
    pub fn seeds_needed(&self) -> usize {
        match self.replicates {
            Replicates::Fixed => permutation::seeds_needed(self.alpha, self.family),
            Replicates::Adaptive => sequential::seeds_needed(self.alpha, self.family),
        }
    }

    fn alpha_each(&self) -> f64 {
        self.alpha / self.family.max(1) as f64
    }
}

/// The smallest true difference that this study would have seen with the power aimed at. Absent where it
/// could not have seen any: too few seeds, or runs that do not vary.
pub fn detectable(difference: &Difference, aim: &Aim) -> Option<f64> {
    let (_, spread) = difference.sample.seeds()?;
    if difference.seeds < aim.seeds_needed() {
        return None;
    }
    let (variance, df) = spread.planned(difference.seeds, difference.seeds);
    (variance > 0.0).then(|| {
        let critical = t_upper(0.5 * aim.alpha_each(), df);
        let delta = bisect(0.0, critical + 20.0, |delta| {
            noncentral_t_two_tails(critical, df, delta) < aim.power
        });
        delta * variance.sqrt()
    })
}

/// What it would take to see a true difference as large as the observed one. The observed one is itself
/// uncertain, and more so the fewer the seeds: an order of magnitude, no more. Absent where nothing is
/// known of the seeds' spread or no difference was observed.
pub fn needed(difference: &Difference, aim: &Aim) -> Option<Needed> {
    let (_, spread) = difference.sample.seeds()?;
    let wanted = difference.estimate.abs();
    // A sum of rounding errors is no difference.
    if wanted < 1e-12 {
        return None;
    }
    let sees = |seeds: usize| power(spread, difference.seeds, seeds, wanted, aim) >= aim.power;
    let fewest = aim.seeds_needed().max(2);
    if sees(fewest) {
        return Some(Needed::Seeds(fewest));
    }
    if !sees(MOST_SEEDS) {
        let reach = normal_reach(aim) / wanted;
        let times = spread.images_alone() * reach * reach;
        return Some(match difference.images() {
            Some(images) if times > 1.0 => Needed::Images((times * images as f64).ceil() as usize),
            _ => Needed::Seeds(MOST_SEEDS),
        });
    }
    let (mut too_few, mut enough) = (fewest, MOST_SEEDS);
    while enough - too_few > 1 {
        let middle = too_few.midpoint(enough);
        if sees(middle) {
            enough = middle;
        } else {
            too_few = middle;
        }
    }
    Some(Needed::Seeds(enough))
}

/// Whether no number of seeds would show even the largest difference that the interval still allows: then
/// the test images are the limit.
pub fn limited_by_images(difference: &Difference, aim: &Aim) -> bool {
    let (Some((_, spread)), Some(interval)) = (difference.sample.seeds(), difference.interval)
    else {
        return false;
    };
    let largest = interval.low.abs().max(interval.high.abs());
    largest < normal_reach(aim) * spread.images_alone().sqrt()
}

/// The standard errors that a difference must be wide to be seen with the power aimed at, by a test that
/// knows its variance.
fn normal_reach(aim: &Aim) -> f64 {
    t_upper(0.5 * aim.alpha_each(), f64::INFINITY) + t_upper(1.0 - aim.power, f64::INFINITY)
}

fn power(spread: &Spread, seeds: usize, wanted_seeds: usize, wanted: f64, aim: &Aim) -> f64 {
    let (variance, df) = spread.planned(seeds, wanted_seeds);
    if variance <= 0.0 {
        return 1.0;
    }
    let critical = t_upper(0.5 * aim.alpha_each(), df);
    noncentral_t_two_tails(critical, df, wanted / variance.sqrt())
}
