//! The folder of the nights: one night at a time is written, by whoever holds its lock.

use std::fs::TryLockError;
use std::io;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use spec::paths::{NightDir, NightsDir};
use spec::record::Outcome;
use thiserror::Error;

use super::atomic;
use super::read::read_json;
use super::{ReadError, StoreError, WriteError, read_plan, read_result};
use crate::exit::{self, Ends};
use crate::nightly::history::{self, Past};
use crate::nightly::record::{Begun, Summary, VERSION};
use crate::process::Process;

/// The nights, to be written.
#[derive(Debug)]
pub struct Nights {
    dir: NightsDir,
    #[expect(dead_code, reason = "open means held")]
    lock: fs_err::File,
}

/// The nights cannot be had.
#[derive(Debug, Error, Diagnostic)]
pub enum NightsError {
    /// Somebody has them.
    #[error("a night is going on in {}: {holder}", folder.display())]
    #[diagnostic(help("it is left alone; `sweep status --results DIR` shows how far it is"))]
    Held {
        /// The nights.
        folder: PathBuf,
        /// Who, since when, and in which night.
        holder: String,
    },
    /// They cannot be written, or not be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
}

impl Ends for NightsError {
    fn exit_code(&self) -> u8 {
        match self {
            // Whoever waits for a night to end has to see that it does not.
            Self::Held { .. } => exit::ENVIRONMENT,
            Self::Store(error) => error.exit_code(),
        }
    }
}

impl From<WriteError> for NightsError {
    fn from(error: WriteError) -> Self {
        Self::Store(error.into())
    }
}

impl From<io::Error> for NightsError {
    fn from(error: io::Error) -> Self {
        Self::from(WriteError::from(error))
    }
}

/// `.holder.json`
#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    process: Process,
    /// In RFC 3339.
    since: String,
}

impl Nights {
    /// Takes the nights in `dir`; makes the folder if need be. The system lets go of them when this
    /// process ends, however it ends. `now` is for whoever finds them taken.
    ///
    /// # Errors
    /// When somebody else has them, or the folder cannot be written.
    pub fn open(dir: NightsDir, now: &jiff::ZonedDateTime) -> Result<Self, NightsError> {
        fs_err::create_dir_all(dir.root())?;
        let mut options = fs_err::OpenOptions::new();
        let lock = options.write(true).create(true).truncate(false).open(dir.lock())?;
        match lock.file().try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = holder(&dir);
                return Err(NightsError::Held { folder: dir.root().to_owned(), holder });
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let since = now.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
        atomic::write_json(&dir.holder(), &Holder { process: Process::this()?, since })?;
        for gone in folders(&dir)?.into_iter().filter(|name| name.starts_with(".gone-")) {
            // Somebody was killed while removing it.
            fs_err::remove_dir_all(dir.root().join(gone))?;
        }
        Ok(Self { dir, lock })
    }

    /// The folder.
    pub fn dir(&self) -> &NightsDir {
        &self.dir
    }

    /// Whether there is a folder of this name.
    pub fn is_taken(&self, night: &str) -> bool {
        self.dir.night(night).root().exists()
    }

    /// The nights of the nightly file `name`, in the order of time.
    ///
    /// # Errors
    /// When one cannot be read, or a newer version of this program wrote it.
    pub fn past(&self, name: &str) -> Result<Vec<Past>, ReadError> {
        past(&self.dir, name)
    }

    /// A night begins.
    ///
    /// # Errors
    /// When its folder cannot be written.
    pub fn begin(&self, begun: &Begun) -> Result<(), WriteError> {
        let night = self.dir.night(&begun.night);
        fs_err::create_dir_all(night.root())?;
        atomic::sync_folder(self.dir.root())?;
        atomic::write_json(&night.begun(), begun)
    }

    /// Gives the night `to` what the night `from` finished of these sweeps, its plans, and its features. How many
    /// runs of each. With its plan a sweep whose turn does not come in `to` either is unfinished there, and the night
    /// after that goes on with it. Files are shared, not copied: nobody writes into a run that has finished.
    ///
    /// # Errors
    /// When something cannot be read or written.
    pub fn carry(
        &self,
        from: &NightDir,
        to: &NightDir,
        sweeps: &[&str],
    ) -> Result<Vec<usize>, StoreError> {
        let (old, new) = (from.results(), to.results());
        fs_err::create_dir_all(new.runs()).map_err(WriteError::from)?;
        let mut carried = Vec::new();
        for sweep in sweeps {
            let mut count = 0;
            for run in read_plan(&old, sweep)?.runs() {
                let (theirs, ours) = (old.run(run), new.run(run));
                let result = read_result(&theirs, run.run)?;
                if !result.is_some_and(|result| matches!(result.outcome, Outcome::Finished(_))) {
                    continue;
                }
                if !ours.result().exists() {
                    // The result last: without it a run that was carried in part is simply done again.
                    link(theirs.root(), ours.root(), &theirs.result()).map_err(WriteError::from)?;
                    share(&theirs.result(), &ours.result()).map_err(WriteError::from)?;
                }
                count += 1;
            }
            let (theirs, ours) = (old.sweep(sweep), new.sweep(sweep));
            if !ours.plan().exists() {
                fs_err::create_dir_all(ours.root()).map_err(WriteError::from)?;
                share(&theirs.plan(), &ours.plan()).map_err(WriteError::from)?;
            }
            carried.push(count);
        }
        // Features, and the states of runs that had not finished: computed by the same.
        if old.cache().is_dir() && !new.cache().exists() {
            fs_err::rename(old.cache(), new.cache()).map_err(WriteError::from)?;
        }
        Ok(carried)
    }

