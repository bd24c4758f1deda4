//! `sweep compare`.

use end_to_end::script::{Act, Effect, Rule, World};

use crate::bench::{Bench, Ran};

fn compare(bench: &Bench, args: &[&str]) -> Ran {
    bench.sweep(&[&["compare"], args].concat())
}

#[test]
fn two_rows_are_compared_under_the_same_seeds() {
    let bench = Bench::new();
    let ran = bench.sweep(&["run", "batch_size.toml"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let rows = ["batch_size:baseline", "batch_size:batch_size=64"];
    let compared = compare(&bench, &rows);
    assert_eq!(compared.code, 0, "{}", compared.stderr);
    insta::assert_snapshot!(compared.stdout, @"
    # batch_size:baseline -> batch_size:batch_size=64

    | row                                | before | after | difference |     p | verdict                                 | seeds |
    | ---------------------------------- | -----: | ----: | ---------: | ----: | --------------------------------------- | ----: |
    | batch_size = 32 -> batch_size = 64 |  59610 | 62836 |      +3226 | 0.500 | too few seeds to tell: 6 needed, 2 here |     2 |

    Differences are after minus before, paired by seed, and by image where the images are the same; p is of this comparison alone: of a row that was picked out of several for its results it is too small.

    No run is the same on both sides.

    What differs besides:
    - train.batch_size: 32 -> 64
    ");
    let json = compare(&bench, &[rows[0], rows[1], "--json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["rows"][0]["seeds"], serde_json::json!([2, 2]));
    let nothing = compare(&bench, &["batch_size", "batchsize"]);
    assert_eq!(nothing.code, 2, "{}", nothing.stderr);
}

#[test]
fn two_nights_are_compared_row_by_row() {
    let bench = Bench::new();
    assert_eq!(bench.sweep(&["run", "batch_size.toml", "--results", "monday"]).code, 0);
    bench.script(|script| {
        script.rules =
            vec![Rule { seed: Some(2), batch_size: Some(16), times: None, act: Act::Fail }];
    });
    assert_eq!(bench.sweep(&["run", "batch_size.toml", "--results", "tuesday"]).code, 3);
    let nights = compare(&bench, &["monday", "tuesday"]);
    assert_eq!(nights.code, 0, "{}", nights.stderr);
    insta::assert_snapshot!(nights.stdout, @"
    # monday -> tuesday

    | row             | before | after |         difference |     p | verdict                                                              | seeds |
    | --------------- | -----: | ----: | -----------------: | ----: | -------------------------------------------------------------------- | ----: |
    | batch_size = 16 |  57997 | 57123 | 0 (-5017 to +5017) |     - | too few seeds to tell: 7 needed, 1 here (these two models: p = 1.00) |  2, 1 |
    | batch_size = 32 |  59610 | 59610 |                  0 | 1.000 | too few seeds to tell: 7 needed, 2 here                              |     2 |
    | batch_size = 64 |  62836 | 62836 |                  0 | 1.000 | too few seeds to tell: 7 needed, 2 here                              |     2 |

    Differences are after minus before, paired by seed, and by image where the images are the same; p is Holm's over the 3 rows compared here, and over no others.

    Finished before and not after:
    - batch_size = 16: seeds 2

    5 runs are the same work on both sides, with the same results.
    ");
    assert_eq!(compare(&bench, &["monday", "tuesday", "--fail-on", "worse"]).code, 4);
    assert_eq!(compare(&bench, &["monday", "monday", "--fail-on", "changed"]).code, 0);
    let sweeps = compare(&bench, &["monday/batch_size", "tuesday/batch_size"]);
    assert_eq!(sweeps.code, 0, "{}", sweeps.stderr);
    // The same work with other numbers.
    let folder = bench.path("tuesday/runs");
    let mut runs = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let run = runs.find(|path| path.to_str().unwrap().contains("b64")).unwrap();
    let result = fs_err::read_to_string(run.join("result.json")).unwrap();
    fs_err::write(run.join("result.json"), result.replace("\"loss\": 0.5", "\"loss\": 0.75"))
        .unwrap();
    let changed = compare(&bench, &["monday", "tuesday"]).stdout;
    assert!(
        changed.contains("Of these gave other numbers:\n- batch_size = 64: seeds"),
        "{changed}"
    );
}

#[test]
fn seeds_that_results_decided_have_p_values_that_allow_for_it() {
    let bench = Bench::new();
    let effects = vec![Effect { batch_size: Some(64), add: 0.15, ..Effect::default() }];
    bench.script(|script| {
        script.world = Some(World { accuracy: 0.6, effects, images: 200, ..World::default() });
    });
    let file = bench.read("batch_size.toml");
    let replicates = |words: &str| {
        bench.write(
            "batch_size.toml",
            &file.replace("replicates = 2", &format!("replicates = {words}")),
        );
    };
    replicates("8");
    let fixed = bench.sweep(&["run", "batch_size.toml"]);
    assert_eq!(fixed.code, 0, "{}", fixed.stderr);
    let rows = ["batch_size:baseline", "batch_size:batch_size=64"];
    let p = || {
        let compared = compare(&bench, &[rows[0], rows[1], "--json"]).stdout;
        let json: serde_json::Value = serde_json::from_str(&compared).unwrap();
        (json["adaptive"].as_bool().unwrap(), json["rows"][0]["comparison"]["p"].as_f64().unwrap())
    };
    let (is_adaptive, of_fixed) = p();
    assert!(!is_adaptive);
    replicates("{ min = 8, max = 9, until = \"decided\" }");
    let ran = bench.sweep(&["run", "batch_size.toml"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let (is_adaptive, of_adaptive) = p();
    assert!(is_adaptive && of_adaptive > of_fixed, "{of_adaptive} for {of_fixed}");
    let told = compare(&bench, &rows).stdout;
    assert!(told.contains("p holds however often one looks"), "{told}");
}

#[test]
fn of_runs_that_have_not_begun_nothing_is_told() {
    let bench = Bench::new();
    for results in ["monday", "tuesday"] {
        assert_eq!(bench.sweep(&["run", "batch_size.toml", "--results", results]).code, 0);
    }
    let runs = bench.path("tuesday/runs");
    fs_err::remove_dir_all(&runs).unwrap();
    fs_err::create_dir(&runs).unwrap();
    let compared = compare(&bench, &["monday", "tuesday"]);
    assert_eq!(compared.code, 0, "{}", compared.stderr);
    assert!(compared.stdout.contains("nothing has finished"), "{}", compared.stdout);
    assert!(!compared.stdout.contains("semantics"), "{}", compared.stdout);
}
