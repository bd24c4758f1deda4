//! Levels that changed nothing.
//!
//! Equal scores may be chance; equal losses, seed by seed, are not: both levels trained the same. A
//! batch larger than the folder or a patience that never ran out is such a case, and a reader who is
//! not told takes two rows for two findings.

use serde::Serialize;

use super::Entry;

/// A level that trained exactly as another one of its factor did, under every seed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alike {
    /// The factor.
    pub factor: String,
    /// The level that stands first in the table.
    pub first: String,
    /// The later levels that gave the same.
    pub others: Vec<String>,
}

/// Groups of levels with the same results. Rows that have not finished under every seed are left out.
pub(super) fn alike(entries: &[Entry]) -> Vec<Alike> {
    let rows: Vec<&[Entry]> = entries
        .chunk_by(|left, right| left.row == right.row)
        .filter(|row| row.iter().all(|entry| entry.finished().is_some()))
        .collect();
    let mut groups: Vec<Alike> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let Some(twin) = rows[..at].iter().find(|earlier| are_alike(earlier, row)) else {
            continue;
        };
        let (first, level) = (&twin[0].level, &row[0].level);
        let factor = &row[0].factor;
        match groups.iter_mut().find(|group| group.factor == *factor && group.first == *first) {
            Some(group) => group.others.push(level.clone()),
            None => groups.push(Alike {
                factor: factor.clone(),
                first: first.clone(),
                others: vec![level.clone()],
            }),
        }
    }
    groups
}

fn are_alike(left: &[Entry], right: &[Entry]) -> bool {
    let same = |(left, right): (&Entry, &Entry)| {
        left.seed == right.seed
            && left.planned.run != right.planned.run
            && left.finished() == right.finished()
    };
    left[0].factor == right[0].factor
        && left.len() == right.len()
        && left.iter().zip(right).all(same)
}
