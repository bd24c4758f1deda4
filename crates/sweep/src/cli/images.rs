//! What is about images and the networks that look at them.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde::de::{DeserializeOwned, IntoDeserializer as _};
use spec::config::{Backbone, Interpolation, Pooling, Preprocessing};

/// `sweep data`
#[derive(Debug, Subcommand)]
pub enum Data {
    /// Draw pictures of clean and dirty plates, to try things with
    Synth(Synth),
}

/// `sweep data synth`
#[derive(Debug, Args)]
pub struct Synth {
    /// Folder to make
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// What every picture hangs on
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Training pictures
    #[arg(long, value_name = "N", default_value_t = 40)]
    pub train: u32,
    /// Test pictures
    #[arg(long, value_name = "N", default_value_t = 744)]
    pub test: u32,
}

/// `sweep weights`
#[derive(Debug, Subcommand)]
pub enum Weights {
    /// Show which weights are known by name, and which are here
    List(WeightsList),
    /// Get weights from the Hugging Face hub; a download that broke off goes on
    Pull(WeightsPull),
    /// Read weights files to their end, check and hash them
    Verify(WeightsVerify),
    /// Make a safetensors file of a PyTorch (.pth) or Keras (.h5, .keras) checkpoint
    Convert(WeightsConvert),
}

/// `sweep weights list`
#[derive(Debug, Args)]
pub struct WeightsList {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `sweep weights pull`
#[derive(Debug, Args)]
#[command(after_help = "HF_ENDPOINT names another hub, HF_HOME another cache of downloads; \
                        HF_HUB_OFFLINE=1 takes what is in the cache and asks nobody.")]
pub struct WeightsPull {
    /// Weights that `sweep weights list` lists
    #[arg(value_name = "NAME", required = true)]
    pub names: Vec<String>,
}

/// `sweep weights verify`
#[derive(Debug, Args)]
pub struct WeightsVerify {
    /// Known weights or safetensors files; without one, all known weights that are here
    #[arg(value_name = "NAME|FILE")]
    pub weights: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `sweep weights convert`
#[derive(Debug, Args)]
pub struct WeightsConvert {
    /// The checkpoint: what torch.save, Keras's save_weights or save wrote
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// The safetensors file to write
    #[arg(value_name = "OUT")]
    pub output: PathBuf,
}

/// `sweep features`
#[derive(Debug, Args)]
pub struct Features {
    /// Images (JPEG, PNG or WebP)
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<PathBuf>,
    /// The network, as in a sweep file: efficientnet_lite0, resnet50, ...
    #[arg(long, value_name = "NAME", value_parser = word::<Backbone>)]
    pub backbone: Backbone,
    /// Its weights: imagenet or a safetensors file
    #[arg(long, value_name = "FILE", default_value = "imagenet")]
    pub weights: PathBuf,
    /// How pixels become its input: auto (as its weights were trained), caffe, tf, torch, lite
    #[arg(long, value_name = "MODE", default_value = "auto", value_parser = word::<Preprocessing>)]
    pub preprocessing: Preprocessing,
    /// How images are resized: bilinear, nearest, bicubic, lanczos
    #[arg(long, value_name = "KIND", default_value = "bilinear", value_parser = word::<Interpolation>)]
    pub interpolation: Interpolation,
    /// How its feature map becomes one row of numbers: gap, gmp, flatten
    #[arg(long, value_name = "KIND", default_value = "gap", value_parser = word::<Pooling>)]
    pub pooling: Pooling,
    /// Side of the square that images are resized to; by default the network's own
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u32).range(32..=4096))]
    pub image_size: Option<u32>,
    /// How features are written; safetensors needs --output
    #[arg(long, default_value = "json")]
    pub format: FeaturesFormat,
    /// Write to this file instead of stdout
    #[arg(long, short, value_name = "FILE", required_if_eq("format", "safetensors"))]
    pub output: Option<PathBuf>,
}

/// How features are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FeaturesFormat {
    /// An object with the settings and a list of images
    Json,
    /// A row for each image, under the names of the columns
    Csv,
    /// One tensor, `features`, of [images, features]; the settings are in the metadata
    Safetensors,
}

/// A word of a sweep file.
fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    T::deserialize(text.into_deserializer())
        .map_err(|error: serde::de::value::Error| error.to_string())
}
