//! Files that are whole or not there.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::WriteError;

/// Writes `content` to `file`: aside, synced, renamed, and the folder synced, so that after a crash
/// at any moment there is the old file or the new one.
pub(super) fn write(file: &Path, content: &[u8]) -> Result<(), WriteError> {
    let aside = aside(file);
    let written = (|| {
        let mut handle = fs_err::File::create(&aside)?;
        handle.write_all(content)?;
        handle.sync_all()?;
        fs_err::rename(&aside, file)
    })();
    if let Err(error) = written {
        // What fills a full disk should not stay; that it cannot be removed is the smaller trouble.
        let _ = fs_err::remove_file(&aside);
        return Err(error.into());
    }
    Ok(sync_folder(file.parent().unwrap_or(Path::new(".")))?)
}

/// Writes `content`, or makes sure that there is no such file.
pub(super) fn write_or_remove(file: &Path, content: Option<&[u8]>) -> Result<(), WriteError> {
    match content {
        Some(content) => write(file, content),
        None => match fs_err::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        },
    }
}

pub(super) fn write_json(file: &Path, value: &impl Serialize) -> Result<(), WriteError> {
    let mut json = serde_json::to_vec_pretty(value)?;
    json.push(b'\n');
    write(file, &json)
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
