//! The files in `sweeps/`.

#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use std::path::{Path, PathBuf};

use spec::config::Config;
use spec::sweep_file::load;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sweeps")
}

#[test]
fn every_file_resolves_to_the_comparison_it_is_about() {
    let mut files: Vec<_> =
        fs_err::read_dir(folder()).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let mut shown = String::new();
    for file in files {
        let sweep =
            load(&file, &[]).unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)));
        shown += &format!(
            "{} ({}, x{})",
            sweep.name,
            sweep.title.as_deref().unwrap_or_default(),
            sweep.seeds.len()
        );
        for factor in &sweep.factors {
            shown += &format!(": {} =", factor.name);
            for level in &factor.levels {
                let mark = if level.baseline { "*" } else { "" };
                shown += &format!(" [{}{mark}]", level.label);
            }
        }
        shown += "\n";
    }
    insta::assert_snapshot!(shown, @r"
        augment (Augmentation, x5): augment = [off*] [flips] [strong]
        base (Baseline, x1)
        batch_size (Batch size, x5): batch_size = [16] [32*] [64]
        epochs (Epochs, x5): epochs = [50*] [100]
        freeze (Base frozen or not, x3): freeze = [all*] [none]
        learning_rate (Learning rate, x5): learning_rate = [0.0001*] [0.005]
        model (Model, x5): model = [EfficientNet-Lite0 + GAP*] [EfficientNet-Lite0 + Flatten]
        patience (Patience of early stopping, x5): patience = [5] [10*] [15]
        steps_per_epoch (Steps per epoch, x5): steps_per_epoch = [50] [100*] [150]
        steps_per_epoch_resnet50 (Steps per epoch of the pooled model, x5): steps_per_epoch = [100*] [7]
        unfreeze (Last ten layers unfrozen or not, x5): freeze = [all*] [unfreeze_last = 10]
        ");
}

#[test]
fn the_baseline_is_the_documents() {
    let sweep = load(&folder().join("base.toml"), &[]).unwrap();
    assert!(sweep.factors.is_empty());
    let mut baseline = sweep.baseline;
    assert!(
        baseline.data.train.ends_with("data/plates/train") && baseline.data.train.is_absolute()
    );
    baseline.data.train = "train".into();
    baseline.data.test = baseline.data.test.map(|_| "test".into());
    insta::assert_snapshot!(serde_json::to_string_pretty(&baseline).unwrap(), @r#"
    {
      "data": {
        "train": "train",
        "test": "test",
        "validation": 0.2,
        "image_size": 224,
        "interpolation": "bilinear"
      },
      "model": {
        "backbone": "efficientnet_lite0",
        "weights": "imagenet",
        "preprocessing": "auto",
        "freeze": "all",
        "pooling": "gap",
        "hidden": [],
        "dropout": 0.0,
        "output": "auto",
        "kernel_initializer": "glorot_uniform"
      },
      "train": {
        "batch_size": 32,
        "learning_rate": 0.0001,
        "learning_rate_schedule": "constant",
        "epochs": 50,
        "steps_per_epoch": 100,
        "optimizer": "adam",
        "label_smoothing": 0.0,
        "class_weight": "none"
      },
      "early_stopping": {
        "monitor": "val_loss",
        "patience": 10,
        "min_delta": 0.0,
        "mode": "auto",
        "start_from_epoch": 0,
        "restore_best_weights": true,
        "verbose": 1
      },
      "reduce_lr_on_plateau": {
        "monitor": "val_loss",
        "factor": 0.5,
        "patience": 5,
        "min_delta": 0.0001,
        "mode": "auto",
        "cooldown": 0,
        "min_lr": 1e-6
      }
    }
    "#);
}

/// The file explains every key by having it; what is left out stands in a comment.
#[test]
fn the_baseline_mentions_every_key_there_is() {
    let text = fs_err::read_to_string(folder().join("base.toml")).unwrap();
    let file: toml::Table = toml::from_str(&text).unwrap();
    let schema = schemars::schema_for!(Config);
    for (section, schema_of) in schema.as_value()["properties"].as_object().unwrap() {
        let reference = schema_of["$ref"].as_str().or(schema_of["anyOf"][0]["$ref"].as_str());
        let definition = schema.pointer(reference.unwrap().trim_start_matches('#')).unwrap();
        for key in definition["properties"].as_object().unwrap().keys() {
            assert!(
                file.get(section).and_then(|section| section.get(key)).is_some()
                    || text.contains(&format!("\n# {key} = ")),
                "base.toml says nothing about {section}.{key}"
            );
        }
    }
}

#[test]
fn the_baseline_says_every_key_of_the_schedule_with_its_default() {
    let sweep = load(&folder().join("base.toml"), &[]).unwrap();
    assert_eq!(sweep.schedule, spec::sweep::Schedule::default());
    let text = fs_err::read_to_string(folder().join("base.toml")).unwrap();
    let file: toml::Table = toml::from_str(&text).unwrap();
    assert_eq!(file["schedule"].as_table().unwrap().len(), 7);
}
