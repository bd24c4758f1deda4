//! The examples that need nothing but a shell and Python.

use std::path::Path;

use crate::bench::{Bench, Ran};

/// The example that the documentation of the protocol shows.
#[test]
fn a_worker_of_one_s_own_speaks_the_protocol() {
    if std::process::Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: there is no python3");
        return;
    }
    let ran = example("worker/worker.toml");
    insta::assert_snapshot!(ran.stdout, @r#"
    # worker

    A worker of one's own

    | factor | level          | score |  95 % interval |                difference |     p | verdict                                 | seeds |
    | ------ | -------------- | ----: | -------------: | ------------------------: | ----: | --------------------------------------- | ----: |
    | lr     | 0.01           | 43784 |   9700 - 77867 | -53771 (-84244 to -23297) | 0.250 | too few seeds to tell: 6 needed, 3 here |     3 |
    | lr     | 0.1 (baseline) | 97554 | 93934 - 100000 |                         - |     - | the baseline                            |     3 |

    Intervals are 95 %, over other seeds. Differences are to the baseline under the same seeds, and p is Holm's over all rows: in at most one table of twenty is any "better" or "worse" a false one. Each interval is 95 % by itself: of many rows some intervals miss. With so few seeds no difference could have been shown, however large.

    What the runs took, in the mean over seeds, and how seeds differ. Time that runs share, such as for features, counts for the first of them:

    | factor | level          |   std |     min - max | epochs | updates | images seen |  time |
    | ------ | -------------- | ----: | ------------: | -----: | ------: | ----------: | ----: |
    | lr     | 0.01           | 13720 | 28145 - 53798 |     10 |      10 |           0 | T.T s |
    | lr     | 0.1 (baseline) |  1457 | 95878 - 98521 |     10 |      10 |           0 | T.T s |
    "#);
}

#[test]
fn the_shell_example_runs() {
    let ran = example("shell/shell.toml");
    assert!(ran.stdout.contains("| lr     | 0.5"), "{}", ran.stdout);
}

fn example(name: &str) -> Ran {
    let bench = Bench::new();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
    let ran = bench.sweep(&["run", file.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran
}
