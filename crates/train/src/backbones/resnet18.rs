//! ResNet18, torchvision's.
//!
//! Paper: He et al. 2015, <https://arxiv.org/abs/1512.03385>. Reference code and the tensors' names:
//! <https://github.com/pytorch/vision/blob/main/torchvision/models/resnet.py>. Keras has none; layers
//! are named as in its ResNet50.

use super::Files;
use super::residual::{Block, ResidualNetwork};
use crate::graph::{Graph, Layout};

const NETWORK: ResidualNetwork =
    ResidualNetwork { blocks: [2, 2, 2, 2], block: Block::Basic, bias: false, epsilon: 1e-5 };

pub(super) const FILES: Files = Files { layouts: &[Layout::Torch], classifiers: &["fc."] };

pub(super) fn graph() -> Graph {
    NETWORK.graph()
}
