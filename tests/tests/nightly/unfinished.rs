//! Nights that are killed, stopped, too short or one too many.

use end_to_end::script::Act;
use rustix::process::Signal;
use serde_json::Value;

use super::{EVENING, HOUR, at, bench, command, night, report, summary};
use crate::bench::{Bench, Running};

/// The runs of seed 8 with batch size 64 are the last ones.
fn killed_at_the_last_run(bench: &Bench) {
    bench.rule(8, 64, Act::Wait);
    let mut going = Running::start(command(bench, EVENING, &[]));
    let worker = bench.accept();
    assert_eq!(worker.who, "8 64");
    // All others are stored.
    while !going.stderr_line().starts_with("[23/24]") {}
    going.signal(Signal::KILL);
    assert_eq!(bench.wait(going).code, 137);
    bench.script(|_| {});
}

#[test]
fn a_night_that_was_killed_goes_on_the_same_night() {
    let bench = bench("budget = \"8h\"\n");
    killed_at_the_last_run(&bench);
    assert!(!bench.path("results/nightly/2026-11-26/summary.json").exists());
    // Past midnight: a night is called after the day on which it began.
    let again = at(&bench, EVENING + 4 * HOUR);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(again.stderr.contains("the night of 2026-11-26 was cut short: it goes on\n"));
    assert!(again.stdout.starts_with("# Night of 2026-11-26: good\n"), "{}", again.stdout);
    assert_eq!(bench.ledger().len(), 24, "nothing twice");
    assert!(!bench.path("results/nightly/2026-11-27").exists());
}

