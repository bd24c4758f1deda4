//! How a sweep becomes configurations, and how often each of them runs.

use std::fmt;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

/// How a sweep becomes configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Strategy {
    /// The baseline, and the baseline with one factor at one other level.
    #[default]
    Ofat,
    /// Every combination of the factors' levels.
    Grid,
    /// Combinations drawn from the factors' levels and ranges.
    Random {
        /// How many; at least 1.
        samples: u32,
        /// How they are drawn.
        sampler: Sampler,
        /// Names the draws.
        seed: u64,
    },
    /// Factor by factor, each on what the factors before it have come to.
    Chain {
        /// When a level takes the incumbent's place.
        switch: Switch,
        /// By which score.
        choose_by: ChooseBy,
    },
}

/// How combinations are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampler {
    /// Each by itself.
    Random,
    /// As Sobol's sequence, scrambled as Owen does: few of them cover the ranges evenly.
    Sobol,
}

/// When a level takes the place of a chain's incumbent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// When it is shown to be better.
    #[default]
    Evidence,
    /// When its mean score is the highest.
    Best,
}

/// The score by which something is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChooseBy {
    /// On validation images; of all training images where there are folds.
    #[default]
    Validation,
    /// On test images: what is chosen then looks better than it is.
    Test,
}

/// How many seeds each configuration has: 1, 2, 3, ...
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "name")]
pub enum Replicates {
    /// So many.
    Fixed {
        /// At least 1.
        seeds: NonZeroU32,
    },
    /// Until there is a verdict.
    UntilDecided {
        /// At least so many.
        min: NonZeroU32,
        /// At most so many; no fewer than `min`.
        max: NonZeroU32,
    },
}

impl Default for Replicates {
    fn default() -> Self {
        Self::Fixed { seeds: NonZeroU32::MIN }
    }
}

impl Replicates {
    /// The fewest and the most seeds that a configuration may get.
    pub fn range(self) -> (u32, u32) {
        match self {
            Self::Fixed { seeds } => (seeds.get(), seeds.get()),
            Self::UntilDecided { min, max } => (min.get(), max.get()),
        }
    }
}

/// `10`, `3 to 30`
impl fmt::Display for Replicates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.range() {
            (min, max) if min == max => write!(f, "{min}"),
            (min, max) => write!(f, "{min} to {max}"),
        }
    }
}
