//! Which orchestrator is at which run: so that several share the work in one results folder.
//!
//! Every orchestrator has a file in `.claims/orchestrators`, whose time of change it renews while it
//! goes on, and every run that it is at has one in `.claims/runs`. Claims are made under the folder's
//! lock and say which process holds them. Whoever has ended on this machine holds nothing any more; of
//! one on another machine that is known when its file has not been renewed for long, by our own clock.

mod at_work;
mod fence;
mod files;
mod pulses;

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, futimens};
use serde::{Deserialize, Serialize};
use spec::paths::ResultsDir;
use spec::record::{Outcome, RunResult};
use spec::run_id::RunId;

use super::lock::Lock;
use super::{ReadError, StoreError, WriteError, read_result};
use crate::planning::Work;
use crate::process::Process;
use files::{read, read_all, write};
use pulses::{Pulses, has_gone, is_silent, modified};

pub(super) use at_work::at_work_now;
pub use at_work::{AtWork, at_work};
pub(super) use fence::Fence;

/// How often an orchestrator says that it goes on.
const BEAT: Duration = Duration::from_secs(30);

/// `.claims/runs/<run>.json`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Claim {
    holder: Process,
    /// Where the run goes on: `cpu 1`.
    slot: String,
}

/// `.claims/orchestrators/<process>.json`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Presence {
    process: Process,
    /// In RFC 3339, UTC.
    since: String,
    /// The job of a batch system that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    job: Option<String>,
    /// All its slots.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    slots: Vec<String>,
}

/// Whether a run is ours to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Whose {
    /// Ours.
    Ours,
    /// Another orchestrator is at it.
    Theirs(Process),
    /// Another orchestrator has ended it.
    Done(RunResult),
    /// Nobody is at it.
    Nobody,
}

/// What one orchestrator holds in a results folder; let go when this is dropped.
#[derive(Debug)]
pub struct Claims {
    dir: ResultsDir,
    this: Process,
    ours: Presence,
    presence: PathBuf,
    held: HashSet<RunId>,
    next_beat: Instant,
    pulses: Pulses,
}

impl Claims {
    /// Comes to work in `dir`. What those have left who ended without a word is cleared away, but by one
    /// of a thousand jobs, each of which would read what all others hold.
    pub(super) fn open(
        dir: ResultsDir,
        job: Option<String>,
        slots: Vec<String>,
    ) -> Result<Self, WriteError> {
        let this = Process::this()?;
        fs_err::create_dir_all(dir.orchestrators())?;
        fs_err::create_dir_all(dir.claims())?;
        let presence = dir.orchestrators().join(this.file_name());
        let since = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
        let ours = Presence { process: this.clone(), since, job, slots };
        match &ours.job {
            Some(_) => write(&presence, &ours)?,
            None => {
                let _lock = Lock::hold(&dir)?;
                write(&presence, &ours)?;
                clear(&dir, &this, modified(&presence)?)?;
            }
        }
        let next_beat = Instant::now() + BEAT;
        let (held, pulses) = (HashSet::new(), Pulses::default());
        Ok(Self { dir, this, ours, presence, held, next_beat, pulses })
    }

    /// Us.
    pub fn process(&self) -> &Process {
        &self.this
    }

    /// Takes those of `works` that nobody else is at or has done, for `slot`. Whose each is now.
    ///
    /// # Errors
    /// When claims cannot be written, or results not be read.
    pub fn take(&mut self, works: &[&Work], slot: &str) -> Result<Vec<Whose>, StoreError> {
        let _lock = Lock::hold(&self.dir).map_err(WriteError::from)?;
        // A claim counts while its holder is there: somebody may have forgotten us while we slept.
        self.renew()?;
        let mut whose = Vec::new();
        for work in works {
            let mut found = self.find(work)?;
            if matches!(found, Whose::Nobody | Whose::Ours) {
                let claim = Claim { holder: self.this.clone(), slot: slot.to_owned() };
                write(&self.file(work.run()), &claim)?;
                self.held.insert(work.run());
                found = Whose::Ours;
            }
            whose.push(found);
        }
        Ok(whose)
    }

    /// Whose `works` are, which others were at.
    ///
    /// # Errors
    /// When results cannot be read.
    pub fn look(&mut self, works: &[&Work]) -> Result<Vec<Whose>, StoreError> {
        let _lock = Lock::hold(&self.dir).map_err(WriteError::from)?;
        self.renew()?;
        works.iter().map(|work| Ok(self.find(work)?)).collect()
    }

    /// Whether how `work` ended is ours to say: see [`Fence`].
    ///
    /// # Errors
    /// When that cannot be known.
    pub fn may_end(&self, work: &Work) -> Result<bool, ReadError> {
        self.fence().lets_pass(work.run(), &self.dir.run(&work.planned), work.attempts)
    }

