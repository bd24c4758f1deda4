//! What a night is compared with, and what counts as a regression.

use end_to_end::script::{Act, Effect, World};
use serde_json::Value;

use super::{EVENING, bench, command, night, redact_summary, report, summary};
use crate::bench::Running;

#[test]
fn three_nights_the_middle_one_with_a_regression() {
    let bench = bench("on_regression = \"cat >> regressions\"\non_finish = \"cat > last\"\n");
    bench.script(|script| script.libtorch = "2.10.0".to_owned());
    let first = night(&bench, 0);
    assert_eq!(first.code, 0, "{}", first.stderr);
    assert!(first.stdout.starts_with("# Night of 2026-11-26: good\n"), "{}", first.stdout);
    assert_eq!(summary(&bench, "2026-11-26")["sweeps"][0]["rows"][0]["outcome"], "first");
    assert!(!bench.path("regressions").exists());

    bench.change_script(|script| (script.worse_by, script.libtorch) = (60, "2.11.0".to_owned()));
    let second = night(&bench, 1);
    assert_eq!(second.code, 4, "{}", second.stderr);
    insta::assert_snapshot!(report(&bench, "2026-11-27"));
    let worse = summary(&bench, "2026-11-27");
    insta::assert_snapshot!(redact_summary(&worse));
    let told: Value = serde_json::from_str(&bench.read("regressions")).unwrap();
    assert_eq!(told, worse, "the commands get the summary");
    let page = bench.read("results/nightly/2026-11-27/report.html");
    // Its own words, and each sweep's own page below them.
    for said in [
        "<title>Night of 2026-11-27: regression</title>",
        "Worse than before:",
        "batch_size, batch_size = 16: ",
        "Levels beside each other",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert_eq!(worse["page"], "results/nightly/2026-11-27/report.html");
    assert!(bench.path("results/nightly/2026-11-27/batch_size/report.html").is_file());

    // Within noise, and with yet another library: no regression, and compared with the first night.
    let noise = |script: &mut end_to_end::script::Script| {
        (script.worse_by, script.jitter, script.libtorch) = (0, 3, "2.11.1".to_owned());
    };
    bench.change_script(noise);
    let third = night(&bench, 2);
    assert_eq!(third.code, 0, "{}", third.stderr);
    insta::assert_snapshot!(report(&bench, "2026-11-28"));
    assert_eq!(
        bench.read("regressions"),
        bench.read("results/nightly/2026-11-27/summary.json").trim_end()
    );
    assert_eq!(
        bench.read("last").trim_end(),
        bench.read("results/nightly/latest/summary.json").trim_end()
    );
    assert_eq!(bench.ledger().len(), 72, "every night does everything anew");
}

#[test]
fn a_night_with_a_regression_that_somebody_accepts_is_what_later_ones_are_compared_with() {
    let bench = bench("");
    assert_eq!(night(&bench, 0).code, 0);
    bench.script(|script| script.worse_by = 60);
    assert_eq!(night(&bench, 1).code, 4);
    assert_eq!(night(&bench, 2).code, 4, "it stays one");
    let accept =
        |night: &str| bench.wait(Running::start(command(&bench, EVENING, &["--accept", night])));
    let refused = accept("2026-11-30");
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("there are 2026-11-26, 2026-11-27, 2026-11-28"),
        "{}",
        refused.stderr
    );
    assert_eq!(accept("2026-11-28").code, 0);
    assert_eq!(night(&bench, 3).code, 0);
    assert_eq!(summary(&bench, "2026-11-29")["sweeps"][0]["compared_with"], "2026-11-28");
}

#[test]
fn runs_that_do_not_finish_any_more_are_a_regression_and_those_that_never_did_are_not() {
    let bench = bench("");
    bench.rule(1, 16, Act::Fail);
    let first = night(&bench, 0);
    assert_eq!(first.code, 3, "{}", first.stderr);
    assert_eq!(night(&bench, 1).code, 3, "as before");
    bench.rules(&[(1, 16, Act::Fail), (2, 16, Act::Diverge)]);
    let worse = night(&bench, 2);
    assert_eq!(worse.code, 4, "{}", worse.stderr);
    assert!(
        worse.stdout.contains("- batch_size, batch_size = 16: 1 run does not finish any more\n"),
        "{}",
        worse.stdout
    );
    let nightly = bench.read("nightly.toml");
    bench.write("nightly.toml", &format!("{nightly}[regression]\nlost_runs = false\n"));
    assert_eq!(night(&bench, 3).code, 3);
    let compared = |night: &str| summary(&bench, night)["sweeps"][0]["compared_with"].clone();
    assert_eq!(compared("2026-11-29"), "2026-11-27");
    // Without a regression it is still no night to compare with: what it lost would be missed by nobody.
    assert_eq!(night(&bench, 4).code, 3);
    assert_eq!(compared("2026-11-30"), "2026-11-27");
}

