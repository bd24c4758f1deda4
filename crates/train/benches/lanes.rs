//! The kernel that trains heads side by side: what one training step takes, by features and company.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use spec::config::Optimizer;
use train::lanes::{Columns, Table, pass};
use train::random::{Purpose, normal, stream};

const IMAGES: usize = 40;
const BATCH: u32 = 32;

/// A head on noise.
struct Head(Columns);

impl AsMut<Columns> for Head {
    fn as_mut(&mut self) -> &mut Columns {
        &mut self.0
    }
}

fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("step");
    for (features, heads) in [(1280, 8), (2048, 1), (2048, 8), (98_304, 5)] {
        let noise = normal(&mut stream(1, Purpose::Backbone), 1.0, IMAGES * features);
        let table = Table::new(&noise, features);
        let kernel = vec![0.01; features];
        let head = || Head(Columns::new(&kernel, &[0.0], Optimizer::default()));
        let mut heads: Vec<Head> = (0..heads).map(|_| head()).collect();
        let by_logits = [0.01; BATCH as usize];
        group.throughput(Throughput::Elements(heads.len() as u64));
        let name = BenchmarkId::new(format!("{features} features"), heads.len());
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for Head(columns) in &mut heads {
                    columns.ask(0..BATCH);
                    columns.follow(&by_logits, 1e-4);
                    columns.ask(0..BATCH);
                }
                pass(black_box(&table), &mut heads);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, steps);
criterion_main!(benches);
