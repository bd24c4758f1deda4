//! When a program's work is done, and what becomes of one that goes wrong.

use std::path::Path;

use rustix::process::Signal;

use super::{SCORE, add, bench, file, lines, result, run, write_script};

#[test]
fn nothing_is_done_twice_and_a_changed_script_is_other_work() {
    let bench = bench(SCORE);
    run(&bench, 0);
    assert_eq!(lines(&bench, "ledger"), 4);
    let ran = run(&bench, 0);
    assert_eq!(ran.stderr, "4 runs: all done before\n");
    // Where it lies is no matter; what it says, and what it imports where that is named, is.
    write_script(&bench, &format!("# another comment\n{SCORE}"));
    run(&bench, 0);
    assert_eq!(lines(&bench, "ledger"), 8);
    bench.write("helper.txt", "1");
    let text = bench.read("own.toml").replace("[params]", "files = [\"helper.txt\"]\n[params]");
    bench.write("own.toml", &text);
    run(&bench, 0);
    bench.write("helper.txt", "2");
    run(&bench, 0);
    assert_eq!(lines(&bench, "ledger"), 16);
}

#[test]
fn a_file_behind_an_equals_sign_counts_as_any_other_does() {
    let bench = bench(SCORE);
    bench.write("net.yaml", "layers: 1");
    let text = bench.read("own.toml").replace("\"{{}}\"", "\"--set=net=net.yaml\", \"--log=\"");
    bench.write("own.toml", &text);
    run(&bench, 0);
    let ran = run(&bench, 0);
    assert_eq!(ran.stderr, "4 runs: all done before\n");
    bench.write("net.yaml", "layers: 2");
    run(&bench, 0);
    assert_eq!(lines(&bench, "ledger"), 8);
}

