//! What is on the disk about what was submitted.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use spec::run_id::RunId;
use spec::sweep::Schedule;

use crate::planning::Work;

/// The number of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(u64);

impl FromStr for JobId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// `mapping.json`: which task has which runs. Written and on the disk before anything of it is submitted;
/// never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// [`spec::record::VERSION`].
    pub version: u32,
    /// When, in RFC 3339, UTC.
    pub written: String,
    /// The number of the user whose jobs they are; absent: written by an earlier version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<u32>,
    /// The sweeps it is for.
    pub sweeps: Vec<String>,
    /// What is submitted, under names that nothing else has: where the answer of sbatch was lost, the job is
    /// found by its name.
    pub arrays: Vec<Array>,
    /// The name of the job that writes the reports.
    pub collector: String,
    /// The runs of each task; tasks are numbered from 0 across all arrays.
    pub tasks: Vec<Vec<MappedRun>>,
}

/// A job array.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Array {
    /// Its name in Slurm.
    pub name: String,
    /// Its first task; in Slurm that one has the index 0.
    pub first: usize,
    /// How many tasks it has.
    pub tasks: usize,
}

/// A run that a task has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappedRun {
    /// The run.
    pub run: RunId,
    /// How many attempts it had when it was submitted: a result with more has come since.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// `jobs.json`: the numbers that Slurm gave, as far as they are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jobs {
    /// [`spec::record::VERSION`].
    pub version: u32,
    /// Of each array.
    pub arrays: Vec<Option<JobId>>,
    /// Of the job that writes the reports.
    pub collector: Option<JobId>,
}

impl Jobs {
    /// None is known.
    pub fn none(arrays: usize) -> Self {
        Self { version: spec::record::VERSION, arrays: vec![None; arrays], collector: None }
    }
}

/// `tasks/<n>.json`: all that a task needs to know, so that it neither reads the sweep's file nor looks at
/// images again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskOrder {
    /// [`spec::record::VERSION`].
    pub version: u32,
    /// Where and how it runs.
    pub schedule: Schedule,
    /// Whether runs that can be are fused.
    pub fuse: bool,
    /// Bytes of a GPU's memory that have to be free before a worker starts there.
    pub wait_free_memory: Option<u64>,
    /// Its runs.
    pub work: Vec<Work>,
}

/// What was submitted at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The name of its folder.
    pub name: String,
    /// Which task has which runs.
    pub mapping: Mapping,
    /// The numbers of its jobs.
    pub jobs: Jobs,
}
