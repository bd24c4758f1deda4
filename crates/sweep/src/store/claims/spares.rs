//! Claims that were let go, kept for the runs to come.
//!
//! A file that is removed may cost those that are made after it: without a journal, ext4 gives its inode to
//! no other for minutes, and looks through all such inodes for each new file. At hundreds of runs a second
//! that became most of what a sweep did. A claim says who is at a run and in which slot, not at which run: under another
//! name it is another run's.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

/// Spare claims, by slot.
#[derive(Debug)]
pub(super) struct Spares {
    /// What their files' names begin with.
    place: PathBuf,
    /// How many names were given.
    named: u64,
    by_slot: HashMap<String, Vec<PathBuf>>,
}

impl Spares {
    /// Keeps them in `folder`, under the name of a process.
    pub(super) fn new(folder: &Path, process: &str) -> Self {
        Self { place: folder.join(process), named: 0, by_slot: HashMap::new() }
    }

    /// Puts a claim of `slot` in the place `file`, if there is a spare one.
    pub(super) fn put(&mut self, slot: &str, file: &Path) -> io::Result<bool> {
        let Some(spare) = self.by_slot.get_mut(slot).and_then(Vec::pop) else { return Ok(false) };
        match fs_err::rename(spare, file) {
            // Somebody has cleared up: a new one does as well.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            renamed => renamed.map(|()| true),
        }
    }

    /// Takes the claim `file` of `slot` from its place.
    pub(super) fn keep(&mut self, slot: String, file: &Path) {
        self.named += 1;
        let spare = self.place.with_extension(self.named.to_string());
        match fs_err::rename(file, &spare) {
            Ok(()) => self.by_slot.entry(slot).or_default().push(spare),
            // A claim that stays is stale as soon as we are gone.
            Err(_) => _ = fs_err::remove_file(file),
        }
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        for spare in self.by_slot.drain().flat_map(|(_, spares)| spares) {
            let _ = fs_err::remove_file(spare);
        }
    }
}
