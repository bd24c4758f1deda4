//! What one key alone cannot tell: rules between keys, and meanings of values.

use super::keys::{KEYS, Key};
use super::suggest::nearest;
use crate::config::{
    Augment, Builtin, Cosine, Freeze, LearningRateSchedule, Model, Monitor, Own, Precision,
    Protocol, Shift, Validation, Weights,
};
use crate::placeholders::{Meanings, PlaceholderError};

/// A rule that a configuration breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) message: String,
    pub(super) help: String,
    /// The keys that it is about, by path, and what to say beside each.
    pub(super) parts: Vec<(&'static str, String)>,
}

/// The rules that `config` breaks.
pub(super) fn check(config: &Builtin) -> Vec<Violation> {
    let mut violations = Vec::new();
    let early = config.early_stopping.as_ref().map(|early| early.monitor);
    let reduce = config.reduce_lr_on_plateau.as_ref().map(|reduce| reduce.monitor);
    if config.data.validation == Validation::None {
        violations.extend(early.and_then(|monitor| {
            unmeasured(monitor, "early stopping", "early_stopping", "early_stopping.monitor")
        }));
        violations.extend(reduce.and_then(|monitor| {
            let key = "reduce_lr_on_plateau.monitor";
            unmeasured(monitor, "lowering the learning rate", "reduce_lr_on_plateau", key)
        }));
    }
    violations.extend(unused_validation_steps(config));
    violations.extend(too_small_images(config));
    violations.extend(misspelt_weights(&config.model.weights));
    violations.extend(idle_precision(config));
    violations.extend(overruled_reductions(config));
    violations.extend(endless_warmup(config));
    if let Some(augment) = &config.augment {
        violations.extend(empty_shifts(augment, config.data.image_size));
    }
    violations
}

/// The rules that a configuration for a trainer of the user's own breaks.
pub(super) fn check_own(config: &Own) -> Vec<Violation> {
    let trainer = &config.trainer;
    if trainer.command.is_empty() {
        return vec![Violation {
            message: "`trainer.command` is empty".to_owned(),
            help: "name a program, such as [\"python3\", \"train.py\"]".to_owned(),
            parts: vec![("trainer.command", "no program here".to_owned())],
        }];
    }
    if trainer.protocol == Protocol::Worker {
        return Vec::new();
    }
    let meanings = Meanings::new(config, |_| String::new());
    let broken = |argument: &String| {
        let error = meanings.expand(argument).err()?;
        let (label, help) = match &error {
            PlaceholderError::Unknown { name } => (
                match nearest(name, meanings.names()) {
                    Some(near) => format!("did you mean `{{{near}}}`?"),
                    None => "no such setting here".to_owned(),
                },
                "declare it in [params], or write {{ and }} for braces",
            ),
            PlaceholderError::Ambiguous { .. } => {
                ("which one?".to_owned(), "write its section too")
            }
            PlaceholderError::Brace { .. } => {
                ("in this command".to_owned(), "write {{ and }} for braces")
            }
        };
        Some(Violation {
            message: format!("{error} in `{}`", argument.escape_debug()),
            help: help.to_owned(),
            parts: vec![("trainer.command", label)],
        })
    };
    trainer.command.iter().filter_map(broken).collect()
}

/// A precision of frozen layers where none is frozen: the same run under two names.
fn idle_precision(config: &Builtin) -> Option<Violation> {
    let Model { precision, freeze, .. } = &config.model;
    let reduced = matches!(precision, Precision::Tf32 | Precision::Bf16);
    (*freeze == Freeze::None && reduced).then(|| Violation {
        message: format!("{} is for frozen layers, and no layer is frozen", precision.name()),
        help:
            "set precision = \"auto\" beside freeze = \"none\": what trains is computed in 32 bits"
                .to_owned(),
        parts: vec![
            ("model.precision", "nothing computes in it".to_owned()),
            ("model.freeze", "everything trains".to_owned()),
        ],
    })
}

/// A schedule sets the learning rate before every epoch, so that a reduction would not last: in Keras
/// the scheduler silently overrules it.
fn overruled_reductions(config: &Builtin) -> Option<Violation> {
    let scheduled = config.train.learning_rate_schedule != LearningRateSchedule::Constant;
    (scheduled && config.reduce_lr_on_plateau.is_some()).then(|| Violation {
        message: "a schedule and plateaus both set the learning rate".to_owned(),
        help:
            "leave one out: learning_rate_schedule = \"constant\", or reduce_lr_on_plateau = false"
                .to_owned(),
        parts: vec![
            ("train.learning_rate_schedule", "sets it before every epoch".to_owned()),
            (
                "reduce_lr_on_plateau.factor",
                "lowers it, and the schedule would undo that".to_owned(),
            ),
        ],
    })
}

