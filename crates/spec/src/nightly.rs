//! A nightly file: sweeps that are run anew every night, and what is made of them.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use crate::devices::Devices;

/// A nightly file, resolved; read by [`crate::sweep_file::load_nightly`].
#[derive(Debug, Clone, PartialEq)]
pub struct Nightly {
    /// The file's stem. Nights of other names are other nights.
    pub name: String,
    /// Where it was read from.
    pub file: PathBuf,
    /// The sweep files, absolute; what stands first matters most. At least one.
    pub sweeps: Vec<PathBuf>,
    /// So long after its start a night ends, whatever is left; absent: when all is done.
    pub budget: Option<Duration>,
    /// Where to run; absent: as each sweep file says.
    pub devices: Option<Devices>,
    /// Workers on each GPU at once; absent: as each sweep file says.
    pub per_device: Option<NonZeroU32>,
    /// So many bytes of a GPU's memory must be free before a worker starts there.
    pub wait_free_memory: Option<u64>,
    /// So long a night waits for a GPU with that much free memory, [`DEFAULT_WAIT`] if that is not said; without an
    /// amount of memory, for one that nobody computes on, and only if it is said.
    pub wait_limit: Option<Duration>,
    /// The folder of the nights, absolute; absent: `nightly` in the results folder.
    pub reports: Option<PathBuf>,
    /// So many nights are kept; those that others are compared with are, too.
    pub keep: NonZeroU32,
    /// Whose calendar names a night.
    pub timezone: Timezone,
    /// What becomes of the features of frozen backbones.
    pub features: FeatureLife,
    /// What a night is compared with.
    pub compare_with: CompareWith,
    /// What counts as a regression.
    pub regression: Regression,
    /// A command line for `sh -c` at the end of every night; the summary is its stdin.
    pub on_finish: Option<String>,
    /// The same for nights with a regression.
    pub on_regression: Option<String>,
    /// So long each of these may take.
    pub hook_time_limit: Duration,
}

/// So long a night waits for memory where nothing else is said.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(60 * 60);

/// Whose calendar names a night.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Timezone {
    /// The machine's.
    #[default]
    Local,
    /// The same everywhere.
    Utc,
}

/// What becomes of the features of frozen backbones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FeatureLife {
    /// They are computed anew every night: whatever has changed on the machine shows.
    #[default]
    Night,
    /// They are kept for as long as the worker, its libraries and the driver are the same.
    Toolchain,
}

/// What a night is compared with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CompareWith {
    /// For each sweep the last night in which it was complete and nothing was worse.
    #[default]
    LastGood,
    /// The night of this name, which is kept.
    Night(String),
}

/// What counts as a regression.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Regression {
    /// The chance that a night in which nothing has changed is called one.
    pub alpha: f64,
    /// Losses up to this are none, a fraction.
    pub margin: f64,
    /// Whether runs count that do not finish any more.
    pub lost_runs: bool,
}

impl Default for Regression {
    fn default() -> Self {
        Self { alpha: 0.05, margin: 0.0, lost_runs: true }
    }
}
