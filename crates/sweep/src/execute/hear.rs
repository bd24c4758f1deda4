//! What workers say, in the scheduler's words.

use spec::protocol::{self, Event as Said};
use spec::record::Outcome;
use spec::run_id::RunId;

use super::{ExecuteError, Execution};
use crate::progress::Activity;
use crate::schedule::{Event, SlotId};
use crate::worker::{Ending, Heard, Line, WorkerId, is_of};

impl Execution<'_> {
    pub(super) fn hear(&mut self, worker: WorkerId, heard: Heard) -> Result<(), ExecuteError> {
        let slot = worker.slot;
        if !self.stations[slot].holds(worker) {
            tracing::debug!(?worker, ?heard, "heard of a worker that is gone");
            return Ok(());
        }
        match heard {
            Heard::Chatter(said) => Ok(self.stations[slot].log(&said)?),
            Heard::Line(Line::Breach(what)) => self.tell(Event::Breach(slot, what)),
            Heard::Line(Line::Event(event)) => self.hear_event(slot, *event),
            Heard::Ended => {
                let Ending { how, was_asked, is_stuck } = self.stations[slot].reap()?;
                self.memory.ended(slot);
                if is_stuck {
                    // Why it was killed was told then.
                    let how = how.lines().next().unwrap_or_default();
                    self.progress.say(&format!("{}: the worker {how}", self.slots[slot].name));
                }
                self.tell(match was_asked {
                    true => Event::Dismissed(slot, how),
                    false => Event::Ended(slot, how),
                })
            }
        }
    }

    fn hear_event(&mut self, slot: SlotId, event: protocol::Event) -> Result<(), ExecuteError> {
        let station = &mut self.stations[slot];
        match event {
            Said::Hello { version: protocol::VERSION, device } => {
                tracing::info!("{}: worker on {device}", self.slots[slot].name);
                station.device = device;
                self.tell(Event::Ready(slot))
            }
            Said::Hello { version, .. } => {
                let known = protocol::VERSION;
                let what = format!(
                    "speaks version {version} of the protocol, and this sweep speaks {known}: \
                     build both from the same source"
                );
                self.tell(Event::Breach(slot, what))
            }
            Said::Progress { stage, done, total } => {
                self.progress.activity(slot, &Activity::Stage { stage, done, total });
                self.tell(Event::News(slot))
            }
            Said::Started { run } => self.tell(Event::Started(slot, run)),
            Said::Finished { run, outcome: Outcome::OutOfMemory { cause } } => {
                let us = self.claims.process();
                let is_ours = |pid| is_of(pid, us);
                let cause = match self.memory.others(&self.slots[slot], is_ours) {
                    Some(others) => {
                        self.tell(Event::Shared(slot))?;
                        format!("{cause}; {others}")
                    }
                    None => cause,
                };
                self.tell(Event::Finished(slot, run, Outcome::OutOfMemory { cause }))
            }
            Said::Finished { run, outcome } => self.tell(Event::Finished(slot, run, outcome)),
            Said::Idle => self.tell(Event::Idle(slot)),
            Said::Broken { cause } => self.tell(Event::Broken(slot, cause)),
            Said::Epoch { run, metrics } => match station.attempt(run) {
                Some(attempt) => {
                    attempt.epoch(metrics);
                    if let Some(work) = self.work.get(&run) {
                        let (label, epochs) =
                            (&work.label, work.config.train().map(|train| train.epochs));
                        tracing::debug!("{label}: epoch {} has ended", metrics.epoch);
                        let (metrics, others) = (&metrics, station.under_way() - 1);
                        let epoch = Activity::Epoch { label, others, epochs, metrics };
                        self.progress.activity(slot, &epoch);
                    }
                    self.tell(Event::News(slot))
                }
                None => self.not_under_way(slot, run),
            },
            Said::Note { run, text } => match station.attempt(run) {
                Some(attempt) => {
                    attempt.log(format!("{text}\n").as_bytes())?;
                    if let Some(work) = self.work.get(&run) {
                        tracing::info!("{}: {text}", work.label);
                    }
                    self.tell(Event::News(slot))
                }
                None => self.not_under_way(slot, run),
            },
            Said::Features { .. }
            | Said::NoFeatures { .. }
            | Said::Layers { .. }
            | Said::NoLayers { .. } => {
                let what = "spoke of features or layers that nobody asked for".to_owned();
                self.tell(Event::Breach(slot, what))
            }
            Said::Predictions { run, predictions } => match station.attempt(run) {
                Some(attempt) => {
                    attempt.predictions(predictions);
                    self.tell(Event::News(slot))
                }
                None => self.not_under_way(slot, run),
            },
        }
    }

    fn not_under_way(&mut self, slot: SlotId, run: RunId) -> Result<(), ExecuteError> {
        self.tell(Event::Breach(slot, format!("spoke of run {run}, which is not under way")))
    }
}
