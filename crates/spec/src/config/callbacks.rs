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
    /// Whether less or more is better.
    #[serde(default)]
    pub mode: Mode,
    /// A value that the monitored quantity has to beat: until it does, improvements do not end the
    /// wait. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<f64>,
    /// Epochs at the start that are not watched: neither do they count as a wait, nor are their
    /// weights ever restored.
    #[serde(default)]
    pub start_from_epoch: u32,
    /// Go back to the weights of the best epoch at the end; else keep those of the last one.
    #[serde(default = "yes")]
    pub restore_best_weights: bool,
    /// 1: say when and why it stopped and what it restored; 0: say nothing. No part of a run's id.
    #[serde(default = "verbose")]
    #[schemars(range(min = 0, max = 1))]
    pub verbose: u32,
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
    /// Whether less or more is better.
    #[serde(default)]
    pub mode: Mode,
    /// Epochs after a reduction during which none without improvement is counted.
    #[serde(default)]
    pub cooldown: u32,
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
    /// Area under the ROC curve on the validation images, of two classes; higher is better.
    ValAuc,
}

impl Monitor {
    /// The name in sweep files and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Accuracy => "accuracy",
            Self::ValLoss => "val_loss",
            Self::ValAccuracy => "val_accuracy",
            Self::ValAuc => "val_auc",
        }
    }

    /// Whether it is measured on validation images.
    pub fn needs_validation(self) -> bool {
        matches!(self, Self::ValLoss | Self::ValAccuracy | Self::ValAuc)
    }
}

/// Whether less or more of the monitored quantity is better.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// As the quantity has it: less of a loss, more of an accuracy.
    #[default]
    Auto,
    /// Less is better.
    Min,
    /// More is better.
    Max,
}

impl Mode {
    /// Whether more of `monitor` is better.
    pub fn higher_is_better(self, monitor: Monitor) -> bool {
        match self {
            Self::Auto => !matches!(monitor, Monitor::Loss | Monitor::ValLoss),
            Self::Min => false,
            Self::Max => true,
        }
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
fn verbose() -> u32 {
    1
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
