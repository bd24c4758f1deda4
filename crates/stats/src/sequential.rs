//! A rule that may look after every seed.
//!
//! A p-value for a fixed number of seeds is wrong as soon as the results decide whether to go on: looked
//! at often enough, chance alone becomes "significant". Here evidence is a bet instead. If a level
//! changes nothing, the sign of each paired difference is a fair coin whatever its size, so capital
//! that is bet on signs grows only by luck, and the chance that it ever reaches 1/alpha times its start
//! is at most alpha (Ville, 1939; Ramdas, Grünwald, Vovk, Shafer, Statistical Science 38, 2023; the
//! bet is de la Peña's for symmetric differences, Annals of Probability 27, 1999). Nothing need be
//! planned: one may look at any time, stop at any time, and raise the maximum afterwards.
//!
//! A group-sequential design would spend alpha over looks set beforehand. In simulation it saw small
//! effects somewhat more often but needed more seeds for clear ones, and a user who raises `max` would
//! break it.

use crate::crossed::mean;

/// How hard to bet for a difference of typical size: gently, for small effects that need many seeds, and
/// hard, for clear ones. A quarter of the capital bets each on better and on worse.
const STAKES: [f64; 2] = [1.0, 4.0];

/// The p-value of "the level changes nothing" that holds at every number of seeds at once, two-sided:
/// the inverse of the largest capital so far. `differences` are in the order in which seeds were run.
pub fn anytime_p(differences: &[f64]) -> f64 {
    let best = capital(differences, &[1.0, -1.0]);
    (1.0 / best).min(1.0)
}

/// The p-value of "the true difference is as large as `margin` or larger, in either direction", which
/// holds at every number of seeds at once: two one-sided tests, each by betting that differences fall
/// short of the margin. Differences must be symmetric around one peak.
pub fn anytime_equivalence_p(differences: &[f64], margin: f64) -> f64 {
    let short_of = |margin: f64, side: f64| {
        let short: Vec<f64> = differences.iter().map(|value| margin - side * value).collect();
        (1.0 / capital(&short, &[1.0])).min(1.0)
    };
    short_of(margin, 1.0).max(short_of(margin, -1.0))
}

/// The fewest seeds at which [`anytime_p`] can reach `alpha`, Holm's correction over `family` comparisons
/// included.
pub fn seeds_needed(alpha: f64, family: usize) -> usize {
    let mut differences = vec![1.0];
    while anytime_p(&differences) * family.max(1) as f64 > alpha {
        differences.push(1.0);
    }
    differences.len()
}

/// The largest capital on the way, starting from 1 and spread evenly over directions and stakes.
fn capital(differences: &[f64], directions: &[f64]) -> f64 {
    let mut bets: Vec<(f64, f64)> = directions
        .iter()
        .flat_map(|direction| STAKES.map(|stake| (direction * stake, 1.0)))
        .collect();
    let (mut squares, mut seen, mut best) = (0.0, 0.0, 1.0_f64);
    for difference in differences {
        // The scale may use the size of this difference: only its sign is the coin.
        squares += difference * difference;
        seen += 1.0;
        if squares == 0.0 {
            continue;
        }
        let relative = difference / (squares / seen).sqrt();
        for (stake, capital) in &mut bets {
            *capital *= 1.0 + (*stake * relative).tanh();
        }
        let capitals: Vec<f64> = bets.iter().map(|(_, capital)| *capital).collect();
        best = best.max(mean(&capitals));
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fair coins: under every pattern of signs, all equally likely, the mean capital is what it was at
    /// the start. It cannot be otherwise, or the rule would be wrong.
    #[test]
    fn bets_on_fair_coins_are_fair() {
        let sizes = [0.3, 0.0, 1.2, 0.05, 0.7, 0.7];
        let last_capital = |signs: u32| -> f64 {
            let mut product = [1.0; 2];
            let (mut squares, mut seen) = (0.0, 0.0);
            for (at, size) in sizes.iter().enumerate() {
                let value = if signs >> at & 1 == 0 { *size } else { -size };
                squares += value * value;
                seen += 1.0;
                for (stake, product) in STAKES.iter().zip(&mut product) {
                    *product *= 1.0 + (stake * value / f64::sqrt(squares / seen)).tanh();
                }
            }
            mean(&product)
        };
        let total: f64 = (0..64).map(last_capital).sum();
        assert!((total / 64.0 - 1.0).abs() < 1e-12, "{total}");
    }

    #[test]
    fn ville_holds_over_every_pattern() {
        let sizes = [0.5, 1.5, 0.2, 1.0, 1.0, 0.8, 2.0, 0.4, 0.9, 1.1, 0.3, 1.3];
        for alpha in [0.05, 0.2] {
            let rejected = (0..1_u32 << sizes.len())
                .filter(|signs| {
                    let values: Vec<f64> = sizes
                        .iter()
                        .enumerate()
                        .map(|(at, size)| if signs >> at & 1 == 0 { *size } else { -size })
                        .collect();
                    anytime_p(&values) <= alpha
                })
                .count();
            let share = rejected as f64 / f64::from(1_u32 << sizes.len());
            assert!(share > 0.0 && share <= alpha, "{share} at {alpha}");
        }
    }

    #[test]
    fn more_comparisons_need_more_seeds() {
        assert_eq!([1, 2, 4, 8].map(|family| seeds_needed(0.05, family)), [6, 7, 8, 9]);
    }

    #[test]
    fn a_margin_much_wider_than_the_differences_is_shown_at_once() {
        let small = [0.001, -0.002, 0.0, 0.001, -0.001, 0.002, 0.001];
        assert!(anytime_equivalence_p(&small, 0.05) < 0.05);
        assert!(anytime_equivalence_p(&small, 0.0005) > 0.05);
    }
}
