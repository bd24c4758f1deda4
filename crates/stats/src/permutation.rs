//! The exact paired permutation test over seeds.
//!
//! If a level changes nothing, then under each seed its run and the baseline's could be swapped: every
//! difference is as likely to have the other sign. The p-value is the share of all sign patterns whose
//! sum is at least as far from zero as the observed one (Fisher, The Design of Experiments, 1935,
//! section 21; Good, Permutation, Parametric and Bootstrap Tests of Hypotheses, 2005, chapter 3). It
//! assumes no distribution, and it cannot be smaller than 2 / 2^k with k seeds.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::distribution::{halved, normal_tail};

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

/// Up to that many patterns are counted one by one in [`rejects`].
const COUNTED: f64 = 512.0;

/// Whether [`sign_flip`] of these differences is at most `alpha`, without a walk through all patterns: for
/// planning, where it is asked thousands of times.
pub(crate) fn rejects(differences: &[f64], alpha: f64) -> bool {
    let side = if differences.iter().sum::<f64>() < 0.0 { -1.0 } else { 1.0 };
    let mut sizes: Vec<f64> =
        differences.iter().map(|value| value.abs()).filter(|size| *size > 0.0).collect();
    let Some(last) = sizes.len().checked_sub(1) else { return false };
    let against: f64 = differences.iter().map(|value| (-side * value).max(0.0)).sum();
    let patterns = alpha * 2.0_f64.powf(last as f64);
    if patterns > COUNTED {
        let sum = side * differences.iter().sum::<f64>();
        return 2.0 * saddlepoint_tail(&sizes, sum) <= alpha;
    }
    // A pattern is as far from zero if what it turns, against the observed signs, is no more than what
    // already stands on the other side.
    sizes.sort_by(f64::total_cmp);
    let room = against + 1e-9 * sizes.iter().sum::<f64>();
    count_subsets(&sizes, room, (patterns + 1e-9) as usize).is_some()
}

/// How many subsets of ascending `sizes`, the empty one included, add up to no more than `room`; absent if
/// more than `at_most`.
fn count_subsets(sizes: &[f64], room: f64, at_most: usize) -> Option<usize> {
    let mut count = 1;
    for (at, size) in sizes.iter().enumerate() {
        if count > at_most || *size > room {
            break;
        }
        count += count_subsets(&sizes[at + 1..], room - size, at_most - count)?;
    }
    (count <= at_most).then_some(count)
}

/// P(sum of `sizes` under random signs >= `sum`) by a saddlepoint (Lugannani and Rice, Advances in Applied
/// Probability 12, 1980; Robinson, Journal of the Royal Statistical Society B 44, 1982).
fn saddlepoint_tail(sizes: &[f64], sum: f64) -> f64 {
    let reach: f64 = sizes.iter().sum();
    if sum >= reach * (1.0 - 1e-9) {
        return 0.5_f64.powf(sizes.len() as f64);
    }
    let squares: f64 = sizes.iter().map(|size| size * size).sum();
    if sum * sum < 1e-6 * squares {
        return 0.5;
    }
    let slope = |t: f64| sizes.iter().map(|size| size * (t * size).tanh()).sum::<f64>();
    let mut high = sum / squares;
    while slope(high) < sum {
        high *= 2.0;
    }
    // Twenty halvings are enough for planning.
    let (_, t) = halved(20, 0.5 * sum / squares, high, |t| slope(t) < sum);
    let cumulant: f64 = sizes.iter().map(|size| (t * size).cosh().ln()).sum();
    let curvature: f64 = sizes.iter().map(|size| (size / (t * size).cosh()).powi(2)).sum();
    let (w, v) = ((2.0 * (t * sum - cumulant)).max(0.0).sqrt(), t * curvature.sqrt());
    let density = (-0.5 * w * w).exp() / std::f64::consts::TAU.sqrt();
    normal_tail(w) + density * (1.0 / v - 1.0 / w)
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
        fn a_decision_for_planning_is_that_of_the_test(
            differences in prop::collection::vec(-0.1..0.2f64, 5..15),
            alpha in 0.001..0.3f64,
        ) {
            let p = sign_flip(&differences, 0);
            let decided = rejects(&differences, alpha);
            // Where patterns are not counted the saddlepoint is near, and no more.
            let near = (p / alpha - 1.0).abs() < 0.03 && alpha * 2.0_f64.powi(differences.len() as i32 - 1) > COUNTED;
            prop_assert!(near || decided == (p <= alpha + 1e-12), "{p} at {alpha}: {decided}");
        }

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
