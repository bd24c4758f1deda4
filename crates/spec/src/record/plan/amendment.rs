//! Plans that were changed after results existed.

use std::collections::HashSet;
use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::{Plan, PlanRow, is_false};
use crate::run_id::RunId;
use crate::sweep::{Replicates, Setting};

/// A change of what a sweep compares, made when some of it had results: whoever made it may have seen them, and a
/// p-value does not allow for that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "AnyAmendment")]
pub struct Amendment {
    /// When the plan was written that has it, in RFC 3339, UTC.
    pub at: String,
    /// Runs of the plan before that had results then.
    pub results: usize,
    /// What was changed; never empty.
    pub changes: Vec<Amended>,
}

/// An amendment as any version wrote it: plans of version 2 had two kinds, each in a field of its own.
#[derive(Deserialize)]
struct AnyAmendment {
    at: String,
    results: usize,
    #[serde(default)]
    changes: Vec<Amended>,
    #[serde(default)]
    seeds: Option<[NonZeroU32; 2]>,
    #[serde(default)]
    comparisons: Option<[usize; 2]>,
}

impl From<AnyAmendment> for Amendment {
    fn from(any: AnyAmendment) -> Self {
        let AnyAmendment { at, results, mut changes, seeds, comparisons } = any;
        let fixed = |seeds| Replicates::Fixed { seeds };
        changes.extend(
            seeds.map(|[before, now]| Amended::Seeds { before: fixed(before), now: fixed(now) }),
        );
        changes.extend(comparisons.map(|[before, now]| Amended::Comparisons { before, now }));
        Self { at, results, changes }
    }
}

/// What was changed of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Amended {
    /// How many seeds each row has: now a number that is set beforehand.
    Seeds {
        /// What held before.
        before: Replicates,
        /// What holds.
        now: Replicates,
    },
    /// How many rows are compared with a baseline.
    Comparisons {
        /// So many before.
        before: usize,
        /// So many now.
        now: usize,
    },
    /// As many rows are compared as before, and not the same.
    Rows {
        /// How many are others.
        others: usize,
    },
    /// Below what a difference does not matter, a fraction.
    Margin {
        /// What held before; absent: every difference mattered.
        before: Option<f64>,
        /// What holds.
        now: Option<f64>,
    },
}

/// What a plan compared that stands no more under its sweep's name, where some of it had results: for the day when
/// the name is that study's again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Study {
    replicates: Replicates,
    margin: Option<f64>,
    comparisons: usize,
    rows: Vec<StudyRow>,
    /// How many of its runs had results.
    results: usize,
    amendments: Vec<Amendment>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct StudyRow {
    /// Whether the rows of its sweep hang on results, as those of a chain's later stages do.
    #[serde(default, skip_serializing_if = "is_false")]
    staged: bool,
    settings: Vec<Setting>,
    compared: bool,
    baseline: bool,
    /// That of its first seed.
    run: Option<RunId>,
}

impl Study {
    fn of(plan: &Plan, results: usize) -> Self {
        let row = |row: &PlanRow| StudyRow {
            staged: row.stage.is_some(),
            settings: row.settings.clone(),
            compared: !row.baseline && !row.cell,
            baseline: row.baseline,
            run: row.runs.first().map(|first| first.run),
        };
        Self {
            replicates: plan.replicates,
            margin: plan.margin,
            comparisons: plan.comparisons,
            rows: plan.rows.iter().map(row).collect(),
            results,
            amendments: plan.amendments.clone(),
        }
    }

    /// Whether `other` has a configuration in common with it: seeds are counted from 1, so rows that have any run in
    /// common have their first.
    fn shares(&self, other: &Self) -> bool {
        let runs: HashSet<RunId> = self.rows.iter().filter_map(|row| row.run).collect();
        other.rows.iter().filter_map(|row| row.run).any(|run| runs.contains(&run))
    }

