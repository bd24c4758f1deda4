//! How the learning rate changes from epoch to epoch.
//!
//! Written as a word or as a table, `"constant"`, `{ name = "step", factor = 0.5, every = 10 }`, and
//! read through an untagged twin that serde understands.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the learning rate changes from epoch to epoch, as `keras.callbacks.LearningRateScheduler` sets
/// it before each. <https://keras.io/api/callbacks/learning_rate_scheduler/>
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "WrittenSchedule", into = "WrittenSchedule")]
#[schemars(with = "WrittenSchedule")]
pub enum LearningRateSchedule {
    /// It stays as it is.
    #[default]
    Constant,
    /// Multiplied with `factor` after each `every` epochs.
    Step {
        /// Above 0, at most 1.
        factor: f64,
        /// At least 1.
        every: u32,
    },
    /// `keras.optimizers.schedules.CosineDecay`, by epochs:
    /// <https://keras.io/api/optimizers/learning_rate_schedules/cosine_decay/>
    Cosine(Cosine),
}

/// From the learning rate down along half a cosine, after a warm-up where one is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cosine {
    /// What is left at the end, as a share of the learning rate; from 0 to 1.
    pub alpha: f64,
    /// Epochs from the learning rate to its end; absent: all that are not warm-up.
    pub decay_epochs: Option<u32>,
    /// The rise before; absent: none.
    pub warmup: Option<Warmup>,
}

