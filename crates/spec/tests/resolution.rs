//! What sweep files mean: layers, names, paths, switches, levels.

#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use std::num::NonZeroU32;
use std::time::Duration;

use serde_json::{Value, json};
use spec::config::Config;
use spec::devices::Devices;
use spec::slurm::Slurm;
use spec::sweep::Sweep;
use spec::sweep_file::{Override, load};

const BASE: &str = r#"
[data]
train = "plates/train"
test = "plates/test"

[train]
batch_size = 32
steps_per_epoch = 100

[early_stopping]
patience = 7
restore_best_weights = false
"#;

/// `sweep.toml` in a folder with [`BASE`] as `base.toml`, and that folder.
fn resolved(text: &str, overrides: &[&str]) -> (Sweep, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    fs_err::write(folder.path().join("base.toml"), BASE).unwrap();
    let file = folder.path().join("sweep.toml");
    fs_err::write(&file, text).unwrap();
    let overrides: Vec<Override> = overrides.iter().map(|text| text.parse().unwrap()).collect();
    match load(&file, &overrides) {
        Ok(sweep) => (sweep, folder),
        Err(error) => panic!("{:?}", miette::Report::new(error)),
    }
}

fn extending(text: &str) -> Sweep {
    resolved(&format!("extends = \"base.toml\"\n{text}"), &[]).0
}

/// The value of a key such as `/train/batch_size`; null when it is left out.
fn value(config: &Config, pointer: &str) -> Value {
    serde_json::to_value(config).unwrap().pointer(pointer).cloned().unwrap_or(Value::Null)
}

fn labels(sweep: &Sweep) -> Vec<String> {
    let levels = sweep.factors.iter().flat_map(|factor| &factor.levels);
    levels.map(|level| level.label.clone() + if level.baseline { "*" } else { "" }).collect()
}

#[test]
fn layers_override_key_by_key() {
    let cases: &[(&str, &[&str], &str, Value)] = &[
        // What nothing says.
        ("", &[], "/train/epochs", json!(50)),
        ("", &[], "/data/validation", json!(0.2)),
        ("", &[], "/reduce_lr_on_plateau", Value::Null),
        // What the base says.
        ("", &[], "/train/batch_size", json!(32)),
        ("", &[], "/early_stopping/patience", json!(7)),
        // What the file says, however it spells it.
        ("[train]\nbatch_size = 16", &[], "/train/batch_size", json!(16)),
        ("train.batch_size = 16", &[], "/train/batch_size", json!(16)),
        ("[baseline]\nbatch_size = 16", &[], "/train/batch_size", json!(16)),
        ("[baseline.train]\nbatch_size = 16", &[], "/train/batch_size", json!(16)),
        ("[baseline]\ntrain.batch_size = 16", &[], "/train/batch_size", json!(16)),
        ("[baseline]\n\"train.batch_size\" = 16", &[], "/train/batch_size", json!(16)),
        ("[train]\nbatch_size = 16", &[], "/train/steps_per_epoch", json!(100)),
        ("[baseline]\npatience = 3", &[], "/early_stopping/patience", json!(3)),
        ("[baseline]\npatience = 3", &[], "/early_stopping/restore_best_weights", json!(false)),
        ("[train]\nlearning_rate = 1", &[], "/train/learning_rate", json!(1.0)),
        (
            "[baseline]\nfreeze = { unfreeze_last = 3 }",
            &[],
            "/model/freeze/unfreeze_last",
            json!(3),
        ),
        // What the command line says, the last word last.
        ("[train]\nbatch_size = 16", &["batch_size=8"], "/train/batch_size", json!(8)),
        ("", &["batch_size=8", "train.batch_size=4"], "/train/batch_size", json!(4)),
        ("", &["backbone=resnet50"], "/model/backbone", json!("resnet50")),
        ("", &["freeze={ unfreeze_last = 3 }"], "/model/freeze/unfreeze_last", json!(3)),
        // Leaving out, and what is forgotten with it.
        ("[train]\nsteps_per_epoch = false", &[], "/train/steps_per_epoch", Value::Null),
        ("", &["steps_per_epoch=false"], "/train/steps_per_epoch", Value::Null),
        ("[data]\ntest = false", &[], "/data/test", Value::Null),
        ("early_stopping = false", &[], "/early_stopping", Value::Null),
        ("[baseline]\nearly_stopping = false", &[], "/early_stopping", Value::Null),
        ("", &["early_stopping=false"], "/early_stopping", Value::Null),
        ("early_stopping = true", &[], "/early_stopping/patience", json!(7)),
        ("early_stopping = false", &["early_stopping=true"], "/early_stopping/patience", json!(10)),
        ("early_stopping = false", &["patience=3"], "/early_stopping/patience", json!(3)),
        (
            "early_stopping = false",
            &["patience=3"],
            "/early_stopping/restore_best_weights",
            json!(true),
        ),
        ("[reduce_lr_on_plateau]", &[], "/reduce_lr_on_plateau/factor", json!(0.5)),
        ("reduce_lr_on_plateau = true", &[], "/reduce_lr_on_plateau/patience", json!(5)),
        ("[baseline]\nmin_lr = 0", &[], "/reduce_lr_on_plateau/min_lr", json!(0.0)),
        // One zero, so that the same work has one run id.
        ("[baseline]\nmin_delta = -0.0", &[], "/early_stopping/min_delta", json!(0.0)),
    ];
    for (text, overrides, pointer, expected) in cases {
        let (sweep, _folder) = resolved(&format!("extends = \"base.toml\"\n{text}"), overrides);
        assert_eq!(value(&sweep.baseline, pointer), *expected, "{text} {overrides:?} {pointer}");
    }
}

