//! Sweeps whose next runs hang on the results of earlier ones, in a world in which the truth is known.

use std::collections::BTreeSet;

use end_to_end::script::{Act, Effect, Rule, World};
use rustix::process::Signal;

use crate::bench::{Bench, Ran};

/// A bench on which learning rate 0.001 is truly better than 0.0001, and batch sizes are all alike.
fn bench() -> Bench {
    let bench = Bench::new();
    world(&bench, vec![Effect { learning_rate: Some(1e-3), add: 0.15, ..Effect::default() }]);
    bench
}

fn world(bench: &Bench, effects: Vec<Effect>) {
    bench.script(|script| {
        script.world = Some(World { accuracy: 0.6, effects, images: 200, ..World::default() });
    });
}

fn chain(bench: &Bench, more: &str) {
    bench.write(
        "chain.toml",
        &format!(
            r#"
            extends = "base.toml"
            strategy = "chain"
            replicates = 8
            {more}
            [factors]
            batch_size = [16, 32, 64]
            learning_rate = [1e-4, 1e-3]
            epochs = [25, 50]
            "#
        ),
    );
}

fn plan_json(bench: &Bench, name: &str) -> serde_json::Value {
    serde_json::from_str(&bench.read(&format!("results/{name}/plan.json"))).unwrap()
}

/// Factor, level and whether the incumbent stayed, of each stage.
fn path(bench: &Bench, name: &str) -> Vec<String> {
    let plan = plan_json(bench, name);
    let stages = plan["stages"].as_array().unwrap();
    let words = stages.iter().map(|stage| {
        let choice = &stage["choice"];
        let stays = if choice["stays"].as_bool().unwrap() { "stays" } else { "is taken" };
        format!(
            "{} {} {stays}",
            stage["factor"].as_str().unwrap(),
            choice["level"].as_str().unwrap()
        )
    });
    words.collect()
}

fn ran(bench: &Bench, args: &[&str]) -> Ran {
    let ran = bench.sweep(args);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran
}

#[test]
fn a_chain_follows_a_true_winner_and_no_noise() {
    let bench = bench();
    chain(&bench, "");
    let plan = ran(&bench, &["plan", "chain.toml"]);
    insta::assert_snapshot!(plan.stdout);
    let said = ran(&bench, &["run", "chain.toml"]);
    assert_eq!(
        path(&bench, "chain"),
        ["batch_size 32 stays", "learning_rate 0.001 is taken", "epochs 50 stays"]
    );
    insta::assert_snapshot!(said.stdout);
    // 1 baseline, 2 batch sizes, 1 learning rate, 1 number of epochs on top of it.
    assert_eq!(bench.ledger().len(), 5 * 8);
    let again = ran(&bench, &["run", "chain.toml"]);
    assert_eq!(again.stdout, said.stdout);
    assert_eq!(bench.ledger().len(), 5 * 8, "{}", again.stderr);
    assert_eq!(ran(&bench, &["report", "chain"]).stdout, said.stdout);
}

#[test]
fn a_chain_that_takes_the_best_takes_noise_too() {
    let bench = bench();
    chain(&bench, "switch = \"best\"");
    ran(&bench, &["run", "chain.toml"]);
    let path = path(&bench, "chain");
    assert_eq!(path[1], "learning_rate 0.001 is taken");
    let taken = path.iter().filter(|stage| stage.ends_with("is taken")).count();
    assert!(taken > 1, "{path:?}");
}

/// What is good on test images alone is not followed, unless the file says so; then the report does too.
#[test]
fn a_chain_chooses_by_test_images_only_where_it_is_told_to() {
    let bench = Bench::new();
    let trap = Effect { batch_size: Some(64), add_test: 0.15, ..Effect::default() };
    world(&bench, vec![trap]);
    chain(&bench, "");
    let said = ran(&bench, &["run", "chain.toml"]);
    assert_eq!(path(&bench, "chain")[0], "batch_size 32 stays");
    assert!(!said.stdout.contains("chosen on the test images"), "{}", said.stdout);
    chain(&bench, "choose_by = \"test\"");
    let said = ran(&bench, &["run", "chain.toml"]);
    assert_eq!(path(&bench, "chain")[0], "batch_size 64 is taken");
    assert!(said.stdout.contains("chosen on the test images"), "{}", said.stdout);
}