#[test]
fn a_night_that_was_killed_and_is_over_has_its_report_and_the_next_one_goes_on() {
    let bench = bench("budget = \"8h\"\n");
    killed_at_the_last_run(&bench);
    let next = night(&bench, 1);
    assert_eq!(next.code, 0, "{}", next.stderr);
    assert!(next.stderr.contains("the night of 2026-11-26 was cut short: its report is written\n"));
    let cut = report(&bench, "2026-11-26");
    assert!(cut.contains("23 of 24 runs finished. It was cut short"), "{cut}");
    assert_eq!(summary(&bench, "2026-11-26")["verdict"], "unfinished");
    insta::assert_snapshot!(report(&bench, "2026-11-27"));
    assert_eq!(bench.ledger().len(), 24, "nothing twice");
    let accept = command(&bench, EVENING, &["--accept", "2026-11-26"]);
    let refused = bench.wait(Running::start(accept));
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    insta::assert_snapshot!(refused.stderr, @"
    × the night of 2026-11-26 did not finish batch_size
    help: what later nights are compared with has to be whole: accept one that is
    ");
}

#[test]
fn what_another_library_computed_is_not_gone_on_with() {
    let bench = bench("budget = \"8h\"\n");
    killed_at_the_last_run(&bench);
    bench.script(|script| script.libtorch = "2.12.0".to_owned());
    let next = at(&bench, EVENING + HOUR);
    assert_eq!(next.code, 0, "{}", next.stderr);
    assert!(
        next.stderr.contains("begins anew: the worker, its libraries or the driver are others\n")
    );
    assert_eq!(summary(&bench, "2026-11-26.2")["sweeps"][0]["carried"], 0);
    assert_eq!(bench.ledger().len(), 23 + 24);
}

#[test]
fn what_does_not_fit_goes_on_the_next_night() {
    let bench = bench("budget = \"2s\"\n");
    let other = bench.read("batch_size.toml").replace("[16, 32, 64]", "[8, 32]");
    bench.write("other.toml", &other);
    let both = "sweeps = [\"batch_size.toml\", \"other.toml\"]";
    let nightly = bench.read("nightly.toml").replace("sweeps = [\"batch_size.toml\"]", both);
    bench.write("nightly.toml", &nightly);
    bench.rule(8, 64, Act::Wait);
    let first = night(&bench, 0);
    // Nothing to be woken for.
    assert_eq!(first.code, 0, "{}", first.stderr);
    assert!(first.stderr.contains("time is over: runs under way end at their next batch\n"));
    assert!(first.stdout.contains(": nothing wrong, not all done\n"), "{}", first.stdout);
    assert!(first.stdout.contains("- other: its turn did not come\n"), "{}", first.stdout);
    bench.script(|_| {});
    bench.write("nightly.toml", &nightly.replace("2s", "1h"));
    let next = night(&bench, 1);
    assert_eq!(next.code, 0, "{}", next.stderr);
    let sweep = &summary(&bench, "2026-11-27")["sweeps"][0];
    assert_eq!((&sweep["state"], &sweep["finished"]), (&"complete".into(), &24.into()));
    // 24 of the one, and 8 of the other that the first has not; the baseline stands in both.
    assert_eq!(bench.ledger().len(), 32, "nothing twice: {:?}", bench.ledger());
}

#[test]
fn ctrl_c_leaves_the_night_open() {
    let bench = bench("");
    bench.rule(8, 64, Act::Wait);
    let going = Running::start(command(&bench, EVENING, &[]));
    let worker = bench.accept();
    going.signal(Signal::TERM);
    assert_eq!(worker.rest(), "stopped\n");
    let ran = bench.wait(going);
    assert_eq!(ran.code, 130, "{}", ran.stderr);
    assert!(ran.stderr.ends_with("interrupted: give the same command to go on with this night\n"));
    bench.script(|_| {});
    assert_eq!(at(&bench, EVENING + HOUR).code, 0);
    assert_eq!(bench.ledger().len(), 24);
}

#[test]
fn a_second_one_says_who_has_the_night_and_leaves() {
    let bench = bench("");
    bench.rule(1, 32, Act::Wait);
    let going = Running::start(command(&bench, EVENING, &[]));
    let worker = bench.accept();
    bench.script(|_| {});
    let second = at(&bench, EVENING + HOUR);
    assert_eq!(second.code, 5);
    let who = format!("process {} on", going.pid());
    assert!(second.stderr.contains(&who), "{}", second.stderr);
    assert!(second.stderr.contains("since 2026-11-26T22:00:0"), "{}", second.stderr);
    worker.go_on();
    assert_eq!(bench.wait(going).code, 0);
    assert_eq!(at(&bench, EVENING + HOUR).code, 0);
    assert!(bench.path("results/nightly/2026-11-26.2/summary.json").exists());
}

/// Killed after a round's last result, before what it decides was planned: every planned run has ended, and the
/// sweep is not done.
#[test]
fn a_night_that_ended_between_two_rounds_is_not_done() {
    let bench = bench("budget = \"8h\"\n");
    let sweep = bench.read("batch_size.toml");
    let until = "replicates = { min = 2, max = 3, until = \"decided\" }";
    bench.write("batch_size.toml", &sweep.replace("replicates = 8", until));
    assert_eq!(night(&bench, 0).code, 0);
    let runs = bench.ledger().len();
    let plan = "results/nightly/2026-11-26/batch_size/plan.json";
    let mut planned: Value = serde_json::from_str(&bench.read(plan)).unwrap();
    let mut stopped = 0;
    for row in planned["rows"].as_array_mut().unwrap() {
        stopped += usize::from(row.as_object_mut().unwrap().remove("stopped").is_some());
    }
    assert_eq!(stopped, 2, "of each level but the baseline");
    bench.write(plan, &planned.to_string());
    fs_err::remove_file(bench.path("results/nightly/2026-11-26/summary.json")).unwrap();
    let next = night(&bench, 1);
    assert_eq!(next.code, 0, "{}", next.stderr);
    assert_eq!(summary(&bench, "2026-11-26")["verdict"], "unfinished");
    let cut = report(&bench, "2026-11-26");
    assert!(cut.contains("- batch_size: what its results decide\n"), "{cut}");
    assert_eq!(summary(&bench, "2026-11-27")["sweeps"][0]["state"], "complete");
    assert_eq!(bench.ledger().len(), runs, "nothing twice");
}

/// What the last night but one left is not lost because the last one had no time for it.
#[test]
fn unfinished_work_goes_on_after_a_night_in_which_its_turn_did_not_come() {
    let bench = bench("budget = \"2s\"\n");
    bench.rule(8, 64, Act::Wait);
    let nightly = bench.read("nightly.toml");
    assert_eq!(night(&bench, 0).code, 0);
    let done = bench.ledger().len();
    assert!(done > 0, "some of it was done");
    bench.script(|_| {});
    bench.write("nightly.toml", &nightly.replace("2s", "1ns"));
    let none = night(&bench, 1);
    assert_eq!(none.code, 0, "{}", none.stderr);
    let sweep = &summary(&bench, "2026-11-27")["sweeps"][0];
    assert_eq!((&sweep["state"], &sweep["finished"]), (&"unfinished".into(), &done.into()));
    bench.write("nightly.toml", &nightly.replace("2s", "1h"));
    let last = night(&bench, 2);
    assert_eq!(last.code, 0, "{}", last.stderr);
    let sweep = &summary(&bench, "2026-11-28")["sweeps"][0];
    assert_eq!((&sweep["state"], &sweep["carried"]), (&"complete".into(), &done.into()));
    assert_eq!(bench.ledger().len(), 24, "nothing twice");
}

#[test]
fn a_night_that_was_killed_is_told_of_by_the_next_one() {
    let bench = bench("budget = \"8h\"\non_finish = \"echo $SWEEP_NIGHT >> told\"\n");
    killed_at_the_last_run(&bench);
    assert!(!bench.path("told").exists());
    assert_eq!(night(&bench, 1).code, 0);
    assert_eq!(bench.read("told"), "2026-11-26\n2026-11-27\n");
}
