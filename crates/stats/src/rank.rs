//! Whether two ways to score rank the levels alike, such as cross-validation and a leaderboard.

use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::crossed::mean;

/// Up to that many levels all orders are counted.
pub const EXACT_LEVELS: usize = 9;

/// Orders drawn beyond [`EXACT_LEVELS`].
pub const DRAWS: u32 = 100_000;

/// Agreement of two rankings, from -1 (reversed) over 0 (unrelated) to 1 (the same).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RankCorrelation {
    /// Spearman's rho: the correlation of ranks, ties at their mean rank.
    pub spearman: f64,
    /// Its two-sided p-value under all orders of the levels.
    pub spearman_p: f64,
    /// Kendall's tau-b: pairs in the same order less pairs in opposite order, ties corrected for.
    pub kendall: f64,
    /// Its two-sided p-value under all orders of the levels.
    pub kendall_p: f64,
}

/// Rank correlation of two scores of the same levels (Kendall and Gibbons, Rank Correlation Methods,
/// 1990). P-values are exact up to [`EXACT_LEVELS`] levels and estimated from [`DRAWS`] orders beyond;
/// `seed` names the draws. Absent with fewer than two levels, scores that are not equally many, and
/// scores that are all the same. With n levels no p-value is below 2 / n!: three say nothing.
pub fn rank_correlation(left: &[f64], right: &[f64], seed: u64) -> Option<RankCorrelation> {
    if left.len() != right.len() || left.len() < 2 {
        return None;
    }
    let varies = |values: &[f64]| values.iter().any(|value| *value != values[0]);
    if !varies(left) || !varies(right) {
        return None;
    }
    let (rho_left, rho_right) = (centred(&ranks(left)), centred(&ranks(right)));
    let (tau_left, tau_right) = (orders(left), orders(right));
    let identity: Vec<usize> = (0..left.len()).collect();
    let spearman = |order: &[usize]| dot(&rho_left, &rho_right, |i| order[i]);
    let n = left.len();
    let kendall = |order: &[usize]| -> f64 {
        let pairs = (0..n).flat_map(|i| (0..n).map(move |j| (i, j)));
        pairs.map(|(i, j)| tau_left[i * n + j] * tau_right[order[i] * n + order[j]]).sum()
    };
    let norm = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
    let (rho_norm, tau_norm) =
        (norm(&rho_left) * norm(&rho_right), norm(&tau_left) * norm(&tau_right));
    let (rho, tau) = (spearman(&identity), kendall(&identity));
    let mut as_far = [0_u32; 2];
    let mut count = |order: &[usize]| {
        as_far[0] += u32::from(spearman(order).abs() >= rho.abs() - 1e-9 * rho_norm);
        as_far[1] += u32::from(kendall(order).abs() >= tau.abs() - 1e-9 * tau_norm);
    };
    let total = if n <= EXACT_LEVELS {
        permute(&mut identity.clone(), 0, &mut count)
    } else {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut order = identity.clone();
        // The observed order is one of those counted.
        count(&identity);
        for _ in 0..DRAWS {
            order.shuffle(&mut rng);
            count(&order);
        }
        DRAWS + 1
    };
    let [spearman_p, kendall_p] = as_far.map(|hits| f64::from(hits) / f64::from(total));
    Some(RankCorrelation {
        spearman: rho / rho_norm,
        spearman_p,
        kendall: tau / tau_norm,
        kendall_p,
    })
}

/// Calls `visit` with every order of what stands behind `fixed`; returns how many there were.
fn permute(order: &mut [usize], fixed: usize, visit: &mut impl FnMut(&[usize])) -> u32 {
    if fixed == order.len() {
        visit(order);
        return 1;
    }
    let mut total = 0;
    for next in fixed..order.len() {
        order.swap(fixed, next);
        total += permute(order, fixed + 1, visit);
        order.swap(fixed, next);
    }
    total
}

/// Ranks from 1; equal values share their mean rank.
fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |value: &f64| {
        let below = values.iter().filter(|other| *other < value).count() as f64;
        let equal = values.iter().filter(|other| *other == value).count() as f64;
        below + 0.5 * (equal + 1.0)
    };
    values.iter().map(rank).collect()
}

fn centred(values: &[f64]) -> Vec<f64> {
    let centre = mean(values);
    values.iter().map(|value| value - centre).collect()
}

/// For each pair of values whether the first is larger (1), smaller (-1) or neither.
fn orders(values: &[f64]) -> Vec<f64> {
    let sign = |left: f64, right: f64| f64::from(i8::from(left > right) - i8::from(left < right));
    values.iter().flat_map(|left| values.iter().map(move |right| sign(*left, *right))).collect()
}

fn dot(left: &[f64], right: &[f64], at: impl Fn(usize) -> usize) -> f64 {
    left.iter().enumerate().map(|(i, value)| value * right[at(i)]).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_order_is_one_and_three_levels_say_nothing() {
        let found = rank_correlation(&[0.1, 0.2, 0.3], &[0.5, 0.6, 0.9], 0).unwrap();
        assert!((found.spearman - 1.0).abs() < 1e-12 && (found.kendall - 1.0).abs() < 1e-12);
        assert!((found.kendall_p - 2.0 / 6.0).abs() < 1e-12);
        assert_eq!(rank_correlation(&[0.1, 0.2], &[0.5, 0.5], 0), None);
        assert_eq!(rank_correlation(&[0.1], &[0.5], 0), None);
    }

    #[test]
    fn many_levels_are_drawn() {
        let left: Vec<f64> = (0..12).map(f64::from).collect();
        let right: Vec<f64> = left.iter().map(|value| (value * 5.0) % 12.0).collect();
        let found = rank_correlation(&left, &right, 1).unwrap();
        assert!(found.spearman_p > 0.3 && found.kendall_p <= 1.0);
    }
}
