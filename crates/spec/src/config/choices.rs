//! Settings that are a word, a number, a path or a small table.
//!
//! Each is read from and written as the TOML a person would write (`"all"`, `{ unfreeze_last = 10 }`),
//! through an untagged twin that serde understands.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What `val_loss` and `val_accuracy` are measured on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "WrittenValidation", into = "WrittenValidation")]
#[schemars(with = "WrittenValidation")]
pub enum Validation {
    /// No validation images: no `val_loss`, so nothing may monitor it.
    None,
    /// This share of the training images, the same share of each class (stratified), drawn by the
    /// run's seed; between 0 and 1, both excluded.
    Fraction(f64),
    /// A folder of its own, with the training folder's classes.
    Folder(PathBuf),
}

impl Default for Validation {
    /// A fifth of the training images.
    fn default() -> Self {
        Self::Fraction(0.2)
    }
}

/// The backbone's starting weights.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "WrittenWeights", into = "WrittenWeights")]
#[schemars(with = "WrittenWeights")]
pub enum Weights {
    /// Pretrained on ImageNet: `<backbone>.safetensors` in the weights folder.
    #[default]
    Imagenet,
    /// Random, drawn by the run's seed.
    None,
    /// A safetensors file with the backbone's tensors.
    File(PathBuf),
}

/// Which layers of the backbone stay as they are.
///
/// Layers are counted as Keras's `base_model.layers` lists them: convolutions, normalisations,
/// activations, additions and paddings each count as one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "WrittenFreeze", into = "WrittenFreeze")]
#[schemars(with = "WrittenFreeze")]
pub enum Freeze {
    /// The whole backbone is frozen; only the head trains.
    #[default]
    All,
    /// Nothing is frozen.
    None,
    /// All but the last this many layers are frozen, as `base_model.layers[-10:]` does; at least 1.
    UnfreezeLast(u32),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum WrittenValidation {
    Word(ValidationWord),
    Fraction(#[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))] f64),
    Folder(#[schemars(extend("format" = "path"))] PathBuf),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ValidationWord {
    None,
}

impl TryFrom<WrittenValidation> for Validation {
    type Error = String;

    fn try_from(written: WrittenValidation) -> Result<Self, Self::Error> {
        match written {
            WrittenValidation::Word(ValidationWord::None) => Ok(Self::None),
            WrittenValidation::Fraction(share) if share > 0.0 && share < 1.0 => {
                Ok(Self::Fraction(share))
            }
            WrittenValidation::Fraction(share) => {
                Err(format!("a validation share lies between 0 and 1, and {share} does not"))
            }
            WrittenValidation::Folder(path) => Ok(Self::Folder(path)),
        }
    }
}

impl From<Validation> for WrittenValidation {
    fn from(validation: Validation) -> Self {
        match validation {
            Validation::None => Self::Word(ValidationWord::None),
            Validation::Fraction(share) => Self::Fraction(share),
            Validation::Folder(path) => Self::Folder(path),
        }
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum WrittenWeights {
    Word(WeightsWord),
    File(#[schemars(extend("format" = "path"))] PathBuf),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum WeightsWord {
    Imagenet,
    None,
}

impl From<WrittenWeights> for Weights {
    fn from(written: WrittenWeights) -> Self {
        match written {
            WrittenWeights::Word(WeightsWord::Imagenet) => Self::Imagenet,
            WrittenWeights::Word(WeightsWord::None) => Self::None,
            WrittenWeights::File(path) => Self::File(path),
        }
    }
}

impl From<Weights> for WrittenWeights {
    fn from(weights: Weights) -> Self {
        match weights {
            Weights::Imagenet => Self::Word(WeightsWord::Imagenet),
            Weights::None => Self::Word(WeightsWord::None),
            Weights::File(path) => Self::File(path),
        }
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum WrittenFreeze {
    Word(FreezeWord),
    UnfreezeLast(UnfreezeLast),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum FreezeWord {
    All,
    None,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UnfreezeLast {
    #[schemars(range(min = 1))]
    unfreeze_last: u32,
}

impl TryFrom<WrittenFreeze> for Freeze {
    type Error = String;

    fn try_from(written: WrittenFreeze) -> Result<Self, Self::Error> {
        match written {
            WrittenFreeze::Word(FreezeWord::All) => Ok(Self::All),
            WrittenFreeze::Word(FreezeWord::None) => Ok(Self::None),
            WrittenFreeze::UnfreezeLast(UnfreezeLast { unfreeze_last: 0 }) => {
                Err("unfreeze_last = 0 unfreezes nothing: write freeze = \"all\"".to_owned())
            }
            WrittenFreeze::UnfreezeLast(UnfreezeLast { unfreeze_last }) => {
                Ok(Self::UnfreezeLast(unfreeze_last))
            }
        }
    }
}

impl From<Freeze> for WrittenFreeze {
    fn from(freeze: Freeze) -> Self {
        match freeze {
            Freeze::All => Self::Word(FreezeWord::All),
            Freeze::None => Self::Word(FreezeWord::None),
            Freeze::UnfreezeLast(unfreeze_last) => {
                Self::UnfreezeLast(UnfreezeLast { unfreeze_last })
            }
        }
    }
}
