//! The orchestrator: plans sweeps, runs what has no result yet on workers, and tells what came out.
//!
//! It knows no libtorch: training is done by worker processes that speak [`spec::protocol`]. Decisions
//! are pure functions and a state machine ([`schedule`]); processes, files and terminals are at the
//! edge ([`execute`], [`worker`], [`store`], [`progress`]).

pub mod adapt;
pub mod cli;
pub mod command;
pub mod compare;
pub mod dataset;
pub mod devices;
pub mod execute;
pub mod exit;
pub mod explain;
pub mod external;
pub mod find;
pub mod fingerprint;
pub mod gpus;
pub mod nightly;
pub mod open_files;
pub mod output;
pub mod planning;
pub mod preflight;
pub mod process;
pub mod progress;
pub mod report;
pub mod schedule;
pub mod settings;
pub mod slurm;
pub mod store;
pub mod strategy;
pub mod tables;
pub mod trainer;
pub mod weights;
pub mod worker;

/// This program, as results name what took them down.
pub const PROGRAM: &str = concat!("sweep ", env!("CARGO_PKG_VERSION"));
