//! Runs that are interrupted and go on from a checkpoint.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod plates;

use std::cell::RefCell;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use spec::paths::CheckpointsDir;
use spec::protocol::{Checkpoints, Event, RunOrder};
use spec::record::Outcome;
use spec::sweep::CheckpointEvery;
use tch::Device;
use train::checkpoint::Places;
use train::link::{Halt, Link};
use train::trainer::Trainer;

use plates::{order, plates};

const EPOCHS: u32 = 4;

/// What a run left: its epochs and predictions without the seconds, its notes, and how it ended.
#[derive(Debug, Default)]
struct Left {
    measured: Vec<Event>,
    notes: Vec<String>,
    outcome: Option<Outcome>,
}

fn every_epoch(root: &Path) -> Checkpoints {
    let every = CheckpointEvery::Epochs(NonZeroU32::MIN);
    Checkpoints { folder: root.join("checkpoints"), every }
}

/// Trains in a process of its own, as it were, until `epochs` have been said, those said again counted.
fn train(order: &RunOrder, root: &Path, checkpoints: Option<&Checkpoints>, epochs: u32) -> Left {
    tch::set_num_threads(1);
    let left = RefCell::new(Left::default());
    let said = AtomicU32::new(0);
    let emit = |event: &Event| {
        let mut left = left.borrow_mut();
        match event {
            Event::Epoch { run, metrics } => {
                let metrics = spec::record::EpochMetrics { seconds: 0.0, ..*metrics };
                left.measured.push(Event::Epoch { run: *run, metrics });
                said.fetch_add(1, Ordering::SeqCst);
            }
            Event::Predictions { .. } => left.measured.push(event.clone()),
            Event::Note { text, .. } => left.notes.push(text.clone()),
            _ => {}
        }
        Ok(())
    };
    let stopped = || said.load(Ordering::SeqCst) >= epochs;
    let link = Link { emit: &emit, stopped: &stopped };
    let places = Places { cache: &root.join("cache"), checkpoints };
    let outcome = match Trainer::new(Device::Cpu).unwrap().run(order, places, &link) {
        Ok(outcome) => Some(outcome),
        Err(Halt::Stopped) => None,
        Err(other) => panic!("{other}"),
    };
    Left { outcome, ..left.into_inner() }
}

fn long(root: &Path, edit: Value) -> RunOrder {
    let mut order = order(root, 1, edit);
    order.config.train.epochs = EPOCHS;
    order
}

fn file(checkpoints: &Checkpoints, order: &RunOrder) -> PathBuf {
    CheckpointsDir::new(&checkpoints.folder).file(order.run, None)
}

#[test]
fn whoever_goes_on_has_the_numbers_of_one_who_was_not_interrupted() {
    let callbacks = json!({
        "model": { "freeze": { "unfreeze_last": 10 } },
        "early_stopping": { "monitor": "val_loss", "patience": 1 },
        "reduce_lr_on_plateau": { "monitor": "loss", "patience": 1, "factor": 0.5, "min_delta": 1.0 },
    });
    let everything = json!({
        "model": { "freeze": "none" },
        "train": { "optimizer": { "name": "sgd", "momentum": 0.9 }, "steps_per_epoch": 2 },
    });
    let dropped = json!({
        "model": { "hidden": [8], "dropout": 0.5 },
        "train": { "optimizer": "rmsprop", "validation_steps": 1, "batch_size": 3 },
        "early_stopping": { "monitor": "val_accuracy", "patience": 3, "restore_best_weights": true },
    });
    let fresh = json!({
        "model": { "dropout": 0.2 },
        "augment": { "rotation_range": 20, "views": "fresh" },
        "train": { "learning_rate_schedule": "cosine", "optimizer": { "name": "adamw" } },
    });
    for (name, edit) in
        [("callbacks", callbacks), ("everything", everything), ("drop", dropped), ("fresh", fresh)]
    {
        let root = plates(&["cleaned", "dirty"]);
        let root = root.path();
        let order = long(root, edit);
        let whole = train(&order, root, None, u32::MAX);
        let Some(Outcome::Finished(finished)) = &whole.outcome else { panic!("{whole:?}") };
        for epochs in 1..finished.epochs {
            let checkpoints = every_epoch(&root.join(format!("{name}{epochs}")));
            let first = train(&order, root, Some(&checkpoints), epochs);
            assert_eq!(first.outcome, None);
            // Once more, one epoch later.
            let second = train(&order, root, Some(&checkpoints), epochs + 1);
            let said = format!("goes on after epoch {epochs}, from a checkpoint");
            assert_eq!(second.notes.iter().filter(|note| **note == said).count(), 1, "{second:?}");
            let last = train(&order, root, Some(&checkpoints), u32::MAX);
            assert_eq!(last.measured, whole.measured, "{name}, stopped after epoch {epochs}");
            assert_eq!(last.outcome, whole.outcome, "{name}, stopped after epoch {epochs}");
        }
    }
}

