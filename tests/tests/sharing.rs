//! Several `sweep run` in one results folder at once.

use end_to_end::script::{Act, Rule};
use rustix::process::Signal;

use crate::bench::{Bench, Ran, Running};

/// One sweep that is held up in its first run, and another one that has done all that is left to it.
fn two_at_work(act: Act) -> (Bench, Running, Running, crate::bench::CheckedIn) {
    let bench = Bench::new();
    let rule = Rule { seed: Some(1), batch_size: Some(32), times: Some(1), act };
    bench.script(|script| script.rules = vec![rule]);
    // Fused runs are taken together: there would be nothing left to share.
    let args = ["run", "batch_size.toml", "--no-fuse"];
    let first = bench.start(&args);
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
        assert_eq!(ran.stderr.matches(" (elsewhere): 0.").count(), 3, "{}", ran.stderr);
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
