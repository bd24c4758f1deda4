//! What is about this machine, its results folder and its shell.

use std::num::NonZeroU32;
use std::path::PathBuf;

use bytesize::ByteSize;
use clap::Args;

/// `sweep init`
#[derive(Debug, Args)]
pub struct Init {
    /// Folder of the sweep files
    #[arg(value_name = "DIR", default_value = ".")]
    pub folder: PathBuf,
    /// Your training images, one folder for each class, as seen from DIR
    #[arg(long, value_name = "PATH", default_value = "data/train")]
    pub train: PathBuf,
    /// Your test images, as seen from DIR; without it the score is the validation accuracy
    #[arg(long, value_name = "PATH")]
    pub test: Option<PathBuf>,
}

/// `sweep completions`
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// `sweep gc`
#[derive(Debug, Args)]
pub struct Gc {
    /// Keep so much of the features
    #[arg(long, value_name = "SIZE", default_value = "10GiB")]
    pub cache: ByteSize,
    /// Remove all nights but the last N of each nightly file, and those that others are compared with
    #[arg(long, value_name = "N")]
    pub nights: Option<NonZeroU32>,
}

/// `sweep doctor`
#[derive(Debug, Args)]
pub struct Doctor {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
