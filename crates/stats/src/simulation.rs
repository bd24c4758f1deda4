//! Runs whose truth is known, to check everything else against.
//!
//! The chance that a run classifies an image right is a normal distribution function of the level's
//! mean, an effect of the seed and an effect of the image, each normal: a probit model with crossed
//! random effects. The true accuracy is then known exactly.

pub mod chain;
pub mod trial;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::distribution::{bisect, normal_tail};
use crate::level::{LevelError, PerImage};

/// A world of runs and images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct World {
    /// True accuracy of the baseline, over all seeds and images.
    pub accuracy: f64,
    /// Standard deviation of a seed's true accuracy over all images.
    pub seed_sd: f64,
    /// Standard deviation of images' difficulty on the probit scale: at 0 all are equal, at 2 most are
    /// nearly always right or nearly always wrong.
    pub difficulty: f64,
    /// Share of the seeds' variance that levels have for themselves; the rest pairs them.
    pub own_seeds: f64,
    /// Share of the images' variance that levels have for themselves.
    pub own_images: f64,
}

impl World {
    /// Runs of levels whose true accuracies differ from the baseline's by `effects`, all under the same
    /// seeds and on the same images. The same `draw` gives the same runs.
    ///
    /// # Errors
    /// When `seeds` or `images` is 0.
    pub fn runs(
        &self,
        effects: &[f64],
        seeds: usize,
        images: usize,
        draw: u64,
    ) -> Result<Vec<PerImage>, LevelError> {
        let mut rng = ChaCha8Rng::seed_from_u64(draw);
        let seed_scale = self.seed_scale();
        let shared_seeds = normals(&mut rng, seeds);
        let shared_images = normals(&mut rng, images);
        let mut levels = Vec::new();
        for effect in effects {
            let centre = self.centre(self.accuracy + effect, seed_scale);
            let own = mix(&shared_seeds, &normals(&mut rng, seeds), self.own_seeds, seed_scale);
            let image = normals(&mut rng, images);
            let image = mix(&shared_images, &image, self.own_images, self.difficulty);
            let right: Vec<Vec<bool>> = own
                .iter()
                .map(|seed| {
                    let chance = |image: &f64| normal_tail(-(centre + seed + image));
                    image.iter().map(|image| rng.random::<f64>() < chance(image)).collect()
                })
                .collect();
            levels.push(PerImage::new((1..=seeds as u64).collect(), &right)?);
        }
        Ok(levels)
    }

    /// The centre on the probit scale at which the mean over all seeds and images is `accuracy`.
    fn centre(&self, accuracy: f64, seed_scale: f64) -> f64 {
        probit(accuracy)
            * (1.0 + seed_scale * seed_scale + self.difficulty * self.difficulty).sqrt()
    }

    /// The standard deviation of seeds on the probit scale at which their true accuracies have
    /// `seed_sd`.
    fn seed_scale(&self) -> f64 {
        let spread = (1.0 + self.difficulty * self.difficulty).sqrt();
        let seeds: Vec<f64> = (0..50).map(|i| probit((f64::from(i) + 0.5) / 50.0)).collect();
        let sd = |scale: f64| {
            let centre = self.centre(self.accuracy, scale);
            let accuracies: Vec<f64> =
                seeds.iter().map(|seed| normal_tail(-(centre + scale * seed) / spread)).collect();
            crate::crossed::variance(&accuracies).sqrt()
        };
        if self.seed_sd > 0.0 { bisect(0.0, 10.0, |scale| sd(scale) < self.seed_sd) } else { 0.0 }
    }
}

fn mix(shared: &[f64], own: &[f64], share: f64, scale: f64) -> Vec<f64> {
    let (common, alone) = ((1.0 - share).sqrt(), share.sqrt());
    shared.iter().zip(own).map(|(left, right)| scale * (common * left + alone * right)).collect()
}

fn probit(p: f64) -> f64 {
    bisect(-10.0, 10.0, |x| normal_tail(-x) < p)
}

/// Standard normal draws (Box and Muller, Annals of Mathematical Statistics 29, 1958).
pub(crate) fn normals(rng: &mut ChaCha8Rng, count: usize) -> Vec<f64> {
    (0..count)
        .map(|_| {
            let (radius, angle): (f64, f64) = (rng.random(), rng.random());
            (-2.0 * (1.0 - radius).ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
        })
        .collect()
}
