//! RMSprop, after Tieleman and Hinton 2012.

use spec::config::Convention;
use tch::{TchError, Tensor};

/// Keras, <https://github.com/keras-team/keras/blob/master/keras/src/optimizers/rmsprop.py>, adds
/// epsilon under the root, PyTorch,
/// <https://docs.pytorch.org/docs/stable/generated/torch.optim.RMSprop.html>, beside it.
pub(super) struct Rule {
    pub(super) rho: f64,
    pub(super) epsilon: f64,
    pub(super) convention: Convention,
}

impl Rule {
    pub(super) fn step(
        &self,
        parameter: &mut Tensor,
        gradient: &Tensor,
        mean_square: &mut Tensor,
        learning_rate: f64,
    ) -> Result<(), TchError> {
        let _ = mean_square.f_lerp_(&gradient.f_square()?, 1.0 - self.rho)?;
        let root = match self.convention {
            Convention::Keras => mean_square.f_add_scalar(self.epsilon)?.f_sqrt_()?,
            Convention::Torch => mean_square.f_sqrt()?.f_add_scalar_(self.epsilon)?,
        };
        let _ = parameter.f_addcdiv_(&gradient.f_mul_scalar(-learning_rate)?, &root)?;
        Ok(())
    }
}
