//! What a stage of a chain goes on with.

use crate::compare::Comparison;
use crate::verdict::Verdict;

/// What decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// A level has to be shown to be better than the incumbent.
    Evidence,
    /// The highest mean, noise and all.
    Mean,
}

/// What a stage came to. Numbers are those of comparisons, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// No level can be compared: the incumbent stays.
    Nothing,
    /// No level has a higher mean than the incumbent, which stays.
    Incumbent,
    /// The incumbent stays: the highest mean, that of this level, is not shown to be better.
    NoEvidence(usize),
    /// This level has the highest mean of those that are shown to be better.
    Better(usize),
    /// This level has the highest mean.
    Best(usize),
}

impl Chosen {
    /// The level that takes the incumbent's place.
    pub fn taken(self) -> Option<usize> {
        match self {
            Self::Better(level) | Self::Best(level) => Some(level),
            Self::Nothing | Self::Incumbent | Self::NoEvidence(_) => None,
        }
    }
}

/// What a stage comes to whose levels compare so with its incumbent. Of equal levels it is the first.
pub fn choose(comparisons: &[Comparison], by: By) -> Chosen {
    let best = |is: &dyn Fn(&Comparison) -> bool| {
        let candidates = comparisons.iter().enumerate().filter(|(_, comparison)| is(comparison));
        let best = candidates.rev().max_by(|(_, left), (_, right)| {
            left.difference.estimate.total_cmp(&right.difference.estimate)
        });
        best.map(|(at, _)| at)
    };
    let Some(nearest) = best(&|_| true) else { return Chosen::Nothing };
    if comparisons[nearest].difference.estimate <= 0.0 {
        return Chosen::Incumbent;
    }
    match by {
        By::Mean => Chosen::Best(nearest),
        By::Evidence => match best(&|one| matches!(one.verdict, Verdict::Better(_))) {
            Some(level) => Chosen::Better(level),
            None => Chosen::NoEvidence(nearest),
        },
    }
}
