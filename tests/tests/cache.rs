//! Features under way to the cache when their worker is killed: with the real worker.

use std::collections::BTreeMap;
use std::process::Command;

use crate::bench::{Running, beside_us};
use crate::real::Real;

const RUN: [&str; 4] = ["run", "batch_size.toml", "--devices", "cpu:1"];

/// What lies in the cache, but for the locks, which are empty and stay.
fn kept(real: &Real, results: &str) -> BTreeMap<String, Vec<u8>> {
    let files = real.0.files(results).into_iter();
    files
        .filter(|file| file.starts_with("cache/") && !file.ends_with(".lock"))
        .map(|file| {
            let content = fs_err::read(real.0.path(results).join(&file)).unwrap();
            (file, content)
        })
        .collect()
}

/// A sweep whose workers are killed as they come to their call `at` that changes the cache; with `half`,
/// half of what is written there is.
fn killed_at(real: &Real, results: &str, at: u64, half: bool) -> Command {
    let mut command = real.command(&[&RUN[..], &["--results", results]].concat());
    command
        .env("LD_PRELOAD", beside_us("examples/libfaults.so"))
        .env("FAULT_PROGRAM", "sweep-train")
        .env("FAULT_WHERE", format!("{results}/cache/"))
        .env("FAULT_AT", at.to_string())
        .env("FAULT_LOG", real.0.path(&format!("fault-{results}")));
    if half {
        command.env("FAULT_HALF", "1");
    }
    command
}

#[test]
fn a_worker_killed_while_it_writes_features_leaves_none_that_are_half_made() {
    let real = Real::new();
    real.0.write("base.toml", &format!("{}\n[schedule]\nretries = 0\n", real.0.read("base.toml")));
    let undisturbed = real.sweep(&[&RUN[..], &["--results", "undisturbed"]].concat());
    assert_eq!(undisturbed.code, 0, "{}", undisturbed.stderr);
    let features = kept(&real, "undisturbed");
    assert!(!features.is_empty());
    let mut seen = Vec::new();
    for (at, half) in (1..).flat_map(|at| [(at, false), (at, true)]) {
        let results = format!("killed-{at}-{half}");
        let ran = real.0.wait(Running::start(killed_at(&real, &results, at, half)));
        if ran.code == 0 {
            assert_eq!(ran.stdout, undisturbed.stdout);
            break;
        }
        let what = real.0.read(&format!("fault-{results}"));
        let whole = kept(&real, &results);
        let whole = whole.into_iter().filter(|(file, _)| file.ends_with(".safetensors"));
        for (file, content) in whole {
            assert!(features[&file] == content, "{what}: {file} is half made");
        }
        let again = real.sweep(&[&RUN[..], &["--results", &results, "--retry-failed"]].concat());
        assert_eq!(
            (again.code, &again.stdout),
            (0, &undisturbed.stdout),
            "{what}: {}",
            again.stderr
        );
        assert!(kept(&real, &results) == features, "{what}: the cache is another one");
        seen.push(what);
    }
    let seen_some = |kind: &str| seen.iter().any(|what| what.starts_with(kind));
    let all = ["make", "write", "sync", "rename"].into_iter().all(seen_some);
    assert!(all && seen.len() >= 8, "{seen:#?}");
    eprintln!("killed at {} points of the cache", seen.len() / 2);
}
