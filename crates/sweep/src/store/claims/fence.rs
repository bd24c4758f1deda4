//! Whether how a run ended is still ours to say.

use std::io;

use spec::paths::{ResultsDir, RunDir};
use spec::run_id::RunId;

use super::{Claim, file, has_ended_since};
use crate::process::Process;
use crate::store::lock::Lock;
use crate::store::{ReadError, read_result};

/// Whether how a run ended is still ours to say. Another machine that did not hear of us for long takes a
/// run over, and lets go of it when it has ended it: then its result stands, and ours comes too late.
#[derive(Debug, Clone)]
pub(in crate::store) struct Fence {
    dir: ResultsDir,
    this: Process,
}

impl Fence {
    pub(super) fn new(dir: ResultsDir, this: Process) -> Self {
        Self { dir, this }
    }

    /// While this is held, what [`Fence::lets_pass`] says stays true.
    pub(in crate::store) fn lock(&self) -> io::Result<Lock> {
        Lock::hold(&self.dir)
    }

    /// Whether nobody else is at `run` or has ended it since there were so many `attempts`; `folder` is
    /// the run's.
    pub(in crate::store) fn lets_pass(
        &self,
        run: RunId,
        folder: &RunDir,
        attempts: u32,
    ) -> Result<bool, ReadError> {
        match super::read::<Claim>(&file(&self.dir, run))? {
            Some(claim) => Ok(claim.holder == self.this),
            None => {
                let result = read_result(folder, run)?;
                Ok(!result.is_some_and(|result| has_ended_since(&result, attempts)))
            }
        }
    }
}
