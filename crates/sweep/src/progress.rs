//! What a person sees while runs go on: bars in a terminal, lines elsewhere, nothing when quiet.

mod bars;
mod words;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use spec::protocol::Stage;
use spec::record::{EpochMetrics, Outcome};

use crate::devices::SlotSpec;
use crate::output::Console;
use crate::report::ScoreFormat;
use crate::schedule::SlotId;
use bars::Bars;
pub use words::ended_line;

/// What a slot is doing.
#[derive(Debug, Clone, PartialEq)]
pub enum Activity<'a> {
    /// There is no worker, or it has nothing to do.
    Nothing,
    /// A worker comes up.
    Starting,
    /// Work that belongs to no single epoch.
    Stage {
        /// What is counted.
        stage: Stage,
        /// So many are done.
        done: u64,
        /// Of so many.
        total: u64,
    },
    /// A run begins.
    Run {
        /// Its label.
        label: &'a str,
        /// So many others are under way in the same worker.
        others: usize,
    },
    /// An epoch of it has ended.
    Epoch {
        /// The run's label.
        label: &'a str,
        /// So many others are under way in the same worker.
        others: usize,
        /// The most epochs that it may take, where that is known.
        epochs: Option<u32>,
        /// What was measured.
        metrics: &'a EpochMetrics,
    },
}

/// Tells how far a sweep is.
#[derive(Debug)]
pub struct Progress {
    console: Console,
    bars: Option<Bars>,
    total: usize,
    done_before: usize,
    ended: usize,
    began: Instant,
    set_aside: Vec<SetAside>,
    format: ScoreFormat,
}

/// A device on which nothing runs any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// Its name: `cuda 1`.
    pub device: String,
    /// Why.
    pub cause: String,
}

impl Progress {
    /// `total` runs, of which `done_before` need not run, on `slots`; `format` is that of their scores.
    pub fn new(
        console: &Console,
        slots: &[SlotSpec],
        (total, done_before): (usize, usize),
        format: ScoreFormat,
    ) -> Self {
        let bars = console
            .draws_bars()
            .then(|| Bars::new(console.bars(), slots, total as u64, done_before as u64));
        Self {
            console: console.clone(),
            bars,
            total,
            done_before,
            ended: 0,
            began: Instant::now(),
            set_aside: Vec::new(),
            format,
        }
    }

    /// Shows what a slot does.
    pub fn activity(&self, slot: SlotId, activity: &Activity<'_>) {
        if let Some(bars) = &self.bars {
            bars.slot(slot, &words::activity(activity));
        }
    }

    /// A run has ended after `seconds`.
    pub fn ended(&mut self, label: &str, outcome: &Outcome, seconds: f64) {
        // An interrupted run is open still.
        self.ended += usize::from(outcome.is_settled());
        let done = self.done_before + self.ended;
        self.console.say(&ended_line((done, self.total), label, outcome, seconds, self.format));
        if let Some(bars) = &self.bars {
            bars.overall(done as u64, &words::to_expect(self.to_expect()));
        }
    }

    /// A remark.
    pub fn say(&self, text: &str) {
        self.console.say(text);
    }

    /// Nothing runs on a device any more.
    pub fn set_aside(&mut self, device: &str, cause: &str) {
        self.console.say(&format!("{device} is set aside: {cause}"));
        self.set_aside.push(SetAside { device: device.to_owned(), cause: cause.to_owned() });
    }

    /// The devices on which nothing ran any more at the end.
    pub fn devices_set_aside(self) -> Vec<SetAside> {
        self.set_aside
    }

    /// Takes the bars away.
    pub fn clear(&self) {
        if let Some(bars) = &self.bars {
            bars.clear();
        }
    }

    /// The time that the rest takes if it goes on like this; slots are busy side by side, so the
    /// wall clock per run ended so far is what counts.
    fn to_expect(&self) -> Option<Duration> {
        let left = self.total.saturating_sub(self.done_before + self.ended);
        let each = self.began.elapsed().checked_div(u32::try_from(self.ended).ok()?)?;
        Some(each * u32::try_from(left).ok()?)
    }
}