#[test]
fn paths_are_relative_to_what_writes_them() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs_err::create_dir_all(root.join("sweeps/more")).unwrap();
    fs_err::write(
        root.join("sweeps/base.toml"),
        "[data]\ntrain = \"../data/./train\"\nvalidation = \"../data/val\"\n",
    )
    .unwrap();
    let file = root.join("sweeps/more/sweep.toml");
    fs_err::write(
        &file,
        "extends = \"../base.toml\"\n[data]\ntest = \"/elsewhere/../test\"\n\
         [factors]\nweights = [\"imagenet\", \"none\", \"w.safetensors\"]\n",
    )
    .unwrap();
    let shown = |path: &str| value(&load(&file, &[]).unwrap().baseline, path);
    assert_eq!(shown("/data/train"), json!(root.join("data/train")));
    assert_eq!(shown("/data/validation"), json!(root.join("data/val")));
    assert_eq!(shown("/data/test"), json!("/test"));

    let sweep = load(&file, &["data.train=here".parse().unwrap()]).unwrap();
    let here = std::env::current_dir().unwrap().join("here");
    assert_eq!(sweep.baseline.data().unwrap().train, here);

    let weights: Vec<_> = sweep.factors[0]
        .levels
        .iter()
        .map(|level| value(&level.config, "/model/weights"))
        .collect();
    let beside = json!(root.join("sweeps/more/w.safetensors"));
    assert_eq!(weights, [json!("imagenet"), json!("none"), beside]);
    assert_eq!(labels(&sweep), ["imagenet*", "none", "w.safetensors"]);
}

#[test]
fn levels_are_values_or_tables_and_have_labels() {
    let cases: &[(&str, &[&str])] = &[
        ("batch_size = [16, 32, 64]", &["16", "32*", "64"]),
        // No rotation is no augmentation.
        ("rotation_range = [0, 10]", &["0*", "10"]),
        ("train.batch_size = [16]", &["16"]),
        ("\"train.batch_size\" = [16]", &["16"]),
        ("learning_rate = [1e-4, 0.005, 1e-9]", &["0.0001*", "0.005", "1e-9"]),
        ("steps_per_epoch = [false, 7, 100]", &["off", "7", "100*"]),
        ("restore_best_weights = [true, false]", &["true", "false*"]),
        ("validation = [0.2, 0.5]", &["0.2*", "0.5"]),
        ("freeze = [\"all\", { unfreeze_last = 10 }]", &["all*", "unfreeze_last = 10"]),
        ("freeze = [{ label = \"last ten\", unfreeze_last = 10 }]", &["last ten"]),
        ("early_stopping = [true, false]", &["on*", "off"]),
        ("early_stopping = [{}, false]", &["on*", "off"]),
        (
            "early_stopping = [{ patience = 7 }, { patience = 3 }]",
            &["patience = 7*", "patience = 3"],
        ),
        (
            "batch_size = [16, { label = \"small and slow\", batch_size = 8, learning_rate = 1e-5 }]",
            &["16", "small and slow"],
        ),
        (
            "model = [{ label = \"baseline\" }, { pooling = \"gmp\", steps_per_epoch = 7 }]",
            &["baseline*", "pooling = gmp, steps_per_epoch = 7"],
        ),
        ("\"any name\" = [{ label = \"A\", train.epochs = 5 }]", &["A"]),
        ("[[factors.model]]\nlabel = \"A\"\npooling = \"gmp\"\n", &["A"]),
    ];
    for (factors, expected) in cases {
        assert_eq!(labels(&extending(&format!("[factors]\n{factors}"))), *expected, "{factors}");
    }
}