/// Killed in the middle of any of its rows, a sweep goes the same way again.
#[test]
fn killed_anywhere_a_sweep_that_decides_goes_the_same_way() {
    let sizes = |sizes: &[u32], seeds: &[u64]| -> Vec<(u64, u32)> {
        seeds.iter().flat_map(|seed| sizes.iter().map(move |size| (*seed, *size))).collect()
    };
    let cases = [
        ("chain", SIZES_IN_A_CHAIN, sizes(&[32, 16, 8, 128], &[3])),
        ("seeds", SIZES_UNTIL_DECIDED, sizes(&[32, 64, 128], &[3, 5])),
    ];
    for (name, text, kills) in cases {
        let file = format!("{name}.toml");
        let bench = || {
            let bench = Bench::new();
            let winner = Effect { batch_size: Some(128), add: 0.15, ..Effect::default() };
            world(&bench, vec![winner]);
            bench.write(&file, text);
            bench
        };
        let undisturbed = bench();
        let said = ran(&undisturbed, &["run", &file]);
        let disturbed = bench();
        disturbed.change_script(|script| {
            let rule = |(seed, batch_size): &(u64, u32)| Rule {
                seed: Some(*seed),
                batch_size: Some(*batch_size),
                times: Some(1),
                act: Act::Wait,
            };
            script.rules = kills.iter().map(rule).collect();
        });
        for _ in &kills {
            let running = disturbed.start(&["run", &file]);
            let waiting = disturbed.accept();
            running.signal(Signal::KILL);
            drop(running);
            waiting.rest();
        }
        let again = ran(&disturbed, &["run", &file]);
        assert_eq!(again.stdout, said.stdout);
        // What ended just before a kill may not have been stored: it runs again, and nothing else does.
        let runs = |bench: &Bench| bench.ledger().into_iter().collect::<BTreeSet<_>>();
        assert_eq!(runs(&disturbed), runs(&undisturbed));
        assert_eq!(plan_json(&disturbed, name), plan_json(&undisturbed, name));
    }
}

const SIZES_IN_A_CHAIN: &str = r#"
    extends = "base.toml"
    strategy = "chain"
    replicates = 8
    [factors]
    batch_size = [16, 32]
    other = [{ label = "8", batch_size = 8 }, { label = "128", batch_size = 128 }]
    epochs = [25, 50]
    "#;

const SIZES_UNTIL_DECIDED: &str = r#"
    extends = "base.toml"
    replicates = { min = 3, max = 12, until = "decided" }
    [factors]
    batch_size = [32, 64, 128]
    "#;

const ADAPTIVE: &str = r#"
    extends = "base.toml"
    replicates = { min = 3, max = 12, until = "decided" }
    [factors]
    batch_size = [32, 64]
    learning_rate = [1e-4, 1e-3]
    "#;

#[test]
fn seeds_are_spent_where_the_verdict_is_open() {
    let bench = bench();
    bench.write("seeds.toml", &ADAPTIVE.replace("max = 12", "max = 20"));
    insta::assert_snapshot!(ran(&bench, &["plan", "seeds.toml"]).stdout);
    let said = ran(&bench, &["run", "seeds.toml"]);
    insta::assert_snapshot!(said.stdout);
    let plan = plan_json(&bench, "seeds");
    let row = |level: &str| {
        let rows = plan["rows"].as_array().unwrap();
        rows.iter().find(|row| row["settings"][0]["level"] == level).unwrap().clone()
    };
    let seeds = |level: &str| row(level)["runs"].as_array().unwrap().len();
    assert_eq!(row("0.001")["stopped"], "decided");
    assert!(seeds("0.001") < 20, "a clear effect takes few seeds: {}", seeds("0.001"));
    assert!(seeds("64") > seeds("0.001"), "noise takes more: {}", seeds("64"));
    assert_eq!(seeds("32"), seeds("64"), "the baseline has as many as the row with most");
}

/// What such a worker says of a run is a score, and not which images it was right on.
#[test]
fn seeds_are_spent_by_scores_where_images_are_not_told() {
    let bench = Bench::new();
    bench.write("seeds.toml", SIZES_UNTIL_DECIDED);
    let said = ran(&bench, &["run", "seeds.toml"]);
    insta::assert_snapshot!(said.stdout);
    let plan = plan_json(&bench, "seeds");
    for row in plan["rows"].as_array().unwrap().iter().filter(|row| row["baseline"] == false) {
        let seeds = row["runs"].as_array().unwrap().len();
        let stopped = row["stopped"].as_str().unwrap();
        assert!(stopped == "decided" || stopped == "at_most" && seeds == 12, "{row}");
    }
}

