//! The files in `sweeps/`.

#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use std::path::{Path, PathBuf};

use spec::config::{Backbone, Builtin, Freeze, Pooling, Validation};
use spec::sweep::Sweep;
use spec::sweep_file::load;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sweeps")
}

#[test]
fn every_file_resolves_to_the_comparison_it_is_about() {
    let files = |folder: PathBuf| {
        let mut files: Vec<_> =
            fs_err::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|ending| ending == "toml"));
        files.sort();
        files
    };
    let files = [files(folder()), files(folder().join("document"))].concat();
    let mut shown = String::new();
    for file in files {
        let sweep =
            load(&file, &[]).unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)));
        shown += &format!(
            "{} ({}, x{})",
            sweep.name,
            sweep.title.as_deref().unwrap_or_default(),
            sweep.replicates
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
    insta::assert_snapshot!(shown, @"
    augment (Augmentation, x10): augment = [off*] [flips] [strong]
    base (Baseline, x1)
    batch_size (Batch size, x10): batch_size = [16] [32*] [64]
    epochs (Epochs, x10): epochs = [50*] [100]
    freeze (Base frozen or not, x3): freeze = [all*] [none]
    learning_rate (Learning rate, x10): learning_rate = [0.0001*] [0.005]
    model (Model, x5): model = [EfficientNet-Lite0 + GAP*] [EfficientNet-Lite0 + Flatten]
    patience (Patience of early stopping, x10): patience = [5] [10*] [15]
    precision (Precision of the frozen layers, x10): precision = [fp32*] [bf16]
    steps_per_epoch (Steps per epoch, x10): steps_per_epoch = [50] [100*] [150]
    steps_per_epoch_resnet50 (Steps per epoch of the pooled model, x5): steps_per_epoch = [100*] [7]
    study (The whole study, factor by factor, x10): batch_size = [16] [32*] [64]: learning_rate = [0.0001*] [0.005]: epochs = [50*] [100]: patience = [5] [10*] [15]: steps_per_epoch = [50] [100*] [150]: model = [A: Flatten*] [B: GAP]: steps_of_the_pooled_model = [7]
    unfreeze (Last ten layers unfrozen or not, x5): freeze = [all*] [unfreeze_last = 10]
    a_base (Model A: base frozen or not, x3): freeze = [all*] [none]
    a_batch_size (Model A: batch size, x5): batch_size = [16] [32*] [64]
    a_epochs (Model A: epochs, x5): epochs = [50*] [100]
    a_learning_rate (Model A: learning rate, x5): learning_rate = [0.0001*] [0.005]
    a_patience (Model A: patience, x5): patience = [5] [10*] [15]
    a_steps_per_epoch (Model A: steps per epoch, x5): steps_per_epoch = [50] [100*] [150]
    b_freeze (Model B: last ten layers unfrozen or not, x5): freeze = [all*] [unfreeze_last = 10]
    b_model (Model B against model A's network, x5): model = [ResNet50 + GAP*] [InceptionResNetV2 + Flatten]
    b_steps_per_epoch (Model B: steps per epoch, x5): steps_per_epoch = [100*] [7]
    model_a (Model A: InceptionResNetV2 + Flatten, x1)
    model_a_validated (Model A with validation images, x1)
    model_b (Model B: ResNet50 + GlobalAveragePooling2D, x1)
    study (The whole study, from model A to model B, x10): freeze = [all*] [none]: batch_size = [16] [32*] [64]: learning_rate = [0.0001*] [0.005]: epochs = [50*] [100]: patience = [5] [10*] [15]: steps_per_epoch = [50] [100*] [150]: model = [A: InceptionResNetV2 + Flatten*] [B: ResNet50 + GAP]: steps_of_model_b = [7]: last_ten_layers = [unfrozen]
    ");
}

#[test]
fn the_baseline_is_the_documents() {
    let sweep = load(&folder().join("base.toml"), &[]).unwrap();
    assert!(sweep.factors.is_empty());
    let mut baseline = sweep.baseline.builtin().unwrap().clone();
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
        "precision": "auto",
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
    let schema = schemars::schema_for!(Builtin);
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
    assert_eq!(file["schedule"].as_table().unwrap().len(), 9);
}

#[test]
fn the_baseline_mentions_every_key_of_slurm_and_sets_none_but_to_its_default() {
    let sweep = load(&folder().join("base.toml"), &[]).unwrap();
    assert_eq!(sweep.slurm, spec::slurm::Slurm::default());
    let text = fs_err::read_to_string(folder().join("base.toml")).unwrap();
    let (_, section) = text.split_once("\n[slurm]\n").unwrap();
    let said = |key: &&str| {
        section.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{key} = ")))
    };
    let keys = "partition account qos gres constraint mem cpus time grace requeues max_concurrent \
                runs_per_task setup flags";
    let missing: Vec<&str> = keys.split_whitespace().filter(|key| !said(key)).collect();
    assert_eq!(missing, [""; 0]);
}

/// As the document writes them down: what each model is made of, and what each of its tables varies.
#[test]
fn the_documents_models_are_as_it_has_them() {
    let of = |name: &str| load(&folder().join("document").join(name), &[]).unwrap();
    let baseline = |sweep: Sweep| sweep.baseline.builtin().unwrap().clone();
    let a = baseline(of("model_a.toml"));
    assert_eq!((a.model.backbone, a.data.image_size), (Backbone::InceptionResnetV2, 299));
    assert_eq!((a.model.freeze, a.model.pooling), (Freeze::All, Pooling::Flatten));
    assert_eq!((a.train.batch_size, a.train.learning_rate), (32, 1e-4));
    assert_eq!((a.train.epochs, a.train.steps_per_epoch), (50, Some(100)));
    assert_eq!((a.data.validation, a.early_stopping), (Validation::None, None));
    let patience = baseline(of("a_patience.toml"));
    assert_eq!(patience.model.backbone, Backbone::InceptionResnetV2);
    assert_eq!(patience.early_stopping.unwrap().patience, 10);
    let reduce = patience.reduce_lr_on_plateau.unwrap();
    assert_eq!((reduce.factor, reduce.patience, reduce.min_lr), (0.5, 5, 1e-6));
    let b = baseline(of("model_b.toml"));
    assert_eq!((b.model.backbone, b.data.image_size), (Backbone::Resnet50Keras, 224));
    assert_eq!((b.model.freeze, b.model.pooling), (Freeze::All, Pooling::Gap));
    let against: Vec<_> = of("b_model.toml").factors[0]
        .levels
        .iter()
        .map(|level| {
            (level.config.model().unwrap().backbone, level.config.data().unwrap().image_size)
        })
        .collect();
    assert_eq!(against, [(Backbone::Resnet50Keras, 224), (Backbone::InceptionResnetV2, 299)]);
}
