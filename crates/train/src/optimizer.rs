//! How gradients become steps.
//!
//! All tensors are changed in place and nothing is read back from the device: a step costs no
//! synchronisation.

mod adam;
mod rmsprop;
mod sgd;

use spec::config::Optimizer as Settings;
use tch::{Device, Kind, TchError, Tensor};

/// An optimiser with its memory of earlier steps.
#[derive(Debug)]
pub struct Optimizer {
    settings: Settings,
    /// What is kept of each parameter, in the order of the parameters.
    kept: Vec<[Tensor; 2]>,
    steps: i32,
    /// The same number, where the parameters lie.
    number: Tensor,
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
        // Laid in memory as the parameter is: in another order each step would jump about in it.
        let zeros = |of: &Tensor, wanted: bool| match wanted {
            true => of.f_zeros_like()?.f_set_requires_grad(false),
            false => Tensor::f_zeros([0], (Kind::Float, of.device())),
        };
        let kept = parameters
            .iter()
            .map(|parameter| Ok([zeros(parameter, first)?, zeros(parameter, second)?]))
            .collect::<Result<_, TchError>>()?;
        let device = parameters.first().map_or(Device::Cpu, Tensor::device);
        let number = Tensor::f_zeros([], (Kind::Float, device))?;
        Ok(Self { settings, kept, steps: 0, number })
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
    ///
    /// # Errors
    /// What libtorch says.
    pub fn set_steps(&mut self, steps: i32) -> Result<(), TchError> {
        self.steps = steps;
        self.number.f_fill_(f64::from(steps)).map(drop)
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
        self.set_steps(self.steps.saturating_add(1))?;
        if let Settings::Adamw { weight_decay, .. } = self.settings {
            for parameter in &mut *parameters {
                let _ = parameter.f_mul_scalar_(1.0 - weight_decay * learning_rate)?;
            }
        }
        match self.settings {
            Settings::Adam(adam) | Settings::Adamw { adam, .. } => {
                let number = (self.steps, &self.number);
                adam::step(adam, number, learning_rate, parameters, gradients, &self.kept)
            }
            Settings::Sgd { momentum, nesterov, convention } => {
                let rule = sgd::Rule { momentum, nesterov, convention };
                self.each(parameters, gradients, |parameter, gradient, kept| {
                    rule.step(parameter, gradient, kept, learning_rate)
                })
            }
            Settings::Rmsprop { rho, epsilon, convention } => {
                let rule = rmsprop::Rule { rho, epsilon, convention };
                self.each(parameters, gradients, |parameter, gradient, kept| {
                    rule.step(parameter, gradient, kept, learning_rate)
                })
            }
        }
    }

    /// Changes each parameter along its gradient, given the first of what is kept of it.
    fn each(
        &mut self,
        parameters: &mut [Tensor],
        gradients: &[Tensor],
        step: impl Fn(&mut Tensor, &Tensor, &mut Tensor) -> Result<(), TchError>,
    ) -> Result<(), TchError> {
        let kept = self.kept.iter_mut().map(|[first, _]| first);
        parameters
            .iter_mut()
            .zip(gradients)
            .zip(kept)
            .try_for_each(|((parameter, gradient), kept)| step(parameter, gradient, kept))
    }
}
