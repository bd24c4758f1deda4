//! Why a sweep cannot go on.

use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

use crate::exit::{self, Ends};
use crate::store::StoreError;

/// The sweep cannot go on.
#[derive(Debug, Error, Diagnostic)]
pub enum ExecuteError {
    /// No worker comes up.
    #[error("the worker {} {cause}", program.display())]
    #[diagnostic(help(
        "`sweep doctor` looks for what is missing, `./scripts/setup` gets it; \
         then give the same command: finished runs are kept"
    ))]
    Worker {
        /// The worker.
        program: PathBuf,
        /// The rest of the sentence: how it ended, and its last words.
        cause: String,
    },
    /// No device is left to run on.
    #[error("every device is set aside; {device}: {cause}")]
    #[diagnostic(help(
        "look at what the runs said in attempts/*.log; then give the same command, with \
         --retry-failed for those that failed: finished runs are kept"
    ))]
    NoDevice {
        /// The last one.
        device: String,
        /// Why it was set aside.
        cause: String,
    },
    /// What runs need is broken.
    #[error("{cause}")]
    #[diagnostic(help("mend it, then give the same command: finished runs are kept"))]
    Broken {
        /// What, in the worker's words.
        cause: String,
    },
    /// Results cannot be stored, or not be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(StoreError),
    /// Signals cannot be caught.
    #[error("cannot prepare for Ctrl-C: {0}")]
    Signals(std::io::Error),
}

impl Ends for ExecuteError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Store(error) => error.exit_code(),
            _ => exit::ENVIRONMENT,
        }
    }
}

impl<E: Into<StoreError>> From<E> for ExecuteError {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}
