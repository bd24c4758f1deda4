//! Inception-ResNet-v2, as Keras and timm have it.
//!
//! Paper: Szegedy et al. 2016, <https://arxiv.org/abs/1602.07261>. Reference code and the names of the
//! layers: <https://github.com/keras-team/keras/blob/master/keras/src/applications/inception_resnet_v2.py>.
//! Files may also name tensors as timm does,
//! <https://github.com/huggingface/pytorch-image-models/blob/main/timm/models/inception_resnet_v2.py>:
//! the two are one network, but that timm's normalisations have a factor (gamma).

use super::{Files, conv_bn};
use crate::graph::{BatchNorm, Conv2d, Graph, LayerIndex, Layout, Op};

/// A convolution, its normalisation and its ReLU.
#[derive(Debug, Clone, Copy)]
struct Unit {
    output: i64,
    kernel: [i64; 2],
    stride: i64,
    padding: [i64; 2],
}

/// A layer's output.
#[derive(Debug, Clone, Copy)]
struct Map {
    layer: LayerIndex,
    channels: i64,
}

/// Blocks of one kind.
struct Residual {
    name: &'static str,
    branches: &'static [&'static [Unit]],
}

/// Keeps the size.
const fn same(output: i64, kernel: [i64; 2]) -> Unit {
    Unit { output, kernel, stride: 1, padding: [kernel[0] / 2, kernel[1] / 2] }
}

/// Without a border.
const fn valid(output: i64, side: i64, stride: i64) -> Unit {
    Unit { output, kernel: [side; 2], stride, padding: [0; 2] }
}

const BLOCK35: Residual = Residual {
    name: "block35",
    branches: &[
        &[same(32, [1, 1])],
        &[same(32, [1, 1]), same(32, [3, 3])],
        &[same(32, [1, 1]), same(48, [3, 3]), same(64, [3, 3])],
    ],
};
const BLOCK17: Residual = Residual {
    name: "block17",
    branches: &[&[same(192, [1, 1])], &[same(128, [1, 1]), same(160, [1, 7]), same(192, [7, 1])]],
};
const BLOCK8: Residual = Residual {
    name: "block8",
    branches: &[&[same(192, [1, 1])], &[same(192, [1, 1]), same(224, [1, 3]), same(256, [3, 1])]],
};

pub(super) const FILES: Files =
    Files { layouts: &[Layout::Keras, Layout::Torch], classifiers: &["predictions/", "classif."] };

pub(super) fn graph() -> Graph {
    let mut network = Network::default();
    let x = Map { layer: Graph::INPUT, channels: 3 };
    let x = network.unit(x, valid(32, 3, 2), "conv2d_1a");
    let x = network.unit(x, valid(32, 3, 1), "conv2d_2a");
    let x = network.unit(x, same(64, [3, 3]), "conv2d_2b");
    let x = network.max_pool(x);
    let x = network.unit(x, valid(80, 1, 1), "conv2d_3b");
    let x = network.unit(x, valid(192, 3, 1), "conv2d_4a");
    let x = network.max_pool(x);

    let mut branches = network.branches(
        x,
        &[
            &[same(96, [1, 1])],
            &[same(48, [1, 1]), same(64, [5, 5])],
            &[same(64, [1, 1]), same(96, [3, 3]), same(96, [3, 3])],
        ],
        "mixed_5b",
    );
    let pooled = network.graph.push("average_pooling2d", Op::AvgPool { kernel: 3 }, [x.layer]);
    let pooled = Map { layer: pooled, ..x };
    branches.push(network.unit(pooled, same(64, [1, 1]), "mixed_5b.branch3.1"));
    let mut x = network.concat("mixed_5b".to_owned(), &branches);
    for block in 0..10 {
        x = network.residual(x, &BLOCK35, block + 1, 0.17, &format!("repeat.{block}"));
        x = network.relu(x, format!("block35_{}_ac", block + 1));
    }

    let mut branches = network.branches(
        x,
        &[&[valid(384, 3, 2)], &[same(256, [1, 1]), same(256, [3, 3]), valid(384, 3, 2)]],
        "mixed_6a",
    );
    branches.push(network.max_pool(x));
    x = network.concat("mixed_6a".to_owned(), &branches);
    for block in 0..20 {
        x = network.residual(x, &BLOCK17, block + 1, 0.1, &format!("repeat_1.{block}"));
        x = network.relu(x, format!("block17_{}_ac", block + 1));
    }

    let mut branches = network.branches(
        x,
        &[
            &[same(256, [1, 1]), valid(384, 3, 2)],
            &[same(256, [1, 1]), valid(288, 3, 2)],
            &[same(256, [1, 1]), same(288, [3, 3]), valid(320, 3, 2)],
        ],
        "mixed_7a",
    );
    branches.push(network.max_pool(x));
    x = network.concat("mixed_7a".to_owned(), &branches);
    for block in 0..9 {
        x = network.residual(x, &BLOCK8, block + 1, 0.2, &format!("repeat_2.{block}"));
        x = network.relu(x, format!("block8_{}_ac", block + 1));
    }
    // The last block neither shrinks its residual nor ends in a ReLU.
    x = network.residual(x, &BLOCK8, 10, 1.0, "block8");
    let names = ["conv_7b".to_owned(), "conv_7b_bn".to_owned()];
    x = network.conv_bn(x, same(1536, [1, 1]), names, "conv2d_7b");
    network.relu(x, "conv_7b_ac".to_owned());
    network.graph.in_keras_order()
}

