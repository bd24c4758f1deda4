//! A sweep: a baseline, factors with levels, a strategy, replicates.

mod rows;
mod strategy;

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::devices::Devices;
use crate::slurm::Slurm;
use crate::sweep_file::Stages;

pub use rows::{Row, stage_rows};
pub use strategy::{ChooseBy, Replicates, Sampler, Strategy, Switch};

/// One sweep file, resolved: nothing is left to look up or to default.
#[derive(Debug, Clone)]
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
    /// How many seeds each configuration has.
    pub replicates: Replicates,
    /// Differences below it do not matter, a fraction; absent: every difference does.
    pub margin: Option<f64>,
    /// What every comparison is against; of a chain, in its first stage.
    pub baseline: Config,
    /// What is varied, in the file's order.
    pub factors: Vec<Factor>,
    /// Configurations with more than one change of the baseline: the cells of a grid, the samples of a
    /// random search, the cells that `interactions` adds.
    pub combinations: Vec<Combination>,
    /// Pairs of factors whose interaction is asked for.
    pub interactions: Vec<[String; 2]>,
    /// What makes the stages of a chain.
    pub stages: Stages,
    /// Where and how it runs; nothing here changes a result.
    pub schedule: Schedule,
    /// What a Slurm cluster is asked for, where one is to run it; nothing here changes a result.
    pub slurm: Slurm,
    /// What asks a leaderboard for a score, and its arguments; empty where the file names nothing.
    pub score_command: Vec<String>,
}

/// A hyperparameter under study.
#[derive(Debug, Clone, PartialEq)]
pub struct Factor {
    /// As the file names it.
    pub name: String,
    /// What the baseline has where the levels have theirs, as the table shows it.
    pub baseline: String,
    /// The values it takes, in the file's order; all different, and different configurations. None for a
    /// range, which only samples are drawn from.
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

/// Levels of several factors together.
#[derive(Debug, Clone, PartialEq)]
pub struct Combination {
    /// A level of each factor that it is made of, in the order of the factors.
    pub settings: Vec<Setting>,
    /// The baseline with all of them.
    pub config: Config,
}

/// A factor at one of its levels.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Setting {
    /// The factor's name.
    pub factor: String,
    /// The level, as the table shows it.
    pub level: String,
}

/// Where and how a sweep runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
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
    /// Longest wall-clock time of all of it: then runs under way are interrupted.
    pub sweep_time_limit: Option<Duration>,
    /// How often a long run's state is kept; never where absent.
    pub checkpoint_every: Option<CheckpointEvery>,
    /// How often a run is tried again whose worker crashed or hung.
    pub retries: u32,
    /// Wait before the first of these; each further one waits twice as long.
    pub retry_delay: Duration,
    /// So many different runs failing in a row set their device aside.
    pub set_aside_after: NonZeroU32,
}

/// How often a run's state is kept, so that after an interruption it goes on from there: at the end of an
/// epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckpointEvery {
    /// After so many.
    Epochs(NonZeroU32),
    /// After the one in which so much wall-clock time has passed since the last time.
    Seconds(NonZeroU64),
}

impl CheckpointEvery {
    /// What is lost at most is worth less than looking after it would cost.
    const FIVE_MINUTES: Self = match NonZeroU64::new(5 * 60) {
        Some(seconds) => Self::Seconds(seconds),
        None => unreachable!(),
    };
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            devices: Devices::default(),
            per_device: NonZeroU32::MIN,
            time_limit: None,
            // Longer than an epoch that anybody waits for.
            silence_limit: Some(Duration::from_secs(4 * 60 * 60)),
            sweep_time_limit: None,
            checkpoint_every: Some(CheckpointEvery::FIVE_MINUTES),
            retries: 2,
            retry_delay: Duration::from_secs(5),
            set_aside_after: NonZeroU32::MIN.saturating_add(9),
        }
    }
}
