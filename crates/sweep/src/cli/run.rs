//! What plans and runs sweeps.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use spec::devices::Devices;
use spec::sweep_file::Override;

use crate::report::ScoreFormat;

/// The sweep files of a command.
#[derive(Debug, Default, Args)]
pub struct Files {
    /// Sweep files
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Change a setting of the baseline; the value is TOML or a bare word
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<Override>,
}

/// `sweep run`
#[derive(Debug, Default, Args)]
pub struct Run {
    /// What to run.
    #[command(flatten)]
    pub files: Files,
    /// Where to run: auto, cpu, cpu:4 (slots), cuda, cuda:0,1 (GPUs)
    #[arg(long)]
    pub devices: Option<Devices>,
    /// Workers on each GPU at once
    #[arg(long, value_name = "N")]
    pub per_device: Option<NonZeroU32>,
    /// Start nothing on a GPU before so much of its memory is free, such as 8GiB
    #[arg(long, value_name = "SIZE")]
    pub wait_free_memory: Option<ByteSize>,
    /// Run those again that failed before
    #[arg(long)]
    pub retry_failed: bool,
    /// Stop when N runs have failed or timed out; diverged and out of memory are findings, not failures
    #[arg(long, value_name = "N")]
    pub max_failures: Option<NonZeroU32>,
    /// Stop at the first failure: --max-failures 1
    #[arg(long, conflicts_with = "max_failures")]
    pub fail_fast: bool,
    /// Train every run by itself, to compare: the same numbers but for rounding, many times slower
    #[arg(long)]
    pub no_fuse: bool,
    /// How scores are written
    #[arg(long, value_name = "FORMAT", default_value = "document")]
    pub score_format: ScoreFormat,
    /// Where workers start: on this machine, or as tasks of a Slurm cluster
    #[arg(long, value_name = "WHERE", default_value = "local")]
    pub launcher: Launcher,
    /// Print what would be submitted to Slurm; submits and writes nothing
    #[arg(long, conflicts_with = "follow")]
    pub dry_run: bool,
    /// Wait for what is submitted to Slurm, and submit what is lost again; Ctrl-C ends the waiting alone
    #[arg(long)]
    pub follow: bool,
    /// How often --follow looks
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = poll)]
    pub poll: Duration,
}

/// How often somebody may look whose every look is a question to a controller that all share.
fn poll(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    match time < Duration::from_secs(1) {
        true => Err("each look asks the cluster's controller: 1s at least".to_owned()),
        false => Ok(time),
    }
}

/// Where workers start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Launcher {
    /// On this machine
    #[default]
    Local,
    /// As tasks of job arrays; [slurm] in the sweep file says what to ask for
    Slurm,
}

/// `sweep nightly`
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 4 something is worse than it was, 5 the machine is broken or a night \
                        is going on already, 3 runs failed as they did before."
)]
pub struct Nightly {
    /// The nightly file: which sweeps, for how long, and what they are compared with
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Check the file and its sweeps, say what a night would be, and start nothing
    #[arg(long)]
    pub check: bool,
    /// Compare later nights with this one, though something was worse in it; starts nothing
    #[arg(long, value_name = "NIGHT", conflicts_with = "check")]
    pub accept: Option<String>,
    /// How scores are written
    #[arg(long, value_name = "FORMAT", default_value = "document")]
    pub score_format: ScoreFormat,
}

/// `sweep plan`
#[derive(Debug, Args)]
pub struct Plan {
    /// What to plan.
    #[command(flatten)]
    pub files: Files,
    /// Show the layers of each model instead, which of them train and how many parameters that is
    #[arg(long)]
    pub layers: bool,
    /// Print JSON, with run ids
    #[arg(long)]
    pub json: bool,
}
