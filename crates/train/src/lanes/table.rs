//! Features as the kernel reads them.

use super::vector::{TILE, Tile, VECTORS, Vector, WIDTH};

/// What images look like to a head, `[rows, features]`, kept in tiles: the first 128 features of all
/// rows, then the next 128 of all rows, and so on, zeros behind the last feature.
///
/// A step reads the same rows for each tile of features. In this order they lie side by side, where
/// whole rows one after the other would lie a power of two apart and push each other out of the cache.
#[derive(Debug, Clone)]
pub struct Table {
    rows: usize,
    features: usize,
    tiles: Vec<Tile>,
}

impl Table {
    /// So many rows of so many features, at least 1, all of them 0.
    pub fn zeros(rows: usize, features: usize) -> Self {
        let tiles = vec![[Vector::ZERO; VECTORS]; rows * features.div_ceil(TILE)];
        Self { rows, features, tiles }
    }

    /// Of numbers row by row; their count must be a multiple of `features`, at least 1.
    pub fn new(numbers: &[f32], features: usize) -> Self {
        let mut table = Self::zeros(numbers.len() / features, features);
        for (row, numbers) in numbers.chunks_exact(features).enumerate() {
            table.fill(row, numbers);
        }
        table
    }

    /// Fills a row.
    pub fn fill(&mut self, row: usize, numbers: &[f32]) {
        for (tile, numbers) in numbers.chunks(TILE).enumerate() {
            write(&mut self.tiles[tile * self.rows + row], numbers);
        }
    }

    /// How many images there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Numbers in a row.
    pub fn features(&self) -> usize {
        self.features
    }

    /// The rows of each tile of features.
    #[inline(always)]
    pub(super) fn tiles(&self) -> impl Iterator<Item = &[Tile]> {
        // Of no rows there are no tiles.
        self.tiles.chunks_exact(self.rows.max(1))
    }
}

/// Fills a tile from its front.
pub(super) fn write(tile: &mut Tile, numbers: &[f32]) {
    for (vector, numbers) in tile.iter_mut().zip(numbers.chunks(WIDTH)) {
        vector.0[..numbers.len()].copy_from_slice(numbers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_hold_all_rows_side_by_side() {
        let features = TILE + 3;
        let numbers: Vec<f32> = (0..2 * features).map(|number| number as f32).collect();
        let table = Table::new(&numbers, features);
        let tiles: Vec<_> = table.tiles().collect();
        assert_eq!((tiles.len(), tiles[0].len()), (2, 2));
        assert_eq!(tiles[0][0][0].0[15], 15.0);
        assert_eq!(tiles[0][1][7].0[15], (features + TILE - 1) as f32);
        assert_eq!(tiles[1][1][0].0[2], (2 * features - 1) as f32);
        assert_eq!(tiles[1][1][0].0[3], 0.0);
    }
}
