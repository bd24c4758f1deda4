//! From pixels to a backbone's input.

use tch::{Device, Kind, TchError, Tensor};

/// How a backbone wants its input scaled: `(pixel - mean) / std`, per channel, with pixels from 0 to
/// 255.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preprocessing {
    /// Subtracted, in red, green, blue.
    pub mean: [f64; 3],
    /// Divided by, in red, green, blue.
    pub std: [f64; 3],
}

impl Preprocessing {
    /// Turns pixels `[images, height, width, 3]` of 8 bits into the input of a backbone on `device`,
    /// `[images, 3, height, width]` in 32-bit floats.
    ///
    /// Memory stays in the order of the pixels, which is PyTorch's `channels_last`: that saves a copy,
    /// and convolutions run no slower than with channels first.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn apply(&self, pixels: &Tensor, device: Device) -> Result<Tensor, TchError> {
        let constant = |values: [f64; 3]| {
            Tensor::f_from_slice(&values.map(|value| value as f32))?.f_to_device(device)
        };
        pixels
            .f_to_device(device)?
            .f_to_kind(Kind::Float)?
            .f_sub_(&constant(self.mean)?)?
            .f_div_(&constant(self.std)?)?
            .f_permute([0, 3, 1, 2])
    }
}