    /// A night has ended: its report first, as text and as a page, then its summary, which says that all is there.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn conclude(&self, summary: &Summary, report: &str, page: &str) -> Result<(), WriteError> {
        let night = self.dir.night(&summary.night);
        atomic::write(&night.report(), report.as_bytes())?;
        atomic::write(&night.page(), page.as_bytes())?;
        atomic::write_json(&night.summary(), summary)?;
        let aside = self.dir.root().join(".latest.part");
        match fs_err::remove_file(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        fs_err::os::unix::fs::symlink(&summary.night, &aside)?;
        Ok(fs_err::rename(&aside, self.dir.latest())?)
    }

    /// Removes the features of a night.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub fn forget_features(&self, night: &str) -> Result<(), WriteError> {
        remove(&self.dir.night(night).results().cache())
    }

    /// Removes the features that nights share, but for those under `key`.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub fn forget_other_features(&self, key: &str) -> Result<(), WriteError> {
        let features = self.dir.features();
        if features.is_dir() {
            for entry in fs_err::read_dir(features)? {
                let entry = entry?;
                if entry.file_name() != *key {
                    remove(&entry.path())?;
                }
            }
        }
        Ok(())
    }

    /// Removes a night.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, night: &str) -> Result<(), WriteError> {
        let gone = self.dir.gone(night);
        // Out of sight first: half a night is none.
        fs_err::rename(self.dir.night(night).root(), &gone)?;
        remove(&gone)
    }

    /// Removes all nights but the last `keep` of each nightly file, and those that others are compared
    /// with. Their names.
    ///
    /// # Errors
    /// When one cannot be read or removed.
    pub fn prune(&self, keep: usize) -> Result<Vec<String>, StoreError> {
        let mut removed = Vec::new();
        for name in names(&self.dir)? {
            let past = self.past(&name)?;
            for night in history::to_prune(&past, keep) {
                self.remove(night)?;
                removed.push(night.to_owned());
            }
        }
        removed.sort_unstable();
        Ok(removed)
    }

    /// Takes down that later nights are to be compared with this one.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn accept(&self, night: &str) -> Result<(), WriteError> {
        atomic::write(&self.dir.night(night).accepted(), b"")
    }

    /// Keeps what a command said.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn keep_log(&self, night: &str, hook: &str, said: &[u8]) -> Result<(), WriteError> {
        Ok(fs_err::write(self.dir.night(night).hook_log(hook), said)?)
    }
}

impl Drop for Nights {
    fn drop(&mut self) {
        let _ = fs_err::remove_file(self.dir.holder());
    }
}

/// The nights of the nightly file `name` in `dir`, in the order of time.
///
/// # Errors
/// When one cannot be read, or a newer version of this program wrote it.
pub fn past(dir: &NightsDir, name: &str) -> Result<Vec<Past>, ReadError> {
    let mut past = Vec::new();
    for folder in folders(dir)? {
        let night = dir.night(&folder);
        let Some(begun) = whole::<Begun>(&night.begun())? else { continue };
        // A link to a night is none, and neither is a copy.
        if begun.name == name && begun.night == folder {
            let summary = whole(&night.summary())?;
            past.push(Past { begun, summary, accepted: night.accepted().exists() });
        }
    }
    past.sort_by(|one, other| {
        let key = |past: &Past| (past.begun.started.timestamp(), past.begun.night.len());
        (key(one), &one.begun.night).cmp(&(key(other), &other.begun.night))
    });
    Ok(past)
}

/// The names of the nightly files that have nights in `dir`.
fn names(dir: &NightsDir) -> Result<Vec<String>, ReadError> {
    let mut names = Vec::new();
    for folder in folders(dir)? {
        names.extend(whole::<Begun>(&dir.night(&folder).begun())?.map(|begun| begun.name));
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// What is in a file; nothing if that cannot be known.
fn whole<T: DeserializeOwned>(file: &Path) -> Result<Option<T>, ReadError> {
    match read_json(file, VERSION) {
        Err(ReadError::Broken { file, cause }) => {
            tracing::warn!("{} cannot be understood: {cause}", file.display());
            Ok(None)
        }
        read => read,
    }
}

/// Who has the nights, for people.
fn holder(dir: &NightsDir) -> String {
    let read = || serde_json::from_slice::<Holder>(&fs_err::read(dir.holder()).ok()?).ok();
    match read() {
        Some(Holder { process, since }) => format!("{process} has it since {since}"),
        None => "somebody has it since just now".to_owned(),
    }
}

/// The names of the folders in `dir`; one that is not there has none.
fn folders(dir: &NightsDir) -> io::Result<Vec<String>> {
    let entries = match fs_err::read_dir(dir.root()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}

/// Links every file of `from` into `to`, but for `last`.
fn link(from: &Path, to: &Path, last: &Path) -> io::Result<()> {
    fs_err::create_dir_all(to)?;
    for entry in fs_err::read_dir(from)? {
        let entry = entry?;
        let (theirs, ours) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            link(&theirs, &ours, last)?;
        } else if theirs != last && !ours.exists() {
            share(&theirs, &ours)?;
        }
    }
    Ok(())
}

/// One file under two names; a copy where the disk knows no such thing.
fn share(from: &Path, to: &Path) -> io::Result<()> {
    match fs_err::hard_link(from, to) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            fs_err::copy(from, to).map(|_| ())
        }
        linked => linked,
    }
}

fn remove(folder: &Path) -> Result<(), WriteError> {
    match fs_err::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => Ok(removed?),
    }
}
