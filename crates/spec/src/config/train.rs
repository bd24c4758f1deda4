//! The training loop.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LearningRateSchedule;

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

fn batch_size() -> u32 {
    32
}
fn learning_rate() -> f64 {
    1e-4
}
fn epochs() -> u32 {
    50
}
