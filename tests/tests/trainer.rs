//! Trainers of the user's own: any program in place of the built-in trainer.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::bench::{Bench, Ran, Running};
use crate::devices;

/// A bench with `own.toml`, whose trainer is `train.sh` with this text; seeds 1 and 2 of two levels.
fn bench(script: &str) -> Bench {
    let bench = Bench::new();
    bench.write(
        "own.toml",
        r#"
        replicates = 2
        [trainer]
        command = ["./train.sh", "--rate={lr}", "{{}}"]
        [params]
        lr = 0.1
        kind = "plain"
        [factors]
        lr = [0.1, 0.5]
        [schedule]
        retries = 0
        "#,
    );
    write_script(&bench, script);
    bench
}

fn write_script(bench: &Bench, script: &str) {
    bench.write("train.sh", &format!("#!/bin/sh\n{script}\n"));
    let file = bench.path("train.sh");
    fs_err::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn add(bench: &Bench, schedule: &str) {
    let text = bench.read("own.toml").replace("retries = 0", schedule);
    bench.write("own.toml", &text);
}

fn run(bench: &Bench, code: i32) -> Ran {
    let ran = bench.sweep(&["run", "own.toml"]);
    assert_eq!(ran.code, code, "{}", ran.stderr);
    ran
}

/// The folder of the run with the baseline's `lr` and seed 1.
fn first(bench: &Bench) -> PathBuf {
    bench.run_folder("lr0.1-s1")
}

fn result(bench: &Bench) -> serde_json::Value {
    let text = fs_err::read_to_string(first(bench).join("result.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn file(bench: &Bench, name: &str) -> String {
    fs_err::read_to_string(first(bench).join(name)).unwrap()
}

fn lines(bench: &Bench, name: &str) -> usize {
    fs_err::read_to_string(bench.path(name)).unwrap_or_default().lines().count()
}

const SCORE: &str = "echo ran >> ledger; echo 0.$((SWEEP_SEED + 5))";

#[test]
fn a_script_is_told_its_run_and_its_epochs_and_score_are_kept() {
    let bench = bench(
        r#"echo "got $* $SWEEP_PARAMS_KIND $SWEEP_SEED $SWEEP_DEVICE"
        grep -q '"kind": "plain"' "$SWEEP_CONFIG" || exit 1
        echo '{"epoch": 1, "loss": 0.5, "val_accuracy": 0.25, "seconds": 2}'
        echo 'Epoch 2/2 [=====>'
        printf '\377 no text\n'
        echo '{"epoch": 2, "loss": NaN, "seconds": 2}'
        echo chatter >&2
        echo "{\"score\": 0.$((SWEEP_SEED + 5))}""#,
    );
    let ran = run(&bench, 0);
    insta::assert_snapshot!(ran.stderr, @"
    4 runs: 0 done before, 4 to do on cpu 1 ([CORES] threads)
    [1/4] baseline seed 1: 0.6000 (2 epochs, [TIME])
    [2/4] baseline seed 2: 0.7000 (2 epochs, [TIME])
    [3/4] lr=0.5 seed 1: 0.6000 (2 epochs, [TIME])
    [4/4] lr=0.5 seed 2: 0.7000 (2 epochs, [TIME])
    ");
    insta::assert_snapshot!(ran.stdout, @"
    # own

    | factor | level          | score | 95 % interval | seeds |
    | ------ | -------------- | ----: | ------------: | ----: |
    | lr     | 0.1 (baseline) | 65000 | 1468 - 100000 |     2 |
    | lr     | 0.5            | 65000 | 1468 - 100000 |     2 |

    Intervals are 95 %, over other seeds.

    lr: 0.5 trained exactly as 0.1 did, under every seed: here the difference changes nothing.

    What the runs took, in the mean over seeds, and how seeds differ:

    | factor | level          |  std |     min - max | epochs | updates | images seen |  time |
    | ------ | -------------- | ---: | ------------: | -----: | ------: | ----------: | ----: |
    | lr     | 0.1 (baseline) | 7071 | 60000 - 70000 |      2 |       0 |           0 | T.T s |
    | lr     | 0.5            | 7071 | 60000 - 70000 |      2 |       0 |           0 | T.T s |
    ");
    insta::assert_snapshot!(file(&bench, "metrics.csv"), @"
    fold,epoch,loss,accuracy,val_loss,val_accuracy,val_auc,learning_rate,seconds
    ,1,0.5,,,0.25,,,2.0
    ,2,,,,,,,2.0
    ");
    assert_eq!((&result(&bench)["score"], &result(&bench)["epochs"]), (&0.6.into(), &2.into()));
    let log = file(&bench, "attempts/1.log");
    for said in ["got --rate=0.1 {} plain 1 cpu\n", "Epoch 2/2 [=====>\n", "chatter\n"] {
        assert!(log.contains(said), "{log}");
    }
}

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

#[test]
fn predictions_are_compared_image_by_image() {
    let bench = bench(
        r#"right=$([ $SWEEP_PARAMS_LR = 0.5 ] && echo 35 || echo 20)
        { echo image,label,predicted
        for image in $(seq 40); do
            echo $image,yes,$([ $image -le $((right + SWEEP_SEED)) ] && echo yes || echo no)
        done; } > "$SWEEP_PREDICTIONS""#,
    );
    let ran = run(&bench, 0);
    insta::assert_snapshot!(ran.stdout, @r#"
    # own

    | factor | level          | score | 95 % interval |                difference |     p | verdict                                 | seeds |
    | ------ | -------------- | ----: | ------------: | ------------------------: | ----: | --------------------------------------- | ----: |
    | lr     | 0.1 (baseline) | 53750 | 29945 - 76359 |                         - |     - | the baseline                            |     2 |
    | lr     | 0.5            | 91250 | 57014 - 99860 | +37500 (+22207 to +52793) | 0.500 | too few seeds to tell: 6 needed, 2 here |     2 |

    One test image of 40 is worth 2500 points.

    Intervals are 95 %, over other seeds and other test images. Differences are to the baseline under the same seeds, and p is Holm's over all rows: in at most one table of twenty is any "better" or "worse" a false one. With so few seeds no difference could have been shown, however large.

    What the runs took, in the mean over seeds, and how seeds differ:

    | factor | level          |  std |     min - max | epochs | updates | images seen |  time |
    | ------ | -------------- | ---: | ------------: | -----: | ------: | ----------: | ----: |
    | lr     | 0.1 (baseline) | 1768 | 52500 - 55000 |      0 |       0 |           0 | T.T s |
    | lr     | 0.5            | 1768 | 90000 - 92500 |      0 |       0 |           0 | T.T s |
    "#);
    assert_eq!(result(&bench)["test"]["correct"], 21);
    assert_eq!(file(&bench, "predictions.csv").lines().count(), 41);
}

#[test]
fn metrics_and_score_may_be_files() {
    let bench = bench(
        r#"echo '{"epoch": 9, "score": 2}'
        echo '{"epoch": 1, "val_loss": 0.5}' > $SWEEP_METRICS
        printf '{"epoch": 2, "val_loss": 0.25}' >> $SWEEP_METRICS
        echo 0.75 > $SWEEP_SCORE"#,
    );
    let text = bench.read("own.toml").replace("[params]", "metrics = \"file\"\n[params]");
    bench.write("own.toml", &text);
    run(&bench, 0);
    assert_eq!((&result(&bench)["score"], &result(&bench)["epochs"]), (&0.75.into(), &2.into()));
    assert_eq!(file(&bench, "metrics.csv").lines().count(), 3);
}

/// Both wait for the other before they go on.
#[test]
fn two_at_once_have_a_gpu_each() {
    let bench = bench(
        r#"echo "$SWEEP_DEVICE $CUDA_VISIBLE_DEVICES" >> gpus
        if [ $SWEEP_SEED = 1 ]; then echo here > fifo0; cat fifo1; else cat fifo0; echo here > fifo1; fi
        echo 0.5"#,
    );
    for name in ["fifo0", "fifo1"] {
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, bench.path(name), kind, mode, 0).unwrap();
    }
    let text = bench.read("own.toml").replace("lr = [0.1, 0.5]", "lr = [0.1]");
    bench.write("own.toml", &text);
    devices::add_driver(&bench);
    let command = devices::command(&bench, &["run", "own.toml", "--devices", "cuda:0,1"]);
    let ran = bench.wait(Running::start(command));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let gpus = bench.read("gpus");
    let mut gpus: Vec<&str> = gpus.lines().collect();
    gpus.sort_unstable();
    assert_eq!(gpus, ["cuda 0", "cuda 1"]);
}

#[test]
fn what_cannot_start_is_said_before_anything_does() {
    let mut said = String::new();
    for (command, code) in [
        ("[\"./nowhere.sh\"]", 5),
        ("[\"no-such-program-here\"]", 5),
        ("[\"train.sh\"]", 5),
        ("[\"./own.toml\"]", 5),
        ("[]", 2),
        ("[\"./train.sh\", \"{rate}\", \"{\"]", 2),
        ("[\"./train.sh\"]\nfiles = [\"nowhere\"]", 2),
        ("[\"./train.sh\"]\nprotocol = \"workers\"", 2),
    ] {
        let bench = bench(SCORE);
        let text = bench.read("own.toml");
        let text = text.replace("[\"./train.sh\", \"--rate={lr}\", \"{{}}\"]", command);
        bench.write("own.toml", &text);
        said += &run(&bench, code).stderr;
        assert!(bench.results().is_empty());
    }
    insta::assert_snapshot!(said, @r#"
      × `trainer.command` names a program that is not there: [DIR]/nowhere.sh
      help: a program without / is looked for in PATH, one with it beside the sweep file
      × `trainer.command` names a program that is not there: no-such-program-here
      help: a program without / is looked for in PATH, one with it beside the sweep file
      × `trainer.command` names a program that is not there: train.sh
      help: [DIR]/train.sh is there: write ./train.sh
      × `trainer.command` names a file that cannot be executed: [DIR]/own.toml
      help: make it executable with `chmod +x`, or name its interpreter before it
      × `trainer.command` is empty
       ╭─[own.toml:4:19]
     3 │         [trainer]
     4 │         command = []
       ·                   ─┬
       ·                    ╰── no program here
     5 │         [params]
       ╰────
      help: name a program, such as ["python3", "train.py"]
      × own.toml has 2 problems

    Error: 
      × `{rate}` stands for nothing in `{rate}`
       ╭─[own.toml:4:19]
     3 │         [trainer]
     4 │         command = ["./train.sh", "{rate}", "{"]
       ·                   ──────────────┬──────────────
       ·                                 ╰── no such setting here
     5 │         [params]
       ╰────
      help: declare it in [params], or write {{ and }} for braces

    Error: 
      × a `{` stands alone in `{`
       ╭─[own.toml:4:19]
     3 │         [trainer]
     4 │         command = ["./train.sh", "{rate}", "{"]
       ·                   ──────────────┬──────────────
       ·                                 ╰── in this command
     5 │         [params]
       ╰────
      help: write {{ and }} for braces
      × `trainer.files` names what is not there: [DIR]/nowhere
      help: a path is relative to the file that names the command
      × `trainer.protocol` must be "simple" or "worker"
       ╭─[own.toml:5:12]
     4 │         command = ["./train.sh"]
     5 │ protocol = "workers"
       ·            ────┬────
       ·                ╰── did you mean "worker"?
     6 │         [params]
       ╰────
    "#);
}

#[test]
fn settings_are_checked_as_built_in_ones_are() {
    let mut said = String::new();
    for args in [
        &["--set", "lr=fast"][..],
        &["--set", "kindd=x"],
        &["--set", "params.rate=1"],
        &["--set", "data.image_size=64"],
    ] {
        let bench = bench(SCORE);
        let ran = bench.sweep(&[&["run", "own.toml"], args].concat());
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        said += &ran.stderr;
    }
    insta::assert_snapshot!(said, @"
     × `params.lr` must be a number
      ╭─[--set:1:4]
    1 │ lr=fast
      ·    ──┬─
      ·      ╰── this is text
      ╰────
     × there is no key `kindd`
      ╭─[--set:1:1]
    1 │ kindd=x
      · ──┬──
      ·   ╰── did you mean `kind`?
      ╰────
     help: the keys are
           [augment] brightness_range, channel_shift_range, cval, fill_mode, height_shift_range, horizontal_flip, rotation_range, shear_range, vertical_flip, views, width_shift_range, zoom_range
           [data] image_size, interpolation, test, train, validation
           [early_stopping] baseline, min_delta, mode, monitor, patience, restore_best_weights, start_from_epoch, verbose
           [model] backbone, dropout, freeze, hidden, kernel_initializer, output, pooling, precision, preprocessing, weights
           [reduce_lr_on_plateau] cooldown, factor, min_delta, min_lr, mode, monitor, patience
           [train] batch_size, class_weight, epochs, label_smoothing, learning_rate, learning_rate_schedule, optimizer, steps_per_epoch, validation_steps
           [trainer] command, files, metrics, protocol
           [params] lr, kind
     × there is no key `params.rate`
      ╭─[--set:1:1]
    1 │ params.rate=1
      · ─────┬─────
      ·      ╰── unknown key
      ╰────
     help: the keys are
           [augment] brightness_range, channel_shift_range, cval, fill_mode, height_shift_range, horizontal_flip, rotation_range, shear_range, vertical_flip, views, width_shift_range, zoom_range
           [data] image_size, interpolation, test, train, validation
           [early_stopping] baseline, min_delta, mode, monitor, patience, restore_best_weights, start_from_epoch, verbose
           [model] backbone, dropout, freeze, hidden, kernel_initializer, output, pooling, precision, preprocessing, weights
           [reduce_lr_on_plateau] cooldown, factor, min_delta, min_lr, mode, monitor, patience
           [train] batch_size, class_weight, epochs, label_smoothing, learning_rate, learning_rate_schedule, optimizer, steps_per_epoch, validation_steps
           [trainer] command, files, metrics, protocol
           [params] lr, kind
     × own.toml sets no `data.train`
      ╭─[--set:1:1]
    1 │ data.image_size=64
      · ───────┬───────
      ·        ╰── `train` is missing here
      ╰────
     help: set it under [data]; it must be a path in quotes
    ");
    let bench = bench(SCORE);
    let ran = bench.sweep(&["run", "own.toml", "--set", "kind=other", "--set", "train.epochs=3"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let config: serde_json::Value = serde_json::from_str(&file(&bench, "config.json")).unwrap();
    assert_eq!(
        (&config["config"]["params"]["kind"], &config["config"]["train"]["epochs"]),
        (&"other".into(), &3.into())
    );
    assert_eq!(config["config"].get("model"), None);
}

/// The example that the documentation of the protocol shows.
#[test]
fn a_worker_of_one_s_own_speaks_the_protocol() {
    if std::process::Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: there is no python3");
        return;
    }
    let ran = example("worker/worker.toml");
    insta::assert_snapshot!(ran.stdout, @"
    # worker

    A worker of one's own

    | factor | level          | score |  95 % interval | seeds |
    | ------ | -------------- | ----: | -------------: | ----: |
    | lr     | 0.01           | 43784 |   9700 - 77867 |     3 |
    | lr     | 0.1 (baseline) | 97554 | 93934 - 100000 |     3 |

    Intervals are 95 %, over other seeds.

    What the runs took, in the mean over seeds, and how seeds differ:

    | factor | level          |   std |     min - max | epochs | updates | images seen |  time |
    | ------ | -------------- | ----: | ------------: | -----: | ------: | ----------: | ----: |
    | lr     | 0.01           | 13720 | 28145 - 53798 |     10 |      10 |           0 | T.T s |
    | lr     | 0.1 (baseline) |  1457 | 95878 - 98521 |     10 |      10 |           0 | T.T s |
    ");
}

#[test]
fn the_shell_example_runs() {
    let ran = example("shell/learning_rate.toml");
    assert!(ran.stdout.contains("| lr     | 0.5"), "{}", ran.stdout);
}

fn example(name: &str) -> Ran {
    let bench = Bench::new();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    let ran = bench.sweep(&["run", file.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran
}
