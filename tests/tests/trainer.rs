//! Trainers of the user's own: any program in place of the built-in trainer.

mod checked;
mod examples;
mod told;
mod work;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::bench::{Bench, Ran};

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
