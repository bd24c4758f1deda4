//! The scheduler against simulated workers: polite ones in tables, nasty ones at random.

use std::collections::{HashMap, HashSet, VecDeque};
use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;
use spec::record::{Finished, Outcome};
use spec::run_id::RunId;

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

fn finished() -> Outcome {
    Outcome::Finished(Finished {
        epochs: 1,
        updates: 1,
        images_seen: 1,
        stopped_early: None,
        validation: None,
        test: None,
        score: None,
        folds: Vec::new(),
    })
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

#[test]
fn one_worker_takes_bundle_after_bundle_and_retires() {
    let mut scheduler = begun(2, 1);
    let table = [
        (Event::Ready(0), vec![Effect::Assign(0, vec![run(0)])]),
        (Event::Started(0, run(0)), vec![Effect::Open(0, run(0))]),
        (Event::Finished(0, run(0), finished()), vec![Effect::Store(0, run(0), finished())]),
        (Event::Idle(0), vec![Effect::Assign(0, vec![run(1)])]),
        (Event::Started(0, run(1)), vec![Effect::Open(0, run(1))]),
        (Event::Finished(0, run(1), failed("x")), vec![Effect::Store(0, run(1), failed("x"))]),
        (Event::Idle(0), vec![Effect::Retire(0)]),
        (Event::Ended(0, "left".to_owned()), vec![]),
    ];
    for (event, effects) in table {
        assert_eq!(scheduler.handle(event.clone()), effects, "{event:?}");
    }
    assert!(scheduler.is_over());
}

#[test]
fn no_more_workers_start_than_there_are_runs() {
    let mut scheduler = Scheduler::new([(run(0), prefix(0))], &[0; 4], strict());
    assert_eq!(scheduler.handle(seconds(0), Event::Begin), [Effect::Start(0)]);
}

#[test]
fn a_lost_worker_costs_one_run_and_the_rest_goes_on() {
    let mut scheduler = begun(4, 1);
    scheduler.handle(Event::Ready(0));
    scheduler.handle(Event::Started(0, run(0)));
    let effects = scheduler.handle(Event::Ended(0, "was killed".to_owned()));
    assert_eq!(
        effects,
        [Effect::Store(0, run(0), failed("the worker was killed")), Effect::Start(0)]
    );
    assert_eq!(
        scheduler.handle(Event::Ready(0)),
        [Effect::Assign(0, vec![run(1), run(2)])],
        "its turn first"
    );
    // Between two runs nobody is to blame but the device.
    let effects = scheduler.handle(ended(0));
    assert_eq!(effects, [Effect::Start(0)]);
    assert_eq!(scheduler.handle(Event::Ready(0)), [Effect::Assign(0, vec![run(1), run(2)])]);
}

#[test]
fn a_worker_may_train_several_runs_of_its_bundle_at_once() {
    let mut scheduler = begun(6, 1);
    assert_eq!(
        scheduler.handle(Event::Ready(0)),
        [Effect::Assign(0, vec![run(0), run(1), run(2)])]
    );
    let table = [
        (Event::Started(0, run(0)), vec![Effect::Open(0, run(0))]),
        (Event::Started(0, run(2)), vec![Effect::Open(0, run(2))]),
        (Event::Finished(0, run(2), finished()), vec![Effect::Store(0, run(2), finished())]),
        (Event::Started(0, run(1)), vec![Effect::Open(0, run(1))]),
        (
            Event::Ended(0, "was killed".to_owned()),
            vec![
                Effect::Store(0, run(0), failed("the worker was killed")),
                Effect::Store(0, run(1), failed("the worker was killed")),
                Effect::Start(0),
            ],
        ),
        (Event::Ready(0), vec![Effect::Assign(0, vec![run(3), run(4)])]),
    ];
    for (event, effects) in table {
        assert_eq!(scheduler.handle(event.clone()), effects, "{event:?}");
    }
}

#[test]
fn a_run_begins_once_and_only_where_it_is_in_hand() {
    for second in [run(0), run(1), run(9)] {
        let mut scheduler = begun(2, 2);
        scheduler.handle(Event::Ready(0));
        scheduler.handle(Event::Ready(1));
        scheduler.handle(Event::Started(0, run(0)));
        let effects = scheduler.handle(Event::Started(0, second));
        assert_eq!(effects[0], Effect::Kill(0), "{second}");
    }
}

#[test]
fn a_worker_that_never_says_hello_ends_the_sweep_once() {
    let mut scheduler = begun(4, 2);
    let effects = scheduler.handle(Event::Ended(0, "no libtorch".to_owned()));
    assert_eq!(
        effects,
        [Effect::GiveUp(GiveUp::NoWorker("no libtorch".to_owned())), Effect::Kill(1)]
    );
    assert_eq!(scheduler.handle(Event::Ended(1, "was killed".to_owned())), []);
    assert!(scheduler.is_over());
}

#[test]
fn a_breach_kills_and_fails_the_run_in_hand() {
    let mut scheduler = begun(1, 1);
    scheduler.handle(Event::Ready(0));
    scheduler.handle(Event::Started(0, run(0)));
    let effects = scheduler.handle(Event::Finished(0, run(9), finished()));
    let [Effect::Kill(0), Effect::Store(0, stored, Outcome::Failed { cause })] = &effects[..]
    else {
        panic!("{effects:?}");
    };
    assert_eq!(*stored, run(0));
    assert!(cause.contains("which it had not begun"), "{cause}");
    // What it still says while it dies does not count.
    assert_eq!(scheduler.handle(Event::Finished(0, run(0), finished())), []);
    assert_eq!(scheduler.handle(Event::Ended(0, "was killed".to_owned())), []);
    assert!(scheduler.is_over());
}

#[test]
fn stop_asks_and_what_was_not_begun_waits_on() {
    let mut scheduler = begun(8, 2);
    scheduler.handle(Event::Ready(0));
    scheduler.handle(Event::Started(0, run(0)));
    assert_eq!(scheduler.handle(Event::Stop), [Effect::Stop(0), Effect::Kill(1)]);
    assert_eq!(scheduler.handle(Event::Stop), [], "a second one changes nothing");
    let outcome = interrupted("stopped");
    assert_eq!(
        scheduler.handle(Event::Finished(0, run(0), outcome.clone())),
        [Effect::Store(0, run(0), outcome)]
    );
    assert_eq!(scheduler.handle(Event::Idle(0)), [Effect::Retire(0)]);
    scheduler.handle(Event::Ended(0, "left".to_owned()));
    assert!(!scheduler.is_over());
    scheduler.handle(Event::Ended(1, "was killed".to_owned()));
    assert!(scheduler.is_over());
}

#[test]
fn a_stop_after_the_last_run_finds_all_done_and_kills_whoever_lingers() {
    let mut scheduler = begun(1, 1);
    scheduler.handle(Event::Ready(0));
    scheduler.handle(Event::Started(0, run(0)));
    assert!(!scheduler.is_done());
    scheduler.handle(Event::Finished(0, run(0), finished()));
    assert!(scheduler.is_done());
    assert_eq!(scheduler.handle(Event::Idle(0)), [Effect::Retire(0)]);
    assert_eq!(scheduler.handle(Event::Stop), [Effect::Kill(0)]);
    assert!(scheduler.is_done() && !scheduler.is_over());
}

#[test]
fn when_the_time_is_over_a_worker_that_does_not_stop_is_ended() {
    let mut scheduler = under_way(4, strict());
    assert_eq!(scheduler.handle(Event::OutOfTime), [Effect::Stop(0)]);
    assert_eq!(scheduler.due(), Some(60));
    assert_eq!(scheduler.wait(59), []);
    let cause = "the worker did not stop within 1m";
    assert_eq!(
        scheduler.wait(1),
        [Effect::Terminate(0), Effect::Store(0, run(0), interrupted(cause))]
    );
    assert_eq!(scheduler.handle(ended(0)), []);
    assert!(scheduler.is_over() && !scheduler.is_done());
    // Whoever presses Ctrl-C may press it twice.
    let mut scheduler = under_way(4, strict());
    scheduler.handle(Event::Stop);
    assert_eq!(scheduler.due(), None);
}

#[test]
fn an_abort_leaves_what_was_in_hand_undone() {
    let mut scheduler = begun(1, 1);
    scheduler.handle(Event::Ready(0));
    scheduler.handle(Event::Started(0, run(0)));
    scheduler.handle(Event::Abort);
    assert!(!scheduler.is_done());
}

#[test]
fn a_worker_that_dies_while_stopping_leaves_an_interrupted_run() {
    let mut scheduler = begun(1, 1);
    scheduler.handle(Event::Ready(0));
    scheduler.handle(Event::Started(0, run(0)));
    scheduler.handle(Event::Stop);
    let effects = scheduler.handle(Event::Ended(0, "was killed".to_owned()));
    assert_eq!(effects, [Effect::Store(0, run(0), interrupted("the worker was killed"))]);
}

#[test]
fn fused_runs_come_in_bundles_that_are_worth_it() {
    let sizes = |runs: u8, prefix: Prefix| {
        let mut waiting = Waiting::new((0..runs).map(|n| (run(n), prefix)));
        let mut sizes = Vec::new();
        while let Some((_, runs)) = waiting.take(None, &[], 2) {
            sizes.push(runs.len());
        }
        sizes
    };
    assert_eq!(sizes(40, prefix(0)), [10, 8, 6, 4, 3, 3, 2, 1, 1, 1, 1]);
    assert_eq!(sizes(40, Prefix::from_digest([0; 32], true)), [10, 8, 8, 7, 4, 2, 1]);
    assert_eq!(sizes(5, Prefix::from_digest([0; 32], true)), [3, 1, 1]);
}

#[test]
fn a_warm_worker_keeps_its_prefix_and_a_cold_one_takes_another() {
    let runs = (0..4).map(|n| (run(n), prefix(0))).chain((4..6).map(|n| (run(n), prefix(1))));
    let mut waiting = Waiting::new(runs);
    let cold = waiting.take(None, &[], 2);
    assert_eq!(cold, Some((prefix(0), vec![run(0)])), "the largest group");
    let second = waiting.take(None, &[prefix(0)], 2);
    assert_eq!(second, Some((prefix(1), vec![run(4)])), "what nobody works on");
    let warm = waiting.take(Some(prefix(1)), &[prefix(1)], 2);
    assert_eq!(warm, Some((prefix(1), vec![run(5)])), "what it is warm for");
    let left = waiting.take(Some(prefix(1)), &[prefix(0)], 2);
    assert_eq!(left, Some((prefix(0), vec![run(1)])), "anything rather than nothing");
}

#[test]
fn the_group_that_takes_longest_comes_first() {
    let runs = (0..4).map(|n| (run(n), prefix(0))).chain([(run(4), prefix(1))]);
    let mut waiting = Waiting::new(runs);
    waiting.set_lengths((0..4).map(|n| (run(n), 10)).chain([(run(4), 41)]));
    assert_eq!(waiting.take(None, &[], 1), Some((prefix(1), vec![run(4)])));
    assert_eq!(waiting.take(None, &[], 1), Some((prefix(0), vec![run(0), run(1)])));
}

#[test]
fn a_lost_run_is_tried_again_later_by_itself_and_ends_after_the_last_try() {
    let mut scheduler = under_way(5, Policy { retries: 2, ..strict() });
    let cause = "the worker was killed";
    assert_eq!(
        scheduler.handle(ended(0)),
        [again(0, run(0), cause, Next::In(seconds(5))), Effect::Start(0)]
    );
    let others = [Effect::Assign(0, vec![run(1), run(2)])];
    assert_eq!(scheduler.handle(Event::Ready(0)), others, "the others go on");
    for number in [1, 2, 3, 4] {
        scheduler.handle(Event::Started(0, run(number)));
        scheduler.handle(Event::Finished(0, run(number), finished()));
        if number > 1 {
            scheduler.handle(Event::Idle(0));
        }
    }
    assert_eq!(scheduler.handle(Event::Ended(0, "left".to_owned())), []);
    assert!(!scheduler.is_over() && !scheduler.is_done());
    assert_eq!(scheduler.due(), Some(5));
    assert_eq!(scheduler.wait(5), [Effect::Start(0)]);
    assert_eq!(scheduler.handle(Event::Ready(0)), [Effect::Assign(0, vec![run(0)])]);
    scheduler.handle(Event::Started(0, run(0)));
    assert_eq!(
        scheduler.handle(ended(0)),
        [again(0, run(0), cause, Next::In(seconds(10)))],
        "twice as long"
    );
    assert_eq!(scheduler.wait(9), []);
    assert_eq!(scheduler.wait(1), [Effect::Start(0)]);
    scheduler.handle(Event::Ready(0));
    scheduler.handle(Event::Started(0, run(0)));
    assert_eq!(scheduler.handle(ended(0)), [Effect::Store(0, run(0), failed(cause))]);
    assert!(scheduler.is_over());
}

#[test]
fn what_a_worker_says_itself_is_not_tried_again() {
    for outcome in [failed("x"), Outcome::Diverged { epoch: 1, cause: "x".to_owned() }] {
        let mut scheduler = under_way(1, Policy { retries: 2, ..strict() });
        let effects = scheduler.handle(Event::Finished(0, run(0), outcome.clone()));
        assert_eq!(effects, [Effect::Store(0, run(0), outcome)]);
    }
}

#[test]
fn a_run_over_its_time_is_timed_out_and_those_beside_it_go_on() {
    let mut scheduler = under_way(5, Policy { time_limit: Some(seconds(60)), ..strict() });
    assert_eq!(scheduler.due(), Some(60));
    assert_eq!(scheduler.wait(1), []);
    scheduler.handle(Event::Started(0, run(1)));
    let effects = scheduler.wait(59);
    let [Effect::Retire(0), Effect::Again(0, beside, _), Effect::Store(0, over, outcome)] =
        &effects[..]
    else {
        panic!("{effects:?}");
    };
    assert_eq!((*beside, *over), (run(1), run(0)));
    let cause = "it took longer than its time limit of 1m".to_owned();
    assert_eq!(*outcome, Outcome::TimedOut { cause });
    assert_eq!(scheduler.due(), None);
    assert_eq!(scheduler.handle(ended(0)), [Effect::Start(0)]);
    assert_eq!(scheduler.handle(Event::Ready(0)), [Effect::Assign(0, vec![run(1), run(2)])]);
}

#[test]
fn a_silent_worker_is_ended_and_its_run_tried_again() {
    let policy = Policy { silence_limit: Some(seconds(60)), retries: 1, ..strict() };
    let mut scheduler = under_way(1, policy);
    assert_eq!(scheduler.wait(59), []);
    scheduler.handle(Event::News(0));
    assert_eq!(scheduler.due(), Some(119), "news puts it off");
    let cause = "the worker said nothing for 1m";
    let next = Next::In(seconds(5));
    assert_eq!(scheduler.wait(60), [Effect::Terminate(0), again(0, run(0), cause, next)]);
    assert_eq!(scheduler.handle(ended(0)), []);
    assert_eq!(scheduler.wait(5), [Effect::Start(0)]);
    scheduler.handle(Event::Ready(0));
    scheduler.handle(Event::Started(0, run(0)));
    let outcome = Outcome::TimedOut { cause: cause.to_owned() };
    assert_eq!(scheduler.wait(60), [Effect::Terminate(0), Effect::Store(0, run(0), outcome)]);
}

#[test]
fn a_worker_that_does_not_say_hello_is_killed() {
    let mut scheduler = begun(1, 1);
    let why = GiveUp::NoWorker("did not come up in 5m".to_owned());
    assert_eq!(scheduler.due(), Some(300));
    assert_eq!(scheduler.wait(300), [Effect::Kill(0), Effect::GiveUp(why), Effect::Kill(0)]);
}

#[test]
fn a_worker_that_fails_to_restart_stops_nobody_else() {
    let mut scheduler = begun_on(9, &[0, 0], strict());
    scheduler.handle(Event::Ready(0));
    scheduler.handle(Event::Ready(1));
    assert_eq!(scheduler.handle(ended(0)), [Effect::Start(0)]);
    assert_eq!(scheduler.handle(ended(0)), [], "not at once");
    assert_eq!(scheduler.due(), Some(10));
    scheduler.handle(Event::Started(1, run(3)));
    assert_eq!(scheduler.wait(10), [Effect::Start(0)]);
}

#[test]
fn a_device_on_which_runs_fail_in_a_row_is_set_aside_and_the_work_moves() {
    let policy = Policy { set_aside_after: 3, retries: 2, ..strict() };
    let mut scheduler = begun_on(20, &[0, 1], policy);
    scheduler.handle(Event::Ready(1));
    let mut effects = Vec::new();
    for number in 0..3 {
        scheduler.handle(Event::Ready(0));
        let Slot::Busy { hand, .. } = &scheduler.scheduler.slots()[0] else { panic!("{number}") };
        let next = hand.rest()[0];
        scheduler.handle(Event::Started(0, next));
        effects = scheduler.handle(ended(0));
    }
    let why = "3 failures in a row, at last: the worker was killed".to_owned();
    assert!(effects.contains(&Effect::SetAside(0, why)), "{effects:?}");
    assert!(!effects.contains(&Effect::Start(0)), "{effects:?}");
    scheduler.wait(1000);
    assert_eq!(scheduler.scheduler.slots()[0], Slot::Vacant);
    for _ in 0..20 {
        let Slot::Busy { hand, .. } = &scheduler.scheduler.slots()[1] else { break };
        for next in hand.rest().clone() {
            scheduler.handle(Event::Started(1, next));
            scheduler.handle(Event::Finished(1, next, finished()));
        }
        scheduler.handle(Event::Idle(1));
    }
    assert!(scheduler.is_done(), "{:?}", scheduler.scheduler);
}

#[test]
fn a_device_that_is_set_aside_keeps_nothing_of_its_bundle() {
    let policy = Policy { set_aside_after: 2, ..strict() };
    let mut scheduler = begun_on(40, &[0, 1], policy);
    scheduler.handle(Event::Ready(0));
    let Slot::Busy { hand, .. } = &scheduler.scheduler.slots()[0] else { panic!() };
    let bundle = hand.rest().clone();
    assert!(bundle.len() > 3, "{bundle:?}");
    bundle.iter().take(3).for_each(|run| drop(scheduler.handle(Event::Started(0, *run))));
    scheduler.handle(Event::Finished(0, bundle[0], failed("bad")));
    let effects = scheduler.handle(Event::Finished(0, bundle[1], failed("bad")));
    let why = "2 failures in a row, at last: bad";
    assert_eq!(
        effects,
        [
            Effect::Store(0, bundle[1], failed("bad")),
            Effect::SetAside(0, why.to_owned()),
            Effect::Retire(0),
            again(0, bundle[2], &format!("its device is set aside: {why}"), Next::In(Time::ZERO)),
        ]
    );
    assert_eq!(scheduler.scheduler.slots()[0], Slot::Leaving);
}

#[test]
fn without_any_device_the_sweep_ends() {
    let mut scheduler = under_way(9, Policy { set_aside_after: 1, ..strict() });
    let effects = scheduler.handle(Event::Finished(0, run(0), failed("bad")));
    let why = GiveUp::NoDevice(0, "bad".to_owned());
    assert_eq!(
        effects,
        [Effect::Store(0, run(0), failed("bad")), Effect::GiveUp(why), Effect::Stop(0)]
    );
}

#[test]
fn memory_that_was_shared_is_given_to_one_run_alone_once() {
    let mut scheduler = begun_on(2, &[0, 0], strict());
    let out = Outcome::OutOfMemory { cause: "CUDA out of memory".to_owned() };
    for slot in [0, 1] {
        scheduler.handle(Event::Ready(slot));
        scheduler.handle(Event::Started(slot, run(slot as u8)));
    }
    let effects = scheduler.handle(Event::Finished(0, run(0), out.clone()));
    assert_eq!(effects, [again(0, run(0), "CUDA out of memory", Next::Alone)]);
    assert_eq!(scheduler.handle(Event::Idle(0)), [Effect::Retire(0)]);
    assert_eq!(scheduler.handle(ended(0)), [], "not while the other is there");
    scheduler.handle(Event::Finished(1, run(1), finished()));
    assert_eq!(scheduler.handle(Event::Idle(1)), [Effect::Assign(1, vec![run(0)])]);
    scheduler.handle(Event::Started(1, run(0)));
    let effects = scheduler.handle(Event::Finished(1, run(0), out.clone()));
    assert_eq!(effects, [Effect::Store(1, run(0), out)], "that is how it is");
}

#[test]
fn memory_that_was_not_shared_is_too_small() {
    let mut scheduler = under_way(3, Policy { retries: 2, ..strict() });
    let out = Outcome::OutOfMemory { cause: "x".to_owned() };
    let effects = scheduler.handle(Event::Finished(0, run(0), out.clone()));
    assert_eq!(effects, [Effect::Store(0, run(0), out)]);
}

#[test]
fn so_many_failures_are_enough() {
    let mut scheduler = under_way(9, Policy { max_failures: NonZeroU32::new(2), ..strict() });
    scheduler.handle(Event::Finished(0, run(0), failed("x")));
    scheduler.handle(Event::Started(0, run(1)));
    let effects = scheduler.handle(Event::Finished(0, run(1), failed("x")));
    assert_eq!(
        effects,
        [Effect::Store(0, run(1), failed("x")), Effect::Enough(2), Effect::Stop(0)]
    );
}

#[test]
fn what_is_broken_for_all_ends_the_sweep_and_leaves_runs_open() {
    let mut scheduler = under_way(9, strict());
    let effects = scheduler.handle(Event::Broken(0, "no such image".to_owned()));
    assert_eq!(
        effects,
        [
            Effect::Retire(0),
            again(0, run(0), "no such image", Next::WithNextSweep),
            Effect::GiveUp(GiveUp::Broken("no such image".to_owned())),
            Effect::Kill(0),
        ]
    );
    scheduler.handle(ended(0));
    assert!(scheduler.is_over() && !scheduler.is_done());
}

#[test]
fn a_device_that_somebody_else_has_is_asked_for_again() {
    let mut scheduler = begun_on(4, &[0, 1], strict());
    assert_eq!(scheduler.handle(Event::Occupied(0)), []);
    assert_eq!(scheduler.due(), Some(1));
    scheduler.handle(Event::Ready(1));
    assert_eq!(scheduler.wait(1), [Effect::Start(0)]);
    scheduler.handle(Event::Stop);
    scheduler.handle(Event::Occupied(0));
    scheduler.handle(ended(1));
    assert!(scheduler.is_over());
}

#[test]
fn runs_that_others_are_at_are_waited_for_and_taken_over() {
    let mut scheduler = begun(4, 1);
    assert_eq!(scheduler.handle(Event::Ready(0)), [Effect::Assign(0, vec![run(0), run(1)])]);
    assert_eq!(scheduler.handle(Event::Taken(0, run(0))), []);
    let rest = [Effect::Assign(0, vec![run(2)])];
    assert_eq!(scheduler.handle(Event::Done(0, run(1))), rest, "nothing was left of the bundle");
    scheduler.handle(Event::Started(0, run(2)));
    scheduler.handle(Event::Finished(0, run(2), finished()));
    assert_eq!(scheduler.handle(Event::Idle(0)), [Effect::Assign(0, vec![run(3)])]);
    scheduler.handle(Event::Taken(0, run(3)));
    scheduler.handle(ended(0));
    assert!(!scheduler.is_over());
    assert_eq!(scheduler.due(), Some(1));
    assert_eq!(scheduler.wait(1), [Effect::Look(vec![run(0), run(3)])]);
    assert_eq!(scheduler.handle(Event::DoneElsewhere(run(0))), []);
    assert_eq!(scheduler.handle(Event::Free(run(3))), [Effect::Start(0)]);
    assert_eq!(scheduler.handle(Event::Ready(0)), [Effect::Assign(0, vec![run(3)])]);
    scheduler.handle(Event::Started(0, run(3)));
    scheduler.handle(Event::Finished(0, run(3), finished()));
    assert!(scheduler.is_done());
}

/// What a slot's process would be in the real world.
#[derive(Debug, Default)]
struct Process {
    alive: bool,
    hello: bool,
    killed: bool,
    stopped: bool,
    retired: bool,
    current: Vec<RunId>,
    rest: VecDeque<RunId>,
    working: bool,
}

impl Process {
    /// Begins its next run, if there is one and nobody told it to stop.
    fn begins(&mut self) -> Option<RunId> {
        let run = if self.stopped { None } else { self.rest.pop_front() };
        self.current.extend(run);
        run
    }

    fn has_done_all(&self) -> bool {
        self.working && self.rest.is_empty() && self.current.is_empty()
    }
}

/// The real world: obeys effects, and checks that they make sense.
#[derive(Debug)]
struct World {
    scheduler: Scheduler,
    now: Time,
    processes: Vec<Process>,
    stored: HashSet<RunId>,
    /// Runs of other orchestrators.
    elsewhere: HashSet<RunId>,
    done_elsewhere: HashSet<RunId>,
    retries: HashMap<RunId, u32>,
    /// Whether somebody else has the devices.
    occupied: bool,
    gave_up: bool,
    stopped: bool,
    aborted: bool,
}

impl World {
    fn new(runs: u8, prefixes: u8, homes: &[DeviceId]) -> Self {
        let runs = (0..runs).map(|n| (run(n), prefix(n % prefixes)));
        let policy = Policy {
            time_limit: Some(seconds(500)),
            silence_limit: Some(seconds(100)),
            retries: 2,
            set_aside_after: 8,
            ..strict()
        };
        let mut world = Self {
            scheduler: Scheduler::new(runs, homes, policy),
            now: seconds(0),
            processes: homes.iter().map(|_| Process::default()).collect(),
            stored: HashSet::new(),
            elsewhere: HashSet::new(),
            done_elsewhere: HashSet::new(),
            retries: HashMap::new(),
            occupied: false,
            gave_up: false,
            stopped: false,
            aborted: false,
        };
        world.tell(Event::Begin);
        world
    }

    fn tell(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            if let Event::Occupied(slot) = event {
                self.processes[slot] = Process::default();
            }
            for effect in self.scheduler.handle(self.now, event) {
                self.obey(effect, &mut events);
            }
        }
        for (slot, process) in self.scheduler.slots().iter().zip(&self.processes) {
            assert_eq!(!matches!(slot, Slot::Vacant), process.alive);
        }
        let mut held: HashSet<_> = self.stored.union(&self.done_elsewhere).copied().collect();
        for slot in self.scheduler.slots() {
            if let Slot::Busy { hand, .. } = slot {
                for run in hand.begun().chain(hand.rest().iter().copied()) {
                    assert!(held.insert(run), "a run is in one place");
                }
            }
        }
    }

    fn obey(&mut self, effect: Effect, events: &mut VecDeque<Event>) {
        match effect {
            Effect::Start(slot) => {
                assert!(!self.processes[slot].alive, "slot {slot} is taken");
                assert!(!self.stopped && !self.gave_up && !self.aborted, "started after the end");
                // In the moment in which it is told, the slot counts as taken.
                self.processes[slot] = Process { alive: true, ..Process::default() };
                if self.occupied {
                    events.push_back(Event::Occupied(slot));
                }
            }
            Effect::Assign(slot, runs) => {
                for &run in &runs {
                    let held = self.processes.iter().any(|process| {
                        process.alive
                            && !process.killed
                            && (process.rest.contains(&run) || process.current.contains(&run))
                    });
                    assert!(!held && !self.stored.contains(&run), "a run is done once");
                }
                let (taken, free): (Vec<_>, Vec<_>) =
                    runs.into_iter().partition(|run| self.elsewhere.contains(run));
                events.extend(taken.into_iter().map(|run| Event::Taken(slot, run)));
                let process = &mut self.processes[slot];
                assert!(process.alive && process.hello && !process.working);
                process.working = !free.is_empty();
                process.rest = free.into();
            }
            Effect::Open(slot, run) => assert_eq!(self.processes[slot].current.last(), Some(&run)),
            Effect::Store(_, run, outcome) => {
                assert!(!self.aborted, "nothing is stored after an abort");
                assert!(self.stored.insert(run), "a run ends once");
                assert!(self.stopped || self.gave_up || outcome.is_settled());
            }
            Effect::Again(_, run, again) => {
                assert!(!self.stored.contains(&run), "what has ended is not tried again");
                if let Next::In(wait) = again.next
                    && !wait.is_zero()
                {
                    let tries = self.retries.entry(run).or_default();
                    *tries += 1;
                    assert!(*tries <= 2, "not for ever");
                }
            }
            Effect::Stop(slot) => self.processes[slot].stopped = true,
            Effect::Retire(slot) => self.processes[slot].retired = true,
            Effect::Kill(slot) | Effect::Terminate(slot) => {
                self.processes[slot].killed = true;
                self.processes[slot].rest.clear();
                self.processes[slot].current.clear();
            }
            Effect::GiveUp(_) => {
                assert!(!self.gave_up, "given up once");
                self.gave_up = true;
            }
            Effect::Look(runs) => {
                for run in runs {
                    if self.done_elsewhere.contains(&run) {
                        events.push_back(Event::DoneElsewhere(run));
                    } else if !self.elsewhere.contains(&run) {
                        events.push_back(Event::Free(run));
                    }
                }
            }
            Effect::SetAside(..) | Effect::Enough(_) => {}
        }
    }

    /// Another orchestrator takes, ends or drops a run that we are not at.
    fn meddle(&mut self, number: u8) {
        let run = run(number % 40);
        let ours = self.processes.iter().any(|process| {
            process.alive && (process.rest.contains(&run) || process.current.contains(&run))
        });
        if ours || self.stored.contains(&run) || self.done_elsewhere.contains(&run) {
            return;
        }
        match number {
            200.. => _ = self.elsewhere.remove(&run),
            100..200 if self.elsewhere.contains(&run) => _ = self.done_elsewhere.insert(run),
            _ => _ = self.elsewhere.insert(run),
        }
    }

    /// One step of the worker in `slot`; `luck` below 200 is a polite one.
    fn step(&mut self, slot: SlotId, luck: u8) {
        let process = &mut self.processes[slot];
        if !process.alive {
            return;
        }
        if process.killed || process.retired || luck >= 240 {
            *process = Process::default();
            return self.tell(Event::Ended(slot, "gone".to_owned()));
        }
        let event = match luck {
            236.. => Event::Breach(slot, "said nonsense".to_owned()),
            228..236 => Event::Started(slot, run(luck)),
            220..228 => Event::Finished(slot, run(luck), finished()),
            212..220 if !process.has_done_all() => Event::Idle(slot),
            _ if !process.hello => {
                process.hello = true;
                Event::Ready(slot)
            }
            // Some begin another run beside those under way, and any of these may end first.
            _ if luck.is_multiple_of(2) && process.begins().is_some() => {
                Event::Started(slot, process.current[process.current.len() - 1])
            }
            _ if !process.current.is_empty() => {
                let place = usize::from(luck) % process.current.len();
                let cause = "x".to_owned();
                let outcome = match luck {
                    _ if process.stopped => interrupted("asked to"),
                    200.. => Outcome::OutOfMemory { cause },
                    195.. => failed("x"),
                    _ => finished(),
                };
                Event::Finished(slot, process.current.remove(place), outcome)
            }
            _ => match process.begins() {
                Some(run) => Event::Started(slot, run),
                None if process.working => {
                    process.rest.clear();
                    process.working = false;
                    Event::Idle(slot)
                }
                None => return,
            },
        };
        self.tell(event);
    }
}

