//! What the orchestrator and a worker say to each other: one JSON object per line.
//!
//! A worker reads [`Order`]s from stdin and writes [`Event`]s to stdout; stdout carries nothing else.
//! It stays warm between bundles and ends when stdin ends. Everything that a run leaves on disk is
//! written by the orchestrator from these events, so that no file has two writers; the feature cache
//! is the worker's own.
//!
//! An order is about configurations `C`: [`Builtin`] where it reaches the built-in trainer,
//! [`Config`](crate::config::Config) where it leaves the orchestrator, which speaks to all trainers.
//!
//! `docs/protocol.md` tells people who write a worker of their own; `docs/protocol.schema.json` is made
//! from these types, and a test holds it to them.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Backbone, Builtin, Interpolation, Model, Pooling, Preprocessing};
use crate::record::{EpochMetrics, Outcome, Predictions};
use crate::run_id::{Fingerprints, RunId};
use crate::sweep::CheckpointEvery;

/// Version of this protocol. A worker that says another one in its `hello` is refused.
pub const VERSION: u32 = 1;

/// A line to a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Order<C = Builtin> {
    /// Runs to train; the worker answers each with a `finished`.
    Bundle(Bundle<C>),
    /// Images whose pooled features are wanted; the worker answers each with a `features`.
    Features(FeaturesOrder),
    /// The layers of a model are wanted; the worker answers with a `layers`.
    Layers(LayersOrder),
    /// Stop at the next batch: the runs under way end as `interrupted`, those not begun are not
    /// answered, and the worker is `idle`.
    Stop,
}

/// Runs handed to a worker together because they share a frozen prefix.
///
/// The worker may train them one after the other, or several together: it begins each with a `started`,
/// which may come while others are under way, and ends each with a `finished`, in whatever order they
/// end. What it says of a run stands between these two, mixed with what it says of the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bundle<C = Builtin> {
    /// Where features are kept, content-addressed; shared by all workers.
    pub cache: PathBuf,
    /// Whether runs that can be are trained side by side ([`Builtin::can_fuse`]). Otherwise each is
    /// trained by itself as any other run is, to compare.
    #[serde(default = "yes")]
    pub fuse: bool,
    /// Where and how often the state of runs is kept. Absent: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoints: Option<Checkpoints>,
    /// The runs, in the order in which they are wanted.
    pub runs: Vec<RunOrder<C>>,
}

/// Where and how often a worker keeps the state of runs. One that finds what it kept of a run goes on from
/// there: it says the epochs again that it has said before, as if nothing had been in between.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Checkpoints {
    /// The folder, which need not be there: [`crate::paths::CheckpointsDir`].
    pub folder: PathBuf,
    /// How often.
    pub every: CheckpointEvery,
}

fn yes() -> bool {
    true
}

/// Images whose pooled features are wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FeaturesOrder {
    /// The network.
    pub backbone: Backbone,
    /// The safetensors file with its weights.
    pub weights: PathBuf,
    /// How pixels become its input.
    pub preprocessing: Preprocessing,
    /// How its feature map becomes one row of numbers.
    pub pooling: Pooling,
    /// Side of the square that images are resized to, in pixels; at least 32.
    pub image_size: u32,
    /// How they are resized to it.
    pub interpolation: Interpolation,
    /// The images, in the order in which they are answered.
    pub images: Vec<PathBuf>,
}

/// A model whose layers are wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LayersOrder {
    /// The model; its weights do not matter.
    pub model: Model,
    /// Side of the images, in pixels; at least the backbone's least.
    pub image_size: u32,
    /// Classes that it tells apart; at least 2.
    pub classes: u32,
}

/// One run: everything a worker needs to know about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunOrder<C = Builtin> {
    /// Names the run in every event about it.
    pub run: RunId,
    /// What all randomness of the run hangs on.
    pub seed: u64,
    /// What to train.
    pub config: C,
    /// The file behind `config.model.weights`; absent for `weights = "none"`, and for a trainer of the
    /// user's own unless it is a file that the sweep names.
    pub weights: Option<PathBuf>,
    /// Names the content of that file, so that cached features never outlive it.
    pub weights_fingerprint: Option<String>,
    /// What the images were when the run was planned: a worker that finds others says `broken`. Absent:
    /// whatever is there will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprints: Option<Fingerprints>,
}

