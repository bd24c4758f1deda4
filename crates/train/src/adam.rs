//! The optimiser.

use tch::{Kind, TchError, Tensor};

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-7;

/// Adam as Keras computes it: the bias correction goes into the step size, and epsilon is added to the
/// uncorrected root. <https://github.com/keras-team/keras/blob/master/keras/src/optimizers/adam.py>,
/// after Kingma and Ba 2014, <https://arxiv.org/abs/1412.6980>, the formula before section 2.1.
#[derive(Debug)]
pub struct Adam {
    moments: Vec<Moments>,
    steps: i32,
}

/// Running means of a parameter's gradient and of its square.
#[derive(Debug)]
struct Moments {
    first: Tensor,
    second: Tensor,
}

impl Adam {
    /// An optimiser of `parameters`, before its first step.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn new(parameters: &[Tensor]) -> Result<Self, TchError> {
        let zeros = |of: &Tensor| Tensor::f_zeros(of.size(), (Kind::Float, of.device()));
        let moments = parameters
            .iter()
            .map(|parameter| Ok(Moments { first: zeros(parameter)?, second: zeros(parameter)? }))
            .collect::<Result<_, TchError>>()?;
        Ok(Self { moments, steps: 0 })
    }

    /// Changes the parameters, in the order given to [`Self::new`], along their gradients. Nothing is
    /// read back from the device.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn step(
        &mut self,
        parameters: &mut [Tensor],
        gradients: &[Tensor],
        learning_rate: f64,
    ) -> Result<(), TchError> {
        self.steps += 1;
        let alpha = learning_rate * (1.0 - BETA_2.powi(self.steps)).sqrt()
            / (1.0 - BETA_1.powi(self.steps));
        for ((parameter, gradient), Moments { first, second }) in
            parameters.iter_mut().zip(gradients).zip(&mut self.moments)
        {
            let _ = first.f_lerp_(gradient, 1.0 - BETA_1)?;
            let _ = second.f_lerp_(&gradient.f_square()?, 1.0 - BETA_2)?;
            let root = second.f_sqrt()?.f_add_scalar_(EPSILON)?;
            let _ = parameter.f_addcdiv_(&first.f_mul_scalar(-alpha)?, &root)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same formula on plain numbers.
    fn by_hand(mut value: f64, gradients: &[f64], learning_rate: f64) -> f64 {
        let (mut first, mut second) = (0.0, 0.0);
        for (gradient, step) in gradients.iter().zip(1..) {
            first = BETA_1 * first + (1.0 - BETA_1) * gradient;
            second = BETA_2 * second + (1.0 - BETA_2) * gradient * gradient;
            let alpha =
                learning_rate * (1.0 - BETA_2.powi(step)).sqrt() / (1.0 - BETA_1.powi(step));
            value -= alpha * first / (second.sqrt() + EPSILON);
        }
        value
    }

    #[test]
    fn steps_are_keras_s() {
        let gradients = [0.5, -2.0, 1e-6, 3.0];
        let mut parameters = [Tensor::from_slice(&[1f32])];
        let mut adam = Adam::new(&parameters).unwrap();
        for gradient in gradients {
            let gradient = [Tensor::from_slice(&[gradient as f32])];
            adam.step(&mut parameters, &gradient, 0.1).unwrap();
        }
        let expected = by_hand(1.0, &gradients, 0.1);
        assert!((parameters[0].double_value(&[0]) - expected).abs() < 1e-6);

        // Keras 3: a gradient far below epsilon moves nothing much; PyTorch's formula would move by 0.1.
        let tiny = by_hand(0.0, &[1e-9], 0.1);
        let mut parameters = [Tensor::from_slice(&[0f32])];
        let mut adam = Adam::new(&parameters).unwrap();
        adam.step(&mut parameters, &[Tensor::from_slice(&[1e-9f32])], 0.1).unwrap();
        assert!((parameters[0].double_value(&[0]) - tiny).abs() < 1e-7 && tiny.abs() < 1e-3);
    }
}
