//! Which run goes where and when: a state machine that does nothing itself.
//!
//! [`Scheduler::handle`] takes what happened and returns what to do. A run is in exactly one place:
//! waiting, in the hands of one slot, or ended; no list of statuses has to agree with another. Retries,
//! time limits and slots on other hosts are further events and effects.

mod slot;
#[cfg(test)]
mod tests;
mod waiting;

use spec::record::Outcome;
use spec::run_id::RunId;

pub use slot::{Hand, Slot};
pub use waiting::{Prefix, Waiting};

/// A slot's place in the list of slots.
pub type SlotId = usize;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Begin, with every slot vacant.
    Begin,
    /// The worker in this slot is up and speaks our protocol.
    Ready(SlotId),
    /// The worker began a run.
    Started(SlotId, RunId),
    /// The worker ended a run.
    Finished(SlotId, RunId, Outcome),
    /// The worker is done with its bundle.
    Idle(SlotId),
    /// The worker did something that no worker may: the text is the rest of "the worker ...".
    Breach(SlotId, String),
    /// The worker's process has ended and all that it said has been heard: the text is the
    /// rest of "the worker ...".
    Ended(SlotId, String),
    /// End soon: nothing new, and workers stop what they do.
    Stop,
    /// End now: workers are killed and nothing more is stored.
    Abort,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Start a worker in this vacant slot.
    Start(SlotId),
    /// Hand these runs to the slot's idle worker.
    Assign(SlotId, Vec<RunId>),
    /// The run has really begun: open its attempt.
    Open(SlotId, RunId),
    /// The run has ended: store how.
    Store(SlotId, RunId, Outcome),
    /// Ask the worker to stop its bundle.
    Stop(SlotId),
    /// Nothing is left to do for this worker: let it end by itself.
    Retire(SlotId),
    /// Kill the worker.
    Kill(SlotId),
    /// No worker can work here: the text is the rest of "the worker ...".
    GiveUp(String),
}

/// Whether new work is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Working,
    Stopping,
    Aborted,
}

/// The state of a sweep under way.
#[derive(Debug, Clone)]
pub struct Scheduler {
    slots: Vec<Slot>,
    waiting: Waiting,
    mode: Mode,
}

impl Scheduler {
    /// Ready to [`Event::Begin`] with `runs`, in the order in which they should be done, on `slots`
    /// vacant slots (at least one).
    pub fn new(runs: impl IntoIterator<Item = (RunId, Prefix)>, slots: usize) -> Self {
        debug_assert!(slots > 0, "without a slot nothing ever runs");
        Self { slots: vec![Slot::Vacant; slots], waiting: Waiting::new(runs), mode: Mode::Working }
    }

    /// Whether nothing is left to do or to wait for.
    pub fn is_over(&self) -> bool {
        let vacant = self.slots.iter().all(|slot| matches!(slot, Slot::Vacant));
        vacant && (self.mode != Mode::Working || self.waiting.is_empty())
    }

