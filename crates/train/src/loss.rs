//! Activation and loss.
//!
//! One logit goes with a sigmoid and binary cross-entropy, one for each class with a softmax and
//! categorical cross-entropy, as a Keras user writes them. For both, the derivative of the loss by the
//! logits is probability minus target.

use spec::config::{ClassWeight, Output};
use tch::{Device, Kind, Reduction, TchError, Tensor};

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
    /// The loss that a head with this output has for that many classes; none when it cannot tell so
    /// many apart.
    pub fn with_output(output: Output, classes: usize) -> Option<Self> {
        match output {
            Output::Auto => Some(Self::of(classes)),
            Output::Sigmoid => (classes == 2).then_some(Self::Binary),
            Output::Softmax => Some(Self::Categorical { classes: classes as i64 }),
        }
    }

    /// The usual loss for that many classes.
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

    /// What the probabilities should become, `[images, logits]`: 0 or 1, both moved by
    /// `label_smoothing`, a share from 0 to 1 (excluded), towards their mean.
    ///
    /// As in <https://github.com/keras-team/keras/blob/master/keras/src/losses/losses.py>, in training and
    /// in measuring.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn targets(
        self,
        labels: &[u32],
        label_smoothing: f64,
        device: Device,
    ) -> Result<Tensor, TchError> {
        let logits = self.logits() as usize;
        let evenly = match self {
            Self::Binary => 0.5,
            Self::Categorical { classes } => 1.0 / classes as f64,
        };
        let off = (label_smoothing * evenly) as f32;
        let on = (1.0 - label_smoothing + label_smoothing * evenly) as f32;
        let mut targets = vec![off; labels.len() * logits];
        for (row, &label) in targets.chunks_exact_mut(logits).zip(labels) {
            match self {
                Self::Binary if label == 0 => {}
                Self::Binary => row[0] = on,
                Self::Categorical { .. } => row[label as usize] = on,
            }
        }
        Tensor::f_from_slice(&targets)?
            .f_reshape([labels.len() as i64, self.logits()])?
            .f_to_device(device)
    }

    /// The derivative of the batch's mean loss by its logits. `weights`, `[images, 1]`, say how much each
    /// image counts; the mean is by the number of images all the same, as Keras has it.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn by_logits(
        self,
        logits: &Tensor,
        targets: &Tensor,
        weights: Option<&Tensor>,
    ) -> Result<Tensor, TchError> {
        let mut probabilities = match self {
            Self::Binary => logits.f_sigmoid()?,
            Self::Categorical { .. } => logits.f_softmax(-1, Kind::Float)?,
        };
        let images = targets.size()[0] as f64;
        let mut by_logits = probabilities.f_sub_(targets)?.f_div_scalar_(images)?;
        match weights {
            Some(weights) => by_logits.f_mul_(weights),
            None => Ok(by_logits),
        }
    }

    /// The losses of all images, each times its weight, added up: a scalar.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out.
    pub fn sum(
        self,
        logits: &Tensor,
        targets: &Tensor,
        weights: Option<&Tensor>,
    ) -> Result<Tensor, TchError> {
        match self {
            Self::Binary => {
                logits.f_binary_cross_entropy_with_logits(targets, weights, None, Reduction::Sum)
            }
            Self::Categorical { .. } => {
                let mut losses = logits.f_log_softmax(-1, Kind::Float)?.f_mul(targets)?;
                if let Some(weights) = weights {
                    losses = losses.f_mul_(weights)?;
                }
                losses.f_sum(Kind::Float)?.f_neg()
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

    /// The logits whose probabilities are the mean of those that several models' logits stand for.
    ///
    /// In logarithms throughout, so that a probability near 1 keeps its distance from it.
    ///
    /// # Errors
    /// What libtorch says, such as that memory ran out; or that there are no logits.
    pub fn mean_of(self, logits: &[Tensor]) -> Result<Tensor, TchError> {
        if let [alone] = logits {
            return Ok(alone.shallow_clone());
        }
        let models = (logits.len() as f64).ln();
        let mean = |logarithms: Tensor| {
            logarithms.f_logsumexp([0i64].as_slice(), false)?.f_sub_scalar(models)
        };
        let logits = Tensor::f_stack(logits, 0)?;
        match self {
            Self::Binary => {
                let second = mean(logits.f_log_sigmoid()?)?;
                second.f_sub(&mean(logits.f_neg()?.f_log_sigmoid()?)?)
            }
            Self::Categorical { .. } => mean(logits.f_log_softmax(-1, Kind::Float)?),
        }
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

/// How much an image of each class counts.
///
/// # Errors
/// With the name of a class that is not there.
pub fn class_weights<'a>(
    weight: &'a ClassWeight,
    classes: &[String],
    labels: &[u32],
) -> Result<Option<Vec<f32>>, &'a str> {
    match weight {
        ClassWeight::None => Ok(None),
        ClassWeight::Balanced => {
            let count =
                |class: usize| labels.iter().filter(|label| **label as usize == class).count();
            let weight = |class: usize| {
                labels.len() as f64 / (classes.len() as f64 * count(class).max(1) as f64)
            };
            Ok(Some((0..classes.len()).map(|class| weight(class) as f32).collect()))
        }
        ClassWeight::ByName(weights) => {
            if let Some(name) = weights.keys().find(|name| !classes.contains(name)) {
                return Err(name);
            }
            let weight = |class| weights.get(class).copied().unwrap_or(1.0) as f32;
            Ok(Some(classes.iter().map(weight).collect()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_models_answer_with_the_mean_of_their_probabilities() {
        let [one, other] =
            [[1.0f32, -2.0, 0.5, 3.0, 0.0, -1.0], [0.0, 4.0, -0.5, 3.5, 90.0, -95.0]]
                .map(|logits| Tensor::from_slice(&logits));
        for (loss, shape) in [
            (Loss::Binary, [6, 1]),
            (Loss::Categorical { classes: 2 }, [3, 2]),
            (Loss::Categorical { classes: 3 }, [2, 3]),
        ] {
            let logits = [one.reshape(shape), other.reshape(shape)];
            let mean = loss.probabilities(&loss.mean_of(&logits).unwrap()).unwrap();
            let [one, other] = logits.each_ref().map(|logits| loss.probabilities(logits).unwrap());
            assert!(mean.allclose(&((one + other) / 2.0), 1e-5, 1e-7, false), "{loss:?}");
            assert_eq!(loss.mean_of(&logits[..1]).unwrap(), logits[0], "alone it is left alone");
        }
    }

    #[test]
    fn losses_and_probabilities_are_the_textbooks() {
        let close = |left: &Tensor, right: f64| (left.double_value(&[]) - right).abs() < 1e-6;

        let logits = Tensor::from_slice(&[2f32, -1.0]).reshape([2, 1]);
        let targets = Loss::Binary.targets(&[1, 1], 0.0, Device::Cpu).unwrap();
        let losses = [(1.0 + (-2f64).exp()).ln(), (1.0 + 1f64.exp()).ln()];
        let weights = Tensor::from_slice(&[1f32, 3.0]).reshape([2, 1]);
        assert!(close(&Loss::Binary.sum(&logits, &targets, None).unwrap(), losses[0] + losses[1]));
        assert!(close(
            &Loss::Binary.sum(&logits, &targets, Some(&weights)).unwrap(),
            losses[0] + 3.0 * losses[1]
        ));
        assert!(close(&Loss::Binary.correct(&logits, &targets).unwrap(), 1.0));
        let probabilities = Loss::Binary.probabilities(&logits).unwrap();
        assert!((probabilities.double_value(&[0, 1]) - 1.0 / (1.0 + (-2f64).exp())).abs() < 1e-6);

        let loss = Loss::of(3);
        let logits = Tensor::from_slice(&[0f32, 1.0, 2.0]).reshape([1, 3]);
        let targets = loss.targets(&[1], 0.0, Device::Cpu).unwrap();
        let total = 1.0 + 1f64.exp() + 2f64.exp();
        assert!(close(&loss.sum(&logits, &targets, None).unwrap(), total.ln() - 1.0));
        assert!(close(&loss.correct(&logits, &targets).unwrap(), 0.0));
        let smoothed = loss.targets(&[1], 0.3, Device::Cpu).unwrap();
        assert!(smoothed.allclose(&Tensor::from_slice(&[0.1f32, 0.8, 0.1]), 1e-6, 0.0, false));
        assert_eq!(loss.labels(&smoothed).unwrap(), [1]);
    }

    #[test]
    fn classes_count_as_they_are_told() {
        let classes = ["clean".to_owned(), "dirty".to_owned()];
        let by_name = |name: &str| ClassWeight::ByName([(name.to_owned(), 3.0)].into());
        let labels = [0, 0, 0, 1];
        let of =
            |weight: &ClassWeight| class_weights(weight, &classes, &labels).map_err(str::to_owned);
        assert_eq!(of(&ClassWeight::None), Ok(None));
        assert_eq!(of(&ClassWeight::Balanced), Ok(Some(vec![2.0 / 3.0, 2.0])));
        assert_eq!(of(&by_name("dirty")), Ok(Some(vec![1.0, 3.0])));
        assert_eq!(of(&by_name("dirtyy")), Err("dirtyy".to_owned()));
    }
}
