//! Scores measured elsewhere, such as on a leaderboard.

mod file;
mod given;
mod markdown;
mod report;

pub use file::{Expects, FileError, Line, read};
pub use given::{Given, NoScore};
pub use markdown::markdown;
pub use report::{Against, Decided, Report, ReportError, ScoredRow, report};
