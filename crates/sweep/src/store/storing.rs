//! Runs that have ended, made safe while the sweep goes on.
//!
//! A disk takes about as long for many files as for one, so runs are stored in groups: what ends while a
//! group is on its way is the next one.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};

use spec::paths::ResultsDir;

use super::WriteError;
use super::atomic::Syncing;
use super::attempt::{self, Committed, Ended};
use super::claims::Fence;

/// Stores groups of runs, one after the other, on a thread of its own.
#[derive(Debug)]
pub struct Storing {
    dir: ResultsDir,
    fence: Fence,
    syncing: Arc<Syncing>,
    group: Option<Group>,
}

/// A group on its way to the disk.
#[derive(Debug)]
struct Group {
    stored: Receiver<Committed>,
    thread: JoinHandle<()>,
}

impl Storing {
    pub(super) fn start(dir: ResultsDir, fence: Fence) -> io::Result<Self> {
        Ok(Self { dir, fence, syncing: Arc::new(Syncing::start()?), group: None })
    }

    /// Whether a group is on its way.
    pub fn is_busy(&self) -> bool {
        self.group.is_some()
    }

    /// Sends a group on its way, after the one before it has been taken back; `wake` is called when it is
    /// stored, or cannot be.
    ///
    /// # Errors
    /// When no thread can be started: the runs stay open.
    pub fn begin(
        &mut self,
        ended: Vec<Ended>,
        wake: impl FnOnce() + Send + 'static,
    ) -> Result<(), WriteError> {
        let (to, stored) = mpsc::channel();
        let (dir, fence) = (self.dir.clone(), self.fence.clone());
        let syncing = Arc::clone(&self.syncing);
        let thread = thread::Builder::new().name("store".to_owned()).spawn(move || {
            // Whoever does not wait for it any more has been told why.
            let _ = to.send(store(ended, &dir, &fence, &syncing));
            wake();
        })?;
        self.group = Some(Group { stored, thread });
        Ok(())
    }

    /// The group that was on its way, if it has come to an end.
    pub fn poll(&mut self) -> Option<Committed> {
        match self.group.as_ref()?.stored.try_recv() {
            Err(mpsc::TryRecvError::Empty) => None,
            Ok(stored) => {
                self.group = None;
                Some(stored)
            }
            Err(mpsc::TryRecvError::Disconnected) => self.wait(),
        }
    }

    /// Waits for the group that is on its way; none without one.
    pub fn wait(&mut self) -> Option<Committed> {
        let Group { stored, thread } = self.group.take()?;
        match (stored.recv(), thread.join()) {
            (Ok(stored), _) => Some(stored),
            (Err(_), Err(panic)) => std::panic::resume_unwind(panic),
            // It says what came of it before it ends.
            (Err(_), Ok(())) => None,
        }
    }
}

fn store(ended: Vec<Ended>, dir: &ResultsDir, fence: &Fence, syncing: &Syncing) -> Committed {
    let committed = attempt::commit(ended, fence, syncing);
    for result in committed.stored.iter().filter(|result| result.outcome.is_final()) {
        match fs_err::remove_dir_all(dir.checkpoints().run(result.run)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                // What stays is in nobody's way.
                tracing::warn!("a checkpoint stays until `sweep gc`: {error}");
            }
            _ => {}
        }
    }
    committed
}
