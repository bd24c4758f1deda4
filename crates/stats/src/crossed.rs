//! A table of seeds by test images, and what of its variance either is to blame for.
//!
//! Every run of a level is tested on the same images, so a score has two sources of chance that cross:
//! another seed would have made another model, and other photographs would have been easier or harder
//! for all of them. The analysis is that of variance with two crossed random factors and one value in
//! each cell (Searle, Casella, McCulloch, Variance Components, 1992, chapter 4).

use serde::Serialize;

/// Values by seed (rows) and image (columns): right (1) or wrong (0), or a contrast of such tables.
#[derive(Debug, Clone, PartialEq)]
pub struct Crossed {
    images: usize,
    cells: Vec<f64>,
}

/// Mean squares of a table of k seeds and n images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MeanSquares {
    /// Between the means of seeds, times n; k - 1 degrees of freedom. 0 at one seed.
    pub seeds: f64,
    /// Between the means of images, times k; n - 1 degrees of freedom. 0 at one image.
    pub images: f64,
    /// What seeds and images do not explain; (k - 1)(n - 1) degrees of freedom.
    pub residual: f64,
}

/// Variances of one cell by their source.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Components {
    /// Between seeds, as over infinitely many images.
    pub seeds: f64,
    /// Between images, as over infinitely many seeds.
    pub images: f64,
    /// Of one seed on one image.
    pub residual: f64,
}

impl Crossed {
    /// A table from its rows, one for each seed. The rows must be of one length, none empty: the
    /// callers in this crate see to it.
    pub(crate) fn from_rows(rows: impl IntoIterator<Item = Vec<f64>>) -> Self {
        let mut images = 0;
        let mut cells = Vec::new();
        for row in rows {
            images = row.len();
            cells.extend(row);
        }
        Self { images, cells }
    }

    /// Number of seeds.
    pub fn seeds(&self) -> usize {
        self.cells.len().checked_div(self.images).unwrap_or(0)
    }

    /// Number of test images.
    pub fn images(&self) -> usize {
        self.images
    }

    /// The values of one seed, by image.
    pub(crate) fn row(&self, seed: usize) -> &[f64] {
        &self.cells[seed * self.images..(seed + 1) * self.images]
    }

    /// Mean over seeds and images.
    pub fn mean(&self) -> f64 {
        mean(&self.cells)
    }

    /// Mean over images, for each seed.
    pub fn seed_means(&self) -> Vec<f64> {
        self.cells.chunks(self.images).map(mean).collect()
    }

    /// Mean over seeds, for each image.
    pub fn image_means(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.images];
        for row in self.cells.chunks(self.images) {
            for (sum, cell) in sums.iter_mut().zip(row) {
                *sum += cell;
            }
        }
        let seeds = self.seeds() as f64;
        sums.into_iter().map(|sum| sum / seeds).collect()
    }

    /// Whether every cell is zero.
    pub(crate) fn is_zero(&self) -> bool {
        self.cells.iter().all(|cell| *cell == 0.0)
    }

    /// The analysis of variance.
    pub fn mean_squares(&self) -> MeanSquares {
        let (k, n) = (self.seeds() as f64, self.images as f64);
        let centre = self.mean();
        let square = |values: &[f64]| -> f64 {
            values.iter().map(|value| (value - centre) * (value - centre)).sum()
        };
        let seeds = n * square(&self.seed_means());
        let images = k * square(&self.image_means());
        // A sum of squares that is 0 but for rounding must not become negative.
        let residual = (square(&self.cells) - seeds - images).max(0.0);
        let per = |sum: f64, df: f64| if df > 0.0 { sum / df } else { 0.0 };
        MeanSquares {
            seeds: per(seeds, k - 1.0),
            images: per(images, n - 1.0),
            residual: per(residual, (k - 1.0) * (n - 1.0)),
        }
    }

    /// Variance components by the method of moments; negative estimates are cut at 0.
    pub fn components(&self) -> Components {
        let squares = self.mean_squares();
        let (k, n) = (self.seeds() as f64, self.images as f64);
        Components {
            seeds: (squares.seeds - squares.residual).max(0.0) / n,
            images: (squares.images - squares.residual).max(0.0) / k,
            residual: squares.residual,
        }
    }
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Variance with n - 1 in the denominator; 0 of a single value.
pub(crate) fn variance(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let centre = mean(values);
    values.iter().map(|value| (value - centre) * (value - centre)).sum::<f64>()
        / (values.len() - 1) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_additive_table_has_no_residual() {
        let rows = [vec![0.0, 1.0, 3.0], vec![1.0, 2.0, 4.0]];
        let squares = Crossed::from_rows(rows).mean_squares();
        assert!((squares.seeds - 1.5).abs() < 1e-12);
        assert!(squares.residual.abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn sums_of_squares_add_up(cells in prop::collection::vec(0..2u8, 12)) {
            let cells: Vec<f64> = cells.into_iter().map(f64::from).collect();
            let table = Crossed::from_rows(cells.chunks(4).map(<[f64]>::to_vec));
            let squares = table.mean_squares();
            let total = squares.seeds * 2.0 + squares.images * 3.0 + squares.residual * 6.0;
            prop_assert!((total - variance(&cells) * 11.0).abs() < 1e-9);
        }
    }
}
