//! Whole runs through the trainer.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics has failed")]

mod plates;

use std::cell::RefCell;
use std::collections::HashSet;
use std::path::Path;

use serde_json::json;
use spec::config::FillMode;
use spec::protocol::{Event, RunOrder};
use spec::record::{EpochMetrics, Finished, Fold, ImageSet, Outcome, Prediction, Predictions};
use tch::Device;
use train::link::{Halt, Link};
use train::trainer::Trainer;

use plates::{SIDE, order, plates};

/// What a run sent and how it ended.
struct Told {
    events: Vec<Event>,
    outcome: Result<Outcome, Halt>,
}

impl Told {
    fn finished(&self) -> &Finished {
        match &self.outcome {
            Ok(Outcome::Finished(finished)) => finished,
            other => panic!("not finished: {other:?}"),
        }
    }

    fn error(&self) -> String {
        match &self.outcome {
            Err(halt) => halt.to_string(),
            Ok(outcome) => panic!("no error: {outcome:?}"),
        }
    }

    /// With the seconds set to 0.
    fn epochs(&self) -> Vec<EpochMetrics> {
        let epochs = self.events.iter().filter_map(|event| match event {
            Event::Epoch { metrics, .. } => Some(EpochMetrics { seconds: 0.0, ..*metrics }),
            _ => None,
        });
        epochs.collect()
    }

    fn predictions(&self) -> &Predictions {
        let predictions = self.events.iter().find_map(|event| match event {
            Event::Predictions { predictions, .. } => Some(predictions),
            _ => None,
        });
        predictions.expect("predictions")
    }

    fn notes(&self) -> Vec<&str> {
        let notes = self.events.iter().filter_map(|event| match event {
            Event::Note { text, .. } => Some(text.as_str()),
            _ => None,
        });
        notes.collect()
    }

    fn worked_on(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::Progress { .. })).count()
    }
}

fn run_with(trainer: &mut Trainer, order: &RunOrder, cache: &Path) -> Told {
    // Tests run side by side already, and more threads than cores wait for each other.
    tch::set_num_threads(1);
    let events = RefCell::new(Vec::new());
    let emit = |event: &Event| {
        events.borrow_mut().push(event.clone());
        Ok(())
    };
    let outcome = trainer.run(order, cache, &Link { emit: &emit, stopped: &|| false });
    Told { events: events.into_inner(), outcome }
}

/// A run by a trainer that knows nothing yet.
fn run(order: &RunOrder, cache: &Path) -> Told {
    run_with(&mut Trainer::new(Device::Cpu).unwrap(), order, cache)
}

