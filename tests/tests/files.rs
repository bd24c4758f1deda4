//! Files and command lines that are wrong: exit code 2, and what to do about it.

use crate::bench::Bench;

/// What `sweep run` says of a sweep file with this in it.
fn refused(change: impl FnOnce(&Bench)) -> String {
    let bench = Bench::new();
    change(&bench);
    let ran = bench.sweep(&["run", "batch_size.toml"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert_eq!(bench.ledger(), [""; 0]);
    assert!(!bench.path("results").exists(), "nothing is written before all is checked");
    ran.stderr
}

fn with(text: &str) -> String {
    let text = format!("extends = \"base.toml\"\nstrategy = \"ofat\"\n{text}\n");
    refused(|bench| bench.write("batch_size.toml", &text))
}

#[test]
fn missing_data() {
    insta::assert_snapshot!(refused(|bench| {
        fs_err::remove_dir_all(bench.path("data/train")).unwrap();
    }), @"
    × `data.train` names a folder that does not exist: [DIR]/data/train
    help: a path is relative to the file that names it, one of `--set` to the working directory; `sweep data synth DIR` makes a set to try things with
    ");
    insta::assert_snapshot!(refused(|bench| {
        fs_err::create_dir(bench.path("data/train/broken")).unwrap();
    }), @"
    × the class folder is empty: [DIR]/data/train/broken
    help: every class needs images: add some, or remove the folder
    ");
}

#[test]
fn missing_sweep_file() {
    insta::assert_snapshot!(refused(|bench| {
        fs_err::remove_file(bench.path("batch_size.toml")).unwrap();
    }), @"  × there is no file batch_size.toml");
}

#[test]
fn unknown_key() {
    insta::assert_snapshot!(with("[baseline.train]\nbatch_sise = 16"), @"
     × [train] has no key `batch_sise`
      ╭─[batch_size.toml:4:1]
    3 │ [baseline.train]
    4 │ batch_sise = 16
      · ─────┬────
      ·      ╰── did you mean `batch_size`?
      ╰────
     help: its keys are batch_size, class_weight, epochs, label_smoothing, learning_rate, learning_rate_schedule, optimizer, steps_per_epoch, validation_steps
    ");
}

#[test]
fn negative_batch_size() {
    insta::assert_snapshot!(with("[factors]\nbatch_size = [16, -32]"), @"
     × `train.batch_size` must be a whole number, 1 or more
      ╭─[batch_size.toml:4:19]
    3 │ [factors]
    4 │ batch_size = [16, -32]
      ·                   ─┬─
      ·                    ╰── -32 is too small
      ╰────
    ");
}

#[test]
fn a_level_given_twice() {
    insta::assert_snapshot!(with("[factors]\nbatch_size = [16, 32, 16]"), @"
     × `batch_size` has the level `16` twice
      ╭─[batch_size.toml:4:23]
    3 │ [factors]
    4 │ batch_size = [16, 32, 16]
      ·               ─┬      ─┬
      ·                │       ╰── the same configuration again
      ·                ╰── first here
      ╰────
     help: take one of them out
    ");
}

#[test]
fn patience_without_validation() {
    insta::assert_snapshot!(
        with("[baseline.data]\nvalidation = \"none\"\n[factors]\npatience = [5, 10]"), @r#"
     × early stopping watches `val_loss`, but there is no validation data
      ╭─[batch_size.toml:6:13]
    3 │ [baseline.data]
    4 │ validation = "none"
      ·              ───┬──
      ·                 ╰── no validation data
    5 │ [factors]
    6 │ patience = [5, 10]
      ·             ┬
      ·             ╰── watches `val_loss`
      ╰────
     help: set data.validation to a share such as 0.2 or to a folder, watch "loss" instead, or switch it off with early_stopping = false
    "#
    );
}

#[test]
fn two_sweeps_of_one_name() {
    let bench = Bench::new();
    bench.write("sub/batch_size.toml", &bench.read("batch_size.toml").replace("base", "../base"));
    let ran = bench.sweep(&["run", "batch_size.toml", "sub/batch_size.toml"]);
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(ran.stderr, @"
    × two sweeps are called `batch_size`: batch_size.toml and sub/batch_size.toml
    help: a sweep is called after its file: rename one, or give each its own --results
    ");
}

#[test]
fn missing_weights_are_named_before_anything_starts() {
    let bench = Bench::new();
    let ran = bench.sweep(&["run", "batch_size.toml", "--set", "weights=imagenet"]);
    assert_eq!(ran.code, 5);
    insta::assert_snapshot!(ran.stderr, @"
    × the ImageNet weights of efficientnet_lite0 are missing: [DIR]/cache/sweep/weights/efficientnet_lite0.safetensors
    help: `./scripts/setup && install -D .deps/weights/efficientnet_lite0.safetensors [DIR]/cache/sweep/weights/efficientnet_lite0.safetensors` gets them; SWEEP_WEIGHTS names another folder
    ");
    let ran = bench.sweep(&[
        "run",
        "batch_size.toml",
        "--set",
        "weights=imagenet",
        "--set",
        "backbone=resnet50",
    ]);
    assert_eq!(ran.code, 5);
    assert!(ran.stderr.contains("help: `sweep weights pull resnet50` gets them"), "{}", ran.stderr);
    let ran = bench.sweep(&["run", "batch_size.toml", "--set", "weights=gone.safetensors"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("gone.safetensors"), "{}", ran.stderr);
    assert!(!bench.path("results").exists());
}

#[test]
fn devices_that_are_not_there() {
    let bench = Bench::new();
    let ran = bench.sweep(&["run", "batch_size.toml", "--devices", "cuda:1"]);
    assert_eq!(ran.code, 5);
    insta::assert_snapshot!(ran.stderr, @"
    × cuda:1 was asked for, and there are 0 GPUs
    help: `sweep doctor` says what a worker finds; `--devices cpu` does without GPUs
    ");
    let ran = bench.sweep(&["run", "batch_size.toml", "--devices", "gpu"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
}
