//! One fully resolved training configuration.
//!
//! These types are the single source of what keys exist: the JSON Schema derived from them gives the
//! list of valid keys, their documentation and the "did you mean". Words and defaults are Keras's where
//! Keras has one (<https://keras.io/api/>), else the source document's.

mod augment;
mod callbacks;
mod data;
mod head;
mod model;
mod optimizer;
mod schedule;
mod train;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use augment::{Augment, FillMode, Shift, Views, Zoom};
pub use callbacks::{EarlyStopping, Mode, Monitor, ReduceLrOnPlateau};
pub use data::{Data, Interpolation, Validation};
pub use head::{ClassWeight, KernelInitializer, Output};
pub use model::{Backbone, Freeze, Model, Pooling, Precision, Preprocessing, Weights};
pub use optimizer::{Adam, Convention, Optimizer};
pub use schedule::{Cosine, LearningRateSchedule, Warmup};
pub use train::Train;

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
    /// Changes the training images at random; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augment: Option<Augment>,
}

impl Config {
    /// Whether runs like this one can be *fused*, that is trained side by side by one worker at little
    /// more than the price of one: when all that trains is one dense layer, on features that are the
    /// same in every step.
    pub fn can_fuse(&self) -> bool {
        let drawn = self.augment.as_ref().is_some_and(|augment| augment.views == Views::Fresh);
        let one_layer = self.model.hidden.is_empty() && self.model.dropout == 0.0;
        self.model.freeze == Freeze::All && one_layer && !drawn
    }
}
