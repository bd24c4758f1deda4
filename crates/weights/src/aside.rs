//! Files that are whole or not there.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Writes a file so that it is there whole, for good, or not at all.
///
/// # Errors
/// When it cannot be written; the error names it.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let aside = Aside::of(path);
    let mut file = fs_err::File::create(aside.path())?;
    file.write_all(content)?;
    file.sync_all()?;
    aside.keep()
}

/// A file beside the one that it will be renamed to; removed when it is not kept.
#[derive(Debug)]
pub struct Aside {
    path: PathBuf,
    target: PathBuf,
}

impl Aside {
    /// The file beside `target`; nothing is created yet. The name is the process's own.
    pub fn of(target: &Path) -> Self {
        let mut name = OsString::from(".");
        name.push(target.file_name().unwrap_or_default());
        name.push(format!(".{}.part", std::process::id()));
        Self { path: target.with_file_name(name), target: target.to_owned() }
    }

    /// Where to write.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its name, for good.
    ///
    /// # Errors
    /// When that is not possible; the file beside it is then removed.
    pub fn keep(self) -> io::Result<()> {
        fs_err::rename(&self.path, &self.target)?;
        let folder = match self.target.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        fs_err::File::open(folder)?.sync_all()
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // After a rename there is nothing to remove; that it cannot be removed is the smaller trouble.
        let _ = fs_err::remove_file(&self.path);
    }
}
