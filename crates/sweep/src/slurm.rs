//! Sweeps on a Slurm cluster.
//!
//! `sweep run --launcher slurm` submits and returns. Runs become bundles, bundles the tasks of job arrays,
//! and each task is a `sweep slurm-task` that shares the work of the results folder as any other
//! orchestrator does: it claims its runs, starts workers, stores what comes out. What has a result is done,
//! whatever Slurm says; what Slurm says only decides what need not be submitted again.
//!
//! What is decided is decided in pure functions: [`bundle`] shares runs out, [`script`] writes what is
//! submitted, [`queue`] reads what squeue says, [`decide`] tells what is covered. [`Cluster`] asks the
//! programs of Slurm, [`submit`] and [`task`] act.

pub mod bundle;
pub mod cluster;
pub mod decide;
pub mod mapping;
pub mod queue;
pub mod script;
pub mod submit;
pub mod task;

pub use cluster::{Cluster, ClusterError};
pub use mapping::{Array, JobId, Jobs, MappedRun, Mapping, Submission, TaskOrder};
pub use queue::{Entry, Queue, State};
