//! Whatever workers do, and in whatever order.

use proptest::prelude::*;

use super::*;

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
    /// The device of each slot.
    homes: Vec<DeviceId>,
    /// Devices that somebody else has.
    occupied: HashSet<DeviceId>,
    set_aside: HashSet<DeviceId>,
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
            homes: homes.to_vec(),
            occupied: HashSet::new(),
            set_aside: HashSet::new(),
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
        for (slot, home) in self.scheduler.slots().iter().zip(&self.homes) {
            if let Slot::Busy { hand, .. } = slot {
                assert!(!self.set_aside.contains(home), "nothing runs where nothing runs any more");
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
                if self.occupied.contains(&self.homes[slot]) {
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
            Effect::SetAside(device, _) => _ = self.set_aside.insert(device),
            Effect::Enough(_) => {}
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
                76..80 => {
                    let device = homes[usize::from(luck) % slots];
                    if !world.occupied.remove(&device) {
                        world.occupied.insert(device);
                    }
                }
                _ => world.step(usize::from(who) % slots, luck),
            }
        }
        // From here on everybody is polite, the others are gone, and time passes only where everybody
        // waits: so it comes to an end.
        // Somebody keeps one device for good, where another one is left.
        let kept = homes[0];
        let is_left = |home: &DeviceId| *home != kept && !world.set_aside.contains(home);
        let others = homes.iter().any(is_left);
        world.occupied.clear();
        world.occupied.extend(others.then_some(kept));
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
