//! ResNet50, in torchvision's version 1.5: the stride of a block lies in its 3 x 3 convolution.
//!
//! Paper: He et al. 2015, <https://arxiv.org/abs/1512.03385>. Reference code and the tensors' names:
//! <https://github.com/pytorch/vision/blob/main/torchvision/models/resnet.py>. Names and order of the
//! layers are those of `keras.applications.ResNet50(include_top=False)`,
//! <https://github.com/keras-team/keras/blob/master/keras/src/applications/resnet.py>; Keras lists
//! layers by their distance from the output, which is why a shortcut's convolution stands between the
//! main path's.

use super::{Backbone, conv_bn};
use crate::graph::{BatchNorm, Conv2d, Graph, LayerIndex, Op, Padding};
use crate::preprocess::Preprocessing;

/// Blocks, width and first stride of `conv2` to `conv5`.
const STAGES: [(i64, i64, i64); 4] = [(3, 64, 1), (4, 128, 2), (6, 256, 2), (3, 512, 2)];

/// A block's output is this much wider than its 3 x 3 convolution.
const EXPANSION: i64 = 4;

pub(super) fn backbone() -> Backbone {
    let mut graph = Graph::new();
    let pad = graph.push("conv1_pad", Op::ZeroPad(Padding::Each(3)), [Graph::INPUT]);
    let stem = Conv2d { padding: 0, ..conv("conv1", 3, 64, 7, 2) };
    let names = ["conv1_conv".to_owned(), "conv1_bn".to_owned()];
    let x = conv_bn(&mut graph, pad, names, stem, norm("bn1", 64));
    let x = graph.push("conv1_relu", Op::Relu, [x]);
    // After a ReLU a border of zeros never wins, so this is torchvision's padded pooling.
    let x = graph.push("pool1_pad", Op::ZeroPad(Padding::Each(1)), [x]);
    let mut x = graph.push("pool1_pool", Op::MaxPool { kernel: 3, stride: 2 }, [x]);
    let mut channels = 64;
    for ((blocks, width, stride), stage) in STAGES.into_iter().zip(1..) {
        for block in 0..blocks {
            let first = block == 0;
            let block = Block {
                name: format!("conv{}_block{}", stage + 1, block + 1),
                tensors: format!("layer{stage}.{block}"),
                input: channels,
                width,
                stride: if first { stride } else { 1 },
            };
            x = block.push(&mut graph, x, first);
            channels = width * EXPANSION;
        }
    }
    Backbone {
        graph,
        // The mean and standard deviation of ImageNet that torchvision's weights were trained with.
        preprocessing: Preprocessing {
            mean: [0.485, 0.456, 0.406].map(|mean| mean * 255.0),
            std: [0.229, 0.224, 0.225].map(|std| std * 255.0),
        },
        classifier: "fc.",
    }
}

/// A bottleneck block.
struct Block {
    name: String,
    tensors: String,
    input: i64,
    width: i64,
    stride: i64,
}

impl Block {
    fn push(&self, graph: &mut Graph, input: LayerIndex, project: bool) -> LayerIndex {
        let Self { name, tensors, input: channels, width, stride } = self;
        let output = width * EXPANSION;
        let layer = |part: &str| [format!("{name}_{part}_conv"), format!("{name}_{part}_bn")];
        let tensor = |part: &str| format!("{tensors}.{part}");

        let squeeze = conv(&tensor("conv1"), *channels, *width, 1, 1);
        let x = conv_bn(graph, input, layer("1"), squeeze, norm(&tensor("bn1"), *width));
        let x = graph.push(format!("{name}_1_relu"), Op::Relu, [x]);
        let spatial = conv(&tensor("conv2"), *width, *width, 3, *stride);
        let x = conv_bn(graph, x, layer("2"), spatial, norm(&tensor("bn2"), *width));
        let x = graph.push(format!("{name}_2_relu"), Op::Relu, [x]);
        let expand = conv(&tensor("conv3"), *width, output, 1, 1);

        let [expand_conv, expand_norm] = layer("3");
        let (shortcut, x) = if project {
            let shortcut = conv(&tensor("downsample.0"), *channels, output, 1, *stride);
            let [shortcut_conv, shortcut_norm] = layer("0");
            let shortcut = graph.push(shortcut_conv, Op::Conv2d(shortcut), [input]);
            let x = graph.push(expand_conv, Op::Conv2d(expand), [x]);
            let downsampled = norm(&tensor("downsample.1"), output);
            let shortcut = graph.push(shortcut_norm, Op::BatchNorm(downsampled), [shortcut]);
            (shortcut, x)
        } else {
            (input, graph.push(expand_conv, Op::Conv2d(expand), [x]))
        };
        let x = graph.push(expand_norm, Op::BatchNorm(norm(&tensor("bn3"), output)), [x]);
        let sum = graph.push(format!("{name}_add"), Op::Add, [shortcut, x]);
        graph.push(format!("{name}_out"), Op::Relu, [sum])
    }
}

/// A convolution that keeps the size, but for its stride.
fn conv(tensors: &str, input: i64, output: i64, kernel: i64, stride: i64) -> Conv2d {
    Conv2d {
        input,
        output,
        kernel,
        stride,
        padding: kernel / 2,
        groups: 1,
        bias: false,
        tensors: tensors.to_owned(),
    }
}

fn norm(tensors: &str, channels: i64) -> BatchNorm {
    BatchNorm { channels, epsilon: 1e-5, momentum: 0.99, tensors: tensors.to_owned() }
}

#[cfg(test)]
mod tests {
    use spec::config::Freeze;

    use super::*;

    #[test]
    fn layers_are_counted_as_in_keras() {
        let graph = backbone().graph;
        assert_eq!(graph.layers().len(), 175);
        let first = graph.first_trainable(&Freeze::UnfreezeLast(10));
        assert_eq!(
            first.map(|index| graph.layers()[index].name.as_str()),
            Some("conv5_block3_1_conv")
        );
        assert_eq!(graph.layers()[graph.cut(first)].name, "conv5_block2_out");

        let names: Vec<_> = graph.layers()[7..19].iter().map(|layer| layer.name.as_str()).collect();
        let block = [
            "1_conv", "1_bn", "1_relu", "2_conv", "2_bn", "2_relu", "0_conv", "3_conv", "0_bn",
            "3_bn", "add", "out",
        ];
        assert_eq!(names, block.map(|part| format!("conv2_block1_{part}")));
    }
}
