//! Runs that train together on the kernel of `train::lanes`.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics has failed")]

mod plates;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use spec::protocol::{Event, RunOrder};
use spec::record::{EpochMetrics, Outcome};
use spec::run_id::RunId;
use tch::Device;
use train::link::Link;
use train::together::{Group, groups};
use train::trainer::{Told, Trainer};

use plates::{order, plates};

/// What was said of a run, but for seconds, and how it ended.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    events: Vec<Event>,
    outcome: Option<Outcome>,
}

impl Heard {
    fn epochs(&self) -> Vec<EpochMetrics> {
        let epochs = self.events.iter().filter_map(|event| match event {
            Event::Epoch { metrics, .. } => Some(*metrics),
            _ => None,
        });
        epochs.collect()
    }
}

fn train(groups: &[Group<'_>], cache: &Path) -> BTreeMap<RunId, Heard> {
    train_until(groups, cache, &|| false)
}

fn train_until(
    groups: &[Group<'_>],
    cache: &Path,
    stopped: &(dyn Fn() -> bool + Sync),
) -> BTreeMap<RunId, Heard> {
    tch::set_num_threads(1);
    let heard: RefCell<BTreeMap<RunId, Heard>> = RefCell::default();
    let emit = |event: &Event| {
        let mut event = event.clone();
        if let Event::Epoch { metrics, .. } = &mut event {
            metrics.seconds = 0.0;
        }
        let (Event::Epoch { run, .. } | Event::Note { run, .. } | Event::Predictions { run, .. }) =
            &event
        else {
            return Ok(());
        };
        let mut heard = heard.borrow_mut();
        let of_run = heard.get_mut(run).expect("it has begun");
        assert_eq!(of_run.outcome, None, "nothing is said after the end");
        of_run.events.push(event);
        Ok(())
    };
    let link = Link { emit: &emit, stopped };
    let mut trainer = Trainer::new(Device::Cpu).unwrap();
    for group in groups {
        let trained = trainer.train(group, cache, &link, &mut |run, told| {
            let mut heard = heard.borrow_mut();
            let of_run = heard.entry(run).or_default();
            if let Told::Ended(ended) = told {
                assert_eq!(of_run.outcome, None, "a run ends once");
                of_run.outcome = Some(ended.unwrap_or_else(|halt| halt.outcome()));
            }
            Ok(())
        });
        trained.unwrap();
    }
    heard.into_inner()
}

/// Runs that differ in all that runs of a bundle may differ in.
fn many(root: &Path) -> Vec<RunOrder> {
    let edits = [
        json!({}),
        json!({ "train": { "learning_rate": 0.3 }, "early_stopping": { "patience": 1 } }),
        json!({ "train": { "batch_size": 5, "steps_per_epoch": null, "epochs": 7 } }),
        json!({ "train": { "optimizer": "rmsprop", "label_smoothing": 0.2 } }),
        json!({ "train": { "learning_rate": 1e38 } }),
        json!({ "train": { "class_weight": { "nobody": 2.0 } } }),
        json!({ "train": { "class_weight": { "a": 2.0 }, "batch_size": 100 } }),
        json!({ "model": { "output": "softmax" }, "early_stopping": { "monitor": "val_auc" } }),
        json!({ "data": { "validation": { "folds": 3 } }, "early_stopping": { "patience": 0 } }),
        json!({ "data": { "validation": "none" }, "train": { "learning_rate_schedule": "cosine" } }),
        json!({ "train": { "optimizer": { "name": "sgd", "momentum": 0.9 } },
                "reduce_lr_on_plateau": { "patience": 1, "monitor": "loss", "min_delta": 0.5 } }),
    ];
    let order = |(number, edit)| {
        let mut order = order(root, number, edit);
        // Drawn weights hang on the seed: runs of other seeds have other features.
        order.seed = 7;
        order
    };
    (1u8..).zip(edits).map(order).collect()
}

#[test]
fn company_changes_nothing() {
    let root = plates(&["a", "b"]);
    let cache = root.path().join("cache");
    let orders = many(root.path());
    let all = groups(&orders, true);
    assert_eq!(all.len(), 1);
    let together = train(&all, &cache);
    assert_eq!(together.len(), orders.len());
    for order in &orders {
        let alone = train(&groups(std::slice::from_ref(order), true), &cache);
        assert_eq!(together[&order.run], alone[&order.run], "{:?}", order.config);
    }
    let ended: Vec<_> =
        orders.iter().map(|order| together[&order.run].outcome.as_ref().unwrap().name()).collect();
    let expected: Vec<_> = (0..orders.len())
        .map(|at| match at {
            4 => "diverged",
            5 => "failed",
            _ => "finished",
        })
        .collect();
    assert_eq!(ended, expected);
    // Folds end when they like; what is said of them comes one after the other.
    let folds: Vec<_> =
        together[&orders[8].run].epochs().iter().map(|metrics| metrics.fold).collect();
    assert!(folds.is_sorted() && folds.last() == Some(&Some(3)), "{folds:?}");
}

/// Threads take up runs as they come to it.
#[test]
fn threads_change_nothing() {
    let root = plates(&["a", "b"]);
    let cache = root.path().join("cache");
    let orders = many(root.path());
    let all = groups(&orders, true);
    let on = |threads: usize| {
        // The one that waits for what the others say trains nothing.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads + 1).build().unwrap();
        pool.install(|| {
            assert_eq!(rayon::current_num_threads(), threads + 1);
            train(&all, &cache)
        })
    };
    let one = on(1);
    assert_eq!(one.len(), orders.len());
    assert_eq!(on(2), one);
    assert_eq!(on(5), one);
}

/// The kernel and libtorch train alike.
#[test]
fn tensors_train_alike() {
    let root = plates(&["a", "b", "c"]);
    let cache = root.path().join("cache");
    for edit in [
        json!({ "early_stopping": { "monitor": "accuracy", "patience": 2, "start_from_epoch": 3 } }),
        json!({ "train": { "optimizer": "adamw", "label_smoothing": 0.1,
                           "class_weight": "balanced" } }),
        json!({ "data": { "validation": { "folds": 2 } } }),
        json!({ "augment": { "rotation_range": 20, "views": 2 } }),
    ] {
        let mut order = order(root.path(), 1, edit.clone());
        order.config.train.epochs = 10;
        let run = std::slice::from_ref(&order);
        let [kernel, tensors] =
            [true, false].map(|fuse| train(&groups(run, fuse), &cache).remove(&order.run).unwrap());
        let pairs: Vec<_> = kernel.epochs().into_iter().zip(tensors.epochs()).collect();
        assert_eq!(kernel.epochs().len(), tensors.epochs().len(), "{edit}");
        assert!(pairs.len() > 3);
        for (kernel, tensors) in pairs {
            let close = |one: f64, other: f64| (one - other).abs() < 1e-5 * other.max(1.0);
            let [one, other] = [kernel.val_loss, tensors.val_loss].map(Option::unwrap);
            let [fast, slow] = [kernel.loss, tensors.loss].map(Option::unwrap);
            assert!(close(fast, slow) && close(one, other), "{kernel:?} {tensors:?}");
            assert_eq!(
                (kernel.fold, kernel.accuracy, kernel.val_accuracy),
                (tensors.fold, tensors.accuracy, tensors.val_accuracy)
            );
        }
        let [Outcome::Finished(kernel), Outcome::Finished(tensors)] =
            [kernel, tensors].map(|heard| heard.outcome.unwrap())
        else {
            panic!("{edit}")
        };
        assert_eq!((kernel.epochs, kernel.updates), (tensors.epochs, tensors.updates), "{edit}");
        assert_eq!(kernel.images_seen, tensors.images_seen);
    }
}

#[test]
fn a_stop_ends_what_has_begun_and_leaves_the_rest() {
    let root = plates(&["a", "b"]);
    let mut orders = many(root.path());
    orders.remove(5);
    orders.iter_mut().for_each(|order| order.config.train.epochs = 1_000_000);
    orders.iter_mut().for_each(|order| order.config.early_stopping = None);
    let asked = AtomicUsize::new(0);
    let stopped = || asked.fetch_add(1, Ordering::Relaxed) > 500;
    let heard = train_until(&groups(&orders, true), &root.path().join("cache"), &stopped);
    assert!(!heard.is_empty());
    for (run, heard) in heard {
        let outcome = heard.outcome.expect("it began, so it is answered");
        let fell = matches!(outcome, Outcome::Interrupted { .. } | Outcome::Diverged { .. });
        assert!(fell, "{run} {outcome:?}");
    }
}

#[test]
fn runs_go_together_that_read_the_same() {
    let root = plates(&["a", "b"]);
    let orders = |edits: [Value; 2]| {
        let mut number = 0;
        edits.map(|edit| {
            number += 1;
            order(root.path(), number, edit)
        })
    };
    let other = |edit: Value| orders([json!({}), edit]);
    for apart in [
        json!({ "model": { "pooling": "gmp" } }),
        json!({ "model": { "hidden": [4] } }),
        json!({ "model": { "dropout": 0.1 } }),
        json!({ "model": { "freeze": "none" } }),
        json!({ "model": { "backbone": "resnet18" } }),
        json!({ "data": { "image_size": 40 } }),
        json!({ "data": { "validation": root.path().join("test") } }),
        json!({ "augment": { "horizontal_flip": true, "views": 2 } }),
    ] {
        assert_eq!(groups(&other(apart.clone()), true).len(), 2, "{apart}");
    }
    let mut seeds = other(json!({}));
    seeds[1].seed = 2;
    assert_eq!(groups(&seeds, true).len(), 2, "weights are drawn by the seed");
    for order in &mut seeds {
        order.config.model.weights = serde_json::from_value(json!("imagenet")).unwrap();
    }
    assert_eq!(groups(&seeds, true).len(), 1);
    assert_eq!(groups(&seeds, false).len(), 2, "each alone where that is wanted");
    seeds[1].weights_fingerprint = Some("other".to_owned());
    assert_eq!(groups(&seeds, true).len(), 2);
    // Of others each is alone, and the order stays.
    let hidden = json!({ "model": { "hidden": [4] } });
    assert_eq!(groups(&orders([hidden.clone(), hidden]), true).len(), 2);
}
