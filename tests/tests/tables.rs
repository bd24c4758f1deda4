//! `sweep report --format csv|json|parquet`.

use crate::bench::Bench;

fn csv(bench: &Bench, args: &[&str]) -> Vec<Vec<String>> {
    let ran = bench.sweep(&[&["report", "--format", "csv"], args].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran.stdout.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn every_format_says_the_same() {
    let bench = Bench::new();
    bench.write("data/plates/0001.jpg", "plate");
    bench.write("data/plates/0002.jpg", "plate");
    let args = ["run", "batch_size.toml", "--set", "test=\"data/plates\""];
    assert_eq!(bench.sweep(&args).code, 0);
    for (kind, rows) in [("runs", 6), ("epochs", 18), ("images", 12)] {
        let csv = csv(&bench, &["--table", kind]);
        assert_eq!(csv.len(), rows + 1, "{kind}");
        let json = bench.sweep(&["report", "--format", "json", "--table", kind]).stdout;
        let json: Vec<serde_json::Map<String, serde_json::Value>> =
            serde_json::from_str(&json).unwrap();
        assert_eq!(json.len(), rows);
        for (number, row) in json.iter().enumerate() {
            for (place, name) in csv[0].iter().enumerate() {
                let written = match &row[name] {
                    serde_json::Value::Null => String::new(),
                    serde_json::Value::String(text) => text.clone(),
                    value => value.to_string(),
                };
                match (written.parse::<f64>(), csv[number + 1][place].parse::<f64>()) {
                    (Ok(one), Ok(other)) => assert_eq!(one, other, "{kind} {name}"),
                    _ => assert_eq!(written, csv[number + 1][place], "{kind} {name}"),
                }
            }
        }
        let file = format!("{kind}.parquet");
        let args = ["report", "--table", kind, "--format", "parquet", "--output", &file];
        let ran = bench.sweep(&args);
        assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
        let bytes = fs_err::read(bench.path(&file)).unwrap();
        assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    }
}

#[test]
fn sweeps_stand_together_in_one_table() {
    let bench = Bench::new();
    bench.write(
        "learning_rate.toml",
        "extends = \"base.toml\"\n[factors]\nlearning_rate = [1e-4, 1e-3]\n",
    );
    assert_eq!(bench.sweep(&["run", "batch_size.toml", "learning_rate.toml"]).code, 0);
    let all = csv(&bench, &[]);
    assert_eq!(all.len(), 1 + 6 + 2);
    let one = csv(&bench, &["learning_rate"]);
    assert_eq!(one.len(), 1 + 2);
    assert!(all.ends_with(&one[1..]), "the same runs have the same rows");
    let kept = bench.read("results/learning_rate/runs.csv");
    let kept: Vec<&str> = kept.lines().map(|line| line.split(",[").next().unwrap()).collect();
    assert_eq!(kept.len(), one.len());
    assert_eq!(kept[0], one[0].join(","), "runs.csv is the table of runs");
    assert!(kept[1].starts_with(&one[1][..30].join(",")), "{}", kept[1]);
    let place = all[0].iter().position(|name| name == "train.batch_size").unwrap();
    let sizes: Vec<&str> = all[1..].iter().map(|row| row[place].as_str()).collect();
    assert_eq!(sizes, ["16", "16", "32", "32", "64", "64", "32", "32"]);
}

#[test]
fn a_table_without_rows_has_its_columns() {
    let bench = Bench::new();
    for kind in ["runs", "epochs", "images"] {
        let csv = csv(&bench, &["--table", kind]);
        assert_eq!(csv.len(), 1, "{kind}");
        assert_eq!(csv[0][0], "sweep");
        let json = bench.sweep(&["report", "--format", "json", "--table", kind]);
        assert_eq!(json.stdout, "[]\n");
    }
    let json_twice = bench.sweep(&["report", "--json", "--format", "csv"]);
    assert_eq!(json_twice.code, 2);
}

#[test]
fn a_file_is_written_whole_or_not_at_all() {
    let bench = Bench::new();
    assert_eq!(bench.sweep(&["run", "batch_size.toml"]).code, 0);
    let to = |file: &str| bench.sweep(&["report", "--format", "csv", "--output", file]);
    assert_eq!(to("out.csv").code, 0);
    assert_eq!(bench.read("out.csv").lines().count(), 7);
    let nowhere = to("nowhere/out.csv");
    assert_eq!(nowhere.code, 5);
    assert!(nowhere.stderr.contains("cannot write the table: "), "{}", nowhere.stderr);
    assert!(nowhere.stderr.contains("name another with --output"), "{}", nowhere.stderr);
    assert_eq!(to("/dev/null").code, 0, "a device is written to");
    let left = fs_err::read_dir(bench.path(".")).unwrap();
    let left = left
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains(".part"));
    assert_eq!(left.count(), 0);
}
