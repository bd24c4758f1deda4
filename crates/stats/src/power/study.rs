//! Studies that are drawn to see how often they find what is there.
//!
//! A study's difference by seed is the true difference, plus what its test images add to all of them, plus what
//! each seed adds by itself. Everything is in units of the standard error that the study at hand has, so that studies
//! of the same shape share their draws: shapes are rounded to [`STEPS`] parts, which moves what is told by some per
//! cent, and kept for the process. The draws are named, so that the same table says the same each time.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::Aim;
use crate::crossed::{mean, variance};
use crate::difference::Replicates;
use crate::distribution::halved;
use crate::simulation::normals;
use crate::spread::Spread;
use crate::{permutation, sequential};

/// Studies drawn of each shape: the power told has a standard error of 1.3 %.
const TRIALS: usize = 1000;

/// Parts to which shares of variance are rounded.
const STEPS: f64 = 20.0;

/// Variances of a mean, by their source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Variances {
    /// By the spread of seed means; contains `residual`.
    pub(super) by_seeds: f64,
    pub(super) residual: f64,
    /// What no number of seeds takes away.
    pub(super) images_alone: f64,
    /// The part of that which was found, without what the tests add for images not seen.
    images_found: f64,
    image_df: f64,
    /// Seeds that they are those of, and were found with.
    pub(super) seeds: usize,
}

impl Variances {
    /// Absent where runs do not vary.
    pub(super) fn of(spread: &Spread, seeds: usize) -> Option<Self> {
        let (by_seeds, residual) = spread.by_seeds();
        let (images_alone, image_df) = (spread.images_alone(), spread.image_df());
        let images_found = spread.images_found();
        let found = Self { by_seeds, residual, images_alone, images_found, image_df, seeds };
        (by_seeds.max(residual) + images_alone > 0.0).then_some(found)
    }

    /// Degrees of freedom of `by_seeds`.
    pub(super) fn df(&self) -> f64 {
        self.seeds as f64 - 1.0
    }

    /// The standard error of a mean over so many seeds.
    pub(super) fn unit(&self, seeds: usize) -> f64 {
        let scale = self.seeds as f64 / seeds as f64;
        (self.by_seeds.max(self.residual) * scale + self.images_alone).sqrt()
    }
}

/// The shape of a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Design {
    seeds: usize,
    /// Seeds that the variances were found with.
    known_seeds: usize,
    alpha: u64,
    is_adaptive: bool,
    /// Bits of the degrees of freedom of the images' variance.
    image_df: u64,
    /// Share of the images in the variance, in [`STEPS`].
    images: u8,
    /// Share of that which was found, in [`STEPS`].
    images_found: u8,
    /// Share that seeds and images do not explain in the rest, in [`STEPS`].
    residual: u8,
    /// How much less than that share the seeds vary, in [`STEPS`]; they can only do so by chance.
    by_seeds: u8,
}

impl Design {
    pub(super) fn new(variances: &Variances, seeds: usize, aim: &Aim) -> Self {
        let Variances { by_seeds, residual, images_alone, images_found, image_df, .. } = *variances;
        let known_seeds = variances.seeds;
        let scale = known_seeds as f64 / seeds as f64;
        let of_seeds = by_seeds.max(residual);
        let part = |of: f64, whole: f64| match whole > 0.0 {
            true => (STEPS * of / whole).round() as u8,
            false => 0,
        };
        Self {
            seeds,
            known_seeds,
            alpha: aim.alpha_each().to_bits(),
            is_adaptive: aim.replicates == Replicates::Adaptive,
            image_df: image_df.to_bits(),
            images: part(images_alone, of_seeds * scale + images_alone),
            images_found: part(images_found, images_alone),
            residual: part(residual, of_seeds),
            by_seeds: part(by_seeds, of_seeds),
        }
    }

    fn alpha(&self) -> f64 {
        f64::from_bits(self.alpha)
    }

    fn shares(&self) -> Shares {
        let images = f64::from(self.images) / STEPS;
        let of_seeds = 1.0 - images;
        Shares {
            images,
            images_found: images * f64::from(self.images_found) / STEPS,
            residual: of_seeds * f64::from(self.residual) / STEPS,
            by_seeds: of_seeds * f64::from(self.by_seeds) / STEPS,
        }
    }

