//! One try at a run: what it says while it goes on, what stays when it has ended.

use std::io::Write as _;
use std::time::{Instant, SystemTime};

use spec::paths::RunDir;
use spec::record::{self, EpochMetrics, Outcome, Predictions, RunResult};
use spec::run_id::RunId;

use super::{WriteError, atomic, tables};

/// An attempt under way. Dropping it without [`Attempt::end`] leaves the run open.
#[derive(Debug)]
pub struct Attempt {
    dir: RunDir,
    run: RunId,
    number: u32,
    log: fs_err::File,
    started: SystemTime,
    clock: Instant,
    history: Vec<EpochMetrics>,
    predictions: Option<Predictions>,
}

impl Attempt {
    pub(super) fn open(dir: RunDir, run: RunId) -> Result<Self, WriteError> {
        let number = attempts_so_far(&dir)? + 1;
        let log = fs_err::File::create(dir.attempt_log(number))?;
        Ok(Self {
            dir,
            run,
            number,
            log,
            started: SystemTime::now(),
            clock: Instant::now(),
            history: Vec::new(),
            predictions: None,
        })
    }

    /// The run.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// Wall-clock seconds so far.
    pub fn seconds(&self) -> f64 {
        self.clock.elapsed().as_secs_f64()
    }

    /// Appends what the worker said to the attempt's log.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn log(&mut self, said: &[u8]) -> Result<(), WriteError> {
        Ok(self.log.write_all(said)?)
    }

    /// Takes down an epoch.
    pub fn epoch(&mut self, metrics: EpochMetrics) {
        self.history.push(metrics);
    }

    /// Takes down what the trained model says.
    pub fn predictions(&mut self, predictions: Predictions) {
        self.predictions = Some(predictions);
    }

    /// Leaves the run open, and says in the log why.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn leave(mut self, why: &str) -> Result<(), WriteError> {
        self.log(format!("{why}\n").as_bytes())?;
        Ok(self.log.sync_all()?)
    }

    /// Stores how the run ended; `result.json` last. The log comes back for what is still to be said.
    ///
    /// # Errors
    /// When it cannot be written: the run stays open.
    pub fn end(
        self,
        device: &str,
        outcome: Outcome,
    ) -> Result<(RunResult, fs_err::File), WriteError> {
        let seconds = self.seconds();
        self.log.sync_all()?;
        atomic::write(&self.dir.metrics(), &tables::metrics(&self.history)?)?;
        let (predictions, submission) = match &self.predictions {
            Some(said) => (Some(tables::predictions(said)?), tables::submission(said)?),
            None => (None, None),
        };
        // Where this attempt has nothing, an earlier attempt's file would pass for its own.
        atomic::write_or_remove(&self.dir.predictions(), predictions.as_deref())?;
        atomic::write_or_remove(&self.dir.submission(), submission.as_deref())?;
        let result = RunResult {
            version: record::VERSION,
            run: self.run,
            attempts: self.number,
            started: humantime::format_rfc3339_seconds(self.started).to_string(),
            seconds,
            device: device.to_owned(),
            outcome,
        };
        atomic::write_json(&self.dir.result(), &result)?;
        Ok((result, self.log))
    }
}

/// The highest number of a log: attempts that a crash cut off left no result, but a log.
fn attempts_so_far(dir: &RunDir) -> Result<u32, WriteError> {
    let mut highest = 0;
    for entry in fs_err::read_dir(dir.attempts())? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".log")?.parse().ok());
        highest = highest.max(number.unwrap_or(0));
    }
    Ok(highest)
}
