//! What is stopped, and what is over.

use super::*;

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
            again(0, run(0), "no such image", Next::WhenMended),
            Effect::GiveUp(GiveUp::Broken("no such image".to_owned())),
            Effect::Kill(0),
        ]
    );
    scheduler.handle(ended(0));
    assert!(scheduler.is_over() && !scheduler.is_done());
}
