//! What the scheduler says, done.

use std::collections::VecDeque;
use std::time::Instant;

use spec::protocol::{Bundle, Order};
use spec::run_id::RunId;

use super::memory::May;
use super::{ExecuteError, Execution};
use crate::planning::Work;
use crate::progress::Activity;
use crate::schedule::{Effect, Event, SlotId};
use crate::store::{Whose, WriteError};
use crate::worker::{Worker, WorkerId};

impl Execution<'_> {
    /// Tells the scheduler, and does what it says; what comes of that is told too.
    pub(super) fn tell(&mut self, event: Event) -> Result<(), ExecuteError> {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            tracing::trace!(?event);
            for effect in self.scheduler.handle(self.began.elapsed(), event) {
                tracing::trace!(?effect);
                events.extend(self.obey(effect)?);
            }
        }
        Ok(())
    }

    fn obey(&mut self, effect: Effect) -> Result<Vec<Event>, ExecuteError> {
        match effect {
            Effect::Start(slot) if self.is_occupied(slot) => {
                return Ok(vec![Event::Occupied(slot)]);
            }
            Effect::Start(slot) => {
                self.progress.activity(slot, &Activity::Starting);
                self.starts += 1;
                let id = WorkerId { slot, start: self.starts };
                match Worker::start(self.program, id, &self.slots[slot], &self.to) {
                    Ok(worker) => self.stations[slot].take(worker),
                    Err(error) => {
                        let how = format!("does not start: {error}");
                        return Ok(vec![Event::Ended(slot, how)]);
                    }
                }
            }
            Effect::Assign(slot, runs) => return self.assign(slot, &runs),
            Effect::Open(slot, run) => {
                if let Some(work) = self.work.get(&run) {
                    let others = self.stations[slot].under_way();
                    self.progress.activity(slot, &Activity::Run { label: &work.label, others });
                    self.stations[slot].open(self.store.begin(work)?)?;
                }
            }
            Effect::Store(slot, run, outcome) => self.store_outcome(slot, run, outcome)?,
            Effect::Again(slot, run, again) => self.leave_open(slot, run, &again)?,
            Effect::Stop(slot) => self.stations[slot].send(Order::Stop),
            Effect::Retire(slot) => {
                self.progress.activity(slot, &Activity::Nothing);
                self.stations[slot].retire(Instant::now());
            }
            Effect::Terminate(slot) => {
                self.progress.activity(slot, &Activity::Nothing);
                self.stations[slot].terminate(Instant::now());
            }
            Effect::Kill(slot) => {
                self.progress.activity(slot, &Activity::Nothing);
                self.stations[slot].kill(Instant::now());
            }
            Effect::SetAside(device, why) => {
                self.progress.set_aside(&self.devices[device], &why);
            }
            Effect::Enough(failures) => self.enough = Some(failures),
            Effect::GiveUp(why) => self.gave_up = Some(why),
            Effect::Look(runs) => return self.look(&runs),
        }
        Ok(Vec::new())
    }

    /// Whether the slot's GPU is in somebody's hands, so that it has to wait.
    fn is_occupied(&mut self, slot: SlotId) -> bool {
        let spec = &self.slots[slot];
        let mut others = self.stations.iter().zip(self.slots).enumerate();
        let alone = !others.any(|(at, (station, other))| {
            at != slot && other.gpu == spec.gpu && station.has_worker()
        });
        match self.memory.may_start(slot, spec, alone) {
            May::Start(remark) => {
                if let Some(remark) = remark {
                    self.progress.say(&remark);
                }
                return false;
            }
            May::Wait(None) => {}
            May::Wait(Some(why)) => self.progress.say(&why),
        }
        true
    }

    /// Hands a slot's worker those of `runs` that nobody else is at or has done.
    fn assign(&mut self, slot: SlotId, runs: &[RunId]) -> Result<Vec<Event>, ExecuteError> {
        let works: Vec<&Work> = runs.iter().filter_map(|run| self.work.get(run)).collect();
        let whose = self.claims.take(&works, &self.slots[slot].name)?;
        let (mut ours, mut events) = (Vec::new(), Vec::new());
        for (work, whose) in works.into_iter().zip(whose) {
            match whose {
                Whose::Ours | Whose::Nobody => ours.push(work.order()),
                Whose::Theirs(process) => {
                    if self.met.insert(process.clone()) {
                        self.progress.say(&format!("{process} works here too: runs are shared"));
                    }
                    events.push(Event::Taken(slot, work.run()));
                }
                Whose::Done(result) => {
                    let label = elsewhere(work);
                    self.progress.ended(&label, &result.outcome, result.seconds);
                    events.push(Event::Done(slot, work.run()));
                }
            }
        }
        if !ours.is_empty() {
            let cache = std::path::absolute(self.store.dir().cache()).map_err(WriteError::from)?;
            let checkpoints = self.checkpoints.clone();
            let bundle = Bundle { cache, fuse: self.fuse, checkpoints, runs: ours };
            self.stations[slot].send(Order::Bundle(bundle));
        }
        Ok(events)
    }

    /// What became of runs that others were at.
    fn look(&mut self, runs: &[RunId]) -> Result<Vec<Event>, ExecuteError> {
        let works: Vec<&Work> = runs.iter().filter_map(|run| self.work.get(run)).collect();
        let whose = self.claims.look(&works)?;
        let mut events = Vec::new();
        for (work, whose) in works.into_iter().zip(whose) {
            match whose {
                Whose::Theirs(_) => {}
                Whose::Ours | Whose::Nobody => events.push(Event::Free(work.run())),
                Whose::Done(result) => {
                    let label = elsewhere(work);
                    self.progress.ended(&label, &result.outcome, result.seconds);
                    events.push(Event::DoneElsewhere(work.run()));
                }
            }
        }
        Ok(events)
    }
}

/// How a run is called that another orchestrator has ended.
fn elsewhere(work: &Work) -> String {
    format!("{} (elsewhere)", work.label)
}
