//! `plan.json`: which runs stand in which row of a sweep's table.

mod amendment;
mod change;
mod first;

use std::collections::HashSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::run_id::RunId;
use crate::sweep::{ChooseBy, Replicates, Setting, Strategy};

pub use amendment::{Amended, Amendment, Study};
pub use change::{PlanChange, changes};
use first::FirstPlan;

/// Version of `plan.json`. A reader refuses a newer one, and reads those before.
pub const PLAN_VERSION: u32 = 3;

/// `plan.json`: written by `sweep run` before anything starts, and again when results have decided what
/// comes next; all that `sweep report` needs besides the runs themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "AnyPlan")]
pub struct Plan {
    /// [`PLAN_VERSION`].
    pub version: u32,
    /// The sweep's name: its file's, without the ending.
    pub sweep: String,
    /// Its file, as it was named to the command that planned it; absent in older plans.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The document's words about it: the sweep file's `title`, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What `--set` changed in it, each as it was written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<String>,
    /// How the sweep became rows.
    pub strategy: Strategy,
    /// How many seeds each row has.
    pub replicates: Replicates,
    /// Differences below it do not matter, a fraction; absent: every difference does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// How many rows the whole sweep compares with a baseline, in a chain in all its stages: what
    /// corrections for many comparisons count with.
    pub comparisons: usize,
    /// Pairs of factors whose interaction is asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub interactions: Vec<[String; 2]>,
    /// The rows of the table, stage by stage.
    pub rows: Vec<PlanRow>,
    /// The stages of a chain, as far as its results reach; empty for other strategies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<PlanStage>,
    /// Factors of a chain whose stages have not begun.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub to_come: Vec<String>,
    /// How it was changed after results existed, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub amendments: Vec<Amendment>,
    /// What stood under its name before and has nothing in common with it, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub past: Vec<Study>,
}

/// A row: one configuration, all its seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanRow {
    /// The stage of a chain that it belongs to, from 0; absent for other strategies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<usize>,
    /// A level of each factor that it is about: one where one factor changes at a time; none for the
    /// baseline of a sweep without factors.
    pub settings: Vec<Setting>,
    /// Whether it is what the others (of its stage) are compared with.
    pub baseline: bool,
    /// Whether it is there for an interaction alone, and not compared by itself.
    #[serde(default, skip_serializing_if = "is_false")]
    pub cell: bool,
    /// What its configuration has that its baseline's has not. Plans of version 1 do not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<PlanChange>,
    /// Its runs, one for each seed, in order.
    pub runs: Vec<PlanRun>,
    /// Why it gets no more seeds, where results decide how many there are; absent while they have not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
}

/// A stage of a chain: one factor, on what the stages before it have come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanStage {
    /// The factor.
    pub factor: String,
    /// What the stages before changed of the sweep's baseline: this stage's incumbent.
    pub incumbent: Vec<Setting>,
    /// What came of it; absent while its runs have not all ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<PlanChoice>,
}

/// What a stage came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanChoice {
    /// The level that the next stage goes on with.
    pub level: String,
    /// Whether that is the incumbent's.
    pub stays: bool,
    /// The score by which it was chosen.
    pub by: ChooseBy,
    /// Whether that score was measured on all training images, fold by fold.
    pub folds: bool,
    /// Why.
    pub why: Why,
}

/// Why a stage came to what it did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Why {
    /// It is shown to be better than the incumbent, and of those that are, it has the highest mean.
    Better {
        /// The mean difference to the incumbent.
        difference: f64,
        /// Its p-value, adjusted over all comparisons of the chain.
        p: f64,
    },
    /// Its mean is the highest, whatever chance has to do with it.
    Best {
        /// The mean difference to the incumbent.
        difference: f64,
    },
    /// No level is shown to be better than the incumbent.
    NoEvidence {
        /// The level that came nearest to it.
        nearest: String,
        /// Its mean difference to the incumbent.
        difference: f64,
        /// Its p-value, adjusted over all comparisons of the chain; absent where there was nothing to
        /// test.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        p: Option<f64>,
    },
    /// No level has a higher mean than the incumbent.
    IncumbentBest,
    /// No level could be compared with the incumbent.
    NothingToCompare,
}

/// Why a row gets no more seeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// There is a verdict.
    Decided,
    /// It has as many as it may have.
    AtMost,
    /// No number of seeds would show a difference: the images are the limit.
    MoreImages,
    /// It cannot be compared with the baseline: its runs failed, or were measured on other images.
    NotComparable,
}

/// A run that a sweep needs; other sweeps may need the same one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRun {
    /// The run.
    pub run: RunId,
    /// The readable half of its folder's name.
    pub slug: String,
    /// Its seed.
    pub seed: u64,
}

impl Plan {
    /// Whether there may be runs that are not planned yet, because results decide them: a stage of a chain
    /// has not begun or come to its choice, or a row may get more seeds.
    pub fn has_more_to_come(&self) -> bool {
        let is_open = |row: &PlanRow| !row.baseline && !row.cell && row.stopped.is_none();
        let seeds_are_open = match self.replicates {
            Replicates::Fixed { .. } => false,
            Replicates::UntilDecided { .. } => self.rows.iter().any(is_open),
        };
        let stage_is_open = |stage: &PlanStage| stage.choice.is_none();
        !self.to_come.is_empty() || self.stages.iter().any(stage_is_open) || seeds_are_open
    }