#[test]
fn a_frozen_run_learns_and_repeats_itself() {
    for classes in [&["cleaned", "dirty"][..], &["a", "b", "c"]] {
        let root = plates(classes);
        let order = order(root.path(), 1, json!({ "train": { "epochs": 15 } }));
        let first = run(&order, &root.path().join("cache"));
        let finished = first.finished();
        let per_class = classes.len() as u64;
        assert_eq!((finished.epochs, finished.updates), (15, 60));
        // Passes of six images a class come in batches of eight, the last of a pass short.
        let pass: Vec<u64> = if per_class == 2 { vec![8, 4] } else { vec![8, 8, 2] };
        assert_eq!(finished.images_seen, pass.iter().cycle().take(60).sum::<u64>());
        assert_eq!(finished.test.unwrap().images, 2 * per_class);
        assert_eq!(finished.test.unwrap().accuracy(), 1.0, "{:?}", first.epochs());
        assert_eq!(finished.validation.unwrap().images, 2 * per_class);

        let predictions = first.predictions();
        assert_eq!(predictions.classes, classes);
        let sets: Vec<_> = predictions.images.iter().map(|image| image.set).collect();
        assert!(sets.is_sorted_by_key(|set| *set == ImageSet::Validation), "test comes first");
        assert_eq!(predictions.images[0].image, format!("{}/0.jpg", classes[0]));
        for image in &predictions.images {
            assert!((image.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }

        let second = run(&order, &root.path().join("other cache"));
        assert_eq!(second.epochs(), first.epochs());
        assert_eq!(second.predictions(), predictions);
        assert_eq!(second.finished(), finished);
    }
}

#[test]
fn features_are_computed_once() {
    let root = plates(&["a", "b"]);
    let cache = root.path().join("cache");
    let mut trainer = Trainer::new(Device::Cpu).unwrap();
    let first = run_with(&mut trainer, &order(root.path(), 1, json!({})), &cache);
    assert!(first.worked_on() > 0);
    // Another learning rate has the same frozen prefix: from memory, and in a new process from disk.
    let edit = json!({ "train": { "learning_rate": 0.02 } });
    let other = order(root.path(), 2, edit);
    let second = run_with(&mut trainer, &other, &cache);
    assert_eq!(second.worked_on(), 0);
    let third = run(&other, &cache);
    assert_eq!(third.worked_on(), 0);
    assert_eq!(third.epochs(), second.epochs());
    // Another interpolation has not.
    let nearest = order(root.path(), 4, json!({ "data": { "interpolation": "nearest" } }));
    assert!(run_with(&mut trainer, &nearest, &cache).worked_on() > 0);
    // Another pooling has not; nor has a folder with another image in it.
    let gmp = order(root.path(), 3, json!({ "model": { "pooling": "gmp" } }));
    assert!(run_with(&mut trainer, &gmp, &cache).worked_on() > 0);
    let (from, to) = (root.path().join("train/a/0.jpg"), root.path().join("train/b/0.jpg"));
    fs_err::copy(from, to).unwrap();
    assert!(run_with(&mut trainer, &other, &cache).worked_on() > 0);
}

#[test]
fn fixed_views_are_computed_once() {
    let root = plates(&["a", "b"]);
    let cache = root.path().join("cache");
    let mut trainer = Trainer::new(Device::Cpu).unwrap();
    let files = || {
        let names = fs_err::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path());
        names.filter(|path| path.extension().is_some_and(|end| end == "safetensors")).count()
    };
    let order = |number, rate: f64, views: u32| {
        let edit = json!({
            "train": { "learning_rate": rate, "epochs": 4, "steps_per_epoch": null },
            "augment": { "rotation_range": 40, "horizontal_flip": true, "views": views },
        });
        order(root.path(), number, edit)
    };
    let first = run_with(&mut trainer, &order(1, 0.01, 2), &cache);
    // An epoch counts images: twelve in batches of eight are two steps, and the second is full, for the
    // pass goes on with the other views.
    assert_eq!((first.finished().updates, first.finished().images_seen), (8, 64));
    assert_eq!(first.predictions().images.len(), 8, "four to test and four to validate on");
    assert_eq!(files(), 4, "training and test images, and two views of the former");
    // Another learning rate sees the same views: in memory, and on disk.
    assert_eq!(run_with(&mut trainer, &order(2, 0.02, 2), &cache).worked_on(), 0);
    let from_disk = run(&order(1, 0.01, 2), &cache);
    assert_eq!((from_disk.worked_on(), from_disk.epochs()), (0, first.epochs()));
    // A third view is one more, and changes what is trained.
    let third = run_with(&mut trainer, &order(3, 0.01, 3), &cache);
    assert_eq!(files(), 5);
    assert_ne!(third.epochs(), first.epochs());
    // Another fill leaves other pixels.
    let mut filled = order(4, 0.01, 2);
    filled.config.augment.as_mut().unwrap().fill_mode = FillMode::Wrap;
    assert!(run_with(&mut trainer, &filled, &cache).worked_on() > 0);
    assert_eq!(files(), 7);
}

#[test]
fn images_to_validate_on_lend_training_nothing() {
    for (freeze, views) in [
        (json!("all"), json!("fresh")),
        (json!("all"), json!(3)),
        (json!({ "unfreeze_last": 10 }), json!("fresh")),
        (json!({ "unfreeze_last": 10 }), json!(3)),
        (json!("none"), json!("fresh")),
        (json!("none"), json!(3)),
    ] {
        let root = plates(&["a", "b"]);
        let cache = root.path().join("cache");
        let edit = json!({
            "model": { "freeze": freeze },
            "train": { "epochs": 2, "steps_per_epoch": 3 },
            "augment": { "rotation_range": 40, "zoom_range": [0.7, 1.0], "views": views },
        });
        let of = order(root.path(), 1, edit.clone());
        let first = run(&of, &cache);
        let again = run(&of, &root.path().join("other cache"));
        assert_eq!(first.epochs(), again.epochs(), "{edit}");

        // Another picture in place of one to validate on; then of one to train on.
        let of_validation = |name: &str| {
            let images = &first.predictions().images;
            images.iter().any(|image| image.set == ImageSet::Validation && image.image == name)
        };
        let names: Vec<String> = (0..8).map(|number| format!("a/{number}.jpg")).collect();
        let losses = |told: &Told| told.epochs().iter().map(|epoch| epoch.loss).collect::<Vec<_>>();
        for aside in [true, false] {
            let name = names.iter().find(|name| of_validation(name) == aside).unwrap();
            let swapped = root.path().join("train").join(name);
            fs_err::copy(root.path().join("test/b/1.jpg"), swapped).unwrap();
            let second = run(&of, &cache);
            assert_eq!(losses(&second) == losses(&first), aside, "{name} {edit}");
        }
    }
}

#[test]
fn folds_lend_each_other_no_views() {
    for views in [json!("fresh"), json!(3)] {
        let root = plates(&["a", "b"]);
        let cache = root.path().join("cache");
        let edit = json!({
            "data": { "validation": { "folds": 4 } },
            "train": { "epochs": 2, "steps_per_epoch": 6 },
            "augment": { "rotation_range": 40, "views": views },
        });
        let of = order(root.path(), 1, edit);
        let losses = |told: &Told, fold: u32| {
            let of_fold = told.epochs().into_iter().filter(|epoch| epoch.fold == Some(fold));
            of_fold.map(|epoch| epoch.loss).collect::<Vec<_>>()
        };
        let first = run(&of, &cache);
        let images = &first.predictions().images;
        let aside = images.iter().find(|image| image.image == "a/5.jpg").unwrap().fold.unwrap();
        fs_err::copy(root.path().join("test/b/1.jpg"), root.path().join("train/a/5.jpg")).unwrap();
        let second = run(&of, &cache);
        for fold in 1..=4 {
            let same = losses(&first, fold) == losses(&second, fold);
            assert_eq!(same, fold == aside, "fold {fold} of {aside}, {views}");
        }
    }
}

/// A model that learns nothing measures the same on the same images.
#[test]
fn what_is_measured_on_stays_as_it_is() {
    let root = plates(&["a", "b"]);
    let cache = root.path().join("cache");
    let folder = root.path().join("test");
    for validation in [json!(0.25), json!({ "folds": 2 }), json!(folder)] {
        let still = |augment: serde_json::Value| {
            let edit = json!({
                "data": { "validation": validation },
                "train": { "learning_rate": 1e-30, "epochs": 2 },
                "augment": augment,
            });
            run(&order(root.path(), 1, edit), &cache)
        };
        let plain = still(json!(null));
        for views in [json!("fresh"), json!(3)] {
            let augment = json!({ "rotation_range": 90, "zoom_range": 0.5, "views": views });
            let changed = still(augment);
            // To rounding: fresh views train on libtorch, and features that are kept on the kernel.
            let same = |one: f64, other: f64| (one - other).abs() < 1e-6;
            let pairs = changed.predictions().images.iter().zip(&plain.predictions().images);
            for (changed, plain) in pairs {
                assert_eq!((changed.set, &changed.image), (plain.set, &plain.image));
                let mut both = changed.probabilities.iter().zip(&plain.probabilities);
                assert!(
                    both.all(|(one, other)| same((*one).into(), (*other).into())),
                    "{changed:?} {plain:?}"
                );
            }
            for (changed, plain) in changed.epochs().iter().zip(plain.epochs()) {
                let (Some(one), Some(other)) = (changed.val_loss, plain.val_loss) else { panic!() };
                assert!(same(one, other), "{validation} {views}: {one} {other}");
                assert_ne!(changed.loss, plain.loss, "{validation} {views}");
            }
        }
    }
}

#[test]
fn only_fresh_views_differ_from_pass_to_pass() {
    let root = plates(&["a", "b"]);
    let losses = |augment: serde_json::Value| {
        // All images in every step and nothing learnt: the loss is that of the views alone.
        let edit = json!({
            "data": { "validation": "none" },
            "train": { "batch_size": 16, "steps_per_epoch": 1, "learning_rate": 1e-30 },
            "augment": augment,
        });
        let told = run(&order(root.path(), 1, edit), &root.path().join("cache"));
        told.epochs().iter().map(|epoch| epoch.loss.unwrap()).collect::<Vec<_>>()
    };
    let augment = |views| json!({ "rotation_range": 90, "zoom_range": 0.5, "views": views });
    let apart = |a: f64, b: f64| (a / b - 1.0).abs() > 1e-5;
    let fixed = losses(augment(json!(1)));
    assert!(!apart(fixed[0], fixed[1]) && !apart(fixed[1], fixed[2]), "{fixed:?}");
    let fresh = losses(augment(json!("fresh")));
    assert!(apart(fresh[0], fresh[1]) && apart(fresh[1], fresh[2]), "{fresh:?}");
    assert_eq!(losses(augment(json!("fresh"))), fresh);
}

/// Views of pictures that look the same from all sides are the pictures: whichever way training comes by
/// what it reads, it is the same training.
#[test]
fn views_are_trained_on_as_images_are() {
    let root = plates(&["a", "b"]);
    for class in ["a", "b"] {
        for number in 0..8u8 {
            let shade = image::Rgb([20 * number, 90, if class == "a" { 200 } else { 30 }]);
            let path = root.path().join(format!("train/{class}/{number}.jpg"));
            image::RgbImage::from_pixel(SIDE, SIDE, shade).save(path).unwrap();
        }
    }
    let epochs = |freeze: &serde_json::Value, augment: serde_json::Value| {
        let edit = json!({
            "model": { "freeze": freeze },
            "train": { "epochs": 2, "steps_per_epoch": 2 },
            "augment": augment,
        });
        run(&order(root.path(), 1, edit), &root.path().join("cache")).epochs()
    };
    for freeze in [json!("all"), json!({ "unfreeze_last": 10 }), json!("none")] {
        let plain = epochs(&freeze, json!(null));
        for views in [json!("fresh"), json!(1)] {
            let augment = json!({ "rotation_range": 90, "vertical_flip": true, "views": views });
            for (plain, epoch) in plain.iter().zip(epochs(&freeze, augment)) {
                let apart = (plain.loss.unwrap() / epoch.loss.unwrap() - 1.0).abs();
                assert!(apart < 1e-3, "{freeze} {views}: {plain:?} {epoch:?}");
            }
        }
    }
}

#[test]
fn broken_features_are_computed_anew() {
    let root = plates(&["a", "b"]);
    let cache = root.path().join("cache");
    let order = order(root.path(), 1, json!({}));
    let first = run(&order, &cache);
    let files = || {
        let entries = fs_err::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "safetensors"))
    };
    assert_eq!(files().count(), 2, "training and test images");
    for file in files() {
        let bytes = fs_err::read(&file).unwrap();
        fs_err::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    }
    let second = run(&order, &cache);
    assert!(second.worked_on() > 0);
    assert_eq!(second.epochs(), first.epochs());
}