/// Without labelled test images there is nothing else to show than what levels were chosen by.
#[test]
fn a_chain_on_validation_images_alone_says_that_it_shows_what_it_chose_by() {
    let bench = bench();
    fs_err::remove_dir_all(bench.path("data/test")).unwrap();
    bench.write("data/test/0000.jpg", "x");
    bench.change_script(|script| {
        script.world = script.world.take().map(|world| World { unlabelled: true, ..world });
    });
    chain(&bench, "");
    let said = ran(&bench, &["run", "chain.toml"]).stdout;
    let warning = "levels were chosen by the scores that stand here.";
    let table = said.find("| factor").unwrap();
    assert!(said.find(warning).is_some_and(|at| at < table), "{said}");
}

#[test]
fn a_grid_has_every_combination_and_shows_interactions() {
    let bench = Bench::new();
    // Together they do more than each by itself.
    let together =
        Effect { batch_size: Some(64), learning_rate: Some(1e-3), add: 0.2, ..Effect::default() };
    world(&bench, vec![together]);
    bench.write(
        "grid.toml",
        r#"
        extends = "base.toml"
        strategy = "grid"
        replicates = 8
        [factors]
        batch_size = [32, 64]
        learning_rate = [1e-4, 1e-3]
        "#,
    );
    insta::assert_snapshot!(ran(&bench, &["plan", "grid.toml"]).stdout);
    insta::assert_snapshot!(ran(&bench, &["run", "grid.toml"]).stdout);
}

#[test]
fn interactions_are_shown_where_they_are_asked_for() {
    let bench = Bench::new();
    let together =
        Effect { batch_size: Some(64), learning_rate: Some(1e-3), add: 0.2, ..Effect::default() };
    world(&bench, vec![together]);
    let text = |more: &str| {
        format!(
            r#"
            extends = "base.toml"
            replicates = 8
            margin = 0.05
            {more}
            [factors]
            batch_size = [32, 64]
            learning_rate = [1e-4, 1e-3]
            epochs = [25, 50]
            "#
        )
    };
    bench.write("ofat.toml", &text("interactions = [[\"batch_size\", \"learning_rate\"]]"));
    let said = ran(&bench, &["run", "ofat.toml"]);
    insta::assert_snapshot!(said.stdout);
    bench.write("ofat.toml", &text(""));
    let said = ran(&bench, &["run", "ofat.toml"]);
    assert!(said.stdout.contains("act on each other"), "{}", said.stdout);
}

#[test]
fn a_random_search_says_what_is_best_and_what_that_owes_to_the_choice() {
    let bench = bench();
    for sampler in ["random", "sobol"] {
        bench.write(
            &format!("{sampler}.toml"),
            &format!(
                r#"
                extends = "base.toml"
                strategy = "random"
                samples = 6
                sampler = "{sampler}"
                replicates = 3
                [factors]
                batch_size = {{ min = 8, max = 128, log = true }}
                learning_rate = [1e-4, 1e-3]
                "#
            ),
        );
    }
    insta::assert_snapshot!(ran(&bench, &["plan", "sobol.toml"]).stdout);
    insta::assert_snapshot!(ran(&bench, &["run", "random.toml"]).stdout);
}

