//! What watches the epochs: early stopping and the learning rate on plateaus, with Keras 3's semantics.
//!
//! Both only decide; the loop acts. Epochs count from 1.

use spec::config::{EarlyStopping, Monitor, ReduceLrOnPlateau};

/// The best value of a monitored quantity, and how long ago that was.
#[derive(Debug, Clone)]
struct Plateau {
    higher_is_better: bool,
    min_delta: f64,
    best: Option<Best>,
    /// Epochs since the last improvement.
    wait: u32,
}

/// The best value of a monitored quantity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Best {
    /// The value.
    pub value: f64,
    /// Its epoch.
    pub epoch: u32,
}

impl Plateau {
    fn new(monitor: Monitor, min_delta: f64) -> Self {
        Self { higher_is_better: monitor.higher_is_better(), min_delta, best: None, wait: 0 }
    }

    /// Whether `value` beats the best one by more than `min_delta`; then it is the new best.
    fn improves(&mut self, epoch: u32, value: f64) -> bool {
        let improves = match self.best {
            None => true,
            Some(best) if self.higher_is_better => value > best.value + self.min_delta,
            Some(best) => value < best.value - self.min_delta,
        };
        if improves {
            self.best = Some(Best { value, epoch });
            self.wait = 0;
        } else {
            self.wait += 1;
        }
        improves
    }
}

/// Stops training when the monitored quantity has stopped improving.
///
/// As in <https://github.com/keras-team/keras/blob/master/keras/src/callbacks/early_stopping.py>:
/// training ends after `patience` epochs without improvement, and where the best weights are to be
/// restored they are restored at the end of training, also when that end is the last epoch.
#[derive(Debug, Clone)]
pub struct Stopper {
    settings: EarlyStopping,
    plateau: Plateau,
}

/// What early stopping says after an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The best epoch so far: its weights are the ones to go back to.
    Best,
    /// No improvement yet.
    Wait,
    /// Enough: training ends here.
    Stop,
}

impl Stopper {
    /// Before the first epoch.
    pub fn new(settings: EarlyStopping) -> Self {
        let plateau = Plateau::new(settings.monitor, settings.min_delta);
        Self { settings, plateau }
    }

    /// Takes the monitored value of an epoch.
    pub fn observe(&mut self, epoch: u32, value: f64) -> Verdict {
        if self.plateau.improves(epoch, value) {
            Verdict::Best
        } else if self.plateau.wait >= self.settings.patience {
            Verdict::Stop
        } else {
            Verdict::Wait
        }
    }

    /// The best epoch so far.
    pub fn best(&self) -> Option<Best> {
        self.plateau.best
    }

    /// When, why and with what consequence it stopped: one line for a person.
    pub fn explain(&self, epoch: u32, best: Best) -> String {
        let restored = if self.settings.restore_best_weights {
            format!("; restored the weights of epoch {}", best.epoch)
        } else {
            String::new()
        };
        format!(
            "epoch {epoch}: {} has not improved on {:.4} (epoch {}) for {}{restored}",
            self.settings.monitor.name(),
            best.value,
            best.epoch,
            epochs(self.plateau.wait),
        )
    }
}

/// Lowers the learning rate when the monitored quantity has stopped improving.
///
/// As in <https://github.com/keras-team/keras/blob/master/keras/src/callbacks/reduce_lr_on_plateau.py>
/// without cooldown: the wait begins anew after each reduction, the best value stays.
#[derive(Debug, Clone)]
pub struct Reducer {
    settings: ReduceLrOnPlateau,
    plateau: Plateau,
}

/// A learning rate that was lowered.
#[derive(Debug, Clone, PartialEq)]
pub struct Reduction {
    /// The rate from the next epoch on.
    pub learning_rate: f64,
    /// When and why: one line for a person.
    pub explanation: String,
}

impl Reducer {
    /// Before the first epoch.
    pub fn new(settings: ReduceLrOnPlateau) -> Self {
        let plateau = Plateau::new(settings.monitor, settings.min_delta);
        Self { settings, plateau }
    }

    /// Takes the monitored value of an epoch that was trained with `learning_rate`.
    pub fn observe(&mut self, epoch: u32, value: f64, learning_rate: f64) -> Option<Reduction> {
        let settings = &self.settings;
        if self.plateau.improves(epoch, value)
            || self.plateau.wait < settings.patience
            || learning_rate <= settings.min_lr
        {
            return None;
        }
        self.plateau.wait = 0;
        let lowered = (learning_rate * settings.factor).max(settings.min_lr);
        let best = self.plateau.best.map_or(value, |best| best.value);
        Some(Reduction {
            learning_rate: lowered,
            explanation: format!(
                "epoch {epoch}: {} has not improved on {best:.4} for {}; learning rate lowered from \
                 {learning_rate:e} to {lowered:e}",
                settings.monitor.name(),
                epochs(settings.patience.max(1)),
            ),
        })
    }
}

