//! Exit codes, all of them, and the errors that carry them to the end of `main`.

use miette::{Diagnostic, Report};

/// Done.
pub const DONE: u8 = 0;
/// The command line or a file is wrong.
pub const USAGE: u8 = 2;
/// Some runs failed.
pub const RUNS_FAILED: u8 = 3;
/// Something is worse than it was.
pub const REGRESSION: u8 = 4;
/// The environment is broken: no worker, no libtorch, no device, disk full, no permission.
pub const ENVIRONMENT: u8 = 5;
/// Interrupted from outside.
pub const INTERRUPTED: u8 = 130;

/// An error that ends the program, whichever module it comes from.
#[derive(Debug)]
pub struct Failure {
    /// One of the constants above.
    pub code: u8,
    /// What to tell the user.
    pub report: Report,
}

/// An error that knows how the program ends when nobody handles it.
pub trait Ends: Diagnostic + Send + Sync + 'static {
    /// One of the constants in [`crate::exit`].
    fn exit_code(&self) -> u8;
}

impl<E: Ends> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { code: error.exit_code(), report: Report::new(error) }
    }
}

impl Ends for spec::sweep_file::LoadError {
    fn exit_code(&self) -> u8 {
        USAGE
    }
}
