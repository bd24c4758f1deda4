//! The pigeonhole bootstrap (Owen, Annals of Applied Statistics 1, 2007): seeds and images are drawn
//! anew, each with replacement.
//!
//! It serves where a formula has no answer, as for the best of several levels. Intervals are not made with
//! it: with few seeds its percentiles lie too close together, and it counts what seeds and images do
//! not explain three times.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Means of tables of runs by image, for each draw of seeds and images: the same seeds and images for all
/// tables. The tables must have the same numbers of runs and images, none of them 0.
pub(crate) fn pigeonhole(tables: &[Vec<&[f64]>], draws: u32, seed: u64) -> Vec<Vec<f64>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (seeds, images) = (tables[0].len(), tables[0][0].len());
    (0..draws)
        .map(|_| {
            let seed_counts = counts(&mut rng, seeds);
            let image_counts = counts(&mut rng, images);
            tables.iter().map(|table| weighted(table, &seed_counts, &image_counts)).collect()
        })
        .collect()
}

fn weighted(table: &[&[f64]], seed_counts: &[f64], image_counts: &[f64]) -> f64 {
    let row = |run: &[f64]| -> f64 {
        run.iter().zip(image_counts).map(|(cell, count)| cell * count).sum()
    };
    let total: f64 = table.iter().zip(seed_counts).map(|(run, count)| count * row(run)).sum();
    total / (seed_counts.len() * image_counts.len()) as f64
}

/// How often each of `size` things is drawn in `size` draws with replacement.
fn counts(rng: &mut ChaCha8Rng, size: usize) -> Vec<f64> {
    let mut counts = vec![0.0; size];
    for _ in 0..size {
        counts[rng.random_range(0..size)] += 1.0;
    }
    counts
}
