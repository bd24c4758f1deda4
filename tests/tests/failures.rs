//! Runs that fail, hang or take too long, and what becomes of the rest.

use end_to_end::script::{Act, Rule};
use rustix::process::Pid;

use crate::bench::{Bench, Ran, is_long};
use crate::killed::workers;

/// A bench whose `[schedule]` says `schedule`, and whose worker does `act` with the run of seed 1 and
/// batch size 32, so many times.
fn with(schedule: &str, act: Act, times: Option<usize>) -> Bench {
    let bench = Bench::new();
    let base = bench.read("base.toml").replace("retries = 0", schedule);
    bench.write("base.toml", &base);
    let rule = Rule { seed: Some(1), batch_size: Some(32), times, act };
    bench.script(|script| script.rules = vec![rule]);
    bench
}

/// What `result.json` says of that run.
fn result(bench: &Bench) -> serde_json::Value {
    let file = bench.run_folder("b32-lr0.0001-s1").join("result.json");
    serde_json::from_str(&fs_err::read_to_string(file).unwrap()).unwrap()
}

fn run(bench: &Bench, args: &[&str], code: i32) -> Ran {
    let ran = bench.sweep(&[&["run", "batch_size.toml"], args].concat());
    assert_eq!(ran.code, code, "{}", ran.stderr);
    ran
}

#[test]
fn a_run_whose_worker_crashed_is_tried_again_and_counts_its_attempts() {
    let bench = with("retries = 2\nretry_delay = \"500ms\"", Act::Abort, Some(2));
    let ran = run(&bench, &[], 0);
    let said = "baseline seed 1: the worker was killed by SIGABRT (6); it is tried again in";
    assert!(ran.stderr.contains(&format!("{said} 500ms\n")), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("{said} 1s\n")), "{}", ran.stderr);
    assert_eq!(result(&bench)["attempts"], 3);
    assert_eq!(bench.ledger().len(), 6);
    let log = bench.run_folder("b32-lr0.0001-s1").join("attempts/1.log");
    let log = fs_err::read_to_string(log).unwrap();
    assert!(log.contains("SIGABRT") && log.ends_with("it is tried again in 500ms\n"), "{log}");
}

#[test]
fn after_the_last_try_it_has_failed() {
    let bench = with("retries = 1\nretry_delay = \"0s\"", Act::Abort, None);
    run(&bench, &[], 3);
    assert_eq!(result(&bench)["attempts"], 2);
    assert_eq!(result(&bench)["outcome"], "failed");
}

#[test]
fn a_run_that_takes_too_long_is_timed_out_and_not_tried_again() {
    let bench = with("time_limit = \"300ms\"", Act::Wait, None);
    let ran = run(&bench, &[], 3);
    assert_eq!(result(&bench)["outcome"], "timed_out");
    assert_eq!(result(&bench)["attempts"], 1);
    assert_eq!(bench.ledger().len(), 5);
    assert!(ran.stdout.contains("1 of 2 timed out"), "{}", ran.stdout);
    let metrics = bench.run_folder("b32-lr0.0001-s1").join("metrics.csv");
    assert_eq!(fs_err::read_to_string(metrics).unwrap().lines().count(), 2, "its epoch is kept");
}

#[test]
fn a_worker_that_hangs_is_ended_and_its_run_tried_again() {
    let schedule = "retries = 1\nretry_delay = \"0s\"\nsilence_limit = \"300ms\"";
    let bench = with(schedule, Act::Deaf, Some(1));
    let ran = run(&bench, &[], 0);
    assert!(ran.stderr.contains("the worker said nothing for 300ms; it is tried again"));
    assert_eq!(result(&bench)["attempts"], 2);
}

/// As where the kernel holds it in a call to a driver: here somebody traces it, and does not look at its end. More than a
/// minute: only where `SWEEP_TEST_LONG` is set.
#[test]
fn a_worker_that_nothing_can_end_is_given_up_and_its_run_tried_again() {
    if !is_long() {
        return;
    }
    let schedule = "retries = 1\nretry_delay = \"0s\"\nsilence_limit = \"5s\"";
    let bench = with(schedule, Act::Deaf, Some(1));
    let sweep = bench.start(&["run", "batch_size.toml"]);
    let _deaf = bench.accept();
    let [worker] = workers(sweep.pid())[..] else { panic!("one worker") };
    trace(worker);
    let ran = bench.wait(sweep);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let said = format!("was killed and does not end: the kernel holds process {worker} in a call");
    assert!(ran.stderr.contains(&said), "{}", ran.stderr);
    assert_eq!(result(&bench)["attempts"], 2);
}

/// Until this thread ends, nobody else hears that `process` has ended. See ptrace(2).
#[expect(unsafe_code, reason = "nothing else speaks of it")]
fn trace(process: Pid) {
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: the arguments are those of the manual; nothing is written to.
    let answer =
        unsafe { libc::ptrace(libc::PTRACE_SEIZE, process.as_raw_nonzero().get(), none, none) };
    assert_eq!(answer, 0, "{}", std::io::Error::last_os_error());
}

/// A worker that waits stops when it is asked; one that hears nothing is ended.
#[test]
fn when_the_time_of_the_sweep_is_over_its_runs_stay_open_and_the_next_one_goes_on() {
    for act in [Act::Wait, Act::Deaf] {
        let bench = with("sweep_time_limit = \"2s\"\nsilence_limit = \"3s\"", act, None);
        let ran = run(&bench, &[], 3);
        assert!(ran.stderr.contains("time is over: runs under way end"), "{}", ran.stderr);
        assert!(ran.stderr.contains("stopped when its time was over"), "{}", ran.stderr);
        assert_eq!(bench.ledger(), [""; 0], "{}", ran.stderr);
        bench.script(|_| {});
        run(&bench, &[], 0);
        assert_eq!(bench.ledger().len(), 6);
    }
}