#[test]
fn failures_of_earlier_rounds_count() {
    let bench = bench();
    chain(&bench, "");
    bench.change_script(|script| {
        let rule = |batch_size| Rule {
            seed: Some(1),
            batch_size: Some(batch_size),
            times: None,
            act: Act::Fail,
        };
        script.rules = vec![rule(64), rule(16)];
    });
    let ran = bench.sweep(&["run", "chain.toml", "--max-failures", "3"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("2 of 40 runs did not finish"), "{}", ran.stderr);
    assert_eq!(path(&bench, "chain")[1], "learning_rate 0.001 is taken");

    fs_err::remove_dir_all(bench.path("results")).unwrap();
    bench.change_script(|script| {
        let in_the_next = Rule { seed: Some(2), batch_size: None, times: None, act: Act::Fail };
        script.rules.push(in_the_next);
    });
    let ran = bench.sweep(&["run", "chain.toml", "--max-failures", "6"]);
    assert!(ran.stderr.contains("stopped after 6 failures:"), "{}", ran.stderr);
    let stages = plan_json(&bench, "chain")["stages"].as_array().unwrap().len();
    assert!(
        stages > 1,
        "a third one is planned where the rest of the second ends before it hears of the stop"
    );
    let failed = |file: &String| {
        file.ends_with("result.json")
            && bench.read(&format!("results/{file}")).contains(r#""outcome": "failed""#)
    };
    assert_eq!(bench.results().iter().filter(|file| failed(file)).count(), 6, "five in the first");
}

#[test]
fn what_diverged_or_ran_out_of_memory_in_earlier_rounds_is_no_failure() {
    let bench = bench();
    chain(&bench, "");
    bench.change_script(|script| {
        let rule = |batch_size, act| {
            let (seed, batch_size) = (Some(1), Some(batch_size));
            Rule { seed, batch_size, times: None, act }
        };
        script.rules = vec![rule(64, Act::OutOfMemory), rule(16, Act::Diverge)];
    });
    let ran = bench.sweep(&["run", "chain.toml", "--fail-fast"]);
    assert!(!ran.stderr.contains("stopped after"), "{}", ran.stderr);
    assert!(ran.stderr.contains("2 of 40 runs did not finish"), "{}", ran.stderr);
}

#[test]
fn a_level_that_diverges_under_some_seeds_is_not_taken_and_its_row_says_so() {
    let bench = Bench::new();
    world(&bench, vec![Effect { batch_size: Some(64), add: 0.15, ..Effect::default() }]);
    bench.change_script(|script| {
        script.rules =
            vec![Rule { seed: Some(3), batch_size: Some(64), times: None, act: Act::Diverge }];
    });
    chain(&bench, "");
    let ten = bench.read("chain.toml").replace("replicates = 8", "replicates = 10");
    bench.write("chain.toml", &ten);
    let ran = bench.sweep(&["run", "chain.toml"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert_eq!(path(&bench, "chain")[0], "batch_size 32 stays");
    let row = ran.stdout.lines().find(|line| line.contains("| 64 ")).unwrap();
    for words in ["better where it finishes (p", "; 1 of 10 diverged"] {
        assert!(row.contains(words), "{words}: {row}");
    }
    assert!(ran.stdout.contains("A level of which runs diverged or failed is not taken"));
}

#[test]
fn a_plan_that_is_changed_after_results_existed_says_so() {
    let bench = bench();
    let run = || {
        let ran = bench.sweep(&["run", "batch_size.toml"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout
    };
    let promise = "one table of twenty";
    let first = run();
    assert!(first.contains(promise) && !first.contains("was changed after results"), "{first}");
    assert_eq!(run(), first, "the same again is no change");
    bench.write(
        "batch_size.toml",
        &bench.read("batch_size.toml").replace("replicates = 2", "replicates = 8"),
    );
    for _ in 0..2 {
        let more = run();
        assert!(!more.contains(promise), "{more}");
        let told = "when 6 runs had results, 8 seeds in place of 2. If they had been looked at";
        assert_eq!(more.matches(told).count(), 1, "{more}");
    }
    let report = bench.sweep(&["report", "batch_size"]).stdout;
    assert!(report.contains("The plan was changed after results existed"), "{report}");
}

#[test]
fn every_kind_of_change_is_told_and_a_plan_that_cannot_be_read_is_not_silently_forgotten() {
    let bench = bench();
    let sweep = bench.read("batch_size.toml");
    let run = |from: &str, to: &str| {
        bench.write("batch_size.toml", &sweep.replace(from, to));
        ran(&bench, &["run", "batch_size.toml"])
    };
    run("replicates = 2", "replicates = { min = 2, max = 3, until = \"decided\" }");
    run("replicates = 2", "replicates = 3");
    run("replicates = 2", "replicates = 3\nmargin = 0.05");
    let last = run("replicates = 2\n", "replicates = 3\nmargin = 0.05\n").stdout;
    for told in
        ["3 seeds in place of 2 to 3 until decided", "a margin of 5000 points in place of none"]
    {
        assert!(last.contains(told), "{told}: {last}");
    }
    bench.write("results/batch_size/plan.json", "{");
    let said = run("replicates = 2", "replicates = 3").stderr;
    let told =
        "it is written anew, and the report will not say what was changed after results existed";
    assert!(said.contains("plan.json") && said.contains(told), "{said}");
}
