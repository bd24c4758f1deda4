//! What an experiment is.
//!
//! This crate is the vocabulary that the orchestrator (`sweep`) and the training core (`train`) share:
//! the resolved [`config::Config`], the [`protocol`] they talk, the [`record`]s that stay on disk and
//! the [`paths`] they stay under. It starts no process, spawns no thread and knows no libtorch.

pub mod config;
pub mod devices;
pub mod images;
pub mod nightly;
pub mod paths;
pub mod placeholders;
pub mod protocol;
pub mod record;
pub mod run_id;
pub mod slurm;
pub mod sweep;
pub mod sweep_file;
