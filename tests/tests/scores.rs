//! Scores from elsewhere.

use std::path::Path;

use crate::bench::{Bench, Running, limited};

/// The source document's own scores, as `sweeps/document/scores.csv` has them.
#[test]
fn the_documents_scores_support_what_they_support() {
    let bench = Bench::new();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sweeps/document/scores.csv");
    let file = file.to_str().unwrap();
    let ran = bench.sweep(&["report", "--scores", file, "--images", "744"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    insta::assert_snapshot!("document", ran.stdout);
    let json = bench.sweep(&["report", "--scores", file, "--images", "744", "--json"]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let holds = json["rows"].as_array().unwrap().iter();
    let holds = holds.filter(|row| row["against"]["holds"] == true);
    let levels: Vec<&str> = holds.map(|row| row["level"].as_str().unwrap()).collect();
    assert_eq!(levels, ["unfrozen", "64", "50"]);
}

#[test]
fn a_file_of_scores_that_is_none_says_where() {
    let bench = Bench::new();
    let said = |text: &str| {
        bench.write("scores.csv", text);
        let ran = bench.sweep(&["report", "--scores", "scores.csv", "--images", "744"]);
        assert_eq!(ran.code, 2, "{}", ran.stdout);
        ran.stderr.lines().next().unwrap_or_default().trim().to_owned()
    };
    assert_eq!(
        said("factor,level,score\nb,1,63\n"),
        "× scores.csv, line 2: `63` could be 63 % or 0.00063"
    );
    assert!(said("factor,lvel,score\nb,1,0.5\n").contains("unknown field `lvel`"));
    assert_eq!(
        said("factor,level,score,against\nb,1,0.5,b=2\n"),
        "× line 2: there is no row `b=2` to compare with"
    );
    assert!(said("factor,level,score\nb,1,0.5\nb,1,0.6\n").contains("seed 1 is there twice"));
    let images = bench.sweep(&["report", "--scores", "scores.csv"]);
    assert_eq!(images.code, 2);
}

#[test]
fn scores_have_no_form_that_is_not_theirs() {
    let bench = Bench::new();
    bench.write("scores.csv", "factor,level,score\nb,1,0.5\nb,2,0.6\n");
    for (format, code) in [("md", 0), ("json", 0), ("csv", 2), ("parquet", 2), ("html", 2)] {
        let args = ["report", "--scores", "scores.csv", "--images", "744", "--format", format];
        let ran = bench.sweep(&args);
        assert_eq!(
            (ran.code, ran.stdout.is_empty()),
            (code, code == 2),
            "{format}: {}",
            ran.stderr
        );
    }
    let args = ["report", "--scores", "scores.csv", "--images", "744", "--format", "csv"];
    insta::assert_snapshot!(bench.sweep(&args).stderr, @"
    × scores measured elsewhere have no CSV table
    help: --scores has --format md and json; the file itself is the table, and `sweep score --file` takes its scores down beside the runs, whose reports have every format
    ");
    let plots = ["report", "--scores", "scores.csv", "--images", "744", "--plots", "plots"];
    assert_eq!(bench.sweep(&plots).code, 2);
}

/// A sweep whose test images have no labels.
pub(crate) fn unlabelled(bench: &Bench) {
    for number in 0..8 {
        bench.write(&format!("data/plates/000{number}.jpg"), "plate");
    }
    let base = bench.read("base.toml").replace("data/test", "data/plates");
    bench.write("base.toml", &base);
    assert_eq!(bench.sweep(&["run", "batch_size.toml"]).code, 0);
}

#[test]
fn scores_stand_beside_what_is_measured_here() {
    let bench = Bench::new();
    unlabelled(&bench);
    let score = |args: &[&str]| bench.sweep(&[&["score"], args].concat());
    let taken = score(&["batch_size:batch_size=16:1", "0.62500"]);
    assert_eq!(taken.code, 0, "{}", taken.stderr);
    assert!(taken.stderr.contains("62500, 5 of 8 images"), "{}", taken.stderr);
    let odd = score(&["batch_size:batch_size=16:2", "60000"]);
    assert!(odd.stderr.contains("no number of right answers out of 8"), "{}", odd.stderr);
    assert_eq!(score(&["batch_size:batch_size=16:1", "0.62500"]).code, 0, "the same again");
    let other = score(&["batch_size:batch_size=16:1", "0.75"]);
    assert_eq!(other.code, 2);
    assert!(other.stderr.contains("has the score 0.62500 already"), "{}", other.stderr);
    assert_eq!(score(&["batch_size:batch_size=16:1", "0.75", "--replace"]).code, 0);
    assert_eq!(score(&["batch_size:batch_size=16:1", "75"]).code, 2, "ambiguous");
    bench.write(
        "scores.csv",
        "sweep,factor,level,seed,score\nbatch_size,batch_size,32,1,0.5\nbatch_size,batch_size,64,1,0.25\n",
    );
    assert_eq!(score(&["--file", "scores.csv"]).code, 0);
    let json = score(&["batch_size:batch_size=64:2", "0.375", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&json[0]["score"], &json[0]["images"]), (&0.375.into(), &8.into()), "{json}");
    assert_eq!(score(&["batch_size:batch_size=64:2", "0.25", "--replace"]).stdout, "");
    let report = bench.sweep(&["report"]).stdout;
    for words in ["| 67500 ", "| 50000 ", "| 25000 ", "(1 of 2 runs)"] {
        assert!(report.contains(words), "{words}: {report}");
    }
    assert!(
        !report.contains("What is measured here ranks"),
        "all rows have the same here: {report}"
    );
}

#[test]
fn a_command_is_asked_for_scores() {
    let bench = Bench::new();
    unlabelled(&bench);
    let none = bench.sweep(&["score", "--command-of", "batch_size.toml"]);
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("has no [score] command"), "{}", none.stderr);
    let command = "\n[score]\ncommand = [\"sh\", \"-c\", \"wc -l < \\\"$0\\\" >&2; grep -c label; echo 0.500\", \"{submission}\"]\n";
    bench.write("batch_size.toml", &(bench.read("batch_size.toml") + command));
    let asked = bench.sweep(&["score", "--command-of", "batch_size.toml", "--at-most", "4"]);
    assert_eq!(asked.code, 0, "{}", asked.stderr);
    assert!(asked.stderr.contains("asked for 4 scores"), "{}", asked.stderr);
    let rest = bench.sweep(&["score", "--command-of", "batch_size.toml"]);
    assert!(rest.stderr.contains("asked for 2 scores"), "{}", rest.stderr);
}

/// We raise our own limit of open files, for thousands of runs.
#[test]
fn whoever_is_asked_for_a_score_may_open_as_many_files_as_we_were_allowed_to() {
    let bench = Bench::new();
    unlabelled(&bench);
    let command = "\n[score]\ncommand = [\"sh\", \"-c\", \"ulimit -Sn >> limits; echo 0.5\"]\n";
    bench.write("batch_size.toml", &(bench.read("batch_size.toml") + command));
    let sweep = bench.command(&["score", "--command-of", "batch_size.toml", "--at-most", "1"]);
    let ran = bench.wait(Running::start(limited(200, &sweep)));
    assert_eq!((ran.code, bench.read("limits").as_str()), (0, "200\n"), "{}", ran.stderr);
}

#[test]
fn a_score_can_be_taken_back() {
    let bench = Bench::new();
    assert_eq!(bench.sweep(&["run", "batch_size.toml"]).code, 0);
    let run = "batch_size:baseline:1";
    let there = || bench.results().iter().any(|file| file.ends_with("/score.json"));
    assert_eq!(bench.sweep(&["score", run, "0.61111"]).code, 0);
    assert!(there());
    let back = bench.sweep(&["score", run, "--remove"]);
    assert_eq!(back.code, 0, "{}", back.stderr);
    insta::assert_snapshot!(back.stderr, @"efficientnet_lite0-gap-b32-lr0.0001-s1-7b7d20a97856: 61111, from the command line, is taken back");
    assert!(!there());
    let again = bench.sweep(&["score", run, "--remove"]);
    assert_eq!(again.code, 2, "{}", again.stderr);
    assert!(again.stderr.contains(" has no score from elsewhere\n"), "{}", again.stderr);
    assert_eq!(bench.sweep(&["score", run, "0.5"]).code, 0, "another one, without --replace");
    for args in [&["score", run][..], &["score", run, "0.5", "--remove"], &["score", "--remove"]] {
        assert_eq!(bench.sweep(args).code, 2, "{args:?}");
    }
}
