//! Resizing with Pillow's integers: the same pixels to the bit.
//!
//! A pretrained network sees more in a single grey level than one expects: pixels that were off by one in
//! a hundredth of all places moved pooled features by up to 3 %. Hence not one of the resizing libraries,
//! which round weights to fewer bits. After <https://github.com/python-pillow/Pillow>, `Resample.c`.

mod passes;

use image::RgbImage;
use spec::config::Interpolation;

use passes::{flatten, narrow};

/// Bits of a weight behind the binary point.
const PRECISION: u32 = 22;

/// The square that every image becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Square {
    /// Its side, in pixels.
    pub side: u32,
    /// How pixels are found between pixels.
    pub interpolation: Interpolation,
}

impl Square {
    /// Bytes of the pixels of one.
    pub fn bytes(self) -> usize {
        3 * self.side as usize * self.side as usize
    }
}

/// A filter by its name: the pixels that it reaches to each side, and its weight at a distance.
struct Filter {
    support: f64,
    weight: fn(f64) -> f64,
}

impl Filter {
    /// None for the nearest pixel, which is no filter.
    fn of(interpolation: Interpolation) -> Option<Self> {
        let (support, weight): (_, fn(f64) -> f64) = match interpolation {
            Interpolation::Nearest => return None,
            Interpolation::Bilinear => (1.0, triangle),
            Interpolation::Bicubic => (2.0, cubic),
            Interpolation::Lanczos => (3.0, lanczos),
        };
        Some(Self { support, weight })
    }
}

fn triangle(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

/// Keys's cubic with a = -0.5.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    match x.abs() {
        x if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        x if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
        _ => 0.0,
    }
}

fn lanczos(x: f64) -> f64 {
    let sinc = |x: f64| match x * std::f64::consts::PI {
        0.0 => 1.0,
        x => x.sin() / x,
    };
    if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 }
}

/// For each pixel of a line, the pixels that it is made of and their weights.
struct Taps {
    /// How many there are at most for one pixel.
    most: usize,
    /// The first of them, for each pixel.
    first: Vec<usize>,
    /// `most` weights for each pixel, in units of 2^-22.
    weights: Vec<i32>,
}

impl Taps {
    /// Those that make a line of `to` pixels of one of `from`. A filter is stretched where pixels are
    /// lost, so that each of them is seen.
    fn new(from: usize, to: usize, filter: &Filter) -> Self {
        let scale = from as f64 / to as f64;
        let stretch = scale.max(1.0);
        let support = filter.support * stretch;
        let spans: Vec<_> = (0..to)
            .map(|at| {
                let center = (at as f64 + 0.5) * scale;
                let low = (center - support + 0.5).max(0.0) as usize;
                let high = ((center + support + 0.5) as usize).min(from);
                (center, low, high)
            })
            .collect();
        let most = spans.iter().map(|(_, low, high)| high - low).max().unwrap_or(1);
        let mut first = Vec::with_capacity(to);
        let mut weights = vec![0; most * to];
        for (&(center, low, high), weights) in spans.iter().zip(weights.chunks_exact_mut(most)) {
            let exact: Vec<f64> = (low..high)
                .map(|x| (filter.weight)((x as f64 - center + 0.5) * (1.0 / stretch)))
                .collect();
            let sum: f64 = exact.iter().sum();
            // All `most` pixels lie within the line, if need be with weights of zero before the others.
            let start = low.min(from - most);
            for (weight, exact) in weights[low - start..].iter_mut().zip(exact) {
                let exact = exact / sum * f64::from(1 << PRECISION);
                *weight = (exact + 0.5_f64.copysign(exact)) as i32;
            }
            first.push(start);
        }
        Self { most, first, weights }
    }

    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        self.first.iter().copied().zip(self.weights.chunks_exact(self.most))
    }
}

/// Squashes an image to a square, whose rows `pixels` becomes. `between` is working memory, kept from one
/// image to the next.
pub(super) fn resize(image: &RgbImage, square: Square, between: &mut Vec<u8>, pixels: &mut [u8]) {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let side = square.side as usize;
    let Some(filter) = Filter::of(square.interpolation) else {
        return pick(image, side, pixels);
    };
    let image = image.as_raw().as_slice();
    let columns = || Taps::new(width, side, &filter);
    let rows = || Taps::new(height, side, &filter);
    match (width == side, height == side) {
        (true, true) => pixels.copy_from_slice(&image[..pixels.len()]),
        (false, true) => narrow(image, width, &columns(), pixels),
        (true, false) => flatten(image, width, &rows(), pixels),
        (false, false) if rows_first(width, height, side) => {
            between.resize(3 * width * side, 0);
            flatten(image, width, &rows(), between);
            narrow(between, width, &columns(), pixels);
        }
        (false, false) => {
            between.resize(3 * side * height, 0);
            narrow(image, width, &columns(), between);
            flatten(between, side, &rows(), pixels);
        }
    }
}

/// Whether rows are combined before columns. Each pass rounds, so the order is seen. That of Pillow 13,
/// found by trial; older ones always began with the columns.
fn rows_first(width: usize, height: usize, side: usize) -> bool {
    let lost = |length: usize| length as i64 - side as i64;
    lost(height) > 0 && lost(height) > 2 * lost(width)
}

/// The nearest pixel for each of a square's.
fn pick(image: &RgbImage, side: usize, pixels: &mut [u8]) {
    // Added up step by step, as Pillow does it: a product would round otherwise.
    let picks = |length: u32| {
        let step = f64::from(length) / side as f64;
        std::iter::successors(Some(0.5 * step), move |at| Some(at + step))
            .map(move |at| (at as u32).min(length - 1))
            .take(side)
    };
    let columns: Vec<u32> = picks(image.width()).collect();
    for (row, y) in pixels.chunks_exact_mut(3 * side).zip(picks(image.height())) {
        for (pixel, &x) in row.chunks_exact_mut(3).zip(&columns) {
            pixel.copy_from_slice(&image.get_pixel(x, y).0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded by `scripts/parity/pillow_resize.py`.
    #[test]
    fn resizing_is_pillow_s() {
        #[derive(serde::Deserialize)]
        struct Recorded {
            cases: Vec<Case>,
        }
        #[derive(serde::Deserialize)]
        struct Case {
            size: [u32; 2],
            filter: Interpolation,
            side: u32,
            pixels: Vec<u8>,
        }
        let recorded: Recorded =
            serde_json::from_str(include_str!("../../tests/parity/pillow_resize.json")).unwrap();
        assert_eq!(recorded.cases.len(), 44);
        let mut between = Vec::new();
        for Case { size: [width, height], filter, side, pixels: expected } in recorded.cases {
            let image = RgbImage::from_fn(width, height, |x, y| {
                image::Rgb([0, 1, 2].map(|c| ((7 * x + 13 * y + 29 * c + x * y / 5) % 256) as u8))
            });
            let square = Square { side, interpolation: filter };
            let mut pixels = vec![0; square.bytes()];
            resize(&image, square, &mut between, &mut pixels);
            assert!(pixels == expected, "{filter:?} from {width} x {height} to {side}");
        }
    }
}
