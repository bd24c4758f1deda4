//! The results folder as a database: what is read from it, and the only hand that writes into it.
//!
//! Every file but the attempts' logs is written aside, synced and renamed, so it is whole or not there;
//! `result.json` comes last, so a run is done or open and nothing between.

mod answers;
mod atomic;
mod attempt;
mod claims;
mod details;
mod error;
mod garbage;
mod lock;
pub mod nights;
mod read;
mod storing;
mod submissions;
mod tables;

use spec::paths::{ResultsDir, RunDir};
use spec::record::{ExternalScore, Plan, RunResult};

pub use answers::{Answers, read_answers};
pub use attempt::{Attempt, Committed, Ended};
pub use claims::{AtWork, Claims, Whose, at_work};
pub use details::{Said, read_metrics, read_predictions};
pub use error::{ReadError, StoreError, WriteError};
pub use garbage::{Collected, Freed, collect_garbage};
pub use read::{plans, read_config, read_plan, read_result, read_score, runs};
pub use storing::Storing;
pub use submissions::{Submitting, Written, open_submissions, read_mapping, read_task};

use crate::planning::Work;
use lock::Lock;

/// The results folder, to be written. A run's folder is written by whoever has claimed the run; what all
/// write is written under a lock.
#[derive(Debug)]
pub struct Store {
    dir: ResultsDir,
    /// The job of a batch system that we are.
    job: Option<String>,
}

impl Store {
    /// Opens `dir` for writing; makes it if need be.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn open(dir: ResultsDir) -> Result<Self, WriteError> {
        fs_err::create_dir_all(dir.runs())?;
        atomic::sync_folder(dir.root())?;
        Lock::hold(&dir)?;
        Ok(Self { dir, job: None })
    }

    /// Opens `dir`, which is there, for one of the many jobs of a batch system: `job` is what people call
    /// it. All that they have to agree on was made before, so that none waits for the others.
    pub fn of_job(dir: ResultsDir, job: String) -> Self {
        Self { dir, job: Some(job) }
    }

    /// Comes to work in slots of these names, beside others who may be at work here.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn claims(&self, slots: Vec<String>) -> Result<Claims, WriteError> {
        Claims::open(self.dir.clone(), self.job.clone(), slots)
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
        let _lock = Lock::hold(&self.dir)?;
        fs_err::create_dir_all(sweep.root())?;
        atomic::sync_folder(self.dir.root())?;
        atomic::write_json(&sweep.plan(), plan)
    }

    /// Writes a sweep's derived files, unless somebody has given it another plan meanwhile.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write_report(
        &self,
        plan: &Plan,
        report: &str,
        runs: &[u8],
        page: Option<&str>,
    ) -> Result<(), WriteError> {
        let sweep = self.dir.sweep(&plan.sweep);
        let _lock = Lock::hold(&self.dir)?;
        if read_plan(&self.dir, &plan.sweep).is_ok_and(|now| now != *plan) {
            return Ok(());
        }
        fs_err::create_dir_all(sweep.root())?;
        atomic::write(&sweep.report(), report.as_bytes())?;
        if let Some(page) = page {
            atomic::write(&sweep.page(), page.as_bytes())?;
        }
        atomic::write(&sweep.runs_csv(), runs)
    }

    /// Writes down what a run scored elsewhere.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_score(&self, dir: &RunDir, score: &ExternalScore) -> Result<(), WriteError> {
        let _lock = Lock::hold(&self.dir)?;
        atomic::write_json(&dir.external_score(), score)
    }

    /// Takes back what a run scored elsewhere.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_score(&self, dir: &RunDir) -> Result<(), WriteError> {
        let _lock = Lock::hold(&self.dir)?;
        fs_err::remove_file(dir.external_score())?;
        Ok(atomic::sync_folder(dir.root())?)
    }

    /// Begins an attempt at a run.
    ///
    /// # Errors
    /// When its folder cannot be written.
    pub fn begin(&self, work: &Work) -> Result<Attempt, WriteError> {
        Attempt::open(self.run_dir(work), &work.record(), work.attempts)
    }

    /// What stores runs that have ended, as long as they are ours by `claims`.
    ///
    /// # Errors
    /// When its threads cannot be started.
    pub fn storing(&self, claims: &Claims) -> Result<Storing, WriteError> {
        Ok(Storing::start(self.dir.clone(), claims.fence())?)
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