    /// Whether every run has ended.
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.slots.iter().all(|slot| slot.runs() == 0)
    }

    /// The slots, for tests and for the curious.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Takes what happened; returns what to do, in this order.
    pub fn handle(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        match event {
            Event::Begin => {}
            Event::Ready(slot) => match self.slots[slot] {
                Slot::Starting => self.slots[slot] = Slot::Idle { warm: None },
                _ => self.breach(slot, "said hello twice".to_owned(), &mut effects),
            },
            Event::Started(slot, run) => match self.slots[slot].start(run) {
                true => effects.push(Effect::Open(slot, run)),
                false => self.breach(
                    slot,
                    format!("began run {run}, which it was not to begin"),
                    &mut effects,
                ),
            },
            Event::Finished(slot, run, outcome) => match self.slots[slot].finish(run) {
                true => effects.push(Effect::Store(slot, run, outcome)),
                false => {
                    let what = format!("ended run {run}, which it had not begun");
                    self.breach(slot, what, &mut effects);
                }
            },
            Event::Idle(slot) => self.idle(slot, &mut effects),
            Event::Breach(slot, what) => self.breach(slot, what, &mut effects),
            Event::Ended(slot, how) => self.ended(slot, how, &mut effects),
            Event::Stop => self.stop(&mut effects),
            Event::Abort => self.abort(&mut effects),
        }
        if self.mode == Mode::Working {
            self.hand_out(&mut effects);
        }
        effects
    }

    fn idle(&mut self, slot: SlotId, effects: &mut Vec<Effect>) {
        match &self.slots[slot] {
            Slot::Busy { hand, .. } if self.mode != Mode::Working && hand.is_between_runs() => {
                self.slots[slot] = Slot::Leaving;
                effects.push(Effect::Retire(slot));
            }
            Slot::Busy { prefix, hand } if hand.is_empty() => {
                self.slots[slot] = Slot::Idle { warm: Some(*prefix) };
            }
            _ => {
                let what = "said that it is idle, and it had runs to do".to_owned();
                self.breach(slot, what, effects);
            }
        }
    }

    /// The worker cannot be trusted any more; one that is leaving need not be. The runs under way bear
    /// it, so that a worker which always breaks cannot go on for ever; the others get a fresh worker.
    fn breach(&mut self, slot: SlotId, what: String, effects: &mut Vec<Effect>) {
        match std::mem::replace(&mut self.slots[slot], Slot::Leaving) {
            Slot::Vacant => self.slots[slot] = Slot::Vacant,
            Slot::Leaving => {}
            Slot::Starting => {
                effects.push(Effect::Kill(slot));
                self.give_up(what, effects);
            }
            Slot::Idle { .. } => effects.push(Effect::Kill(slot)),
            Slot::Busy { prefix, hand } => {
                effects.push(Effect::Kill(slot));
                self.drop_hand(slot, prefix, hand, format!("{what}; it was killed"), effects);
            }
        }
    }

    fn ended(&mut self, slot: SlotId, how: String, effects: &mut Vec<Effect>) {
        match std::mem::replace(&mut self.slots[slot], Slot::Vacant) {
            Slot::Vacant | Slot::Leaving | Slot::Idle { .. } => {}
            Slot::Starting => self.give_up(how, effects),
            Slot::Busy { prefix, hand } => self.drop_hand(slot, prefix, hand, how, effects),
        }
    }

    /// Accounts for everything that a lost worker had in hand.
    fn drop_hand(
        &mut self,
        slot: SlotId,
        prefix: Prefix,
        hand: Hand,
        cause: String,
        effects: &mut Vec<Effect>,
    ) {
        let stopping = self.mode != Mode::Working;
        let (mut lost, mut rest) = hand.into_parts();
        let cause = format!("the worker {cause}");
        // While stopping, a run that was not begun is no one's fault: it just waits on.
        if lost.is_empty() && !stopping {
            lost.extend(rest.pop_front());
        }
        for run in lost {
            let cause = cause.clone();
            let outcome =
                if stopping { Outcome::Interrupted { cause } } else { Outcome::Failed { cause } };
            effects.push(Effect::Store(slot, run, outcome));
        }
        self.waiting.put_back(prefix, rest);
    }

    /// A worker that does not come up here will not come up for the next run either.
    fn give_up(&mut self, why: String, effects: &mut Vec<Effect>) {
        if self.mode == Mode::Working {
            effects.push(Effect::GiveUp(why));
            self.stop(effects);
        }
    }

    fn stop(&mut self, effects: &mut Vec<Effect>) {
        if self.mode != Mode::Working {
            return;
        }
        self.mode = Mode::Stopping;
        for (id, slot) in self.slots.iter_mut().enumerate() {
            match slot {
                Slot::Vacant => {}
                // One that is leaving has nothing to do any more: whoever wants an end waits for no one.
                Slot::Starting | Slot::Leaving => {
                    *slot = Slot::Leaving;
                    effects.push(Effect::Kill(id));
                }
                Slot::Idle { .. } => {
                    *slot = Slot::Leaving;
                    effects.push(Effect::Retire(id));
                }
                Slot::Busy { .. } => effects.push(Effect::Stop(id)),
            }
        }
    }

    fn abort(&mut self, effects: &mut Vec<Effect>) {
        self.mode = Mode::Aborted;
        for (id, slot) in self.slots.iter_mut().enumerate() {
            if matches!(slot, Slot::Vacant) {
                continue;
            }
            effects.push(Effect::Kill(id));
            if let Slot::Busy { prefix, hand } = std::mem::replace(slot, Slot::Leaving) {
                let (begun, rest) = hand.into_parts();
                self.waiting.put_back(prefix, begun.into_iter().chain(rest).collect());
            }
        }
    }

    fn hand_out(&mut self, effects: &mut Vec<Effect>) {
        let shares = self.slots.len();
        for id in 0..self.slots.len() {
            let Slot::Idle { warm } = self.slots[id] else { continue };
            let busy: Vec<Prefix> = self.slots.iter().filter_map(Slot::prefix).collect();
            match self.waiting.take(warm, &busy, shares) {
                Some((prefix, runs)) => {
                    effects.push(Effect::Assign(id, runs.clone()));
                    self.slots[id] = Slot::Busy { prefix, hand: Hand::new(runs) };
                }
                None => {
                    self.slots[id] = Slot::Leaving;
                    effects.push(Effect::Retire(id));
                }
            }
        }
        let starting = self.slots.iter().filter(|slot| matches!(slot, Slot::Starting)).count();
        let wanted = self.waiting.len().saturating_sub(starting);
        let vacant = self.slots.iter_mut().enumerate().filter(|(_, s)| matches!(s, Slot::Vacant));
        for (id, slot) in vacant.take(wanted) {
            *slot = Slot::Starting;
            effects.push(Effect::Start(id));
        }
    }
}
