//! Where randomness comes from: the run's seed, and what it is for.
//!
//! Each purpose has a stream of its own, so that two configurations under one seed share their split,
//! their order of images and, where shapes allow, their initial head: replicates are paired.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What random numbers are drawn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Which images are for validation.
    Split,
    /// The order of the training images.
    Shuffle,
    /// The order of the validation images.
    ValidationShuffle,
    /// The head's initial kernels.
    Head,
    /// What dropout drops.
    Dropout,
    /// What becomes of images in fresh views.
    Augment,
    /// A backbone's initial weights, where they are not read from a file.
    Backbone,
}

/// What all randomness of a training hangs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// The run's seed.
    pub seed: u64,
    /// The fold, from 1, where a run trains several.
    pub fold: Option<u32>,
}

impl Source {
    /// The stream of random numbers for `purpose`. Without folds it is [`stream`]'s.
    pub fn stream(self, purpose: Purpose) -> ChaCha8Rng {
        seeded(self.seed, purpose, self.fold)
    }
}

/// The stream of random numbers for `purpose` under `seed`.
pub fn stream(seed: u64, purpose: Purpose) -> ChaCha8Rng {
    seeded(seed, purpose, None)
}

fn seeded(seed: u64, purpose: Purpose, fold: Option<u32>) -> ChaCha8Rng {
    let purpose = match purpose {
        Purpose::Split => "split",
        Purpose::Shuffle => "shuffle",
        Purpose::ValidationShuffle => "validation shuffle",
        Purpose::Head => "head",
        Purpose::Dropout => "dropout",
        Purpose::Augment => "augment",
        Purpose::Backbone => "backbone",
    };
    let mut hasher = blake3::Hasher::new_derive_key("sweep training randomness");
    hasher.update(&seed.to_le_bytes());
    hasher.update(purpose.as_bytes());
    if let Some(fold) = fold {
        hasher.update(&fold.to_le_bytes());
    }
    ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
}

/// `count` numbers, uniform between `-limit` and `limit`.
pub fn uniform(rng: &mut ChaCha8Rng, limit: f64, count: usize) -> Vec<f32> {
    (0..count).map(|_| ((rng.random::<f64>() * 2.0 - 1.0) * limit) as f32).collect()
}

/// `count` numbers, normal around 0 with deviation `std`, by Box and Muller's method.
pub fn normal(rng: &mut ChaCha8Rng, std: f64, count: usize) -> Vec<f32> {
    (0..count)
        .map(|_| {
            // One minus: the logarithm wants no 0.
            let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
            let angle = std::f64::consts::TAU * rng.random::<f64>();
            (radius * angle.cos() * std) as f32
        })
        .collect()
}

/// `count` numbers with deviation `std` from a normal distribution around 0 that is cut off at two of
/// its own deviations, as Keras's initialisers draw them: what lies beyond is drawn again.
pub fn truncated_normal(rng: &mut ChaCha8Rng, std: f64, count: usize) -> Vec<f32> {
    // The deviation of a standard normal distribution that is cut off at 2.
    let uncut = std / 0.879_625_661_034_239_8;
    let mut draws = Vec::with_capacity(count);
    while draws.len() < count {
        let more = normal(rng, uncut, count - draws.len());
        draws.extend(more.into_iter().filter(|draw| f64::from(draw.abs()) <= 2.0 * uncut));
    }
    draws
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_hangs_on_seed_and_purpose() {
        let first = |seed, purpose| stream(seed, purpose).random::<u64>();
        assert_eq!(first(1, Purpose::Split), first(1, Purpose::Split));
        assert_ne!(first(1, Purpose::Split), first(2, Purpose::Split));
        assert_ne!(first(1, Purpose::Split), first(1, Purpose::Shuffle));
    }

    #[test]
    fn draws_have_the_spread_they_name() {
        let mut rng = stream(1, Purpose::Head);
        let spread = |draws: &[f32]| {
            (draws.iter().map(|draw| f64::from(draw * draw)).sum::<f64>() / draws.len() as f64)
                .sqrt()
        };
        let uniform = uniform(&mut rng, 0.3, 40_000);
        assert!(uniform.iter().all(|draw| draw.abs() <= 0.3));
        assert!((spread(&uniform) - 0.3 / 3f64.sqrt()).abs() < 0.003);
        assert!((spread(&normal(&mut rng, 2.0, 40_000)) - 2.0).abs() < 0.03);
    }
}
