//! How gradients become steps.
//!
//! All tensors are changed in place and nothing is read back from the device: a step costs no
//! synchronisation.

mod adam;
mod rmsprop;
mod sgd;

use spec::config::Optimizer as Settings;
use tch::{Kind, TchError, Tensor};

/// An optimiser with its memory of earlier steps.
#[derive(Debug)]
pub struct Optimizer {
    settings: Settings,
    /// What is kept of each parameter, in the order of the parameters.
    kept: Vec<[Tensor; 2]>,
    steps: i32,
}

impl Optimizer {
    /// An optimiser of `parameters`, before its first step.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn new(settings: Settings, parameters: &[Tensor]) -> Result<Self, TchError> {
        let [first, second] = match settings {
            Settings::Adam(_) | Settings::Adamw { .. } => [true, true],
            Settings::Rmsprop { .. } => [true, false],
            Settings::Sgd { momentum, .. } => [momentum != 0.0, false],
        };
        let zeros = |of: &Tensor, wanted: bool| {
            let size = if wanted { of.size() } else { vec![0] };
            Tensor::f_zeros(size, (Kind::Float, of.device()))
        };
        let kept = parameters
            .iter()
            .map(|parameter| Ok([zeros(parameter, first)?, zeros(parameter, second)?]))
            .collect::<Result<_, TchError>>()?;
        Ok(Self { settings, kept, steps: 0 })
    }

    /// What is kept of each parameter, one after the other.
    pub fn memory(&self) -> impl Iterator<Item = &Tensor> {
        self.kept.iter().flatten()
    }

    /// Steps taken.
    pub fn steps(&self) -> i32 {
        self.steps
    }

    /// Goes on after so many steps.
    pub fn set_steps(&mut self, steps: i32) {
        self.steps = steps;
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
        self.steps = self.steps.saturating_add(1);
        for ((parameter, gradient), [first, second]) in
            parameters.iter_mut().zip(gradients).zip(&mut self.kept)
        {
            match self.settings {
                Settings::Adam(adam) => {
                    let rates = adam::Rates::at(adam, self.steps, learning_rate);
                    rates.step(parameter, gradient, first, second)?;
                }
                Settings::Adamw { adam, weight_decay } => {
                    let _ = parameter.f_mul_scalar_(1.0 - weight_decay * learning_rate)?;
                    let rates = adam::Rates::at(adam, self.steps, learning_rate);
                    rates.step(parameter, gradient, first, second)?;
                }
                Settings::Sgd { momentum, nesterov, convention } => {
                    let rule = sgd::Rule { momentum, nesterov, convention };
                    rule.step(parameter, gradient, first, learning_rate)?;
                }
                Settings::Rmsprop { rho, epsilon, convention } => {
                    let rule = rmsprop::Rule { rho, epsilon, convention };
                    rule.step(parameter, gradient, first, learning_rate)?;
                }
            }
        }
        Ok(())
    }
}
