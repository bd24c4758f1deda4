//! From pixels to a backbone's input.

use serde::Serialize;
use spec::config;
use tch::{Device, Kind, TchError, Tensor};

use crate::native::send;

/// How a backbone wants its input scaled: `(pixel - mean) / std`, per channel, with pixels from 0 to
/// 255.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Preprocessing {
    /// The order in which the backbone reads the channels.
    pub channels: Channels,
    /// Subtracted, in that order.
    pub mean: [f64; 3],
    /// Divided by, in that order.
    pub std: [f64; 3],
}

/// An order of the three channels of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Channels {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

impl Preprocessing {
    /// The one that is asked for, for that network.
    pub fn asked(preprocessing: config::Preprocessing, backbone: config::Backbone) -> Self {
        match preprocessing {
            config::Preprocessing::Auto => Self::of(backbone),
            config::Preprocessing::Caffe => Self::CAFFE,
            config::Preprocessing::Tf => Self::TF,
            config::Preprocessing::Torch => Self::TORCH,
            config::Preprocessing::Lite => Self::LITE,
        }
    }

    /// What the weights of that network were trained with.
    pub fn of(backbone: config::Backbone) -> Self {
        match backbone {
            config::Backbone::EfficientnetLite0 => Self::LITE,
            config::Backbone::Resnet18
            | config::Backbone::Resnet34
            | config::Backbone::Resnet50 => Self::TORCH,
            config::Backbone::Resnet50Keras => Self::CAFFE,
            config::Backbone::InceptionResnetV2 => Self::TF,
        }
    }

    /// EfficientNet-Lite's: `MEAN_RGB` and `STDDEV_RGB` of
    /// <https://github.com/tensorflow/tpu/blob/master/models/official/efficientnet/lite/efficientnet_lite_builder.py>.
    pub const LITE: Self = Self { channels: Channels::Rgb, mean: [127.0; 3], std: [128.0; 3] };

    /// The mean and standard deviation of ImageNet that torchvision's weights were trained with,
    /// <https://docs.pytorch.org/vision/stable/models.html>; Keras's mode `torch`.
    pub const TORCH: Self = Self {
        channels: Channels::Rgb,
        mean: [0.485 * 255.0, 0.456 * 255.0, 0.406 * 255.0],
        std: [0.229 * 255.0, 0.224 * 255.0, 0.225 * 255.0],
    };

    /// Blue first and without the mean of ImageNet: Keras's mode `caffe`,
    /// <https://github.com/keras-team/keras/blob/master/keras/src/applications/imagenet_utils.py>.
    pub const CAFFE: Self =
        Self { channels: Channels::Bgr, mean: [103.939, 116.779, 123.68], std: [1.0; 3] };

    /// From -1 to 1: Keras's mode `tf`.
    pub const TF: Self = Self { channels: Channels::Rgb, mean: [127.5; 3], std: [127.5; 3] };

    /// Turns pixels `[images, height, width, 3]` from 0 to 255, red first, into the input of a backbone on
    /// `device`, `[images, 3, height, width]` in 32-bit floats.
    ///
    /// Memory stays in the order of the pixels, which is PyTorch's `channels_last`: that saves a copy,
    /// and convolutions run no slower than with channels first.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn apply(&self, pixels: &Tensor, device: Device) -> Result<Tensor, TchError> {
        let constant = |values: [f64; 3]| {
            send(&Tensor::f_from_slice(&values.map(|value| value as f32))?, device)
        };
        let pixels = send(pixels, device)?.f_to_kind(Kind::Float)?;
        let ordered = match self.channels {
            Channels::Rgb => pixels,
            Channels::Bgr => pixels.f_flip([-1])?,
        };
        // The first step makes a copy: floats on the device are still the caller's.
        ordered.f_sub(&constant(self.mean)?)?.f_div_(&constant(self.std)?)?.f_permute([0, 3, 1, 2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_kerass() {
        let text = include_str!("../tests/parity/keras_preprocess.json");
        let recorded: serde_json::Value = serde_json::from_str(text).unwrap();
        let pixels: Vec<Vec<[u8; 3]>> = serde_json::from_value(recorded["pixels"].clone()).unwrap();
        let shape = [1, pixels.len() as i64, pixels[0].len() as i64, 3];
        let pixels = pixels.concat().concat();
        let pixels = Tensor::from_slice(&pixels).reshape(shape);
        let modes = recorded["modes"].as_object().unwrap();
        assert_eq!(modes.len(), 3);
        for (mode, expected) in modes {
            let mode: config::Preprocessing = serde_json::from_value(mode.as_str().into()).unwrap();
            let asked = Preprocessing::asked(mode, config::Backbone::EfficientnetLite0);
            let made = asked.apply(&pixels, Device::Cpu).unwrap().permute([0, 2, 3, 1]);
            let expected: Vec<f32> = serde_json::from_value(expected.clone()).unwrap();
            let expected = Tensor::from_slice(&expected).reshape(shape);
            assert!(made.allclose(&expected, 1e-6, 1e-5, false), "{mode:?}: {made:?}");
        }
    }

    #[test]
    fn auto_is_what_the_weights_were_trained_with() {
        for (backbone, own) in [
            (config::Backbone::EfficientnetLite0, config::Preprocessing::Lite),
            (config::Backbone::Resnet50, config::Preprocessing::Torch),
            (config::Backbone::Resnet50Keras, config::Preprocessing::Caffe),
            (config::Backbone::InceptionResnetV2, config::Preprocessing::Tf),
        ] {
            let of = |asked| Preprocessing::asked(asked, backbone);
            assert_eq!(of(config::Preprocessing::Auto), of(own), "{backbone:?}");
        }
    }
}