    /// What is compared of factors that `other` has too: later stages of a chain need not be there yet.
    fn compared(&self, other: &Self) -> HashSet<&[Setting]> {
        let factors = |row: &StudyRow| {
            row.settings.iter().map(|setting| setting.factor.clone()).collect::<Vec<_>>()
        };
        let known: HashSet<_> = other.rows.iter().map(factors).collect();
        let rows = self.rows.iter().filter(|row| row.compared && known.contains(&factors(row)));
        rows.map(|row| row.settings.as_slice()).collect()
    }

    /// How many of its rows are called as one of `before` is and are another configuration, beside the same baseline.
    fn relabelled(&self, before: &Self) -> usize {
        let baseline = |study: &Self| study.rows.iter().find(|row| row.baseline).map(|row| row.run);
        if baseline(self) != baseline(before) {
            return 0;
        }
        let is_other = |row: &&StudyRow| {
            let same = before.rows.iter().find(|known| known.settings == row.settings);
            same.is_some_and(|known| known.run != row.run)
        };
        self.rows.iter().filter(|row| row.compared && !row.staged).filter(is_other).count()
    }

    /// What `now` changes of it. Seeds that results decide may be asked for at any time, whatever was seen, and so
    /// may another maximum of them: their rule allows for looks.
    fn changes(&self, now: &Self) -> Vec<Amended> {
        let mut changes = Vec::new();
        if self.replicates != now.replicates && matches!(now.replicates, Replicates::Fixed { .. }) {
            changes.push(Amended::Seeds { before: self.replicates, now: now.replicates });
        }
        let (before, after) = (self.compared(now), now.compared(self));
        let others = after.difference(&before).count() + now.relabelled(self);
        if self.comparisons != now.comparisons {
            changes.push(Amended::Comparisons { before: self.comparisons, now: now.comparisons });
        } else if others > 0 {
            changes.push(Amended::Rows { others });
        }
        if self.margin != now.margin {
            changes.push(Amended::Margin { before: self.margin, now: now.margin });
        }
        changes
    }
}

