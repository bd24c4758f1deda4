//! What `sweep` starts itself with.

use clap::Args;

use crate::report::ScoreFormat;

/// `sweep slurm-task`
#[derive(Debug, Args)]
pub struct SlurmTask {
    /// Name of the submission
    pub submission: String,
    /// The array's first task among those of the submission
    #[arg(long, value_name = "N")]
    pub first: usize,
    /// Go back into the queue so many times
    #[arg(long, value_name = "N")]
    pub requeues: u32,
}

/// `sweep slurm-collect`
#[derive(Debug, Args)]
pub struct SlurmCollect {
    /// Name of the submission
    pub submission: String,
    /// How scores are written
    #[arg(long, value_name = "FORMAT", default_value = "document")]
    pub score_format: ScoreFormat,
}

/// `sweep adapt`, which `sweep run` starts.
#[derive(Debug, Args)]
pub struct Adapt {
    /// `cpu` or `cuda`
    #[arg(long)]
    pub device: String,
    /// CPU threads
    #[arg(long)]
    pub threads: usize,
}
