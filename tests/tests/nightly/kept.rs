//! What stays of nights, and what goes.

use super::{bench, night};
use crate::bench::Bench;

#[test]
fn so_many_nights_are_kept_and_the_one_that_is_compared_with() {
    let bench = bench("keep = 2\n");
    assert_eq!(night(&bench, 0).code, 0);
    bench.script(|script| script.worse_by = 60);
    (1..4).for_each(|day| assert_eq!(night(&bench, day).code, 4));
    assert_eq!(nights(&bench), ["2026-11-26", "2026-11-28", "2026-11-29"]);
    // What features there were is gone with the night.
    assert!(!bench.path("results/nightly/2026-11-29/cache").exists());
}

/// The features of a night are another one's only where everything that computes them is the same.
#[test]
fn features_are_shared_as_long_as_what_computes_them_is_the_same() {
    let bench = bench("features = \"toolchain\"\n");
    let kept = || {
        let entries = fs_err::read_dir(bench.path("results/nightly/.features")).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
    };
    assert_eq!(night(&bench, 0).code, 0);
    let first = kept();
    assert_eq!(first.len(), 1);
    assert_eq!(night(&bench, 1).code, 0);
    assert_eq!(kept(), first);
    bench.script(|script| script.libtorch = "2.12.0".to_owned());
    assert_eq!(night(&bench, 2).code, 0);
    assert_eq!(kept().len(), 1);
    assert_ne!(kept(), first);
}

/// The folders of the nights.
fn nights(bench: &Bench) -> Vec<String> {
    let entries = fs_err::read_dir(bench.path("results/nightly")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut nights: Vec<String> = names.filter(|name| name.starts_with("20")).collect();
    nights.sort();
    nights
}

#[test]
fn gc_removes_nights_when_it_is_told_how_many_stay() {
    let bench = bench("");
    assert_eq!(
        bench.sweep(&["gc", "--nights", "2"]).stdout,
        "there are no nights\n\
        removed 0 files (0 B); 0 B of features are left\n"
    );
    assert_eq!(night(&bench, 0).code, 0);
    bench.script(|script| script.worse_by = 60);
    (1..5).for_each(|day| assert_eq!(night(&bench, day).code, 4));
    let ran = bench.sweep(&["gc"]);
    assert_eq!((ran.code, nights(&bench).len()), (0, 5), "only when it is told");
    let ran = bench.sweep(&["gc", "--nights", "2"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.starts_with("removed 2 nights: 2026-11-27, 2026-11-28\n"), "{}", ran.stdout);
    // The first one is what the others are compared with.
    assert_eq!(nights(&bench), ["2026-11-26", "2026-11-29", "2026-11-30"]);
}
