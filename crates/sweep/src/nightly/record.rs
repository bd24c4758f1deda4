//! What stays on disk of a night: `night.json` ([`Begun`]) and, written last, `summary.json`
//! ([`Summary`]).

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::{Timestamp, ZonedDateTime};
use serde::{Deserialize, Serialize};

use super::toolchain::{Change, Toolchain};
use crate::progress::SetAside;

/// Version of both files. A reader refuses a newer one.
pub const VERSION: u32 = 1;

/// `night.json`: how a night began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Begun {
    /// [`VERSION`].
    pub version: u32,
    /// The nightly file's name. Nights of other files are other nights.
    pub name: String,
    /// The night's name, which is its folder's.
    pub night: String,
    /// When, in the zone that names it.
    pub started: ZonedDateTime,
    /// When it ends at the latest; absent: when all is done.
    pub until: Option<Timestamp>,
    /// Names of the sweeps, in the order of the nightly file.
    pub sweeps: Vec<String>,
    /// What computes.
    pub toolchain: Toolchain,
    /// The night whose unfinished work goes on in this one.
    pub continues: Option<String>,
    /// How many finished runs were taken over from it, by sweep.
    pub carried: BTreeMap<String, usize>,
}

/// `summary.json`: what came of a night, for programs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// [`VERSION`].
    pub version: u32,
    /// The nightly file's name.
    pub name: String,
    /// The night's name.
    pub night: String,
    /// What came of it, in a word.
    pub verdict: Verdict,
    /// What `sweep nightly` ends with.
    pub exit_code: u8,
    /// When it began.
    pub started: ZonedDateTime,
    /// When it ended.
    pub ended: ZonedDateTime,
    /// When it had to end; absent without a budget.
    pub until: Option<Timestamp>,
    /// Whether its process was killed, or the machine went down.
    pub cut_short: bool,
    /// Its report.
    pub report: PathBuf,
    /// The same as a page, with its sweeps; absent in those of older versions.
    #[serde(default)]
    pub page: Option<PathBuf>,
    /// The night whose unfinished work went on in this one.
    pub continues: Option<String>,
    /// What was broken, each with its way out.
    pub broken: Vec<String>,
    /// Devices on which nothing ran any more.
    pub set_aside: Vec<SetAside>,
    /// What computed.
    pub toolchain: Toolchain,
    /// The sweeps, in the order of the nightly file.
    pub sweeps: Vec<SweepNight>,
}

/// What came of a night, in a word; of several that apply the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Something is worse than it was, beyond noise.
    Regression,
    /// The machine is: a device, the worker, the disk, the data.
    Broken,
    /// Runs failed, as they did before.
    RunsFailed,
    /// Nothing is wrong; work is left for the next night.
    Unfinished,
    /// All is done and nothing is worse.
    Good,
}

/// A sweep in a night.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepNight {
    /// Its name.
    pub sweep: String,
    /// How far it came.
    pub state: State,
    /// Runs that it has.
    pub runs: usize,
    /// Those of them that finished.
    pub finished: usize,
    /// Those of them that ended otherwise.
    pub failed: usize,
    /// Finished runs that an earlier night began with.
    pub carried: usize,
    /// Seconds that its runs took, all added up.
    pub seconds: f64,
    /// What it was run on.
    pub subject: Subject,
    /// The night that it is compared with; absent while there is none.
    pub compared_with: Option<String>,
    /// What is not as it was in that night.
    pub changed: Vec<Change>,
    /// Its rows.
    pub rows: Vec<RowNight>,
}

/// How far a sweep came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Every run has ended.
    Complete,
    /// Some are left.
    Unfinished,
    /// Its turn did not come.
    NotBegun,
}

/// What a sweep was run on: names of the contents behind its paths, and of its configurations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Of the configurations.
    pub configurations: Option<String>,
    /// Of the training images.
    pub train: Option<String>,
    /// Of the validation images, where they have a folder.
    pub validation: Option<String>,
    /// Of the test images.
    pub test: Option<String>,
    /// Of the weights.
    pub weights: Option<String>,
    /// Of what a trainer of the user's own is made of.
    #[serde(default)]
    pub trainer: Option<String>,
}

/// A row of a sweep's table in a night.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowNight {
    /// The factor.
    pub factor: String,
    /// The level.
    pub level: String,
    /// Whether it is the sweep's baseline.
    pub baseline: bool,
    /// Seeds planned.
    pub seeds: usize,
    /// Those that finished.
    pub finished: usize,
    /// Those that finished in the night compared with and ended otherwise in this one.
    pub lost: usize,
    /// Mean score, a fraction.
    pub score: Option<f64>,
    /// Mean score in the night compared with.
    pub before: Option<f64>,
    /// Mean difference over the seeds that both have, this night minus that one.
    pub difference: Option<f64>,
    /// Its 95 % interval, or what `alpha` makes of it; absent for single scores.
    pub interval: Option<(f64, f64)>,
    /// P-value of "nothing has changed", adjusted over all rows of the night.
    pub p: Option<f64>,
    /// What that comes to.
    pub outcome: RowOutcome,
    /// The same in words.
    pub words: String,
    /// Whether it counts as a regression.
    pub regression: bool,
}

/// What the comparison of a row comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowOutcome {
    /// Its true score is lower, beyond noise.
    Worse,
    /// Its true score is higher, beyond noise.
    Better,
    /// It was right on the same images, under every seed.
    Same,
    /// Nothing was seen.
    NoEvidence,
    /// Nothing could have been seen.
    TooFewSeeds,
    /// There was no such row.
    New,
    /// It is measured on other images, or has no score.
    NotComparable,
    /// There is no night to compare with.
    First,
}

impl SweepNight {
    /// Whether later nights may be compared with it: it is whole, nothing in it was worse, and no run was lost.
    /// One that is lost and counts as no regression would be missed by no later night.
    pub fn is_good(&self) -> bool {
        let is_good = |row: &RowNight| !row.regression && row.lost == 0;
        self.state == State::Complete && self.rows.iter().all(is_good)
    }
}
