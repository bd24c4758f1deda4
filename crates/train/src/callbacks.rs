//! What watches the epochs: early stopping and the learning rate on plateaus, with Keras 3's semantics.
//!
//! Both only decide; the loop acts. Epochs count from 1.

use serde::{Deserialize, Serialize};
use spec::config::{EarlyStopping, ReduceLrOnPlateau};

/// The best value of a monitored quantity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// The value.
    pub value: f64,
    /// Its epoch.
    pub epoch: u32,
}

/// What counts as better.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Better {
    higher: bool,
    min_delta: f64,
}

impl Better {
    /// Whether `value` beats `other` by more than `min_delta`; anything beats nothing. In 32-bit
    /// floats, as Keras compares.
    fn beats(self, value: f64, other: Option<f64>) -> bool {
        match other {
            None => true,
            Some(other) if self.higher => (value - self.min_delta) as f32 > other as f32,
            Some(other) => ((value + self.min_delta) as f32) < other as f32,
        }
    }
}

/// Stops training when the monitored quantity has stopped improving.
///
/// As in <https://github.com/keras-team/keras/blob/master/keras/src/callbacks/early_stopping.py>:
/// training ends after `patience` epochs without improvement, where only what also beats the baseline
/// ends a wait; and where the best weights are to be restored they are restored at the end of training,
/// also when that end is the last epoch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stopper {
    settings: EarlyStopping,
    better: Better,
    best: Option<Best>,
    wait: u32,
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
        let higher = settings.mode.higher_is_better(settings.monitor);
        let better = Better { higher, min_delta: settings.min_delta };
        Self { settings, better, best: None, wait: 0 }
    }

    /// Takes the monitored value of an epoch.
    pub fn observe(&mut self, epoch: u32, value: f64) -> Verdict {
        if epoch <= self.settings.start_from_epoch {
            return Verdict::Wait;
        }
        self.wait += 1;
        if self.better.beats(value, self.best.map(|best| best.value)) {
            self.best = Some(Best { value, epoch });
            if self.better.beats(value, self.settings.baseline) {
                self.wait = 0;
            }
            Verdict::Best
        } else if self.wait >= self.settings.patience {
            Verdict::Stop
        } else {
            Verdict::Wait
        }
    }

    /// The best epoch so far.
    pub fn best(&self) -> Option<Best> {
        self.best
    }

    /// When, why and with what consequence it stopped: one line for a person.
    pub fn explain(&self, epoch: u32, best: Best) -> String {
        let baseline = match self.settings.baseline {
            Some(baseline) if !self.better.beats(best.value, Some(baseline)) => {
                format!(", and has never beaten the baseline {baseline}")
            }
            _ => String::new(),
        };
        let restored = if self.settings.restore_best_weights {
            format!("; restored the weights of epoch {}", best.epoch)
        } else {
            String::new()
        };
        format!(
            "epoch {epoch}: {} has not improved on {:.4} (epoch {}) for {}{baseline}{restored}",
            self.settings.monitor.name(),
            best.value,
            best.epoch,
            epochs(epoch - best.epoch),
        )
    }
}

