//! The small files in `.claims`.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::WriteError;

/// Under the lock, so one that is cut short was left by somebody who is gone.
pub(super) fn write(file: &Path, value: &impl Serialize) -> Result<(), WriteError> {
    Ok(fs_err::write(file, serde_json::to_vec(value)?)?)
}

/// None when it is not there, or cut short.
pub(super) fn read<T: DeserializeOwned>(file: &Path) -> Option<T> {
    serde_json::from_slice(&fs_err::read(file).ok()?).ok()
}

pub(super) fn read_all<T: DeserializeOwned>(folder: &Path) -> Vec<(PathBuf, T)> {
    let entries = fs_err::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.path(), read(&entry.path())?))).collect()
}
