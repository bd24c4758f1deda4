//! Which run goes where and when: a state machine that does nothing itself.
//!
//! [`Scheduler::handle`] takes what happened and when, and returns what to do. A run is in exactly one
//! place: waiting, waiting to be tried again, in the hands of one slot, in those of another
//! orchestrator, or ended; no list of statuses has to agree with another.

mod again;
mod event;
mod hand_out;
mod health;
mod losses;
mod policy;
mod slot;
#[cfg(test)]
mod tests;
mod waiting;

use std::collections::HashMap;
use std::time::Duration;

use spec::record::Outcome;
use spec::run_id::RunId;

use again::Retry;
use health::Health;

pub use event::{Again, DeviceId, Effect, Event, GiveUp, Next, SlotId};
pub use policy::{Policy, Time};
pub use slot::{Hand, Slot};
pub use waiting::{Prefix, Waiting};

/// How often to look what other orchestrators have done, and whether a device is free.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Whether new work is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Working,
    Stopping,
    Aborted,
}

/// What became of a run so far.
#[derive(Debug, Clone, Copy, Default)]
struct Tries {
    /// Workers lost with it under way.
    lost: u32,
    /// Whether it was given a device for itself.
    alone: bool,
}

/// The state of a sweep under way.
#[derive(Debug, Clone)]
pub struct Scheduler {
    policy: Policy,
    mode: Mode,
    slots: Vec<Slot>,
    /// The device of each slot.
    homes: Vec<DeviceId>,
    health: Vec<Health>,
    waiting: Waiting,
    again: again::Again,
    tries: HashMap<RunId, Tries>,
    /// Runs that other orchestrators are at.
    elsewhere: Vec<(RunId, Prefix)>,
    next_look: Time,
    failures: u32,
    /// Patience with workers that are to stop ends then.
    stop_by: Option<Time>,
}

impl Scheduler {
    /// Ready to [`Event::Begin`] with `runs`, in the order in which they should be done, on vacant slots
    /// (at least one), each on the device that `homes` says; devices are numbered from 0.
    pub fn new(
        runs: impl IntoIterator<Item = (RunId, Prefix)>,
        homes: &[DeviceId],
        policy: Policy,
    ) -> Self {
        debug_assert!(!homes.is_empty(), "without a slot nothing ever runs");
        let devices = homes.iter().max().map_or(0, |last| last + 1);
        Self {
            policy,
            mode: Mode::Working,
            slots: vec![Slot::Vacant; homes.len()],
            homes: homes.to_vec(),
            health: vec![Health::default(); devices],
            waiting: Waiting::new(runs),
            again: again::Again::default(),
            tries: HashMap::new(),
            elsewhere: Vec::new(),
            next_look: Time::ZERO,
            failures: 0,
            stop_by: None,
        }
    }

    /// Knowing how long runs take, in whatever unit: the same for all that are not named.
    #[must_use]
    pub fn with_lengths(mut self, lengths: impl IntoIterator<Item = (RunId, u64)>) -> Self {
        self.waiting.set_lengths(lengths);
        self
    }

    /// Whether nothing is left to do or to wait for.
    pub fn is_over(&self) -> bool {
        let vacant = self.slots.iter().all(Slot::is_vacant);
        vacant && (self.mode != Mode::Working || self.is_done())
    }

    /// Whether every run has ended.
    pub fn is_done(&self) -> bool {
        let waiting = self.waiting.len() + self.elsewhere.len();
        waiting == 0 && self.again.is_empty() && self.slots.iter().all(|slot| slot.runs() == 0)
    }

    /// How many runs failed.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The slots, for tests and for the curious.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// When to [`Event::Tick`] at the latest, seen from `now`.
    pub fn due(&self, now: Time) -> Option<Time> {
        let limits = self.slots.iter().filter_map(|slot| self.limit(slot));
        let working = self.mode == Mode::Working;
        let again = self.again.due(now).filter(|_| working);
        let look = (working && !self.elsewhere.is_empty()).then_some(self.next_look);
        let starts = self.health.iter().map(|health| health.not_before);
        let starts = starts.filter(|&at| working && at > now);
        limits.chain(again).chain(look).chain(starts).min()
    }

    /// Takes what happened at `now`, which never goes back; returns what to do, in this order.
    pub fn handle(&mut self, now: Time, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.take(now, event, &mut effects);
        if self.mode == Mode::Working {
            self.hand_out(now, &mut effects);
        }
        self.note_company();
        effects
    }

