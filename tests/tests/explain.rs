//! `sweep explain`, `sweep logs`, `sweep init`, `sweep schema` and `sweep completions`.

use end_to_end::script::{Act, Rule};

use crate::bench::Bench;

/// Lines with times, devices and places of this very run left out, and what a worker says beside the protocol:
/// that may reach us before the run has a log.
fn steady(text: &str) -> String {
    let line = |line: &str| match line.trim_start() {
        line if line.starts_with("run ") => "run [ID]".to_owned(),
        line if line.starts_with("seed ") => line.split(',').next().unwrap().to_owned(),
        line if line.contains(" began 2") => line.split(" began ").next().unwrap().to_owned(),
        line if line.starts_with("training semantics version") => "training semantics".to_owned(),
        line if line.starts_with("sweep explain") => "sweep explain [FOLDER] --toml".to_owned(),
        line if line.starts_with("attempt ") => line.split(" (").next().unwrap().to_owned(),
        _ => line.to_owned(),
    };
    let lines = text.lines().filter(|line| !line.ends_with(": chatter"));
    lines.map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_run_is_explained() {
    let bench = Bench::new();
    bench.write(
        "learning_rate.toml",
        "extends = \"base.toml\"\n[factors]\nlearning_rate = [1e-4]\n",
    );
    bench.script(|script| {
        script.rules =
            vec![Rule { seed: Some(2), batch_size: Some(16), times: None, act: Act::Fail }];
    });
    let ran = bench.sweep(&["run", "batch_size.toml", "learning_rate.toml"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let said = |run: &str| {
        let ran = bench.sweep(&["explain", run]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        steady(&ran.stdout)
    };
    insta::assert_snapshot!(said("batch_size:batch_size=16:2"), @"
    run [ID]
    seed 2

    What became of it
      failed: a failure is a result too, and does not run again but with --retry-failed
      > scripted failure
      > in two lines
    one attempt
    training semantics

    Where it stands
      batch_size:batch_size=16:2

    What differs from the baseline of batch_size (baseline -> here)
      train.batch_size: 32 -> 16

    What its attempts said last
    attempt 1

    To have it again
    sweep explain [FOLDER] --toml
      sweep run again.toml --results results-again
    ");
    let shared = said("batch_size:baseline:1");
    for words in [
        "  batch_size:batch_size=32:1 (baseline)\n  learning_rate:learning_rate=0.0001:1 (baseline)",
        "The same work in several rows is one run.",
        "nothing: it is the baseline",
        "finished: it ran because nothing with its id had a result, and does not run again",
    ] {
        assert!(shared.contains(words), "{shared}");
    }
    let several = bench.sweep(&["explain", "batch_size:baseline"]);
    assert_eq!(several.code, 2);
    assert!(several.stderr.contains("could be 2 runs"), "{}", several.stderr);
    let none = bench.sweep(&["explain", "batch_size:batch_size=16:7"]);
    assert_eq!(none.code, 2);
    let json = bench.sweep(&["explain", "batch_size:batch_size=16:2", "--json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["result"]["outcome"], "failed");
    assert_eq!(json["differs"][0]["changes"][0]["what"], "train.batch_size");
}

#[test]
fn the_sweep_file_of_a_run_gives_the_same_run() {
    let bench = Bench::new();
    assert_eq!(bench.sweep(&["run", "batch_size.toml"]).code, 0);
    let toml = bench.sweep(&["explain", "batch_size:batch_size=64:2", "--toml"]);
    bench.write("again.toml", &toml.stdout.replace("[DIR]", bench.path("").to_str().unwrap()));
    let plan = bench.sweep(&["plan", "again.toml"]);
    assert_eq!(plan.code, 0, "{}{}", plan.stderr, toml.stdout);
    assert!(plan.stdout.contains("2 runs, 0 to do"), "{}", plan.stdout);
}

#[test]
fn logs_are_of_the_last_attempt_or_of_any() {
    let bench = Bench::new();
    let base = bench.read("base.toml").replace("retries = 0", "retries = 1\nretry_delay = \"0s\"");
    bench.write("base.toml", &base);
    bench.script(|script| {
        let act = Act::Exit(7);
        script.rules = vec![Rule { seed: Some(1), batch_size: Some(16), times: Some(1), act }];
    });
    let ran = bench.sweep(&["run", "batch_size.toml"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let logs =
        |args: &[&str]| bench.sweep(&[&["logs", "batch_size:batch_size=16:1"], args].concat());
    assert!(!logs(&[]).stdout.contains("it is tried again"), "{}", logs(&[]).stdout);
    let first = logs(&["--attempt", "1", "--follow"]).stdout;
    assert!(
        first.contains("the worker ended with exit code 7") && first.contains("it is tried again"),
        "{first}"
    );
    let json = logs(&["--attempt", "1", "--json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["log"], first);
    assert!(json["file"].as_str().unwrap().ends_with("attempts/1.log"), "{json}");
    let explained = bench.sweep(&["explain", "batch_size:batch_size=16:1"]).stdout;
    assert!(
        explained.contains("2 attempts") && explained.contains("> it is tried again"),
        "{explained}"
    );
    let third = logs(&["--attempt", "3"]);
    assert_eq!(third.code, 2);
    assert!(third.stderr.contains("there is no log of attempt 3"), "{}", third.stderr);
}

#[test]
fn a_folder_is_begun_and_nothing_is_overwritten() {
    let bench = Bench::new();
    fs_err::remove_file(bench.path("base.toml")).unwrap();
    fs_err::remove_file(bench.path("batch_size.toml")).unwrap();
    let begun = bench.sweep(&["init", "--test", "data/test"]);
    assert_eq!((begun.code, begun.stdout.as_str()), (0, ""), "{}", begun.stderr);
    assert!(begun.stderr.contains("then: sweep run"), "{}", begun.stderr);
    let args = ["plan", "batch_size.toml", "--set", "weights=weights.safetensors"];
    let plan = bench.sweep(&args);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    assert!(plan.stdout.contains("30 runs, 30 to do"), "{}", plan.stdout);
    bench.write("base.toml", "mine");
    let again = bench.sweep(&["init"]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("is there already"), "{}", again.stderr);
    assert_eq!(bench.read("base.toml"), "mine");
}

#[test]
fn editors_and_shells_get_what_they_need() {
    let bench = Bench::new();
    let schema = bench.sweep(&["schema"]).stdout;
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    assert!(schema["properties"]["factors"].is_object());
    for shell in ["bash", "zsh", "fish"] {
        let script = bench.sweep(&["completions", shell]).stdout;
        assert!(script.contains("score-format"), "{shell}");
    }
}
