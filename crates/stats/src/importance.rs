//! How much a factor matters: what its levels explain of the scores, the seeds' noise taken off.

use serde::Serialize;

use crate::crossed::Crossed;
use crate::distribution::{bisect, noncentral_f_cdf};
use crate::interval::Interval;

/// How much a factor matters, on these test images and over these levels: other levels would give
/// another answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Importance {
    /// Typical distance of a level's true score from their mean (a standard deviation over levels), the
    /// share that seeds alone would give taken off; 0 where seeds explain all of it.
    pub effect: f64,
    /// Its interval.
    pub effect_interval: Interval,
    /// Share of the variance between runs, seeds' common part left out, that the levels explain: omega
    /// squared.
    pub share: f64,
    /// Its interval.
    pub share_interval: Interval,
    /// P-value of "no level differs".
    pub p: f64,
}

/// The importance of a factor from the scores of its levels by seed: `scores[level][seed]`, the same
/// seeds in the same order. Absent with fewer than two levels or seeds, with levels of different
/// numbers of seeds, and where no run differs from what level and seed predict.
///
/// Analysis of variance with seeds as blocks. The intervals invert the noncentral F distribution (Steiger,
/// Psychological Methods 9, 2004); `share` is Hays's omega squared as for blocked designs (Olejnik and
/// Algina, Psychological Methods 8, 2003).
pub fn importance(scores: &[Vec<f64>], confidence: f64) -> Option<Importance> {
    let (levels, seeds) = (scores.len(), scores.first()?.len());
    if levels < 2 || seeds < 2 || scores.iter().any(|level| level.len() != seeds) {
        return None;
    }
    let squares = Crossed::from_rows(scores.iter().cloned()).mean_squares();
    // A residual that is 0 but for rounding: the runs follow level and seed to the last digit.
    if squares.residual <= 1e-15 || squares.seeds > 1e9 * squares.residual {
        return None;
    }
    let (l, k) = (levels as f64, seeds as f64);
    let (df1, df2) = (l - 1.0, (l - 1.0) * (k - 1.0));
    let cells = l * k;
    let f = squares.seeds / squares.residual;
    let tail = 0.5 * (1.0 - confidence);
    // The noncentrality at which so large an F leaves the given probability below it.
    let noncentrality = |below: f64| {
        if noncentral_f_cdf(f, df1, df2, 0.0) <= below {
            return 0.0;
        }
        let mut high = 10.0 + 2.0 * df1 * f;
        while noncentral_f_cdf(f, df1, df2, high) > below {
            high *= 2.0;
        }
        bisect(0.0, high, |lambda| noncentral_f_cdf(f, df1, df2, lambda) > below)
    };
    let (low, high) = (noncentrality(1.0 - tail), noncentrality(tail));
    let effect = |lambda: f64| (lambda * squares.residual / (k * df1)).sqrt();
    let share = |lambda: f64| lambda / (lambda + cells);
    // F's mean is 1 without effect: what lies above it is the levels'.
    let excess = (df1 * (f - 1.0)).max(0.0);
    Some(Importance {
        effect: effect(excess),
        effect_interval: Interval { low: effect(low), high: effect(high) },
        share: share(excess),
        share_interval: Interval { low: share(low), high: share(high) },
        p: 1.0 - noncentral_f_cdf(f, df1, df2, 0.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_analysed_is_not() {
        for scores in [
            vec![],
            vec![vec![0.5, 0.6]],
            vec![vec![0.5], vec![0.6]],
            vec![vec![0.5, 0.6], vec![0.5]],
            vec![vec![0.5, 0.6], vec![0.5, 0.6]],
        ] {
            assert_eq!(importance(&scores, 0.95), None, "{scores:?}");
        }
    }

    /// Scores that follow level and seed but for rounding, and a factor that dwarfs all noise.
    #[test]
    fn exact_sums_and_huge_effects_come_to_an_end() {
        let exact: Vec<Vec<f64>> = (0..4)
            .map(|level| {
                (0..2).map(|seed| f64::from(400 + 7 * level + 13 * seed) / 744.0).collect()
            })
            .collect();
        assert_eq!(importance(&exact, 0.95), None);
        let noise = [0.0001, -0.0001, 0.00005, -0.00005];
        let level = |mean: f64, turn: usize| -> Vec<f64> {
            (0..4).map(|seed| mean + noise[(seed + turn) % 4]).collect()
        };
        let found = importance(&[level(0.03, 0), level(0.6, 1)], 0.95).unwrap();
        assert!((found.effect - 0.57 / 2.0_f64.sqrt()).abs() < 0.001, "{found:?}");
        assert!(found.effect_interval.contains(found.effect) && found.share > 0.999, "{found:?}");
    }

    #[test]
    fn seeds_that_move_all_levels_alike_do_not_hide_the_factor() {
        let noise = [0.002, -0.001, 0.001, -0.002, 0.0];
        let level = |effect: f64, turn: usize| -> Vec<f64> {
            (0..5)
                .map(|seed| 0.7 + effect + 0.05 * seed as f64 + noise[(seed + turn) % 5])
                .collect()
        };
        let found = importance(&[level(0.0, 0), level(0.04, 1), level(0.08, 3)], 0.95).unwrap();
        assert!(found.effect_interval.contains(0.04) && (found.effect - 0.04).abs() < 0.005);
        assert!(found.p < 0.001 && found.share > 0.9);
    }
}
