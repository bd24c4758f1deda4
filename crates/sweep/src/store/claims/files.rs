//! The small files in `.claims`.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::WriteError;
use crate::store::atomic::Aside;

/// Whole or not there; nothing of it need outlive the machine.
pub(super) fn write(file: &Path, value: &impl Serialize) -> Result<(), WriteError> {
    Ok(Aside::write(file, &serde_json::to_vec(value)?)?.rename()?)
}

/// None when it is not there, or no such file: that is nobody's claim. One that cannot be read is an error,
/// for it may be somebody's.
pub(super) fn read<T: DeserializeOwned>(file: &Path) -> io::Result<Option<T>> {
    match fs_err::read(file) {
        Ok(content) => Ok(serde_json::from_slice(&content).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Those that can be read.
pub(super) fn read_all<T: DeserializeOwned>(folder: &Path) -> Vec<(PathBuf, T)> {
    let entries = fs_err::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.path(), read(&entry.path()).ok()??))).collect()
}
