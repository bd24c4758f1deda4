//! A night's rows beside those of the night that they are compared with.
//!
//! The statistics are those of `sweep compare`: the same row under the same seeds on the same images. All rows
//! of a night share one chance of a false alarm.

use spec::nightly::Regression;
use stats::compare::{Comparison, Settings};
use stats::verdict::Verdict;

use super::record::{RowNight, RowOutcome};
use crate::compare::{WhyNot, difference_of, judged, lost, replicates};
use crate::report::Entry;

/// A sweep's entries in a night, and in the night that it is compared with.
#[derive(Debug, Clone, Default)]
pub struct Pair {
    /// In this night.
    pub now: Vec<Entry>,
    /// In that one; absent while there is none.
    pub before: Option<Vec<Entry>>,
    /// Whether the machine was broken: then runs are lost to it, which says nothing of what they compute.
    pub broken: bool,
}

/// A row in this night, and in that one if it has such a row.
struct Row<'a> {
    now: Vec<&'a Entry>,
    before: Option<Vec<&'a Entry>>,
    /// Whether there is no night to compare with at all.
    first: bool,
}

/// The rows of each pair.
pub fn compare(pairs: &[Pair], regression: &Regression) -> Vec<Vec<RowNight>> {
    let rows: Vec<Vec<Row<'_>>> = pairs.iter().map(rows).collect();
    let sides: Vec<[&[&Entry]; 2]> =
        rows.iter().flatten().filter_map(|row| Some([row.before.as_deref()?, &row.now])).collect();
    let settings = Settings {
        alpha: regression.alpha,
        margin: (regression.margin > 0.0).then_some(regression.margin),
        replicates: replicates(&sides),
        outlook: false,
        ..Settings::default()
    };
    // Random weights tell as well as others whether anything has changed.
    let mut judged = judged(&sides, &settings, difference_of).into_iter();
    let mut night = |row: &Row<'_>, regression: &Regression| {
        let compared = row.before.as_ref().and_then(|_| judged.next());
        row.night(compared, regression)
    };
    let of_pair = |(pair, rows): (&Pair, &Vec<Row<'_>>)| {
        let lost_runs = regression.lost_runs && !pair.broken;
        let regression = Regression { lost_runs, ..*regression };
        rows.iter().map(|row| night(row, &regression)).collect()
    };
    pairs.iter().zip(&rows).map(of_pair).collect()
}

fn rows(pair: &Pair) -> Vec<Row<'_>> {
    let numbers = pair.now.iter().map(|entry| entry.row + 1).max().unwrap_or(0);
    (0..numbers)
        .filter_map(|number| {
            let now = of_row(&pair.now, number);
            let first = *now.first()?;
            let key = |entry: &&Entry| (entry.stage, entry.factor.clone(), entry.level.clone());
            let before = pair.before.as_ref().and_then(|before| {
                let row = before.iter().find(|other| key(other) == key(&first))?.row;
                Some(of_row(before, row))
            });
            Some(Row { now, before, first: pair.before.is_none() })
        })
        .collect()
}

fn of_row(entries: &[Entry], row: u32) -> Vec<&Entry> {
    entries.iter().filter(|entry| entry.row == row).collect()
}

impl Row<'_> {
    fn night(
        &self,
        compared: Option<Result<Comparison, WhyNot>>,
        regression: &Regression,
    ) -> RowNight {
        let before = self.before.as_deref();
        let lost = before.map_or(0, |before| lost(before, &self.now).len());
        let (outcome, words) = match &compared {
            Some(Ok(_)) if before.is_some_and(|before| are_the_same(before, &self.now)) => {
                (RowOutcome::Same, "the same".to_owned())
            }
            Some(Ok(comparison)) => outcome(&comparison.verdict),
            Some(Err(why_not)) => (RowOutcome::NotComparable, why_not.words().to_owned()),
            None if self.first => (RowOutcome::First, "nothing to compare with yet".to_owned()),
            None => (RowOutcome::New, "new".to_owned()),
        };
        let comparison = compared.and_then(Result::ok);
        let comparison = comparison.as_ref();
        let is_worse = comparison.is_some_and(|comparison| {
            let loss = -comparison.difference.estimate;
            matches!(comparison.verdict, Verdict::Worse(claim) if !claim.within_margin)
                && loss > regression.margin
        });
        let entry = self.now.first();
        RowNight {
            factor: entry.map(|entry| entry.factor.clone()).unwrap_or_default(),
            level: entry.map(|entry| entry.level.clone()).unwrap_or_default(),
            baseline: entry.is_some_and(|entry| entry.baseline),
            seeds: self.now.len(),
            finished: self.now.iter().filter(|entry| entry.finished().is_some()).count(),
            lost,
            score: mean(&self.now),
            before: before.and_then(mean),
            difference: comparison.map(|comparison| comparison.difference.estimate),
            interval: comparison
                .and_then(|comparison| comparison.difference.interval)
                .map(|interval| (interval.low, interval.high)),
            p: comparison.and_then(|comparison| comparison.p),
            outcome,
            words,
            regression: is_worse || (lost > 0 && regression.lost_runs),
        }
    }
}

/// Whether the same seeds came to the same on both sides, to the last digit of everything that runs tell. Equal scores
/// of other work could tie by chance; the same work with the same results has not changed.
fn are_the_same(before: &[&Entry], now: &[&Entry]) -> bool {
    let told = |entry: &&Entry| Some((entry.seed, entry.finished()?.clone()));
    let [before, now] = [before, now].map(|side| side.iter().map(told).collect::<Option<Vec<_>>>());
    before.is_some() && before == now
}

/// The mean score of those that have one.
fn mean(entries: &[&Entry]) -> Option<f64> {
    let scores: Vec<f64> = entries.iter().filter_map(|entry| entry.measured()).collect();
    (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
}

fn outcome(verdict: &Verdict) -> (RowOutcome, String) {
    match verdict {
        Verdict::Better(_) => (RowOutcome::Better, verdict.to_string()),
        Verdict::Worse(_) => (RowOutcome::Worse, verdict.to_string()),
        Verdict::Equivalent { .. } => (RowOutcome::NoEvidence, verdict.to_string()),
        Verdict::NoEvidence { .. } => {
            (RowOutcome::NoEvidence, "no evidence of a change".to_owned())
        }
        Verdict::TooFewSeeds { .. } => (RowOutcome::TooFewSeeds, verdict.to_string()),
        Verdict::Alike => (RowOutcome::Same, "the same".to_owned()),
    }
}
