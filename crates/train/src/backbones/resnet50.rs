//! ResNet50, in torchvision's version 1.5: the stride of a block lies in its 3 x 3 convolution.
//!
//! Paper: He et al. 2015, <https://arxiv.org/abs/1512.03385>. Reference code and the tensors' names:
//! <https://github.com/pytorch/vision/blob/main/torchvision/models/resnet.py>. Names and order of the
//! layers are those of `keras.applications.ResNet50(include_top=False)`, which is another network: see
//! `resnet50_keras.rs`.

use super::Files;
use super::residual::{Block, ResidualNetwork};
use crate::graph::{Graph, Layout};

const NETWORK: ResidualNetwork = ResidualNetwork {
    blocks: [3, 4, 6, 3],
    block: Block::Bottleneck { stride_first: false },
    bias: false,
    epsilon: 1e-5,
};

pub(super) const FILES: Files = Files { layouts: &[Layout::Torch], classifiers: &["fc."] };

pub(super) fn graph() -> Graph {
    NETWORK.graph()
}
