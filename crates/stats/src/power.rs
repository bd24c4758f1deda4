//! What a study can see: planning, not evidence.
//!
//! Power is that of what decides: the permutation test over seeds with its few possible p-values, or the
//! sequential rule, and beside either what the interval says, at the share of alpha that Holm's correction leaves
//! to a row that is the only one with a difference. A study of the same size is drawn some hundred times
//! ([`study`]), with the variances that were found here and with how little so few seeds know of them:
//! "seen four times in five" holds over both. Above [`DRAWN_SEEDS`] seeds the tests are as good as normal
//! and nothing is drawn.

mod study;

use serde::Serialize;

use crate::difference::{Difference, Replicates};
use crate::distribution::{bisect, chi_squared_nodes, normal_tail, t_upper};
use crate::{permutation, sequential};
use study::{Design, Variances};

/// What it would take to see a difference as large as the observed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Needed {
    /// So many seeds for each level.
    Seeds(usize),
    /// More seeds than that.
    MoreSeeds(usize),
    /// No number of seeds is enough: about so many test images, and many seeds.
    Images(usize),
}

/// Seeds beyond which more images are asked for instead.
const MOST_SEEDS: usize = 1000;

/// A study of a fixed number of seeds is drawn up to that many.
const DRAWN_SEEDS: usize = 40;

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
    /// As many seeds as an adaptive study may come to, if that is more than it has.
    pub at_most: usize,
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

/// The smallest true difference that a study like this one sees with the power aimed at. Of an adaptive one
/// within the most seeds that it may come to. Absent where it sees none: too few seeds, or runs that do not vary.
pub fn detectable(difference: &Difference, aim: &Aim) -> Option<f64> {
    let (_, spread) = difference.sample.seeds()?;
    let seeds = match aim.replicates {
        Replicates::Fixed => difference.seeds,
        Replicates::Adaptive => difference.seeds.max(aim.at_most),
    };
    if seeds < aim.seeds_needed() {
        return None;
    }
    let variances = Variances::of(spread, difference.seeds)?;
    let is_drawn = aim.replicates == Replicates::Adaptive || seeds <= DRAWN_SEEDS;
    let found = if is_drawn {
        study::smallest(&Design::new(&variances, seeds, aim), aim.power)? * variances.unit(seeds)
    } else {
        let high = 20.0 * variances.unit(seeds);
        bisect(0.0, high, |wanted| normal_power(&variances, seeds, wanted, aim) < aim.power)
    };
    // Scores lie between 0 and 1.
    (found <= 1.0).then_some(found)
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
    let fewest = aim.seeds_needed().max(2);
    let Some(variances) = Variances::of(spread, difference.seeds) else {
        return Some(Needed::Seeds(fewest));
    };
    let seeds = match aim.replicates {
        Replicates::Fixed => seeds_for(&variances, wanted, fewest, aim),
        Replicates::Adaptive => {
            let design = Design::new(&variances, difference.seeds, aim);
            let relative = wanted / variances.unit(difference.seeds);
            study::seeds_until_seen(&design, relative, aim.power, MOST_SEEDS)
        }
    };
    Some(match (seeds, difference.images()) {
        (Some(seeds), _) => Needed::Seeds(seeds.max(fewest)),
        (None, Some(images)) => {
            let reach = normal_reach(aim) / wanted;
            match variances.images_alone * reach * reach {
                times if times > 1.0 => Needed::Images((times * images as f64).ceil() as usize),
                _ => Needed::MoreSeeds(MOST_SEEDS),
            }
        }
        (None, None) => Needed::MoreSeeds(MOST_SEEDS),
    })
}

