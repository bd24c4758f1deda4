//! How gradients become steps, number by number.
//!
//! The same formulas as in [`crate::optimizer`], where their sources stand.

use spec::config::{Adam, Convention, Optimizer};

use super::vector::{Tile, VECTORS, Vector, each_vector};

/// One step of an optimiser: what happens to each parameter.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    Adam {
        kept: f32,
        take_1: f32,
        take_2: f32,
        alpha: f32,
        epsilon: f32,
    },
    Sgd {
        rate: f32,
    },
    /// What of the kept is kept, what of a gradient is taken, what of the kept is a step, and what of
    /// the gradient itself is.
    Momentum {
        momentum: f32,
        taken: f32,
        stepped: f32,
        at_once: f32,
    },
    Rmsprop {
        take: f32,
        rate: f32,
        epsilon: f32,
        under_root: bool,
    },
}

/// Parameters and what the optimiser keeps of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameters {
    pub(super) values: Tile,
    first: Tile,
    second: Tile,
}

impl Parameters {
    /// Nothing but 0, before the first step.
    pub(super) const ZERO: Self = {
        let zero = [Vector::ZERO; VECTORS];
        Self { values: zero, first: zero, second: zero }
    };
}

impl Rule {
    /// Of the step with this number, from 1.
    pub(super) fn at(optimizer: Optimizer, step: i32, rate: f64) -> Self {
        match optimizer {
            Optimizer::Adam(adam) => Self::adam(adam, 1.0, step, rate),
            Optimizer::Adamw { adam, weight_decay } => {
                Self::adam(adam, 1.0 - weight_decay * rate, step, rate)
            }
            Optimizer::Sgd { momentum: 0.0, .. } => Self::Sgd { rate: rate as f32 },
            Optimizer::Sgd { momentum, nesterov, convention } => {
                let (taken, stepped) = match convention {
                    Convention::Keras => (-rate, 1.0),
                    Convention::Torch => (1.0, -rate),
                };
                let (stepped, at_once) =
                    if nesterov { (momentum * stepped, -rate) } else { (stepped, 0.0) };
                Self::Momentum {
                    momentum: momentum as f32,
                    taken: taken as f32,
                    stepped: stepped as f32,
                    at_once: at_once as f32,
                }
            }
            Optimizer::Rmsprop { rho, epsilon, convention } => Self::Rmsprop {
                take: (1.0 - rho) as f32,
                rate: rate as f32,
                epsilon: epsilon as f32,
                under_root: convention == Convention::Keras,
            },
        }
    }

    fn adam(adam: Adam, kept: f64, step: i32, rate: f64) -> Self {
        let correction = (1.0 - adam.beta_2.powi(step)).sqrt();
        let epsilon = match adam.convention {
            Convention::Keras => adam.epsilon,
            Convention::Torch => adam.epsilon * correction,
        };
        Self::Adam {
            kept: kept as f32,
            take_1: (1.0 - adam.beta_1) as f32,
            take_2: (1.0 - adam.beta_2) as f32,
            alpha: (rate * correction / (1.0 - adam.beta_1.powi(step))) as f32,
            epsilon: epsilon as f32,
        }
    }

    /// Takes the step along `gradient`.
    #[inline(always)]
    pub(super) fn step(self, of: &mut Parameters, gradient: &Tile) {
        let all = Vector::all;
        let Parameters { values, first, second } = of;
        match self {
            Self::Adam { kept, take_1, take_2, alpha, epsilon } => each_vector!(AT, {
                let gradient = gradient[AT];
                first[AT] = (gradient - first[AT]).mul_add(all(take_1), first[AT]);
                second[AT] = (gradient * gradient - second[AT]).mul_add(all(take_2), second[AT]);
                let step = first[AT] * all(-alpha) / (second[AT].sqrt() + all(epsilon));
                values[AT] = values[AT].mul_add(all(kept), step);
            }),
            Self::Sgd { rate } => {
                each_vector!(AT, values[AT] = gradient[AT].mul_add(all(-rate), values[AT]));
            }
            Self::Momentum { momentum, taken, stepped, at_once } => each_vector!(AT, {
                first[AT] = gradient[AT].mul_add(all(taken), first[AT] * all(momentum));
                let value = first[AT].mul_add(all(stepped), values[AT]);
                values[AT] = gradient[AT].mul_add(all(at_once), value);
            }),
            Self::Rmsprop { take, rate, epsilon, under_root } => each_vector!(AT, {
                let gradient = gradient[AT];
                first[AT] = (gradient * gradient - first[AT]).mul_add(all(take), first[AT]);
                let root = match under_root {
                    true => (first[AT] + all(epsilon)).sqrt(),
                    false => first[AT].sqrt() + all(epsilon),
                };
                values[AT] = values[AT] + gradient * all(-rate) / root;
            }),
        }
    }
}
