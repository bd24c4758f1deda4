//! How far a mean may lie from the truth, by seeds and by images.

use crate::crossed::{Crossed, mean, variance};
use crate::distribution::{chi_squared_nodes, t_tail};

/// Estimated variances of a mean, by their source, and how well each is known.
///
/// With few seeds the usual recipe (one variance, Satterthwaite's degrees of freedom) is too short: when
/// the seeds happen to agree, it believes them. Instead the error is given the generalised distribution
/// of Weerahandi (Journal of the American Statistical Association 88, 1993; for two-way models Park and
/// Burdick, Communications in Statistics - Simulation 32, 2003): Z sqrt(V*), where V* is the variance
/// with the seeds' mean square divided by a chi-squared variable over its degrees of freedom. Without
/// images that is exactly Student's t; without seeds it is the t of the images.
#[derive(Debug, Clone)]
pub(crate) struct Spread {
    /// Variance of the mean by the spread of seed means; it contains `residual`.
    by_seeds: f64,
    /// The part of `by_seeds` that `by_images` contains too.
    residual: f64,
    /// Variance of the mean by the spread of image means.
    by_images: f64,
    /// Degrees of freedom of `by_seeds`; none at one seed.
    seed_df: Option<f64>,
    /// Degrees of freedom of `by_images`; infinite where it is not estimated.
    image_df: f64,
    nodes: Vec<(f64, f64)>,
}

impl Spread {
    fn new(
        (by_seeds, seed_df): (f64, Option<f64>),
        residual: f64,
        (by_images, image_df): (f64, f64),
    ) -> Self {
        let nodes = seed_df.map_or_else(|| vec![(1.0, 1.0)], chi_squared_nodes);
        Self { by_seeds, residual, by_images, seed_df, image_df, nodes }
    }

    /// Of the mean of a table. `reach` adds two images to the estimate of the images' variance, one that
    /// speaks for a mean of plus and one for a mean of minus `reach`: levels that differ on no image
    /// of forty may differ on the next one (in the spirit of Agresti and Min, Statistics in Medicine
    /// 24, 2005).
    pub(crate) fn of_table(table: &Crossed, reach: f64) -> Self {
        let squares = table.mean_squares();
        let (k, n) = (table.seeds() as f64, table.images() as f64);
        let images = if reach > 0.0 {
            (squares.images * (n - 1.0) + 2.0 * k * reach * reach) / (n + 1.0)
        } else {
            squares.images
        };
        let cells = k * n;
        let seed_df = (k > 1.0).then_some(k - 1.0);
        Self::new(
            (squares.seeds / cells, seed_df),
            squares.residual / cells,
            (images.max(squares.residual) / cells, (n - 1.0).max(1.0)),
        )
    }

    /// Of the mean of one value for each seed; `by_images` is the variance that the images add, known
    /// or an upper bound.
    pub(crate) fn of_seeds(values: &[f64], by_images: f64) -> Self {
        let k = values.len() as f64;
        let seed_df = (k > 1.0).then_some(k - 1.0);
        Self::new((variance(values) / k, seed_df), 0.0, (by_images, f64::INFINITY))
    }

    /// The variance of the mean.
    pub(crate) fn variance(&self) -> f64 {
        (self.by_seeds - self.residual).max(0.0) + self.by_images
    }

    /// Satterthwaite's degrees of freedom of [`Spread::variance`], for planning.
    pub(crate) fn df(&self) -> f64 {
        let seeds = self.seed_df.map_or(0.0, |df| self.by_seeds * self.by_seeds / df);
        let images = self.by_images * self.by_images / self.image_df;
        let total = self.variance();
        if seeds + images > 0.0 {
            (total * total / (seeds + images)).max(1.0)
        } else {
            f64::INFINITY
        }
    }

