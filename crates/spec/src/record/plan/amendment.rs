//! Plans that were changed after results existed.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::Plan;
use crate::sweep::Replicates;

/// A change of how much a sweep compares, made when some of it had results: whoever made it may have seen them, and
/// a p-value does not allow for that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amendment {
    /// When the plan was written that has it, in RFC 3339, UTC.
    pub at: String,
    /// Runs of the plan before that had results then.
    pub results: usize,
    /// Seeds of each row before and after, where a number that was set beforehand became another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seeds: Option<[u32; 2]>,
    /// Rows compared with a baseline before and after, where they became more or fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparisons: Option<[usize; 2]>,
}

impl Amendment {
    /// What `now` changes of `before`, of whose runs so many have `results`; absent where nothing of the kind, or where
    /// the two have no run in common and so are two studies. An adaptive sweep's own seeds are no change, and
    /// neither is another maximum: its rule allows for both.
    pub fn of(before: &Plan, now: &Plan, results: usize, at: String) -> Option<Self> {
        let fixed = |plan: &Plan| match plan.replicates {
            Replicates::Fixed { seeds } => Some(seeds.get()),
            Replicates::UntilDecided { .. } => None,
        };
        let seeds = match (fixed(before), fixed(now)) {
            (Some(before), Some(now)) if before != now => Some([before, now]),
            _ => None,
        };
        let comparisons = [before.comparisons, now.comparisons];
        let comparisons = (comparisons[0] != comparisons[1]).then_some(comparisons);
        let known: HashSet<_> = before.runs().iter().map(|run| run.run).collect();
        let shares = now.runs().iter().any(|run| known.contains(&run.run));
        let amends = results > 0 && shares && (seeds.is_some() || comparisons.is_some());
        amends.then_some(Self { at, results, seeds, comparisons })
    }
}
