//! The closed-form rule that fills networks and images, the same as in `scripts/parity/closed_form.py`.

#![allow(dead_code, reason = "each test uses a part of it")]

pub(crate) mod weights;

use serde::Deserialize;

/// What a tensor is, which decides its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    /// He uniform: activations keep their size.
    Kernel {
        /// Numbers that go into one output.
        fan_in: usize,
    },
    Scale,
    Variance,
    Other,
}

/// What Python recorded of a tensor.
#[derive(Debug, Deserialize)]
pub(crate) struct Summary {
    /// Eight elements spread over it.
    at: [f64; 8],
    /// Its Euclidean norm.
    norm: f64,
    size: usize,
}

/// The finaliser of MurmurHash3.
fn mix(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x85EB_CA6B);
    x ^= x >> 13;
    x = x.wrapping_mul(0xC2B2_AE35);
    x ^ (x >> 16)
}

fn fnv1a(text: &str) -> u32 {
    text.bytes()
        .fold(0x811C_9DC5, |value: u32, byte| (value ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Numbers from -1 to 1, excluded.
pub(crate) fn uniform(name: &str, count: usize) -> impl Iterator<Item = f32> {
    let begin = fnv1a(name);
    (0..count).map(move |index| {
        let x = mix((index as u32).wrapping_mul(0x9E37_79B1).wrapping_add(begin));
        (f64::from(x) / f64::from(1u32 << 31) - 1.0) as f32
    })
}

/// The elements of the tensor called `name`, in its own memory order.
pub(crate) fn fill(name: &str, count: usize, what: Fill) -> Vec<f32> {
    let numbers = uniform(name, count);
    match what {
        Fill::Kernel { fan_in } => {
            let factor = (6.0 / fan_in as f64).sqrt() as f32;
            numbers.map(|u| u * factor).collect()
        }
        Fill::Scale => numbers.map(|u| 1.0 + u / 10.0).collect(),
        Fill::Variance => numbers.map(|u| 1.0 + u / 5.0).collect(),
        Fill::Other => numbers.map(|u| u / 10.0).collect(),
    }
}

/// `[count, side, side, 3]` from -1 to 1: what a network sees after preprocessing.
pub(crate) fn images(count: usize, side: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(count * side * side * 3);
    for n in 0..count {
        for y in 0..side {
            for x in 0..side {
                for c in 0..3 {
                    let value = (7 * x + 13 * y + 29 * c + 101 * n + (x * y) / 5) % 256;
                    values.push((value as f64 / 127.5 - 1.0) as f32);
                }
            }
        }
    }
    values
}

/// How far numbers are from what was recorded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Distance {
    /// The largest difference of an element, as a share of the typical one (`norm / sqrt(size)`).
    pub(crate) element: f64,
    /// The difference of the norms, as a share of the norm.
    pub(crate) norm: f64,
}

impl Summary {
    pub(crate) fn distance(&self, values: &[f64]) -> Distance {
        assert_eq!(values.len(), self.size);
        let norm = values.iter().map(|value| value.powi(2)).sum::<f64>().sqrt();
        let typical = self.norm / (self.size as f64).sqrt();
        let difference = |k: usize| (values[k * (values.len() - 1) / 7] - self.at[k]).abs();
        Distance {
            element: (0..8).map(difference).fold(0.0, f64::max) / typical,
            norm: (norm / self.norm - 1.0).abs(),
        }
    }
}
