//! What there is to say of one run: why it ran, was tried again or failed, what differs from the baseline,
//! where it stands, and how to have it again.

mod words;

use std::path::PathBuf;

use serde::Serialize;
use spec::paths::ResultsDir;
use spec::record::{RunConfig, RunResult};
use spec::run_id::RunId;
use spec::sweep_file;

use crate::find::{Known, Place};
use crate::process::Process;
use crate::settings::{self, Change};
use crate::store::{self, ReadError};

pub use words::text;

/// So many of the last lines of a log are shown.
const LAST_LINES: usize = 3;

/// Everything that is known of a run.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// The run.
    pub run: RunId,
    /// Its seed.
    pub seed: u64,
    /// Its folder.
    pub folder: PathBuf,
    /// How it ended; absent while it has not.
    pub result: Option<RunResult>,
    /// Whether it ran on random weights in place of pretrained ones: then its score is no result.
    pub stand_in: bool,
    /// Who is at it now.
    pub at_work: Option<AtIt>,
    /// The version of training semantics that it was made under; absent where it has not begun.
    pub semantics: Option<u32>,
    /// Its attempts, from the first.
    pub attempts: Vec<AttemptLog>,
    /// The rows in which it stands.
    pub stands: Vec<Place>,
    /// What it has that the baselines of those sweeps have not, each sweep once.
    pub differs: Vec<FromBaseline>,
    /// A sweep file of its settings; absent where it has not begun.
    pub sweep_file: Option<String>,
}

/// A process that is at a run.
#[derive(Debug, Serialize)]
pub struct AtIt {
    /// Which one.
    pub process: Process,
    /// Where: `cpu 1`.
    pub slot: String,
}

/// A try at a run.
#[derive(Debug, Serialize)]
pub struct AttemptLog {
    /// From 1.
    pub attempt: u32,
    /// What was said.
    pub log: PathBuf,
    /// Its last lines.
    pub last_lines: Vec<String>,
}

/// What a run has that a sweep's baseline has not.
#[derive(Debug, Serialize)]
pub struct FromBaseline {
    /// The sweep.
    pub sweep: String,
    /// In which settings; absent where either has not begun, so that its settings are not known.
    pub changes: Option<Vec<Change>>,
}

/// Everything that the results folder knows of `known`.
///
/// # Errors
/// When it cannot be read.
pub fn explain(dir: &ResultsDir, known: &Known) -> Result<Explanation, ReadError> {
    let run = known.planned.run;
    let run_dir = dir.run(&known.planned);
    let asked = store::read_config(&run_dir)?;
    let at_work = store::at_work(dir).into_iter().find_map(|at_work| {
        let (slot, _) = at_work.slots.iter().find(|(_, runs)| runs.contains(&run))?;
        Some(AtIt { slot: slot.clone(), process: at_work.process.clone() })
    });
    let attempts = attempts(&run_dir)?;
    Ok(Explanation {
        run,
        seed: known.planned.seed,
        folder: run_dir.root().to_owned(),
        result: store::read_result(&run_dir, run)?,
        stand_in: asked.as_ref().is_some_and(|asked| asked.config.is_stand_in()),
        at_work,
        semantics: asked.as_ref().and_then(settings::semantics),
        attempts,
        stands: known.stands.clone(),
        differs: from_baselines(dir, known, asked.as_ref())?,
        sweep_file: asked.map(|asked| sweep_file::written(&asked.config, asked.seed)),
    })
}

/// The logs of a run's attempts.
fn attempts(dir: &spec::paths::RunDir) -> Result<Vec<AttemptLog>, ReadError> {
    let mut attempts = Vec::new();
    for attempt in 1.. {
        let log = dir.attempt_log(attempt);
        let said = match fs_err::read(&log) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => break,
            said => said?,
        };
        let said = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        let last_lines = last.iter().map(|line| (*line).to_owned()).collect();
        attempts.push(AttemptLog { attempt, log, last_lines });
    }
    Ok(attempts)
}

fn from_baselines(
    dir: &ResultsDir,
    known: &Known,
    asked: Option<&RunConfig>,
) -> Result<Vec<FromBaseline>, ReadError> {
    let mut names: Vec<&String> = known.stands.iter().map(|place| &place.sweep).collect();
    names.dedup();
    let mut all = Vec::new();
    for sweep in names {
        let plan = store::read_plan(dir, sweep)?;
        // In a chain each stage has a baseline of its own.
        let of_run = plan.rows.iter().find(|row| row.runs.contains(&known.planned));
        let stage = of_run.and_then(|row| row.stage);
        let baseline = plan.rows.iter().find(|row| row.baseline && row.stage == stage);
        let same_seed =
            baseline.and_then(|row| row.runs.iter().find(|run| run.seed == known.planned.seed));
        let baseline = match same_seed {
            Some(run) => store::read_config(&dir.run(run))?,
            None => None,
        };
        let changes =
            baseline.zip(asked).map(|(baseline, asked)| settings::changes(&baseline, asked));
        all.push(FromBaseline { sweep: sweep.clone(), changes });
    }
    Ok(all)
}
