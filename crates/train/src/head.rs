//! The head: a dense layer on pooled features, its loss and its gradient.
//!
//! Two classes are one logit with a sigmoid and binary cross-entropy, more are one logit each with a
//! softmax and categorical cross-entropy, as a Keras user writes them. For both, the derivative of the
//! loss by the logits is probability minus target; so the head's gradient is written down and only
//! what lies behind it needs automatic differentiation.

use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Reduction, TchError, Tensor};

use crate::random;

/// A dense layer: `features x kernel + bias`.
#[derive(Debug)]
pub struct Head {
    /// `[features, logits]`.
    pub kernel: Tensor,
    /// `[logits]`.
    pub bias: Tensor,
}

impl Head {
    /// A head as Keras's `Dense` begins: Glorot-uniform kernel, zero bias.
    /// <https://keras.io/api/layers/initializers/#glorotuniform-class>
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn draw(
        rng: &mut ChaCha8Rng,
        features: i64,
        logits: i64,
        device: Device,
    ) -> Result<Self, TchError> {
        let limit = (6.0 / (features + logits) as f64).sqrt();
        let kernel = random::uniform(rng, limit, (features * logits) as usize);
        Ok(Self {
            kernel: Tensor::f_from_slice(&kernel)?
                .f_reshape([features, logits])?
                .f_to_device(device)?,
            bias: Tensor::f_zeros([logits], (Kind::Float, device))?,
        })
    }

    /// The logits of `features`: `[images, features]` becomes `[images, logits]`.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn logits(&self, features: &Tensor) -> Result<Tensor, TchError> {
        self.bias.f_addmm(features, &self.kernel)
    }

    /// The loss's derivatives by kernel and bias, given that by the logits.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn gradients(
        &self,
        features: &Tensor,
        by_logits: &Tensor,
    ) -> Result<[Tensor; 2], TchError> {
        let kernel = features.f_transpose(0, 1)?.f_mm(by_logits)?;
        let bias = by_logits.f_sum_dim_intlist([0i64].as_slice(), false, Kind::Float)?;
        Ok([kernel, bias])
    }

    /// The loss's derivative by the features, given that by the logits.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn by_features(&self, by_logits: &Tensor) -> Result<Tensor, TchError> {
        by_logits.f_mm(&self.kernel.f_transpose(0, 1)?)
    }
}

/// Activation and loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Sigmoid and binary cross-entropy, for two classes.
    Binary,
    /// Softmax and categorical cross-entropy.
    Categorical {
        /// How many classes there are.
        classes: i64,
    },
}

impl Loss {
    /// The loss for that many classes.
    pub fn of(classes: usize) -> Self {
        match classes {
            2 => Self::Binary,
            _ => Self::Categorical { classes: classes as i64 },
        }
    }

    /// Logits per image.
    pub fn logits(self) -> i64 {
        match self {
            Self::Binary => 1,
            Self::Categorical { classes } => classes,
        }
    }

