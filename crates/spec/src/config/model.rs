//! The pretrained backbone and the head on top of it.
//!
//! A setting that is a word, a number, a path or a small table is read from and written as the TOML a
//! person would write (`"all"`, `{ unfreeze_last = 10 }`), through an untagged twin that serde understands.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{KernelInitializer, Output};

/// The pretrained backbone and the head on top of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The network that turns an image into features.
    #[serde(default)]
    pub backbone: Backbone,
    /// The backbone's starting weights.
    #[serde(default)]
    pub weights: Weights,
    /// How pixels become the backbone's input.
    #[serde(default)]
    pub preprocessing: Preprocessing,
    /// Which layers of the backbone stay as they are.
    #[serde(default)]
    pub freeze: Freeze,
    /// What the frozen layers compute in.
    #[serde(default)]
    pub precision: Precision,
    /// How the backbone's feature map becomes the head's input.
    #[serde(default)]
    pub pooling: Pooling,
    /// Units of each hidden dense layer between features and output, with ReLU; each at least 1.
    #[serde(default)]
    #[schemars(inner(range(min = 1)))]
    pub hidden: Vec<u32>,
    /// Share of numbers that dropout sets to 0 in training: after each hidden layer, or of the features
    /// where there is none; 0 or more, below 1.
    #[serde(default)]
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub dropout: f64,
    /// What the head ends with, and with it the loss.
    #[serde(default)]
    pub output: Output,
    /// How the kernels of the head's dense layers begin.
    #[serde(default)]
    pub kernel_initializer: KernelInitializer,
}

/// A network that turns an image into features.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Backbone {
    /// EfficientNet-Lite0: 1280 features, 0.4 GFLOP an image at 224 pixels.
    #[default]
    EfficientnetLite0,
    /// ResNet18: 512 features, 1.8 GFLOP an image at 224 pixels.
    Resnet18,
    /// ResNet34: 512 features, 3.7 GFLOP an image at 224 pixels.
    Resnet34,
    /// ResNet50, torchvision's v1.5: 2048 features, 4.1 GFLOP an image at 224 pixels.
    Resnet50,
    /// ResNet50 as `keras.applications` has it: strides in the first convolution of a block, biases;
    /// 2048 features, 3.9 GFLOP an image at 224 pixels.
    Resnet50Keras,
    /// Inception-ResNet-v2: 1536 features, 13.2 GFLOP an image at 299 pixels.
    InceptionResnetV2,
}

impl Backbone {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::EfficientnetLite0,
        Self::Resnet18,
        Self::Resnet34,
        Self::Resnet50,
        Self::Resnet50Keras,
        Self::InceptionResnetV2,
    ];

    /// The side of the square images that its weights were trained on, in pixels.
    pub fn image_size(self) -> u32 {
        match self {
            Self::InceptionResnetV2 => 299,
            Self::EfficientnetLite0
            | Self::Resnet18
            | Self::Resnet34
            | Self::Resnet50
            | Self::Resnet50Keras => 224,
        }
    }

    /// The smallest side that it can see, in pixels: `min_size` in
    /// <https://github.com/keras-team/keras/blob/master/keras/src/applications/>.
    pub fn least_image_size(self) -> u32 {
        match self {
            Self::InceptionResnetV2 => 75,
            Self::EfficientnetLite0
            | Self::Resnet18
            | Self::Resnet34
            | Self::Resnet50
            | Self::Resnet50Keras => 32,
        }
    }

    /// The name in sweep files, on disk and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::EfficientnetLite0 => "efficientnet_lite0",
            Self::Resnet18 => "resnet18",
            Self::Resnet34 => "resnet34",
            Self::Resnet50 => "resnet50",
            Self::Resnet50Keras => "resnet50_keras",
            Self::InceptionResnetV2 => "inception_resnet_v2",
        }
    }
}

/// How pixels become a backbone's input: the modes of Keras's `imagenet_utils.preprocess_input`, and one
/// more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preprocessing {
    /// As the backbone's weights were trained.
    #[default]
    Auto,
    /// Blue first, ImageNet's mean taken away: `resnet50_keras`.
    Caffe,
    /// From -1 to 1: `inception_resnet_v2`.
    Tf,
    /// From 0 to 1, then ImageNet's mean taken away and divided by its deviation: torchvision's networks.
    Torch,
    /// Less 127, divided by 128: EfficientNet-Lite's.
    Lite,
}

impl Preprocessing {
    /// The name in sweep files, on disk and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Caffe => "caffe",
            Self::Tf => "tf",
            Self::Torch => "torch",
            Self::Lite => "lite",
        }
    }
}

/// What the frozen layers compute in. Whatever trains is computed in 32 bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// The fastest that was shown to leave scores as they are: so far 32 bits, on every device.
    #[default]
    Auto,
    /// 32-bit floats.
    Fp32,
    /// 32-bit floats whose factors are rounded to ten bits of mantissa before they are multiplied: several times
    /// as fast on NVIDIA's GPUs since Ampere, and on those alone.
    Tf32,
    /// 16-bit floats with the range of 32 bits, about three decimal digits: up to twice as fast where
    /// the processor multiplies them.
    Bf16,
}

impl Precision {
    /// The one that [`Self::Auto`] stands for, or itself.
    #[must_use]
    pub fn resolved(self) -> Self {
        match self {
            Self::Auto => Self::Fp32,
            chosen => chosen,
        }
    }

    /// The name in sweep files, on disk and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Fp32 => "fp32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        }
    }
}

/// How the backbone's feature map becomes the head's input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// `GlobalAveragePooling2D`: the mean over positions, one number per channel.
    #[default]
    Gap,
    /// `GlobalMaxPooling2D`: the largest over positions, one number per channel.
    Gmp,
    /// `Flatten`: every position of every channel.
    Flatten,
}

impl Pooling {
    /// The name in sweep files, on disk and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Gmp => "gmp",
            Self::Flatten => "flatten",
        }
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
    /// The layer of that name and all behind it train, as with Keras's `set_trainable` loop over
    /// `base_model.layers`; the layers before it are frozen.
    UnfreezeFrom(String),
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
    UnfreezeFrom(UnfreezeFrom),
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

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct UnfreezeFrom {
    unfreeze_from: String,
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
            WrittenFreeze::UnfreezeFrom(UnfreezeFrom { unfreeze_from }) => {
                Ok(Self::UnfreezeFrom(unfreeze_from))
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
            Freeze::UnfreezeFrom(unfreeze_from) => {
                Self::UnfreezeFrom(UnfreezeFrom { unfreeze_from })
            }
        }
    }
}
