//! The residual networks that ResNet18, 34 and 50 are: a stem, and four stages of blocks.
//!
//! Layers are named as in `keras.applications.ResNet50(include_top=False)`,
//! <https://github.com/keras-team/keras/blob/master/keras/src/applications/resnet.py>, and tensors as in
//! <https://github.com/pytorch/vision/blob/main/torchvision/models/resnet.py>, whose names timm shares.

use super::conv_bn;
use crate::graph::{BatchNorm, Conv2d, Graph, LayerIndex, Op, Padding};

/// What tells the networks apart.
#[derive(Debug, Clone, Copy)]
pub(super) struct ResidualNetwork {
    /// Blocks in each stage.
    pub(super) blocks: [i64; 4],
    pub(super) block: Block,
    /// Convolutions have a bias.
    pub(super) bias: bool,
    /// Of the normalisations.
    pub(super) epsilon: f64,
}

/// The layers beside a shortcut.
#[derive(Debug, Clone, Copy)]
pub(super) enum Block {
    /// Two 3 x 3 convolutions.
    Basic,
    /// A 3 x 3 convolution between 1 x 1 ones, the last of which widens.
    Bottleneck {
        /// Where a stage's first block strides: torchvision's version 1.5 in the 3 x 3 convolution, the
        /// paper and Keras in the first.
        stride_first: bool,
    },
}

/// Width and first stride of `conv2` to `conv5`.
const STAGES: [(i64, i64); 4] = [(64, 1), (128, 2), (256, 2), (512, 2)];

/// A bottleneck's output is this much wider than its 3 x 3 convolution.
const EXPANSION: i64 = 4;

/// A convolution of a block.
struct Unit {
    /// In the layers' names.
    number: usize,
    output: i64,
    kernel: i64,
    stride: i64,
}

/// A block among the others.
struct Place {
    /// What its layers' names begin with.
    name: String,
    /// What its tensors' names begin with.
    tensors: String,
    input: i64,
    width: i64,
    stride: i64,
}

impl ResidualNetwork {
    pub(super) fn graph(&self) -> Graph {
        let mut graph = Graph::new();
        let pad = graph.push("conv1_pad", Op::ZeroPad(Padding::Each(3)), [Graph::INPUT]);
        let stem = Unit { number: 1, output: 64, kernel: 7, stride: 2 };
        let stem = Conv2d { padding: [0; 2], ..self.conv("conv1", 3, &stem) };
        let names = ["conv1_conv".to_owned(), "conv1_bn".to_owned()];
        let x = conv_bn(&mut graph, pad, names, stem, self.norm("bn1", 64));
        let x = graph.push("conv1_relu", Op::Relu, [x]);
        // After a ReLU a border of zeros never wins, so this is torchvision's padded pooling.
        let x = graph.push("pool1_pad", Op::ZeroPad(Padding::Each(1)), [x]);
        let mut x = graph.push("pool1_pool", Op::MaxPool { kernel: 3, stride: 2 }, [x]);
        let mut input = 64;
        for ((blocks, (width, stride)), stage) in self.blocks.into_iter().zip(STAGES).zip(1..) {
            for block in 0..blocks {
                let place = Place {
                    name: format!("conv{}_block{}", stage + 1, block + 1),
                    tensors: format!("layer{stage}.{block}"),
                    input,
                    width,
                    stride: if block == 0 { stride } else { 1 },
                };
                (x, input) = self.push_block(&mut graph, x, &place);
            }
        }
        graph.in_keras_order()
    }

    /// Appends a block, and returns its last layer and width.
    fn push_block(&self, graph: &mut Graph, input: LayerIndex, place: &Place) -> (LayerIndex, i64) {
        let Place { name, tensors, width, stride, .. } = place;
        let units = self.units(*width, *stride);
        let output = units.last().map_or(*width, |unit| unit.output);
        let mut x = input;
        let mut channels = place.input;
        for unit in &units {
            let number = unit.number;
            if number > 1 {
                x = graph.push(format!("{name}_{}_relu", number - 1), Op::Relu, [x]);
            }
            let layer = [format!("{name}_{number}_conv"), format!("{name}_{number}_bn")];
            let conv = self.conv(&format!("{tensors}.conv{number}"), channels, unit);
            let norm = self.norm(&format!("{tensors}.bn{number}"), unit.output);
            x = conv_bn(graph, x, layer, conv, norm);
            channels = unit.output;
        }
        let shortcut = if *stride == 1 && place.input == output {
            input
        } else {
            let unit = Unit { number: 0, output, kernel: 1, stride: *stride };
            let layer = [format!("{name}_0_conv"), format!("{name}_0_bn")];
            let conv = self.conv(&format!("{tensors}.downsample.0"), place.input, &unit);
            let norm = self.norm(&format!("{tensors}.downsample.1"), output);
            conv_bn(graph, input, layer, conv, norm)
        };
        let sum = graph.push(format!("{name}_add"), Op::Add, [shortcut, x]);
        (graph.push(format!("{name}_out"), Op::Relu, [sum]), output)
    }

    fn units(&self, width: i64, stride: i64) -> Vec<Unit> {
        let unit = |number, output, kernel, stride| Unit { number, output, kernel, stride };
        match self.block {
            Block::Basic => vec![unit(1, width, 3, stride), unit(2, width, 3, 1)],
            Block::Bottleneck { stride_first } => {
                let [first, second] = if stride_first { [stride, 1] } else { [1, stride] };
                vec![
                    unit(1, width, 1, first),
                    unit(2, width, 3, second),
                    unit(3, width * EXPANSION, 1, 1),
                ]
            }
        }
    }

    /// A convolution that keeps the size, but for its stride.
    fn conv(&self, tensors: &str, input: i64, unit: &Unit) -> Conv2d {
        Conv2d {
            input,
            output: unit.output,
            kernel: [unit.kernel; 2],
            stride: unit.stride,
            padding: [unit.kernel / 2; 2],
            groups: 1,
            bias: self.bias,
            tensors: tensors.to_owned(),
        }
    }

    fn norm(&self, tensors: &str, channels: i64) -> BatchNorm {
        BatchNorm {
            channels,
            epsilon: self.epsilon,
            torch_momentum: 0.9,
            keras_scale: true,
            tensors: tensors.to_owned(),
        }
    }
}