proptest! {
    #[test]
    fn every_run_ends_once_whatever_workers_do(
        runs in 0_u8..40,
        prefixes in 1_u8..4,
        homes in proptest::collection::vec(0_usize..3, 1..5),
        steps in proptest::collection::vec((any::<u8>(), any::<u8>()), 0..400),
        stop_at in proptest::option::of(0_usize..400),
        abort_at in proptest::option::of(0_usize..400),
    ) {
        let slots = homes.len();
        // Devices are numbered without gaps.
        let mut devices = homes.clone();
        devices.sort_unstable();
        devices.dedup();
        let homes: Vec<_> =
            homes.iter().filter_map(|home| devices.iter().position(|other| other == home)).collect();
        let mut world = World::new(runs, prefixes, &homes);
        for (at, (who, luck)) in steps.into_iter().enumerate() {
            if Some(at) == stop_at {
                world.stopped = true;
                world.tell(Event::Stop);
            }
            if Some(at) == abort_at {
                world.aborted = true;
                world.tell(Event::Abort);
            }
            match who {
                0..50 => {
                    world.now += seconds(u64::from(luck));
                    world.tell(Event::Tick);
                }
                50..76 => world.meddle(luck),
                76..80 => world.occupied = luck < 128,
                _ => world.step(usize::from(who) % slots, luck),
            }
        }
        // From here on everybody is polite, the others are gone, and time passes only where everybody
        // waits: so it comes to an end.
        world.occupied = false;
        let held: Vec<_> = world.elsewhere.drain().collect();
        for run in held {
            if world.done_elsewhere.contains(&run) {
                world.elsewhere.insert(run);
            }
        }
        for _ in 0..1000 {
            (0..slots).for_each(|slot| world.step(slot, 0));
            if let Some(due) = world.scheduler.due(world.now)
                && !world.processes.iter().any(|process| process.alive)
            {
                world.now = world.now.max(due);
                world.tell(Event::Tick);
            }
        }
        prop_assert!(world.scheduler.is_over(), "{world:?}");
        if !world.stopped && !world.aborted && !world.gave_up {
            prop_assert!(world.scheduler.is_done());
            let ended: HashSet<_> = world.stored.union(&world.done_elsewhere).collect();
            let ended = (0..runs).filter(|&n| ended.contains(&run(n))).count();
            prop_assert_eq!(ended, usize::from(runs));
        }
    }
}
