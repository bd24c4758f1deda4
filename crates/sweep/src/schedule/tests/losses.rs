//! Workers that are lost or break their word, and runs that are tried again.

use super::*;

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

/// Where several train together, all that one failed allocation ends say so, one after the other.
#[test]
fn company_counts_though_it_has_ended() {
    let mut scheduler = under_way(3, Policy { retries: 2, ..strict() });
    scheduler.handle(Event::Started(0, run(1)));
    let out = Outcome::OutOfMemory { cause: "CUDA out of memory".to_owned() };
    for id in [1, 0] {
        let effects = scheduler.handle(Event::Finished(0, run(id), out.clone()));
        assert_eq!(effects, [again(0, run(id), "CUDA out of memory", Next::Alone)]);
    }
}

#[test]
fn memory_that_was_not_shared_is_too_small() {
    let mut scheduler = under_way(3, Policy { retries: 2, ..strict() });
    let out = Outcome::OutOfMemory { cause: "x".to_owned() };
    let effects = scheduler.handle(Event::Finished(0, run(0), out.clone()));
    assert_eq!(effects, [Effect::Store(0, run(0), out)]);
}

/// A batch system cancels a job by a signal to all of its processes: of the worker's end we may hear before our
/// own.
#[test]
fn a_worker_that_was_asked_to_end_by_others_leaves_its_run_open() {
    let mut scheduler = begun(1, 1);
    scheduler.handle(Event::Ready(0));
    scheduler.handle(Event::Started(0, run(0)));
    let how = "was killed by SIGTERM (15)".to_owned();
    let effects = scheduler.handle(Event::Dismissed(0, how));
    let cause = "the worker was killed by SIGTERM (15)".to_owned();
    assert_eq!(effects[0], Effect::Store(0, run(0), Outcome::Interrupted { cause }));
}