    fn take(&mut self, now: Time, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Begin => {}
            Event::Tick => self.tick(now, effects),
            Event::Occupied(slot) => {
                self.slots[slot] = Slot::Vacant;
                self.health[self.homes[slot]].not_before = now + LOOK_EVERY;
            }
            Event::Ready(slot) => match self.slots[slot] {
                Slot::Starting { .. } => {
                    self.health[self.homes[slot]].came_up();
                    self.slots[slot] = Slot::Idle { warm: None };
                }
                _ => self.breach(now, slot, "said hello twice".to_owned(), effects),
            },
            Event::News(slot) => self.slots[slot].hear(now),
            Event::Shared(slot) => {
                if let Some(hand) = self.slots[slot].hand() {
                    hand.share();
                }
            }
            Event::Started(slot, run) => match self.slots[slot].start(run, now) {
                true => {
                    self.slots[slot].hear(now);
                    effects.push(Effect::Open(slot, run));
                }
                false => {
                    let what = format!("began run {run}, which it was not to begin");
                    self.breach(now, slot, what, effects);
                }
            },
            Event::Finished(slot, run, outcome) => {
                self.finished(now, slot, run, outcome, effects);
            }
            Event::Idle(slot) => self.idle(now, slot, effects),
            Event::Broken(slot, cause) => self.broken(slot, cause, effects),
            Event::Breach(slot, what) => self.breach(now, slot, what, effects),
            Event::Ended(slot, how) => self.ended(now, slot, how, effects),
            Event::Dismissed(slot, how) => self.dismissed(now, slot, how, effects),
            Event::Taken(slot, run) => {
                if let Some(prefix) = self.give_back(slot, run) {
                    self.next_look = self.next_look.max(now + LOOK_EVERY);
                    self.elsewhere.push((run, prefix));
                }
            }
            Event::Done(slot, run) => _ = self.give_back(slot, run),
            Event::DoneElsewhere(run) => self.elsewhere.retain(|(other, _)| *other != run),
            Event::Free(run) => {
                let freed = self.elsewhere.extract_if(.., |(other, _)| *other == run);
                for (run, prefix) in freed {
                    self.waiting.put_back(prefix, [run].into());
                }
            }
            Event::Stop => self.stop(effects),
            Event::OutOfTime => {
                self.stop(effects);
                self.stop_by = Some(now + self.policy.stop_limit);
            }
            Event::Abort => self.abort(effects),
        }
    }

    fn tick(&mut self, now: Time, effects: &mut Vec<Effect>) {
        for slot in 0..self.slots.len() {
            if self.limit(&self.slots[slot]).is_some_and(|limit| limit <= now) {
                self.lose_patience(now, slot, effects);
            }
        }
        if self.mode == Mode::Working && !self.elsewhere.is_empty() && self.next_look <= now {
            self.next_look = now + LOOK_EVERY;
            effects.push(Effect::Look(self.elsewhere.iter().map(|(run, _)| *run).collect()));
        }
    }

    fn finished(
        &mut self,
        now: Time,
        slot: SlotId,
        run: RunId,
        outcome: Outcome,
        effects: &mut Vec<Effect>,
    ) {
        // Before it leaves the hand.
        let company = self.slots[slot].hand().is_some_and(|hand| hand.was_shared(run));
        let prefix = self.slots[slot].prefix();
        let (true, Some(prefix)) = (self.slots[slot].finish(run), prefix) else {
            let what = format!("ended run {run}, which it had not begun");
            return self.breach(now, slot, what, effects);
        };
        self.slots[slot].hear(now);
        let working = self.mode == Mode::Working;
        match outcome {
            Outcome::OutOfMemory { cause }
                if working && company && !self.tries.get(&run).is_some_and(|tries| tries.alone) =>
            {
                self.tries.entry(run).or_default().alone = true;
                let failed_on = self.homes[slot];
                self.again.push(Retry { run, prefix, at: now, alone: true, failed_on });
                effects.push(Effect::Again(slot, run, Again { cause, next: Next::Alone }));
            }
            // Nobody asked it to.
            Outcome::Interrupted { .. } if working => {
                self.try_again(now, slot, (run, prefix), outcome, effects);
            }
            outcome => self.store(slot, run, outcome, effects),
        }
    }

    /// Stores how a run ended, and what that says of the device and the sweep.
    fn store(&mut self, slot: SlotId, run: RunId, outcome: Outcome, effects: &mut Vec<Effect>) {
        let device = self.homes[slot];
        if matches!(outcome, Outcome::Finished(_) | Outcome::Diverged { .. }) {
            self.health[device].worked();
        }
        let failed = outcome.is_failure().then(|| losses::cause(&outcome));
        effects.push(Effect::Store(slot, run, outcome));
        if let Some(cause) = failed {
            self.failures += 1;
            if self.policy.max_failures.is_some_and(|most| self.failures == most.get())
                && self.mode == Mode::Working
            {
                effects.push(Effect::Enough(self.failures));
                self.stop(effects);
            }
            self.blame(slot, Some(run), cause, effects);
        }
    }

    fn idle(&mut self, now: Time, slot: SlotId, effects: &mut Vec<Effect>) {
        match &self.slots[slot] {
            Slot::Busy { hand, .. } if self.mode != Mode::Working && hand.is_between_runs() => {
                let (prefix, rest) = self.drop_hand(slot);
                self.waiting.put_back(prefix, rest);
                effects.push(Effect::Retire(slot));
            }
            Slot::Busy { prefix, hand, .. } if hand.is_empty() => {
                self.slots[slot] = Slot::Idle { warm: Some(*prefix) };
            }
            _ => {
                let what = "said that it is idle, and it had runs to do".to_owned();
                self.breach(now, slot, what, effects);
            }
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
                Slot::Starting { .. } | Slot::Leaving => {
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
            if slot.is_vacant() {
                continue;
            }
            effects.push(Effect::Kill(id));
            if let Slot::Busy { prefix, hand, .. } = std::mem::replace(slot, Slot::Leaving) {
                self.waiting.put_back(prefix, hand.into_runs());
            }
        }
    }
}