#[test]
fn the_baseline_is_called_as_a_level_of_its_value_would_be() {
    let cases = [
        ("batch_size = [16, 64]", "32"),
        // As the level is called that is the baseline.
        ("model = [{ label = \"small\" }, { pooling = \"gmp\" }]", "small"),
        // Written nowhere.
        ("epochs = [10]", "50"),
        ("image_size = [96]", "224"),
        ("min_delta = [0.5]", "0"),
        ("freeze = [{ unfreeze_last = 10 }]", "all"),
        ("steps_per_epoch = [7]", "100"),
        ("validation_steps = [7]", "off"),
        // As it is written, not absolute.
        ("data.train = [\"elsewhere\"]", "plates/train"),
        (
            "early_stopping = [{ patience = 3 }, { min_delta = 1e-3 }]",
            "patience = 7, min_delta = 0",
        ),
        ("early_stopping = [false]", "on"),
        ("augment = [{ rotation_range = 10 }]", "off"),
        (
            "batch_size = [{ label = \"small and slow\", batch_size = 8, learning_rate = 1e-5 }]",
            "32, learning_rate = 0.0001",
        ),
        (
            "head = [{ pooling = \"gmp\", hidden = [64], \"reduce_lr_on_plateau.patience\" = 2 }]",
            "pooling = gap, hidden = [], reduce_lr_on_plateau.patience = off",
        ),
    ];
    for (factor, expected) in cases {
        let sweep = extending(&format!("[factors]\n{factor}"));
        assert_eq!(sweep.factors[0].baseline, expected, "{factor}");
    }
}

#[test]
fn a_section_as_a_factor_means_its_own_keys_first() {
    let sweep = extending(
        "[factors]\nreduce_lr_on_plateau = [{ patience = 3, batch_size = 8 }, { \"early_stopping.patience\" = 2 }]",
    );
    let levels = &sweep.factors[0].levels;
    assert_eq!(value(&levels[0].config, "/reduce_lr_on_plateau/patience"), json!(3));
    assert_eq!(value(&levels[0].config, "/early_stopping/patience"), json!(7));
    assert_eq!(value(&levels[0].config, "/train/batch_size"), json!(8));
    assert_eq!(value(&levels[1].config, "/reduce_lr_on_plateau/patience"), json!(5));
    assert_eq!(value(&levels[1].config, "/early_stopping/patience"), json!(2));
}

#[test]
fn factors_are_inherited_replaced_and_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs_err::write(folder.path().join(name), text).unwrap();
    write(
        "a.toml",
        "title = \"A\"\nreplicates = 4\nschedule.devices = \"cpu:2\"\n\
         schedule.time_limit = \"1m\"\nschedule.retries = 9\ndata.train = \"t\"\n\
         slurm.partition = \"gpu\"\nslurm.time = \"1-0\"\nslurm.setup = [\"module load cuda\"]\n\
         [factors]\nepochs = [5, 6]\nbatch_size = [16]\npooling = [\"gmp\"]\n",
    );
    write(
        "b.toml",
        "extends = \"a.toml\"\nschedule.time_limit = false\nslurm.partition = false\n\
         slurm.cpus = 4\n[factors]\ntrain.batch_size = [8, 64]\n",
    );
    write("c.toml", "extends = \"b.toml\"\n[factors]\nlearning_rate = [1e-3]\npooling = false\n");
    let sweep = load(&folder.path().join("c.toml"), &[]).unwrap();
    let names: Vec<_> = sweep.factors.iter().map(|factor| factor.name.as_str()).collect();
    assert_eq!(names, ["epochs", "train.batch_size", "learning_rate"]);
    assert_eq!(labels(&sweep), ["5", "6", "8", "64", "0.001"]);
    assert_eq!((sweep.name.as_str(), sweep.title), ("c", None));
    assert_eq!(sweep.replicates.range(), (4, 4));
    assert_eq!(sweep.schedule.devices, "cpu:2".parse::<Devices>().unwrap());
    assert_eq!((sweep.schedule.time_limit, sweep.schedule.retries), (None, 9));
    let slurm = Slurm {
        time: Some(Duration::from_secs(24 * 60 * 60)),
        cpus: NonZeroU32::new(4),
        setup: vec!["module load cuda".to_owned()],
        ..Slurm::default()
    };
    assert_eq!(sweep.slurm, slurm);
}

#[test]
fn a_baseline_alone_is_a_sweep_of_one() {
    let (sweep, _folder) = resolved(BASE, &[]);
    assert_eq!(sweep.replicates.range(), (1, 1));
    assert!(sweep.factors.is_empty());
}

/// A byte order mark and carriage returns, as some editors write them.
#[test]
fn other_editors_files_are_read_too() {
    let text = format!("\u{feff}{}", BASE.replace('\n', "\r\n"));
    let (sweep, _folder) = resolved(&text, &[]);
    assert_eq!(sweep.baseline.train().unwrap().batch_size, 32);
}
