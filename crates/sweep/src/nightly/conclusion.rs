//! What a night comes to in a word, and with which exit code.

use super::record::{State, SweepNight, Verdict};
use crate::exit;
use crate::progress::SetAside;

/// What `sweeps` come to, where these things were `broken` and these devices set aside. Runs that were lost to these
/// are no regressions of rows.
pub fn verdict(sweeps: &[SweepNight], broken: &[String], set_aside: &[SetAside]) -> Verdict {
    let rows = || sweeps.iter().flat_map(|sweep| &sweep.rows);
    if rows().any(|row| row.regression) {
        Verdict::Regression
    } else if !broken.is_empty() || !set_aside.is_empty() {
        Verdict::Broken
    } else if sweeps.iter().any(|sweep| sweep.failed > 0) {
        Verdict::RunsFailed
    } else if sweeps.iter().any(|sweep| sweep.state != State::Complete) {
        Verdict::Unfinished
    } else {
        Verdict::Good
    }
}

impl Verdict {
    /// What `sweep nightly` ends with. Work that is left for the next night is nothing to be woken for.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Regression => exit::REGRESSION,
            Self::Broken => exit::ENVIRONMENT,
            Self::RunsFailed => exit::RUNS_FAILED,
            Self::Unfinished | Self::Good => exit::DONE,
        }
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Regression => "regression",
            Self::Broken => "the machine is broken",
            Self::RunsFailed => "runs failed",
            Self::Unfinished => "nothing wrong, not all done",
            Self::Good => "good",
        }
    }
}
