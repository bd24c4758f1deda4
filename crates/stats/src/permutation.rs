//! The exact paired permutation test over seeds.
//!
//! If a level changes nothing, then under each seed its run and the baseline's could be swapped: every
//! difference is as likely to have the other sign. The p-value is the share of all sign patterns whose
//! sum is at least as far from zero as the observed one (Fisher, The Design of Experiments, 1935,
//! section 21; Good, Permutation, Parametric and Bootstrap Tests of Hypotheses, 2005, chapter 3). It
//! assumes no distribution, and it cannot be smaller than 2 / 2^k with k seeds.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Up to that many seeds all patterns are counted.
pub const EXACT_SEEDS: usize = 20;

/// Patterns drawn beyond [`EXACT_SEEDS`].
pub const DRAWS: u32 = 100_000;

/// Two-sided p-value of paired differences, one for each seed. Differences of zero stay: they keep
/// their place in every pattern. Beyond [`EXACT_SEEDS`] it is estimated from [`DRAWS`] patterns, the
/// observed one counted among them (Phipson and Smyth, Statistical Applications in Genetics and
/// Molecular Biology 9, 2010); `seed` names the draws.
pub fn sign_flip(differences: &[f64], seed: u64) -> f64 {
    let moving: Vec<f64> = differences.iter().copied().filter(|value| *value != 0.0).collect();
    if moving.is_empty() {
        return 1.0;
    }
    // Sums that are equal but for rounding must count as equal.
    let reach: f64 = moving.iter().map(|value| value.abs()).sum();
    let observed = moving.iter().sum::<f64>().abs() - 1e-9 * reach;
    if moving.len() <= EXACT_SEEDS {
        exact(&moving, observed)
    } else {
        drawn(&moving, observed, seed)
    }
}

/// Walks all patterns in Gray code, which flips one sign at a time. A pattern and its mirror image have
/// the same distance from zero, so the last sign stays.
fn exact(differences: &[f64], observed: f64) -> f64 {
    let patterns = 1_u32 << (differences.len() - 1);
    let mut signed = differences.to_vec();
    let mut sum: f64 = signed.iter().sum();
    let mut as_far = u32::from(sum.abs() >= observed);
    for pattern in 1..patterns {
        let flip = pattern.trailing_zeros() as usize;
        signed[flip] = -signed[flip];
        sum += 2.0 * signed[flip];
        as_far += u32::from(sum.abs() >= observed);
    }
    f64::from(as_far) / f64::from(patterns)
}

/// Signs are drawn 64 at a time.
const WORD: usize = 64;

/// So many patterns are summed side by side.
const BESIDE: usize = 512;

/// Eight differences by each of the 256 ways to sign them are added up once, so that a pattern costs an
/// addition for every eight: with thousands of seeds they are most of what a report costs. Patterns go
/// through these sums side by side, which stay close to the processor then.
fn drawn(differences: &[f64], observed: f64, seed: u64) -> f64 {
    let sums: Vec<[f64; 256]> = differences.chunks(8).map(signed_sums).collect();
    let words = differences.len().div_ceil(WORD);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut as_far = 0_usize;
    let mut left = DRAWS as usize;
    let mut signs = Vec::with_capacity(BESIDE * words);
    while left > 0 {
        let beside = left.min(BESIDE);
        left -= beside;
        signs.clear();
        signs.extend((0..beside * words).map(|_| rng.next_u64()));
        let mut patterns = [0.0; BESIDE];
        for (word, sums) in sums.chunks(WORD / 8).enumerate() {
            let of_word = signs.iter().skip(word).step_by(words);
            for (pattern, signs) in patterns.iter_mut().zip(of_word) {
                for (sums, signs) in sums.iter().zip(signs.to_le_bytes()) {
                    *pattern += sums[usize::from(signs)];
                }
            }
        }
        as_far += patterns[..beside].iter().filter(|sum| sum.abs() >= observed).count();
    }
    (as_far + 1) as f64 / f64::from(DRAWS + 1)
}

/// The sums of at most eight values, by the signs that they have: a bit that is set turns its value.
fn signed_sums(values: &[f64]) -> [f64; 256] {
    let sign = |signs: usize, at: usize| if signs >> at & 1 == 0 { 1.0 } else { -1.0 };
    std::array::from_fn(|signs| {
        values.iter().enumerate().map(|(at, value)| sign(signs, at) * value).sum()
    })
}

/// The fewest seeds at which the test can reach `alpha` at all, Holm's correction over `family`
/// comparisons included: 2 / 2^k <= alpha / family.
pub fn seeds_needed(alpha: f64, family: usize) -> usize {
    (1..).find(|k| 2.0_f64.powi(1 - k) * family.max(1) as f64 <= alpha).unwrap_or(1) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_seeds_on_one_side_is_as_far_as_it_goes() {
        for k in 1..=12 {
            let p = sign_flip(&vec![0.01; k], 0);
            assert!((p - 2.0 / 2.0_f64.powi(k as i32)).abs() < 1e-12);
        }
        assert_eq!(sign_flip(&[0.0; 8], 0), 1.0);
        assert_eq!(sign_flip(&[], 0), 1.0);
    }

    #[test]
    fn drawn_patterns_agree_with_all_of_them() {
        let differences: Vec<f64> = (0..18).map(|i| f64::from(i % 7) - 2.2).collect();
        let observed = differences.iter().sum::<f64>().abs() - 1e-9;
        let (exact, drawn) = (exact(&differences, observed), drawn(&differences, observed, 1));
        assert!((exact - drawn).abs() < 0.006, "{exact} {drawn}");
    }

    /// As the definition has it, sign by sign.
    fn one_by_one(differences: &[f64], observed: f64, seed: u64) -> f64 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut as_far = 0;
        for _ in 0..DRAWS {
            let mut sum = 0.0;
            for values in differences.chunks(64) {
                let signs = rng.next_u64();
                let signed = values.iter().enumerate();
                sum += signed
                    .map(|(at, value)| if signs >> at & 1 == 0 { *value } else { -value })
                    .sum::<f64>();
            }
            as_far += u32::from(sum.abs() >= observed);
        }
        f64::from(as_far + 1) / f64::from(DRAWS + 1)
    }

    #[test]
    fn patterns_side_by_side_are_the_same_as_one_by_one() {
        for k in [21, 63, 64, 65, 130] {
            let differences: Vec<f64> = (0..k).map(|i| f64::from(i * 7 % 13) - 5.7).collect();
            let reach: f64 = differences.iter().map(|value| value.abs()).sum();
            // A little less, as ever: sums that are equal but for rounding count as equal.
            for observed in [0.1 - 1e-9, 0.2 - 1e-9].map(|share| share * reach) {
                let one_by_one = one_by_one(&differences, observed, 3);
                assert_eq!(drawn(&differences, observed, 3), one_by_one, "{k}");
            }
        }
    }

    #[test]
    fn more_comparisons_need_more_seeds() {
        let needed: Vec<usize> = [1, 2, 3, 4, 8].map(|m| seeds_needed(0.05, m)).to_vec();
        assert_eq!(needed, [6, 7, 7, 8, 9]);
    }

    proptest! {
        #[test]
        fn the_sign_of_the_whole_does_not_matter(
            differences in prop::collection::vec(-0.2..0.2f64, 1..10)
        ) {
            let mirrored: Vec<f64> = differences.iter().map(|value| -value).collect();
            let p = sign_flip(&differences, 0);
            prop_assert!((p - sign_flip(&mirrored, 0)).abs() < 1e-12);
            prop_assert!(p > 0.0 && p <= 1.0);
        }
    }
}
