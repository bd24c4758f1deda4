//! Scores from elsewhere.

use std::path::Path;

use crate::bench::Bench;

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
    assert_eq!(levels, ["unfrozen", "64", "50", "150"]);
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
