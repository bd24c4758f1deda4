//! What becomes of runs whose worker is lost or overdue, and of devices on which much goes wrong.

use std::collections::VecDeque;

use spec::record::Outcome;
use spec::run_id::RunId;

use super::again::Retry;
use super::event::{Again, Effect, GiveUp, Next, SlotId};
use super::policy::Time;
use super::slot::Slot;
use super::waiting::Prefix;
use super::{Mode, Scheduler};

impl Scheduler {
    /// When patience with a slot's worker ends.
    pub(super) fn limit(&self, slot: &Slot) -> Option<Time> {
        match slot {
            Slot::Starting { since } => Some(*since + self.policy.hello_limit),
            Slot::Busy { hand, heard, .. } => {
                let silent = self.policy.silence_limit.map(|limit| *heard + limit);
                let overdue = self.policy.time_limit.zip(hand.oldest());
                let overdue = overdue.map(|(limit, since)| since + limit);
                silent.into_iter().chain(overdue).chain(self.stop_by).min()
            }
            Slot::Vacant | Slot::Idle { .. } | Slot::Leaving => None,
        }
    }

    /// A limit has passed.
    pub(super) fn lose_patience(&mut self, now: Time, slot: SlotId, effects: &mut Vec<Effect>) {
        match &self.slots[slot] {
            Slot::Starting { .. } => {
                effects.push(Effect::Kill(slot));
                self.slots[slot] = Slot::Leaving;
                let limit = humantime::format_duration(self.policy.hello_limit);
                self.did_not_come_up(now, slot, format!("did not come up in {limit}"), effects);
            }
            Slot::Busy { hand, .. } => {
                let overdue = self
                    .policy
                    .time_limit
                    .filter(|limit| hand.oldest().is_some_and(|since| since + *limit <= now));
                match overdue {
                    Some(limit) => self.overdue(now, slot, limit, effects),
                    None if self.stop_by.is_some_and(|by| by <= now) => {
                        let limit = humantime::format_duration(self.policy.stop_limit);
                        let cause = format!("the worker did not stop within {limit}");
                        self.end_worker(now, slot, cause, effects);
                    }
                    None => self.silent(now, slot, effects),
                }
            }
            Slot::Vacant | Slot::Idle { .. } | Slot::Leaving => {}
        }
    }

    /// Runs have taken longer than they were given. Their worker is asked to end; those that it trained
    /// beside them are not to blame and go on elsewhere.
    fn overdue(&mut self, now: Time, slot: SlotId, limit: Time, effects: &mut Vec<Effect>) {
        let (prefix, begun, mut rest) = self.take_hand(slot);
        effects.push(Effect::Retire(slot));
        let shown = humantime::format_duration(limit);
        for (run, since) in begun.into_iter().rev() {
            if since + limit <= now {
                let cause = format!("it took longer than its time limit of {shown}");
                self.store(slot, run, Outcome::TimedOut { cause }, effects);
            } else {
                let cause = format!("a run beside it took longer than its time limit of {shown}");
                rest.push_front(run);
                let next = self.next_attempt();
                effects.push(Effect::Again(slot, run, Again { cause, next }));
            }
        }
        self.waiting.put_back(prefix, rest);
    }

    /// A worker has said nothing for too long: it hangs, and hears nothing either.
    fn silent(&mut self, now: Time, slot: SlotId, effects: &mut Vec<Effect>) {
        let limit = self.policy.silence_limit.unwrap_or_default();
        let limit = humantime::format_duration(limit);
        self.end_worker(now, slot, format!("the worker said nothing for {limit}"), effects);
    }

    fn end_worker(&mut self, now: Time, slot: SlotId, cause: String, effects: &mut Vec<Effect>) {
        effects.push(Effect::Terminate(slot));
        self.lose(now, slot, Outcome::TimedOut { cause }, effects);
    }

    /// The worker cannot be trusted any more; one that is leaving need not be. The runs under way bear
    /// it, so that a worker which always breaks cannot go on for ever; the others get a fresh worker.
    pub(super) fn breach(
        &mut self,
        now: Time,
        slot: SlotId,
        what: String,
        effects: &mut Vec<Effect>,
    ) {
        match self.slots[slot] {
            Slot::Vacant | Slot::Leaving => {}
            Slot::Starting { .. } => {
                effects.push(Effect::Kill(slot));
                self.slots[slot] = Slot::Leaving;
                self.did_not_come_up(now, slot, what, effects);
            }
            Slot::Idle { .. } => {
                effects.push(Effect::Kill(slot));
                self.slots[slot] = Slot::Leaving;
                self.blame(slot, None, format!("the worker {what}"), effects);
            }
            Slot::Busy { .. } => {
                effects.push(Effect::Kill(slot));
                let cause = format!("the worker {what}; it was killed");
                self.lose(now, slot, Outcome::Failed { cause }, effects);
            }
        }
    }