/// The fewest seeds, set beforehand, that see `wanted`; absent if not even [`MOST_SEEDS`] do.
fn seeds_for(variances: &Variances, wanted: f64, fewest: usize, aim: &Aim) -> Option<usize> {
    let sees = |seeds: usize| {
        let power = if seeds <= DRAWN_SEEDS {
            let design = Design::new(variances, seeds, aim);
            study::power(&design, wanted / variances.unit(seeds))
        } else {
            normal_power(variances, seeds, wanted, aim)
        };
        power >= aim.power
    };
    if sees(fewest) {
        return Some(fewest);
    }
    if !sees(MOST_SEEDS) {
        return None;
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
    Some(enough)
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

/// The standard errors that a difference must be wide to be seen with the power aimed at, by any number of seeds
/// on these images.
fn normal_reach(aim: &Aim) -> f64 {
    let alpha = match aim.replicates {
        Replicates::Fixed => aim.alpha_each(),
        // Half of it bounds how far these images lie from others.
        Replicates::Adaptive => 0.5 * aim.alpha_each(),
    };
    t_upper(0.5 * alpha, f64::INFINITY) + t_upper(1.0 - aim.power, f64::INFINITY)
}

/// The power of many seeds, averaged over what the seeds' variance may be.
fn normal_power(variances: &Variances, seeds: usize, wanted: f64, aim: &Aim) -> f64 {
    let critical = t_upper(0.5 * aim.alpha_each(), seeds as f64 - 1.0);
    let of = |w: f64| {
        let by_seeds = (variances.by_seeds * variances.df() / w).max(variances.residual);
        let scale = variances.seeds as f64 / seeds as f64;
        let error = (by_seeds * scale + variances.images_alone).sqrt();
        normal_tail(critical - wanted / error)
    };
    chi_squared_nodes(variances.df()).iter().map(|(w, weight)| weight * of(*w)).sum()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::compare::{Settings, compare};
    use crate::level::{Level, PerSeed};
    use crate::simulation::normals;
    use crate::verdict::Verdict;

    /// A level beside a baseline of 0.5, whose scores lie 0.02 apart by seed.
    fn row(rng: &mut ChaCha8Rng, seeds: usize, difference: f64) -> crate::compare::Comparison {
        let names: Vec<u64> = (0..seeds as u64).collect();
        let scores = |noise: Vec<f64>, mean: f64| {
            let scores = noise.iter().map(|value| mean + 0.02 * value).collect();
            Level::PerSeed(PerSeed::new(names.clone(), scores, None).unwrap())
        };
        let level = scores(normals(rng, seeds), 0.5 + difference);
        let baseline = scores(vec![0.0; seeds], 0.5);
        compare(&baseline, &[level], &Settings::default()).unwrap().swap_remove(0)
    }

    /// Of the draws that a study is told by all share their luck, so that this says how good they are.
    #[test]
    fn what_is_told_is_seen_four_times_in_five() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let trials = 400;
        // Beyond 40 seeds nothing is drawn.
        for seeds in [7, 10, 20, 41] {
            let seen = (0..trials).filter(|_| {
                let told = row(&mut rng, seeds, 0.0).detectable.unwrap_or(0.0);
                matches!(row(&mut rng, seeds, told).verdict, Verdict::Better(_))
            });
            let seen = seen.count() as f64 / f64::from(trials);
            // Two standard errors of a share of 80 % in 400 trials.
            assert!((0.75 - 0.04..=0.85 + 0.04).contains(&seen), "{seeds} seeds: {seen}");
        }
    }

    #[test]
    fn few_seeds_see_nothing_and_say_so() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for seeds in [2, 5] {
            assert_eq!(row(&mut rng, seeds, 0.0).detectable, None);
        }
    }

    /// A difference that ten seeds see needs about ten.
    #[test]
    fn seeds_needed_are_those_at_which_it_would_be_seen() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for replicates in [Replicates::Fixed, Replicates::Adaptive] {
            let aim = Aim { alpha: 0.05, power: 0.8, family: 1, replicates, at_most: 0 };
            let mut difference = row(&mut rng, 12, 0.0).difference;
            difference.estimate = detectable(&difference, &aim).unwrap();
            let Some(Needed::Seeds(seeds)) = needed(&difference, &aim) else { panic!("seeds") };
            assert!((10..=14).contains(&seeds), "{replicates:?}: {seeds}");
        }
    }
}
