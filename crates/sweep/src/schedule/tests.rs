//! The scheduler against simulated workers: polite ones in tables, nasty ones at random.

mod anything;
mod devices;
mod losses;
mod stopping;
mod work;

use std::collections::{HashMap, HashSet, VecDeque};
use std::num::NonZeroU32;
use std::time::Duration;

use spec::record::Outcome;
use spec::run_id::RunId;

use crate::planning::tests::finished;

use super::{
    Again, DeviceId, Effect, Event, GiveUp, Next, Policy, Prefix, Scheduler, Slot, SlotId, Time,
    Waiting,
};

fn run(number: u8) -> RunId {
    RunId::from_digest([number; 32])
}

fn prefix(number: u8) -> Prefix {
    Prefix::from_digest([number; 32], false)
}

fn failed(cause: &str) -> Outcome {
    Outcome::Failed { cause: cause.to_owned() }
}

fn interrupted(cause: &str) -> Outcome {
    Outcome::Interrupted { cause: cause.to_owned() }
}

/// No second tries, no limits.
fn strict() -> Policy {
    Policy {
        time_limit: None,
        silence_limit: None,
        hello_limit: seconds(300),
        retries: 0,
        retry_delay: seconds(5),
        set_aside_after: 100,
        max_failures: None,
        stop_limit: seconds(60),
        checkpoint_every: None,
        until: None,
    }
}

fn seconds(seconds: u64) -> Time {
    Duration::from_secs(seconds)
}

/// A scheduler and the time.
struct Clocked {
    scheduler: Scheduler,
    now: Time,
}

impl Clocked {
    fn handle(&mut self, event: Event) -> Vec<Effect> {
        self.scheduler.handle(self.now, event)
    }

    /// What is due after so many seconds.
    fn wait(&mut self, for_seconds: u64) -> Vec<Effect> {
        self.now += seconds(for_seconds);
        self.handle(Event::Tick)
    }

    fn due(&self) -> Option<u64> {
        self.scheduler.due(self.now).map(|due| due.as_secs())
    }

    fn is_over(&self) -> bool {
        self.scheduler.is_over()
    }

    fn is_done(&self) -> bool {
        self.scheduler.is_done()
    }
}

/// `runs` of one prefix on slots of the devices `homes`, begun.
fn begun_on(runs: u8, homes: &[DeviceId], policy: Policy) -> Clocked {
    let scheduler = Scheduler::new((0..runs).map(|n| (run(n), prefix(0))), homes, policy);
    let mut clocked = Clocked { scheduler, now: seconds(0) };
    let effects = clocked.handle(Event::Begin);
    assert_eq!(effects.len(), homes.len().min(runs.into()));
    clocked
}

/// `runs` of one prefix on `slots` of one device, begun.
fn begun(runs: u8, slots: usize) -> Clocked {
    begun_on(runs, &vec![0; slots], strict())
}

/// One run under way in slot 0 of one device.
fn under_way(runs: u8, policy: Policy) -> Clocked {
    let mut scheduler = begun_on(runs, &[0], policy);
    scheduler.handle(Event::Ready(0));
    assert_eq!(scheduler.handle(Event::Started(0, run(0))), [Effect::Open(0, run(0))]);
    scheduler
}

fn again(slot: SlotId, run: RunId, cause: &str, next: Next) -> Effect {
    Effect::Again(slot, run, Again { cause: cause.to_owned(), next })
}

fn ended(slot: SlotId) -> Event {
    Event::Ended(slot, "was killed".to_owned())
}
