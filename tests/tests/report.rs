//! What is printed of what came out.

use crate::bench::Bench;

#[test]
fn unlabelled_test_images_get_a_submission() {
    let bench = Bench::new();
    for number in [2, 0, 1] {
        bench.write(&format!("data/plates/000{number}.jpg"), "plate");
    }
    let args =
        ["run", "batch_size.toml", "--set", "test=\"data/plates\"", "--set", "batch_size=16"];
    let ran = bench.sweep(&args);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let submission = bench.run_folder("b16-lr0.0001-s1").join("submission.csv");
    insta::assert_snapshot!(fs_err::read_to_string(submission).unwrap(), @"
    id,label
    0000,cleaned
    0001,dirty
    0002,cleaned
    ");
    let table = ran.stdout.split("To hand in").next().unwrap();
    insta::assert_snapshot!(table, @r#"
    # batch_size

    with --set 'test="data/plates"' --set batch_size=16

    | factor     | level         |              score | validation accuracy | 95 % interval | difference |     p | verdict                                 | seeds |
    | ---------- | ------------- | -----------------: | ------------------: | ------------: | ---------: | ----: | --------------------------------------- | ----: |
    | batch_size | 16 (baseline) | awaits leaderboard |               68750 |   815 - 99997 |          - |     - | the baseline                            |     2 |
    | batch_size | 32            | awaits leaderboard |               68750 |   815 - 99997 |          0 | 1.000 | too few seeds to tell: 7 needed, 2 here |     2 |
    | batch_size | 64            | awaits leaderboard |               68750 |   815 - 99997 |          0 | 1.000 | too few seeds to tell: 7 needed, 2 here |     2 |

    The test images have no labels here: a score comes from the leaderboard, and the validation accuracy stands beside it.

    One validation image of 8 is worth 12500 points.

    Intervals are 95 %: those of scores over other seeds and other validation images, those of differences over other seeds on these validation images. Differences are to the baseline under the same seeds, and p is Holm's over all rows: in at most one table of twenty is any "better" or "worse" a false one. Each interval is 95 % by itself: of many rows some intervals miss. With so few seeds no difference could have been shown, however large.

    batch_size: 32 and 64 trained exactly as 16 did, under every seed: here the difference changes nothing.

    What the runs took, in the mean over seeds, and how seeds differ. Time that runs share, such as for features, counts for the first of them:

    | factor     | level         |  std |     min - max | epochs | updates | images seen |  time |
    | ---------- | ------------- | ---: | ------------: | -----: | ------: | ----------: | ----: |
    | batch_size | 16 (baseline) | 8839 | 62500 - 75000 |      3 |     300 |        9600 | T.T s |
    | batch_size | 32            | 8839 | 62500 - 75000 |      3 |     300 |        9600 | T.T s |
    | batch_size | 64            | 8839 | 62500 - 75000 |      3 |     300 |        9600 | T.T s |
    "#);
    assert_eq!(ran.stdout.matches("submission.csv").count(), 3, "{}", ran.stdout);
}

#[test]
fn without_test_images_the_score_is_the_validation_accuracy() {
    let bench = Bench::new();
    let base = bench.read("base.toml").replace("test = \"data/test\"", "");
    bench.write("base.toml", &base);
    let ran = bench.sweep(&["run", "batch_size.toml", "--score-format", "percent"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    insta::assert_snapshot!(ran.stdout, @r#"
    # batch_size

    | factor     | level         | validation accuracy (%) | 95 % interval | difference |     p | verdict                                 | seeds |
    | ---------- | ------------- | ----------------------: | ------------: | ---------: | ----: | --------------------------------------- | ----: |
    | batch_size | 16            |                   68.75 | 0.82 - 100.00 |       0.00 | 1.000 | too few seeds to tell: 7 needed, 2 here |     2 |
    | batch_size | 32 (baseline) |                   68.75 | 0.82 - 100.00 |          - |     - | the baseline                            |     2 |
    | batch_size | 64            |                   68.75 | 0.82 - 100.00 |       0.00 | 1.000 | too few seeds to tell: 7 needed, 2 here |     2 |

    One validation image of 8 is worth 12.50 percentage points.

    Intervals are 95 %: those of scores over other seeds and other validation images, those of differences over other seeds on these validation images. Differences are to the baseline under the same seeds, and p is Holm's over all rows: in at most one table of twenty is any "better" or "worse" a false one. Each interval is 95 % by itself: of many rows some intervals miss. With so few seeds no difference could have been shown, however large.

    batch_size: 32 and 64 trained exactly as 16 did, under every seed: here the difference changes nothing.

    What the runs took, in the mean over seeds, and how seeds differ. Time that runs share, such as for features, counts for the first of them:

    | factor     | level         |  std |     min - max | epochs | updates | images seen |  time |
    | ---------- | ------------- | ---: | ------------: | -----: | ------: | ----------: | ----: |
    | batch_size | 16            | 8.84 | 62.50 - 75.00 |      3 |     300 |        9600 | T.T s |
    | batch_size | 32 (baseline) | 8.84 | 62.50 - 75.00 |      3 |     300 |        9600 | T.T s |
    | batch_size | 64            | 8.84 | 62.50 - 75.00 |      3 |     300 |        9600 | T.T s |
    "#);
}

#[test]
fn a_baseline_outside_the_levels_shows_its_value() {
    let bench = Bench::new();
    bench.write(
        "two.toml",
        r#"
        extends = "base.toml"
        [factors]
        batch_size = [16, 64]
        epochs = [10, 50]
        head = [{ hidden = [64] }]
        "#,
    );
    let plan = bench.sweep(&["plan", "two.toml"]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    insta::assert_snapshot!(plan.stdout, @"
    # two

    | factor     | level                  | runs | state   |
    | ---------- | ---------------------- | ---: | ------- |
    | batch_size | 32 (baseline)          |    1 | 1 to do |
    | batch_size | 16                     |    1 | 1 to do |
    | batch_size | 64                     |    1 | 1 to do |
    | epochs     | 10                     |    1 | 1 to do |
    | epochs     | 50 (baseline)          |    1 | 1 to do |
    | head       | hidden = [] (baseline) |    1 | 1 to do |
    | head       | hidden = [64]          |    1 | 1 to do |

    5 runs, 5 to do
    ");
    let ran = bench.sweep(&["run", "two.toml"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let table = ran.stdout.split("What the runs took").next().unwrap();
    let scores: Vec<&str> = table
        .lines()
        .filter(|line| line.contains("(baseline)"))
        .map(|line| line.split('|').nth(3).unwrap().trim())
        .collect();
    assert_eq!(scores.len(), 3, "{}", ran.stdout);
    assert!(scores.iter().all(|score| *score == scores[0] && *score != "-"), "{}", ran.stdout);
}

#[test]
fn scores_on_different_images_are_told_apart() {
    let bench = Bench::new();
    bench.write("data/plates/0001.jpg", "plate");
    bench.write(
        "test.toml",
        r#"
        extends = "base.toml"
        [factors]
        test = ["data/test", "data/plates", false]
        "#,
    );
    let ran = bench.sweep(&["run", "test.toml"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let table = ran.stdout.split("To hand in").next().unwrap();
    insta::assert_snapshot!(table, @"
    # test

    | factor | level                | score | measured on                             | 95 % interval | seeds |
    | ------ | -------------------- | ----: | --------------------------------------- | ------------: | ----: |
    | test   | data/test (baseline) | 58736 | 744 test images                         | 55102 - 62300 |     1 |
    | test   | data/plates          | 62500 | 8 validation images; awaits leaderboard | 24486 - 91476 |     1 |
    | test   | off                  | 62500 | 8 validation images                     | 24486 - 91476 |     1 |

    Rows are measured on different images, as their column says: only scores that are measured on the same can be compared.

    Intervals are 95 %, over other test images for these trained models.

    test: off trained exactly as data/plates did, under every seed: here the difference changes nothing.

    What the runs took, in the mean over seeds, and how seeds differ. Time that runs share, such as for features, counts for the first of them:

    | factor | level                | std | min - max | epochs | updates | images seen |  time |
    | ------ | -------------------- | --: | --------: | -----: | ------: | ----------: | ----: |
    | test   | data/test (baseline) |   - |         - |      3 |     300 |        9600 | T.T s |
    | test   | data/plates          |   - |         - |      3 |     300 |        9600 | T.T s |
    | test   | off                  |   - |         - |      3 |     300 |        9600 | T.T s |
    ");
}

#[test]
fn reports_come_from_the_results_folder_alone() {
    let bench = Bench::new();
    let ran = bench.sweep(&["run", "batch_size.toml"]);
    for gone in ["data", "base.toml", "batch_size.toml"] {
        let path = bench.path(gone);
        if path.is_dir() { fs_err::remove_dir_all(path) } else { fs_err::remove_file(path) }
            .unwrap();
    }
    fs_err::remove_file(bench.path("results/batch_size/report.md")).unwrap();
    assert_eq!(bench.sweep(&["report"]).stdout, ran.stdout);
    assert_eq!(bench.sweep(&["report", "batch_size"]).stdout, ran.stdout);
    assert_eq!(bench.read("results/batch_size/report.md"), ran.stdout, "made anew");
    insta::assert_snapshot!(bench.sweep(&["report", "--score-format", "fraction"]).stdout, @r#"
    # batch_size

    | factor     | level         |  score |   95 % interval | difference |     p | verdict                                 | seeds |
    | ---------- | ------------- | -----: | --------------: | ---------: | ----: | --------------------------------------- | ----: |
    | batch_size | 16            | 0.5800 | 0.4577 - 0.6954 |    -0.0161 | 1.000 | too few seeds to tell: 7 needed, 2 here |     2 |
    | batch_size | 32 (baseline) | 0.5961 | 0.4731 - 0.7108 |          - |     - | the baseline                            |     2 |
    | batch_size | 64            | 0.6284 | 0.5037 - 0.7416 |    +0.0323 | 1.000 | too few seeds to tell: 7 needed, 2 here |     2 |

    One test image of 744 is worth 0.0013.

    Intervals are 95 %: those of scores over other seeds and other test images, those of differences over other seeds on these test images. Differences are to the baseline under the same seeds, and p is Holm's over all rows: in at most one table of twenty is any "better" or "worse" a false one. Each interval is 95 % by itself: of many rows some intervals miss. With so few seeds no difference could have been shown, however large.

    What the runs took, in the mean over seeds, and how seeds differ. Time that runs share, such as for features, counts for the first of them:

    | factor     | level         |    std |       min - max | epochs | updates | images seen |  time |
    | ---------- | ------------- | -----: | --------------: | -----: | ------: | ----------: | ----: |
    | batch_size | 16            | 0.0124 | 0.5712 - 0.5887 |      3 |     300 |        9600 | T.T s |
    | batch_size | 32 (baseline) | 0.0124 | 0.5874 - 0.6048 |      3 |     300 |        9600 | T.T s |
    | batch_size | 64            | 0.0124 | 0.6196 - 0.6371 |      3 |     300 |        9600 | T.T s |
    "#);
    let json = bench.sweep(&["report", "--json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["rows"][0]["score"]["n"], 2);
    let csv = bench.read("results/batch_size/runs.csv");
    assert_eq!(csv.lines().count(), 7);
    let unknown = bench.sweep(&["report", "batchsize"]);
    assert_eq!(unknown.code, 2);
    insta::assert_snapshot!(unknown.stderr, @"
    × there is no sweep `batchsize` in results; it has batch_size
    help: --results names another folder
    ");
}

#[test]
fn plan_says_what_would_run_and_touches_nothing() {
    let bench = Bench::new();
    let plan = bench.sweep(&["plan", "batch_size.toml"]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    insta::assert_snapshot!(plan.stdout, @"
    # batch_size

    | factor     | level         | runs | state   |
    | ---------- | ------------- | ---: | ------- |
    | batch_size | 16            |    2 | 2 to do |
    | batch_size | 32 (baseline) |    2 | 2 to do |
    | batch_size | 64            |    2 | 2 to do |

    6 runs, 6 to do
    ");
    assert!(!bench.path("results").exists());
    bench.sweep(&["run", "batch_size.toml"]);
    let plan = bench.sweep(&["plan", "batch_size.toml", "--json"]).stdout;
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert_eq!((&plan[0]["runs"], &plan[0]["to_do"]), (&6.into(), &0.into()));
    assert_eq!(plan[0]["rows"][1]["runs"][0]["run"].as_str().unwrap().len(), 64);
}

#[test]
fn an_empty_results_folder_is_no_error() {
    let bench = Bench::new();
    let status = bench.sweep(&["status"]);
    assert_eq!(
        (status.code, status.stdout.as_str()),
        (0, "no sweep has run in results; nothing is at work there\n")
    );
    let report = bench.sweep(&["report"]);
    assert_eq!((report.code, report.stdout.as_str()), (0, ""));
    assert!(!bench.path("results").exists(), "looking makes no folder");
}