    pub(super) fn ended(
        &mut self,
        now: Time,
        slot: SlotId,
        how: String,
        effects: &mut Vec<Effect>,
    ) {
        match self.slots[slot] {
            Slot::Vacant | Slot::Leaving => self.slots[slot] = Slot::Vacant,
            Slot::Starting { .. } => {
                self.slots[slot] = Slot::Vacant;
                self.did_not_come_up(now, slot, how, effects);
            }
            Slot::Idle { .. } => {
                self.slots[slot] = Slot::Vacant;
                self.blame(slot, None, format!("the worker {how}"), effects);
            }
            Slot::Busy { .. } => {
                let cause = format!("the worker {how}");
                self.lose(now, slot, Outcome::Failed { cause }, effects);
                self.slots[slot] = Slot::Vacant;
            }
        }
    }

    /// The worker was asked to end by somebody else. Often that is meant for us as well, and the word has not
    /// come yet: its runs are interrupted, not failed, when they are not tried again.
    pub(super) fn dismissed(
        &mut self,
        now: Time,
        slot: SlotId,
        how: String,
        effects: &mut Vec<Effect>,
    ) {
        match self.slots[slot] {
            Slot::Busy { .. } => {
                let cause = format!("the worker {how}");
                self.lose(now, slot, Outcome::Interrupted { cause }, effects);
                self.slots[slot] = Slot::Vacant;
            }
            _ => self.ended(now, slot, how, effects),
        }
    }

    /// Accounts for everything that a lost worker had in hand. The runs under way are tried again or end
    /// with `outcome`; those not begun go to another worker, and the device bears the loss.
    fn lose(&mut self, now: Time, slot: SlotId, outcome: Outcome, effects: &mut Vec<Effect>) {
        let (prefix, begun, rest) = self.take_hand(slot);
        self.waiting.put_back(prefix, rest);
        let cause = cause(&outcome);
        if begun.is_empty() {
            self.blame(slot, None, cause.clone(), effects);
        }
        for (run, _) in begun {
            match self.mode {
                Mode::Working => {
                    self.try_again(now, slot, (run, prefix), outcome.clone(), effects);
                }
                // A stop may come out of the loss of a run before this one, too.
                Mode::Stopping | Mode::Aborted => {
                    let outcome = Outcome::Interrupted { cause: cause.clone() };
                    self.store(slot, run, outcome, effects);
                }
            }
        }
    }

    /// A run whose worker was lost is tried again, by itself and after a while; after too many tries it
    /// ends with `outcome`.
    pub(super) fn try_again(
        &mut self,
        now: Time,
        slot: SlotId,
        (run, prefix): (RunId, Prefix),
        outcome: Outcome,
        effects: &mut Vec<Effect>,
    ) {
        let tries = self.tries.entry(run).or_default();
        tries.lost += 1;
        if tries.lost > self.policy.retries {
            return self.store(slot, run, outcome, effects);
        }
        let delay = self.policy.delay(tries.lost);
        let (alone, failed_on) = (tries.alone, self.homes[slot]);
        let cause = cause(&outcome);
        self.again.push(Retry { run, prefix, at: now + delay, alone, failed_on });
        let again = Again { cause: cause.clone(), next: Next::In(delay) };
        effects.push(Effect::Again(slot, run, again));
        self.blame(slot, Some(run), cause, effects);
    }

    /// A worker did not come up. Where one has before it may again, a while later.
    fn did_not_come_up(&mut self, now: Time, slot: SlotId, how: String, effects: &mut Vec<Effect>) {
        if self.mode != Mode::Working {
            return;
        }
        let device = self.homes[slot];
        if self.health[device].failed(None, self.policy.set_aside_after) {
            self.set_aside(
                slot,
                GiveUp::NoWorker(how.clone()),
                format!("the worker {how}"),
                effects,
            );
        } else {
            let delay = self.policy.delay(self.health[device].failures());
            self.health[device].not_before = now + delay;
        }
    }