#[test]
fn memory_that_ran_out_is_a_finding_and_tried_once_more_where_it_was_shared() {
    let bench = with("retries = 2", Act::OutOfMemory, None);
    let ran = run(&bench, &["--devices", "cpu:1"], 3);
    assert_eq!(result(&bench)["outcome"], "out_of_memory");
    assert_eq!(result(&bench)["attempts"], 1, "it had the device for itself");
    assert!(ran.stdout.contains("1 of 2 out of memory"), "{}", ran.stdout);
    assert_eq!(bench.ledger().len(), 6, "the others went on");

    let bench = with("retries = 2", Act::OutOfMemory, Some(1));
    bench.change_script(|script| script.together = true);
    let ran = run(&bench, &["--devices", "cpu:2"], 0);
    let said =
        "baseline seed 1: CUDA out of memory; it is tried again with no other run on its device";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    assert_eq!(result(&bench)["attempts"], 2);
}

#[test]
fn what_is_broken_for_all_ends_the_sweep_once() {
    let bench = with("retries = 2", Act::Broken, None);
    let ran = run(&bench, &[], 5);
    insta::assert_snapshot!(ran.stderr, @"
    6 runs: 0 done before, 6 to do on cpu 1 ([CORES] threads)
    baseline seed 1: it stays open
      × the images cannot be read
      help: mend it, then give the same command: finished runs are kept
    ");
    assert!(!bench.run_folder("b32-lr0.0001-s1").join("result.json").exists());
    bench.script(|_| {});
    run(&bench, &[], 0);
}

#[test]
fn where_everything_fails_the_sweep_ends_before_it_has_eaten_all_runs() {
    let bench = with("set_aside_after = 3", Act::Finish, None);
    bench.script(|script| {
        script.rules = vec![Rule { seed: None, batch_size: None, times: None, act: Act::Fail }];
    });
    // Fused runs, of which there are six, would all be under way.
    let ran = run(&bench, &["--no-fuse"], 5);
    insta::assert_snapshot!(ran.stderr, @"
    6 runs: 0 done before, 6 to do on cpu 1 ([CORES] threads)
    [1/6] baseline seed 1: failed: scripted failure ([TIME])
    [2/6] baseline seed 2: failed: scripted failure ([TIME])
    [3/6] batch_size=16 seed 1: failed: scripted failure ([TIME])
      × every device is set aside; the CPU: 3 failures in a row, at last: scripted failure
      │ in two lines
      help: look at what the runs said in attempts/*.log; then give the same command, with --retry-failed for those that failed: finished runs are kept
    ");
    bench.script(|_| {});
    let ran = run(&bench, &["--retry-failed"], 0);
    assert_eq!(bench.ledger().len(), 3 + 6, "{}", ran.stderr);
}

#[test]
fn so_many_failures_are_enough() {
    let one = [(1, 32, Act::Diverge), (1, 16, Act::Fail), (2, 16, Act::Wait)];
    let two = [(1, 32, Act::Diverge), (1, 16, Act::Fail), (2, 16, Act::Fail), (1, 64, Act::Wait)];
    let table = [
        (&one[..], &["--fail-fast"][..], "stopped after 1 failure:", 3),
        (&two, &["--max-failures", "2"], "stopped after 2 failures:", 4),
    ];
    for (rules, flag, said, ended) in table {
        let bench = Bench::new();
        bench.rules(rules);
        let ran = run(&bench, flag, 3);
        assert_eq!(bench.ledger().len(), ended, "{}", ran.stderr);
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
        assert!(ran.stdout.starts_with("# batch_size"), "{}", ran.stdout);
    }
}

#[test]
fn whatever_a_worker_says_memory_stays_flat() {
    let bench = with("retries = 0", Act::Flood(100_000), None);
    let sweep = bench.start(&["run", "batch_size.toml"]);
    let worker = bench.accept();
    let before = sweep.peak_memory();
    worker.go_on();
    let worker = bench.accept();
    let grown = sweep.peak_memory() - before;
    worker.go_on();
    let ran = bench.wait(sweep);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    // What they are as text; a handful of them waits at any time.
    assert!(grown < 4 << 10, "{grown} KiB");
}

/// A thousand where `SWEEP_TEST_LONG` is set: every run is synced to the disk several times.
#[test]
fn of_many_runs_every_third_crashes_and_the_others_finish() {
    let seeds = if is_long() { 333 } else { 30 };
    let schedule = "retries = 1\nretry_delay = \"0s\"\nset_aside_after = 1000";
    let bench = with(schedule, Act::Finish, None);
    let replicates = format!("replicates = {seeds}");
    let sweep = bench.read("batch_size.toml").replace("replicates = 2", &replicates);
    bench.write("batch_size.toml", &sweep);
    let crash =
        |seed| Rule { seed: Some(seed as u64), batch_size: None, times: None, act: Act::Exit(1) };
    bench.script(|script| script.rules = (1..=seeds).step_by(3).map(crash).collect());
    let ran = run(&bench, &["--devices", "cpu:4"], 3);
    assert_eq!(bench.ledger().len(), 2 * seeds, "{}", ran.stderr);
    let failed = ran.stderr.matches("failed: the worker ended with exit code 1").count();
    assert_eq!(failed, seeds);
}