/// The network so far, and how many layers of each kind Keras has numbered: it names what has no name
/// in the order of creation.
#[derive(Default)]
struct Network {
    graph: Graph,
    units: usize,
    max_pools: usize,
    residuals: usize,
}

impl Network {
    /// Keras's name of the `number`th layer of a kind.
    fn name(kind: &str, number: usize) -> String {
        match number {
            0 => kind.to_owned(),
            number => format!("{kind}_{number}"),
        }
    }

    fn unit(&mut self, x: Map, unit: Unit, tensors: &str) -> Map {
        let number = self.units;
        self.units += 1;
        let names = [Self::name("conv2d", number), Self::name("batch_normalization", number)];
        let x = self.conv_bn(x, unit, names, tensors);
        self.relu(x, Self::name("activation", number))
    }

    fn conv_bn(&mut self, x: Map, unit: Unit, names: [String; 2], tensors: &str) -> Map {
        let conv = conv(x, unit, format!("{tensors}.conv"));
        let norm = BatchNorm {
            channels: unit.output,
            epsilon: 1e-3,
            torch_momentum: 0.9,
            keras_scale: false,
            tensors: format!("{tensors}.bn"),
        };
        let layer = conv_bn(&mut self.graph, x.layer, names, conv, norm);
        Map { layer, channels: unit.output }
    }

    fn relu(&mut self, x: Map, name: String) -> Map {
        Map { layer: self.graph.push(name, Op::Relu, [x.layer]), ..x }
    }

    fn max_pool(&mut self, x: Map) -> Map {
        let name = Self::name("max_pooling2d", self.max_pools);
        self.max_pools += 1;
        Map { layer: self.graph.push(name, Op::MaxPool { kernel: 3, stride: 2 }, [x.layer]), ..x }
    }

    /// Units one behind the other, several times side by side.
    fn branches(&mut self, x: Map, branches: &[&[Unit]], tensors: &str) -> Vec<Map> {
        let mut ends = Vec::new();
        for (branch, units) in branches.iter().enumerate() {
            let mut end = x;
            for (number, unit) in units.iter().enumerate() {
                // A branch of several is a sequence in timm, and its members are numbered.
                let tensors = match units.len() {
                    1 => format!("{tensors}.branch{branch}"),
                    _ => format!("{tensors}.branch{branch}.{number}"),
                };
                end = self.unit(end, *unit, &tensors);
            }
            ends.push(end);
        }
        ends
    }

    fn concat(&mut self, name: String, branches: &[Map]) -> Map {
        let inputs: Vec<_> = branches.iter().map(|map| map.layer).collect();
        let layer = self.graph.push(name, Op::Concat, inputs);
        Map { layer, channels: branches.iter().map(|map| map.channels).sum() }
    }

    /// A block but for its ReLU: `x + scale * residual`.
    fn residual(&mut self, x: Map, kind: &Residual, number: i64, scale: f64, tensors: &str) -> Map {
        let name = format!("{}_{number}", kind.name);
        let branches = self.branches(x, kind.branches, tensors);
        let mixed = self.concat(format!("{name}_mixed"), &branches);
        let widen = same(x.channels, [1, 1]);
        let conv = Conv2d { bias: true, ..conv(mixed, widen, format!("{tensors}.conv2d")) };
        let residual = self.graph.push(format!("{name}_conv"), Op::Conv2d(conv), [mixed.layer]);
        let sum = Self::name("custom_scale_layer", self.residuals);
        self.residuals += 1;
        Map { layer: self.graph.push(sum, Op::AddScaled { scale }, [x.layer, residual]), ..x }
    }
}

fn conv(x: Map, unit: Unit, tensors: String) -> Conv2d {
    let Unit { output, kernel, stride, padding } = unit;
    Conv2d { input: x.channels, output, kernel, stride, padding, groups: 1, bias: false, tensors }
}