    /// What the logits should become, `[images, logits]`: 0 or 1.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn targets(self, labels: &[u32], device: Device) -> Result<Tensor, TchError> {
        let logits = self.logits() as usize;
        let mut targets = vec![0f32; labels.len() * logits];
        for (row, &label) in targets.chunks_exact_mut(logits).zip(labels) {
            match self {
                Self::Binary => row[0] = label as f32,
                Self::Categorical { .. } => row[label as usize] = 1.0,
            }
        }
        Tensor::f_from_slice(&targets)?
            .f_reshape([labels.len() as i64, self.logits()])?
            .f_to_device(device)
    }

    /// The derivative of the batch's mean loss by its logits.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn by_logits(self, logits: &Tensor, targets: &Tensor) -> Result<Tensor, TchError> {
        let mut probabilities = match self {
            Self::Binary => logits.f_sigmoid()?,
            Self::Categorical { .. } => logits.f_softmax(-1, Kind::Float)?,
        };
        let images = targets.size()[0] as f64;
        probabilities.f_sub_(targets)?.f_div_scalar_(images)
    }

    /// The losses of all images, added up: a scalar.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn sum(self, logits: &Tensor, targets: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Binary => logits.f_binary_cross_entropy_with_logits::<&Tensor>(
                targets,
                None,
                None,
                Reduction::Sum,
            ),
            Self::Categorical { .. } => {
                logits.f_log_softmax(-1, Kind::Float)?.f_mul(targets)?.f_sum(Kind::Float)?.f_neg()
            }
        }
    }

    /// How many images are told rightly: a scalar in 32-bit floats.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn correct(self, logits: &Tensor, targets: &Tensor) -> Result<Tensor, TchError> {
        let right = match self {
            Self::Binary => logits.f_gt(0.0)?.f_eq_tensor(&targets.f_gt(0.5)?)?,
            Self::Categorical { .. } => {
                logits.f_argmax(-1, false)?.f_eq_tensor(&targets.f_argmax(-1, false)?)?
            }
        };
        right.f_sum(Kind::Float)
    }

    /// How much each image looks like the second of two classes, in ascending order of probability;
    /// none for more classes. Of logits: probabilities near 1 become the same number.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn scores(self, logits: &Tensor) -> Result<Option<Vec<f32>>, TchError> {
        let scores = match self {
            Self::Binary => logits.f_select(1, 0)?,
            Self::Categorical { classes: 2 } => {
                logits.f_select(1, 1)?.f_sub(&logits.f_select(1, 0)?)?
            }
            Self::Categorical { .. } => return Ok(None),
        };
        Vec::try_from(scores).map(Some)
    }

    /// The class of each image, given its [targets](Self::targets).
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn labels(self, targets: &Tensor) -> Result<Vec<i64>, TchError> {
        let labels = match self {
            Self::Binary => targets.f_select(1, 0)?.f_gt(0.5)?.f_to_kind(Kind::Int64)?,
            Self::Categorical { .. } => targets.f_argmax(-1, false)?,
        };
        Vec::try_from(labels)
    }

    /// The probability of each class, `[images, classes]`.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn probabilities(self, logits: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Binary => Tensor::f_cat(&[logits.f_neg()?.f_sigmoid()?, logits.f_sigmoid()?], -1),
            Self::Categorical { .. } => logits.f_softmax(-1, Kind::Float),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    #[test]
    fn the_written_gradient_is_the_differentiated_one() {
        for classes in [2, 3] {
            let mut rng = random::stream(5, Purpose::Head);
            let loss = Loss::of(classes);
            let head = Head::draw(&mut rng, 4, loss.logits(), Device::Cpu).unwrap();
            let features = Tensor::from_slice(&random::normal(&mut rng, 1.0, 24)).reshape([6, 4]);
            let labels: Vec<u32> = (0..6).map(|image| image % classes as u32).collect();
            let targets = loss.targets(&labels, Device::Cpu).unwrap();

            let kernel = head.kernel.copy().set_requires_grad(true);
            let bias = head.bias.copy().set_requires_grad(true);
            let features_leaf = features.copy().set_requires_grad(true);
            let logits = Head { kernel: kernel.shallow_clone(), bias: bias.shallow_clone() }
                .logits(&features_leaf)
                .unwrap();
            (loss.sum(&logits, &targets).unwrap() / 6.0).backward();

            let by_logits = loss.by_logits(&logits.detach(), &targets).unwrap();
            let [by_kernel, by_bias] = head.gradients(&features, &by_logits).unwrap();
            let by_features = head.by_features(&by_logits).unwrap();
            for (written, differentiated) in
                [(by_kernel, kernel), (by_bias, bias), (by_features, features_leaf)]
            {
                assert!(written.allclose(&differentiated.grad(), 1e-5, 1e-7, false), "{classes}");
            }
        }
    }

    #[test]
    fn losses_and_probabilities_are_the_textbooks() {
        let close = |left: &Tensor, right: f64| (left.double_value(&[]) - right).abs() < 1e-6;

        let logits = Tensor::from_slice(&[2f32, -1.0]).reshape([2, 1]);
        let targets = Loss::Binary.targets(&[1, 1], Device::Cpu).unwrap();
        let expected = (1.0 + (-2f64).exp()).ln() + (1.0 + 1f64.exp()).ln();
        assert!(close(&Loss::Binary.sum(&logits, &targets).unwrap(), expected));
        assert!(close(&Loss::Binary.correct(&logits, &targets).unwrap(), 1.0));
        let probabilities = Loss::Binary.probabilities(&logits).unwrap();
        assert!((probabilities.double_value(&[0, 1]) - 1.0 / (1.0 + (-2f64).exp())).abs() < 1e-6);

        let loss = Loss::of(3);
        let logits = Tensor::from_slice(&[0f32, 1.0, 2.0]).reshape([1, 3]);
        let targets = loss.targets(&[1], Device::Cpu).unwrap();
        let total = 1.0 + 1f64.exp() + 2f64.exp();
        assert!(close(&loss.sum(&logits, &targets).unwrap(), total.ln() - 1.0));
        assert!(close(&loss.correct(&logits, &targets).unwrap(), 0.0));
    }
}
