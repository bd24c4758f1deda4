//! What can be said of two trained models: on their test images, never about their settings.

use serde::Serialize;
use statrs::distribution::{Binomial, DiscreteCDF as _};
use statrs::function::factorial::ln_binomial;

use crate::interval::Interval;

/// The p-value of "both models are equally good", and the test that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "test", rename_all = "snake_case")]
pub enum Models {
    /// McNemar's exact test: the images that only one of them classified right.
    McNemar {
        /// Images that only the level's model got right.
        gained: u64,
        /// Images that only the baseline's model got right.
        lost: u64,
        /// Two-sided.
        p: f64,
    },
    /// Fisher's exact test of two counts, where nobody knows which images were right. Both models saw the
    /// same images, so it is cautious: it cannot use that.
    Fisher {
        /// Two-sided.
        p: f64,
    },
}

impl Models {
    /// The p-value.
    pub fn p(&self) -> f64 {
        match self {
            Self::McNemar { p, .. } | Self::Fisher { p } => *p,
        }
    }
}

/// McNemar's exact test (Psychometrika 12, 1947): images that both models got right or both wrong say
/// nothing; of the others either model should have half.
pub fn mcnemar(gained: u64, lost: u64) -> Models {
    let p = match Binomial::new(0.5, gained + lost) {
        Ok(fair) => (2.0 * fair.cdf(gained.min(lost))).min(1.0),
        Err(_) => unreachable!("one half is a probability"),
    };
    Models::McNemar { gained, lost, p }
}

/// Fisher's exact test of `right` of `images` against `baseline_right` of `baseline_images`, two-sided:
/// all tables at most as probable as the observed one (Fisher, Statistical Methods for Research
/// Workers, 5th edition, 1934, section 21.02).
pub fn fisher(
    (right, images): (u64, u64),
    (baseline_right, baseline_images): (u64, u64),
) -> Models {
    let all_right = right + baseline_right;
    let log_weight = |x: u64| ln_binomial(images, x) + ln_binomial(baseline_images, all_right - x);
    let observed = log_weight(right);
    let fewest = all_right.saturating_sub(baseline_images);
    let weights = (fewest..=images.min(all_right)).map(|x| log_weight(x) - observed);
    let (mut extreme, mut total) = (0.0, 0.0);
    for weight in weights {
        total += weight.exp();
        // Equal but for rounding is equal.
        if weight <= 1e-7 {
            extreme += weight.exp();
        }
    }
    Models::Fisher { p: (extreme / total).min(1.0) }
}

/// The interval of the difference of two independent shares (Newcombe, Statistics in Medicine 17, 1998,
/// method 10): Wilson's intervals of both, squared and added.
pub fn newcombe(
    (right, images): (u64, u64),
    (baseline_right, baseline_images): (u64, u64),
    confidence: f64,
) -> Interval {
    let (p, own) = (right as f64 / images as f64, wilson(right, images, confidence));
    let (q, base) = (
        baseline_right as f64 / baseline_images as f64,
        wilson(baseline_right, baseline_images, confidence),
    );
    Interval {
        low: p - q - (p - own.low).hypot(base.high - q),
        high: p - q + (own.high - p).hypot(q - base.low),
    }
}

fn wilson(right: u64, images: u64, confidence: f64) -> Interval {
    let z = crate::distribution::t_upper(0.5 * (1.0 - confidence), f64::INFINITY);
    let (n, p) = (images as f64, right as f64 / images as f64);
    let scale = 1.0 + z * z / n;
    let centre = (p + z * z / (2.0 * n)) / scale;
    let half_width = z / scale * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    Interval { low: centre - half_width, high: centre + half_width }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_that_agree_everywhere_do_not_differ() {
        assert_eq!(mcnemar(0, 0).p(), 1.0);
        assert!((mcnemar(6, 0).p() - 2.0 / 64.0).abs() < 1e-12);
        assert!((fisher((441, 744), (441, 744)).p() - 1.0).abs() < 1e-12);
        assert!((fisher((0, 5), (0, 5)).p() - 1.0).abs() < 1e-12);
    }
}