    /// What the sequential rule leaves to the seeds of alpha, and its bound for the images.
    fn rule(&self) -> (f64, f64) {
        let image_df = f64::from_bits(self.image_df);
        match image_df.is_finite() {
            true => sequential::images_part(self.alpha(), self.shares().images, image_df),
            false => (self.alpha(), 0.0),
        }
    }
}

/// Variances of the mean over a design's seeds, in units of the whole.
#[derive(Clone, Copy)]
struct Shares {
    images: f64,
    images_found: f64,
    residual: f64,
    by_seeds: f64,
}

/// A study in which nothing differs, in units of the standard error.
struct Trial {
    /// What the test images add to every difference.
    images: f64,
    /// What each seed adds.
    seeds: Vec<f64>,
}

impl Trial {
    /// With as many differences as `seeds`, each as far from the next as of a study of the design's seeds. How much
    /// seeds vary is itself drawn, from what its estimate allows.
    fn draw(rng: &mut ChaCha8Rng, design: &Design, seeds: usize) -> Self {
        let shares = design.shares();
        let known = normals(rng, design.known_seeds - 1);
        let chi_squared: f64 = known.iter().map(|value| value * value).sum();
        let df = design.known_seeds as f64 - 1.0;
        let by_seeds = (shares.by_seeds * df / chi_squared).max(shares.residual);
        let sd = (by_seeds * design.seeds as f64).sqrt();
        let images = normals(rng, 1).iter().sum::<f64>() * shares.images_found.sqrt();
        Self { images, seeds: normals(rng, seeds).iter().map(|value| sd * value).collect() }
    }

    fn with(&self, difference: f64) -> impl Iterator<Item = f64> + '_ {
        self.seeds.iter().map(move |seed| difference + self.images + seed)
    }
}

/// The smallest difference that is seen with `power`; absent if none is.
pub(super) fn smallest(design: &Design, power: f64) -> Option<f64> {
    let critical = critical(design);
    let at = (power * critical.len() as f64).ceil() as usize;
    critical.get(at.saturating_sub(1)).copied().filter(|found| found.is_finite())
}

/// The share of studies that see such a difference.
pub(super) fn power(design: &Design, difference: f64) -> f64 {
    let critical = critical(design);
    critical.partition_point(|least| *least <= difference) as f64 / critical.len() as f64
}

/// What [`seeds_until_seen`] was asked: the design, the step, the power, and at most how many seeds.
type Asked = (Design, u64, u64, usize);

/// After how many seeds the sequential rule has seen such a difference with `power`; absent if not after
/// `at_most`.
pub(super) fn seeds_until_seen(
    design: &Design,
    difference: f64,
    power: f64,
    at_most: usize,
) -> Option<usize> {
    // Differences in steps of a twentieth, so that many rows share their draws.
    let step = (difference.ln() * STEPS).round();
    static KEPT: LazyLock<Mutex<HashMap<Asked, Option<usize>>>> = LazyLock::new(Mutex::default);
    let key = (*design, step.to_bits(), power.to_bits(), at_most);
    if let Some(known) = kept(&KEPT).get(&key) {
        return *known;
    }
    let (alpha, bound) = design.rule();
    let difference = (step / STEPS).exp();
    let (mut rng, trials) = (ChaCha8Rng::seed_from_u64(1), TRIALS / 5);
    let mut ends: Vec<usize> = (0..trials)
        .map(|_| {
            let trial = Trial::draw(&mut rng, design, at_most);
            let end = sequential::rejects_after(trial.with(difference), bound, alpha);
            end.unwrap_or(usize::MAX)
        })
        .collect();
    ends.sort_unstable();
    let at = (power * trials as f64).ceil() as usize;
    let found = ends.get(at.saturating_sub(1)).copied().filter(|seeds| *seeds <= at_most);
    kept(&KEPT).insert(key, found);
    found
}

