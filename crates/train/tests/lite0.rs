//! EfficientNet-Lite0 with its real weights, against the reference package.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics has failed")]

use std::env;
use std::path::{Path, PathBuf};

use spec::config::{self, Interpolation, Pooling};
use tch::{Device, Kind, Tensor};
use train::backbones::Backbone;
use train::data::{Square, decode};
use train::features::pool;
use train::graph::{Graph, Mode};
use train::weights::Weights;

const SIDE: u32 = 224;

fn closed_form() -> Vec<u8> {
    let pixel =
        |x: u32, y: u32, channel: u32| ((7 * x + 13 * y + 29 * channel + x * y / 5) % 256) as u8;
    let mut pixels = Vec::new();
    for y in 0..SIDE {
        for x in 0..SIDE {
            pixels.extend((0..3).map(|channel| pixel(x, y, channel)));
        }
    }
    pixels
}

fn photograph() -> Vec<u8> {
    let square = Square { side: SIDE, interpolation: Interpolation::Bilinear };
    let mut pixels = vec![0; square.bytes()];
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lite0.jpg");
    decode(&path, square, &mut pixels).unwrap();
    pixels
}

/// The sums of 160 pooled features each.
fn features(pixels: &[u8]) -> Vec<f64> {
    let folder = env::var_os("SWEEP_WEIGHTS").expect(
        "SWEEP_WEIGHTS does not name the folder with efficientnet_lite0.safetensors: run \
         scripts/setup, and scripts/test or `source scripts/env`",
    );
    let path = PathBuf::from(folder).join("efficientnet_lite0.safetensors");
    let network = Backbone::of(config::Backbone::EfficientnetLite0);
    let weights = Weights::read(&network, &path, Device::Cpu).unwrap();
    let pixels = Tensor::from_slice(pixels).reshape([1, SIDE.into(), SIDE.into(), 3]);
    let input = network.preprocessing.apply(&pixels, Device::Cpu).unwrap();
    let graph = &network.graph;
    let map = graph.forward(&weights, Graph::INPUT, graph.last(), &input, Mode::Inference).unwrap();
    let sums = pool(&map, Pooling::Gap).unwrap().reshape([8, 160]).sum_dim_intlist(
        [1i64].as_slice(),
        false,
        Kind::Double,
    );
    Vec::try_from(sums).unwrap()
}

/// Recorded by `scripts/parity/lite0.py`.
#[test]
fn features_are_the_references() {
    for (pixels, reference) in [
        (
            closed_form(),
            [36.32142, 32.59249, 25.68032, 31.11122, 35.50751, 29.93002, 29.28848, 26.64101],
        ),
        (
            photograph(),
            [31.48417, 22.92097, 33.57113, 19.12489, 20.0371, 38.41655, 27.40504, 41.12876],
        ),
    ] {
        for (sum, reference) in features(&pixels).iter().zip(reference) {
            assert!((sum / reference - 1.0).abs() < 1e-4, "{sum} is not {reference}");
        }
    }
}
