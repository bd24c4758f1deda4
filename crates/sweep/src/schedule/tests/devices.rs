//! Devices that are broken, or in somebody else's hands.

use super::*;

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
            Effect::Terminate(0),
            again(0, bundle[2], &format!("its device is set aside: {why}"), Next::In(Time::ZERO)),
        ]
    );
    assert_eq!(scheduler.scheduler.slots()[0], Slot::Leaving);
}

#[test]
fn a_device_that_is_set_aside_gets_no_more_runs_in_any_of_its_slots() {
    let policy = Policy { set_aside_after: 2, ..strict() };
    let mut scheduler = begun_on(40, &[0, 1, 0, 1], policy);
    let bundles = [0, 1, 2].map(|slot| {
        scheduler.handle(Event::Ready(slot));
        let Slot::Busy { hand, .. } = &scheduler.scheduler.slots()[slot] else { panic!("{slot}") };
        let bundle = hand.rest().clone();
        bundle.iter().take(2).for_each(|run| drop(scheduler.handle(Event::Started(slot, *run))));
        bundle
    });
    scheduler.handle(Event::Finished(0, bundles[0][0], failed("bad")));
    let effects = scheduler.handle(Event::Finished(0, bundles[0][1], failed("bad")));
    let why = "2 failures in a row, at last: bad";
    let moved =
        |run| again(2, run, &format!("its device is set aside: {why}"), Next::In(Time::ZERO));
    assert_eq!(
        effects,
        [
            Effect::Store(0, bundles[0][1], failed("bad")),
            Effect::SetAside(0, why.to_owned()),
            Effect::Terminate(0),
            Effect::Terminate(2),
            moved(bundles[2][1]),
            moved(bundles[2][0]),
        ]
    );
    let slots = scheduler.scheduler.slots();
    assert_eq!([&slots[0], &slots[2]], [&Slot::Leaving; 2]);
    let Slot::Busy { hand, .. } = &slots[1] else { panic!("the other device goes on") };
    assert_eq!(hand.begun().count() + hand.rest().len(), bundles[1].len());
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
fn a_run_goes_back_to_its_device_when_no_other_one_gets_free() {
    let mut scheduler = begun_on(1, &[0, 1], Policy { retries: 1, ..strict() });
    scheduler.handle(Event::Ready(0));
    scheduler.handle(Event::Started(0, run(0)));
    scheduler.handle(ended(0));
    for second in 5..65 {
        scheduler.now = seconds(second);
        assert_eq!(scheduler.handle(Event::Tick), [Effect::Start(1)], "at {second}");
        assert_eq!(scheduler.handle(Event::Occupied(1)), [], "at {second}");
    }
    assert_eq!(scheduler.due(), Some(65));
    assert_eq!(scheduler.wait(1), [Effect::Start(0)]);
    assert_eq!(scheduler.handle(Event::Ready(0)), [Effect::Assign(0, vec![run(0)])]);
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
