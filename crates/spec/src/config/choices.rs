//! Settings that are a word, a number, a path or a small table.
//!
//! Each is read from and written as the TOML a person would write (`"all"`, `{ unfreeze_last = 10 }`),
//! through an untagged twin that serde understands.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What `val_loss` and `val_accuracy` are measured on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Written", into = "Written")]
#[schemars(with = "Written")]
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
#[serde(from = "String", into = "String")]
#[schemars(with = "String")]
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
enum Written {
    Fraction(f64),
    Text(String),
}

impl TryFrom<Written> for Validation {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        match written {
            Written::Fraction(share) if share > 0.0 && share < 1.0 => Ok(Self::Fraction(share)),
            Written::Fraction(share) => {
                Err(format!("a validation share lies between 0 and 1, and {share} does not"))
            }
            Written::Text(text) if text == "none" => Ok(Self::None),
            Written::Text(text) => Ok(Self::Folder(PathBuf::from(text))),
        }
    }
}

impl From<Validation> for Written {
    fn from(validation: Validation) -> Self {
        match validation {
            Validation::None => Self::Text("none".to_owned()),
            Validation::Fraction(share) => Self::Fraction(share),
            Validation::Folder(path) => Self::Text(path.to_string_lossy().into_owned()),
        }
    }
}

impl From<String> for Weights {
    fn from(text: String) -> Self {
        match text.as_str() {
            "imagenet" => Self::Imagenet,
            "none" => Self::None,
            _ => Self::File(PathBuf::from(text)),
        }
    }
}

impl From<Weights> for String {
    fn from(weights: Weights) -> Self {
        match weights {
            Weights::Imagenet => "imagenet".to_owned(),
            Weights::None => "none".to_owned(),
            Weights::File(path) => path.to_string_lossy().into_owned(),
        }
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum WrittenFreeze {
    Word(String),
    UnfreezeLast(UnfreezeLast),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UnfreezeLast {
    unfreeze_last: u32,
}

impl TryFrom<WrittenFreeze> for Freeze {
    type Error = String;

    fn try_from(written: WrittenFreeze) -> Result<Self, Self::Error> {
        match written {
            WrittenFreeze::Word(word) if word == "all" => Ok(Self::All),
            WrittenFreeze::Word(word) if word == "none" => Ok(Self::None),
            WrittenFreeze::Word(word) => Err(format!(
                "freeze is \"all\", \"none\" or {{ unfreeze_last = N }}, and \"{word}\" is none of them"
            )),
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
            Freeze::All => Self::Word("all".to_owned()),
            Freeze::None => Self::Word("none".to_owned()),
            Freeze::UnfreezeLast(unfreeze_last) => {
                Self::UnfreezeLast(UnfreezeLast { unfreeze_last })
            }
        }
    }
}
