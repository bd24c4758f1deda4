//! The real worker, on a small rendered set, with the real weights of EfficientNet-Lite0.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::{Bench, Ran, Running, beside_us};

/// A bench with rendered plates, and sweeps that take a second.
pub(crate) struct Real(pub(crate) Bench);

impl Real {
    pub(crate) fn new() -> Self {
        let bench = Bench::new();
        let made = bench.sweep(&["data", "synth", "plates", "--train", "16", "--test", "12"]);
        assert_eq!((made.code, made.stderr.as_str()), (0, "28 pictures in plates\n"));
        bench.write(
            "base.toml",
            r#"
            [data]
            train = "plates/train"
            test = "plates/test"
            image_size = 96
            [train]
            epochs = 3
            steps_per_epoch = 4
            learning_rate = 1e-3
            "#,
        );
        bench.write(
            "batch_size.toml",
            r#"
            extends = "base.toml"
            strategy = "ofat"
            replicates = 2
            [factors]
            batch_size = [4, 32]
            "#,
        );
        Self(bench)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command: Command = self.0.command(args);
        command.env("SWEEP_TRAIN", beside_us("sweep-train")).env("SWEEP_WEIGHTS", weights());
        command
    }

    pub(crate) fn sweep(&self, args: &[&str]) -> Ran {
        self.0.wait(Running::start(self.command(args)))
    }

    /// What ends the sweep, once, and leaves its runs open.
    fn breaks(&self, command: Command) -> String {
        let ran = self.0.wait(Running::start(command));
        assert_eq!(ran.code, 5, "{}", ran.stderr);
        let (_, said) = ran.stderr.split_once("\u{d7} ").unwrap();
        assert!(!self.0.results().iter().any(|file| file.ends_with("result.json")));
        said.to_owned()
    }

    /// What breaks it before anything is trained.
    fn fails(&self) -> String {
        self.breaks(self.command(&["run", "batch_size.toml"]))
    }

    /// From here on nobody says of which class the test images are.
    pub(crate) fn unlabel(&self) {
        fs_err::create_dir_all(self.0.path("loose")).unwrap();
        for class in ["cleaned", "dirty"] {
            for plate in fs_err::read_dir(self.0.path("plates/test").join(class)).unwrap() {
                let plate = plate.unwrap().path();
                fs_err::copy(&plate, self.0.path("loose").join(name(&plate))).unwrap();
            }
        }
        self.0.write("base.toml", &self.0.read("base.toml").replace("plates/test", "loose"));
    }

    pub(crate) fn a_dirty_plate(&self) -> PathBuf {
        let mut plates = fs_err::read_dir(self.0.path("plates/train/dirty")).unwrap();
        let plate = plates.next().unwrap().unwrap().path();
        assert!(plate.extension().is_some_and(|ending| ending == "jpg"));
        plate
    }
}

/// What `SWEEP_WEIGHTS` says, else where `scripts/setup` puts them.
pub(crate) fn weights() -> PathBuf {
    let folder = match std::env::var_os("SWEEP_WEIGHTS") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../.deps/weights"),
    };
    let file = folder.join("efficientnet_lite0.safetensors");
    assert!(file.is_file(), "{} is missing: `./scripts/setup` first", file.display());
    folder
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

