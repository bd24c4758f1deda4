//! EfficientNet-Lite0 with its real weights, against the reference package.

use std::env;
use std::path::PathBuf;

use spec::config::{self, Pooling};
use tch::{Device, Kind, Tensor};
use train::backbones::Backbone;
use train::features::pool;
use train::graph::{Graph, Mode};
use train::weights::Weights;

/// Printed by `scripts/parity/lite0.py`: the sums of 160 pooled features each.
const REFERENCE: [f64; 8] =
    [36.32142, 32.59249, 25.68032, 31.11122, 35.50751, 29.93002, 29.28848, 26.64101];

const SIDE: i64 = 224;

fn pixels() -> Tensor {
    let pixel =
        |x: i64, y: i64, channel: i64| ((7 * x + 13 * y + 29 * channel + x * y / 5) % 256) as u8;
    let mut pixels = Vec::new();
    for y in 0..SIDE {
        for x in 0..SIDE {
            pixels.extend((0..3).map(|channel| pixel(x, y, channel)));
        }
    }
    Tensor::from_slice(&pixels).reshape([1, SIDE, SIDE, 3])
}

#[test]
fn features_are_the_references() {
    let folder = env::var_os("SWEEP_WEIGHTS").expect(
        "SWEEP_WEIGHTS does not name the folder with efficientnet_lite0.safetensors: run \
         scripts/setup, and scripts/test or `source scripts/env`",
    );
    let path = PathBuf::from(folder).join("efficientnet_lite0.safetensors");
    let network = Backbone::of(config::Backbone::EfficientnetLite0);
    let weights = Weights::read(&network, &path, Device::Cpu).unwrap();
    let input = network.preprocessing.apply(&pixels(), Device::Cpu).unwrap();
    let graph = &network.graph;
    let map = graph.forward(&weights, Graph::INPUT, graph.last(), &input, Mode::Inference).unwrap();
    let sums = pool(&map, Pooling::Gap).unwrap().reshape([8, 160]).sum_dim_intlist(
        [1i64].as_slice(),
        false,
        Kind::Double,
    );
    for (sum, reference) in Vec::<f64>::try_from(sums).unwrap().iter().zip(REFERENCE) {
        assert!((sum / reference - 1.0).abs() < 1e-4, "{sum} is not {reference}");
    }
}
