//! The command line.

mod images;
mod internal;
mod machine;
mod results;
mod run;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub use images::{
    Data, Features, FeaturesFormat, Synth, Weights, WeightsConvert, WeightsList, WeightsPull,
    WeightsVerify,
};
pub use internal::{Adapt, SlurmCollect, SlurmTask};
pub use machine::{Completions, Doctor, Gc, Init};
pub use results::{Compare, Explain, FailOn, Logs, Report, ReportFormat, Score, Status};
pub use run::{Files, Launcher, Nightly, Plan, Run};

/// Runs hyperparameter sweeps: one command instead of changing a setting by hand and training again.
#[derive(Debug, Parser)]
#[command(name = "sweep", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct Global {
    /// Folder of the results
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "SWEEP_RESULTS",
        default_value = "results"
    )]
    pub results: PathBuf,
    /// No progress and no remarks on stderr
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// When to use colours; NO_COLOR in the environment means never
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// Say more on stderr; twice for still more
    #[arg(long, short, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// In a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run what has no result yet, then print each sweep's table
    Run(Run),
    /// Run sweeps anew, as every night, and compare them with the last good night
    Nightly(Nightly),
    /// Show what a sweep would run; starts and writes nothing
    Plan(Plan),
    /// Show how far sweeps are
    Status(Status),
    /// Print the tables of sweeps
    Report(Report),
    /// Compare two sweeps, rows, runs or folders of results
    Compare(Compare),
    /// Take down what runs scored elsewhere, such as on a leaderboard
    Score(Score),
    /// Say why a run ran, failed or was tried again, what it differs in, and how to have it again
    Explain(Explain),
    /// Print what was said during a run
    Logs(Logs),
    /// Make data
    #[command(subcommand)]
    Data(Data),
    /// Get, list, check and convert weights files
    #[command(subcommand)]
    Weights(Weights),
    /// Print what a pretrained backbone makes of images
    Features(Features),
    /// Make room: remove features that were used longest ago, and what killed sweeps have left
    Gc(Gc),
    /// Look for everything that is needed here
    Doctor(Doctor),
    /// Be a task of a Slurm array; what `sweep run --launcher slurm` submits gives this
    #[command(hide = true)]
    SlurmTask(SlurmTask),
    /// Write the reports of what was submitted to Slurm; likewise
    #[command(hide = true)]
    SlurmCollect(SlurmCollect),
    /// Write a commented baseline and a first sweep file for your own images
    Init(Init),
    /// Print the JSON Schema of sweep files, for editors
    Schema,
    /// Print completions for a shell
    Completions(Completions),
    /// Stand between the orchestrator and a program that speaks no protocol
    #[command(hide = true)]
    Adapt(Adapt),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
