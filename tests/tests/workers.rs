//! Workers that die, lie or never come up.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use end_to_end::script::{Act, Start};
use rustix::process::Signal;

use crate::bench::{Bench, Ran, Running, is_alive, limited};

/// One run goes wrong in this way; the others finish.
fn one_run_does(act: Act) -> (Bench, Ran) {
    let bench = Bench::new();
    bench.rule(1, 32, act);
    let ran = bench.sweep(&["run", "batch_size.toml"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert_eq!(bench.ledger().len(), 5, "{}", ran.stderr);
    (bench, ran)
}

fn cause(bench: &Bench) -> String {
    let file = bench.run_folder("b32-lr0.0001-s1").join("result.json");
    let result: serde_json::Value =
        serde_json::from_str(&fs_err::read_to_string(file).unwrap()).unwrap();
    assert_eq!(result["outcome"], "failed");
    result["cause"].as_str().unwrap().to_owned()
}

#[test]
fn a_worker_that_aborts_costs_one_run() {
    let (bench, ran) = one_run_does(Act::Abort);
    insta::assert_snapshot!(cause(&bench), @"
    the worker was killed by SIGABRT (6); its last words:
    seed 1: chatter
    ");
    let metrics = bench.run_folder("b32-lr0.0001-s1").join("metrics.csv");
    let epochs = fs_err::read_to_string(metrics).unwrap().lines().count();
    assert_eq!(epochs, 3, "two epochs were measured before");
    assert!(ran.stdout.contains("1 of 2 failed"), "{}", ran.stdout);
}

#[test]
fn a_worker_that_exits_costs_one_run() {
    insta::assert_snapshot!(cause(&one_run_does(Act::Exit(7)).0), @"
    the worker ended with exit code 7; its last words:
    seed 1: chatter
    ");
    insta::assert_snapshot!(cause(&one_run_does(Act::Exit(0)).0), @"
    the worker ended with exit code 0; its last words:
    seed 1: chatter
    ");
}

#[test]
fn a_worker_that_does_not_speak_the_protocol_is_killed() {
    insta::assert_snapshot!(cause(&one_run_does(Act::Garbage).0), @"the worker wrote a line that is no event (expected value at line 1 column 1): `Epoch 1/50: loss=0.5`; it was killed");
    insta::assert_snapshot!(cause(&one_run_does(Act::HalfLine).0), @r#"the worker ended in the middle of a line: `{\"type\":\"finished\",\"run\":`; it was killed"#);
    let long = cause(&one_run_does(Act::LongLine).0);
    assert!(long.starts_with("the worker wrote a line of over 64 MiB: `xxx"), "{long}");
    insta::assert_snapshot!(cause(&one_run_does(Act::WrongRun).0), @"the worker ended run 0101010101010101010101010101010101010101010101010101010101010101, which it had not begun; it was killed");
}

#[test]
fn a_worker_may_train_the_runs_of_a_bundle_together() {
    let bench = Bench::new();
    let apart = bench.sweep(&["run", "batch_size.toml", "--results", "apart"]);
    bench.script(|script| script.together = true);
    let together = bench.sweep(&["run", "batch_size.toml"]);
    assert_eq!((together.code, together.stdout), (0, apart.stdout));
    let metrics = bench.run_folder("b32-lr0.0001-s1").join("metrics.csv");
    assert_eq!(fs_err::read_to_string(metrics).unwrap().lines().count(), 4, "its epochs alone");
    // Who said it cannot be known: it stands with everyone under way, and nothing is lost.
    let logs = bench.results().into_iter().filter(|file| file.ends_with("/1.log"));
    let logs: String = logs.map(|file| bench.read(&format!("results/{file}"))).collect();
    assert!(logs.matches("chatter\n").count() >= 6, "{logs}");
}

/// Each of them has two files open.
#[test]
fn more_runs_are_under_way_together_than_files_may_be_open_by_default() {
    let bench = Bench::new();
    let sweep = bench.read("batch_size.toml").replace("replicates = 2", "replicates = 100");
    bench.write("batch_size.toml", &sweep);
    bench.script(|script| script.together = true);
    let sweep = bench.command(&["run", "batch_size.toml"]);
    let ran = bench.wait(Running::start(limited(200, &sweep)));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(bench.ledger().len(), 300);
}

#[test]
fn a_worker_that_dies_takes_all_runs_under_way_with_it() {
    let bench = Bench::new();
    bench.rule(2, 32, Act::Abort);
    bench.change_script(|script| script.together = true);
    // The first bundle is half of the six runs, and ended from its end.
    let ran = bench.sweep(&["run", "batch_size.toml"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert_eq!(bench.ledger().len(), 4, "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("failed: the worker was killed by SIGABRT").count(), 2);
    assert!(ran.stderr.contains("2 of 6 runs did not finish"), "{}", ran.stderr);
}

#[test]
fn a_worker_that_does_not_come_up_ends_the_sweep_once() {
    let bench = Bench::new();
    bench.script(|script| script.start = Start::Die);
    let ran = bench.sweep(&["run", "batch_size.toml", "--devices", "cpu:3"]);
    assert_eq!(ran.code, 5);
    insta::assert_snapshot!(ran.stderr, @"
    6 runs: 0 done before, 6 to do on cpu 1 (1 thread), cpu 2 (1 thread), cpu 3 (1 thread)
      × the worker [WORKER] ended with exit code 9; its last words:
      │ cannot load the library of tears
      help: `sweep doctor` looks for what is missing, `./scripts/setup` gets it; then give the same command: finished runs are kept
    ");
    assert_eq!(ran.stdout, "");
    bench.script(|script| script.start = Start::OtherVersion);
    let ran = bench.sweep(&["run", "batch_size.toml"]);
    assert_eq!(ran.code, 5);
    insta::assert_snapshot!(ran.stderr, @"
    6 runs: 0 done before, 6 to do on cpu 1 ([CORES] threads)
      × the worker [WORKER] speaks version 2 of the protocol, and this sweep speaks 1: build both from the same source
      help: `sweep doctor` looks for what is missing, `./scripts/setup` gets it; then give the same command: finished runs are kept
    ");
}

#[test]
fn without_libtorch_it_says_what_the_loader_says() {
    let bench = Bench::new();
    bench.write(
        "sweep-train",
        "#!/bin/sh\necho \"$0: error while loading shared libraries: libtorch_cpu.so: \
         cannot open shared object file: No such file or directory\" >&2\nexit 127\n",
    );
    let script = bench.path("sweep-train");
    fs_err::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let with = |args: &[&str]| {
        let mut command = bench.command(args);
        let output = command.env("SWEEP_TRAIN", &script).output().unwrap();
        let text =
            String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
        (output.status.code(), text)
    };
    let (code, said) = with(&["run", "batch_size.toml"]);
    assert_eq!(code, Some(5));
    assert_eq!(said.matches("libtorch_cpu.so").count(), 1, "{said}");
    let (code, said) = with(&["doctor"]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("libtorch_cpu.so") && said.contains("missing"), "{said}");
}

#[test]
fn without_a_worker_it_says_so_before_anything_starts() {
    let bench = Bench::new();
    let mut command = bench.command(&["run", "batch_size.toml"]);
    let output = command.env("SWEEP_TRAIN", bench.path("nowhere")).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("there is no worker"), "{said}");
}

#[test]
fn what_a_dead_worker_left_behind_does_not_speak_for_the_next_one() {
    let bench = Bench::new();
    for fifo in ["orphan-go", "orphan-done"] {
        let made = Command::new("mkfifo").arg(bench.path(fifo)).status().unwrap();
        assert!(made.success());
    }
    bench.rules(&[(1, 32, Act::Orphan), (2, 16, Act::Wait)]);
    let child = bench.start(&["run", "batch_size.toml"]);
    let worker = bench.accept();
    fs_err::write(bench.path("orphan-go"), "go\n").unwrap();
    assert_eq!(bench.read("orphan-done"), "said\n");
    worker.go_on();
    let ran = bench.wait(child);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert_eq!(bench.ledger().len(), 5, "{}", ran.stderr);
    assert!(ran.stderr.contains("1 of 6 runs did not finish"), "{}", ran.stderr);
}

#[test]
fn what_a_worker_started_in_another_session_ends_with_it() {
    let bench = Bench::new();
    bench.rule(1, 32, Act::Leave);
    let child = bench.start(&["run", "batch_size.toml"]);
    let worker = bench.accept();
    let left = bench.read("left");
    assert!(is_alive(left.trim()));
    worker.go_on();
    let ran = bench.wait(child);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(!is_alive(left.trim()));
}

#[test]
fn what_a_killed_sweep_left_behind_is_ended_by_the_next_one() {
    let bench = Bench::new();
    bench.rule(1, 32, Act::Leave);
    let child = bench.start(&["run", "batch_size.toml"]);
    let worker = bench.accept();
    let left = bench.read("left");
    child.signal(Signal::KILL);
    assert_eq!(worker.rest(), "", "the worker is gone");
    assert_eq!(bench.wait(child).code, 137);
    // Any sweep that begins may end it, one of another test too.
    bench.script(|_| {});
    let ran = bench.sweep(&["run", "batch_size.toml"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!is_alive(left.trim()));
}