#[test]
fn of_several_folds_those_that_have_ended_are_not_trained_again() {
    let root = plates(&["cleaned", "dirty"]);
    let root = root.path();
    let folds = json!({ "data": { "validation": { "folds": 3 } }, "model": { "hidden": [4] } });
    let order = long(root, folds);
    let whole = train(&order, root, None, u32::MAX);
    let checkpoints = every_epoch(root);
    // In the third of them.
    train(&order, root, Some(&checkpoints), 2 * EPOCHS + 1);
    let rest = train(&order, root, Some(&checkpoints), u32::MAX);
    assert_eq!((&rest.measured, &rest.outcome), (&whole.measured, &whole.outcome));
    let went_on: Vec<&String> =
        rest.notes.iter().filter(|note| note.contains("goes on after epoch")).collect();
    assert_eq!(
        went_on,
        [
            "fold 1, goes on after epoch 4, from a checkpoint",
            "fold 2, goes on after epoch 4, from a checkpoint",
            "fold 3, goes on after epoch 1, from a checkpoint",
        ]
    );
}

#[test]
fn a_checkpoint_that_is_broken_or_somebody_elses_is_none() {
    let root = plates(&["cleaned", "dirty"]);
    let root = root.path();
    let order = long(root, json!({ "model": { "hidden": [4] } }));
    let whole = train(&order, root, None, u32::MAX);
    let checkpoints = every_epoch(root);
    train(&order, root, Some(&checkpoints), 2);
    let file = file(&checkpoints, &order);
    let intact = fs_err::read(&file).unwrap();
    let mut flipped = intact.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let wider = long(root, json!({ "model": { "hidden": [5] } }));
    let other = RunOrder { run: spec::run_id::RunId::from_digest([2; 32]), ..order.clone() };
    let theirs = |order: &RunOrder, of: &Checkpoints| {
        train(order, root, Some(of), 2);
        fs_err::read(CheckpointsDir::new(&of.folder).file(order.run, None)).unwrap()
    };
    let elsewhere = every_epoch(&root.join("elsewhere"));
    for (what, bytes, why) in [
        ("nothing", Vec::new(), "header too small"),
        ("half", intact[..intact.len() / 2].to_vec(), ""),
        ("one byte short", intact[..intact.len() - 1].to_vec(), ""),
        ("a byte changed", flipped, "its checksum does not match"),
        ("another run's", theirs(&other, &elsewhere), "of another version, run or fold"),
        ("another model's", theirs(&wider, &elsewhere), "has the shape"),
    ] {
        fs_err::write(&file, bytes).unwrap();
        let left = train(&order, root, Some(&checkpoints), u32::MAX);
        assert_eq!((&left.measured, &left.outcome), (&whole.measured, &whole.outcome), "{what}");
        let said = left.notes.iter().find(|note| note.starts_with("begins anew: ")).unwrap();
        assert!(said.contains(why), "{what}: {said}");
    }
}

#[test]
fn a_disk_that_takes_no_checkpoint_is_no_reason_to_stop() {
    let root = plates(&["cleaned", "dirty"]);
    let root = root.path();
    let order = long(root, json!({ "model": { "hidden": [4] } }));
    let whole = train(&order, root, None, u32::MAX);
    let checkpoints = every_epoch(root);
    // A file where the folder should be.
    fs_err::write(&checkpoints.folder, "").unwrap();
    let left = train(&order, root, Some(&checkpoints), u32::MAX);
    assert_eq!((&left.measured, &left.outcome), (&whole.measured, &whole.outcome));
    let said: Vec<&String> =
        left.notes.iter().filter(|note| note.starts_with("cannot be kept")).collect();
    assert_eq!(said.len(), 1, "{:?}", left.notes);
}