/// Lowers the learning rate when the monitored quantity has stopped improving.
///
/// As in <https://github.com/keras-team/keras/blob/master/keras/src/callbacks/reduce_lr_on_plateau.py>:
/// the wait begins anew after each reduction and its cooldown, the best value stays.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reducer {
    settings: ReduceLrOnPlateau,
    better: Better,
    best: Option<f64>,
    wait: u32,
    /// Epochs of cooldown left.
    cooldown: u32,
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
        let higher = settings.mode.higher_is_better(settings.monitor);
        let better = Better { higher, min_delta: settings.min_delta };
        Self { settings, better, best: None, wait: 0, cooldown: 0 }
    }

    /// Takes the monitored value of an epoch that was trained with `learning_rate`.
    pub fn observe(&mut self, epoch: u32, value: f64, learning_rate: f64) -> Option<Reduction> {
        if self.cooldown > 0 {
            self.cooldown -= 1;
            self.wait = 0;
        }
        if self.better.beats(value, self.best) {
            self.best = Some(value);
            self.wait = 0;
            return None;
        }
        if self.cooldown > 0 {
            return None;
        }
        self.wait += 1;
        let settings = &self.settings;
        if self.wait < settings.patience || learning_rate <= settings.min_lr {
            return None;
        }
        (self.wait, self.cooldown) = (0, settings.cooldown);
        let lowered = (learning_rate * settings.factor).max(settings.min_lr);
        let best = self.best.unwrap_or(value);
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
    use serde_json::{Value, json};

    use super::*;

    /// What `scripts/parity/keras_callbacks.py` recorded.
    fn recorded(kind: &str) -> Vec<Value> {
        let text = include_str!("../tests/parity/keras_callbacks.json");
        let recorded: Value = serde_json::from_str(text).unwrap();
        recorded[kind].as_array().unwrap().clone()
    }

    fn values(case: &Value) -> impl Iterator<Item = (u32, f64)> {
        (1..).zip(case["values"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()))
    }

    #[test]
    fn early_stopping_stops_and_restores_as_keras_does() {
        let cases = recorded("early_stopping");
        assert_eq!(cases.len(), 80);
        for case in &cases {
            let settings: EarlyStopping = serde_json::from_value(case["settings"].clone()).unwrap();
            let restores = settings.restore_best_weights;
            let mut stopper = Stopper::new(settings);
            let (mut epochs, mut stopped) = (0, false);
            for (epoch, value) in values(case) {
                epochs = epoch;
                stopped = stopper.observe(epoch, value) == Verdict::Stop;
                if stopped {
                    break;
                }
            }
            let best = stopper.best().filter(|_| restores);
            let weights_of_epoch = best.map_or(epochs, |best| best.epoch);
            let got = json!({
                "epochs": epochs, "stopped": stopped, "weights_of_epoch": weights_of_epoch
            });
            assert_eq!(got, case["expected"], "{case}");
        }
    }

    #[test]
    fn the_learning_rate_falls_as_in_keras() {
        let cases = recorded("reduce_lr_on_plateau");
        assert_eq!(cases.len(), 80);
        for case in &cases {
            let mut reducer =
                Reducer::new(serde_json::from_value(case["settings"].clone()).unwrap());
            let mut rate = case["learning_rate"].as_f64().unwrap();
            for (epoch, value) in values(case) {
                if let Some(reduction) = reducer.observe(epoch, value, rate) {
                    rate = reduction.learning_rate;
                }
                let at = epoch as usize - 1;
                let expected = case["expected"]["learning_rates_after"][at].as_f64().unwrap();
                // Keras keeps it in 32 bits.
                assert!((rate / expected - 1.0).abs() < 1e-6, "{case} epoch {epoch}: {rate}");
            }
        }
    }

    #[test]
    fn a_change_of_exactly_min_delta_is_none() {
        for (mode, values) in [("min", [2.0, 1.5]), ("max", [1.5, 2.0])] {
            let settings = json!({ "patience": 1, "min_delta": 0.5, "mode": mode });
            let mut stopper = Stopper::new(serde_json::from_value(settings).unwrap());
            assert_eq!(stopper.observe(1, values[0]), Verdict::Best);
            assert_eq!(stopper.observe(2, values[1]), Verdict::Stop, "{mode}");
        }
    }

    #[test]
    fn it_says_when_and_why() {
        for (baseline, and) in [(None, ""), (Some(0.4), ", and has never beaten the baseline 0.4")]
        {
            let settings = json!({ "patience": 2, "baseline": baseline });
            let mut stopper = Stopper::new(serde_json::from_value(settings).unwrap());
            stopper.observe(1, 0.432_11);
            stopper.observe(2, 0.5);
            let best = stopper.best().unwrap();
            assert_eq!(
                stopper.explain(2, best),
                format!(
                    "epoch 2: val_loss has not improved on 0.4321 (epoch 1) for 1 epoch{and}; \
                     restored the weights of epoch 1"
                )
            );
        }
    }
}
