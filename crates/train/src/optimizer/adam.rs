//! Adam, after Kingma and Ba 2014, <https://arxiv.org/abs/1412.6980>.

use spec::config::{Adam, Convention};
use tch::{TchError, Tensor};

/// The numbers of one step.
///
/// Keras, <https://github.com/keras-team/keras/blob/master/keras/src/optimizers/adam.py>, follows the
/// formula before the paper's section 2.1: the bias correction goes into the step size, and epsilon is
/// added to the uncorrected root. PyTorch, <https://docs.pytorch.org/docs/stable/generated/torch.optim.Adam.html>,
/// follows the paper's algorithm 1: epsilon is added to the corrected root. As corrected root plus
/// epsilon is (root + epsilon x correction) / correction, only epsilon differs.
pub(super) struct Rates {
    adam: Adam,
    alpha: f64,
    epsilon: f64,
}

impl Rates {
    /// Of the step with this number, from 1.
    pub(super) fn at(adam: Adam, step: i32, learning_rate: f64) -> Self {
        let correction = (1.0 - adam.beta_2.powi(step)).sqrt();
        let alpha = learning_rate * correction / (1.0 - adam.beta_1.powi(step));
        let epsilon = match adam.convention {
            Convention::Keras => adam.epsilon,
            Convention::Torch => adam.epsilon * correction,
        };
        Self { adam, alpha, epsilon }
    }

    pub(super) fn step(
        &self,
        parameter: &mut Tensor,
        gradient: &Tensor,
        first: &mut Tensor,
        second: &mut Tensor,
    ) -> Result<(), TchError> {
        let _ = first.f_lerp_(gradient, 1.0 - self.adam.beta_1)?;
        let _ = second.f_lerp_(&gradient.f_square()?, 1.0 - self.adam.beta_2)?;
        let root = second.f_sqrt()?.f_add_scalar_(self.epsilon)?;
        let _ = parameter.f_addcdiv_(&first.f_mul_scalar(-self.alpha)?, &root)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Optimizer;
    use super::*;

    /// Where a step from 0 along one gradient ends.
    fn stepped(convention: Convention, gradient: f32) -> f64 {
        let epsilon = 1e-7;
        let adam = Adam { beta_1: 0.9, beta_2: 0.999, epsilon, convention };
        let mut parameters = [Tensor::from_slice(&[0f32])];
        let mut adam = Optimizer::new(spec::config::Optimizer::Adam(adam), &parameters).unwrap();
        adam.step(&mut parameters, &[Tensor::from_slice(&[gradient])], 0.1).unwrap();
        parameters[0].double_value(&[0])
    }

    #[test]
    fn conventions_differ_for_gradients_near_epsilon() {
        assert!((stepped(Convention::Keras, 1.0) + 0.1).abs() < 1e-6);
        assert!((stepped(Convention::Torch, 1.0) + 0.1).abs() < 1e-6);
        // Keras: 0.1 x sqrt(0.001) x g / (sqrt(0.001) x g + epsilon) for a gradient g.
        let (root, gradient) = (0.001f64.sqrt(), 1e-7);
        let keras = -0.1 * root * gradient / (root * gradient + 1e-7);
        assert!((stepped(Convention::Keras, 1e-7) - keras).abs() < 1e-6);
        assert!((stepped(Convention::Torch, 1e-7) + 0.05).abs() < 1e-6);
    }
}
