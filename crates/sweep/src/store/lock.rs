//! `results/.lock`: one orchestrator at a time.

use std::fs::TryLockError;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use spec::paths::ResultsDir;

use super::WriteError;

/// The lock, held. The system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "open means held")] fs_err::File);

/// Who holds the lock, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// Since when, in RFC 3339, UTC.
    pub started: String,
}

impl Lock {
    pub(super) fn try_take(dir: &ResultsDir) -> Result<Option<Self>, WriteError> {
        let file = open(dir)?;
        match file.file().try_lock() {
            Ok(()) => Ok(Some(sign(file)?)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    pub(super) fn wait(dir: &ResultsDir, waits: impl FnOnce(&Holder)) -> Result<Self, WriteError> {
        if let Some(lock) = Self::try_take(dir)? {
            return Ok(lock);
        }
        let mut file = open(dir)?;
        waits(&read_holder(&mut file));
        loop {
            match file.file().lock() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                locked => {
                    locked?;
                    return sign(file);
                }
            }
        }
    }
}

/// Who holds the lock of `dir`; nobody is not an error, and neither is a folder without a lock.
pub fn holder(dir: &ResultsDir) -> Option<Holder> {
    let mut file = fs_err::File::open(dir.lock()).ok()?;
    match file.file().try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(read_holder(&mut file)),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

fn open(dir: &ResultsDir) -> io::Result<fs_err::File> {
    let mut options = fs_err::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).open(dir.lock())
}

/// Writes ourselves into the lock: for people, nothing depends on it.
fn sign(mut file: fs_err::File) -> Result<Lock, WriteError> {
    let started = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let holder = Holder { pid: std::process::id(), started };
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(&serde_json::to_vec(&holder)?)?;
    Ok(Lock(file))
}

fn read_holder(file: &mut fs_err::File) -> Holder {
    let mut text = String::new();
    let unknown = || Holder { pid: 0, started: "an unknown time".to_owned() };
    match file.read_to_string(&mut text) {
        Ok(_) => serde_json::from_str(&text).unwrap_or_else(|_| unknown()),
        Err(_) => unknown(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_and_the_others_learn_who() {
        let folder = tempfile::tempdir().unwrap();
        let dir = ResultsDir::new(folder.path());
        assert_eq!(holder(&dir), None);
        let lock = Lock::try_take(&dir).unwrap();
        assert!(lock.is_some());
        assert_eq!(holder(&dir).map(|holder| holder.pid), Some(std::process::id()));
        assert!(Lock::try_take(&dir).unwrap().is_none());
        drop(lock);
        assert_eq!(holder(&dir), None);
        assert!(Lock::try_take(&dir).unwrap().is_some());
    }
}
