//! What can be seen to fail before anything starts.

use std::io;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use thiserror::Error;

use crate::exit::{self, Ends};

/// Files that every run leaves: what was asked for, its epochs, predictions, result and log.
const FILES: u64 = 5;
/// Folders that every run leaves: its own and that of its logs.
const FOLDERS: u64 = 2;

/// Runs that cannot be stored.
#[derive(Debug, Error, Diagnostic)]
pub enum RoomError {
    /// Too few bytes are free.
    #[error(
        "the disk is too full: for {runs} to do it takes {} at the least, and {} has {} left",
        size(*needed), folder.display(), size(*free)
    )]
    #[diagnostic(help("free some space, or name another folder with --results"))]
    Bytes {
        /// Where results go.
        folder: PathBuf,
        /// Runs to do.
        runs: usize,
        /// Bytes that they take at the least.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// Too few files may still be made.
    #[error(
        "the disk is too full: for {runs} to do it takes {needed} files and folders, and {} has room for {free}",
        folder.display()
    )]
    #[diagnostic(help("remove files, or name another folder with --results"))]
    Files {
        /// Where results go.
        folder: PathBuf,
        /// Runs to do.
        runs: usize,
        /// Files and folders that they make.
        needed: u64,
        /// Those for which there is room.
        free: u64,
    },
    /// Nobody knows.
    #[error("cannot tell how full the disk is: {0}")]
    Unknown(io::Error),
}

impl Ends for RoomError {
    fn exit_code(&self) -> u8 {
        exit::ENVIRONMENT
    }
}

/// What is left on a disk.
#[derive(Debug, Clone, Copy)]
struct Left {
    /// Bytes of the smallest file that is not empty.
    block: u64,
    bytes: u64,
    /// Files that may still be made; none where they are not counted.
    files: Option<u64>,
}

/// Whether `runs` runs may find room in `folder`.
///
/// # Errors
/// When they will not.
pub fn room(folder: &Path, runs: usize) -> Result<(), RoomError> {
    let disk = rustix::fs::statvfs(folder).map_err(|error| RoomError::Unknown(error.into()))?;
    let left = Left {
        block: disk.f_frsize,
        bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
        files: (disk.f_files > 0).then_some(disk.f_favail),
    };
    fits(folder, runs, left)
}

/// Whether features can be kept in `cache`, which is made if need be. Without it things only take longer.
///
/// # Errors
/// Why not.
pub fn cache(cache: &Path) -> io::Result<()> {
    fs_err::create_dir_all(cache)?;
    Ok(rustix::fs::access(cache, rustix::fs::Access::WRITE_OK)?)
}

fn fits(folder: &Path, runs: usize, left: Left) -> Result<(), RoomError> {
    let files = (FILES + FOLDERS) * runs as u64;
    let (needed, free) = (files.saturating_mul(left.block), left.bytes);
    if free < needed {
        return Err(RoomError::Bytes { folder: folder.to_owned(), runs, needed, free });
    }
    match left.files {
        Some(free) if free < files => {
            Err(RoomError::Files { folder: folder.to_owned(), runs, needed: files, free })
        }
        _ => Ok(()),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{} KiB", bytes >> 10),
        _ => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_cannot_fit_are_refused() {
        let left = Left { block: 4096, bytes: 1 << 20, files: Some(100) };
        let said = |runs, left| fits(Path::new("results"), runs, left).unwrap_err().to_string();
        assert!(fits(Path::new("results"), 14, left).is_ok());
        insta::assert_snapshot!(said(15, left), @"the disk is too full: for 15 to do it takes 105 files and folders, and results has room for 100");
        let left = Left { files: None, ..left };
        assert!(fits(Path::new("results"), 36, left).is_ok());
        insta::assert_snapshot!(said(37, left), @"the disk is too full: for 37 to do it takes 1.0 MiB at the least, and results has 1.0 MiB left");
        insta::assert_snapshot!(said(1, Left { bytes: 0, ..left }), @"the disk is too full: for 1 to do it takes 28 KiB at the least, and results has 0 KiB left");
    }
}
