//! Convolutions with what follows them, as one pass over memory.

use std::cell::OnceCell;

use tch::{Kind, TchError, Tensor};

use super::fold::Folded;
use crate::native;

pub use crate::native::Geometry;

/// What a convolution's sums go through last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    Linear,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
}

/// A convolution with a bias, an addend where it has one, and an activation.
#[derive(Debug)]
pub(super) struct FusedConvolution {
    geometry: Geometry,
    activation: Activation,
    kernel: Tensor,
    /// The kernel in oneDNN's order, which it chooses when it first sees an input.
    packed: OnceCell<Tensor>,
    bias: Tensor,
}

/// What is added to a convolution's sums.
#[derive(Debug)]
pub(super) struct Addend {
    /// Of the result's shape.
    pub(super) tensor: Tensor,
    /// Nobody reads it again: its memory may hold the result.
    pub(super) reusable: bool,
}

impl FusedConvolution {
    /// A convolution that computes in `kind`.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub(super) fn new(
        geometry: Geometry,
        activation: Activation,
        folded: &Folded,
        kind: Kind,
    ) -> Result<Self, TchError> {
        Ok(Self {
            geometry,
            activation,
            kernel: folded.kernel.f_to_kind(kind)?,
            packed: OnceCell::new(),
            bias: folded.bias.f_to_kind(kind)?,
        })
    }

    /// `activation(kernel * input + bias + addend)`.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub(super) fn apply(&self, input: &Tensor, addend: Option<Addend>) -> Result<Tensor, TchError> {
        if input.device().is_cuda() {
            return self.apply_unfused(input, addend);
        }
        let packed = match self.packed.get() {
            Some(packed) => packed,
            None => {
                let packed = native::pack(&self.kernel, &self.geometry, input)?;
                self.packed.get_or_init(|| packed)
            }
        };
        match addend {
            None => self.convolve(packed, input),
            Some(addend) => self.convolve_add(packed, input, addend),
        }
    }

    /// The same where oneDNN is not to be had, one operation after the other.
    fn apply_unfused(&self, input: &Tensor, addend: Option<Addend>) -> Result<Tensor, TchError> {
        let Geometry { stride, padding, groups } = self.geometry;
        let bias = Some(&self.bias);
        let mut sum = input.f_conv2d(&self.kernel, bias, [stride], padding, [1], groups)?;
        if let Some(addend) = addend {
            sum = sum.f_add_(&addend.tensor)?;
        }
        match self.activation {
            Activation::Linear => Ok(sum),
            Activation::Relu => sum.f_relu_(),
            Activation::Relu6 => sum.f_clamp_(0.0, 6.0),
        }
    }

    fn convolve(&self, packed: &Tensor, input: &Tensor) -> Result<Tensor, TchError> {
        let activation = match self.activation {
            Activation::Linear => c"none",
            Activation::Relu => c"relu",
            Activation::Relu6 => c"hardtanh",
        };
        native::convolve(input, packed, &self.bias, &self.geometry, activation, 6.0)
    }

    fn convolve_add(
        &self,
        packed: &Tensor,
        input: &Tensor,
        addend: Addend,
    ) -> Result<Tensor, TchError> {
        let activation = match self.activation {
            Activation::Linear => None,
            Activation::Relu => Some(c"relu"),
            Activation::Relu6 => unreachable!("no ReLU6 is fused with an addition"),
        };
        let Addend { tensor, reusable } = addend;
        native::convolve_add(
            input,
            packed,
            &self.bias,
            (tensor, reusable),
            &self.geometry,
            activation,
        )
    }
}
