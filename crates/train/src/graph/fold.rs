//! Folding normalisations into the convolutions before them.
//!
//! In inference a normalisation multiplies each channel with one number and adds another, and so does
//! a scaled residual: a convolution with another kernel and bias does all of it.
//! <https://arxiv.org/abs/1712.05877>, section 3.2.

use tch::{Kind, TchError, Tensor};

use super::Role;
use crate::weights::LayerWeights;

/// A convolution's weights, in 32-bit floats.
#[derive(Debug)]
pub(super) struct Folded {
    /// `[output, input / groups, height, width]`, in the memory order of the unfolded one.
    pub(super) kernel: Tensor,
    /// `[output]`.
    pub(super) bias: Tensor,
}

impl Folded {
    /// The weights of a convolution that gives `scale` times what `conv` and then `norm` give. A
    /// normalisation is its weights and its epsilon.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub(super) fn of(
        conv: &LayerWeights,
        norm: Option<(&LayerWeights, f64)>,
        scale: f64,
    ) -> Result<Self, TchError> {
        let double = |tensor: &Tensor| tensor.f_to_kind(Kind::Double);
        let Some(kernel) = conv.get(Role::Kernel) else {
            unreachable!("a convolution's weights were read with a kernel")
        };
        let mut factor =
            Tensor::f_full([kernel.size()[0]], scale, (Kind::Double, kernel.device()))?;
        let mut bias = match conv.get(Role::Bias) {
            Some(bias) => double(bias)?,
            None => factor.f_zeros_like()?,
        };
        let mut shift = None;
        if let Some((norm, epsilon)) = norm {
            let (Some(mean), Some(variance)) =
                (norm.get(Role::RunningMean), norm.get(Role::RunningVariance))
            else {
                unreachable!("a normalisation's weights were read with its statistics")
            };
            factor = factor.f_div(&double(variance)?.f_add_scalar(epsilon)?.f_sqrt()?)?;
            if let Some(gamma) = norm.get(Role::Scale) {
                factor = factor.f_mul(&double(gamma)?)?;
            }
            bias = bias.f_sub(&double(mean)?)?;
            shift = norm.get(Role::Shift);
        }
        bias = bias.f_mul(&factor)?;
        if let Some(shift) = shift {
            bias = bias.f_add(&double(shift)?.f_mul_scalar(scale)?)?;
        }
        let kernel = double(kernel)?.f_mul(&factor.f_reshape([-1, 1, 1, 1])?)?;
        Ok(Self { kernel: kernel.f_to_kind(Kind::Float)?, bias: bias.f_to_kind(Kind::Float)? })
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::weights::LayerWeights;

    #[test]
    fn a_folded_convolution_gives_what_the_two_layers_give() {
        tch::manual_seed(1);
        let draw = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu));
        let kernel = || (Role::Kernel, draw(&[4, 3, 3, 3]));
        let bias = || (Role::Bias, draw(&[4]));
        let norm = |scaled: bool| {
            let mut tensors = vec![
                (Role::Shift, draw(&[4])),
                (Role::RunningMean, draw(&[4])),
                (Role::RunningVariance, draw(&[4]).abs() + 0.01),
            ];
            if scaled {
                tensors.push((Role::Scale, draw(&[4])));
            }
            LayerWeights::from(tensors)
        };
        let input = draw(&[2, 3, 5, 5]);
        for (conv, norm, scale) in [
            (vec![kernel()], None, 1.0),
            (vec![kernel(), bias()], None, 0.17),
            (vec![kernel()], Some(norm(true)), 1.0),
            (vec![kernel(), bias()], Some(norm(true)), 0.1),
            (vec![kernel(), bias()], Some(norm(false)), 1.0),
        ] {
            let conv = LayerWeights::from(conv);
            let mut expected = input.conv2d(
                conv.get(Role::Kernel).unwrap(),
                conv.get(Role::Bias),
                [1],
                [0],
                [1],
                1,
            );
            if let Some(norm) = &norm {
                let of = |role| norm.get(role);
                let (mean, variance) = (of(Role::RunningMean), of(Role::RunningVariance));
                let (gamma, beta) = (of(Role::Scale), of(Role::Shift));
                expected =
                    expected.batch_norm(gamma, beta, mean, variance, false, 0.1, 1e-3, false);
            }
            let folded = Folded::of(&conv, norm.as_ref().map(|norm| (norm, 1e-3)), scale).unwrap();
            let got = input.conv2d(&folded.kernel, Some(&folded.bias), [1], [0], [1], 1);
            assert!(got.allclose(&(expected * scale), 1e-4, 1e-4, false), "{scale} {norm:?}");
        }
    }
}
