//! Images through a frozen backbone, and their features from the cache in place of that.
//!
//! ```sh
//! OMP_NUM_THREADS=2 cargo bench -p train --bench features
//! ```

#![expect(clippy::unwrap_used, reason = "a benchmark that panics has failed")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use spec::config::{self, Pooling, Precision};
use tch::{Device, Kind, Tensor};
use train::allocator;
use train::backbones::Backbone;
use train::features::{CacheFile, Encoder, Found, Prefix};
use train::weights::Weights;

const BATCH: i64 = 32;

/// The document's images, of which there are features to keep.
const IMAGES: i64 = 784;

fn pass(criterion: &mut Criterion) {
    allocator::keep_memory();
    let mut group = criterion.benchmark_group("pass through the frozen backbone");
    group.throughput(Throughput::Elements(BATCH as u64)).sample_size(10);
    for network in [config::Backbone::EfficientnetLite0, config::Backbone::Resnet18] {
        let backbone = Backbone::of(network);
        let weights = Weights::draw(&backbone, 1, Device::Cpu).unwrap();
        let prefix = Prefix {
            backbone: &backbone,
            cut: backbone.graph.last(),
            pooling: Pooling::Gap,
            precision: Precision::Fp32,
        };
        let pixels = Tensor::randint(256, [BATCH, 224, 224, 3], (Kind::Uint8, Device::Cpu));
        let encoder = Encoder::new(prefix, &weights, Device::Cpu).unwrap();
        group.bench_function(network.name(), |bencher| {
            bencher.iter(|| encoder.encode(black_box(&pixels)).unwrap());
        });
    }
    group.finish();
}

fn cache(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let mut group = criterion.benchmark_group("features of 784 images in the cache");
    group.sample_size(20);
    for (what, shape) in [("pooled", vec![IMAGES, 1280]), ("flatten", vec![IMAGES, 7, 7, 1280])] {
        let features = Tensor::randn(&shape, (Kind::Float, Device::Cpu));
        group.throughput(Throughput::Bytes(features.numel() as u64 * 4));
        let file = CacheFile::new(folder.path(), what);
        group.bench_function(format!("write, {what}"), |bencher| {
            bencher.iter(|| file.write(&features).unwrap());
        });
        group.bench_function(format!("read, {what}"), |bencher| {
            bencher.iter(|| {
                let Found::Features(read) = file.read(IMAGES).unwrap() else {
                    panic!("the features that were just written are not there")
                };
                black_box(read)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, pass, cache);
criterion_main!(benches);
