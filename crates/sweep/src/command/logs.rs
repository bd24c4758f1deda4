//! `sweep logs`

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use miette::Diagnostic;
use serde::Serialize;
use spec::paths::{ResultsDir, RunDir};
use spec::run_id::RunId;
use thiserror::Error;

use super::{print, print_json};
use crate::cli;
use crate::exit::{self, Ends, Failure};
use crate::find::{Catalog, Known};
use crate::output::Console;
use crate::store::{self, ReadError};

/// How often a log that goes on is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// There is no such log.
#[derive(Debug, Error, Diagnostic)]
#[error("there is no {what} in {}", folder.display())]
#[diagnostic(help("`sweep explain` lists the attempts of a run"))]
struct NoLog {
    what: String,
    folder: PathBuf,
}

/// A log, for other programs.
#[derive(Debug, Serialize)]
struct Log<'a> {
    run: RunId,
    file: &'a Path,
    /// What it says; bytes that are no UTF-8 are replaced.
    log: &'a str,
}

impl Ends for NoLog {
    fn exit_code(&self) -> u8 {
        exit::USAGE
    }
}

pub(super) fn logs(
    args: &cli::Logs,
    results: &ResultsDir,
    console: &Console,
) -> Result<u8, Failure> {
    let catalog = Catalog::read(results)?;
    let known = catalog.find(&args.run)?;
    let dir = results.run(&known.planned);
    let file = match args.attempt {
        Some(attempt) => Some(dir.attempt_log(attempt)),
        None => last_log(&dir),
    };
    let what =
        args.attempt.map_or("log yet".to_owned(), |number| format!("log of attempt {number}"));
    let Some(file) = file.filter(|file| file.is_file()) else {
        return Err(NoLog { what, folder: dir.attempts() }.into());
    };
    if args.json {
        let said = fs_err::read(&file).map_err(ReadError::from)?;
        let log = String::from_utf8_lossy(&said);
        print_json(console, &Log { run: known.planned.run, file: &file, log: &log })?;
        return Ok(exit::DONE);
    }
    let mut log = fs_err::File::open(file).map_err(ReadError::from)?;
    loop {
        // Asked before reading, so that what is said at the very end is read too.
        let goes_on = args.follow && is_at_work(results, known);
        let mut said = Vec::new();
        log.read_to_end(&mut said).map_err(ReadError::from)?;
        print(console, &String::from_utf8_lossy(&said))?;
        if !goes_on {
            return Ok(exit::DONE);
        }
        thread::sleep(LOOK);
    }
}

fn is_at_work(results: &ResultsDir, known: &Known) -> bool {
    let run = known.planned.run;
    let mut slots = store::at_work(results).into_iter().flat_map(|at_work| at_work.slots);
    slots.any(|(_, runs)| runs.contains(&run))
}

/// The log of the last attempt.
fn last_log(dir: &RunDir) -> Option<PathBuf> {
    (1..).map(|attempt| dir.attempt_log(attempt)).take_while(|log| log.is_file()).last()
}
