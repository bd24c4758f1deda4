//! What validation images the epochs of a fit are measured on.

use crate::batches::Batches;
use crate::lane::Lane;
use crate::random::Purpose;

/// The validation images of one epoch after the other: all of them, or the batches that
/// `validation_steps` asks for.
#[derive(Debug)]
pub struct Looks {
    /// Positions of all of them in their folder.
    all: Vec<i64>,
    /// Where an epoch sees a part of them: an endless stream of batches, and how many of it.
    part: Option<(Batches, u32)>,
}

impl Looks {
    /// Looks at the images at these positions, as `lane` says.
    #[must_use]
    pub fn new(all: Vec<i64>, lane: &Lane<'_>) -> Self {
        let batch_size = lane.config.train.batch_size as usize;
        let batches = all.len().div_ceil(batch_size) as u64;
        let steps = lane.config.train.validation_steps;
        let part = steps.filter(|steps| u64::from(*steps) < batches).map(|steps| {
            let order = lane.source.stream(Purpose::ValidationShuffle);
            (Batches::new(all.len(), batch_size, order), steps)
        });
        Self { all, part }
    }

    /// The images of the next epoch.
    pub fn next_look(&mut self) -> Vec<i64> {
        let Some((batches, steps)) = &mut self.part else { return self.all.clone() };
        let mut seen = Vec::new();
        for _ in 0..*steps {
            let positions = batches.next_batch().iter();
            seen.extend(positions.map(|&position| self.all[position as usize]));
        }
        seen
    }
}