/// Silently comparing with nothing would be a night without any regression.
#[test]
fn a_named_night_that_is_not_there_is_an_error() {
    let bench = bench("");
    assert_eq!(night(&bench, 0).code, 0);
    let nightly = bench.read("nightly.toml");
    bench.write("nightly.toml", &format!("{nightly}compare_with = \"2026-11-62\"\n"));
    for args in [&["--check"][..], &[]] {
        let refused = bench.wait(Running::start(command(&bench, EVENING, args)));
        assert_eq!(refused.code, 2, "{}{}", refused.stdout, refused.stderr);
        assert!(
            refused
                .stderr
                .contains("there is no night `2026-11-62` that has ended; there are 2026-11-26"),
            "{}",
            refused.stderr
        );
    }
    assert_eq!(bench.ledger().len(), 24, "no night began");
    bench.write("nightly.toml", &format!("{nightly}compare_with = \"2026-11-26\"\n"));
    assert_eq!(night(&bench, 1).code, 0);
}

/// A library that says the same version of itself and holds something else.
#[test]
fn a_library_with_other_contents_is_listed_beside_what_moved() {
    let bench = bench("");
    bench.write("libtorch_cpu.so", "one build");
    let library = bench.path("libtorch_cpu.so");
    bench.script(|script| script.libraries = vec![library.clone()]);
    assert_eq!(night(&bench, 0).code, 0);
    bench.write("libtorch_cpu.so", "another build");
    bench.change_script(|script| script.worse_by = 60);
    assert_eq!(night(&bench, 1).code, 4);
    let sweep = &summary(&bench, "2026-11-27")["sweeps"][0];
    let changed: Vec<&Value> = sweep["changed"].as_array().unwrap().iter().collect();
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert_eq!(changed[0]["what"], "libtorch_cpu.so");
}

/// Whatever a row is made of besides the machine.
#[test]
fn changed_settings_images_and_weights_are_listed() {
    let bench = bench("");
    assert_eq!(night(&bench, 0).code, 0);
    bench.write("data/train/cleaned/0000.jpg", "another picture");
    // As valid as before, and other bytes.
    bench.write("weights.safetensors", "\u{3}\0\0\0\0\0\0\0{} ");
    let base = bench.read("base.toml");
    bench.write("base.toml", &format!("{base}\n[train]\nepochs = 7\n"));
    assert_eq!(night(&bench, 1).code, 0);
    let changed = &summary(&bench, "2026-11-27")["sweeps"][0]["changed"];
    let whats = changed.as_array().unwrap().iter().map(|one| one["what"].as_str().unwrap());
    assert_eq!(whats.collect::<Vec<_>>(), ["configurations", "training images", "weights"]);
}

/// Two sweeps have the baseline's runs in common, and are compared with two nights.
#[test]
fn a_row_that_two_sweeps_share_is_compared_with_the_night_of_each() {
    let bench = bench("");
    let sweep = bench.read("batch_size.toml");
    bench.write("sx.toml", &sweep.replace("[16, 32, 64]", "[16, 32]"));
    bench.write("sy.toml", &sweep.replace("[16, 32, 64]", "[32, 64]"));
    let nightly = bench.read("nightly.toml");
    let both = "sweeps = [\"sx.toml\", \"sy.toml\"]";
    bench.write("nightly.toml", &nightly.replace("sweeps = [\"batch_size.toml\"]", both));
    let effect =
        |batch_size, add| Effect { batch_size: Some(batch_size), add, ..Effect::default() };
    for (day, effects, code) in
        [(0, vec![], 0), (1, vec![effect(32, 0.1), effect(16, -0.2)], 4), (2, vec![], 4)]
    {
        let world = World { accuracy: 0.8, effects, images: 500, ..World::default() };
        bench.script(|script| script.world = Some(world));
        let ran = night(&bench, day);
        assert_eq!(ran.code, code, "{day}: {}{}", ran.stdout, ran.stderr);
    }
    let sweeps = &summary(&bench, "2026-11-28")["sweeps"];
    let baseline = |sweep: usize| {
        let rows = sweeps[sweep]["rows"].as_array().unwrap();
        rows.iter().find(|row| row["baseline"] == true).unwrap()["outcome"].clone()
    };
    assert_eq!(
        [&sweeps[0], &sweeps[1]].map(|sweep| sweep["compared_with"].as_str().unwrap()),
        ["2026-11-26", "2026-11-27"]
    );
    assert_eq!([baseline(0), baseline(1)], ["same", "worse"]);
}
