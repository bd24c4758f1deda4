//! Images decoded and resized a second.
//!
//! ```sh
//! SWEEP_BENCH_IMAGES=data/plates/test RAYON_NUM_THREADS=2 cargo bench -p train --bench decode
//! ```
//! The folder holds class folders, or images alone. Where none is named, noisy images are drawn.

#![expect(clippy::unwrap_used, reason = "a benchmark that panics has failed")]

use std::env;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use spec::config::Interpolation;
use train::data::{DecodeError, Folder, Square, decode_all};

/// Drawn where no folder is named.
const IMAGES: u32 = 96;

#[derive(Debug)]
struct Failed(#[expect(dead_code, reason = "shown when it is unwrapped")] DecodeError);

impl From<DecodeError> for Failed {
    fn from(error: DecodeError) -> Self {
        Self(error)
    }
}

/// Smooth shapes under a grain, as a camera sees them: about 40 KB each.
fn draw(folder: &Path) {
    for number in 0..IMAGES {
        let mut grain = number;
        let image = RgbImage::from_fn(341, 256, |x, y| {
            grain = grain.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let slope = (x + 2 * y + 5 * number) / 4;
            image::Rgb([0, 1, 2].map(|c| ((slope * (c + 2) / 3 + (grain >> (26 - c))) % 256) as u8))
        });
        let mut bytes = Vec::new();
        image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 90)).unwrap();
        fs_err::write(folder.join(format!("{number:04}.jpg")), bytes).unwrap();
    }
}

fn decode(criterion: &mut Criterion) {
    let drawn = tempfile::tempdir().unwrap();
    let folder = match env::var_os("SWEEP_BENCH_IMAGES") {
        Some(folder) => folder.into(),
        None => {
            draw(drawn.path());
            drawn.path().to_owned()
        }
    };
    let folder =
        Folder::with_classes(&folder).or_else(|_| Folder::labelled_or_not(&folder, &[])).unwrap();
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(folder.images.len() as u64)).sample_size(10);
    for interpolation in [Interpolation::Bilinear, Interpolation::Lanczos] {
        let square = Square { side: 224, interpolation };
        group.bench_function(format!("{interpolation:?}").to_lowercase(), |bencher| {
            bencher.iter(|| decode_all(&folder, square, |_| Ok::<(), Failed>(())).unwrap());
        });
    }
}

criterion_group!(benches, decode);
criterion_main!(benches);
