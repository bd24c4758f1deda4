//! `results/.lock`: held for a moment by whoever changes what all orchestrators write.

use std::io;
use std::path::PathBuf;

use spec::paths::ResultsDir;

/// The lock, held. The system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "open means held")] fs_err::File);

impl Lock {
    /// Waits for it.
    pub(super) fn hold(dir: &ResultsDir) -> io::Result<Self> {
        Self::hold_file(dir.lock())
    }

    /// Waits for the lock on `file`, which is made if need be.
    pub(super) fn hold_file(file: PathBuf) -> io::Result<Self> {
        let mut options = fs_err::OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(file)?;
        loop {
            match file.file().lock() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                locked => return locked.map(|()| Self(file)),
            }
        }
    }
}
