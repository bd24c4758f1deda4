//! Batch normalisation, in Keras and in PyTorch.
//!
//! Both normalise alike. In training they move the running variance differently: PyTorch towards the
//! unbiased estimate (the sum of squares over `n - 1` values), Keras 3 towards the variance of the batch
//! itself (over `n`).
//! <https://github.com/pytorch/pytorch/blob/main/aten/src/ATen/native/Normalization.cpp>,
//! <https://github.com/keras-team/keras/blob/master/keras/src/layers/normalization/batch_normalization.py>

use tch::{TchError, Tensor};

use super::{BatchNorm, Layout, Role};
use crate::weights::LayerWeights;

/// Normalises `x`, `[images, channels, height, width]`: by its own statistics when `training`, towards
/// which the running ones then move, else by the running ones.
///
/// # Errors
/// In training with PyTorch's layout, when there is one value per channel, which PyTorch refuses too.
/// Else what libtorch says.
pub(super) fn apply(
    norm: &BatchNorm,
    weights: &LayerWeights,
    layout: Layout,
    x: &Tensor,
    training: bool,
) -> Result<Tensor, TchError> {
    let kept = norm.momentum(layout);
    let normalise = |variance| {
        x.f_batch_norm(
            weights.get(Role::Scale),
            weights.get(Role::Shift),
            weights.get(Role::RunningMean),
            variance,
            training,
            1.0 - kept,
            norm.epsilon,
            true,
        )
    };
    let Some(variance) = weights.get(Role::RunningVariance).filter(|_| training) else {
        return normalise(weights.get(Role::RunningVariance));
    };
    let values = x.numel() as i64 / norm.channels;
    match layout {
        Layout::Torch if values < 2 => Err(TchError::Torch(
            "a batch of one image leaves one value per channel, which has no variance: use larger \
             images, or a batch_size that leaves no image by itself"
                .to_owned(),
        )),
        Layout::Torch => normalise(Some(variance)),
        Layout::Keras => {
            // Another tensor, since differentiation wants the one that libtorch has seen unchanged.
            let unbiased = variance.f_detach_copy()?;
            let normalised = normalise(Some(&unbiased))?;
            let mut variance = variance.shallow_clone().f_mul_scalar_(kept)?;
            if values > 1 {
                // What libtorch has added to the share that is kept, as if over one value more.
                let _ = variance.f_lerp_(&unbiased, 1.0 - 1.0 / values as f64)?;
            }
            Ok(normalised)
        }
    }
}
