//! The order in which training images are seen.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// An endless stream of batches: pass after pass over the images, each in a fresh random order.
///
/// As in Keras's directory iterator the last batch of a pass is short: 40 images in batches of 32 come
/// as 32, 8, 32, 8, ...
/// <https://github.com/keras-team/keras/blob/master/keras/src/legacy/preprocessing/image.py>
#[derive(Debug)]
pub struct Batches {
    order: Vec<i64>,
    next: usize,
    batch_size: usize,
    begun: u64,
    rng: ChaCha8Rng,
}

impl Batches {
    /// Batches of `batch_size`, at least 1, of `images` images, at least 1.
    pub fn new(images: usize, batch_size: usize, rng: ChaCha8Rng) -> Self {
        Self { order: (0..images as i64).collect(), next: images, batch_size, begun: 0, rng }
    }

    /// Positions of the next batch's images.
    pub fn next_batch(&mut self) -> &[i64] {
        if self.next >= self.order.len() {
            self.order.shuffle(&mut self.rng);
            self.next = 0;
            self.begun += 1;
        }
        let start = self.next;
        self.next = (start + self.batch_size).min(self.order.len());
        &self.order[start..self.next]
    }

    /// The pass that the last batch belongs to, counted from 0.
    pub fn pass(&self) -> u64 {
        self.begun.saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::{Purpose, stream};

    #[test]
    fn the_last_batch_of_a_pass_is_short() {
        let mut batches = Batches::new(40, 32, stream(1, Purpose::Shuffle));
        let sizes: Vec<_> = (0..5).map(|_| (batches.next_batch().len(), batches.pass())).collect();
        assert_eq!(sizes, [(32, 0), (8, 0), (32, 1), (8, 1), (32, 2)]);
    }

    proptest! {
        #[test]
        fn each_pass_holds_every_image_once(images in 1usize..50, batch in 1usize..60, seed: u64) {
            let mut batches = Batches::new(images, batch, stream(seed, Purpose::Shuffle));
            for _ in 0..3 {
                let mut pass = Vec::new();
                while pass.len() < images {
                    pass.extend_from_slice(batches.next_batch());
                }
                pass.sort_unstable();
                prop_assert_eq!(pass, (0..images as i64).collect::<Vec<_>>());
            }
        }
    }
}
