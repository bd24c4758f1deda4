//! The scheduler against simulated workers: polite ones in tables, nasty ones at random.

use std::collections::{HashSet, VecDeque};

use proptest::prelude::*;
use spec::record::{Finished, Outcome};
use spec::run_id::RunId;

use super::{Effect, Event, Prefix, Scheduler, Slot, SlotId, Waiting};

fn run(number: u8) -> RunId {
    RunId::from_digest([number; 32])
}

fn prefix(number: u8) -> Prefix {
    Prefix::from_digest([number; 32])
}

fn finished() -> Outcome {
    Outcome::Finished(Finished {
        epochs: 1,
        updates: 1,
        images_seen: 1,
        stopped_early: None,
        validation: None,
        test: None,
        folds: Vec::new(),
    })
}

fn failed(cause: &str) -> Outcome {
    Outcome::Failed { cause: cause.to_owned() }
}

fn interrupted(cause: &str) -> Outcome {
    Outcome::Interrupted { cause: cause.to_owned() }
}

/// `runs` of one prefix on `slots`, begun.
fn begun(runs: u8, slots: usize) -> Scheduler {
    let mut scheduler = Scheduler::new((0..runs).map(|n| (run(n), prefix(0))), slots);
    let effects = scheduler.handle(Event::Begin);
    assert_eq!(effects.len(), slots.min(runs.into()));
    scheduler
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
    let mut scheduler = Scheduler::new([(run(0), prefix(0))], 4);
    assert_eq!(scheduler.handle(Event::Begin), [Effect::Start(0)]);
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
    // Dying before `started` costs a run too: else it would go on for ever.
    let effects = scheduler.handle(Event::Ended(0, "was killed".to_owned()));
    assert_eq!(
        effects,
        [Effect::Store(0, run(1), failed("the worker was killed")), Effect::Start(0)]
    );
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
    assert_eq!(effects, [Effect::GiveUp("no libtorch".to_owned()), Effect::Kill(1)]);
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
    processes: Vec<Process>,
    stored: HashSet<RunId>,
    gave_up: bool,
    stopped: bool,
    aborted: bool,
}

impl World {
    fn new(runs: u8, prefixes: u8, slots: usize) -> Self {
        let runs = (0..runs).map(|n| (run(n), prefix(n % prefixes)));
        let mut world = Self {
            scheduler: Scheduler::new(runs, slots),
            processes: (0..slots).map(|_| Process::default()).collect(),
            stored: HashSet::new(),
            gave_up: false,
            stopped: false,
            aborted: false,
        };
        world.tell(Event::Begin);
        world
    }

    fn tell(&mut self, event: Event) {
        for effect in self.scheduler.handle(event) {
            self.obey(effect);
        }
        for (slot, process) in self.scheduler.slots().iter().zip(&self.processes) {
            assert_eq!(!matches!(slot, Slot::Vacant), process.alive);
        }
        let mut held = self.stored.clone();
        for slot in self.scheduler.slots() {
            if let Slot::Busy { hand, .. } = slot {
                for &run in hand.begun().iter().chain(hand.rest()) {
                    assert!(held.insert(run), "a run is in one place");
                }
            }
        }
    }

    fn obey(&mut self, effect: Effect) {
        match effect {
            Effect::Start(slot) => {
                assert!(!self.processes[slot].alive, "slot {slot} is taken");
                assert!(!self.stopped && !self.gave_up && !self.aborted, "started after the end");
                self.processes[slot] = Process { alive: true, ..Process::default() };
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
                let process = &mut self.processes[slot];
                assert!(process.alive && process.hello && !process.working && !runs.is_empty());
                process.rest = runs.into();
                process.working = true;
            }
            Effect::Open(slot, run) => assert_eq!(self.processes[slot].current.last(), Some(&run)),
            Effect::Store(_, run, outcome) => {
                assert!(!self.aborted, "nothing is stored after an abort");
                assert!(self.stored.insert(run), "a run ends once");
                assert!(self.stopped || self.gave_up || outcome.is_settled());
            }
            Effect::Stop(slot) => self.processes[slot].stopped = true,
            Effect::Retire(slot) => self.processes[slot].retired = true,
            Effect::Kill(slot) => {
                self.processes[slot].killed = true;
                self.processes[slot].rest.clear();
                self.processes[slot].current.clear();
            }
            Effect::GiveUp(_) => {
                assert!(!self.gave_up, "given up once");
                self.gave_up = true;
            }
        }
    }

    /// One step of the worker in `slot`; `luck` below 200 is a polite one.
    fn step(&mut self, slot: SlotId, luck: u8) {
        let process = &mut self.processes[slot];
        if !process.alive {
            return;
        }
        if process.killed || process.retired || luck >= 240 {
            process.alive = false;
            return self.tell(Event::Ended(slot, "gone".to_owned()));
        }
        let event = match luck {
            230.. => Event::Breach(slot, "said nonsense".to_owned()),
            220..230 => Event::Started(slot, run(luck)),
            210..220 => Event::Finished(slot, run(luck), finished()),
            200..210 if !process.has_done_all() => Event::Idle(slot),
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
                let outcome = if process.stopped { interrupted("asked to") } else { finished() };
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
        slots in 1_usize..5,
        steps in proptest::collection::vec((any::<u8>(), any::<u8>()), 0..300),
        stop_at in proptest::option::of(0_usize..300),
        abort_at in proptest::option::of(0_usize..300),
    ) {
        let mut world = World::new(runs, prefixes, slots);
        for (at, (slot, luck)) in steps.into_iter().enumerate() {
            if Some(at) == stop_at {
                world.stopped = true;
                world.tell(Event::Stop);
            }
            if Some(at) == abort_at {
                world.aborted = true;
                world.tell(Event::Abort);
            }
            world.step(usize::from(slot) % slots, luck);
        }
        // From here on everybody is polite, so it comes to an end.
        for _ in 0..1000 {
            (0..slots).for_each(|slot| world.step(slot, 0));
        }
        prop_assert!(world.scheduler.is_over(), "{world:?}");
        if !world.stopped && !world.aborted && !world.gave_up {
            prop_assert_eq!(world.stored.len(), usize::from(runs));
        }
    }
}
