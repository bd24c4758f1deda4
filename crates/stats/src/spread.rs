//! How far a mean may lie from the truth, by seeds and by images.

use crate::crossed::{Crossed, mean, variance};
use crate::distribution::{chi_squared_nodes, falls_to, t_tail};

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
    /// The part of `by_images` that images alone have by what was found, without what is added for the images
    /// that were not seen.
    images_found: f64,
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
        let images_found = (by_images - residual).max(0.0);
        Self { by_seeds, residual, by_images, images_found, seed_df, image_df, nodes }
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
        let spread = Self::new(
            (squares.seeds / cells, seed_df),
            squares.residual / cells,
            (images.max(squares.residual) / cells, (n - 1.0).max(1.0)),
        );
        let images_found = (squares.images - squares.residual).max(0.0) / cells;
        Self { images_found, ..spread }
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

    /// With other variances, for planning: of the mean by the spread of seed means, which contains
    /// `residual`, and of the images alone.
    pub(crate) fn planned(
        seeds: usize,
        (by_seeds, residual): (f64, f64),
        (images_alone, image_df): (f64, f64),
    ) -> Self {
        let seed_df = (seeds > 1).then_some(seeds as f64 - 1.0);
        Self::new((by_seeds, seed_df), residual, (images_alone + residual, image_df))
    }

    /// The same with another variance by the spread of seed means.
    pub(crate) fn with_seeds(&self, by_seeds: f64) -> Self {
        Self { by_seeds, ..self.clone() }
    }

    /// Variance of the mean by the spread of seed means, and the part of it that seeds and images do not
    /// explain.
    pub(crate) fn by_seeds(&self) -> (f64, f64) {
        (self.by_seeds, self.residual)
    }

    /// The variance that no number of seeds takes away.
    pub(crate) fn images_alone(&self) -> f64 {
        (self.by_images - self.residual).max(0.0)
    }

    /// The part of [`Spread::images_alone`] that was found, without what is added for images not seen.
    pub(crate) fn images_found(&self) -> f64 {
        self.images_found
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
        falls_to(tail, 2.0 * sd, |distance| self.tail(distance))
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
