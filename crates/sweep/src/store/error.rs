//! What goes wrong in the results folder.

use std::io;
use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

use crate::exit::{self, Ends};

/// Something could not be written; nothing that was written before is lost.
#[derive(Debug, Error)]
#[error("cannot store results: {0}")]
pub struct WriteError(io::Error);

impl Diagnostic for WriteError {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        let way_out = match self.0.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space",
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                "make the folder writable, or name another with --results"
            }
            _ => "see to the folder, or name another with --results",
        };
        Some(Box::new(format!("{way_out}, then give the same command: finished runs are kept")))
    }
}

impl Ends for WriteError {
    fn exit_code(&self) -> u8 {
        exit::ENVIRONMENT
    }
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        Self(error)
    }
}

impl From<csv::Error> for WriteError {
    fn from(error: csv::Error) -> Self {
        Self(error.into())
    }
}

impl From<serde_json::Error> for WriteError {
    fn from(error: serde_json::Error) -> Self {
        Self(error.into())
    }
}

/// Something could not be written, or not be read.
#[derive(Debug, Error, Diagnostic)]
pub enum StoreError {
    /// Written.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Write(#[from] WriteError),
    /// Read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Read(#[from] ReadError),
}

impl Ends for StoreError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Write(error) => error.exit_code(),
            Self::Read(error) => error.exit_code(),
        }
    }
}

/// Something could not be read.
#[derive(Debug, Error, Diagnostic)]
pub enum ReadError {
    /// It was written by a newer version of this program.
    #[error("{} has format version {version}, and this sweep knows {known} at most", file.display())]
    #[diagnostic(help("use the newer sweep that wrote it, or another folder with --results"))]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its version.
        version: u32,
        /// The newest that we know.
        known: u32,
    },
    /// It is no such file, or only a part of one.
    #[error("{} cannot be understood: {cause}", file.display())]
    #[diagnostic(help("give `sweep run` with the sweep's file again: it writes the plan anew"))]
    Broken {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: String,
    },
    /// There is no sweep of that name.
    #[error("there is no sweep `{name}` in {}{}", results.display(), known_sweeps(.known))]
    #[diagnostic(help("--results names another folder"))]
    NoSweep {
        /// As it was asked for.
        name: String,
        /// Where.
        results: PathBuf,
        /// The sweeps that are there.
        known: Vec<String>,
    },
    /// Reading failed.
    #[error("cannot read results: {0}")]
    #[diagnostic(help(
        "see to the folder: what is there may be good, so nothing is written over it"
    ))]
    Io(io::Error),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Ends for ReadError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Io(_) => exit::ENVIRONMENT,
            Self::Newer { .. } | Self::Broken { .. } | Self::NoSweep { .. } => exit::USAGE,
        }
    }
}

fn known_sweeps(known: &[String]) -> String {
    match known {
        [] => ", which has none".to_owned(),
        known => format!("; it has {}", known.join(", ")),
    }
}
