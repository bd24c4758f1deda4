//! EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excitation, with ReLU6 for swish.
//!
//! Paper: Tan and Le 2019, <https://arxiv.org/abs/1905.11946>. Reference code:
//! <https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite>. Tensors are named
//! as in its PyTorch port, <https://pypi.org/project/efficientnet_lite_pytorch/>, which carries the
//! weights over. Layers are named as in Keras's EfficientNetB0
//! (<https://keras.io/api/applications/efficientnet/>); its dropouts are not there, since in inference
//! they do nothing and a fine-tuned suffix is trained without.

use super::{Files, conv_bn};
use crate::graph::{BatchNorm, Conv2d, Graph, LayerIndex, Layout, Op, Padding};

/// Blocks of one shape in a row.
struct Stage {
    blocks: i64,
    kernel: i64,
    /// Of the first block; the others have 1.
    stride: i64,
    expand: i64,
    output: i64,
}

#[rustfmt::skip]
const STAGES: [Stage; 7] = [
    Stage { blocks: 1, kernel: 3, stride: 1, expand: 1, output: 16 },
    Stage { blocks: 2, kernel: 3, stride: 2, expand: 6, output: 24 },
    Stage { blocks: 2, kernel: 5, stride: 2, expand: 6, output: 40 },
    Stage { blocks: 3, kernel: 3, stride: 2, expand: 6, output: 80 },
    Stage { blocks: 3, kernel: 5, stride: 1, expand: 6, output: 112 },
    Stage { blocks: 4, kernel: 5, stride: 2, expand: 6, output: 192 },
    Stage { blocks: 1, kernel: 3, stride: 1, expand: 6, output: 320 },
];

const STEM: i64 = 32;
const TOP: i64 = 1280;

pub(super) const FILES: Files = Files { layouts: &[Layout::Torch], classifiers: &["_fc."] };

pub(super) fn graph() -> Graph {
    let mut graph = Graph::new();
    let padding = Padding::Same { kernel: 3, stride: 2 };
    let pad = graph.push("stem_conv_pad", Op::ZeroPad(padding), [Graph::INPUT]);
    let stem = conv_bn(
        &mut graph,
        pad,
        ["stem_conv".to_owned(), "stem_bn".to_owned()],
        conv("_conv_stem", 3, STEM, 3, 2),
        norm("_bn0", STEM),
    );
    let mut x = graph.push("stem_activation", Op::Relu6, [stem]);
    let mut channels = STEM;
    let mut number = 0;
    for (stage, letter_stage) in STAGES.iter().zip(1..) {
        for (repeat, letter) in (0..stage.blocks).zip('a'..) {
            let block = Block {
                name: format!("block{letter_stage}{letter}"),
                tensors: format!("_blocks.{number}"),
                input: channels,
                stride: if repeat == 0 { stage.stride } else { 1 },
            };
            x = block.push(&mut graph, x, stage);
            channels = stage.output;
            number += 1;
        }
    }
    let top = conv_bn(
        &mut graph,
        x,
        ["top_conv".to_owned(), "top_bn".to_owned()],
        conv("_conv_head", channels, TOP, 1, 1),
        norm("_bn1", TOP),
    );
    graph.push("top_activation", Op::Relu6, [top]);
    graph.in_keras_order()
}

/// An inverted residual block (MBConv).
struct Block {
    name: String,
    tensors: String,
    input: i64,
    stride: i64,
}

impl Block {
    fn push(&self, graph: &mut Graph, input: LayerIndex, stage: &Stage) -> LayerIndex {
        let Self { name, tensors, .. } = self;
        let wide = self.input * stage.expand;
        let mut x = input;
        if stage.expand != 1 {
            x = conv_bn(
                graph,
                x,
                [format!("{name}_expand_conv"), format!("{name}_expand_bn")],
                conv(&format!("{tensors}._expand_conv"), self.input, wide, 1, 1),
                norm(&format!("{tensors}._bn0"), wide),
            );
            x = graph.push(format!("{name}_expand_activation"), Op::Relu6, [x]);
        }
        if self.stride > 1 {
            let padding = Padding::Same { kernel: stage.kernel, stride: self.stride };
            x = graph.push(format!("{name}_dwconv_pad"), Op::ZeroPad(padding), [x]);
        }
        let depthwise = Conv2d {
            groups: wide,
            ..conv(&format!("{tensors}._depthwise_conv"), wide, wide, stage.kernel, self.stride)
        };
        x = conv_bn(
            graph,
            x,
            [format!("{name}_dwconv"), format!("{name}_bn")],
            depthwise,
            norm(&format!("{tensors}._bn1"), wide),
        );
        x = graph.push(format!("{name}_activation"), Op::Relu6, [x]);
        x = conv_bn(
            graph,
            x,
            [format!("{name}_project_conv"), format!("{name}_project_bn")],
            conv(&format!("{tensors}._project_conv"), wide, stage.output, 1, 1),
            norm(&format!("{tensors}._bn2"), stage.output),
        );
        if self.stride == 1 && self.input == stage.output {
            x = graph.push(format!("{name}_add"), Op::Add, [x, input]);
        }
        x
    }
}

/// A convolution that keeps the size; with a stride, one whose border is a layer of its own.
fn conv(tensors: &str, input: i64, output: i64, kernel: i64, stride: i64) -> Conv2d {
    Conv2d {
        input,
        output,
        kernel: [kernel; 2],
        stride,
        padding: [if stride == 1 { kernel / 2 } else { 0 }; 2],
        groups: 1,
        bias: false,
        tensors: tensors.to_owned(),
    }
}

fn norm(tensors: &str, channels: i64) -> BatchNorm {
    BatchNorm {
        channels,
        epsilon: 1e-3,
        torch_momentum: 0.99,
        keras_scale: true,
        tensors: tensors.to_owned(),
    }
}
