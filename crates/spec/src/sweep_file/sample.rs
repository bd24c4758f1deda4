//! Numbers that samples are drawn by.

use crate::sweep::Sampler;

/// Sobol's sequence has so many dimensions here; factors beyond them take others of its scramblings.
const DIMENSIONS: u32 = sobol_burley::NUM_DIMENSIONS;

/// Points in a cube: for each sample and each factor a number from 0 up to but not including 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shares {
    sampler: Sampler,
    seed: u64,
}

impl Shares {
    pub(super) fn new(sampler: Sampler, seed: u64) -> Self {
        Self { sampler, seed }
    }

    /// The coordinate of the point `index`, a function of nothing but these numbers.
    pub(super) fn at(self, index: u32, dimension: u32) -> f64 {
        match self.sampler {
            Sampler::Sobol => {
                let scrambling = (self.seed as u32).wrapping_add(dimension / DIMENSIONS);
                // 2^16 points are more than anyone asks for.
                let index = index % (1 << 16);
                sobol_burley::sample(index, dimension % DIMENSIONS, scrambling).into()
            }
            Sampler::Random => {
                let mut hasher = blake3::Hasher::new();
                for part in [self.seed, index.into(), dimension.into()] {
                    hasher.update(&part.to_le_bytes());
                }
                let mut bytes = [0; 8];
                hasher.finalize_xof().fill(&mut bytes);
                // 53 bits are what a number from 0 to 1 holds.
                (u64::from_le_bytes(bytes) >> 11) as f64 / (1_u64 << 53) as f64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sobol_points_are_spread_evenly_and_random_ones_are_not() {
        // Of 64 points of a Sobol sequence each eighth of every axis holds eight.
        let counts = |sampler: Sampler, dimension: u32| {
            let shares = Shares::new(sampler, 7);
            let mut counts = [0; 8];
            (0..64).for_each(|index| counts[(shares.at(index, dimension) * 8.0) as usize] += 1);
            counts
        };
        for dimension in [0, 1, 5, 100] {
            assert_eq!(counts(Sampler::Sobol, dimension), [8; 8], "{dimension}");
            assert_ne!(counts(Sampler::Random, dimension), [8; 8], "{dimension}");
        }
    }

    #[test]
    fn seeds_and_axes_have_points_of_their_own() {
        for sampler in [Sampler::Sobol, Sampler::Random] {
            let axis = |seed, dimension| -> Vec<f64> {
                (0..16).map(|index| Shares::new(sampler, seed).at(index, dimension)).collect()
            };
            assert_eq!(axis(1, 0), axis(1, 0));
            assert_ne!(axis(1, 0), axis(2, 0));
            assert_ne!(axis(1, 0), axis(1, 1));
            assert_ne!(axis(1, 0), axis(1, DIMENSIONS));
        }
    }
}
