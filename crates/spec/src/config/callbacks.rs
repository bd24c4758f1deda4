//! What watches the training loop between epochs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `keras.callbacks.EarlyStopping`: stops when the monitored quantity has stopped improving.
/// <https://keras.io/api/callbacks/early_stopping/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    /// The quantity to watch.
    #[serde(default)]
    pub monitor: Monitor,
    /// Epochs without improvement after which training stops.
    #[serde(default = "patience_10")]
    pub patience: u32,
    /// The smallest change that counts as an improvement; 0 or more.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub min_delta: f64,
    /// Go back to the weights of the best epoch at the end; else keep those of the last one.
    #[serde(default = "yes")]
    pub restore_best_weights: bool,
}

/// `keras.callbacks.ReduceLROnPlateau`: lowers the learning rate when the monitored quantity has
/// stopped improving. <https://keras.io/api/callbacks/reduce_lr_on_plateau/>
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReduceLrOnPlateau {
    /// The quantity to watch.
    #[serde(default)]
    pub monitor: Monitor,
    /// What the learning rate is multiplied with; between 0 and 1, both excluded.
    #[serde(default = "half")]
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub factor: f64,
    /// Epochs without improvement after which the learning rate is lowered.
    #[serde(default = "patience_5")]
    pub patience: u32,
    /// The smallest change that counts as an improvement; 0 or more.
    #[serde(default = "min_delta")]
    #[schemars(range(min = 0))]
    pub min_delta: f64,
    /// The learning rate is never lowered below this; 0 or more.
    #[serde(default = "min_lr")]
    #[schemars(range(min = 0))]
    pub min_lr: f64,
}

/// A quantity measured every epoch, in Keras's words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Monitor {
    /// Mean training loss over the epoch's steps; lower is better.
    Loss,
    /// Training accuracy over the epoch's steps; higher is better.
    Accuracy,
    /// Loss on the validation images; lower is better.
    #[default]
    ValLoss,
    /// Accuracy on the validation images; higher is better.
    ValAccuracy,
}

impl Monitor {
    /// The name in sweep files and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Accuracy => "accuracy",
            Self::ValLoss => "val_loss",
            Self::ValAccuracy => "val_accuracy",
        }
    }

    /// Whether it is measured on validation images.
    pub fn needs_validation(self) -> bool {
        matches!(self, Self::ValLoss | Self::ValAccuracy)
    }

    /// Whether more is better (accuracies) or less is (losses): Keras's `mode = "auto"`.
    pub fn higher_is_better(self) -> bool {
        matches!(self, Self::Accuracy | Self::ValAccuracy)
    }
}

fn patience_10() -> u32 {
    10
}
fn patience_5() -> u32 {
    5
}
fn yes() -> bool {
    true
}
fn half() -> f64 {
    0.5
}
fn min_delta() -> f64 {
    1e-4
}
fn min_lr() -> f64 {
    1e-6
}
