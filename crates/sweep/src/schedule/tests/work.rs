//! Who gets which runs.

use super::*;

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
