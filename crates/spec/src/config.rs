//! One fully resolved training configuration.
//!
//! These types are the single source of what keys exist: the JSON Schema derived from them gives the
//! list of valid keys, their documentation and the "did you mean". Words and defaults are Keras's where
//! Keras has one (<https://keras.io/api/>), else the source document's.

mod callbacks;
mod choices;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use callbacks::{EarlyStopping, Monitor, ReduceLrOnPlateau};
pub use choices::{Freeze, Validation, Weights};

/// One fully resolved training configuration, seed excluded.
///
/// Nothing in it means "default": what a sweep file leaves out is filled in before this type exists.
/// Paths are absolute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the images are and how they become tensors.
    pub data: Data,
    /// The pretrained backbone and the head on top of it.
    pub model: Model,
    /// The training loop.
    pub train: Train,
    /// Stops training when the monitored quantity has stopped improving; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<EarlyStopping>,
    /// Lowers the learning rate when the monitored quantity has stopped improving; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduce_lr_on_plateau: Option<ReduceLrOnPlateau>,
}

/// Where the images are and how they become tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Training images: one folder per class. Classes are numbered in the order of their names.
    #[schemars(extend("format" = "path"))]
    pub train: PathBuf,
    /// Test images: class folders, or images without labels (then each run gets a `submission.csv`).
    /// Absent: no test set; the score is the validation accuracy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "path"))]
    pub test: Option<PathBuf>,
    /// What `val_loss` and `val_accuracy` are measured on.
    #[serde(default)]
    pub validation: Validation,
    /// Side of the square that every image is resized to, in pixels; from 32 to 4096.
    #[serde(default = "defaults::image_size")]
    #[schemars(range(min = 32, max = 4096))]
    pub image_size: u32,
}

/// The pretrained backbone and the head on top of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The network that turns an image into features.
    #[serde(default)]
    pub backbone: Backbone,
    /// The backbone's starting weights.
    #[serde(default)]
    pub weights: Weights,
    /// Which layers of the backbone stay as they are.
    #[serde(default)]
    pub freeze: Freeze,
    /// How the backbone's feature map becomes the head's input.
    #[serde(default)]
    pub pooling: Pooling,
}

/// A network that turns an image into features.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Backbone {
    /// EfficientNet-Lite0: 1280 features, 0.4 GFLOP an image at 224 pixels.
    #[default]
    EfficientnetLite0,
    /// ResNet50, torchvision's v1.5: 2048 features, 4.1 GFLOP an image at 224 pixels.
    Resnet50,
}

impl Backbone {
    /// The name in sweep files, on disk and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::EfficientnetLite0 => "efficientnet_lite0",
            Self::Resnet50 => "resnet50",
        }
    }
}

/// How the backbone's feature map becomes the head's input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// `GlobalAveragePooling2D`: the mean over positions, one number per channel.
    #[default]
    Gap,
    /// `GlobalMaxPooling2D`: the largest over positions, one number per channel.
    Gmp,
    /// `Flatten`: every position of every channel.
    Flatten,
}

impl Pooling {
    /// The name in sweep files, on disk and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Gmp => "gmp",
            Self::Flatten => "flatten",
        }
    }
}

/// The training loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Train {
    /// Images per training step; at least 1.
    #[serde(default = "defaults::batch_size")]
    #[schemars(range(min = 1))]
    pub batch_size: u32,
    /// The optimiser's step size at the start; above 0.
    #[serde(default = "defaults::learning_rate")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub learning_rate: f64,
    /// The most epochs to train; at least 1.
    #[serde(default = "defaults::epochs")]
    #[schemars(range(min = 1))]
    pub epochs: u32,
    /// Training steps in one epoch; at least 1. The stream of shuffled images does not end with the
    /// folder, so 100 steps are 100 batches even of 40 images. Absent: images / batch_size, rounded up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub steps_per_epoch: Option<u32>,
    /// How gradients become steps.
    #[serde(default)]
    pub optimizer: Optimizer,
}

/// How gradients become steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// Adam with Keras's defaults: beta_1 0.9, beta_2 0.999, epsilon 1e-7.
    #[default]
    Adam,
}

/// Values of what a file leaves out. Serde needs them as functions.
mod defaults {
    pub(super) fn image_size() -> u32 {
        224
    }
    pub(super) fn batch_size() -> u32 {
        32
    }
    pub(super) fn learning_rate() -> f64 {
        1e-4
    }
    pub(super) fn epochs() -> u32 {
        50
    }
}