impl Plan {
    /// Keeps in mind what it changes of `before`, which stood under the sweep's name until now and of whose runs so
    /// many have `results`; or of what stood there earlier, where that is the study which it goes on with. Two
    /// plans without a configuration in common are two studies.
    pub fn amend(&mut self, before: &Self, results: usize, at: String) {
        let now = Study::of(self, 0);
        let mut past = before.past.clone();
        let last = Study::of(before, results);
        let is_new = last.results > 0 || !last.amendments.is_empty();
        past.extend(is_new.then_some(last));
        let goes_on = past.iter().rposition(|study| study.shares(&now));
        if let Some(study) = goes_on.map(|at| past.remove(at)) {
            let changes = study.changes(&now);
            let is_amended = study.results > 0 && !changes.is_empty();
            self.amendments = study.amendments;
            self.amendments.extend(is_amended.then_some(Amendment {
                at,
                results: study.results,
                changes,
            }));
        }
        self.past = past;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::plan::tests::plan as empty;
    use crate::record::{PlanRun, Stopped};

    const FIVE: Replicates = Replicates::Fixed { seeds: NonZeroU32::new(5).unwrap() };

    fn decided(max: u32) -> Replicates {
        let [min, max] = [3, max].map(|seeds| NonZeroU32::new(seeds).unwrap());
        Replicates::UntilDecided { min, max }
    }

    /// A baseline and levels of one factor, on images or weights of this number.
    fn plan(study: u8, levels: &[u8]) -> Plan {
        let row = |(at, &level): (usize, &u8)| {
            let factor = "batch_size".to_owned();
            let run = RunId::from_digest([study ^ level; 32]);
            PlanRow {
                stage: None,
                settings: vec![Setting { factor, level: level.to_string() }],
                baseline: at == 0,
                cell: false,
                changes: Vec::new(),
                runs: vec![PlanRun { run, slug: String::new(), seed: 1 }],
                stopped: None,
            }
        };
        Plan {
            comparisons: levels.len() - 1,
            rows: levels.iter().enumerate().map(row).collect(),
            replicates: FIVE,
            ..empty(Some(Stopped::Decided))
        }
    }

    fn amended(before: &Plan, results: usize, mut now: Plan) -> Plan {
        now.amend(before, results, "now".to_owned());
        now
    }

    #[test]
    fn what_is_changed_after_results_is_kept_in_mind() {
        let before = plan(0, &[32, 16, 64]);
        let with = |change: fn(&mut Plan)| {
            let mut now = before.clone();
            change(&mut now);
            now
        };
        let adaptive = Plan { replicates: decided(9), ..before.clone() };
        let two = Replicates::Fixed { seeds: NonZeroU32::new(2).unwrap() };
        for (before, now, expected) in [
            (&before, before.clone(), vec![]),
            (
                &before,
                Plan { replicates: two, ..before.clone() },
                vec![Amended::Seeds { before: FIVE, now: two }],
            ),
            (&adaptive, before.clone(), vec![Amended::Seeds { before: decided(9), now: FIVE }]),
            (&before, adaptive.clone(), vec![]),
            (&adaptive, Plan { replicates: decided(20), ..before.clone() }, vec![]),
            (&before, plan(0, &[32, 16]), vec![Amended::Comparisons { before: 2, now: 1 }]),
            (&before, plan(0, &[32, 16, 8]), vec![Amended::Rows { others: 1 }]),
            (
                &before,
                with(|plan| plan.rows[1].runs[0].run = RunId::from_digest([99; 32])),
                vec![Amended::Rows { others: 1 }],
            ),
            (
                &before,
                with(|plan| plan.margin = Some(0.01)),
                vec![Amended::Margin { before: None, now: Some(0.01) }],
            ),
            (&before, with(|plan| plan.rows.truncate(1)), vec![]),
        ] {
            let amendments = amended(before, 3, now.clone()).amendments;
            let changes: Vec<_> = amendments.into_iter().flat_map(|one| one.changes).collect();
            assert_eq!(changes, expected);
            assert_eq!(amended(before, 0, now).amendments, [], "nothing could be seen");
        }
    }

    #[test]
    fn a_study_in_between_neither_hides_changes_nor_takes_them_over() {
        let first = plan(0, &[32, 16, 64]);
        let second = amended(&first, 6, plan(0, &[32, 16]));
        assert_eq!(second.amendments.len(), 1);
        let other = amended(&second, 6, plan(100, &[32, 16]));
        assert_eq!(other.amendments, [], "other images: another study");
        let back = amended(&other, 2, plan(0, &[32, 16, 64, 128]));
        assert_eq!(back.amendments[..1], second.amendments[..]);
        assert_eq!(back.amendments[1].changes, [Amended::Comparisons { before: 1, now: 3 }]);
        assert_eq!(back.amendments[1].results, 6);
        assert_eq!(back.past.len(), 1, "the other one");
        let again = amended(&back, 6, plan(100, &[32, 16]));
        assert_eq!((again.amendments.len(), again.past.len()), (0, 1));
    }

    #[test]
    fn amendments_of_plans_of_version_2_are_read() {
        let old = serde_json::json!({
            "at": "now", "results": 6, "seeds": [2, 8], "comparisons": [2, 3],
        });
        let two = Replicates::Fixed { seeds: NonZeroU32::new(2).unwrap() };
        let eight = Replicates::Fixed { seeds: NonZeroU32::new(8).unwrap() };
        let amendment: Amendment = serde_json::from_value(old).unwrap();
        let changes = [
            Amended::Seeds { before: two, now: eight },
            Amended::Comparisons { before: 2, now: 3 },
        ];
        assert_eq!(amendment.changes, changes);
        let again = serde_json::from_value(serde_json::to_value(&amendment).unwrap()).unwrap();
        assert_eq!(amendment, again);
    }
}