#[test]
fn folds_tell_every_training_image_once() {
    let root = plates(&["a", "b", "c"]);
    let cache = root.path().join("cache");
    let edit = json!({
        "data": { "validation": { "folds": 3 } },
        "train": { "epochs": 2 },
        "early_stopping": { "patience": 0, "baseline": 0.0 },
    });
    let folded = order(root.path(), 1, edit);
    let told = run(&folded, &cache);
    let finished = told.finished();
    let folds = &finished.folds;
    assert_eq!(folds.iter().map(|fold| fold.fold).collect::<Vec<_>>(), [1, 2, 3]);
    let epochs: Vec<_> = told.epochs().iter().map(|row| (row.fold, row.epoch)).collect();
    let expected = (1..=3).flat_map(|fold| (1..=2).map(move |epoch| (Some(fold), epoch)));
    assert_eq!(epochs, expected.collect::<Vec<_>>());
    assert_eq!((finished.epochs, finished.updates), (6, 24));

    // Every training image once; the evaluation is that of the folds together.
    let images = &told.predictions().images;
    let aside: Vec<_> = images.iter().filter(|image| image.set == ImageSet::Validation).collect();
    let names: Vec<_> = aside.iter().map(|image| image.image.as_str()).collect();
    assert_eq!(names.len(), 24);
    assert!(names.is_sorted() && names.iter().collect::<HashSet<_>>().len() == 24);
    let whole = finished.validation.unwrap();
    let sum = |of: &dyn Fn(&Fold) -> f64| folds.iter().map(of).sum::<f64>();
    assert_eq!((whole.images, whole.correct as f64), (24, sum(&|f| f.validation.correct as f64)));
    let loss = sum(&|fold| fold.validation.loss * fold.validation.images as f64) / 24.0;
    assert!((whole.loss / loss - 1.0).abs() < 1e-5, "{whole:?} {loss}");
    for fold in folds {
        let of = |image: &&&Prediction| image.fold == Some(fold.fold);
        let right = aside.iter().filter(of).filter(|image| image.label == Some(image.predicted));
        assert_eq!(aside.iter().filter(of).count() as u64, fold.validation.images);
        assert_eq!(right.count() as u64, fold.validation.correct);
        assert_eq!(fold.test.unwrap().images, 6);
    }
    let test: Vec<_> = images.iter().filter(|image| image.set == ImageSet::Test).collect();
    assert!(test.len() == 6 && test.iter().all(|image| image.fold.is_none()));
    for image in test {
        assert!((image.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
    }

    let again = run(&folded, &root.path().join("other cache"));
    assert_eq!((again.finished(), again.predictions()), (finished, told.predictions()));
}

#[test]
fn folds_that_cannot_be_are_refused_and_a_divergence_names_its_fold() {
    let root = plates(&["a", "b"]);
    let cache = root.path().join("cache");
    let edit = json!({ "data": { "validation": { "folds": 9 } } });
    let told = run(&order(root.path(), 1, edit), &cache);
    assert_eq!(told.worked_on(), 0, "before any work");
    let said = told.error();
    assert!(said.contains("folds = 9 is more than the 8 images of "), "{said}");
    assert!(said.contains("/train/a"), "{said}");

    let edit = json!({
        "data": { "validation": { "folds": 2 } },
        "train": { "learning_rate": 1e38, "epochs": 5 },
    });
    let told = run(&order(root.path(), 1, edit), &cache);
    let Err(halt) = &told.outcome else { panic!("{:?}", told.outcome) };
    assert!(halt.to_string().starts_with("fold 1: the "), "{halt}");
}

#[test]
fn validation_steps_look_at_a_part_of_the_validation_images() {
    let root = plates(&["a", "b"]);
    let cache = root.path().join("cache");
    let steps = |steps: Option<u32>| {
        let edit = json!({
            "data": { "validation": 0.75 },
            "train": { "batch_size": 5, "validation_steps": steps, "learning_rate": 1e-9 },
        });
        run(&order(root.path(), 1, edit), &cache)
    };
    // Twelve images in batches of five are three.
    let all = steps(None);
    assert_eq!(steps(Some(3)).epochs(), all.epochs());
    assert_eq!(steps(Some(9)).epochs(), all.epochs(), "no image counts twice");
    let part = steps(Some(1));
    let losses = |told: &Told| -> Vec<f64> {
        told.epochs().iter().map(|epoch| epoch.val_loss.unwrap()).collect()
    };
    // The model hardly moves, so what differs between epochs are the images: passes of 5, 5 and 2.
    let [all_losses, part_losses] = [losses(&all), losses(&part)];
    let together = (5.0 * (part_losses[0] + part_losses[1]) + 2.0 * part_losses[2]) / 12.0;
    assert!((together - all_losses[0]).abs() < 1e-4, "{part_losses:?} {all_losses:?}");
    assert!((part_losses[0] - all_losses[0]).abs() > 1e-4, "{part_losses:?} {all_losses:?}");
    assert_eq!(part.finished().validation, all.finished().validation, "the end counts all");
    assert_eq!(losses(&steps(Some(1))), part_losses);
}

#[test]
fn preprocessing_can_be_another() {
    let root = plates(&["a", "b"]);
    let cache = root.path().join("cache");
    let with = |preprocessing: &str| {
        let edit = json!({ "model": { "preprocessing": preprocessing } });
        run(&order(root.path(), 1, edit), &cache)
    };
    let (auto, lite, caffe) = (with("auto"), with("lite"), with("caffe"));
    assert_eq!(auto.epochs(), lite.epochs());
    assert_eq!(lite.worked_on(), 0, "the same features");
    assert!(caffe.worked_on() > 0 && caffe.epochs() != lite.epochs());
}

#[test]
fn nothing_frozen_trains_everything() {
    let root = plates(&["a", "b"]);
    let edit = json!({ "model": { "freeze": "none" }, "train": { "steps_per_epoch": null } });
    let told = run(&order(root.path(), 1, edit), &root.path().join("cache"));
    // Twelve images in batches of eight are two steps.
    assert_eq!((told.finished().updates, told.finished().images_seen), (6, 36));
    assert!(!root.path().join("cache").exists(), "there is nothing to cache");
}

#[test]
fn early_stopping_goes_back_to_the_best_epoch() {
    let root = plates(&["a", "b"]);
    // So large a step overshoots sooner or later.
    let edit = json!({
        "train": { "learning_rate": 0.5, "epochs": 60 },
        "early_stopping": { "patience": 2 },
        "reduce_lr_on_plateau": { "patience": 1, "min_lr": 0.2 },
    });
    for freeze in [json!("all"), json!({ "unfreeze_last": 3 })] {
        let mut order = order(root.path(), 1, edit.clone());
        order.config.model.freeze = serde_json::from_value(freeze).unwrap();
        let told = run(&order, &root.path().join("cache"));
        let epochs = told.epochs();
        let stopped = told.finished().stopped_early.as_ref().expect("it stops");
        let best = epochs[stopped.best_epoch as usize - 1];
        assert_eq!(stopped.epoch, stopped.best_epoch + 2);
        assert_eq!(epochs.len(), stopped.epoch as usize);
        let least = epochs.iter().filter_map(|epoch| epoch.val_loss).fold(f64::INFINITY, f64::min);
        assert_eq!((best.val_loss, stopped.best), (Some(least), least));
        assert_eq!(told.finished().validation.unwrap().loss, least, "the best weights are back");
        let last = told.notes().last().unwrap().to_string();
        assert!(last.ends_with(&format!("restored the weights of epoch {}", best.epoch)), "{last}");
        assert!(told.notes()[0].contains("learning rate lowered"), "{:?}", told.notes());
        assert!(epochs.last().unwrap().learning_rate < Some(0.5));
    }
}

#[test]
fn every_optimiser_and_head_learns() {
    for edit in [
        json!({ "train": { "optimizer": "adamw", "class_weight": "balanced" } }),
        json!({ "train": { "optimizer": { "name": "sgd", "momentum": 0.9, "nesterov": true } } }),
        json!({ "train": { "optimizer": "rmsprop", "label_smoothing": 0.1, "learning_rate": 0.001 } }),
        json!({ "train": { "optimizer": { "name": "adam", "convention": "torch" } } }),
        json!({ "model": { "hidden": [16], "dropout": 0.2, "kernel_initializer": "he_normal" } }),
        json!({ "model": { "output": "softmax", "hidden": [8] }, "train": { "label_smoothing": 0.1 } }),
        json!({ "model": { "freeze": { "unfreeze_last": 3 }, "hidden": [8], "dropout": 0.1 },
                "train": { "class_weight": { "a": 2.0 }, "learning_rate": 0.003 } }),
    ] {
        let root = plates(&["a", "b"]);
        let mut order = order(root.path(), 1, edit.clone());
        order.config.train.epochs = 25;
        let told = run(&order, &root.path().join("cache"));
        assert_eq!(told.finished().test.unwrap().accuracy(), 1.0, "{edit} {:?}", told.epochs());
        assert_eq!(run(&order, &root.path().join("cache")).epochs(), told.epochs(), "{edit}");
    }
    let root = plates(&["a", "b", "c"]);
    let edit = json!({ "model": { "output": "sigmoid" } });
    let error = run(&order(root.path(), 1, edit), &root.path().join("cache")).error();
    assert_eq!(
        error,
        "output = \"sigmoid\" tells two classes apart, and there are 3: use \"softmax\""
    );
}

#[test]
fn what_is_measured_and_said_of_epochs() {
    let root = plates(&["a", "b"]);
    let edit = json!({
        "train": { "batch_size": 64, "epochs": 4, "steps_per_epoch": 1,
                   "learning_rate_schedule": { "name": "step", "factor": 0.5, "every": 2 } },
        "early_stopping": { "monitor": "val_auc", "patience": 1, "verbose": 0 },
    });
    let told = run(&order(root.path(), 1, edit.clone()), &root.path().join("cache"));
    assert_eq!(
        told.notes(),
        ["batch_size 64 is more than the 12 training images: every step sees 12"]
    );
    assert_eq!(told.finished().images_seen, 12 * u64::from(told.finished().epochs));
    for (metrics, rate) in told.epochs().iter().zip([0.01, 0.01, 0.005, 0.005]) {
        assert_eq!(metrics.learning_rate, Some(rate));
        assert!(metrics.val_auc.is_some_and(|auc| (0.0..=1.0).contains(&auc)), "{metrics:?}");
    }

    let mut augmented = order(root.path(), 1, edit.clone());
    augmented.config.augment =
        serde_json::from_value(json!({ "vertical_flip": true, "views": 3 })).unwrap();
    let note = "batch_size 64 is more than the 36 views of 12 training images: every step sees 36";
    assert_eq!(run(&augmented, &root.path().join("cache")).notes(), [note]);

    let root = plates(&["a", "b", "c"]);
    let error = run(&order(root.path(), 1, edit), &root.path().join("cache")).error();
    assert_eq!(error, "val_auc is of two classes, and there are 3: watch val_loss");
    let told = run(&order(root.path(), 1, json!({})), &root.path().join("cache"));
    assert!(told.epochs().iter().all(|metrics| metrics.val_auc.is_none()));
}

#[test]
fn a_loss_that_is_no_number_is_a_divergence() {
    let root = plates(&["a", "b"]);
    let edit = json!({ "train": { "learning_rate": 1e38, "epochs": 5 } });
    let told = run(&order(root.path(), 1, edit), &root.path().join("cache"));
    let Err(halt) = &told.outcome else { panic!("{:?}", told.outcome) };
    let Outcome::Diverged { epoch, cause } = halt.outcome() else { panic!("{halt:?}") };
    assert_eq!(epoch as usize, told.epochs().len() + 1);
    assert!(cause.contains("loss became"), "{cause}");
}

#[test]
fn what_cannot_be_trained_is_said() {
    let root = plates(&["a", "b"]);
    let cache = root.path().join("cache");
    let refused = |edit| run(&order(root.path(), 1, edit), &cache).error();
    let error = refused(json!({ "data": { "validation": "none" }, "early_stopping": {} }));
    assert_eq!(error, "val_loss is monitored, and without validation images there is none");
    let error = refused(json!({ "model": { "freeze": { "unfreeze_from": "top_con" } } }));
    assert_eq!(
        error,
        "none of the backbone's 146 layers is called `top_con`: did you mean `top_conv`?"
    );
    let error = refused(json!({ "data": { "image_size": 16 } }));
    assert_eq!(error, "image_size is 16, and must be at least 32");
    let mut unsteppable = order(root.path(), 1, json!({}));
    unsteppable.config.train.learning_rate = f64::NAN;
    let error = run(&unsteppable, &cache).error();
    assert_eq!(error, "learning_rate is NaN, and must be a number above 0");
    let error = refused(json!({ "train": { "steps_per_epoch": 0 } }));
    assert_eq!(
        error,
        "batch_size, epochs, steps_per_epoch and validation_steps must be at least 1"
    );
    let error = refused(json!({ "augment": { "horizontal_flip": true, "views": 0 } }));
    assert_eq!(error, "views must be at least 1, or \"fresh\"");
    let error = refused(json!({ "train": { "class_weight": { "c": 2.0 } } }));
    assert_eq!(error, "class_weight names the class \"c\", and the classes are a, b");
    let error = refused(json!({ "model": { "weights": "imagenet" } }));
    assert!(error.contains("no file"), "{error}");

    let photo = root.path().join("train/b/3.jpg");
    let bytes = fs_err::read(&photo).unwrap();
    fs_err::write(&photo, &bytes[..bytes.len() - 20]).unwrap();
    let error = refused(json!({}));
    assert!(error.contains("train/b/3.jpg is cut short"), "{error}");
}
