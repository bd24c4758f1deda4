//! What reads results, and adds scores to them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::report::ScoreFormat;
use crate::tables::Kind;

/// `sweep status`
#[derive(Debug, Args)]
pub struct Status {
    /// Names of sweeps; without one, all
    #[arg(value_name = "SWEEP")]
    pub sweeps: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `sweep report`
#[derive(Debug, Args)]
pub struct Report {
    /// Names of sweeps; without one, all
    #[arg(value_name = "SWEEP")]
    pub sweeps: Vec<String>,
    /// What is printed
    #[arg(long, value_name = "FORMAT", default_value = "md", conflicts_with = "json")]
    pub format: ReportFormat,
    /// What a csv, json or parquet table has a row for
    #[arg(long, value_name = "ROWS", default_value = "runs")]
    pub table: Kind,
    /// Report a file of scores instead, such as a leaderboard's, and what they support
    #[arg(long, value_name = "CSV", requires = "images", conflicts_with = "sweeps")]
    pub scores: Option<PathBuf>,
    /// Test images that each of these scores was measured on
    #[arg(long, value_name = "N", requires = "scores", value_parser = clap::value_parser!(u64).range(1..))]
    pub images: Option<u64>,
    /// Write to this file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write the plots into this folder too, as SVG
    #[arg(long, value_name = "DIR", conflicts_with = "scores")]
    pub plots: Option<PathBuf>,
    /// How scores are written in md and html
    #[arg(long, value_name = "FORMAT", default_value = "document")]
    pub score_format: ScoreFormat,
    /// Print the report itself, its verdicts included, as JSON
    #[arg(long)]
    pub json: bool,
}

/// What a report is printed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Markdown, for people
    Md,
    /// One page that needs nothing else: plots, images, a table of runs to sort
    Html,
    /// A tidy table, for other programs
    Csv,
    /// The same as a list of objects
    Json,
    /// The same as Apache Parquet
    Parquet,
}

/// `sweep compare`
#[derive(Debug, Args)]
#[command(after_help = "A side is a folder of results, a sweep, a row as SWEEP:FACTOR=LEVEL or \
                        SWEEP:baseline, or a run.")]
pub struct Compare {
    /// Before
    #[arg(value_name = "A")]
    pub from: String,
    /// After
    #[arg(value_name = "B")]
    pub to: String,
    /// Differences below it do not matter, a fraction: 0.01
    #[arg(long, value_name = "FRACTION")]
    pub margin: Option<f64>,
    /// End with exit code 4 when something is worse, or has changed at all
    #[arg(long, value_name = "WHAT")]
    pub fail_on: Option<FailOn>,
    /// How scores are written
    #[arg(long, value_name = "FORMAT", default_value = "document")]
    pub score_format: ScoreFormat,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What makes a comparison fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// A row is shown to be worse, or runs that finished before do not any more
    Worse,
    /// The same, or the same work gave other numbers
    Changed,
}

/// `sweep score`
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).args(["run", "file", "command_of"]))]
pub struct Score {
    /// The beginning of a run's id, its folder, its slug, or SWEEP:FACTOR=LEVEL:SEED
    #[arg(value_name = "RUN", required_unless_present_any = ["file", "command_of"])]
    pub run: Option<String>,
    /// The score: 0.63440, 63.44% or 63440
    #[arg(value_name = "SCORE", required_unless_present_any = ["file", "command_of", "remove"])]
    pub score: Option<String>,
    /// Take many from a CSV: `score`, and `run`, or `sweep`, `factor`, `level` and `seed`
    #[arg(long, value_name = "CSV")]
    pub file: Option<PathBuf>,
    /// Ask for those of a sweep's finished runs that have none, by the [score] command of its file
    #[arg(long, value_name = "SWEEPFILE")]
    pub command_of: Option<PathBuf>,
    /// Ask for so many at most, the first seed of each row first
    #[arg(long, value_name = "N", requires = "command_of")]
    pub at_most: Option<usize>,
    /// Take the new score where there is another already
    #[arg(long)]
    pub replace: bool,
    /// Take the score of RUN back
    #[arg(long, requires = "run", conflicts_with_all = ["score", "file", "command_of", "replace"])]
    pub remove: bool,
    /// Print what was taken down, or taken back, as JSON
    #[arg(long)]
    pub json: bool,
}

/// `sweep explain`
#[derive(Debug, Args)]
pub struct Explain {
    /// The beginning of a run's id, its folder, its slug, or SWEEP:FACTOR=LEVEL:SEED
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Print a sweep file of this run's settings instead
    #[arg(long, conflicts_with = "json")]
    pub toml: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `sweep logs`
#[derive(Debug, Args)]
pub struct Logs {
    /// The beginning of a run's id, its folder, its slug, or SWEEP:FACTOR=LEVEL:SEED
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Which attempt, from 1; by default the last
    #[arg(long, value_name = "N")]
    pub attempt: Option<u32>,
    /// Go on for as long as the run does
    #[arg(long)]
    pub follow: bool,
    /// Print JSON: whose log it is, where it lies, and what it says
    #[arg(long, conflicts_with = "follow")]
    pub json: bool,
}
