//! The command line.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use serde::de::{DeserializeOwned, IntoDeserializer as _};
use spec::config::{Backbone, Pooling};
use spec::devices::Devices;
use spec::sweep_file::Override;

use crate::report::ScoreFormat;
use crate::tables::Kind;

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
    /// Get, show, check and convert weights files
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
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = humantime::parse_duration)]
    pub poll: Duration,
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
    #[arg(long, value_name = "DIR")]
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
    #[arg(value_name = "RUN", requires = "score")]
    pub run: Option<String>,
    /// The score: 0.63440, 63.44% or 63440
    #[arg(value_name = "SCORE")]
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
}

/// `sweep init`
#[derive(Debug, Args)]
pub struct Init {
    /// Folder of the sweep files
    #[arg(value_name = "DIR", default_value = ".")]
    pub folder: PathBuf,
    /// Your training images, one folder for each class, as seen from DIR
    #[arg(long, value_name = "PATH", default_value = "data/train")]
    pub train: PathBuf,
    /// Your test images, as seen from DIR; without it the score is the validation accuracy
    #[arg(long, value_name = "PATH")]
    pub test: Option<PathBuf>,
}

/// `sweep completions`
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// `sweep data`
#[derive(Debug, Subcommand)]
pub enum Data {
    /// Draw pictures of clean and dirty plates, to try things with
    Synth(Synth),
}

/// `sweep data synth`
#[derive(Debug, Args)]
pub struct Synth {
    /// Folder to make
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// What every picture hangs on
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Training pictures
    #[arg(long, value_name = "N", default_value_t = 40)]
    pub train: u32,
    /// Test pictures
    #[arg(long, value_name = "N", default_value_t = 744)]
    pub test: u32,
}

/// `sweep weights`
#[derive(Debug, Subcommand)]
pub enum Weights {
    /// Show which weights are known by name, and which are here
    List(WeightsList),
    /// Get weights from the Hugging Face hub; a download that broke off goes on
    Pull(WeightsPull),
    /// Read weights files to their end, check and hash them
    Verify(WeightsVerify),
    /// Make a safetensors file of a PyTorch (.pth) or Keras (.h5, .keras) checkpoint
    Convert(WeightsConvert),
}

/// `sweep weights list`
#[derive(Debug, Args)]
pub struct WeightsList {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `sweep weights pull`
#[derive(Debug, Args)]
#[command(after_help = "HF_ENDPOINT names another hub, HF_HOME another cache of downloads; \
                        HF_HUB_OFFLINE=1 takes what is in the cache and asks nobody.")]
pub struct WeightsPull {
    /// Weights that `sweep weights list` lists
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
}

/// `sweep weights verify`
#[derive(Debug, Args)]
pub struct WeightsVerify {
    /// Known weights or safetensors files; without one, all known weights that are here
    #[arg(value_name = "NAME|FILE")]
    pub weights: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `sweep weights convert`
#[derive(Debug, Args)]
pub struct WeightsConvert {
    /// The checkpoint: what torch.save, Keras's save_weights or save wrote
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// The safetensors file to write
    #[arg(value_name = "OUT")]
    pub output: PathBuf,
}

/// `sweep features`
#[derive(Debug, Args)]
pub struct Features {
    /// Images (JPEG, PNG or WebP)
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<PathBuf>,
    /// The network, as in a sweep file: efficientnet_lite0, resnet50, ...
    #[arg(long, value_name = "NAME", value_parser = word::<Backbone>)]
    pub backbone: Backbone,
    /// Its weights: imagenet or a safetensors file
    #[arg(long, value_name = "FILE", default_value = "imagenet")]
    pub weights: PathBuf,
    /// How its feature map becomes one row of numbers: gap, gmp, flatten
    #[arg(long, value_name = "KIND", default_value = "gap", value_parser = word::<Pooling>)]
    pub pooling: Pooling,
    /// Side of the square that images are resized to; by default the network's own
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(32..=4096))]
    pub image_size: Option<u32>,
    /// How features are written; safetensors needs --output
    #[arg(long, default_value = "json")]
    pub format: FeaturesFormat,
    /// Write to this file instead of stdout
    #[arg(long, short, value_name = "FILE", required_if_eq("format", "safetensors"))]
    pub output: Option<PathBuf>,
}

/// How features are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FeaturesFormat {
    /// An object with the settings and a list of images
    Json,
    /// A row for each image, under the names of the columns
    Csv,
    /// One tensor, `features`, of [images, features]; the settings are in the metadata
    Safetensors,
}

/// A word of a sweep file.
fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    T::deserialize(text.into_deserializer())
        .map_err(|error: serde::de::value::Error| error.to_string())
}

/// `sweep gc`
#[derive(Debug, Args)]
pub struct Gc {
    /// Keep so much of the features
    #[arg(long, value_name = "SIZE", default_value = "10GiB")]
    pub cache: ByteSize,
}

/// `sweep doctor`
#[derive(Debug, Args)]
pub struct Doctor {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
