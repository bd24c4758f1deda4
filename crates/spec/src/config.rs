//! One fully resolved training configuration.
//!
//! The types of [`Builtin`] are the single source of what keys exist: the JSON Schema derived from them gives the
//! list of valid keys, their documentation and the "did you mean". Words and defaults are Keras's where
//! Keras has one (<https://keras.io/api/>), else the source document's.

mod augment;
mod callbacks;
mod data;
mod head;
mod model;
mod optimizer;
mod own;
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
pub use own::{Metrics, Own, Params, Protocol, Trainer};
pub use schedule::{Cosine, LearningRateSchedule, Warmup};
pub use train::Train;

/// One fully resolved training configuration, seed excluded.
///
/// Nothing in it means "default": what a sweep file leaves out is filled in before this type exists.
/// Paths are absolute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Config {
    /// For the built-in trainer.
    Builtin(Box<Builtin>),
    /// For a trainer of the user's own.
    Own(Box<Own>),
}

/// A configuration for the built-in trainer, seed excluded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Builtin {
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

impl Builtin {
    /// The quantities that its callbacks watch.
    pub fn monitors(&self) -> impl Iterator<Item = Monitor> {
        let early = self.early_stopping.as_ref().map(|settings| settings.monitor);
        let reduce = self.reduce_lr_on_plateau.as_ref().map(|settings| settings.monitor);
        early.into_iter().chain(reduce)
    }
}

impl Config {
    /// The configuration of the built-in trainer, if that trains.
    pub fn builtin(&self) -> Option<&Builtin> {
        match self {
            Self::Builtin(config) => Some(config),
            Self::Own(_) => None,
        }
    }

    /// Whether the backbone begins with random weights in place of pretrained ones: such runs show that a
    /// sweep runs, and are no result.
    pub fn is_stand_in(&self) -> bool {
        self.builtin().is_some_and(|config| config.model.weights == Weights::None)
    }

    /// That of the user's own trainer, if that trains.
    pub fn own(&self) -> Option<&Own> {
        match self {
            Self::Builtin(_) => None,
            Self::Own(config) => Some(config),
        }
    }

    /// Where the data is, where it is told.
    pub fn data(&self) -> Option<&Data> {
        match self {
            Self::Builtin(config) => Some(&config.data),
            Self::Own(config) => config.data.as_ref(),
        }
    }

    /// The model, where it is told.
    pub fn model(&self) -> Option<&Model> {
        match self {
            Self::Builtin(config) => Some(&config.model),
            Self::Own(config) => config.model.as_ref(),
        }
    }

    /// The training loop, where it is told.
    pub fn train(&self) -> Option<&Train> {
        match self {
            Self::Builtin(config) => Some(&config.train),
            Self::Own(config) => config.train.as_ref(),
        }
    }
}

impl From<Builtin> for Config {
    fn from(config: Builtin) -> Self {
        Self::Builtin(Box::new(config))
    }
}

impl From<Own> for Config {
    fn from(config: Own) -> Self {
        Self::Own(Box::new(config))
    }
}

impl Builtin {
    /// Whether runs like this one can be *fused*, that is trained side by side by one worker at little
    /// more than the price of one: when all that trains is one dense layer, on features that are the
    /// same in every step.
    pub fn can_fuse(&self) -> bool {
        let drawn = self.augment.as_ref().is_some_and(|augment| augment.views == Views::Fresh);
        let one_layer = self.model.hidden.is_empty() && self.model.dropout == 0.0;
        self.model.freeze == Freeze::All && one_layer && !drawn
    }
}
