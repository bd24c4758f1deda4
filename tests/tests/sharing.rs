//! Several `sweep run` in one results folder at once.

use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use end_to_end::script::{Act, Rule};
use rustix::process::Signal;

use crate::bench::{Bench, Ran, Running, beside_us};

/// One sweep that is held up in its first run, and another one that has done all that is left to it.
fn two_at_work(act: Act) -> (Bench, Running, Running, crate::bench::CheckedIn) {
    two_at_work_by(act, |_| {})
}

/// The same, the first one by the clock that `clock` gives it.
fn two_at_work_by(
    act: Act,
    clock: impl FnOnce(&mut Command),
) -> (Bench, Running, Running, crate::bench::CheckedIn) {
    let bench = Bench::new();
    let rule = Rule { seed: Some(1), batch_size: Some(32), times: Some(1), act };
    bench.script(|script| script.rules = vec![rule]);
    // Fused runs are taken together: there would be nothing left to share.
    let args = ["run", "batch_size.toml", "--no-fuse"];
    let mut first = bench.command(&args);
    clock(&mut first);
    let first = Running::start(first);
    let worker = bench.accept();
    assert_eq!(worker.who, "1 32");
    let mut second = bench.start(&args);
    let met = format!("process {} on ", first.pid());
    assert!(second.stderr_line().starts_with("6 runs: 0 done before, 6 to do on cpu 1"));
    assert!(second.stderr_line().starts_with(&met));
    while !second.stderr_line().starts_with("[3/6]") {}
    (bench, first, second, worker)
}

fn every_run_once(bench: &Bench) {
    let mut once = bench.ledger();
    once.dedup();
    assert_eq!((once.len(), bench.ledger().len()), (6, 6), "{:?}", bench.ledger());
    let left = bench.results().into_iter().filter(|file| file.starts_with(".claims/runs"));
    assert_eq!(left.collect::<Vec<_>>(), [""; 0], "claims are let go");
    assert!(bench.sweep(&["status"]).stdout.contains("nothing is at work"));
}

fn undisturbed(bench: &Bench) -> String {
    bench.script(|_| {});
    bench.sweep(&["run", "batch_size.toml", "--results", "undisturbed"]).stdout
}

#[test]
fn two_sweeps_share_the_work_and_both_show_all_of_it() {
    let (bench, first, second, worker) = two_at_work(Act::Wait);
    let status = bench.sweep(&["status"]).stdout;
    let at_work = |process: &Running| format!("process {} is at work since", process.pid());
    assert!(status.contains(&at_work(&first)) && status.contains(&at_work(&second)), "{status}");
    assert!(status.contains(": cpu 1 has 3 runs\n"), "{status}");
    worker.go_on();
    let ran: [Ran; 2] = [first, second].map(|running| bench.wait(running));
    every_run_once(&bench);
    let table = undisturbed(&bench);
    for ran in ran {
        assert_eq!((ran.code, ran.stdout), (0, table.clone()), "{}", ran.stderr);
        let scores = ran.stderr.lines().filter_map(|line| line.split_once(" (elsewhere): "));
        let scores = scores.filter(|(_, score)| score.starts_with(|c: char| c.is_ascii_digit()));
        assert_eq!(scores.count(), 3, "{}", ran.stderr);
    }
}

#[test]
fn when_one_is_killed_or_stopped_the_other_takes_over() {
    for by in [Signal::KILL, Signal::INT] {
        let (bench, first, second, worker) = two_at_work(Act::Wait);
        first.signal(by);
        let second = bench.wait(second);
        assert_eq!(second.code, 0, "{}", second.stderr);
        drop(worker);
        assert!(matches!(bench.wait(first).code, 137 | 130));
        every_run_once(&bench);
        assert_eq!(second.stdout, undisturbed(&bench));
    }
}