/// A line from a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The first line: the worker is up and its device answers.
    Hello {
        /// [`VERSION`] as the worker knows it.
        version: u32,
        /// The device in words, such as `cpu (2 threads)` or `NVIDIA H100`.
        device: String,
    },
    /// Work that belongs to no single epoch.
    Progress {
        /// What is being done.
        stage: Stage,
        /// Units done, out of `total`.
        done: u64,
        /// Units in all.
        total: u64,
    },
    /// A run begins. A worker that ends before its `finished` takes all runs under way with it.
    Started {
        /// The run.
        run: RunId,
    },
    /// An epoch has ended.
    Epoch {
        /// The run.
        run: RunId,
        /// What was measured in it.
        metrics: EpochMetrics,
    },
    /// Something about a run that a person should read, such as why early stopping stopped it.
    Note {
        /// The run.
        run: RunId,
        /// One line.
        text: String,
    },
    /// What the trained model says of each image; before `finished`. Of many images it comes in parts,
    /// so that no line becomes too long.
    Predictions {
        /// The run.
        run: RunId,
        /// The images and what was said of them.
        predictions: Predictions,
    },
    /// A run has ended, in whatever way. Exactly one for each run begun.
    Finished {
        /// The run.
        run: RunId,
        /// How it ended.
        #[serde(flatten)]
        outcome: Outcome,
    },
    /// What runs need is broken: images cannot be read or are not those that were planned, weights
    /// cannot be loaded. Said in place of the `finished` of all runs under way, which stay open; the
    /// sweep ends, since other runs would fare no better.
    Broken {
        /// What, where, and the way out.
        cause: String,
    },
    /// What the backbone makes of one image.
    Features {
        /// The image, as in the order.
        image: PathBuf,
        /// Its features.
        features: Vec<f32>,
    },
    /// No more features will come, before `idle`.
    NoFeatures {
        /// Why.
        cause: String,
    },
    /// The layers of a model.
    Layers {
        /// Those of the backbone first, in the order of Keras's `model.layers`.
        layers: Vec<LayerRow>,
    },
    /// The model cannot be built; before `idle`.
    NoLayers {
        /// Why.
        cause: String,
    },
    /// The order is done (or stopped): the worker takes the next one.
    Idle,
}

/// A layer of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LayerRow {
    /// Keras's name.
    pub name: String,
    /// The name of Keras's class.
    pub class: String,
    /// The output's shape without the batch: height, width and channels, or units.
    pub output: Vec<i64>,
    /// Parameters that training changes.
    pub trainable: u64,
    /// Those that it does not: of frozen layers, and the running statistics of normalisations.
    pub non_trainable: u64,
}

/// What a `progress` event counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Images read, decoded and resized.
    Decode,
    /// Images passed through the frozen part of the backbone.
    Features,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Evaluation, Finished};

    #[test]
    fn a_finished_run_is_one_flat_object() {
        let event = Event::Finished {
            run: RunId::from_digest([7; 32]),
            outcome: Outcome::Finished(Finished {
                epochs: 12,
                updates: 1200,
                images_seen: 38_400,
                stopped_early: None,
                validation: Some(Evaluation { images: 8, correct: 6, loss: 0.5 }),
                test: None,
                score: None,
                folds: Vec::new(),
            }),
        };
        let line = serde_json::to_string(&event).unwrap();
        insta::assert_snapshot!(line, @r#"{"type":"finished","run":"0707070707070707070707070707070707070707070707070707070707070707","outcome":"finished","epochs":12,"updates":1200,"images_seen":38400,"validation":{"images":8,"correct":6,"loss":0.5}}"#);
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
    }
}
