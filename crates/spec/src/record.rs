//! What stays on disk of a run.
//!
//! A run's folder holds `config.json` ([`RunConfig`]), `metrics.csv` (one [`EpochMetrics`] a row),
//! `predictions.csv` (one [`Prediction`] a row) and, written last, `result.json` ([`RunResult`]): when
//! it exists, the run is done. A sweep's folder holds `plan.json` ([`Plan`]), which says which runs
//! stand in which row of its table.

mod plan;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::run_id::{Fingerprints, RunId};

pub use plan::{
    Amended, Amendment, PLAN_VERSION, Plan, PlanChange, PlanChoice, PlanRow, PlanRun, PlanStage,
    Stopped, Study, Why, changes,
};

/// Version of every JSON file described here but `plan.json`, which has [its own](PLAN_VERSION). A reader
/// refuses a newer one.
pub const VERSION: u32 = 1;

/// `config.json`: what was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunConfig {
    /// [`VERSION`].
    pub version: u32,
    /// The run.
    pub run: RunId,
    /// What all its randomness hangs on.
    pub seed: u64,
    /// The resolved configuration.
    pub config: Config,
    /// What the run id was made from besides configuration and seed.
    pub fingerprints: Fingerprints,
}

/// `result.json`: how the last attempt ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// [`VERSION`].
    pub version: u32,
    /// The run.
    pub run: RunId,
    /// Attempts so far, this one included.
    pub attempts: u32,
    /// When the last attempt began, in RFC 3339, UTC.
    pub started: String,
    /// Wall-clock seconds of the last attempt, from `started` to `finished`.
    pub seconds: f64,
    /// The device, in the worker's words.
    pub device: String,
    /// The program that took it down, with its version; absent in results of before 0.1.0 said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Trained to its end.
    Finished(Finished),
    /// The loss became infinite or not a number.
    Diverged {
        /// The epoch in which that was seen, from 1.
        epoch: u32,
        /// One line for a person.
        cause: String,
    },
    /// The device had too little memory.
    OutOfMemory {
        /// One line for a person.
        cause: String,
    },
    /// The run took longer than it was given.
    TimedOut {
        /// One line for a person.
        cause: String,
    },
    /// Anything else went wrong.
    Failed {
        /// What, where, and the way out: a few lines for a person.
        cause: String,
    },
    /// Stopped from outside before its end; it runs again.
    Interrupted {
        /// One line for a person.
        cause: String,
    },
}

impl Outcome {
    /// Whether another attempt would come to the same: one that was cut off, by a limit or a crash, may be
    /// given more time.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Finished(_) | Self::Diverged { .. })
    }

    /// Whether something went wrong that another run or another try may be spared: what limits on failures
    /// count. That it diverged or ran out of memory is a finding about its settings.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::TimedOut { .. })
    }

    /// Whether the run need not run again by itself. Failures are results too: only an interrupted
    /// run is open.
    pub fn is_settled(&self) -> bool {
        !matches!(self, Self::Interrupted { .. })
    }

    /// The word for tables and logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Finished(_) => "finished",
            Self::Diverged { .. } => "diverged",
            Self::OutOfMemory { .. } => "out of memory",
            Self::TimedOut { .. } => "timed out",
            Self::Failed { .. } => "failed",
            Self::Interrupted { .. } => "interrupted",
        }
    }
}

/// What a run that trained to its end has to show.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finished {
    /// Epochs really trained, of all folds together.
    pub epochs: u32,
    /// Optimiser steps really taken, of all folds together.
    pub updates: u64,
    /// Images that went through those steps, repeats included.
    pub images_seen: u64,
    /// Set when early stopping ended it. With folds each has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_early: Option<StoppedEarly>,
    /// On the validation images, with the final weights. With folds: on every training image, each told
    /// by the model that was not trained on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<Evaluation>,
    /// On the test images, when they are labelled. With folds: by the mean of the models' probabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Evaluation>,
    /// What a trainer says of the run in place of how many images it told rightly: a fraction, larger is
    /// better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// The models of cross-validation, one for each fold; empty without folds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folds: Vec<Fold>,
}

/// One model of a cross-validated run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fold {
    /// Which, from 1.
    pub fold: u32,
    /// Epochs really trained.
    pub epochs: u32,
    /// Set when early stopping ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_early: Option<StoppedEarly>,
    /// On the images that were set aside in this fold.
    pub validation: Evaluation,
    /// On the test images by this model alone, when they are labelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Evaluation>,
}

/// When and why early stopping ended a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StoppedEarly {
    /// The last epoch trained, from 1.
    pub epoch: u32,
    /// The epoch with the best monitored value, from 1.
    pub best_epoch: u32,
    /// The best monitored value.
    pub best: f64,
}

/// A trained model measured on labelled images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evaluation {
    /// Images measured; at least 1.
    pub images: u64,
    /// Images whose most probable class is their label.
    pub correct: u64,
    /// Mean loss per image.
    pub loss: f64,
}

impl Evaluation {
    /// Share of images told rightly, from 0 to 1.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.images as f64
    }
}

/// `score.json`: what a run scored elsewhere, such as on a leaderboard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExternalScore {
    /// [`VERSION`].
    pub version: u32,
    /// The run.
    pub run: RunId,
    /// The score, a fraction.
    pub score: f64,
    /// As it was written.
    pub given: String,
    /// Test images that it was measured on: those of `submission.csv`; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<u64>,
    /// Where it came from: the command line, a file, or a command.
    pub from: String,
    /// Who took it down: user and machine.
    pub who: String,
    /// When, in RFC 3339, UTC.
    pub when: String,
}

/// What one epoch measured: a row of `metrics.csv`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EpochMetrics {
    /// The fold, from 1; absent without folds.
    #[serde(default)]
    pub fold: Option<u32>,
    /// From 1.
    pub epoch: u32,
    /// Mean training loss over the epoch's images; absent where a trainer does not say.
    pub loss: Option<f64>,
    /// Training accuracy over the epoch's images; absent where a trainer does not say.
    pub accuracy: Option<f64>,
    /// Loss on the validation images after the epoch.
    pub val_loss: Option<f64>,
    /// Accuracy on the validation images after the epoch.
    pub val_accuracy: Option<f64>,
    /// Area under the ROC curve on the validation images after the epoch, where they are of two
    /// classes.
    pub val_auc: Option<f64>,
    /// The learning rate that the epoch was trained with; absent where a trainer does not say.
    pub learning_rate: Option<f64>,
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// What a trained model says of images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Predictions {
    /// Class names in their order; probabilities follow it.
    pub classes: Vec<String>,
    /// One for each image, test images first.
    pub images: Vec<Prediction>,
}

/// What a trained model says of one image: a row of `predictions.csv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Prediction {
    /// Which set it belongs to.
    pub set: ImageSet,
    /// The fold whose model said it, from 1; absent without folds, and where all models said it
    /// together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fold: Option<u32>,
    /// Path relative to the set's folder, with `/`.
    pub image: String,
    /// Index of its class; absent when it has no label.
    pub label: Option<u32>,
    /// Index of the most probable class.
    pub predicted: u32,
    /// Probability of each class; they add up to 1.
    pub probabilities: Vec<f32>,
}

/// A set of images that a trained model is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageSet {
    /// The validation images.
    Validation,
    /// The test images.
    Test,
}
