//! A training step of a backbone's last layers, from the cached output of the layers before them.
//!
//! ```sh
//! OMP_NUM_THREADS=2 cargo bench -p train --bench suffix
//! ```

#![expect(clippy::unwrap_used, reason = "a benchmark that panics has failed")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use spec::config::{self, Freeze, Optimizer, Pooling, Precision};
use tch::{Device, Kind, Tensor};
use train::allocator;
use train::backbones::Backbone;
use train::features::{Encoder, Prefix};
use train::head::Design;
use train::loss::Loss;
use train::model::{Model, Start};
use train::random::Source;
use train::weights::Weights;

const BATCH: i64 = 32;

fn steps(criterion: &mut Criterion) {
    allocator::keep_memory();
    let mut group = criterion.benchmark_group("step of the last ten layers");
    group.sample_size(10);
    for network in [config::Backbone::Resnet18, config::Backbone::Resnet50Keras] {
        let backbone = Backbone::of(network);
        let weights = Weights::draw(&backbone, 1, Device::Cpu).unwrap();
        let first_trainable = backbone.graph.first_trainable(&Freeze::UnfreezeLast(10)).unwrap();
        let prefix = Prefix {
            backbone: &backbone,
            cut: backbone.graph.cut(first_trainable),
            pooling: Pooling::Gap,
            precision: Precision::Fp32,
        };
        let shape = [BATCH, 224, 224, 3];
        let pixels = Tensor::randint(256, shape, (Kind::Uint8, Device::Cpu));
        let encoder = Encoder::new(prefix, &weights, Device::Cpu).unwrap();
        let features = encoder.encode(&pixels).unwrap().contiguous();
        let loss = Loss::Binary;
        let labels: Vec<u32> = (0..BATCH as u32).map(|image| image % 2).collect();
        let targets = loss.targets(&labels, 0.0, Device::Cpu).unwrap();
        let start = Start {
            loss,
            design: &Design::default(),
            optimizer: Optimizer::default(),
            source: Source { seed: 1, fold: None },
        };
        let mut model = Model::new(prefix, first_trainable, &weights, &features, start).unwrap();
        group.bench_function(network.name(), |bencher| {
            bencher.iter(|| model.step(black_box(&features), &targets, None, 1e-4).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
