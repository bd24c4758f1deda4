//! Runs that go well, and runs that fail in orderly ways.

use end_to_end::script::{Act, Rule};

use crate::bench::Bench;

#[test]
fn the_first_run_does_all_and_the_second_nothing() {
    let bench = Bench::new();
    let ran = bench.sweep(&["run", "batch_size.toml"]);
    insta::assert_snapshot!(ran.stdout, @r#"
    # batch_size

    | factor     | level         | score | 95 % interval | difference |     p | verdict                                 | seeds |
    | ---------- | ------------- | ----: | ------------: | ---------: | ----: | --------------------------------------- | ----: |
    | batch_size | 16            | 57997 | 45774 - 69540 |      -1613 | 1.000 | too few seeds to tell: 7 needed, 2 here |     2 |
    | batch_size | 32 (baseline) | 59610 | 47311 - 71082 |          - |     - | the baseline                            |     2 |
    | batch_size | 64            | 62836 | 50374 - 74160 |      +3226 | 1.000 | too few seeds to tell: 7 needed, 2 here |     2 |

    One test image of 744 is worth 134 points.

    Intervals are 95 %: those of scores over other seeds and other test images, those of differences over other seeds on these test images. Differences are to the baseline under the same seeds, and p is Holm's over all rows: in at most one table of twenty is any "better" or "worse" a false one. Each interval is 95 % by itself: of many rows some intervals miss. With so few seeds no difference could have been shown, however large.

    What the runs took, in the mean over seeds, and how seeds differ. Time that runs share, such as for features, counts for the first of them:

    | factor     | level         |  std |     min - max | epochs | updates | images seen |  time |
    | ---------- | ------------- | ---: | ------------: | -----: | ------: | ----------: | ----: |
    | batch_size | 16            | 1236 | 57123 - 58870 |      3 |     300 |        9600 | T.T s |
    | batch_size | 32 (baseline) | 1236 | 58736 - 60483 |      3 |     300 |        9600 | T.T s |
    | batch_size | 64            | 1236 | 61962 - 63709 |      3 |     300 |        9600 | T.T s |
    "#);
    insta::assert_snapshot!(ran.stderr, @"
    6 runs: 0 done before, 6 to do on cpu 1 ([CORES] threads)
    [1/6] baseline seed 1: 58736 (3 epochs, [TIME])
    [2/6] baseline seed 2: 60483 (3 epochs, [TIME])
    [3/6] batch_size=16 seed 1: 57123 (3 epochs, [TIME])
    [4/6] batch_size=16 seed 2: 58870 (3 epochs, [TIME])
    [5/6] batch_size=64 seed 1: 61962 (3 epochs, [TIME])
    [6/6] batch_size=64 seed 2: 63709 (3 epochs, [TIME])
    ");
    assert_eq!(ran.code, 0);
    assert_eq!(bench.ledger().len(), 6);

    let again = bench.sweep(&["run", "batch_size.toml"]);
    assert_eq!((again.code, &again.stdout), (0, &ran.stdout));
    assert_eq!(again.stderr, "6 runs: all done before\n");
    assert_eq!(bench.ledger().len(), 6);
    assert_eq!(bench.read("results/batch_size/report.md"), ran.stdout);
}

#[test]
fn a_run_folder_holds_what_it_should() {
    let bench = Bench::new();
    bench.sweep(&["run", "batch_size.toml"]);
    let folder = bench.run_folder("b16-lr0.0001-s2");
    let read = |name: &str| fs_err::read_to_string(folder.join(name)).unwrap();
    insta::assert_snapshot!(read("metrics.csv"), @"
    fold,epoch,loss,accuracy,val_loss,val_accuracy,val_auc,learning_rate,seconds
    ,1,1.0,0.5,2.0,0.5,0.5,0.0001,0.25
    ,2,0.5,0.5,1.0,0.5,0.5,0.0001,0.25
    ,3,0.3333333333333333,0.5,0.6666666666666666,0.5,0.5,0.0001,0.25
    ");
    assert!(read("attempts/1.log").contains("stopped early at epoch 3\n"));
    let logs = bench.results().into_iter().filter(|file| file.ends_with("/1.log"));
    let logs: String = logs.map(|file| bench.read(&format!("results/{file}"))).collect();
    assert_eq!(logs.matches("chatter\n").count(), 6, "stderr goes to the logs: {logs}");
    let result: serde_json::Value = serde_json::from_str(&read("result.json")).unwrap();
    assert_eq!(result["outcome"], "finished");
    assert_eq!(result["test"]["correct"], 438);
    let config: serde_json::Value = serde_json::from_str(&read("config.json")).unwrap();
    assert_eq!(config["seed"], 2);
    let leftovers: Vec<_> =
        bench.results().into_iter().filter(|file| file.ends_with(".part")).collect();
    assert_eq!(leftovers, [""; 0]);
}

#[test]
fn sweeps_share_the_baseline_and_it_runs_once() {
    let bench = Bench::new();
    bench.write(
        "learning_rate.toml",
        r#"
        extends = "base.toml"
        strategy = "ofat"
        replicates = 2
        [factors]
        learning_rate = [1e-4, 5e-3]
        "#,
    );
    let ran = bench.sweep(&["run", "batch_size.toml", "learning_rate.toml"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(bench.ledger().len(), 8, "6 + 4 runs, of which 2 are the same");
    assert!(ran.stderr.starts_with("8 runs: 0 done before, 8 to do"), "{}", ran.stderr);
    assert!(ran.stdout.contains("# batch_size\n") && ran.stdout.contains("\n# learning_rate\n"));
}

#[test]
fn several_slots_share_the_work() {
    let bench = Bench::new();
    let one = bench.sweep(&["run", "batch_size.toml", "--results", "one"]);
    let three = bench.sweep(&["run", "batch_size.toml", "--devices", "cpu:3"]);
    assert_eq!((three.code, three.stdout), (0, one.stdout));
    assert_eq!(bench.ledger().len(), 12);
}

#[test]
fn a_failing_run_does_not_stop_the_rest_and_stays_until_it_is_retried() {
    let bench = Bench::new();
    let rule =
        |seed, batch_size, act| Rule { seed, batch_size: Some(batch_size), times: None, act };
    bench.script(|script| {
        script.rules = vec![rule(Some(2), 16, Act::Fail), rule(None, 64, Act::Diverge)];
    });
    let ran = bench.sweep(&["run", "batch_size.toml"]);
    assert_eq!(ran.code, 3);
    insta::assert_snapshot!(ran.stdout, @r#"
    # batch_size

    | factor     | level         | score | 95 % interval |             difference |   p | verdict                                                                             | seeds | not finished    |
    | ---------- | ------------- | ----: | ------------: | ---------------------: | --: | ----------------------------------------------------------------------------------- | ----: | --------------- |
    | batch_size | 16            | 57123 | 53477 - 60712 | -1613 (-6611 to +3397) |   - | too few seeds to tell: 7 needed, 1 here (these two models: p = 0.56); 1 of 2 failed |     1 | 1 of 2 failed   |
    | batch_size | 32 (baseline) | 59610 | 47311 - 71082 |                      - |   - | the baseline                                                                        |     2 |                 |
    | batch_size | 64            |     - |             - |                      - |   - | -                                                                                   |     0 | 2 of 2 diverged |

    One test image of 744 is worth 134 points.

    Intervals are 95 %: those of scores over other seeds and other test images, or other test images for these trained models, those of differences over other test images for these trained models. Differences are to the baseline under the same seeds, and p is Holm's over all rows: in at most one table of twenty is any "better" or "worse" a false one. Each interval is 95 % by itself: of many rows some intervals miss. With so few seeds no difference could have been shown, however large.

    What the runs took, in the mean over seeds, and how seeds differ. Time that runs share, such as for features, counts for the first of them:

    | factor     | level         |  std |     min - max | epochs | updates | images seen |  time |
    | ---------- | ------------- | ---: | ------------: | -----: | ------: | ----------: | ----: |
    | batch_size | 16            |    - |             - |      3 |     300 |        9600 | T.T s |
    | batch_size | 32 (baseline) | 1236 | 58736 - 60483 |      3 |     300 |        9600 | T.T s |

    Not finished:
    - 1 x failed: scripted failure
    - 2 x diverged: the loss became infinite
    "#);
    insta::assert_snapshot!(ran.stderr, @"
    6 runs: 0 done before, 6 to do on cpu 1 ([CORES] threads)
    [1/6] baseline seed 1: 58736 (3 epochs, [TIME])
    [2/6] baseline seed 2: 60483 (3 epochs, [TIME])
    [3/6] batch_size=16 seed 1: 57123 (3 epochs, [TIME])
    [4/6] batch_size=16 seed 2: failed: scripted failure ([TIME])
    [5/6] batch_size=64 seed 1: diverged: the loss became infinite ([TIME])
    [6/6] batch_size=64 seed 2: diverged: the loss became infinite ([TIME])
    3 of 6 runs did not finish; --retry-failed runs them again, and what they said is in results/runs/*/attempts
    ");

    bench.script(|_| {});
    let again = bench.sweep(&["run", "batch_size.toml"]);
    assert_eq!((again.code, &again.stdout), (3, &ran.stdout), "failures are results");
    assert!(
        again.stderr.starts_with(
            "6 runs: all ended before, 3 of them failed; --retry-failed runs those again\n"
        ),
        "{}",
        again.stderr
    );
    assert_eq!(bench.ledger().len(), 6);

    let retried = bench.sweep(&["run", "batch_size.toml", "--retry-failed"]);
    assert_eq!(retried.code, 0, "{}", retried.stderr);
    assert_eq!(bench.ledger().len(), 9, "only the three failed ones ran again");
    let folder = bench.run_folder("b16-lr0.0001-s2");
    let result = fs_err::read_to_string(folder.join("result.json")).unwrap();
    let result: serde_json::Value = serde_json::from_str(&result).unwrap();
    assert_eq!(result["attempts"], 2);
    assert!(folder.join("attempts/1.log").is_file() && folder.join("attempts/2.log").is_file());
}

#[test]
fn a_cut_result_counts_as_none() {
    let bench = Bench::new();
    bench.sweep(&["run", "batch_size.toml"]);
    let result = bench.run_folder("b16-lr0.0001-s2").join("result.json");
    let text = fs_err::read(&result).unwrap();
    fs_err::write(&result, &text[..text.len() / 2]).unwrap();
    let again = bench.sweep(&["run", "batch_size.toml"]);
    assert_eq!(again.code, 0);
    assert!(again.stderr.contains("the run counts as not done"), "{}", again.stderr);
    assert!(again.stderr.contains("6 runs: 5 done before, 1 to do"), "{}", again.stderr);
    assert_eq!(bench.ledger().len(), 7);
    let result = fs_err::read_to_string(&result).unwrap();
    assert!(result.contains(r#""outcome": "finished""#), "{result}");
}

#[test]
fn a_newer_result_is_refused() {
    let bench = Bench::new();
    bench.sweep(&["run", "batch_size.toml"]);
    let result = bench.run_folder("b16-lr0.0001-s2").join("result.json");
    fs_err::write(&result, br#"{"version": 7}"#).unwrap();
    let again = bench.sweep(&["run", "batch_size.toml"]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("format version 7"), "{}", again.stderr);
    assert_eq!(fs_err::read(&result).unwrap(), br#"{"version": 7}"#);
}

#[test]
fn quiet_says_nothing_and_verbose_says_why() {
    let bench = Bench::new();
    let quiet = bench.sweep(&["run", "batch_size.toml", "--quiet"]);
    assert_eq!((quiet.code, quiet.stderr.as_str()), (0, ""));
    assert!(quiet.stdout.starts_with("# batch_size"));
    let verbose = bench.sweep(&["run", "batch_size.toml", "-v", "--results", "other"]);
    assert!(verbose.stderr.contains("stopped early at epoch 3"), "{}", verbose.stderr);
}

#[test]
fn a_set_value_is_told_in_the_report_and_a_replaced_plan_on_stderr() {
    let bench = Bench::new();
    let plain = bench.sweep(&["run", "batch_size.toml"]);
    let changed = bench.sweep(&["run", "batch_size.toml", "--set", "batch_size=8"]);
    assert_eq!(changed.code, 0, "{}", changed.stderr);
    let said = "batch_size: another plan than before; results stay\n  new  batch_size = 8 (2 runs)\n\
                8 runs: 6 done before, 2 to do";
    assert!(changed.stderr.starts_with(said), "{}", changed.stderr);
    assert!(changed.stdout.starts_with("# batch_size\n\nwith --set batch_size=8\n\n| factor"));
    assert_eq!(bench.sweep(&["report"]).stdout, changed.stdout);

    let again = bench.sweep(&["run", "batch_size.toml"]);
    assert!(
        again.stderr.contains("results stay\n  gone batch_size = 8 (2 runs)\n6 runs: all done"),
        "{}",
        again.stderr
    );
    // Rows came and went when results were there, which the report has to say.
    let table =
        |text: &str| text.split_once("\n\nOne test image").map(|(table, _)| table.to_owned());
    assert!(table(&plain.stdout).is_some());
    assert_eq!(table(&again.stdout), table(&plain.stdout));
    assert!(again.stdout.contains("when 6 runs had results, 3 rows to compare in place of 2"));
}

#[test]
fn garbage_is_removed_and_results_are_not() {
    let bench = Bench::new();
    let ran = bench.sweep(&["run", "batch_size.toml"]);
    bench.write("results/cache/0123.safetensors", "features");
    bench.write("results/cache/4567.part", "half");
    let run = bench.run_folder("b16-lr0.0001-s1");
    fs_err::write(run.join(".result.json.part"), "half").unwrap();
    let before = bench.results().len();
    let gc = bench.sweep(&["gc"]);
    assert_eq!(gc.stdout, "removed 2 files (8 B); 8 B of features are left\n", "{}", gc.stderr);
    let gc = bench.sweep(&["gc", "--cache", "0"]);
    assert_eq!(gc.stdout, "removed 1 file (8 B); 0 B of features are left\n", "{}", gc.stderr);
    // The locks of the two stay.
    assert_eq!(bench.results().len(), before - 3 + 2);
    assert_eq!(bench.sweep(&["report"]).stdout, ran.stdout);
}
