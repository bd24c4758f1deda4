//! A night's rows beside those of the night that they are compared with.
//!
//! The statistics are those of a sweep's report, with the earlier night in the baseline's place: the same
//! row under the same seeds on the same images. All rows of a night share one chance of a false alarm.

use spec::nightly::Regression;
use spec::run_id::RunId;
use stats::compare::{Comparison, Settings, judge};
use stats::difference::{Difference, Replicates, difference};
use stats::verdict::Verdict;

use super::record::{RowNight, RowOutcome};
use crate::report::{Basis, Entry, Known, known, measured};

/// A sweep's entries in a night, and in the night that it is compared with.
#[derive(Debug, Clone, Default)]
pub struct Pair {
    /// In this night.
    pub now: Vec<Entry>,
    /// In that one; absent while there is none.
    pub before: Option<Vec<Entry>>,
}

/// The runs of a row in this night, and in that one.
type SameRuns = (Vec<RunId>, Vec<RunId>);

/// The rows of each pair.
pub fn compare(pairs: &[Pair], regression: &Regression) -> Vec<Vec<RowNight>> {
    let pairs: Vec<Vec<(Side<'_>, Option<Side<'_>>)>> = pairs.iter().map(rows).collect();
    // Rows of several sweeps may be the same runs: those are compared once.
    let mut differences: Vec<(SameRuns, Difference)> = Vec::new();
    let places: Vec<Vec<Option<usize>>> = pairs
        .iter()
        .map(|rows| {
            let place = |(now, before): &(Side<'_>, Option<Side<'_>>)| {
                let before = before.as_ref()?;
                let difference = now.beside(before, 1.0 - regression.alpha)?;
                let key = (now.runs(), before.runs());
                let known = differences.iter().position(|(other, _)| *other == key);
                Some(known.unwrap_or_else(|| {
                    differences.push((key, difference));
                    differences.len() - 1
                }))
            };
            rows.iter().map(place).collect()
        })
        .collect();
    let settings = Settings {
        alpha: regression.alpha,
        margin: (regression.margin > 0.0).then_some(regression.margin),
        ..Settings::default()
    };
    let differences = differences.into_iter().map(|(_, difference)| difference).collect();
    let comparisons = judge(differences, &settings);
    let row = |((now, before), place): (&(Side<'_>, Option<Side<'_>>), &Option<usize>)| {
        let comparison = place.and_then(|place| comparisons.get(place));
        now.row(before.as_ref(), comparison, regression)
    };
    pairs
        .iter()
        .zip(&places)
        .map(|(rows, places)| rows.iter().zip(places).map(row).collect())
        .collect()
}

/// What is known of one row in one night.
struct Side<'a> {
    entries: Vec<&'a Entry>,
    known: Option<Known>,
    /// Whether there is a night to compare with at all.
    first: bool,
}

/// A row's entries and what is known of them; none without entries.
fn side<'a>(entries: impl Iterator<Item = &'a Entry>) -> Option<(Vec<&'a Entry>, Option<Known>)> {
    let entries: Vec<&Entry> = entries.collect();
    let measured: Vec<_> = entries.iter().filter_map(|entry| measured(entry)).collect();
    let known = known(&measured, None);
    (!entries.is_empty()).then_some((entries, known))
}

/// The rows of a pair: in this night, and in that one if it has such a row.
fn rows(pair: &Pair) -> Vec<(Side<'_>, Option<Side<'_>>)> {
    let numbers = pair.now.iter().map(|entry| entry.row + 1).max().unwrap_or(0);
    (0..numbers)
        .filter_map(|number| {
            let (entries, known) = side(pair.now.iter().filter(|entry| entry.row == number))?;
            let first = entries.first().copied()?;
            let is_it = |other: &&Entry| {
                (other.stage, &other.factor, &other.level)
                    == (first.stage, &first.factor, &first.level)
            };
            let before = pair.before.as_ref().and_then(|before| {
                let row = before.iter().find(is_it)?.row;
                let (entries, known) = side(before.iter().filter(|entry| entry.row == row))?;
                Some(Side { entries, known, first: false })
            });
            Some((Side { entries, known, first: pair.before.is_none() }, before))
        })
        .collect()
}

impl Side<'_> {
    fn runs(&self) -> Vec<RunId> {
        self.entries.iter().map(|entry| entry.planned.run).collect()
    }

    /// What it is measured on; none while nothing has finished.
    fn measured_on(&self) -> Option<(Basis, Option<u64>)> {
        self.entries.iter().find_map(|entry| Some((entry.basis?, entry.images())))
    }

    fn beside(&self, before: &Self, confidence: f64) -> Option<Difference> {
        let (now, then) = (self.known.as_ref()?, before.known.as_ref()?);
        if self.measured_on() != before.measured_on() {
            return None;
        }
        if let (Some(images), Some(others)) = (now.images, then.images)
            && images != others
        {
            return None;
        }
        // Without a seed in common there is nothing to say.
        difference(&now.level, &then.level, confidence, Replicates::Fixed, 0).ok()
    }

    fn mean(&self) -> Option<f64> {
        let scores: Vec<f64> = self.entries.iter().filter_map(|entry| entry.measured()).collect();
        (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
    }

    fn row(
        &self,
        before: Option<&Self>,
        comparison: Option<&Comparison>,
        regression: &Regression,
    ) -> RowNight {
        let lost = before.map_or(0, |before| self.lost(before));
        let (outcome, words) = match comparison {
            Some(comparison) => outcome(&comparison.verdict),
            None if self.first => (RowOutcome::First, "nothing to compare with yet".to_owned()),
            None if before.is_none() => (RowOutcome::New, "new".to_owned()),
            None => (RowOutcome::NotComparable, not_comparable(self, before).to_owned()),
        };
        let is_worse = comparison.is_some_and(|comparison| {
            let loss = -comparison.difference.estimate;
            matches!(comparison.verdict, Verdict::Worse(claim) if !claim.within_margin)
                && loss > regression.margin
        });
        let entry = self.entries.first();
        RowNight {
            factor: entry.map(|entry| entry.factor.clone()).unwrap_or_default(),
            level: entry.map(|entry| entry.level.clone()).unwrap_or_default(),
            baseline: entry.is_some_and(|entry| entry.baseline),
            seeds: self.entries.len(),
            finished: self.entries.iter().filter(|entry| entry.finished().is_some()).count(),
            lost,
            score: self.mean(),
            before: before.and_then(Self::mean),
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

    /// Seeds that finished `before` and ended otherwise now.
    fn lost(&self, before: &Self) -> usize {
        let had = |seed| {
            before.entries.iter().any(|entry| entry.seed == seed && entry.finished().is_some())
        };
        let ended_otherwise = |entry: &&&Entry| {
            let settled = entry.result.as_ref().is_some_and(|result| result.outcome.is_settled());
            settled && entry.finished().is_none() && had(entry.seed)
        };
        self.entries.iter().filter(ended_otherwise).count()
    }
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

fn not_comparable(now: &Side<'_>, before: Option<&Side<'_>>) -> &'static str {
    match (now.measured_on(), before.and_then(Side::measured_on)) {
        (None, _) => "nothing has finished",
        (_, None) => "nothing had finished",
        (Some((Basis::Nothing, _)), _) => "there is no score",
        _ => "measured on other images",
    }
}
