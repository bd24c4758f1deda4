//! The training loop.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ClassWeight, LearningRateSchedule, Optimizer};

/// The training loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Train {
    /// Images per training step; at least 1.
    #[serde(default = "batch_size")]
    #[schemars(range(min = 1))]
    pub batch_size: u32,
    /// The optimiser's step size at the start; above 0.
    #[serde(default = "learning_rate")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub learning_rate: f64,
    /// How it changes from epoch to epoch.
    #[serde(default)]
    pub learning_rate_schedule: LearningRateSchedule,
    /// The most epochs to train; at least 1.
    #[serde(default = "epochs")]
    #[schemars(range(min = 1))]
    pub epochs: u32,
    /// Training steps in one epoch; at least 1. The stream of shuffled images does not end with the
    /// folder, so 100 steps are 100 batches even of 40 images. Absent: images / batch_size, rounded up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub steps_per_epoch: Option<u32>,
    /// Batches of validation images that an epoch is measured on; at least 1. They are the next ones of
    /// shuffled passes, so that epochs see different images. Absent, or more than there are: all images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub validation_steps: Option<u32>,
    /// How gradients become steps.
    #[serde(default)]
    pub optimizer: Optimizer,
    /// Share of every target that is spread evenly over the classes; 0 or more, below 1.
    #[serde(default)]
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub label_smoothing: f64,
    /// How much the images of each class count in training.
    #[serde(default)]
    pub class_weight: ClassWeight,
}

fn batch_size() -> u32 {
    32
}
fn learning_rate() -> f64 {
    1e-4
}
fn epochs() -> u32 {
    50
}
