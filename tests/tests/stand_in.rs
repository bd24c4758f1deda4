//! Random weights in place of pretrained ones: wherever scores are told, they are told as no result.

use crate::bench::Bench;
use crate::scores::unlabelled;

#[test]
fn a_report_marks_its_rows() {
    let bench = Bench::new();
    let ran = bench.sweep(&["run", "batch_size.toml", "--set", "weights=none"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    insta::assert_snapshot!(ran.stdout, @"
    # batch_size

    with --set weights=none

    **Not a result:** rows marked [random weights] ran on a backbone with random weights in place of pretrained ones. They show that the sweep runs, and say nothing about the pretrained backbone or its settings.

    | factor     | level                          | score | seeds |
    | ---------- | ------------------------------ | ----: | ----: |
    | batch_size | 16 [random weights]            | 57997 |     2 |
    | batch_size | 32 (baseline) [random weights] | 59610 |     2 |
    | batch_size | 64 [random weights]            | 62836 |     2 |

    One test image of 744 is worth 134 points.

    What the runs took, in the mean over seeds, and how seeds differ. Time that runs share, such as for features, counts for the first of them:

    | factor     | level                          |  std |     min - max | epochs | updates | images seen |  time |
    | ---------- | ------------------------------ | ---: | ------------: | -----: | ------: | ----------: | ----: |
    | batch_size | 16 [random weights]            | 1236 | 57123 - 58870 |      3 |     300 |        9600 | T.T s |
    | batch_size | 32 (baseline) [random weights] | 1236 | 58736 - 60483 |      3 |     300 |        9600 | T.T s |
    | batch_size | 64 [random weights]            | 1236 | 61962 - 63709 |      3 |     300 |        9600 | T.T s |
    ");
    let csv = bench.read("results/batch_size/runs.csv");
    let column = csv.lines().next().unwrap().split(',').position(|name| name == "random_weights");
    for line in csv.lines().skip(1) {
        assert_eq!(line.split(',').nth(column.unwrap()), Some("true"), "{line}");
    }
    let json = bench.sweep(&["report", "--json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["rows"][0]["stand_in"], true);
    let mixed = bench.sweep(&["run", "batch_size.toml"]).stdout;
    assert!(!mixed.contains("random weights"), "{mixed}");
}

#[test]
fn a_comparison_has_no_verdict() {
    let bench = Bench::new();
    bench.write("other.toml", &bench.read("batch_size.toml"));
    assert_eq!(bench.sweep(&["run", "batch_size.toml", "--set", "weights=none"]).code, 0);
    assert_eq!(bench.sweep(&["run", "other.toml"]).code, 0);
    for other in ["batch_size", "other"] {
        let args = ["compare", "batch_size", other];
        let said = bench.sweep(&args).stdout;
        let rows: Vec<&str> = said.lines().filter(|line| line.contains("batch_size = ")).collect();
        assert_eq!(rows.len(), 3, "{said}");
        for row in rows {
            let marks = if other == "other" { 1 } else { 2 };
            assert_eq!(row.matches(" [random weights] |").count(), marks, "{row}");
            assert!(row.contains("| not compared: ran on random weights |"), "{row}");
        }
        let json = bench.sweep(&[&args[..], &["--json"]].concat()).stdout;
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["rows"][0]["stand_in"], serde_json::json!([true, other == "batch_size"]));
    }
}

#[test]
fn runs_are_marked_as_they_end_and_when_they_are_explained() {
    let bench = Bench::new();
    let ran = bench.sweep(&["run", "batch_size.toml", "--set", "weights=none"]);
    let ended: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with('[')).collect();
    assert_eq!(ended.len(), 6, "{}", ran.stderr);
    assert!(ended.iter().all(|line| line.contains(" [random weights]: ")), "{ended:?}");
    let said = bench.sweep(&["explain", "batch_size:baseline:1"]).stdout;
    let score = said.lines().find(|line| line.trim().starts_with("score ")).unwrap();
    assert!(score.ends_with(" [random weights: not a result]"), "{score}");
}

#[test]
fn nothing_is_to_be_handed_in() {
    let bench = Bench::new();
    unlabelled(&bench);
    let report = bench.sweep(&["report"]).stdout;
    assert!(report.contains("To hand in:"), "{report}");
    let ran = bench.sweep(&["run", "batch_size.toml", "--set", "weights=none"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!ran.stdout.contains("To hand in:"), "{}", ran.stdout);
}