    /// Something went wrong on a device. A run that went wrong before says more of itself.
    pub(super) fn blame(
        &mut self,
        slot: SlotId,
        run: Option<RunId>,
        cause: String,
        effects: &mut Vec<Effect>,
    ) {
        let device = self.homes[slot];
        let lost = run.and_then(|run| self.tries.get(&run)).map_or(0, |tries| tries.lost);
        if self.mode != Mode::Working
            || lost > 1
            || !self.health[device].failed(run, self.policy.set_aside_after)
        {
            return;
        }
        let what = match self.health[device].failures() {
            1 => cause,
            failures => format!("{failures} failures in a row, at last: {cause}"),
        };
        self.set_aside(slot, GiveUp::NoDevice(device, what.clone()), what, effects);
    }

    /// No worker starts on the slot's device any more, and those that are on it leave. Without any device
    /// the sweep ends.
    fn set_aside(&mut self, slot: SlotId, last: GiveUp, why: String, effects: &mut Vec<Effect>) {
        let device = self.homes[slot];
        self.health[device].is_out = true;
        if self.health.iter().all(|health| health.is_out) {
            self.give_up(last, effects);
        } else {
            effects.push(Effect::SetAside(device, why.clone()));
            for slot in 0..self.slots.len() {
                if self.homes[slot] == device {
                    self.vacate(slot, &why, effects);
                }
            }
        }
    }

    /// Takes a worker off a device that is set aside: what it has not ended goes to another one.
    fn vacate(&mut self, slot: SlotId, why: &str, effects: &mut Vec<Effect>) {
        let Slot::Busy { .. } = self.slots[slot] else { return };
        let (prefix, begun, mut rest) = self.take_hand(slot);
        // What it has may begin elsewhere at once: it is not left at it until it looks up.
        effects.push(Effect::Terminate(slot));
        for (run, _) in begun.into_iter().rev() {
            let cause = format!("its device is set aside: {why}");
            let again = Again { cause, next: Next::In(Time::ZERO) };
            effects.push(Effect::Again(slot, run, again));
            rest.push_front(run);
        }
        self.waiting.put_back(prefix, rest);
    }

    /// What runs need is broken: no other run would fare better.
    pub(super) fn broken(&mut self, slot: SlotId, cause: String, effects: &mut Vec<Effect>) {
        let Slot::Busy { .. } = self.slots[slot] else { return };
        let (prefix, begun, mut rest) = self.take_hand(slot);
        effects.push(Effect::Retire(slot));
        for (run, _) in begun.into_iter().rev() {
            let again = Again { cause: cause.clone(), next: Next::WhenMended };
            effects.push(Effect::Again(slot, run, again));
            rest.push_front(run);
        }
        self.waiting.put_back(prefix, rest);
        self.give_up(GiveUp::Broken(cause), effects);
    }

    fn give_up(&mut self, why: GiveUp, effects: &mut Vec<Effect>) {
        if self.mode == Mode::Working {
            effects.push(Effect::GiveUp(why));
            self.stop(effects);
        }
    }

    fn next_attempt(&self) -> Next {
        match self.mode {
            Mode::Working => Next::In(Time::ZERO),
            Mode::Stopping | Mode::Aborted => Next::WithNextSweep,
        }
    }

    /// Another orchestrator has or had this run. What it shares; none when it is not to come here.
    pub(super) fn give_back(&mut self, slot: SlotId, run: RunId) -> Option<Prefix> {
        let prefix = self.slots[slot].prefix()?;
        let hand = self.slots[slot].hand()?;
        if !hand.give_back(run) {
            return None;
        }
        // Nothing was left to send, so the worker will not say that it is idle.
        if hand.is_empty() {
            self.slots[slot] = Slot::Idle { warm: None };
        }
        Some(prefix)
    }

    /// Takes everything from a busy slot, whose worker leaves.
    fn take_hand(&mut self, slot: SlotId) -> (Prefix, Vec<(RunId, Time)>, VecDeque<RunId>) {
        match std::mem::replace(&mut self.slots[slot], Slot::Leaving) {
            Slot::Busy { prefix, hand, .. } => {
                let (begun, rest) = hand.into_parts();
                (prefix, begun, rest)
            }
            _ => unreachable!("only a busy slot has something in hand"),
        }
    }

    /// Takes the runs from a busy slot that has none under way.
    pub(super) fn drop_hand(&mut self, slot: SlotId) -> (Prefix, VecDeque<RunId>) {
        let (prefix, _, rest) = self.take_hand(slot);
        (prefix, rest)
    }
}

pub(super) fn cause(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Diverged { cause, .. }
        | Outcome::OutOfMemory { cause }
        | Outcome::TimedOut { cause }
        | Outcome::Failed { cause }
        | Outcome::Interrupted { cause } => cause.clone(),
        Outcome::Finished(_) => String::new(),
    }
}
