//! Adam, after Kingma and Ba 2014, <https://arxiv.org/abs/1412.6980>.

use spec::config::{Adam, Convention};
use tch::{TchError, Tensor};

use crate::native::{self, AdamStep, Moments};

/// Takes the step with the number `steps`, from 1, in the same number on the device.
///
/// Keras, <https://github.com/keras-team/keras/blob/master/keras/src/optimizers/adam.py>, follows the
/// formula before the paper's section 2.1: the bias correction goes into the step size, and epsilon is
/// added to the uncorrected root. PyTorch, <https://docs.pytorch.org/docs/stable/generated/torch.optim.Adam.html>,
/// follows the paper's algorithm 1: epsilon is added to the corrected root. As corrected root plus
/// epsilon is (root + epsilon x correction) / correction, only epsilon differs. libtorch's operator is
/// PyTorch's.
///
/// # Errors
/// What libtorch says, such as that memory ran out.
pub(super) fn step(
    adam: Adam,
    (steps, number): (i32, &Tensor),
    learning_rate: f64,
    parameters: &mut [Tensor],
    gradients: &[Tensor],
    kept: &[[Tensor; 2]],
) -> Result<(), TchError> {
    let epsilon = match adam.convention {
        Convention::Keras => adam.epsilon / (1.0 - adam.beta_2.powi(steps)).sqrt(),
        Convention::Torch => adam.epsilon,
    };
    let [first, second]: [Vec<&Tensor>; 2] =
        [0, 1].map(|moment| kept.iter().map(|moments| &moments[moment]).collect());
    let moments = Moments { first: &first, second: &second };
    let betas = [adam.beta_1, adam.beta_2];
    native::adam(parameters, gradients, moments, AdamStep { number, learning_rate, betas, epsilon })
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

    /// Parameters and gradients of a convolution come in the order in which images lie, or in another.
    #[test]
    fn a_step_is_the_same_in_whatever_order_memory_is_laid() {
        let values = |seed: f64, shape: [i64; 4]| {
            let count = shape.iter().product::<i64>();
            (Tensor::arange(count, (tch::Kind::Float, tch::Device::Cpu)) * seed)
                .sin()
                .reshape(shape)
        };
        let shape = [3, 4, 2, 5];
        let channels_last =
            |tensor: &Tensor| tensor.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
        let stepped = |parameter: Tensor, gradients: [Tensor; 2]| {
            let mut parameters = [parameter];
            let adam = spec::config::Optimizer::default();
            let mut adam = Optimizer::new(adam, &parameters).unwrap();
            for gradient in gradients {
                adam.step(&mut parameters, &[gradient], 0.1).unwrap();
            }
            let [parameter] = parameters;
            parameter
        };
        let (start, along) = (values(0.7, shape), [values(1.3, shape), values(2.9, shape)]);
        let expected = stepped(start.copy(), along.each_ref().map(Tensor::copy));
        assert_ne!(expected, start);
        let laid = stepped(channels_last(&start), along.each_ref().map(channels_last));
        assert_eq!(laid, expected);
        let mixed = stepped(channels_last(&start), along.each_ref().map(Tensor::copy));
        assert_eq!(mixed, expected);
    }
}
