//! Where the images are and how they become tensors.
//!
//! A setting that is a word, a number, a path or a small table is read from and written as the TOML a
//! person would write (`"none"`, `0.2`, a folder), through an untagged twin that serde understands.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the images are and how they become tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Training images: one folder per class. Classes are numbered in the order of their names.
    #[schemars(extend("format" = "path"))]
    pub train: PathBuf,
    /// Test images: class folders, or images without labels (then each run gets a `submission.csv`).
    /// Absent: no test set; the score is the validation accuracy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "path"))]
    pub test: Option<PathBuf>,
    /// What `val_loss` and `val_accuracy` are measured on.
    #[serde(default)]
    pub validation: Validation,
    /// Side of the square that every image is resized to, in pixels; from 32 to 4096. Sweep files may leave
    /// it out: then it is the backbone's own.
    #[serde(default = "image_size")]
    #[schemars(range(min = 32, max = 4096))]
    pub image_size: u32,
    /// How pixels are found between pixels when an image is resized.
    #[serde(default)]
    pub interpolation: Interpolation,
}

/// How pixels are found between pixels when an image is resized: Pillow's filters, which are
/// antialiased but for `nearest`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// The nearest pixel: what Keras's `load_img` and `flow_from_directory` do by default.
    Nearest,
    /// By distance, over two pixels: what Keras's `image_dataset_from_directory` does by default,
    /// though not antialiased.
    #[default]
    Bilinear,
    /// By a cubic curve, over four pixels.
    Bicubic,
    /// By a windowed sinc, over six pixels.
    Lanczos,
}

impl Interpolation {
    /// The name in sweep files, on disk and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nearest => "nearest",
            Self::Bilinear => "bilinear",
            Self::Bicubic => "bicubic",
            Self::Lanczos => "lanczos",
        }
    }
}

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
    /// Stratified K-fold: so many models, each measured on a share of its own of the training images
    /// and trained on the others, so that every training image is measured once; from 2 to the images
    /// of the smallest class. Test images get the mean of the models' probabilities.
    Folds(u32),
    /// A folder of its own, with the training folder's classes.
    Folder(PathBuf),
}

impl Validation {
    /// How many folds there are, and with them models; absent: one model, no folds.
    pub fn folds(&self) -> Option<u32> {
        match self {
            Self::Folds(folds) => Some(*folds),
            Self::None | Self::Fraction(_) | Self::Folder(_) => None,
        }
    }
}

impl Default for Validation {
    /// A fifth of the training images.
    fn default() -> Self {
        Self::Fraction(0.2)
    }
}

fn image_size() -> u32 {
    224
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum WrittenValidation {
    Word(ValidationWord),
    Fraction(#[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))] f64),
    Folds(Folds),
    Folder(#[schemars(extend("format" = "path"))] PathBuf),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ValidationWord {
    None,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Folds {
    #[schemars(range(min = 2))]
    folds: u32,
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
            WrittenValidation::Folds(Folds { folds: folds @ 0..2 }) => {
                Err(format!("cross-validation takes at least 2 folds, and not {folds}"))
            }
            WrittenValidation::Folds(Folds { folds }) => Ok(Self::Folds(folds)),
            WrittenValidation::Folder(path) => Ok(Self::Folder(path)),
        }
    }
}

impl From<Validation> for WrittenValidation {
    fn from(validation: Validation) -> Self {
        match validation {
            Validation::None => Self::Word(ValidationWord::None),
            Validation::Fraction(share) => Self::Fraction(share),
            Validation::Folds(folds) => Self::Folds(Folds { folds }),
            Validation::Folder(path) => Self::Folder(path),
        }
    }
}
