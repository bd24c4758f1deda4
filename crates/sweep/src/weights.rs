//! The weights that a sweep names.

use std::path::PathBuf;

use ::weights::folder::WeightsFolder;
use ::weights::known::Known;
use miette::Diagnostic;
use spec::config::{Backbone, Weights};
use thiserror::Error;

use crate::exit::{self, Ends};

/// Weights that are not there.
#[derive(Debug, Error, Diagnostic)]
pub enum WeightsError {
    /// `weights = "imagenet"` without the file.
    #[error("the ImageNet weights of {} are missing: {}", backbone.name(), file.display())]
    #[diagnostic(help("{}", way_to(*.backbone, folder)))]
    Imagenet {
        /// Whose weights.
        backbone: Backbone,
        /// Where they are looked for.
        file: PathBuf,
        /// Where all such files lie.
        folder: WeightsFolder,
    },
    /// `weights = "<file>"` without the file.
    #[error("there are no such weights: {}", file.display())]
    #[diagnostic(help(
        "`weights` is \"imagenet\", \"none\" or a safetensors file, relative to the \
         file that names it (one of `--set`: to the working directory)"
    ))]
    File {
        /// The file.
        file: PathBuf,
    },
}

impl Ends for WeightsError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Imagenet { .. } => exit::ENVIRONMENT,
            Self::File { .. } => exit::USAGE,
        }
    }
}

/// The file behind a model's weights; none for `weights = "none"`.
///
/// # Errors
/// When it is not there.
pub fn locate(
    folder: &WeightsFolder,
    backbone: Backbone,
    weights: &Weights,
) -> Result<Option<PathBuf>, WeightsError> {
    match weights {
        Weights::None => Ok(None),
        Weights::Imagenet => {
            let file = folder.file(backbone.name());
            if !file.is_file() {
                return Err(WeightsError::Imagenet { backbone, file, folder: folder.clone() });
            }
            Ok(Some(file))
        }
        Weights::File(file) if file.is_file() => Ok(Some(file.clone())),
        Weights::File(file) => Err(WeightsError::File { file: file.clone() }),
    }
}

/// How to get a backbone's ImageNet weights.
pub fn way_to(backbone: Backbone, folder: &WeightsFolder) -> String {
    match Known::find(backbone.name()) {
        Some(known) => {
            format!("`{}` gets them; SWEEP_WEIGHTS names another folder", known.command(folder))
        }
        None => "put a safetensors file there under that name; SWEEP_WEIGHTS names another folder"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_backbone_s_weights_are_known() {
        for backbone in Backbone::ALL {
            assert!(Known::find(backbone.name()).is_some(), "{}", backbone.name());
        }
    }
}