fn epochs(count: u32) -> String {
    if count == 1 { "1 epoch".to_owned() } else { format!("{count} epochs") }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{Best as B, Stop as S, Wait as W};
    use super::*;

    /// Monitor, patience, `min_delta`, the monitored value of each epoch, what follows from it.
    type Case<'a, T> = (Monitor, u32, f64, &'a [f64], &'a [T]);

    fn stopper(monitor: Monitor, patience: u32, min_delta: f64) -> Stopper {
        Stopper::new(EarlyStopping { monitor, patience, min_delta, restore_best_weights: true })
    }

    #[test]
    fn early_stopping_decides_as_keras_does() {
        let cases: &[Case<'_, Verdict>] = &[
            (Monitor::ValLoss, 2, 0.0, &[1.0, 0.9, 0.9, 0.95], &[B, B, W, S]),
            (Monitor::ValLoss, 2, 0.0, &[1.0, 1.1, 0.9, 1.0, 0.8], &[B, W, B, W, B]),
            // A change of exactly `min_delta` is none.
            (Monitor::ValLoss, 3, 0.5, &[2.0, 1.5, 1.4, 1.6], &[B, W, B, W]),
            (Monitor::ValAccuracy, 1, 0.0, &[0.5, 0.6, 0.6], &[B, B, S]),
            (Monitor::ValAccuracy, 2, 0.25, &[0.5, 0.75, 0.7], &[B, W, S]),
            // Without patience the first epoch without improvement is the last; never the first one.
            (Monitor::Loss, 0, 0.0, &[1.0, 0.5, 0.5], &[B, B, S]),
        ];
        for &(monitor, patience, min_delta, values, verdicts) in cases {
            let mut stopper = stopper(monitor, patience, min_delta);
            let got: Vec<_> = values
                .iter()
                .zip(1..)
                .map(|(&value, epoch)| stopper.observe(epoch, value))
                .collect();
            assert_eq!(got, verdicts, "{monitor:?} {patience} {min_delta} {values:?}");
        }
    }

    #[test]
    fn it_says_when_and_why() {
        let mut stopper = stopper(Monitor::ValLoss, 1, 0.0);
        stopper.observe(1, 0.432_11);
        stopper.observe(2, 0.5);
        let best = stopper.best().unwrap();
        assert_eq!(
            stopper.explain(2, best),
            "epoch 2: val_loss has not improved on 0.4321 (epoch 1) for 1 epoch; restored the weights \
             of epoch 1"
        );
    }

    #[test]
    fn the_learning_rate_falls_as_in_keras() {
        let cases: &[Case<'_, f64>] = &[
            // The wait begins anew after each reduction.
            (Monitor::ValLoss, 2, 0.0, &[1.0, 1.0, 1.0, 1.0, 1.0], &[0.8, 0.8, 0.4, 0.4, 0.2]),
            (Monitor::ValLoss, 1, 0.0, &[1.0, 1.0, 0.5, 1.0], &[0.8, 0.4, 0.4, 0.2]),
            // Not below `min_lr`.
            (Monitor::ValLoss, 1, 0.0, &[1.0; 5], &[0.8, 0.4, 0.2, 0.15, 0.15]),
            (Monitor::ValAccuracy, 1, 0.1, &[0.5, 0.55, 0.7], &[0.8, 0.4, 0.4]),
            (Monitor::Accuracy, 0, 0.0, &[0.5, 0.5], &[0.8, 0.4]),
        ];
        for &(monitor, patience, min_delta, values, rates) in cases {
            let mut reducer = Reducer::new(ReduceLrOnPlateau {
                monitor,
                factor: 0.5,
                patience,
                min_delta,
                min_lr: 0.15,
            });
            let mut rate = 0.8;
            for ((&value, &expected), epoch) in values.iter().zip(rates).zip(1..) {
                if let Some(reduction) = reducer.observe(epoch, value, rate) {
                    rate = reduction.learning_rate;
                }
                assert_eq!(rate, expected, "{monitor:?} {patience} {values:?}, epoch {epoch}");
            }
        }
    }
}