#[test]
fn a_sweep_runs_once_and_gives_the_same_scores_again() {
    let real = Real::new();
    let ran = real.sweep(&["run", "batch_size.toml"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("| batch_size | 32 (baseline) |"), "{}", ran.stdout);
    assert!(ran.stdout.contains("One test image of 12 is worth 8333 points"), "{}", ran.stdout);
    let again = real.sweep(&["run", "batch_size.toml"]);
    assert_eq!((again.code, again.stderr.as_str()), (0, "4 runs: all done before\n"));
    assert_eq!(again.stdout, ran.stdout);

    let other = real.sweep(&["run", "batch_size.toml", "--results", "other"]);
    assert_eq!((other.code, other.stdout), (0, ran.stdout));
    for file in real.0.results().iter().filter(|file| file.ends_with("predictions.csv")) {
        let [here, there] = ["results", "other"].map(|dir| real.0.read(&format!("{dir}/{file}")));
        assert_eq!(here, there, "{file}");
        assert!(here.lines().count() > 12, "{here}");
    }
}

#[test]
fn fused_runs_train_as_they_do_by_themselves() {
    let real = Real::new();
    let fused = real.sweep(&["run", "batch_size.toml"]);
    let alone = real.sweep(&["run", "batch_size.toml", "--no-fuse", "--results", "alone"]);
    assert_eq!((alone.code, alone.stdout), (0, fused.stdout), "{}", alone.stderr);
    let mut compared = 0;
    for file in real.0.results().iter().filter(|file| file.ends_with("metrics.csv")) {
        let [one, other] = ["results", "alone"].map(|dir| real.0.read(&format!("{dir}/{file}")));
        for (one, other) in one.lines().zip(other.lines()).skip(1) {
            let numbers = |line: &str| -> Vec<f64> {
                // All but the seconds, which come last.
                let (line, _) = line.rsplit_once(',').unwrap();
                line.split(',').filter_map(|number| number.parse().ok()).collect()
            };
            let (one, other) = (numbers(one), numbers(other));
            assert!(one.len() > 4 && one.len() == other.len());
            for (one, other) in one.iter().zip(&other) {
                assert!((one - other).abs() < 1e-5 * other.abs().max(1.0), "{file}: {one} {other}");
                compared += 1;
            }
        }
    }
    assert!(compared >= 4 * 3 * 5, "{compared}");
}

#[test]
fn unlabelled_plates_get_a_submission() {
    let real = Real::new();
    real.unlabel();
    let ran = real.sweep(&["run", "batch_size.toml"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("awaits leaderboard"), "{}", ran.stdout);
    let folder = real.0.run_folder("b4-lr0.001-s1");
    let submission = fs_err::read_to_string(folder.join("submission.csv")).unwrap();
    let mut lines = submission.lines();
    assert_eq!(lines.next(), Some("id,label"));
    let plates = fs_err::read_dir(real.0.path("loose")).unwrap().count();
    assert_eq!(lines.clone().count(), plates);
    assert!(lines.clone().is_sorted());
    assert!(lines.all(|line| line.ends_with(",cleaned") || line.ends_with(",dirty")));
}

#[test]
fn folds_train_several_models_and_say_how_they_differ() {
    let real = Real::new();
    let ran = real.sweep(&["run", "batch_size.toml", "--set", "validation={ folds = 2 }"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for words in ["score, 2 folds", "mean of folds", "std of folds", "With folds a run trains"] {
        assert!(ran.stdout.contains(words), "{words}: {}", ran.stdout);
    }
    let folder = real.0.run_folder("b4-lr0.001-s1");
    let column = |file: &str, set: &str, column: usize| -> Vec<String> {
        let text = fs_err::read_to_string(folder.join(file)).unwrap();
        let lines = text.lines().skip(1).filter(|line| line.starts_with(set));
        lines.map(|line| line.split(',').nth(column).unwrap().to_owned()).collect()
    };
    assert_eq!(column("metrics.csv", "", 0), ["1", "1", "1", "2", "2", "2"]);
    let mut folds = column("predictions.csv", "validation,", 1);
    folds.sort();
    assert_eq!(folds.concat(), "1".repeat(8) + &"2".repeat(8), "every training image once");
    assert!(column("predictions.csv", "test,", 1).iter().all(String::is_empty));
    let rows = real.0.read("results/batch_size/runs.csv");
    let accuracies =
        rows.lines().next().unwrap().split(',').position(|c| c == "fold_val_accuracies");
    let of_row = rows.lines().nth(1).unwrap().split(',').nth(accuracies.unwrap()).unwrap();
    assert_eq!(of_row.split(' ').count(), 2, "{rows}");
}

#[test]
fn views_are_computed_once_for_all_seeds() {
    let real = Real::new();
    let kept = || {
        let files = fs_err::read_dir(real.0.path("results/cache")).unwrap();
        let names = files.map(|file| file.unwrap().path());
        names.filter(|file| file.extension().is_some_and(|end| end == "safetensors")).count()
    };
    let run = |levels: &str| {
        let head = "extends = \"base.toml\"\nreplicates = 2\n";
        real.0.write("augment.toml", &format!("{head}[factors]\naugment = [{levels}]\n"));
        let ran = real.sweep(&["run", "augment.toml"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran
    };
    let two = "{ label = \"two\", rotation_range = 40, views = 2 }";
    let ran = run(&format!("false, {two}"));
    for level in ["off (baseline)", "two"] {
        assert!(ran.stdout.contains(&format!("| augment | {level:<14} |")), "{}", ran.stdout);
    }
    assert_eq!(kept(), 4, "images to train and test on, and two views of the former");
    let three = "{ label = \"three\", rotation_range = 40, views = 3 }";
    let ran = run(&format!("false, {two}, {three}"));
    assert!(ran.stderr.contains("6 runs: 4 done before, 2 to do"), "{}", ran.stderr);
    assert_eq!(kept(), 5);
    run("{ label = \"fresh\", rotation_range = 40, views = \"fresh\" }");
    assert_eq!(kept(), 5);
}

#[test]
fn what_no_run_can_be_trained_on_is_refused_once() {
    let real = Real::new();
    let refused = |args: &[&str], words: &str| {
        let ran = real.sweep(&[&["run", "batch_size.toml"], args].concat());
        assert_eq!(ran.code, 2, "nothing starts: {}", ran.stderr);
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
        assert!(!real.0.path("results").exists(), "nothing is stored");
    };
    refused(
        &["--set", "validation={ folds = 9 }"],
        "9 folds are more than the 8 images of class `cleaned`",
    );
    fs_err::rename(real.0.path("plates/test/dirty"), real.0.path("plates/test/dusty")).unwrap();
    refused(&[], "`dirty` is missing, `dusty` is unknown");
    fs_err::remove_dir_all(real.0.path("plates/train/dirty")).unwrap();
    refused(&[], "`data.train` holds one class, `cleaned`");
}

#[test]
fn a_picture_that_is_none_is_named() {
    let real = Real::new();
    let plate = real.a_dirty_plate();
    fs_err::write(&plate, "no picture").unwrap();
    let said = real.fails();
    assert!(said.contains(name(&plate)) && said.contains("cannot be decoded"), "{said}");
}

#[test]
fn a_picture_that_is_cut_is_named() {
    let real = Real::new();
    let plate = real.a_dirty_plate();
    let bytes = fs_err::read(&plate).unwrap();
    fs_err::write(&plate, &bytes[..bytes.len() / 2]).unwrap();
    let said = real.fails();
    assert!(said.contains(name(&plate)) && said.contains("cut short"), "{said}");

    // Where every step reads pixels, it is found before the first of them, not in the middle of an epoch.
    let said = real.breaks(real.command(&["run", "batch_size.toml", "--set", "freeze=none"]));
    assert!(said.contains(name(&plate)) && said.contains("cut short"), "{said}");
    assert!(!real.0.results().iter().any(|file| file.ends_with("metrics.csv")));
}

#[test]
fn a_class_without_pictures_is_named() {
    let real = Real::new();
    let class = real.0.path("plates/train/dirty");
    fs_err::remove_dir_all(&class).unwrap();
    fs_err::create_dir(&class).unwrap();
    let ran = real.sweep(&["run", "batch_size.toml"]);
    assert_eq!(ran.code, 2, "nothing starts: {}", ran.stderr);
    assert!(ran.stderr.contains("the class folder is empty: [DIR]/plates/train/dirty"));
    fs_err::write(class.join("notes.txt"), "none yet").unwrap();
    let ran = real.sweep(&["run", "batch_size.toml"]);
    assert_eq!(ran.code, 2, "nothing starts: {}", ran.stderr);
    assert!(ran.stderr.contains("the class folder holds no image: [DIR]/plates/train/dirty"));
}

/// Every table of the source document on its own networks, on stand-in weights and few, small images.
#[test]
fn the_documents_study_runs_from_end_to_end() {
    let real = Real::new();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sweeps/document");
    let mut files = Vec::new();
    for file in fs_err::read_dir(&shipped).unwrap() {
        let file = file.unwrap().path();
        if file.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let tiny = format!("tiny/{}", name(&file));
        real.0.write(
            &tiny,
            &format!(
                r#"
                extends = {file:?}
                replicates = 1
                [baseline]
                data.train = "../plates/train"
                data.test = "../plates/test"
                weights = "none"
                image_size = 75
                epochs = 2
                steps_per_epoch = 2
                "#
            ),
        );
        files.push(tiny);
    }
    files.sort();
    assert_eq!(files.len(), 13, "{files:?}");
    let args: Vec<&str> = ["run"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let ran = real.sweep(&args);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let tables: Vec<&str> = ran.stdout.split("# ").skip(1).collect();
    assert_eq!(tables.len(), files.len(), "{}", ran.stdout);
    for table in tables {
        assert!(table.contains("**Not a result:**"), "{table}");
        let is_heading = |line: &&str| line.starts_with("| factor") || line.starts_with("| ---");
        let mut rows = table.lines().filter(|line| line.starts_with('|') && !is_heading(line));
        assert!(rows.all(|row| row.contains("[random weights]")), "{table}");
        assert!(!table.contains("not finished"), "{table}");
    }
}

#[test]
fn a_plan_shows_layers_and_what_trains() {
    let real = Real::new();
    let keras = ["--set", "backbone=resnet50_keras", "--set", "image_size=224"];
    let layers = |args: &[&str]| {
        let ran =
            real.sweep(&[&["plan", "batch_size.toml", "--layers"], &keras[..], args].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout
    };
    // Keras's own numbers: `parity/keras_layers.json`.
    for (freeze, total) in [
        ("freeze=all", "177 layers, 23589761 parameters: 2049 trainable, 23587712 non-trainable"),
        (
            "freeze={ unfreeze_last = 10 }",
            "177 layers, 23589761 parameters: 4467713 trainable, 19122048 non-trainable",
        ),
        ("freeze=none", "177 layers, 23589761 parameters: 23536641 trainable, 53120 non-trainable"),
    ] {
        let shown = layers(&["--set", freeze]);
        assert!(shown.contains(total), "{shown}");
        assert!(shown.starts_with("# batch_size: resnet50_keras at 224 pixels\n"), "{shown}");
        assert_eq!(shown.matches("# ").count(), 1, "batch sizes share their layers: {shown}");
    }
    let shown = layers(&["--set", "freeze={ unfreeze_last = 10 }"]);
    let row = |name: &str| shown.lines().find(|line| line.contains(name)).unwrap().to_owned();
    let cells = |name: &str| -> Vec<String> {
        row(name).split('|').map(|cell| cell.trim().to_owned()).filter(|c| !c.is_empty()).collect()
    };
    assert_eq!(
        cells("conv5_block3_2_conv"),
        ["conv5_block3_2_conv", "Conv2D", "7 x 7 x 512", "2359808", "yes"]
    );
    assert_eq!(
        cells("conv5_block2_2_conv"),
        ["conv5_block2_2_conv", "Conv2D", "7 x 7 x 512", "2359808"]
    );
    let json: serde_json::Value = serde_json::from_str(&layers(&["--json"])).unwrap();
    assert_eq!(
        (&json[0]["trainable"], &json[0]["layers"][0]["class"]),
        (&2049.into(), &"InputLayer".into())
    );

    let ran = real.sweep(&[
        "plan",
        "batch_size.toml",
        "--layers",
        "--set",
        "freeze={ unfreeze_from = \"top\" }",
    ]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("layers is called `top`"), "{}", ran.stderr);
}

#[test]
fn the_doctor_finds_what_is_there() {
    let real = Real::new();
    let ran = real.sweep(&["doctor"]);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    for what in ["worker", "libtorch", "weights efficientnet_lite0"] {
        let line = ran.stdout.lines().find(|line| line.contains(what)).unwrap();
        assert!(line.starts_with("ok "), "{line}");
    }
}

/// The worker waits until the images are other ones than those that were planned.
#[test]
fn images_that_change_after_planning_end_the_sweep() {
    let real = Real::new();
    let fifo = real.0.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let worker = beside_us("sweep-train");
    let slow =
        format!("#!/bin/sh\nread go < {}\nexec {} \"$@\"\n", fifo.display(), worker.display());
    real.0.write("slow", &slow);
    let mut command = real.command(&["run", "batch_size.toml"]);
    fs_err::set_permissions(real.0.path("slow"), std::fs::Permissions::from_mode(0o755)).unwrap();
    command.env("SWEEP_TRAIN", real.0.path("slow"));
    let mut sweep = Running::start(command);
    assert!(sweep.stderr_line().starts_with("4 runs: 0 done before, 4 to do"));
    let plate = real.a_dirty_plate();
    fs_err::rename(&plate, plate.with_file_name("another.jpg")).unwrap();
    fs_err::write(&fifo, "go\n").unwrap();
    let ran = real.0.wait(sweep);
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    let said = "\u{d7} the images in [DIR]/plates/train have changed since the sweep began";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    let again = real.sweep(&["run", "batch_size.toml"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
}

#[test]
fn without_a_cache_everything_is_computed_and_said_once() {
    let real = Real::new();
    let kept = real.sweep(&["run", "batch_size.toml", "--results", "elsewhere"]);
    real.0.write("results/cache", "no folder");
    let ran = real.sweep(&["run", "batch_size.toml"]);
    assert_eq!((ran.code, &ran.stdout), (0, &kept.stdout), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("features are not kept").count(), 1, "{}", ran.stderr);
}
