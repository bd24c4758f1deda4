//! Where pretrained weights lie.

use std::env;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use spec::config::{Backbone, Model, Weights};
use thiserror::Error;

use crate::exit::{self, Ends};

/// The folder with `<backbone>.safetensors` for `weights = "imagenet"`.
#[derive(Debug, Clone)]
pub struct WeightsFolder(PathBuf);

/// Weights that are not there.
#[derive(Debug, Error, Diagnostic)]
pub enum WeightsError {
    /// `weights = "imagenet"` without the file.
    #[error("the ImageNet weights of {} are missing: {}", backbone.name(), file.display())]
    #[diagnostic(help("{}", source_of(*.backbone)))]
    Imagenet {
        /// Whose weights.
        backbone: Backbone,
        /// Where they are looked for.
        file: PathBuf,
    },
    /// `weights = "<file>"` without the file.
    #[error("the weights that the sweep names do not exist: {}", file.display())]
    #[diagnostic(help(
        "`weights` is \"imagenet\", \"none\" or a safetensors file, relative to the sweep file"
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

impl WeightsFolder {
    /// The folder that the environment names: `SWEEP_WEIGHTS`, else `sweep/weights` in the user's
    /// cache (`XDG_CACHE_HOME`, else `~/.cache`).
    pub fn from_environment() -> Self {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = set("SWEEP_WEIGHTS").unwrap_or_else(|| {
            let cache = set("XDG_CACHE_HOME").filter(|cache| cache.is_absolute());
            let home = || env::home_dir().unwrap_or_default().join(".cache");
            cache.unwrap_or_else(home).join("sweep/weights")
        });
        // Workers may run elsewhere; what they are told must not depend on where.
        Self(std::path::absolute(&folder).unwrap_or(folder))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where a backbone's ImageNet weights belong.
    pub fn file(&self, backbone: Backbone) -> PathBuf {
        self.0.join(format!("{}.safetensors", backbone.name()))
    }

    /// The file behind a model's weights; none for `weights = "none"`.
    ///
    /// # Errors
    /// When it is not there.
    pub fn locate(&self, model: &Model) -> Result<Option<PathBuf>, WeightsError> {
        match &model.weights {
            Weights::None => Ok(None),
            Weights::Imagenet => {
                let file = self.file(model.backbone);
                if !file.is_file() {
                    return Err(WeightsError::Imagenet { backbone: model.backbone, file });
                }
                Ok(Some(file))
            }
            Weights::File(file) if file.is_file() => Ok(Some(file.clone())),
            Weights::File(file) => Err(WeightsError::File { file: file.clone() }),
        }
    }
}

/// How to get a backbone's ImageNet weights.
pub fn source_of(backbone: Backbone) -> &'static str {
    match backbone {
        Backbone::EfficientnetLite0 => "`./scripts/setup` fetches them",
        Backbone::Resnet50 => {
            "put the `model.safetensors` of timm's or torchvision's resnet50 there under that name; \
             SWEEP_WEIGHTS names another folder"
        }
    }
}
