//! `[slurm]`: what a Slurm cluster is asked for.

use std::num::NonZeroU32;
use std::time::Duration;

/// What a Slurm cluster is asked for when `--launcher slurm` sends a sweep there. Nothing here changes a
/// result. What is left out is the cluster's own default. The words are those of
/// [sbatch](https://slurm.schedmd.com/sbatch.html).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slurm {
    /// Partition.
    pub partition: Option<String>,
    /// Whom it is charged to.
    pub account: Option<String>,
    /// Quality of service.
    pub qos: Option<String>,
    /// Generic resources of each task, such as `gpu:1`.
    pub gres: Option<String>,
    /// What its node must have.
    pub constraint: Option<String>,
    /// Memory of each task in Slurm's notation, such as `16G`.
    pub mem: Option<String>,
    /// CPUs of each task.
    pub cpus: Option<NonZeroU32>,
    /// The longest time that a task may take; whole minutes, as Slurm counts.
    pub time: Option<Duration>,
    /// So long before that time is over (or the task is to make room) it stops at the next batch.
    pub grace: Duration,
    /// How often a task that had to stop, or whose node was lost, goes back into the queue.
    pub requeues: u32,
    /// So many tasks at a time; absent: as many as the cluster gives.
    pub max_concurrent: Option<NonZeroU32>,
    /// Most runs of one task; absent: by how runs are trained.
    pub runs_per_task: Option<NonZeroU32>,
    /// Lines of shell before the task begins, such as `module load cuda`.
    pub setup: Vec<String>,
    /// Further options of sbatch, each as it stands after `#SBATCH`.
    pub flags: Vec<String>,
}

impl Default for Slurm {
    fn default() -> Self {
        Self {
            partition: None,
            account: None,
            qos: None,
            gres: None,
            constraint: None,
            mem: None,
            cpus: None,
            time: None,
            // Slurm may send its signal up to a minute too early, and storing what has ended takes seconds.
            grace: Duration::from_secs(120),
            requeues: 10,
            max_concurrent: None,
            runs_per_task: None,
            setup: Vec::new(),
            flags: Vec::new(),
        }
    }
}
