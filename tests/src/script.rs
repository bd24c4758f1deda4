//! What the fake worker is told to do.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The environment variable that names the file with the [`Script`], as JSON.
pub const VARIABLE: &str = "FAKE_WORKER";

/// A fake worker's instructions.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Script {
    /// How it comes up.
    pub start: Start,
    /// What it does with which run; the first rule that fits counts, and without one it is
    /// [`Act::Finish`].
    pub rules: Vec<Rule>,
    /// Whether and how scores follow from settings: then it tells every image right or wrong, of both
    /// sets. Without it a score follows from batch size and seed, and images are not told.
    pub world: Option<World>,
    /// Whether it trains the runs of a bundle together: it begins all of them, says their epochs in turn,
    /// and ends them in the opposite order.
    pub together: bool,
    /// Whether it checks in when it should end, as `leaving`, and then stays for good.
    pub lingers: bool,
    /// So many test images more than else are told wrong, in every run.
    pub worse_by: u64,
    /// So many more under odd seeds, and so many fewer under even ones.
    pub jitter: u64,
    /// The libtorch that it says it has; empty: none.
    pub libtorch: String,
    /// Files of the libraries that it says it has loaded.
    pub libraries: Vec<PathBuf>,
    /// How many GPUs it finds.
    pub gpus: usize,
    /// On this GPU, as `CUDA_VISIBLE_DEVICES` calls it, every run crashes.
    pub bad_gpu: Option<String>,
    /// Gets a line for each run that came to its end: `seed batch_size`.
    pub ledger: PathBuf,
    /// Gets such a line for each run that begins.
    pub begun: PathBuf,
    /// A Unix socket at which it checks in, where it is told to: `seed batch_size`.
    pub socket: PathBuf,
}

/// A world in which the true accuracies are known. Images differ in difficulty, and seeds by chance.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct World {
    /// Accuracy where no effect applies.
    pub accuracy: f64,
    /// What settings add to it; all that fit count.
    pub effects: Vec<Effect>,
    /// Images of each set.
    pub images: u64,
    /// What the first images are called; the others by their number.
    pub names: Vec<String>,
    /// The classes; none: `cleaned` and `dirty`.
    pub classes: Vec<String>,
    /// Whether nobody knows what is on the test images.
    pub unlabelled: bool,
}

/// What a setting, or some together, add to the accuracy.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Effect {
    /// Runs with this batch size; absent: any.
    pub batch_size: Option<u32>,
    /// Runs with this learning rate; absent: any.
    pub learning_rate: Option<f64>,
    /// Runs with so many epochs; absent: any.
    pub epochs: Option<u32>,
    /// What is added on both sets.
    pub add: f64,
    /// What is added on test images alone.
    pub add_test: f64,
}

/// How a worker comes up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Start {
    /// As it should.
    #[default]
    Hello,
    /// It says why it cannot, and ends.
    Die,
    /// It speaks another version.
    OtherVersion,
}

/// What to do with a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Rule {
    /// Runs with this seed; absent: any.
    pub seed: Option<u64>,
    /// Runs with this batch size; absent: any.
    pub batch_size: Option<u32>,
    /// How often it happens to one run; absent: always.
    pub times: Option<usize>,
    /// What happens.
    pub act: Act,
}

/// Ways in which a run goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// Three epochs, and a score that follows from batch size and seed.
    Finish,
    /// The same, but only when the socket says so; obeys `stop` before that.
    Wait,
    /// Checks in, then goes on for ever and hears no `stop`.
    Deaf,
    /// Ends as `failed`.
    Fail,
    /// Ends as `diverged`.
    Diverge,
    /// Ends as `out_of_memory`.
    OutOfMemory,
    /// Says that what runs need is broken.
    Broken,
    /// The process ends with SIGABRT after two epochs.
    Abort,
    /// The process ends with this exit code after an epoch.
    Exit(i32),
    /// The process ends with exit code 7, and leaves a process in another group that holds its stdout.
    /// That one reads the FIFO `orphan-go` beside the ledger, then writes a line that is no event, then
    /// writes to the FIFO `orphan-done`.
    Orphan,
    /// Leaves a process in another session, whose number goes to `left` beside the ledger; checks in, and
    /// ends with exit code 7 when the socket says so.
    Leave,
    /// Checks in, says so many things, and checks in again; goes on when the socket says so, both times.
    Flood(u64),
    /// A line that is no event.
    Garbage,
    /// A line of 100 MB that never ends.
    LongLine,
    /// Half an event, then the process ends.
    HalfLine,
    /// The end of another run.
    WrongRun,
}
