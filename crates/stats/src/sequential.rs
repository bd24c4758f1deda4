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
use crate::distribution::{bisect, t_upper};
use crate::spread::Spread;

/// How hard to bet for a difference of typical size: gently, for small effects that need many seeds, and
/// hard, for clear ones. Each has an even share of the capital.
const STAKES: [f64; 2] = [1.0, 4.0];

/// The p-value of "the level changes nothing" on these test images that holds at every number of seeds at
/// once, two-sided: the inverse of the largest capital so far. `differences` are in the order in which
/// seeds were run.
pub fn anytime_p(differences: &[f64]) -> f64 {
    anytime_p_beyond(differences, 0.0)
}

/// The p-value of "the true difference is as large as `margin` or larger, in either direction", on these
/// test images, which holds at every number of seeds at once: two one-sided tests, each by betting that
/// differences fall short of the margin. Differences must be symmetric around one peak.
pub fn anytime_equivalence_p(differences: &[f64], margin: f64) -> f64 {
    let short_of = |side: f64| {
        let short: Vec<f64> = differences.iter().map(|value| margin - side * value).collect();
        in_either(&[&short])
    };
    short_of(1.0).max(short_of(-1.0))
}

/// As [`anytime_p`], for other test images too. However many seeds there are, the images stay: on them
/// two settings that are equally good elsewhere may truly differ, and looking often would find it. So
/// half of alpha bounds how far these images may lie from all images, and the other half bets that the
/// differences lie beyond that bound.
pub(crate) fn anytime_images_p(differences: &[f64], spread: &Spread) -> f64 {
    smallest_alpha(|alpha| {
        let (left, bound) = images_part(alpha, spread.images_alone(), spread.image_df());
        anytime_p_beyond(differences, bound) <= left
    })
}

/// As [`anytime_equivalence_p`], for other test images too.
pub(crate) fn anytime_images_equivalence_p(
    differences: &[f64],
    spread: &Spread,
    margin: f64,
) -> f64 {
    smallest_alpha(|alpha| {
        let left = margin - images_bound(spread, alpha / 2.0);
        left > 0.0 && anytime_equivalence_p(differences, left) <= alpha / 2.0
    })
}

/// The fewest seeds at which [`anytime_p`] can reach `alpha`, Holm's correction over `family` comparisons
/// and half of it for the images included.
pub fn seeds_needed(alpha: f64, family: usize) -> usize {
    let mut differences = vec![1.0];
    while anytime_p(&differences) * 2.0 * family.max(1) as f64 > alpha {
        differences.push(1.0);
    }
    differences.len()
}

/// The p-value of "the true difference lies between minus and plus `bound`": bets that differences lie
/// above it, and bets that they lie below. Beyond 0 the differences must be symmetric around one peak.
fn anytime_p_beyond(differences: &[f64], bound: f64) -> f64 {
    let above: Vec<f64> = differences.iter().map(|value| value - bound).collect();
    let below: Vec<f64> = differences.iter().map(|value| -value - bound).collect();
    in_either(&[&above, &below])
}

/// How far the images' part of a mean lies from the truth at most, but for a chance of `tail` on each side.
fn images_bound(spread: &Spread, tail: f64) -> f64 {
    t_upper(tail, spread.image_df()) * spread.images_alone().sqrt()
}

/// The smallest alpha at which a test rejects that rejects at every larger one.
fn smallest_alpha(rejects: impl Fn(f64) -> bool) -> f64 {
    if !rejects(1.0) {
        return 1.0;
    }
    bisect(-30.0, 0.0, |log_alpha| !rejects(log_alpha.exp())).exp()
}

/// The inverse of the largest capital of bets that values are positive, the start spread evenly over
/// `games` and stakes.
fn in_either(games: &[&[f64]]) -> f64 {
    let paths: Vec<Vec<f64>> = games.iter().map(|values| capital(values)).collect();
    let seeds = paths.first().map_or(0, Vec::len);
    let at = |seed: usize| mean(&paths.iter().map(|path| path[seed]).collect::<Vec<f64>>());
    1.0 / (0..seeds).map(at).fold(1.0, f64::max)
}

/// The capital after each seed, starting from 1, of bets that values are positive.
fn capital(values: &[f64]) -> Vec<f64> {
    let mut bets = Bets::default();
    values.iter().map(|value| bets.on(*value)).collect()
}

/// Bets that values are positive, seed by seed.
#[derive(Debug, Clone, Copy)]
struct Bets {
    capitals: [f64; STAKES.len()],
    squares: f64,
    seen: f64,
}

impl Default for Bets {
    fn default() -> Self {
        Self { capitals: [1.0; STAKES.len()], squares: 0.0, seen: 0.0 }
    }
}

impl Bets {
    /// The capital after this value.
    fn on(&mut self, value: f64) -> f64 {
        // The scale may use the size of this value: only its sign is the coin.
        self.squares += value * value;
        self.seen += 1.0;
        let relative =
            if self.squares > 0.0 { value / f64::sqrt(self.squares / self.seen) } else { 0.0 };
        for (stake, capital) in STAKES.iter().zip(&mut self.capitals) {
            *capital *= 1.0 + (stake * relative).tanh();
        }
        mean(&self.capitals)
    }
}

/// After how many differences the rule rejects "the true difference lies between minus and plus `bound`" at
/// `alpha`; absent if it does not. For planning: the same bets as [`anytime_p`].
pub(crate) fn rejects_after(
    differences: impl IntoIterator<Item = f64>,
    bound: f64,
    alpha: f64,
) -> Option<usize> {
    let (mut above, mut below) = (Bets::default(), Bets::default());
    differences
        .into_iter()
        .position(|value| 0.5 * (above.on(value - bound) + below.on(-value - bound)) >= 1.0 / alpha)
        .map(|last| last + 1)
}

/// The part of `alpha` that is left for seeds where the images take theirs, and the bound that the images'
/// part of a mean of that variance is given.
pub(crate) fn images_part(alpha: f64, images_alone: f64, image_df: f64) -> (f64, f64) {
    (alpha / 2.0, t_upper(alpha / 4.0, image_df) * images_alone.sqrt())
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
            let values: Vec<f64> = sizes
                .iter()
                .enumerate()
                .map(|(at, size)| if signs >> at & 1 == 0 { *size } else { -size })
                .collect();
            capital(&values)[5]
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
        assert_eq!([1, 2, 4, 8].map(|family| seeds_needed(0.05, family)), [7, 8, 9, 10]);
    }

    #[test]
    fn a_decision_for_planning_is_that_of_the_rule() {
        let differences = [0.02, 0.03, -0.01, 0.04, 0.02, 0.05, 0.01, 0.03, 0.02, 0.04, 0.03];
        for alpha in [0.2, 0.05, 0.01, 0.001] {
            let first = (1..=differences.len())
                .find(|seeds| anytime_p_beyond(&differences[..*seeds], 0.005) <= alpha);
            assert_eq!(rejects_after(differences, 0.005, alpha), first, "{alpha}");
        }
    }

    #[test]
    fn a_margin_much_wider_than_the_differences_is_shown_at_once() {
        let small = [0.001, -0.002, 0.0, 0.001, -0.001, 0.002, 0.001];
        assert!(anytime_equivalence_p(&small, 0.05) < 0.05);
        assert!(anytime_equivalence_p(&small, 0.0005) > 0.05);
    }
}
