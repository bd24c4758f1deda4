//! Where weights lie.

use std::env;
use std::path::{Path, PathBuf};

/// The folder with `<name>.safetensors` for each backbone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightsFolder(PathBuf);

impl WeightsFolder {
    /// That folder.
    pub fn new(folder: &Path) -> Self {
        // Workers may run elsewhere; what they are told must not depend on where.
        Self(std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned()))
    }

    /// The folder that the environment names: `SWEEP_WEIGHTS`, else `sweep/weights` in the user's
    /// cache (`XDG_CACHE_HOME`, else `~/.cache`).
    pub fn from_environment() -> Self {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = set("SWEEP_WEIGHTS").unwrap_or_else(|| {
            let cache = set("XDG_CACHE_HOME").filter(|cache| cache.is_absolute());
            let home = || env::home_dir().unwrap_or_default().join(".cache");
            cache.unwrap_or_else(home).join("sweep/weights")
        });
        Self::new(&folder)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where the weights of that name belong.
    pub fn file(&self, name: &str) -> PathBuf {
        Self::file_in(&self.0, name)
    }

    pub(crate) fn file_in(folder: &Path, name: &str) -> PathBuf {
        folder.join(format!("{name}.safetensors"))
    }
}