/// Makes a command's calendar start ten years before now or after it.
fn ten_years_off(command: &mut Command, ahead: bool) {
    let ten_years = Duration::from_secs(10 * 365 * 24 * 60 * 60);
    let now = SystemTime::now();
    let now = if ahead { now + ten_years } else { now - ten_years };
    let now = now.duration_since(UNIX_EPOCH).unwrap().as_secs();
    command.env("LD_PRELOAD", beside_us("examples/libclock.so")).env("FAKE_NOW", now.to_string());
}

#[test]
fn a_clock_that_is_set_back_or_forward_between_two_claims_changes_nothing() {
    for (ahead, killed) in [(true, false), (true, true), (false, false), (false, true)] {
        let (bench, first, second, worker) =
            two_at_work_by(Act::Wait, |command| ten_years_off(command, ahead));
        // It was begun under the other clock, and is nobody else's for that.
        let status = bench.sweep(&["status"]).stdout;
        assert!(status.contains(&format!("process {} is at work since", first.pid())), "{status}");
        if killed {
            first.signal(Signal::KILL);
        } else {
            worker.go_on();
        }
        let second = bench.wait(second);
        assert_eq!(second.code, 0, "{}", second.stderr);
        assert_eq!(bench.wait(first).code, if killed { 137 } else { 0 });
        every_run_once(&bench);
        let mut again = bench.command(&["run", "batch_size.toml"]);
        ten_years_off(&mut again, !ahead);
        let again = bench.wait(Running::start(again));
        assert_eq!(again.stderr, "6 runs: all done before\n", "whatever the time is");
        assert_eq!((again.code, again.stdout), (0, undisturbed(&bench)));
    }
}

#[test]
fn what_failed_elsewhere_meanwhile_is_not_run_again_and_what_failed_before_is() {
    let bench = Bench::new();
    bench.rule(1, 32, Act::Fail);
    assert_eq!(bench.sweep(&["run", "batch_size.toml"]).code, 3);
    let wait = Rule { seed: Some(1), batch_size: Some(32), times: None, act: Act::Wait };
    bench.change_script(|script| script.rules = vec![wait]);
    let args = ["run", "batch_size.toml", "--retry-failed"];
    let first = bench.start(&args);
    let worker = bench.accept();
    let mut second = bench.start(&args);
    second.stderr_line();
    second.stderr_line();
    worker.go_on();
    for ran in [bench.wait(first), bench.wait(second)] {
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    assert_eq!(bench.ledger().len(), 7);
}

/// A machine that was cut off for long comes back: its claim is gone, and who took the run over has ended it.
#[test]
fn what_was_taken_over_and_ended_elsewhere_is_not_overwritten() {
    let bench = Bench::new();
    bench.rule(2, 16, Act::Wait);
    let mut child = bench.start(&["run", "batch_size.toml"]);
    let worker = bench.accept();
    while !child.stderr_line().starts_with("[3/6]") {}
    for claim in fs_err::read_dir(bench.path("results/.claims/runs")).unwrap() {
        fs_err::remove_file(claim.unwrap().path()).unwrap();
    }
    let read = |slug: &str, file: &str| {
        let text = fs_err::read_to_string(bench.run_folder(slug).join(file)).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    let slug = "b16-lr0.0001-s2";
    let mut theirs = read("b16-lr0.0001-s1", "result.json");
    theirs["run"] = read(slug, "config.json")["run"].clone();
    theirs["device"] = "OTHER NODE".into();
    let folder = bench.run_folder(slug);
    fs_err::write(folder.join("result.json"), theirs.to_string()).unwrap();
    fs_err::write(folder.join("metrics.csv"), "THEIRS").unwrap();
    worker.go_on();
    let ran = bench.wait(child);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(read(slug, "result.json"), theirs);
    assert_eq!(fs_err::read_to_string(folder.join("metrics.csv")).unwrap(), "THEIRS");
    assert_eq!(
        ran.stderr.matches("another process has taken it over").count(),
        1,
        "{}",
        ran.stderr
    );
}
