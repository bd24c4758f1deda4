//! Images of every format against what Pillow reads, recorded by `scripts/parity/image_formats.py`.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::Path;

use serde::Deserialize;
use spec::config::Interpolation;
use train::data::{Square, decode};

#[derive(Deserialize)]
struct Recorded {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    file: String,
    size: [u32; 2],
    /// Of every third column of every third row.
    pixels: Vec<u8>,
}

/// How far a value may be from Pillow's, of 255. Everything but two kinds of image is the same to the bit:
/// 16 bits are rounded in another place, and decoders of lossy WebP blend colours in their own ways.
fn allowed(file: &str) -> u8 {
    match file {
        "cmyk_subsampled.jpg" | "ycck_subsampled.jpg" => 6,
        "lossy.webp" | "lossy_alpha.webp" => 6,
        "rgb16.png" | "rgba16.png" => 1,
        _ => 0,
    }
}

#[test]
fn every_format_is_read_as_pillow_reads_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats");
    let recorded: Recorded =
        serde_json::from_slice(&fs_err::read(folder.join("pixels.json")).unwrap()).unwrap();
    assert_eq!(recorded.cases.len(), 43);
    let mut wrong = Vec::new();
    for Case { file, size: [width, height], pixels: expected } in recorded.cases {
        let pixels = unscaled(&folder.join(&file), width, height);
        let sampled = (0..height).step_by(3).flat_map(|y| {
            let pixels = &pixels;
            (0..width).step_by(3).flat_map(move |x| {
                let at = 3 * (y * width + x) as usize;
                pixels[at..at + 3].iter().copied()
            })
        });
        let apart: Vec<u8> = sampled.zip(&expected).map(|(a, b)| a.abs_diff(*b)).collect();
        assert_eq!(apart.len(), expected.len());
        let most = apart.into_iter().max().unwrap();
        if most > allowed(&file) {
            wrong.push(format!("{file}: {most} of 255 apart"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The pixels of an image as they are: read enlarged by whole numbers, without blending.
fn unscaled(path: &Path, width: u32, height: u32) -> Vec<u8> {
    let side = 4 * 5 * 7;
    assert_eq!((side % width, side % height), (0, 0), "{path:?}");
    let square = Square { side, interpolation: Interpolation::Nearest };
    let mut enlarged = vec![0; square.bytes()];
    decode(path, square, &mut enlarged).unwrap();
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let at = 3 * ((y * side / height) * side + x * side / width) as usize;
            pixels.extend_from_slice(&enlarged[at..at + 3]);
        }
    }
    pixels
}
