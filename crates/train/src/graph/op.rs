//! What layers compute.

use super::Layout;

/// What a layer computes, on tensors of shape `[images, channels, height, width]`.
#[derive(Debug, Clone)]
pub enum Op {
    /// The preprocessed image.
    Input,
    /// A convolution.
    Conv2d(Conv2d),
    /// A normalisation per channel.
    BatchNorm(BatchNorm),
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// The sum of its two inputs.
    Add,
    /// The first of its two inputs, plus `scale` times the second.
    AddScaled {
        /// The factor.
        scale: f64,
    },
    /// The channels of its inputs, one after the other.
    Concat,
    /// The largest of each `kernel` x `kernel` window.
    MaxPool {
        /// Side of the window.
        kernel: i64,
        /// Distance between windows.
        stride: i64,
    },
    /// The mean of the `kernel` x `kernel` window around each position; at the border, of what lies
    /// inside.
    AvgPool {
        /// Side of the window; odd.
        kernel: i64,
    },
    /// A border of zeros.
    ZeroPad(Padding),
}

/// A convolution.
#[derive(Debug, Clone)]
pub struct Conv2d {
    /// Channels read.
    pub input: i64,
    /// Channels made.
    pub output: i64,
    /// Height and width of the kernel.
    pub kernel: [i64; 2],
    /// Distance between positions.
    pub stride: i64,
    /// Zeros above and below, and zeros left and right; a border that is not the same on both sides is
    /// an [`Op::ZeroPad`] of its own.
    pub padding: [i64; 2],
    /// Groups of channels that do not see each other.
    pub groups: i64,
    /// Whether there is a bias per output channel.
    pub bias: bool,
    /// What its tensors' names begin with in PyTorch's files; in Keras's that is the layer's name.
    pub tensors: String,
}

/// A batch normalisation.
#[derive(Debug, Clone)]
pub struct BatchNorm {
    /// Channels.
    pub channels: i64,
    /// Added to the variance.
    pub epsilon: f64,
    /// Share of the running statistics that a training step keeps in the network as PyTorch has it;
    /// PyTorch itself calls one minus this its momentum. Keras's networks all keep 0.99.
    pub torch_momentum: f64,
    /// Whether Keras's has a factor (gamma); PyTorch's always has one.
    pub keras_scale: bool,
    /// What its tensors' names begin with in PyTorch's files; in Keras's that is the layer's name.
    pub tensors: String,
}

/// How wide a border is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// This many zeros on each side.
    Each(i64),
    /// TensorFlow's `SAME`: the output has `size / stride` positions, rounded up, and an odd zero goes
    /// to the right and bottom. <https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2>
    Same {
        /// Side of the kernel that follows.
        kernel: i64,
        /// Its stride.
        stride: i64,
    },
}

impl Op {
    /// The name of Keras's class of such layers.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Input => "InputLayer",
            Self::Conv2d(conv) if conv.groups > 1 => "DepthwiseConv2D",
            Self::Conv2d(_) => "Conv2D",
            Self::BatchNorm(_) => "BatchNormalization",
            Self::Relu | Self::Relu6 => "Activation",
            Self::Add => "Add",
            Self::AddScaled { .. } => "CustomScaleLayer",
            Self::Concat => "Concatenate",
            Self::MaxPool { .. } => "MaxPooling2D",
            Self::AvgPool { .. } => "AveragePooling2D",
            Self::ZeroPad(_) => "ZeroPadding2D",
        }
    }

    pub(super) fn has_parameters(&self) -> bool {
        matches!(self, Self::Conv2d(_) | Self::BatchNorm(_))
    }
}

impl BatchNorm {
    /// Share of the running statistics that a training step keeps, with weights in that layout.
    pub(super) fn momentum(&self, layout: Layout) -> f64 {
        match layout {
            Layout::Torch => self.torch_momentum,
            Layout::Keras => 0.99,
        }
    }

    /// Whether weights in that layout have a factor.
    pub(super) fn is_scaled(&self, layout: Layout) -> bool {
        self.keras_scale || layout == Layout::Torch
    }
}

impl Padding {
    /// Zeros before and after, for an axis of `size` positions.
    pub fn around(self, size: i64) -> (i64, i64) {
        match self {
            Self::Each(zeros) => (zeros, zeros),
            Self::Same { kernel, stride } => {
                let positions = (size + stride - 1) / stride;
                let zeros = ((positions - 1) * stride + kernel - size).max(0);
                (zeros / 2, zeros - zeros / 2)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_is_tensorflows() {
        for (kernel, stride, size, around) in [
            (3, 2, 224, (0, 1)),
            (3, 2, 225, (1, 1)),
            (5, 2, 56, (1, 2)),
            (5, 2, 57, (2, 2)),
            (5, 1, 7, (2, 2)),
            (1, 2, 8, (0, 0)),
        ] {
            assert_eq!(Padding::Same { kernel, stride }.around(size), around);
        }
        assert_eq!(Padding::Each(3).around(10), (3, 3));
    }
}
