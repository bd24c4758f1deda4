//! Stochastic gradient descent, with momentum where one is wanted.

use spec::config::Convention;
use tch::{TchError, Tensor};

/// Keras, <https://github.com/keras-team/keras/blob/master/keras/src/optimizers/sgd.py>, keeps steps:
/// `kept = momentum x kept - rate x gradient`. PyTorch,
/// <https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html>, keeps gradients:
/// `kept = momentum x kept + gradient`. They part only when the learning rate changes.
pub(super) struct Rule {
    pub(super) momentum: f64,
    pub(super) nesterov: bool,
    pub(super) convention: Convention,
}

impl Rule {
    pub(super) fn step(
        &self,
        parameter: &mut Tensor,
        gradient: &Tensor,
        kept: &mut Tensor,
        learning_rate: f64,
    ) -> Result<(), TchError> {
        let add = |to: &mut Tensor, what: &Tensor, times: f64| {
            to.f_add_(&what.f_mul_scalar(times)?).map(|_| ())
        };
        if self.momentum == 0.0 {
            return add(parameter, gradient, -learning_rate);
        }
        // What of a gradient is kept, and what of the kept is a step.
        let (taken, stepped) = match self.convention {
            Convention::Keras => (-learning_rate, 1.0),
            Convention::Torch => (1.0, -learning_rate),
        };
        let _ = kept.f_mul_scalar_(self.momentum)?;
        add(kept, gradient, taken)?;
        if self.nesterov {
            add(parameter, kept, self.momentum * stepped)?;
            add(parameter, gradient, -learning_rate)
        } else {
            add(parameter, kept, stepped)
        }
    }
}