#[test]
fn what_goes_wrong_is_said_in_its_own_words() {
    let mut said = String::new();
    for script in [
        "echo working; echo 'no such file: x' >&2; exit 3",
        "echo only this; exit 3",
        "exit 1",
        "echo 'torch.OutOfMemoryError: CUDA out of memory.' >&2; exit 1",
        "echo done",
        "true",
        "echo nan",
        "echo 3.5",
        "echo 'image,label' > $SWEEP_PREDICTIONS; echo 0.5",
        "echo '{\"epoch\": 4, \"loss\": Infinity}'",
    ] {
        let bench = bench(script);
        run(&bench, 3);
        let (result, outcome) = (result(&bench), "outcome");
        said += &format!(
            "{}: {}\n",
            result[outcome].as_str().unwrap(),
            result["cause"].as_str().unwrap()
        );
    }
    insta::assert_snapshot!(said, @r#"
    failed: the trainer ended with exit code 3; its last words:
    no such file: x
    failed: the trainer ended with exit code 3; its last words:
    only this
    failed: the trainer ended with exit code 1 and said nothing
    out_of_memory: torch.OutOfMemoryError: CUDA out of memory.
    failed: the trainer ended without a score: its last line is `done`
    print it as the last line, or {"score": 0.5}, or write it to the file SWEEP_SCORE
    failed: the trainer ended without a score: it printed nothing
    print it as the last line, or {"score": 0.5}, or write it to the file SWEEP_SCORE
    diverged: the score is no finite number
    failed: the score 3.5 is no fraction from 0 to 1, where larger is better
    report an accuracy, an area under a curve or the like; an error e as 1 - e or 1 / (1 + e)
    failed: its predictions have no column `predicted`
    diverged: the loss is no finite number
    "#);
}

#[test]
fn a_program_that_crashes_or_asks_for_it_is_tried_again() {
    for (how, words) in [
        (
            "echo oops >&2; kill -SEGV $$",
            "the worker was killed by SIGSEGV (11); it is tried again",
        ),
        ("exit 75", "the worker ended with exit code 75; it is tried again"),
    ] {
        let bench = bench(&format!(
            "if [ $SWEEP_SEED = 1 ] && [ $SWEEP_PARAMS_LR = 0.1 ] && mkdir once; then {how}; fi; {SCORE}"
        ));
        add(&bench, "retries = 1\nretry_delay = \"0s\"");
        let ran = run(&bench, 0);
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
        assert_eq!(result(&bench)["attempts"], 2);
        assert_eq!(lines(&bench, "ledger"), 4);
    }
}

#[test]
fn one_that_hangs_is_ended_with_all_that_it_has_started() {
    let hang = "echo $$ > hangs; sleep 1000 & echo $! > child; wait";
    let bench = bench(&format!(
        "if [ $SWEEP_SEED = 1 ] && [ $SWEEP_PARAMS_LR = 0.1 ]; then {hang}; fi; {SCORE}"
    ));
    add(&bench, "retries = 0\ntime_limit = \"2s\"");
    run(&bench, 3);
    assert_eq!(result(&bench)["outcome"], "timed_out");
    assert_eq!(lines(&bench, "ledger"), 3);
    for pid in ["hangs", "child"] {
        let stat = Path::new("/proc").join(bench.read(pid).trim()).join("stat");
        // Whoever has taken it over may not have reaped it yet.
        let stat = fs_err::read_to_string(stat).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
    }
}

#[test]
fn after_ctrl_c_it_is_asked_to_end_and_the_run_stays_open() {
    let bench = bench(&format!(
        "if [ -e wait ]; then trap 'echo asked > asked; exit 0' TERM; cat fifo & wait; fi; {SCORE}"
    ));
    bench.write("wait", "");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        bench.path("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let running = bench.start(&["run", "own.toml"]);
    // Opens when the script reads it.
    let fifo = fs_err::OpenOptions::new().write(true).open(bench.path("fifo")).unwrap();
    running.signal(Signal::INT);
    let ran = bench.wait(running);
    drop(fifo);
    assert_eq!(ran.code, 130, "{}", ran.stderr);
    assert_eq!(bench.read("asked"), "asked\n");
    fs_err::remove_file(bench.path("wait")).unwrap();
    run(&bench, 0);
    assert_eq!(lines(&bench, "ledger"), 4);
}

/// A state of one line an epoch; killed after the second one, the first time.
const RESUMES: &str = r#"state="$SWEEP_CHECKPOINT/state"
[ "$1" = "--state=$state" ] || exit 4
[ -e "$state" ] && cat "$state" || echo began >> began
while [ "$(cat "$state" 2>/dev/null | wc -l)" -lt 3 ]; do
    epoch=$(($(cat "$state" 2>/dev/null | wc -l) + 1))
    echo "$SWEEP_SEED $epoch" >> epochs
    echo "{\"epoch\": $epoch, \"loss\": 0.$epoch}" | tee -a "$state"
    if [ $epoch = 2 ] && [ $SWEEP_SEED = 1 ] && mkdir once 2>/dev/null; then kill -KILL $$; fi
done"#;

fn resuming(schedule: &str) -> crate::bench::Bench {
    let bench = bench(&format!("{RESUMES}\n{SCORE}"));
    let text =
        bench.read("own.toml").replace("--rate={lr}\", \"{{}}", "--state={checkpoint}/state");
    bench.write("own.toml", &text.replace("lr = [0.1, 0.5]", "lr = [0.1]"));
    add(&bench, &format!("retries = 1\nretry_delay = \"0s\"\n{schedule}"));
    bench
}

#[test]
fn one_that_was_interrupted_goes_on_from_what_it_has_kept() {
    let bench = resuming("");
    run(&bench, 0);
    assert_eq!(result(&bench)["attempts"], 2);
    assert_eq!(lines(&bench, "began"), 2, "each run once");
    assert_eq!(lines(&bench, "epochs"), 6, "no epoch twice");
    assert_eq!(file(&bench, "metrics.csv").lines().count(), 4, "each epoch once");
    let kept = bench.results().into_iter().find(|file| file.contains("cache/checkpoints/"));
    assert_eq!(kept, None, "it goes with the end of its run");
    assert!(!bench.path("results/cache/checkpoints").read_dir().unwrap().any(|_| true));
}

#[test]
fn where_nothing_is_to_be_kept_it_begins_anew() {
    let bench = resuming("checkpoint_every = false");
    run(&bench, 0);
    assert_eq!((lines(&bench, "began"), lines(&bench, "epochs")), (3, 8));
    assert!(!bench.path("results/cache/checkpoints").exists());
}
