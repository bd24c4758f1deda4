//! The head: what stands between the backbone's features and the probabilities.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the head ends with, and with it the loss.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// Sigmoid for two classes, softmax for more.
    #[default]
    Auto,
    /// One unit and binary cross-entropy; of two classes only.
    Sigmoid,
    /// One unit for each class and categorical cross-entropy.
    Softmax,
}

/// How the kernels of the head's dense layers begin, as Keras's initialisers of these names draw them.
/// <https://keras.io/api/layers/initializers/>
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KernelInitializer {
    /// Variance 2 / (inputs + outputs), uniform: Keras's default for `Dense`.
    #[default]
    GlorotUniform,
    /// Variance 2 / (inputs + outputs), normal, cut off at two deviations.
    GlorotNormal,
    /// Variance 2 / inputs, uniform.
    HeUniform,
    /// Variance 2 / inputs, normal, cut off at two deviations.
    HeNormal,
    /// Variance 1 / inputs, uniform.
    LecunUniform,
    /// Variance 1 / inputs, normal, cut off at two deviations.
    LecunNormal,
}

/// How much the images of each class count in training.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "WrittenClassWeight", into = "WrittenClassWeight")]
#[schemars(with = "WrittenClassWeight")]
pub enum ClassWeight {
    /// All the same.
    #[default]
    None,
    /// So that every class counts the same in all: images / (classes x images of the class).
    Balanced,
    /// By class name; 1 for the others.
    ByName(BTreeMap<String, f64>),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum WrittenClassWeight {
    Word(ClassWeightWord),
    ByName(
        #[schemars(extend("additionalProperties" = { "type": "number", "minimum": 0 }))]
        BTreeMap<String, f64>,
    ),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ClassWeightWord {
    None,
    Balanced,
}

impl From<WrittenClassWeight> for ClassWeight {
    fn from(written: WrittenClassWeight) -> Self {
        match written {
            WrittenClassWeight::Word(ClassWeightWord::None) => Self::None,
            WrittenClassWeight::Word(ClassWeightWord::Balanced) => Self::Balanced,
            WrittenClassWeight::ByName(weights) => Self::ByName(weights),
        }
    }
}

impl From<ClassWeight> for WrittenClassWeight {
    fn from(weight: ClassWeight) -> Self {
        match weight {
            ClassWeight::None => Self::Word(ClassWeightWord::None),
            ClassWeight::Balanced => Self::Word(ClassWeightWord::Balanced),
            ClassWeight::ByName(weights) => Self::ByName(weights),
        }
    }
}
