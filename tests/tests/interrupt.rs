//! Ctrl-C, SIGTERM and kill -9.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use end_to_end::script::Act;
use rustix::process::Signal;

use crate::bench::{Bench, Ran, Running, is_alive};

/// What an undisturbed sweep prints.
fn undisturbed(bench: &Bench) -> String {
    bench.sweep(&["run", "batch_size.toml", "--results", "undisturbed"]).stdout
}

fn is_interrupted(ran: &Ran) {
    let Ran { code, stdout, stderr } = ran;
    assert_eq!((*code, stdout.as_str()), (130, ""), "{stderr}");
    assert!(stderr.ends_with("interrupted: give the same command to go on\n"), "{stderr}");
}

#[test]
fn ctrl_c_stores_what_runs_as_interrupted_and_the_next_run_goes_on() {
    for by in [Signal::INT, Signal::TERM] {
        let bench = Bench::new();
        bench.rule(2, 16, Act::Wait);
        let child = bench.start(&["run", "batch_size.toml"]);
        let worker = bench.accept();
        assert_eq!(worker.who, "2 16");
        child.signal(by);
        assert_eq!(worker.rest(), "stopped\n", "it is asked, not killed");
        is_interrupted(&bench.wait(child));
        let folder = bench.run_folder("b16-lr0.0001-s2");
        let read = |name: &str| fs_err::read_to_string(folder.join(name)).unwrap();
        assert!(read("result.json").contains(r#""outcome": "interrupted""#));
        assert_eq!(read("metrics.csv").lines().count(), 2, "its one epoch is kept");
        let status = bench.sweep(&["status"]);
        assert!(
            status.stdout.contains(
                "| batch_size |    6 |        3 |      0 |           1 |       0 |       2 |"
            ),
            "{}",
            status.stdout
        );

        let done = bench.ledger().len();
        bench.script(|_| {});
        let resumed = bench.sweep(&["run", "batch_size.toml"]);
        assert_eq!(resumed.code, 0, "{}", resumed.stderr);
        assert_eq!(bench.ledger().len(), 6);
        assert_eq!(done, 3);
        assert_eq!(resumed.stdout, undisturbed(&bench));
    }
}

#[test]
fn a_second_ctrl_c_kills_a_worker_that_does_not_listen() {
    let bench = Bench::new();
    bench.rule(2, 16, Act::Deaf);
    let mut child = bench.start(&["run", "batch_size.toml"]);
    let worker = bench.accept();
    // What it has not heard of before it is killed runs again.
    while !child.stderr_line().starts_with("[3/6]") {}
    child.signal(Signal::INT);
    child.signal(Signal::TERM);
    let ran = bench.wait(child);
    assert_eq!(ran.code, 130, "{}", ran.stderr);
    assert_eq!(worker.rest(), "", "the worker is gone");
    bench.script(|_| {});
    assert_eq!(bench.sweep(&["run", "batch_size.toml"]).code, 0);
    assert_eq!(bench.ledger().len(), 6);
}

#[test]
fn a_second_ctrl_c_ends_what_workers_have_started_too() {
    let bench = Bench::new();
    bench.rule(1, 32, Act::Leave);
    let child = bench.start(&["run", "batch_size.toml"]);
    let worker = bench.accept();
    let left = bench.read("left");
    assert!(is_alive(left.trim()));
    child.signal(Signal::INT);
    child.signal(Signal::TERM);
    let ran = bench.wait(child);
    assert_eq!(ran.code, 130, "{}", ran.stderr);
    assert!(!is_alive(left.trim()));
    drop(worker);
}

#[test]
fn kill_9_leaves_nothing_half_written_and_takes_the_workers_along() {
    let bench = Bench::new();
    bench.rule(2, 16, Act::Deaf);
    let mut child = bench.start(&["run", "batch_size.toml"]);
    let worker = bench.accept();
    while !child.stderr_line().starts_with("[3/6]") {}
    child.signal(Signal::KILL);
    assert_eq!(worker.rest(), "", "the worker died too");
    assert_eq!(bench.wait(child).code, 137);
    let results = bench.results();
    let done = results.iter().filter(|file| file.ends_with("result.json")).count();
    assert_eq!(done, 3, "{results:?}");
    assert!(bench.sweep(&["status"]).stdout.contains("nothing is at work"));

    bench.script(|_| {});
    let resumed = bench.sweep(&["run", "batch_size.toml"]);
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    let mut once = bench.ledger();
    once.dedup();
    assert_eq!((once.len(), bench.ledger().len()), (6, 6), "every run once");
    assert_eq!(resumed.stdout, undisturbed(&bench));
}

#[test]
fn under_nohup_the_end_of_the_terminal_is_not_the_end() {
    for nohup in [true, false] {
        let bench = Bench::new();
        bench.rule(2, 16, Act::Wait);
        let sweep = bench.command(&["run", "batch_size.toml"]);
        let mut command = Command::new("sh");
        // The tests themselves may run under nohup, and what a shell was told to ignore it cannot undo.
        let trap = match nohup {
            true => "trap '' HUP; exec \"$@\"",
            false => "exec env --default-signal=HUP \"$@\"",
        };
        command.args(["-c", trap, "sh"]).arg(sweep.get_program()).args(sweep.get_args());
        command.current_dir(bench.path(""));
        for (name, value) in sweep.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let child = Running::start(command);
        let worker = bench.accept();
        child.signal(Signal::HUP);
        let code = match nohup {
            true => {
                worker.go_on();
                0
            }
            false => {
                assert_eq!(worker.rest(), "stopped\n");
                130
            }
        };
        let ran = bench.wait(child);
        assert_eq!(ran.code, code, "{}", ran.stderr);
    }
}

#[test]
fn ctrl_c_after_the_last_run_waits_for_no_worker_and_prints_the_table() {
    let bench = Bench::new();
    bench.script(|script| script.lingers = true);
    let child = bench.start(&["run", "batch_size.toml"]);
    let worker = bench.accept();
    assert_eq!(worker.who, "leaving");
    child.signal(Signal::INT);
    let ran = bench.wait(child);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!ran.stderr.contains("interrupted"), "{}", ran.stderr);
    assert!(ran.stdout.starts_with("# batch_size"), "{}", ran.stdout);
    assert_eq!(worker.rest(), "", "the worker is gone");
}

/// Makes a FIFO of `file`, or in its place, which holds up whoever reads it; what there was before.
fn hold_up(file: &Path) -> Option<Vec<u8>> {
    let content = fs_err::read(file).ok();
    if content.is_some() {
        fs_err::remove_file(file).unwrap();
    }
    assert!(Command::new("mkfifo").arg(file).status().unwrap().success());
    content
}

/// Sends Ctrl-C when `file` is read, and lets go of whoever reads it.
fn interrupt_at(sweep: &Running, file: &Path, content: &[u8]) {
    // It opens when somebody opens it to read.
    let mut pipe = fs_err::OpenOptions::new().write(true).open(file).unwrap();
    sweep.signal(Signal::INT);
    let aside = file.with_extension("aside");
    fs_err::write(&aside, content).unwrap();
    fs_err::rename(&aside, file).unwrap();
    pipe.write_all(content).unwrap();
}

#[test]
fn ctrl_c_between_two_rounds_ends_the_sweep_there() {
    let bench = Bench::new();
    let sweep = bench.read("batch_size.toml").replace("\"ofat\"", "\"chain\"");
    bench.write("batch_size.toml", &(sweep + "learning_rate = [1e-4, 1e-3]\n"));
    bench.rule(2, 64, Act::Wait);
    let mut child = bench.start(&["run", "batch_size.toml"]);
    let worker = bench.accept();
    while !child.stderr_line().starts_with("[5/6]") {}
    let result = bench.run_folder("b32-lr0.0001-s1").join("result.json");
    let content = hold_up(&result).unwrap();
    worker.go_on();
    interrupt_at(&child, &result, &content);
    is_interrupted(&bench.wait(child));
    assert_eq!(bench.ledger().len(), 6, "nothing more has begun");
    let plan: serde_json::Value =
        serde_json::from_str(&bench.read("results/batch_size/plan.json")).unwrap();
    assert!(plan["stages"][0]["choice"].is_object(), "what was decided is written: {plan}");
    bench.script(|_| {});
    let ran = bench.sweep(&["run", "batch_size.toml"]);
    assert_eq!((ran.code, bench.ledger().len()), (0, 8), "{}", ran.stderr);
}

#[test]
fn ctrl_c_while_the_report_is_made_leaves_it_off() {
    let bench = Bench::new();
    bench.rule(2, 64, Act::Wait);
    let mut child = bench.start(&["run", "batch_size.toml"]);
    let worker = bench.accept();
    while !child.stderr_line().starts_with("[5/6]") {}
    let score = bench.run_folder("b32-lr0.0001-s1").join("score.json");
    assert_eq!(hold_up(&score), None);
    worker.go_on();
    interrupt_at(&child, &score, b"{}");
    is_interrupted(&bench.wait(child));
    assert!(!bench.path("results/batch_size/report.md").exists());
    fs_err::remove_file(score).unwrap();
    assert_eq!(bench.sweep(&["run", "batch_size.toml"]).code, 0);
}

#[test]
fn a_second_ctrl_c_while_the_report_is_made_ends_it_at_once() {
    let bench = Bench::new();
    bench.rule(2, 64, Act::Wait);
    let mut child = bench.start(&["run", "batch_size.toml"]);
    let worker = bench.accept();
    while !child.stderr_line().starts_with("[5/6]") {}
    let score = bench.run_folder("b32-lr0.0001-s1").join("score.json");
    hold_up(&score);
    worker.go_on();
    let pipe = fs_err::OpenOptions::new().write(true).open(&score).unwrap();
    // Two of the same kind may become one.
    child.signal(Signal::INT);
    child.signal(Signal::TERM);
    let ran = bench.wait(child);
    assert!([128 + 2, 128 + 15].contains(&ran.code), "{}: {}", ran.code, ran.stderr);
    drop(pipe);
}
