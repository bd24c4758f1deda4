//! A sweep: a baseline, factors with levels, a strategy, replicates.

use std::path::PathBuf;

use crate::config::Config;
use crate::devices::Devices;
use crate::record::{self, Plan, PlanFactor, PlanLevel, PlanRun};

/// One sweep file, resolved: nothing is left to look up or to default.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    /// The file's stem; its folder under `results/`.
    pub name: String,
    /// What the file says it is about.
    pub title: Option<String>,
    /// Where it was read from.
    pub file: PathBuf,
    /// What `--set` changed in it, each as it was written: the later over the earlier.
    pub overrides: Vec<String>,
    /// How it becomes configurations.
    pub strategy: Strategy,
    /// Seeds of the replicates: 1 to the number of replicates.
    pub seeds: Vec<u64>,
    /// What every comparison is against.
    pub baseline: Config,
    /// What is varied, in the file's order.
    pub factors: Vec<Factor>,
    /// Where and how it runs; nothing here changes a result.
    pub schedule: Schedule,
}

/// How a sweep becomes configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// The baseline, and the baseline with one factor at one other level.
    Ofat,
}

/// A hyperparameter under study.
#[derive(Debug, Clone, PartialEq)]
pub struct Factor {
    /// As the file names it.
    pub name: String,
    /// The values it takes, in the file's order; all different, and different configurations.
    pub levels: Vec<Level>,
}

/// One value that a factor takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    /// As the table shows it.
    pub label: String,
    /// The baseline with this level.
    pub config: Config,
    /// Whether that is the baseline itself.
    pub baseline: bool,
}

/// Where and how a sweep runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule {
    /// The devices to use.
    pub devices: Devices,
}

impl Sweep {
    /// The rows of the table with their runs; `run` names the run of a configuration and a seed.
    ///
    /// # Errors
    /// The first error of `run`.
    pub fn plan<E>(
        &self,
        mut run: impl FnMut(&Config, u64) -> Result<PlanRun, E>,
    ) -> Result<Plan, E> {
        let mut replicates = |config: &Config| {
            self.seeds.iter().map(|&seed| run(config, seed)).collect::<Result<Vec<_>, E>>()
        };
        let baseline = replicates(&self.baseline)?;
        let mut factors = Vec::new();
        for factor in &self.factors {
            let mut levels = Vec::new();
            for level in &factor.levels {
                let runs =
                    if level.baseline { baseline.clone() } else { replicates(&level.config)? };
                levels.push(PlanLevel {
                    label: level.label.clone(),
                    baseline: level.baseline,
                    runs,
                });
            }
            factors.push(PlanFactor { name: factor.name.clone(), levels });
        }
        Ok(Plan {
            version: record::VERSION,
            sweep: self.name.clone(),
            title: self.title.clone(),
            overrides: self.overrides.clone(),
            seeds: self.seeds.clone(),
            baseline,
            factors,
        })
    }
}
