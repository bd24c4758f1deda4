//! The results folder as a database: what is read from it, and the only hand that writes into it.
//!
//! Every file but the attempts' logs is written aside, synced and renamed, so it is whole or not there;
//! `result.json` comes last, so a run is done or open and nothing between.

mod atomic;
mod attempt;
mod error;
mod lock;
mod read;
mod tables;

use spec::paths::{ResultsDir, RunDir};
use spec::record::{Plan, RunResult};

pub use attempt::Attempt;
pub use error::{ReadError, WriteError};
pub use lock::{Holder, Lock, holder};
pub use read::{plans, read_config, read_plan, read_result};

use crate::planning::Work;

/// The results folder, with the right to write: held by one process at a time.
#[derive(Debug)]
pub struct Store {
    dir: ResultsDir,
    _lock: Lock,
}

impl Store {
    /// Opens `dir` for writing; makes it if need be. Waits while another process holds it, after
    /// telling `waits` who that is.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn open(dir: ResultsDir, waits: impl FnOnce(&Holder)) -> Result<Self, WriteError> {
        make_root(&dir)?;
        let lock = Lock::wait(&dir, waits)?;
        Ok(Self { dir, _lock: lock })
    }

    /// Like [`Store::open`], but nothing when another process holds the folder.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn try_open(dir: ResultsDir) -> Result<Option<Self>, WriteError> {
        make_root(&dir)?;
        Ok(Lock::try_take(&dir)?.map(|lock| Self { dir, _lock: lock }))
    }

    /// The folder.
    pub fn dir(&self) -> &ResultsDir {
        &self.dir
    }

    /// Writes a sweep's `plan.json`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_plan(&self, plan: &Plan) -> Result<(), WriteError> {
        let sweep = self.dir.sweep(&plan.sweep);
        fs_err::create_dir_all(sweep.root())?;
        atomic::sync_folder(self.dir.root())?;
        atomic::write_json(&sweep.plan(), plan)
    }

    /// Writes a sweep's derived files.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write_report(&self, sweep: &str, report: &str, runs: &[u8]) -> Result<(), WriteError> {
        let sweep = self.dir.sweep(sweep);
        fs_err::create_dir_all(sweep.root())?;
        atomic::write(&sweep.report(), report.as_bytes())?;
        atomic::write(&sweep.runs_csv(), runs)
    }

    /// Begins an attempt at a run.
    ///
    /// # Errors
    /// When its folder cannot be written.
    pub fn begin(&self, work: &Work) -> Result<Attempt, WriteError> {
        let run = self.run_dir(work);
        fs_err::create_dir_all(run.attempts())?;
        atomic::sync_folder(&self.dir.runs())?;
        atomic::write_json(&run.config(), &work.record())?;
        Attempt::open(run, work.run())
    }

    /// How a run ended last time, if that can be known.
    ///
    /// # Errors
    /// When a newer version of this program wrote it, or reading fails.
    pub fn result(&self, work: &Work) -> Result<Option<RunResult>, ReadError> {
        read_result(&self.run_dir(work), work.run())
    }

    fn run_dir(&self, work: &Work) -> RunDir {
        self.dir.run(&work.planned)
    }
}

/// Makes the folders that hold the others, and makes them survive a crash.
fn make_root(dir: &ResultsDir) -> Result<(), WriteError> {
    fs_err::create_dir_all(dir.runs())?;
    Ok(atomic::sync_folder(dir.root())?)
}
