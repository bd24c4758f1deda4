//! Bars in a terminal: a line for each slot, one bar for all runs.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::devices::SlotSpec;
use crate::schedule::SlotId;

#[derive(Debug)]
pub(super) struct Bars {
    all: MultiProgress,
    slots: Vec<ProgressBar>,
    overall: ProgressBar,
}

impl Bars {
    pub(super) fn new(all: &MultiProgress, slots: &[SlotSpec], total: u64, done: u64) -> Self {
        let width = slots.iter().map(|slot| slot.name.len()).max().unwrap_or(0);
        let line = style("  {prefix}  {wide_msg}");
        let slots = slots
            .iter()
            .map(|slot| {
                let bar = all.add(ProgressBar::no_length().with_style(line.clone()));
                bar.set_prefix(format!("{:<width$}", slot.name));
                bar.tick();
                bar
            })
            .collect();
        let overall = ProgressBar::new(total)
            .with_style(style("  {wide_bar} {pos}/{len} runs  {elapsed_precise}  {msg}"));
        let overall = all.add(overall.with_position(done));
        // The clock goes on while a long epoch says nothing.
        overall.enable_steady_tick(Duration::from_secs(1));
        Self { all: all.clone(), slots, overall }
    }

    pub(super) fn slot(&self, slot: SlotId, text: &str) {
        self.slots[slot].set_message(text.to_owned());
    }

    pub(super) fn overall(&self, done: u64, to_expect: &str) {
        self.overall.set_position(done);
        self.overall.set_message(to_expect.to_owned());
    }

    pub(super) fn clear(&self) {
        for bar in self.slots.iter().chain([&self.overall]) {
            bar.finish_and_clear();
        }
        // Clearing can fail only where nobody sees the bars either.
        let _ = self.all.clear();
    }
}

/// The template, or indicatif's own where it were wrong.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