/// A warm-up that leaves no epoch for the learning rate that it warms up to.
fn endless_warmup(config: &Builtin) -> Option<Violation> {
    let LearningRateSchedule::Cosine(Cosine { warmup: Some(warmup), .. }) =
        config.train.learning_rate_schedule
    else {
        return None;
    };
    (warmup.epochs >= config.train.epochs).then(|| Violation {
        message: "the warm-up lasts as long as the training".to_owned(),
        help: "make warmup_epochs smaller than epochs".to_owned(),
        parts: vec![
            ("train.learning_rate_schedule", format!("{} epochs of warm-up", warmup.epochs)),
            ("train.epochs", format!("{} epochs in all", config.train.epochs)),
        ],
    })
}

/// An `[augment]` that names no change; `is_set` tells by path which keys are written. A change that is
/// named and is none, such as `rotation_range = 0`, is meant.
pub(super) fn idle_augmentation(
    config: &Builtin,
    is_set: impl Fn(&str) -> bool,
) -> Option<Violation> {
    const NO_CHANGES: [&str; 3] = ["fill_mode", "cval", "views"];
    let mut keys = KEYS.section("augment").into_iter().flat_map(|section| &section.keys);
    let is_change = |key: &Key| !NO_CHANGES.contains(&key.name.as_str()) && is_set(&key.path);
    (config.augment.is_some() && !keys.any(is_change)).then(|| Violation {
        message: "`augment` is on and changes no image".to_owned(),
        help: "name a change, such as rotation_range = 20 (0 for none), or switch it off with \
               augment = false"
            .to_owned(),
        parts: vec![("augment", "nothing here changes an image".to_owned())],
    })
}

/// Shifts that move nothing, or all of an image out of sight.
fn empty_shifts(augment: &Augment, side: u32) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (key, shift) in [
        ("augment.width_shift_range", augment.width_shift_range),
        ("augment.height_shift_range", augment.height_shift_range),
    ] {
        if shift == Shift::Pixels(1) {
            violations.push(Violation {
                message: format!("`{key}` of 1 moves nothing"),
                help: "as in Keras a whole number n draws one of 0, ..., n - 1 pixels: write 2, or 1.0 \
                       for anything up to one pixel"
                    .to_owned(),
                parts: vec![(key, "this is 0 pixels".to_owned())],
            });
        } else if shift.limit(side) >= f64::from(side) {
            violations.push(Violation {
                message: format!("`{key}` moves images out of sight"),
                help: "from 1 on it is in pixels; a share of the side is below 1, such as 0.1"
                    .to_owned(),
                parts: vec![
                    (key, format!("{} pixels", shift.limit(side))),
                    ("data.image_size", format!("a side has {side}")),
                ],
            });
        }
    }
    violations
}

fn unmeasured(monitor: Monitor, what: &str, section: &str, key: &'static str) -> Option<Violation> {
    monitor.needs_validation().then(|| Violation {
        message: format!("{what} watches `{}`, but there is no validation data", monitor.name()),
        help: format!(
            "set data.validation to a share such as 0.2 or to a folder, watch \"{}\" instead, or \
             switch it off with {section} = false",
            if monitor == Monitor::ValAccuracy { "accuracy" } else { "loss" },
        ),
        parts: vec![
            (key, format!("watches `{}`", monitor.name())),
            ("data.validation", "no validation data".to_owned()),
        ],
    })
}

/// Steps over images that are not there.
fn unused_validation_steps(config: &Builtin) -> Option<Violation> {
    let steps = config.train.validation_steps?;
    (config.data.validation == Validation::None).then(|| Violation {
        message: "there are validation steps, but no validation data".to_owned(),
        help: "leave validation_steps out, or set data.validation to a share such as 0.2, to folds or \
               to a folder"
            .to_owned(),
        parts: vec![
            ("train.validation_steps", format!("{steps} batches of it")),
            ("data.validation", "no validation data".to_owned()),
        ],
    })
}

/// Images that shrink to nothing on their way through the network.
fn too_small_images(config: &Builtin) -> Option<Violation> {
    let (backbone, size) = (config.model.backbone, config.data.image_size);
    let (name, least) = (backbone.name(), backbone.least_image_size());
    (size < least).then(|| Violation {
        message: format!("{name} cannot see images of {size} pixels"),
        help: format!(
            "make image_size {least} or more; its weights were trained on images of {}",
            backbone.image_size()
        ),
        parts: vec![
            ("data.image_size", format!("{size} pixels")),
            ("model.backbone", format!("needs {least}")),
        ],
    })
}

/// A file of weights says so by its ending, or `"imagnet"` would be the name of a file.
fn misspelt_weights(weights: &Weights) -> Option<Violation> {
    let Weights::File(path) = weights else {
        return None;
    };
    let is_safetensors = path.extension().is_some_and(|extension| extension == "safetensors");
    let word = path.file_name().and_then(|name| nearest(name.to_str()?, ["imagenet", "none"]));
    let label = match word {
        Some(word) => format!("did you mean \"{word}\"?"),
        None => "not one of them".to_owned(),
    };
    (!is_safetensors).then(|| Violation {
        message:
            "`model.weights` must be \"imagenet\", \"none\" or a path that ends in .safetensors"
                .to_owned(),
        help: "weights in another format have to be converted to safetensors first".to_owned(),
        parts: vec![("model.weights", label)],
    })
}