    /// Every run of the sweep once, the first baseline's first, then in the order of the rows.
    pub fn runs(&self) -> Vec<&PlanRun> {
        let mut seen = HashSet::new();
        let baseline = self.rows.iter().find(|row| row.baseline);
        baseline
            .into_iter()
            .chain(&self.rows)
            .flat_map(|row| &row.runs)
            .filter(|planned| seen.insert(&planned.run))
            .collect()
    }
}

impl PlanRow {
    /// The factor; of several, all with ` x ` between; `baseline` where there is none.
    pub fn factor(&self) -> String {
        match self.settings.as_slice() {
            [] => "baseline".to_owned(),
            settings => joined(settings.iter().map(|setting| setting.factor.as_str()), " x "),
        }
    }

    /// The level; of several factors, all with ` x ` between; empty where there is none.
    pub fn level(&self) -> String {
        joined(self.settings.iter().map(|setting| setting.level.as_str()), " x ")
    }
}

fn joined<'a>(words: impl Iterator<Item = &'a str>, between: &str) -> String {
    words.collect::<Vec<_>>().join(between)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_false(value: &bool) -> bool {
    !value
}

/// A plan as any version wrote it.
#[derive(Deserialize)]
#[serde(untagged)]
enum AnyPlan {
    Later(LaterPlan),
    First(FirstPlan),
}

/// A plan as it is written now.
#[derive(Deserialize)]
struct LaterPlan {
    sweep: String,
    #[serde(default)]
    file: Option<PathBuf>,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    overrides: Vec<String>,
    strategy: Strategy,
    replicates: Replicates,
    #[serde(default)]
    margin: Option<f64>,
    #[serde(default)]
    comparisons: usize,
    #[serde(default)]
    interactions: Vec<[String; 2]>,
    rows: Vec<PlanRow>,
    #[serde(default)]
    stages: Vec<PlanStage>,
    #[serde(default)]
    to_come: Vec<String>,
    #[serde(default)]
    amendments: Vec<Amendment>,
    #[serde(default)]
    past: Vec<Study>,
}

impl From<AnyPlan> for Plan {
    fn from(plan: AnyPlan) -> Self {
        let plan = match plan {
            AnyPlan::First(plan) => return plan.into(),
            AnyPlan::Later(plan) => plan,
        };
        Self {
            version: PLAN_VERSION,
            sweep: plan.sweep,
            file: plan.file,
            title: plan.title,
            overrides: plan.overrides,
            strategy: plan.strategy,
            replicates: plan.replicates,
            margin: plan.margin,
            comparisons: plan.comparisons,
            interactions: plan.interactions,
            rows: plan.rows,
            stages: plan.stages,
            to_come: plan.to_come,
            amendments: plan.amendments,
            past: plan.past,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plan with a baseline and a level that stopped for this reason.
    pub(super) fn plan(stopped: Option<Stopped>) -> Plan {
        let row = |baseline, stopped| PlanRow {
            stage: None,
            settings: Vec::new(),
            baseline,
            cell: false,
            changes: Vec::new(),
            runs: Vec::new(),
            stopped,
        };
        Plan {
            version: PLAN_VERSION,
            sweep: "a".to_owned(),
            file: None,
            title: None,
            overrides: Vec::new(),
            strategy: Strategy::Ofat,
            replicates: Replicates::default(),
            margin: None,
            comparisons: 1,
            interactions: Vec::new(),
            rows: vec![row(true, None), row(false, stopped)],
            stages: Vec::new(),
            to_come: Vec::new(),
            amendments: Vec::new(),
            past: Vec::new(),
        }
    }

    #[test]
    fn what_results_decide_is_still_to_come() {
        assert!(!plan(None).has_more_to_come(), "so many seeds, and no more");
        let two = std::num::NonZeroU32::MIN.saturating_add(1);
        let adaptive = |stopped| Plan {
            replicates: Replicates::UntilDecided { min: two, max: two },
            ..plan(stopped)
        };
        assert!(adaptive(None).has_more_to_come());
        assert!(!adaptive(Some(Stopped::AtMost)).has_more_to_come());
        let chain = |to_come: &[&str], choice: Option<PlanChoice>| {
            let stage = PlanStage { factor: "x".to_owned(), incumbent: Vec::new(), choice };
            let to_come = to_come.iter().map(|name| (*name).to_owned()).collect();
            Plan { stages: vec![stage], to_come, ..plan(None) }
        };
        let choice = || {
            Some(PlanChoice {
                level: "1".to_owned(),
                stays: true,
                by: ChooseBy::Validation,
                folds: false,
                why: Why::NothingToCompare,
            })
        };
        assert!(chain(&["y"], choice()).has_more_to_come());
        assert!(chain(&[], None).has_more_to_come());
        assert!(!chain(&[], choice()).has_more_to_come());
    }
}
