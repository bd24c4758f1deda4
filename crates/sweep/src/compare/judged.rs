//! The statistics of two sides: those of a report, with the first side in the baseline's place. `sweep compare`
//! and the nights share them.

use std::path::Path;

use stats::compare::{Comparison, Settings, judge};
use stats::difference::{Difference, Replicates, difference};

use super::{WhyNot, known_of};
use crate::report::{Entry, Known};

/// Compares two sides of each row, as `paired` does it for one. Rows share the chance of a false claim by Holm's
/// correction; those that are the same runs on both sides are one comparison, in however many tables they stand. The
/// same run in two folders is two: it may have come to something else there.
pub(crate) fn judged(
    rows: &[[&[&Entry]; 2]],
    settings: &Settings,
    paired: impl Fn(&[&Entry], &[&Entry], &Settings) -> Result<Difference, WhyNot>,
) -> Vec<Result<Comparison, WhyNot>> {
    let mut differences: Vec<([Vec<&Path>; 2], Difference)> = Vec::new();
    let places: Vec<Result<usize, WhyNot>> = rows
        .iter()
        .map(|sides| {
            let difference = paired(sides[0], sides[1], settings)?;
            let runs = sides.map(|side| side.iter().map(|entry| entry.dir.root()).collect());
            let known = differences.iter().position(|(other, _)| *other == runs);
            Ok(known.unwrap_or_else(|| {
                differences.push((runs, difference));
                differences.len() - 1
            }))
        })
        .collect();
    let comparisons = judge(differences.into_iter().map(|(_, one)| one).collect(), settings);
    places.into_iter().map(|place| place.map(|place| comparisons[place].clone())).collect()
}

/// How the number of seeds of these sides came about: where results decided it in one of their rows, all p-values are
/// those that hold however often one looks.
pub(crate) fn replicates(sides: &[[&[&Entry]; 2]]) -> Replicates {
    let mut entries = sides.iter().flatten().flat_map(|side| side.iter());
    match entries.any(|entry| entry.adaptive) {
        true => Replicates::Adaptive,
        false => Replicates::Fixed,
    }
}

/// Second minus first, by the seeds that both have.
///
/// # Errors
/// Why there is none.
pub(crate) fn difference_of(
    from: &[&Entry],
    to: &[&Entry],
    settings: &Settings,
) -> Result<Difference, WhyNot> {
    let finished = |side: &[&Entry]| known_of(side).ok_or(WhyNot::NothingFinished);
    let (before, after): (Known, Known) = (finished(from)?, finished(to)?);
    let on = |side: &[&Entry]| {
        let measured = side.iter().find(|entry| entry.measured().is_some());
        measured.map(|entry| (entry.basis, entry.images()))
    };
    let other_images = before.images.zip(after.images).is_some_and(|(one, other)| one != other);
    if on(from) != on(to) || other_images {
        return Err(WhyNot::OtherImages);
    }
    difference(&after.level, &before.level, 1.0 - settings.alpha, settings.replicates, 0)
        .map_err(|_| WhyNot::NoSeedInCommon)
}

/// Seeds that finished on the first side, and ended without finishing on the second.
pub(crate) fn lost(from: &[&Entry], to: &[&Entry]) -> Vec<u64> {
    let had = |seed| from.iter().any(|entry| entry.seed == seed && entry.finished().is_some());
    let ended_otherwise = |entry: &&&Entry| {
        let settled = entry.result.as_ref().is_some_and(|result| result.outcome.is_settled());
        settled && entry.finished().is_none() && had(entry.seed)
    };
    to.iter().filter(ended_otherwise).map(|entry| entry.seed).collect()
}
