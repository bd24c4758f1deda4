//! The networks that turn an image into features: one file each.

mod efficientnet_lite0;
mod resnet50;

use spec::config;

use crate::graph::{BatchNorm, Conv2d, Graph, LayerIndex, Op};
use crate::preprocess::Preprocessing;

/// A network without its weights, and what it expects of images and weights files.
#[derive(Debug, Clone)]
pub struct Backbone {
    /// Its layers.
    pub graph: Graph,
    /// How pixels become its input.
    pub preprocessing: Preprocessing,
    /// What the names of its original classifier's tensors begin with: a weights file may hold them,
    /// and they are not used.
    pub classifier: &'static str,
}

impl Backbone {
    /// The network of that name.
    pub fn of(backbone: config::Backbone) -> Self {
        match backbone {
            config::Backbone::EfficientnetLite0 => efficientnet_lite0::backbone(),
            config::Backbone::Resnet50 => resnet50::backbone(),
        }
    }
}

/// Appends a convolution without bias and its normalisation, and returns the latter's position.
///
/// `layer` holds Keras's names of both.
fn conv_bn(
    graph: &mut Graph,
    from: LayerIndex,
    layer: [String; 2],
    conv: Conv2d,
    norm: BatchNorm,
) -> LayerIndex {
    let [conv_name, norm_name] = layer;
    let conv = graph.push(conv_name, Op::Conv2d(conv), [from]);
    graph.push(norm_name, Op::BatchNorm(norm), [conv])
}
