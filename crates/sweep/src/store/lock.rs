//! `results/.lock`: held for a moment by whoever changes what all orchestrators write.

use std::io;

use spec::paths::ResultsDir;

/// The lock, held. The system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "open means held")] fs_err::File);

impl Lock {
    /// Waits for it.
    pub(super) fn hold(dir: &ResultsDir) -> io::Result<Self> {
        let mut options = fs_err::OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(dir.lock())?;
        loop {
            match file.file().lock() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                locked => return locked.map(|()| Self(file)),
            }
        }
    }
}
