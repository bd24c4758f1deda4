//! The losses of [`crate::loss`] on plain numbers, image by image.

use crate::loss::Loss;

/// A loss with what logits of each class should become.
#[derive(Debug, Clone)]
pub struct Goal {
    /// Activation and loss.
    pub loss: Loss,
    /// `[classes, logits]`
    targets: Vec<f32>,
}

/// What a model's answer for one image is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Worth {
    /// Its loss.
    pub loss: f32,
    /// Whether its class is told rightly.
    pub right: bool,
}

impl Loss {
    /// What an image with these targets is worth, given its logits, whose place the derivatives of the
    /// loss by them take.
    pub fn derive(self, logits: &mut [f32], targets: &[f32]) -> Worth {
        match self {
            Self::Binary => derive_binary(&mut logits[0], targets[0]),
            Self::Categorical { .. } => derive_categorical(logits, targets),
        }
    }
}

fn derive_binary(logit: &mut f32, target: f32) -> Worth {
    let right = (*logit > 0.0) == (target > 0.5);
    // At most 1: nothing overflows.
    let small = (-logit.abs()).exp();
    let above = if *logit >= 0.0 { 1.0 } else { small };
    let loss = logit.max(0.0) - *logit * target + small.ln_1p();
    *logit = above / (1.0 + small) - target;
    Worth { loss, right }
}

fn derive_categorical(logits: &mut [f32], targets: &[f32]) -> Worth {
    let first_of_most = |numbers: &[f32]| {
        let most = |best: usize, at: usize| if numbers[at] > numbers[best] { at } else { best };
        (0..numbers.len()).fold(0, most)
    };
    let best = first_of_most(logits);
    let right = best == first_of_most(targets);
    let most = logits[best];
    let sum: f32 = logits.iter().map(|logit| (logit - most).exp()).sum();
    let logarithm = sum.ln();
    let mut loss = 0.0;
    for (logit, target) in logits.iter_mut().zip(targets) {
        loss -= target * (*logit - most - logarithm);
        *logit = (*logit - most).exp() / sum - target;
    }
    Worth { loss, right }
}

impl Goal {
    /// With `label_smoothing`, a share from 0 to 1 (excluded), as [`Loss::targets`] has it.
    pub fn new(loss: Loss, label_smoothing: f64) -> Self {
        let (classes, evenly) = match loss {
            Loss::Binary => (2, 0.5),
            Loss::Categorical { classes } => (classes, 1.0 / classes as f64),
        };
        let off = (label_smoothing * evenly) as f32;
        let on = (1.0 - label_smoothing + label_smoothing * evenly) as f32;
        let target = |label, logit| match loss {
            Loss::Binary => label == 1,
            Loss::Categorical { .. } => label == logit,
        };
        let row = |label| (0..loss.logits()).map(move |logit| target(label, logit));
        let targets = (0..classes).flat_map(row).map(|is| if is { on } else { off });
        Self { loss, targets: targets.collect() }
    }

    /// What an image with this label is worth, as [`Loss::derive`] has it.
    pub fn derive(&self, logits: &mut [f32], label: u32) -> Worth {
        let targets = &self.targets[label as usize * logits.len()..][..logits.len()];
        self.loss.derive(logits, targets)
    }

    /// How much an image looks like the second of two classes, in ascending order of probability; none
    /// for more classes.
    pub fn score(&self, logits: &[f32]) -> Option<f32> {
        match (self.loss, logits) {
            (Loss::Binary, [logit]) => Some(*logit),
            (Loss::Categorical { .. }, [first, second]) => Some(second - first),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tch::{Device, Tensor};

    use super::*;

    fn losses() -> impl Strategy<Value = Loss> {
        prop_oneof![Just(Loss::Binary), (2i64..6).prop_map(|classes| Loss::Categorical { classes })]
    }

    proptest! {
        /// Tensors of [`Loss`] give the same.
        #[test]
        fn an_image_is_worth_what_tensors_say(
            loss in losses(),
            smoothing in prop_oneof![Just(0.0), 0.0..0.9],
            logits in proptest::collection::vec(-30f32..30.0, 6),
            label in 0u32..2,
        ) {
            let mut derived = logits[..loss.logits() as usize].to_vec();
            let tensor = Tensor::from_slice(&derived).reshape([1, -1]);
            let targets = loss.targets(&[label], smoothing, Device::Cpu).unwrap();
            let goal = Goal::new(loss, smoothing);
            let score = goal.score(&derived);
            let Worth { loss: worth, right } = goal.derive(&mut derived, label);

            let expected = loss.sum(&tensor, &targets, None).unwrap().double_value(&[]);
            prop_assert!((f64::from(worth) - expected).abs() < 1e-5 * expected.max(1.0));
            let correct = loss.correct(&tensor, &targets).unwrap().double_value(&[]);
            prop_assert_eq!(right, correct == 1.0);
            prop_assert_eq!(score, loss.scores(&tensor).unwrap().map(|scores| scores[0]));
            let by_logits = loss.by_logits(&tensor, &targets, None).unwrap();
            let by_logits = Vec::<f32>::try_from(by_logits.reshape([-1])).unwrap();
            for (derived, expected) in derived.iter().zip(by_logits) {
                prop_assert!((derived - expected).abs() < 1e-6, "{} {}", derived, expected);
            }
        }
    }

    #[test]
    fn no_logit_is_too_large() {
        for logit in [f32::MAX, f32::MIN, 1e4, -1e4, 0.0] {
            let mut logits = [logit];
            let worth = Goal::new(Loss::Binary, 0.0).derive(&mut logits, 1);
            assert!(logits[0].is_finite() && worth.loss.is_finite(), "{logit}");
            let mut logits = [0.0, logit / 2.0, -logit / 2.0];
            let worth = Goal::new(Loss::of(3), 0.0).derive(&mut logits, 1);
            assert!(logits.iter().all(|by| by.is_finite()) && worth.loss.is_finite(), "{logit}");
        }
        let mut logits = [f32::NAN];
        assert!(!Goal::new(Loss::Binary, 0.0).derive(&mut logits, 1).loss.is_finite());
    }
}