    /// Variance and degrees of freedom with `wanted` seeds in place of `seeds`, on the same number of
    /// images.
    pub(crate) fn planned(&self, seeds: usize, wanted: usize) -> (f64, f64) {
        let scale = seeds as f64 / wanted as f64;
        let residual = self.residual * scale;
        let by_seeds = self.by_seeds.max(self.residual) * scale;
        let by_images = self.images_alone() + residual;
        let planned = Self {
            by_seeds,
            residual,
            by_images,
            seed_df: Some(wanted as f64 - 1.0),
            image_df: self.image_df,
            nodes: Vec::new(),
        };
        (planned.variance(), planned.df())
    }

    /// The variance that no number of seeds takes away.
    pub(crate) fn images_alone(&self) -> f64 {
        (self.by_images - self.residual).max(0.0)
    }

    /// Degrees of freedom of the images' variance; infinite where it is not estimated.
    pub(crate) fn image_df(&self) -> f64 {
        self.image_df
    }

    /// Probability that the mean lies more than `distance` above the truth.
    pub(crate) fn tail(&self, distance: f64) -> f64 {
        let df = self.seed_df.unwrap_or(1.0);
        self.nodes
            .iter()
            .map(|(w, weight)| {
                let seeds = (self.by_seeds * df / w - self.residual).max(0.0);
                let seeds = if self.seed_df.is_some() { seeds } else { 0.0 };
                let sd = (seeds + self.by_images).sqrt();
                weight
                    * match sd > 0.0 {
                        true => t_tail(distance / sd, self.image_df),
                        false if distance > 0.0 => 0.0,
                        false if distance < 0.0 => 1.0,
                        false => 0.5,
                    }
            })
            .sum()
    }

    /// The two-sided p-value of a mean that far from the truth.
    pub(crate) fn p(&self, distance: f64) -> f64 {
        (2.0 * self.tail(distance.abs())).min(1.0)
    }

    /// The distance that the mean exceeds with probability `tail` (below one half) on either side.
    pub(crate) fn half_width(&self, tail: f64) -> f64 {
        let sd = self.variance().max(self.by_seeds).sqrt();
        if sd == 0.0 {
            return 0.0;
        }
        let (mut low, mut high) = (0.0, 2.0 * sd);
        while self.tail(high) > tail {
            low = high;
            high *= 2.0;
        }
        // The Illinois method (Dowell, Jarratt, BIT 11, 1971) on the logarithm of the tail.
        let gap = |distance: f64| (self.tail(distance).max(1e-300) / tail).ln();
        let (mut at_low, mut at_high) = (gap(low), gap(high));
        for _ in 0..60 {
            let next = (low * at_high - high * at_low) / (at_high - at_low);
            let at_next = gap(next);
            if at_next.abs() < 1e-10 {
                return next;
            }
            if (at_next > 0.0) == (at_low > 0.0) {
                (low, at_low) = (next, at_next);
                at_high *= 0.5;
            } else {
                (high, at_high) = (next, at_next);
                at_low *= 0.5;
            }
        }
        0.5 * (low + high)
    }
}

/// Mean and spread of one value for each seed.
pub(crate) fn of_values(values: &[f64]) -> (f64, Spread) {
    (mean(values), Spread::of_seeds(values, 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::t_upper;

    #[test]
    fn without_images_it_is_the_t_interval() {
        for values in [vec![0.1, 0.2, 0.4], vec![0.6, 0.61, 0.58, 0.7, 0.66]] {
            let k = values.len() as f64;
            let (_, spread) = of_values(&values);
            let expected = t_upper(0.025, k - 1.0) * (variance(&values) / k).sqrt();
            assert!((spread.half_width(0.025) / expected - 1.0).abs() < 1e-7);
        }
    }

    #[test]
    fn with_one_seed_it_is_the_t_interval_over_images() {
        let row: Vec<f64> = (0..50).map(|i| f64::from(i % 5 == 0)).collect();
        let spread = Spread::of_table(&Crossed::from_rows([row.clone()]), 0.0);
        let expected = t_upper(0.025, 49.0) * (variance(&row) / 50.0).sqrt();
        assert!((spread.half_width(0.025) / expected - 1.0).abs() < 1e-7);
    }
}
