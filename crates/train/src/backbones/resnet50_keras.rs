//! ResNet50 as `keras.applications.ResNet50` has it, the paper's version 1: the stride of a block lies
//! in its first convolution, and convolutions have a bias.
//!
//! Paper: He et al. 2015, <https://arxiv.org/abs/1512.03385>. Reference code, and the names of layers
//! and tensors: <https://github.com/keras-team/keras/blob/master/keras/src/applications/resnet.py>.

use super::Files;
use super::residual::{Block, ResidualNetwork};
use crate::graph::{Graph, Layout};

const NETWORK: ResidualNetwork = ResidualNetwork {
    blocks: [3, 4, 6, 3],
    block: Block::Bottleneck { stride_first: true },
    bias: true,
    epsilon: 1.001e-5,
};

pub(super) const FILES: Files = Files { layouts: &[Layout::Keras], classifiers: &["predictions/"] };

pub(super) fn graph() -> Graph {
    NETWORK.graph()
}
