//! Colour between the eye (sRGB) and the light (linear).

use std::sync::LazyLock;

use glam::Vec3;

/// Linear light of an sRGB colour written as `0xRRGGBB`.
pub(crate) fn srgb(hex: u32) -> Vec3 {
    let byte = |shift: u32| LINEAR[(hex >> shift & 0xff) as usize];
    Vec3::new(byte(16), byte(8), byte(0))
}

/// Linear light per sRGB byte.
pub(crate) static LINEAR: LazyLock<[f32; 256]> = LazyLock::new(|| {
    std::array::from_fn(|byte| {
        let x = byte as f32 / 255.0;
        if x <= 0.04045 { x / 12.92 } else { power((x + 0.055) / 1.055, 2.4) }
    })
});

/// The sRGB value, in 0..255, of linear light in 0..1 (clamped); a table of 4096 steps of the
/// square root, which spaces them about evenly to the eye.
pub(crate) fn encode(linear: f32) -> f32 {
    static STEPS: LazyLock<Vec<f32>> = LazyLock::new(|| {
        (0..=4096)
            .map(|i| {
                let root = i as f32 / 4096.0;
                let x = root * root;
                255.0
                    * if x <= 0.003_130_8 { 12.92 * x } else { 1.055 * power(x, 1.0 / 2.4) - 0.055 }
            })
            .collect()
    });
    STEPS[(linear.clamp(0.0, 1.0).sqrt() * 4096.0 + 0.5) as usize]
}

/// `x^exponent` through glam, which is set to compute it the same way on every machine.
pub(crate) fn power(x: f32, exponent: f32) -> f32 {
    Vec3::splat(x).powf(exponent).x
}

/// Brightness of linear light (Rec. 709 weights).
pub(crate) fn luminance(c: Vec3) -> f32 {
    c.dot(Vec3::new(0.2126, 0.7152, 0.0722))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_undoes_decoding() {
        for byte in 0..=255u32 {
            let linear = srgb(byte << 16 | byte << 8 | byte).x;
            assert!((encode(linear) - byte as f32).abs() < 0.5, "byte {byte}");
        }
    }
}