/// The smallest difference that each of the studies sees, in ascending order.
fn critical(design: &Design) -> Arc<[f64]> {
    static KEPT: LazyLock<Mutex<HashMap<Design, Arc<[f64]>>>> = LazyLock::new(Mutex::default);
    if let Some(known) = kept(&KEPT).get(design) {
        return known.clone();
    }
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let trials: Vec<Trial> =
        (0..TRIALS).map(|_| Trial::draw(&mut rng, design, design.seeds)).collect();
    let mut critical: Vec<f64> = if design.is_adaptive {
        trials.iter().map(|trial| seen_by_rule(design, trial)).collect()
    } else {
        let reach = Reach::new(design, &trials);
        trials.iter().map(|trial| seen_by_tests(design, trial, &reach)).collect()
    };
    critical.sort_by(f64::total_cmp);
    let critical: Arc<[f64]> = critical.into();
    kept(&KEPT).insert(*design, critical.clone());
    critical
}

fn kept<T>(cache: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The smallest difference that a study of a fixed number of seeds sees: both what the interval says and
/// the permutation test must.
fn seen_by_tests(design: &Design, trial: &Trial, reach: &Reach) -> f64 {
    let alpha = design.alpha();
    let by_interval = reach.at(of_mean(&trial.seeds)) - trial.images - mean(&trial.seeds);
    let rejects = |difference: f64| {
        permutation::rejects(&trial.with(difference).collect::<Vec<f64>>(), alpha)
    };
    let low = by_interval.max(0.0);
    if rejects(low) {
        return low;
    }
    // Where all seeds lie on one side the test has gone as far as it goes.
    let least = trial.seeds.iter().copied().fold(f64::INFINITY, f64::min);
    let high = -trial.images - least + 1e-6;
    if high <= low || !rejects(high) {
        return f64::INFINITY;
    }
    halved(10, low, high, |difference| !rejects(difference)).1
}

/// The smallest difference that the sequential rule sees within the design's seeds.
fn seen_by_rule(design: &Design, trial: &Trial) -> f64 {
    let (alpha, bound) = design.rule();
    let sees =
        |difference: f64| sequential::rejects_after(trial.with(difference), bound, alpha).is_some();
    let mut high = 2.0;
    while !sees(high) {
        high *= 2.0;
        // No study is so far off, in standard errors.
        if high > 1e6 {
            return f64::INFINITY;
        }
    }
    let low = if high > 2.0 { 0.5 * high } else { 0.0 };
    halved(10, low, high, |difference| !sees(difference)).1
}

/// The variance of a mean by the spread of its values.
fn of_mean(values: &[f64]) -> f64 {
    variance(values) / values.len() as f64
}

/// How far a mean must lie from zero for the interval to say so, by the variance that the study finds among its
/// seeds: a few points on a smooth curve.
struct Reach {
    /// Logarithms of variance and reach.
    points: Vec<(f64, f64)>,
}

impl Reach {
    const POINTS: usize = 12;

    fn new(design: &Design, trials: &[Trial]) -> Self {
        let shares = design.shares();
        let found = trials.iter().map(|trial| of_mean(&trial.seeds).max(1e-12));
        let (least, most) = found.fold((f64::INFINITY, 0.0_f64), |(least, most), found| {
            (least.min(found), most.max(found))
        });
        let image_df = f64::from_bits(design.image_df);
        let spread =
            Spread::planned(design.seeds, (1.0, shares.residual), (shares.images, image_df));
        let (low, high) = (least.ln(), most.ln());
        let points = (0..Self::POINTS).map(|at| {
            let log = low + (high - low) * at as f64 / (Self::POINTS - 1) as f64;
            (log, spread.with_seeds(log.exp()).half_width(0.5 * design.alpha()).ln())
        });
        Self { points: points.collect() }
    }

    fn at(&self, by_seeds: f64) -> f64 {
        let log = by_seeds.max(1e-12).ln();
        let next = self.points.partition_point(|(at, _)| *at < log).clamp(1, Self::POINTS - 1);
        let ((left, low), (right, high)) = (self.points[next - 1], self.points[next]);
        let share = if right > left { (log - left) / (right - left) } else { 0.0 };
        (low + share * (high - low)).exp()
    }
}
