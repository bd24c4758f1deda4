//! What each command does.

mod changes;
mod compare;
mod data;
mod doctor;
mod explain;
mod features;
mod gc;
mod init;
mod layers;
mod logs;
mod machine;
mod nightly;
mod output;
mod plan;
mod report;
mod run;
mod score;
mod slurm;
mod slurm_task;
mod status;
mod weights;

use std::io;

use clap::CommandFactory as _;
use miette::Diagnostic;
use spec::paths::ResultsDir;
use spec::sweep::Sweep;
use spec::sweep_file;
use thiserror::Error;

use crate::adapt::{Place, adapt};
use crate::cli::{self, Cli, Command, Data, Files, Launcher};
use crate::exit::{self, Ends, Failure};
use crate::output::Console;

/// Stdout cannot be written.
#[derive(Debug, Error, Diagnostic)]
#[error("cannot write to stdout: {0}")]
pub struct StdoutError(io::Error);

impl Ends for StdoutError {
    fn exit_code(&self) -> u8 {
        exit::ENVIRONMENT
    }
}

/// Does what the command line says; the exit code is one of [`crate::exit`].
///
/// # Errors
/// Whatever the command cannot handle itself.
pub fn run(cli: &Cli, console: &Console) -> Result<u8, Failure> {
    let results = ResultsDir::new(&cli.global.results);
    match &cli.command {
        Command::Run(args) if args.launcher == Launcher::Slurm => {
            slurm::run(args, results, console)
        }
        Command::Run(args) => run::run(args, results, console),
        Command::Nightly(args) => nightly::nightly(args, &results, console),
        Command::Plan(args) if args.layers => layers::layers(args, console),
        Command::Plan(args) => plan::plan(args, &results, console),
        Command::Status(args) => status::status(args, &results, console),
        Command::Report(args) => report::report(args, results, console),
        Command::Data(Data::Synth(args)) => data::synth(args, console),
        Command::Weights(args) => weights::weights(args, console),
        Command::Features(args) => features::features(args, console),
        Command::Gc(args) => gc::gc(args, &results, console),
        Command::Doctor(args) => doctor::doctor(args, &results, console),
        Command::SlurmTask(args) => slurm_task::task(args, results, console),
        Command::SlurmCollect(args) => slurm_task::collect(args, results, console),
        Command::Compare(args) => compare::compare(args, &results, console),
        Command::Score(args) => score::score(args, &results, console),
        Command::Explain(args) => explain::explain(args, &results, console),
        Command::Logs(args) => logs::logs(args, &results, console),
        Command::Init(args) => init::init(args, console),
        Command::Schema => {
            print_json(console, &sweep_file::json_schema())?;
            Ok(exit::DONE)
        }
        Command::Completions(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "sweep", &mut script);
            print(console, &String::from_utf8_lossy(&script))?;
            Ok(exit::DONE)
        }
        Command::Adapt(cli::Adapt { device, threads }) => {
            Ok(adapt(&Place { device: device.clone(), threads: *threads })?)
        }
    }
}

fn load(files: &Files) -> Result<Vec<Sweep>, sweep_file::LoadError> {
    files.files.iter().map(|file| sweep_file::load(file, &files.overrides)).collect()
}

fn print(console: &Console, text: &str) -> Result<(), Failure> {
    Ok(console.print(text).map_err(StdoutError)?)
}

fn print_json(console: &Console, value: &impl serde::Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(value).map_err(|error| StdoutError(error.into()))?;
    print(console, &format!("{json}\n"))
}

/// `1 run`, `2 runs`
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
