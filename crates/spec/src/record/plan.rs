//! `plan.json`: which runs stand in which row of a sweep's table.

use serde::{Deserialize, Serialize};

use crate::run_id::RunId;

/// `plan.json`: written by `sweep run` before anything starts; all that `sweep report` needs besides
/// the runs themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// [`super::VERSION`].
    pub version: u32,
    /// The sweep's name: its file's, without the ending.
    pub sweep: String,
    /// The document's words about it: the sweep file's `title`, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What `--set` changed in it, each as it was written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<String>,
    /// Seeds of the replicates, in order.
    pub seeds: Vec<u64>,
    /// The baseline's runs, one for each seed, in order.
    pub baseline: Vec<PlanRun>,
    /// The factors, in the file's order.
    pub factors: Vec<PlanFactor>,
}

/// A hyperparameter under study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanFactor {
    /// Its name as the file writes it.
    pub name: String,
    /// Its levels, in the file's order. One is the baseline's; where the file does not list it, the first.
    pub levels: Vec<PlanLevel>,
}

/// One value that a factor takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanLevel {
    /// As the table shows it.
    pub label: String,
    /// Whether it is the baseline's own value.
    pub baseline: bool,
    /// Its runs, one for each seed, in order.
    pub runs: Vec<PlanRun>,
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
    /// Every run of the sweep once, the baseline's first, then in the order of the rows.
    pub fn runs(&self) -> Vec<&PlanRun> {
        let mut seen = std::collections::HashSet::new();
        let levels = self.factors.iter().flat_map(|factor| &factor.levels);
        self.baseline
            .iter()
            .chain(levels.flat_map(|level| &level.runs))
            .filter(|planned| seen.insert(&planned.run))
            .collect()
    }
}
