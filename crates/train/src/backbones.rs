//! The networks that turn an image into features: one file each.

mod efficientnet_lite0;
mod inception_resnet_v2;
mod residual;
mod resnet18;
mod resnet34;
mod resnet50;
mod resnet50_keras;

use std::collections::HashSet;

use spec::config;

use crate::graph::{BatchNorm, Conv2d, Graph, LayerIndex, Layout, Op};
use crate::preprocess::Preprocessing;

/// A network without its weights, and what it expects of images and weights files.
#[derive(Debug, Clone)]
pub struct Backbone {
    /// Its layers.
    pub graph: Graph,
    /// What weights files there are for it.
    pub files: Files,
    /// How pixels become its input.
    pub preprocessing: Preprocessing,
}

/// What weights files there are for a network.
#[derive(Debug, Clone, Copy)]
pub struct Files {
    /// How they may be laid out, at least one way; weights that are drawn are as in the first.
    pub layouts: &'static [Layout],
    /// What the names of the original classifier's tensors begin with: a file may hold them, and they
    /// are not used.
    pub classifiers: &'static [&'static str],
}

impl Backbone {
    /// The network of that name, which sees images as its weights were trained to.
    pub fn of(backbone: config::Backbone) -> Self {
        let (graph, files) = match backbone {
            config::Backbone::EfficientnetLite0 => {
                (efficientnet_lite0::graph(), efficientnet_lite0::FILES)
            }
            config::Backbone::Resnet18 => (resnet18::graph(), resnet18::FILES),
            config::Backbone::Resnet34 => (resnet34::graph(), resnet34::FILES),
            config::Backbone::Resnet50 => (resnet50::graph(), resnet50::FILES),
            config::Backbone::Resnet50Keras => (resnet50_keras::graph(), resnet50_keras::FILES),
            config::Backbone::InceptionResnetV2 => {
                (inception_resnet_v2::graph(), inception_resnet_v2::FILES)
            }
        };
        Self { graph, files, preprocessing: Preprocessing::of(backbone) }
    }

    /// The network that a model is built on.
    pub fn of_model(model: &config::Model) -> Self {
        Self::asked(model.backbone, model.preprocessing)
    }

    /// The network of that name, which sees images as it is asked to.
    pub fn asked(backbone: config::Backbone, preprocessing: config::Preprocessing) -> Self {
        Self { preprocessing: Preprocessing::asked(preprocessing, backbone), ..Self::of(backbone) }
    }

    /// The network whose tensors are all among `names`, the one with the most where several are: those of
    /// ResNet18 are among those of ResNet34.
    pub fn owner_of(names: &HashSet<&str>) -> Option<config::Backbone> {
        let of_file = |backbone: config::Backbone| {
            let network = Self::of(backbone);
            let layout = network.layout_of(names.iter().copied());
            let layers = network.graph.layers().iter();
            let mut tensors = layers.flat_map(|layer| layer.tensors(layout)).peekable();
            tensors.peek()?;
            let mut count = 0;
            for tensor in tensors {
                if !names.contains(tensor.name.as_str()) {
                    return None;
                }
                count += 1;
            }
            Some((count, backbone))
        };
        let fitting = config::Backbone::ALL.into_iter().filter_map(of_file);
        fitting.max_by_key(|(count, _)| *count).map(|(_, backbone)| backbone)
    }

    /// The layout of a file that holds tensors called `names`: the one that more of them fit, the
    /// first where none does better.
    pub fn layout_of<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Layout {
        let names: HashSet<&str> = names.into_iter().collect();
        let known = |layout: &Layout| {
            let tensors = self.graph.layers().iter().flat_map(|layer| layer.tensors(*layout));
            tensors.filter(|tensor| names.contains(tensor.name.as_str())).count()
        };
        let [first, others @ ..] = self.files.layouts else {
            unreachable!("there is no network without weights files")
        };
        others.iter().fold(
            *first,
            |best, layout| {
                if known(layout) > known(&best) { *layout } else { best }
            },
        )
    }
}

/// Appends a convolution and its normalisation, and returns the latter's position.
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
