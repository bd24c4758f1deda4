//! A sweep: a baseline, factors with levels, a strategy, replicates.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::Config;
use crate::devices::Devices;
use crate::record::{self, Plan, PlanFactor, PlanLevel, PlanRun};
use crate::slurm::Slurm;

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
    /// What a Slurm cluster is asked for, where one is to run it; nothing here changes a result.
    pub slurm: Slurm,
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
    /// What the baseline has where the levels have theirs, as the table shows it.
    pub baseline: String,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The devices to use.
    pub devices: Devices,
    /// Workers on each GPU at once.
    pub per_device: NonZeroU32,
    /// Longest wall-clock time of a run, from its beginning to its end: then it is `timed_out`.
    pub time_limit: Option<Duration>,
    /// Longest time in which a worker with work says nothing (no epoch ends, no features are computed):
    /// then it hangs and is ended.
    pub silence_limit: Option<Duration>,
    /// How often a run is tried again whose worker crashed or hung.
    pub retries: u32,
    /// Wait before the first of these; each further one waits twice as long.
    pub retry_delay: Duration,
    /// So many different runs failing in a row set their device aside.
    pub set_aside_after: NonZeroU32,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            devices: Devices::default(),
            per_device: NonZeroU32::MIN,
            time_limit: None,
            // Longer than an epoch that anybody waits for.
            silence_limit: Some(Duration::from_secs(4 * 60 * 60)),
            retries: 2,
            retry_delay: Duration::from_secs(5),
            set_aside_after: NonZeroU32::MIN.saturating_add(9),
        }
    }
}

impl Sweep {
    /// The rows of the table with their runs; `run` names the run of a configuration and a seed. Every
    /// factor has the baseline among its levels, as the first where the file does not list it.
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
            // Without it nobody could tell what the levels are compared with.
            if !factor.levels.iter().any(|level| level.baseline) {
                let (label, runs) = (factor.baseline.clone(), baseline.clone());
                levels.push(PlanLevel { label, baseline: true, runs });
            }
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