/// A straight rise up to the learning rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Warmup {
    /// At least 1.
    pub epochs: u32,
    /// The rate of the first epoch; 0 or more.
    pub initial_learning_rate: f64,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum WrittenSchedule {
    Word(Word),
    Table(Table),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Word {
    Constant,
    Cosine,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Table {
    name: Name,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    factor: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    every: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    alpha: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    decay_epochs: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    warmup_epochs: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    initial_learning_rate: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Name {
    Step,
    Cosine,
}

impl Table {
    fn named(name: Name) -> Self {
        Self {
            name,
            factor: None,
            every: None,
            alpha: None,
            decay_epochs: None,
            warmup_epochs: None,
            initial_learning_rate: None,
        }
    }
}

impl TryFrom<WrittenSchedule> for LearningRateSchedule {
    type Error = String;

    fn try_from(written: WrittenSchedule) -> Result<Self, Self::Error> {
        let table = match written {
            WrittenSchedule::Word(Word::Constant) => return Ok(Self::Constant),
            WrittenSchedule::Word(Word::Cosine) => Table::named(Name::Cosine),
            WrittenSchedule::Table(table) => table,
        };
        let steps = table.factor.is_some() || table.every.is_some();
        let curves = table.alpha.is_some()
            || table.decay_epochs.is_some()
            || table.warmup_epochs.is_some()
            || table.initial_learning_rate.is_some();
        match table.name {
            Name::Step if curves => Err("a step has only factor and every".to_owned()),
            Name::Cosine if steps => Err("factor and every belong to a step".to_owned()),
            Name::Step => {
                match (table.factor, table.every) {
                    (Some(factor), Some(every)) if factor > 0.0 && factor <= 1.0 && every > 0 => {
                        Ok(Self::Step { factor, every })
                    }
                    (Some(_), Some(_)) => {
                        Err("factor must be above 0 and at most 1, and every at least 1".to_owned())
                    }
                    _ => Err("a step needs factor and every, such as factor = 0.5, every = 10"
                        .to_owned()),
                }
            }
            Name::Cosine => {
                let warmup = match (table.warmup_epochs, table.initial_learning_rate) {
                    (None, None) => None,
                    (Some(0), _) => return Err("warmup_epochs must be at least 1".to_owned()),
                    (Some(epochs), Some(initial_learning_rate)) => {
                        Some(Warmup { epochs, initial_learning_rate })
                    }
                    _ => {
                        return Err(
                            "a warm-up needs both warmup_epochs and initial_learning_rate, \
                                    from which it rises to learning_rate"
                                .to_owned(),
                        );
                    }
                };
                let (alpha, decay_epochs) = (table.alpha.unwrap_or(0.0), table.decay_epochs);
                if decay_epochs == Some(0) {
                    return Err("decay_epochs must be at least 1".to_owned());
                }
                Ok(Self::Cosine(Cosine { alpha, decay_epochs, warmup }))
            }
        }
    }
}

impl From<LearningRateSchedule> for WrittenSchedule {
    fn from(schedule: LearningRateSchedule) -> Self {
        Self::Table(match schedule {
            LearningRateSchedule::Constant => return Self::Word(Word::Constant),
            LearningRateSchedule::Step { factor, every } => {
                Table { factor: Some(factor), every: Some(every), ..Table::named(Name::Step) }
            }
            LearningRateSchedule::Cosine(Cosine { alpha, decay_epochs, warmup }) => Table {
                alpha: Some(alpha),
                decay_epochs,
                warmup_epochs: warmup.map(|warmup| warmup.epochs),
                initial_learning_rate: warmup.map(|warmup| warmup.initial_learning_rate),
                ..Table::named(Name::Cosine)
            },
        })
    }
}

impl LearningRateSchedule {
    /// The learning rate of `epoch`, from 1, in a training of `epochs` epochs that has
    /// `learning_rate`.
    pub fn rate(self, learning_rate: f64, epoch: u32, epochs: u32) -> f64 {
        let past = epoch.saturating_sub(1);
        match self {
            Self::Constant => learning_rate,
            Self::Step { factor, every } => {
                learning_rate * factor.powi((past / every.max(1)).min(i32::MAX as u32) as i32)
            }
            Self::Cosine(Cosine { alpha, decay_epochs, warmup }) => {
                let warmup_epochs = warmup.map_or(0, |warmup| warmup.epochs);
                if let Some(Warmup { epochs, initial_learning_rate: initial }) = warmup
                    && past < epochs
                {
                    return initial
                        + (learning_rate - initial) * f64::from(past) / f64::from(epochs);
                }
                let decay = decay_epochs.unwrap_or(epochs.saturating_sub(warmup_epochs)).max(1);
                let done = f64::from((past - warmup_epochs).min(decay)) / f64::from(decay);
                let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
                learning_rate * ((1.0 - alpha) * cosine + alpha)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<LearningRateSchedule, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    /// What `scripts/parity/keras_schedules.py` recorded. Keras computes in 32 bits.
    #[test]
    fn rates_are_those_of_keras() {
        let text = include_str!("../../tests/parity/keras_schedules.json");
        let recorded: serde_json::Value = serde_json::from_str(text).unwrap();
        let learning_rate = recorded["learning_rate"].as_f64().unwrap();
        let cases = recorded["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 6);
        for case in cases {
            let schedule = read(&case["schedule"].to_string()).unwrap();
            let expected: Vec<f64> = serde_json::from_value(case["rates"].clone()).unwrap();
            let epochs = expected.len() as u32;
            assert_eq!(Some(u64::from(epochs)), case["epochs"].as_u64());
            for (epoch, expected) in (1..=epochs).zip(expected) {
                let rate = schedule.rate(learning_rate, epoch, epochs);
                assert!((rate - expected).abs() < 1e-7, "{case} epoch {epoch}: {rate}");
            }
            let written = serde_json::to_string(&schedule).unwrap();
            assert_eq!(read(&written).unwrap(), schedule, "{written}");
        }
    }

    #[test]
    fn a_constant_rate_stays() {
        let schedule = read(r#""constant""#).unwrap();
        assert!((1..=3).all(|epoch| schedule.rate(0.1, epoch, 3) == 0.1));
    }

    #[test]
    fn what_makes_no_schedule_is_said() {
        for (json, said) in [
            (r#"{"name":"step","factor":0.5}"#, "needs factor and every"),
            (r#"{"name":"step","factor":0.5,"every":2,"alpha":0.1}"#, "only factor and every"),
            (r#"{"name":"cosine","every":2}"#, "belong to a step"),
            (r#"{"name":"cosine","warmup_epochs":2}"#, "needs both"),
        ] {
            assert!(read(json).unwrap_err().contains(said), "{json}");
        }
    }
}
