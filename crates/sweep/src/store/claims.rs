//! Which orchestrator is at which run: so that several share the work in one results folder.
//!
//! Every orchestrator has a file in `.claims/orchestrators`, whose time of change it renews while it
//! goes on, and every run that it is at has one in `.claims/runs`. Claims are made under the folder's
//! lock and say which process holds them. Whoever has ended on this machine holds nothing any more; of
//! one on another machine that is known when its file has not been renewed for long, by our own clock.

mod fence;
mod files;
mod pulses;

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};
use spec::paths::ResultsDir;
use spec::record::{Outcome, RunResult};
use spec::run_id::RunId;

use super::lock::Lock;
use super::{ReadError, StoreError, WriteError, read_result};
use crate::planning::Work;
use crate::process::{Fate, Process};
use files::{read, read_all, write};
use pulses::Pulses;

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

/// An orchestrator at work, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AtWork {
    /// Which one.
    pub process: Process,
    /// Since when, in RFC 3339, UTC.
    pub since: String,
    /// The job of a batch system that it is, as people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Its slots, with the runs they have: none where they are idle.
    pub slots: Vec<(String, Vec<RunId>)>,
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
                clear(&dir, &this)?;
                write(&presence, &ours)?;
            }
        }
        let next_beat = Instant::now() + BEAT;
        let (held, pulses) = (HashSet::new(), Pulses::default());
        Ok(Self { dir, this, presence, held, next_beat, pulses })
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
            let touched = fs_err::OpenOptions::new()
                .write(true)
                .open(&self.presence)
                .and_then(|file| file.file().set_modified(SystemTime::now()));
            if let Err(error) = touched {
                tracing::warn!("others may take this sweep for dead: {error}");
            }
        }
    }

    /// A claim is looked for before the result, because whoever ends a run stores before letting go.
    fn find(&mut self, work: &Work) -> Result<Whose, ReadError> {
        if let Some(Claim { holder, .. }) = read::<Claim>(&self.file(work.run()))? {
            if holder == self.this {
                return Ok(Whose::Ours);
            }
            if is_alive(&self.this, &holder, &self.dir, &mut self.pulses)? {
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

/// Who is at work in `dir` and with what. A folder without claims is not an error.
pub fn at_work(dir: &ResultsDir) -> Vec<AtWork> {
    let Ok(this) = Process::this() else { return Vec::new() };
    let alive = |process: &Process| this.sees(process) != Fate::Gone;
    let mut slots: HashMap<Process, Vec<(String, Vec<RunId>)>> = HashMap::new();
    for (file, claim) in read_all::<Claim>(&dir.claims()) {
        let run = file.file_stem().and_then(|stem| stem.to_str()?.parse::<RunId>().ok());
        let theirs = slots.entry(claim.holder).or_default();
        match theirs.iter_mut().find(|(slot, _)| *slot == claim.slot) {
            Some((_, runs)) => runs.extend(run),
            None => theirs.push((claim.slot, run.into_iter().collect())),
        }
    }
    let present = read_all::<Presence>(&dir.orchestrators()).into_iter();
    let present = present.filter(|(_, presence)| alive(&presence.process));
    let mut all: Vec<AtWork> = present
        .map(|(_, Presence { process, since, job, slots: all })| {
            let mut slots = slots.remove(&process).unwrap_or_default();
            let idle = all.into_iter().filter(|slot| !slots.iter().any(|(busy, _)| busy == slot));
            let idle: Vec<_> = idle.map(|slot| (slot, Vec::new())).collect();
            slots.extend(idle);
            slots.sort();
            AtWork { process, since, job, slots }
        })
        .collect();
    all.sort_by(|one, other| (&one.since, one.process.pid).cmp(&(&other.since, other.process.pid)));
    all
}

fn is_alive(
    this: &Process,
    other: &Process,
    dir: &ResultsDir,
    pulses: &mut Pulses,
) -> io::Result<bool> {
    match this.sees(other) {
        Fate::Alive => Ok(true),
        Fate::Gone => Ok(false),
        Fate::Unseen => {
            let presence = dir.orchestrators().join(other.file_name());
            match fs_err::metadata(presence).and_then(|metadata| metadata.modified()) {
                Ok(beat) => Ok(pulses.is_alive(other, beat, Instant::now())),
                // Whoever goes takes the file along.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                Err(error) => Err(error),
            }
        }
    }
}

/// Removes what those have left who are gone for sure.
fn clear(dir: &ResultsDir, this: &Process) -> io::Result<()> {
    let gone = |process: &Process| this.sees(process) == Fate::Gone;
    let claims = read_all::<Claim>(&dir.claims()).into_iter();
    let claims = claims.filter(|(_, claim)| gone(&claim.holder)).map(|(file, _)| file);
    let present = read_all::<Presence>(&dir.orchestrators()).into_iter();
    let present = present.filter(|(_, presence)| gone(&presence.process)).map(|(file, _)| file);
    claims.chain(present).try_for_each(fs_err::remove_file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planning::tests::work;
    use spec::record::{self, Finished};

    fn folder() -> (tempfile::TempDir, ResultsDir) {
        let folder = tempfile::tempdir().unwrap();
        let dir = ResultsDir::new(folder.path());
        (folder, dir)
    }

    fn claim(dir: &ResultsDir, run: RunId, holder: &Process) {
        let claim = Claim { holder: holder.clone(), slot: "cpu 1".to_owned() };
        write(&dir.claims().join(format!("{run}.json")), &claim).unwrap();
    }

    fn finished() -> Outcome {
        Outcome::Finished(Finished {
            epochs: 1,
            updates: 1,
            images_seen: 1,
            stopped_early: None,
            validation: None,
            test: None,
            score: None,
            folds: Vec::new(),
        })
    }

    fn store(dir: &ResultsDir, work: &Work, attempts: u32, outcome: Outcome) {
        let result = RunResult {
            version: record::VERSION,
            run: work.run(),
            attempts,
            started: String::new(),
            seconds: 1.0,
            device: String::new(),
            program: None,
            outcome,
        };
        let dir = dir.run(&work.planned);
        fs_err::create_dir_all(dir.root()).unwrap();
        fs_err::write(dir.result(), serde_json::to_vec(&result).unwrap()).unwrap();
    }

    #[test]
    fn a_run_is_taken_by_one_and_by_the_next_when_that_one_is_gone() {
        let (_folder, dir) = folder();
        let mut claims = Claims::open(dir.clone(), None, Vec::new()).unwrap();
        let works = [work(1), work(2), work(3)];
        // The first process of all is alive, and a number without a process is nobody.
        let parent = Process { pid: 1, started: start_of_init(), ..claims.this.clone() };
        let dead = Process { started: 1, ..claims.this.clone() };
        claim(&dir, works[0].run(), &parent);
        claim(&dir, works[1].run(), &dead);
        fs_err::write(claims.file(works[2].run()), b"{\"holder\":").unwrap();
        let all: Vec<&Work> = works.iter().collect();
        let whose = claims.take(&all, "cpu 1").unwrap();
        assert_eq!(whose, [Whose::Theirs(parent.clone()), Whose::Ours, Whose::Ours]);
        assert_eq!(at_work(&dir).iter().map(|at| at.slots[0].1.len()).collect::<Vec<_>>(), [2]);
        claims.release([works[1].run()]);
        let whose = claims.look(&all).unwrap();
        assert_eq!(whose, [Whose::Theirs(parent), Whose::Nobody, Whose::Ours]);
        drop(claims);
        assert_eq!(at_work(&dir), []);
        assert_eq!(fs_err::read_dir(dir.claims()).unwrap().count(), 1, "the other's");
        Claims::open(dir.clone(), None, Vec::new()).unwrap();
        assert_eq!(fs_err::read_dir(dir.claims()).unwrap().count(), 1);
    }

    fn start_of_init() -> u64 {
        let stat = fs_err::read_to_string("/proc/1/stat").unwrap();
        crate::process::parse_stat(&stat).unwrap()
    }

    /// Containers on two machines may be called the same.
    #[test]
    fn a_claim_of_another_start_is_stale_only_where_it_is_the_same_machine() {
        let (_folder, dir) = folder();
        let mut claims = Claims::open(dir.clone(), None, Vec::new()).unwrap();
        claims.this.machine = Some("here".to_owned());
        let before = Process { boot: "before".to_owned(), ..claims.this.clone() };
        let machine = |machine: Option<&str>| Process {
            machine: machine.map(str::to_owned),
            started: before.started + 1,
            ..before.clone()
        };
        let holders = [machine(Some("here")), machine(Some("there")), machine(None)];
        let works = [work(1), work(2), work(3)];
        for (work, holder) in works.iter().zip(&holders) {
            claim(&dir, work.run(), holder);
            let since = String::new();
            let presence =
                Presence { process: holder.clone(), since, job: None, slots: Vec::new() };
            write(&dir.orchestrators().join(holder.file_name()), &presence).unwrap();
        }
        let all: Vec<&Work> = works.iter().collect();
        let [_, there, nameless] = holders;
        let expected = [Whose::Ours, Whose::Theirs(there), Whose::Theirs(nameless)];
        assert_eq!(claims.take(&all, "cpu 1").unwrap(), expected);
    }

    #[test]
    fn a_run_that_another_one_has_ended_is_done_and_one_that_failed_before_is_not() {
        let (_folder, dir) = folder();
        let mut claims = Claims::open(dir.clone(), None, Vec::new()).unwrap();
        let cause = || "x".to_owned();
        for (attempts, outcome, done) in [
            (1, Outcome::Failed { cause: cause() }, false),
            (2, Outcome::Failed { cause: cause() }, true),
            (1, finished(), true),
            (2, Outcome::Interrupted { cause: cause() }, false),
        ] {
            let work = Work { attempts: 1, ..work(1) };
            store(&dir, &work, attempts, outcome);
            let whose = claims.look(&[&work]).unwrap();
            assert_eq!(matches!(whose[0], Whose::Done(_)), done, "{whose:?}");
        }
    }

    #[test]
    fn a_claim_that_another_machine_took_over_is_not_ours() {
        let (_folder, dir) = folder();
        let mut claims = Claims::open(dir.clone(), None, Vec::new()).unwrap();
        let work = work(1);
        claims.take(&[&work], "cpu 1").unwrap();
        assert!(claims.holds(work.run()) && claims.may_end(&work).unwrap());
        claim(&dir, work.run(), &Process { host: "far".to_owned(), ..claims.this.clone() });
        assert!(!claims.holds(work.run()) && !claims.may_end(&work).unwrap());
        claims.release([work.run()]);
        drop(claims);
        assert_eq!(fs_err::read_dir(dir.claims()).unwrap().count(), 1, "it is theirs");
    }

    #[test]
    fn who_took_a_run_over_and_ended_it_is_not_overwritten() {
        let (_folder, dir) = folder();
        let mut claims = Claims::open(dir.clone(), None, Vec::new()).unwrap();
        let work = Work { attempts: 1, ..work(1) };
        claims.take(&[&work], "cpu 1").unwrap();
        fs_err::remove_file(claims.file(work.run())).unwrap();
        assert!(!claims.holds(work.run()));
        let cause = || "x".to_owned();
        for (attempts, outcome, ours) in [
            (1, Outcome::Failed { cause: cause() }, true),
            (2, Outcome::Interrupted { cause: cause() }, true),
            (2, Outcome::Failed { cause: cause() }, false),
            (2, finished(), false),
        ] {
            store(&dir, &work, attempts, outcome);
            assert_eq!(claims.may_end(&work).unwrap(), ours, "{attempts}");
        }
    }

    #[test]
    fn a_claim_that_cannot_be_read_may_be_anybodys() {
        let (_folder, dir) = folder();
        let mut claims = Claims::open(dir.clone(), None, Vec::new()).unwrap();
        let work = work(1);
        // A folder cannot be read, not even by root.
        fs_err::create_dir(claims.file(work.run())).unwrap();
        assert!(claims.look(&[&work]).is_err());
        assert!(claims.take(&[&work], "cpu 1").is_err());
        assert!(claims.may_end(&work).is_err());
    }
}