    pub(super) fn fence(&self) -> Fence {
        Fence::new(self.dir.clone(), self.this.clone())
    }

    /// Lets go of `runs`.
    pub fn release(&mut self, runs: impl IntoIterator<Item = RunId>) {
        // Nobody is to take a run between our look at its claim and the removal. A claim that stays is
        // stale as soon as we are gone.
        let Ok(_lock) = Lock::hold(&self.dir) else { return };
        for run in runs {
            if self.held.remove(&run) && self.holds(run) {
                let _ = fs_err::remove_file(self.file(run));
            }
        }
    }

    /// Whether the claim to `run` is ours: on another machine we may have passed for dead.
    fn holds(&self, run: RunId) -> bool {
        let claim = read::<Claim>(&self.file(run));
        claim.is_ok_and(|claim| claim.is_some_and(|claim| claim.holder == self.this))
    }

    /// When to [`Claims::beat`] at the latest.
    pub fn due(&self) -> Instant {
        self.next_beat
    }

    /// Says that we go on, if it is time to.
    pub fn beat(&mut self, now: Instant) {
        if self.next_beat <= now {
            self.next_beat = now + BEAT;
            if let Err(error) = self.renew() {
                tracing::warn!("others may take this sweep for dead: {error}");
            }
        }
    }

    /// By the clock of the file system, which is the same for all.
    fn renew(&self) -> Result<(), WriteError> {
        match fs_err::OpenOptions::new().write(true).open(&self.presence) {
            Ok(file) => Ok(touch(&file)?),
            // Whoever did not hear of us for long has cleared it away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write(&self.presence, &self.ours)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A claim is looked for before the result, because whoever ends a run stores before letting go.
    fn find(&mut self, work: &Work) -> Result<Whose, ReadError> {
        if let Some(Claim { holder, .. }) = read::<Claim>(&self.file(work.run()))? {
            if holder == self.this {
                return Ok(Whose::Ours);
            }
            let now = || modified(&self.presence);
            if self.pulses.is_alive(&self.this, &holder, &self.dir, now)? {
                return Ok(Whose::Theirs(holder));
            }
        }
        let result = read_result(&self.dir.run(&work.planned), work.run())?;
        let ended = result.filter(|result| has_ended_since(result, work.attempts));
        Ok(ended.map_or(Whose::Nobody, Whose::Done))
    }

    fn file(&self, run: RunId) -> PathBuf {
        file(&self.dir, run)
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        let held = std::mem::take(&mut self.held);
        if let Ok(_lock) = Lock::hold(&self.dir) {
            held.into_iter().filter(|run| self.holds(*run)).for_each(|run| {
                let _ = fs_err::remove_file(self.file(run));
            });
        }
        let _ = fs_err::remove_file(&self.presence);
    }
}

fn file(dir: &ResultsDir, run: RunId) -> PathBuf {
    dir.claims().join(format!("{run}.json"))
}

/// Whether somebody has ended a run that was open after so many attempts. Nobody runs one again that
/// finished, however often it was tried.
fn has_ended_since(result: &RunResult, attempts: u32) -> bool {
    let finished = matches!(result.outcome, Outcome::Finished(_));
    finished || result.outcome.is_settled() && result.attempts > attempts
}

fn touch(file: &fs_err::File) -> io::Result<()> {
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
    };
    Ok(futimens(file, &times)?)
}

/// Removes what those have left who are gone for sure; and of those who are silent for long and have no run, that
/// they are there. `now` by the file system's clock.
fn clear(dir: &ResultsDir, this: &Process, now: SystemTime) -> io::Result<()> {
    let (gone, others): (Vec<_>, Vec<_>) = read_all::<Claim>(&dir.claims())
        .into_iter()
        .partition(|(_, claim)| has_gone(this, &claim.holder, dir, now));
    let busy: HashSet<Process> = others.into_iter().map(|(_, claim)| claim.holder).collect();
    let present = read_all::<Presence>(&dir.orchestrators()).into_iter();
    let present = present.filter(|(file, Presence { process, .. })| {
        has_gone(this, process, dir, now)
            || is_silent(this, process, file, now) && !busy.contains(process)
    });
    // Claims first: whoever is not there any more is taken for gone, and without that for somebody on a machine
    // of the same name.
    let present: Vec<PathBuf> = present.map(|(file, _)| file).collect();
    let claims = gone.into_iter().map(|(file, _)| file);
    claims.chain(present).try_for_each(fs_err::remove_file)
}

#[cfg(test)]
mod tests;
