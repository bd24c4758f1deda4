//! One try at a run: what it says while it goes on, what stays when it has ended.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

use spec::paths::RunDir;
use spec::record::{self, EpochMetrics, Outcome, Predictions, RunConfig, RunResult};
use spec::run_id::RunId;

use super::atomic::{Aside, Syncing};
use super::claims::Fence;
use super::lock::Lock;
use super::{StoreError, WriteError, atomic, tables};

/// An attempt under way. Dropping it without [`Attempt::end`] leaves the run open.
#[derive(Debug)]
pub struct Attempt {
    dir: RunDir,
    run: RunId,
    number: u32,
    /// How many there were when the run was found open.
    before: u32,
    /// `config.json`
    config: fs_err::File,
    log: fs_err::File,
    /// Whether nothing of an earlier attempt can lie here.
    first: bool,
    started: SystemTime,
    clock: Instant,
    history: Vec<EpochMetrics>,
    predictions: Option<Predictions>,
}

impl Attempt {
    /// What is written here is on the disk when the run has ended. There were `before` attempts at the
    /// least, whether they have left a log or not.
    pub(super) fn open(dir: RunDir, config: &RunConfig, before: u32) -> Result<Self, WriteError> {
        // Not what is above: results that vanish while a sweep is at work shall not come back in part.
        let first = make(dir.root())?;
        make(&dir.attempts())?;
        let mut file = Aside::write(&dir.config(), &atomic::to_json(config)?)?;
        file.rename()?;
        let logs = if first { 0 } else { attempts_so_far(&dir)? };
        let number = logs.max(before) + 1;
        let log = fs_err::File::create(dir.attempt_log(number))?;
        Ok(Self {
            dir,
            run: config.run,
            number,
            before,
            config: file.into_handle()?,
            log,
            first,
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

    /// Takes down what the trained model says, or more of it.
    pub fn predictions(&mut self, more: Predictions) {
        match &mut self.predictions {
            Some(said) if said.classes == more.classes => said.images.extend(more.images),
            said => *said = Some(more),
        }
    }

    /// Leaves the run open, and says in the log why.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn leave(mut self, why: &str) -> Result<(), WriteError> {
        self.log(format!("{why}\n").as_bytes())?;
        Ok(self.log.sync_all()?)
    }

    /// Writes how the run ended; nothing is in its place before [`commit`]. The log comes back for what is
    /// still to be said.
    ///
    /// # Errors
    /// When it cannot be written: the run stays open.
    pub fn end(self, device: &str, outcome: Outcome) -> Result<(Ended, fs_err::File), WriteError> {
        let seconds = self.seconds();
        let mut files = vec![Aside::write(&self.dir.metrics(), &tables::metrics(&self.history)?)?];
        let (predictions, submission) = match &self.predictions {
            Some(said) => (Some(tables::predictions(said)?), tables::submission(said)?),
            None => (None, None),
        };
        let mut stale = Vec::new();
        let tables = [(self.dir.predictions(), predictions), (self.dir.submission(), submission)];
        for (file, content) in tables {
            match content {
                Some(content) => files.push(Aside::write(&file, &content)?),
                // Where this attempt has nothing, an earlier attempt's file would pass for its own.
                None if self.first => {}
                None => stale.push(file),
            }
        }
        let result = RunResult {
            version: record::VERSION,
            run: self.run,
            attempts: self.number,
            started: humantime::format_rfc3339_seconds(self.started).to_string(),
            seconds,
            device: device.to_owned(),
            program: Some(crate::PROGRAM.to_owned()),
            outcome,
        };
        let file = Aside::write(&self.dir.result(), &atomic::to_json(&result)?)?;
        let Self { dir, before, config, log, .. } = self;
        Ok((Ended { dir, before, config, stale, files, file, result }, log))
    }
}

/// A run that has ended, written but not in its place.
#[derive(Debug)]
pub struct Ended {
    dir: RunDir,
    before: u32,
    config: fs_err::File,
    /// Files of earlier attempts that this one has nothing to put in the place of.
    stale: Vec<PathBuf>,
    files: Vec<Aside>,
    /// `result.json`
    file: Aside,
    result: RunResult,
}

impl Ended {
    fn run(&self) -> RunId {
        self.result.run
    }
}

/// What became of runs that have ended.
#[derive(Debug, Default)]
pub struct Committed {
    /// These are safe.
    pub stored: Vec<RunResult>,
    /// These another orchestrator has taken over: what it says of them stands.
    pub lost: Vec<RunId>,
    /// Why others are neither and stay open: the first thing that went wrong.
    pub error: Option<StoreError>,
}

impl Committed {
    fn sort(&mut self, ended: impl IntoIterator<Item = Ended>, put: &[RunId]) {
        for ended in ended {
            match put.contains(&ended.run()) {
                true => self.stored.push(ended.result),
                false => self.lost.push(ended.run()),
            }
        }
    }
}

/// Puts what runs have left in its place, all together, since the disk takes as long for many files as for
/// one. Where that fails one by one: what ails one run is not to cost the others.
pub(super) fn commit(mut ended: Vec<Ended>, fence: &Fence, syncing: &Syncing) -> Committed {
    let mut committed = Committed::default();
    match put(&mut ended, fence, syncing) {
        Ok(ours) => committed.sort(ended, &ours),
        Err(error) if ended.len() == 1 => committed.error = Some(error),
        Err(_) => {
            for mut ended in ended {
                match put(std::slice::from_mut(&mut ended), fence, syncing) {
                    Ok(ours) => committed.sort([ended], &ours),
                    Err(error) => _ = committed.error.get_or_insert(error),
                }
            }
        }
    }
    committed
}

/// Puts in its place what nobody else has taken over. Which runs these are.
///
/// # Errors
/// When the disk does not take it, or it cannot be known whose a run is: runs without a `result.json`
/// stay open.
fn put(ended: &mut [Ended], fence: &Fence, syncing: &Syncing) -> Result<Vec<RunId>, StoreError> {
    let files = ended.iter().flat_map(|ended| {
        let rest = ended.files.iter().map(Aside::handle);
        [&ended.config, ended.file.handle()].into_iter().chain(rest)
    });
    syncing.sync(&files.collect::<Vec<_>>()).map_err(WriteError::from)?;
    let lock = fence.lock().map_err(WriteError::from)?;
    let mut ours = Vec::new();
    for ended in ended {
        if fence.lets_pass(ended.run(), &ended.dir, ended.before)? {
            ours.push(ended);
        }
    }
    put_ours(&mut ours, lock, syncing)?;
    Ok(ours.iter().map(|ended| ended.run()).collect())
}

/// Everything else comes first, then `result.json`, each on the disk before the next.
fn put_ours(ours: &mut [&mut Ended], lock: Lock, syncing: &Syncing) -> Result<(), WriteError> {
    let folders = ours.iter().map(|ended| fs_err::File::open(ended.dir.root()));
    let folders: Vec<fs_err::File> = folders.collect::<io::Result<_>>()?;
    // All runs are in one folder, which has to know of theirs.
    let above = ours.first().and_then(|ended| ended.dir.root().parent());
    let above = above.map(fs_err::File::open).transpose()?;
    for ended in ours.iter_mut() {
        ended.stale.iter().try_for_each(|file| remove(file))?;
        ended.files.iter_mut().try_for_each(Aside::rename)?;
    }
    syncing.sync(&folders.iter().chain(&above).collect::<Vec<_>>())?;
    ours.iter_mut().try_for_each(|ended| ended.file.rename())?;
    drop(lock);
    Ok(syncing.sync(&folders.iter().collect::<Vec<_>>())?)
}

/// Makes a folder, if need be; whether it was.
fn make(folder: &Path) -> io::Result<bool> {
    match fs_err::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        made => made.map(|()| true),
    }
}

fn remove(file: &Path) -> io::Result<()> {
    match fs_err::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planning::tests::work;
    use spec::paths::ResultsDir;

    #[test]
    fn an_attempt_is_later_than_those_that_are_known_and_those_with_a_log() {
        let folder = tempfile::tempdir().unwrap();
        let work = work(1);
        let dir = ResultsDir::new(folder.path()).run(&work.planned);
        fs_err::create_dir_all(dir.root().parent().unwrap()).unwrap();
        for (before, number) in [(0, 1), (0, 2), (5, 6), (0, 7), (3, 8)] {
            let attempt = Attempt::open(dir.clone(), &work.record(), before).unwrap();
            assert_eq!(attempt.number, number);
        }
        fs_err::remove_dir_all(dir.attempts()).unwrap();
        let attempt = Attempt::open(dir, &work.record(), 8).unwrap();
        assert_eq!(attempt.number, 9, "without any log");
    }
}
