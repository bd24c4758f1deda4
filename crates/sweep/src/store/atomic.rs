//! Files that are whole or not there.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde::Serialize;

use super::WriteError;

/// So many files are synced at a time: the system writes what is asked for together in one go.
const AT_ONCE: usize = 32;

/// Threads that ask for many files to be made safe at once.
#[derive(Debug)]
pub(super) struct Syncing(ThreadPool);

impl Syncing {
    /// Starts the threads.
    pub(super) fn start() -> io::Result<Self> {
        let threads = ThreadPoolBuilder::new().num_threads(AT_ONCE);
        let threads = threads.thread_name(|number| format!("sync {number}")).build();
        threads.map(Self).map_err(io::Error::other)
    }

    /// Makes all `files` safe.
    pub(super) fn sync(&self, files: &[&fs_err::File]) -> io::Result<()> {
        let files = files.par_iter().with_max_len(1);
        self.0.install(|| files.try_for_each(|file| file.sync_all()))
    }
}

/// A file written aside, which does not take its place before [`Aside::rename`]. Dropped without that it
/// is removed: what fills a full disk should not stay.
#[derive(Debug)]
pub(super) struct Aside {
    handle: fs_err::File,
    file: PathBuf,
    renamed: bool,
}

impl Aside {
    /// Writes `content` aside of `file`; nothing is synced.
    pub(super) fn write(file: &Path, content: &[u8]) -> io::Result<Self> {
        let handle = fs_err::File::create(aside(file))?;
        let mut aside = Self { handle, file: file.to_owned(), renamed: false };
        aside.handle.write_all(content)?;
        Ok(aside)
    }

    /// To be synced before it is renamed.
    pub(super) fn handle(&self) -> &fs_err::File {
        &self.handle
    }

    /// The file itself, once it is in its place.
    pub(super) fn into_handle(self) -> io::Result<fs_err::File> {
        let (file, path) = (self.handle.file().try_clone()?, self.file.clone());
        Ok(fs_err::File::from_parts(file, path))
    }

    /// Puts it in its place, if it is not there yet.
    pub(super) fn rename(&mut self) -> io::Result<()> {
        if self.renamed {
            return Ok(());
        }
        fs_err::rename(aside(&self.file), &self.file)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.renamed {
            // That it cannot be removed is the smaller trouble.
            let _ = fs_err::remove_file(aside(&self.file));
        }
    }
}

/// Writes `content` to `file`: aside, synced, renamed, and the folder synced, so that after a crash
/// at any moment there is the old file or the new one.
pub(super) fn write(file: &Path, content: &[u8]) -> Result<(), WriteError> {
    let mut written = Aside::write(file, content)?;
    written.handle.sync_all()?;
    written.rename()?;
    Ok(sync_folder(file.parent().unwrap_or(Path::new(".")))?)
}

pub(super) fn write_json(file: &Path, value: &impl Serialize) -> Result<(), WriteError> {
    write(file, &to_json(value)?)
}

/// The JSON of `value` for a file.
pub(super) fn to_json(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut json = serde_json::to_vec_pretty(value)?;
    json.push(b'\n');
    Ok(json)
}

/// Makes renames and new files in `folder` survive a crash.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    fs_err::File::open(folder)?.sync_all()
}

/// One name for each file, so that what a crash left is overwritten: there is one writer.
fn aside(file: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(file.file_name().unwrap_or_default());
    name.push(".part");
    file.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("result.json");
        write(&file, b"old").unwrap();
        // A folder in the way of the file aside makes the write fail, for root too.
        fs_err::create_dir(aside(&file)).unwrap();
        assert!(write(&file, b"new").is_err());
        assert_eq!(fs_err::read(&file).unwrap(), b"old");
        fs_err::remove_dir(aside(&file)).unwrap();
        write(&file, b"new").unwrap();
        assert_eq!(fs_err::read(&file).unwrap(), b"new");
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 1);
    }
}
