//! How gradients become steps.
//!
//! Written as a word or as a table, `"adam"`, `{ name = "sgd", momentum = 0.9, nesterov = true }`, and
//! read through an untagged twin that serde understands.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How gradients become steps. What a file leaves out is as Keras's class of that name has it, or
/// PyTorch's where its convention is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "WrittenOptimizer", into = "WrittenOptimizer")]
#[schemars(with = "WrittenOptimizer")]
pub enum Optimizer {
    /// <https://keras.io/api/optimizers/adam/>
    Adam(Adam),
    /// <https://keras.io/api/optimizers/adamw/>
    Adamw {
        /// The steps along the gradients.
        adam: Adam,
        /// Share of every parameter that is taken off in each step, times the learning rate; 0 or more.
        weight_decay: f64,
    },
    /// <https://keras.io/api/optimizers/sgd/>
    Sgd {
        /// Share of the last step that the next one keeps; 0 or more, below 1.
        momentum: f64,
        /// Whether the gradient counts as if the momentum had been followed already.
        nesterov: bool,
        /// Where the learning rate goes.
        convention: Convention,
    },
    /// <https://keras.io/api/optimizers/rmsprop/>
    Rmsprop {
        /// Share of the mean square that each step keeps; 0 or more, below 1.
        rho: f64,
        /// Added to the denominator; above 0.
        epsilon: f64,
        /// Where epsilon goes.
        convention: Convention,
    },
}

/// Steps by running means of the gradient and its square.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// Share of the mean that each step keeps; 0 or more, below 1.
    pub beta_1: f64,
    /// Share of the mean square that each step keeps; 0 or more, below 1.
    pub beta_2: f64,
    /// Added to the root of the mean square; above 0.
    pub epsilon: f64,
    /// Where epsilon goes.
    pub convention: Convention,
}

/// Whose formula and defaults; they differ where the papers leave room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Convention {
    /// Adam adds epsilon to the root before its bias is corrected, RMSprop under the root; SGD's
    /// momentum holds steps.
    #[default]
    Keras,
    /// Adam adds epsilon to the root after its bias is corrected, RMSprop beside the root; SGD's
    /// momentum holds gradients, so that a change of the learning rate counts at once.
    Torch,
}

impl Default for Optimizer {
    /// Keras's Adam.
    fn default() -> Self {
        Self::named(Name::Adam, Convention::Keras)
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum WrittenOptimizer {
    Word(Name),
    Table(Table),
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Name {
    Adam,
    Adamw,
    Sgd,
    Rmsprop,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Table {
    name: Name,
    #[serde(default)]
    convention: Convention,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    beta_1: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    beta_2: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    epsilon: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    weight_decay: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    momentum: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nesterov: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    rho: Option<f64>,
}

impl Table {
    fn named(name: Name, convention: Convention) -> Self {
        Self {
            name,
            convention,
            beta_1: None,
            beta_2: None,
            epsilon: None,
            weight_decay: None,
            momentum: None,
            nesterov: None,
            rho: None,
        }
    }
}

impl Name {
    fn word(self) -> &'static str {
        match self {
            Self::Adam => "adam",
            Self::Adamw => "adamw",
            Self::Sgd => "sgd",
            Self::Rmsprop => "rmsprop",
        }
    }
}

impl Optimizer {
    /// With that convention's own settings.
    fn named(name: Name, convention: Convention) -> Self {
        let keras = convention == Convention::Keras;
        let epsilon = if keras { 1e-7 } else { 1e-8 };
        let adam = Adam { beta_1: 0.9, beta_2: 0.999, epsilon, convention };
        match name {
            Name::Adam => Self::Adam(adam),
            Name::Adamw => Self::Adamw { adam, weight_decay: if keras { 0.004 } else { 0.01 } },
            Name::Sgd => Self::Sgd { momentum: 0.0, nesterov: false, convention },
            Name::Rmsprop => {
                Self::Rmsprop { rho: if keras { 0.9 } else { 0.99 }, epsilon, convention }
            }
        }
    }

    fn name(self) -> Name {
        match self {
            Self::Adam(_) => Name::Adam,
            Self::Adamw { .. } => Name::Adamw,
            Self::Sgd { .. } => Name::Sgd,
            Self::Rmsprop { .. } => Name::Rmsprop,
        }
    }
}

impl TryFrom<WrittenOptimizer> for Optimizer {
    type Error = String;

    fn try_from(written: WrittenOptimizer) -> Result<Self, Self::Error> {
        let mut table = match written {
            WrittenOptimizer::Word(name) => return Ok(Self::named(name, Convention::Keras)),
            WrittenOptimizer::Table(table) => table,
        };
        let mut optimizer = Self::named(table.name, table.convention);
        let set = |to: &mut f64, from: &mut Option<f64>| *to = from.take().unwrap_or(*to);
        match &mut optimizer {
            Self::Adam(adam) | Self::Adamw { adam, .. } => {
                set(&mut adam.beta_1, &mut table.beta_1);
                set(&mut adam.beta_2, &mut table.beta_2);
                set(&mut adam.epsilon, &mut table.epsilon);
            }
            Self::Sgd { momentum, nesterov, .. } => {
                set(momentum, &mut table.momentum);
                *nesterov = table.nesterov.take().unwrap_or(false);
            }
            Self::Rmsprop { rho, epsilon, .. } => {
                set(rho, &mut table.rho);
                set(epsilon, &mut table.epsilon);
            }
        }
        if let Self::Adamw { weight_decay, .. } = &mut optimizer {
            set(weight_decay, &mut table.weight_decay);
        }
        let left = [
            ("beta_1", table.beta_1.is_some()),
            ("beta_2", table.beta_2.is_some()),
            ("epsilon", table.epsilon.is_some()),
            ("weight_decay", table.weight_decay.is_some()),
            ("momentum", table.momentum.is_some()),
            ("nesterov", table.nesterov.is_some()),
            ("rho", table.rho.is_some()),
        ];
        match left.iter().find(|(_, is_left)| *is_left) {
            Some((key, _)) => Err(format!("{} has no {key}", table.name.word())),
            None if matches!(optimizer, Self::Sgd { momentum: 0.0, nesterov: true, .. }) => {
                Err("nesterov without momentum changes nothing: set momentum too".to_owned())
            }
            None => Ok(optimizer),
        }
    }
}

impl From<Optimizer> for WrittenOptimizer {
    fn from(optimizer: Optimizer) -> Self {
        let name = optimizer.name();
        // One spelling for one optimiser: run ids hang on it.
        if optimizer == Optimizer::named(name, Convention::Keras) {
            return Self::Word(name);
        }
        let of_adam = |adam: Adam| Table {
            beta_1: Some(adam.beta_1),
            beta_2: Some(adam.beta_2),
            epsilon: Some(adam.epsilon),
            ..Table::named(name, adam.convention)
        };
        Self::Table(match optimizer {
            Optimizer::Adam(adam) => of_adam(adam),
            Optimizer::Adamw { adam, weight_decay } => {
                Table { weight_decay: Some(weight_decay), ..of_adam(adam) }
            }
            Optimizer::Sgd { momentum, nesterov, convention } => Table {
                momentum: Some(momentum),
                nesterov: Some(nesterov),
                ..Table::named(name, convention)
            },
            Optimizer::Rmsprop { rho, epsilon, convention } => {
                Table { rho: Some(rho), epsilon: Some(epsilon), ..Table::named(name, convention) }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Optimizer, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_left_out_is_the_conventions() {
        let cases = [
            (r#""adam""#, r#""adam""#),
            (r#"{"name":"adam","epsilon":1e-7}"#, r#""adam""#),
            (r#"{"name":"sgd","convention":"keras"}"#, r#""sgd""#),
            (
                r#"{"name":"adam","convention":"torch"}"#,
                r#"{"name":"adam","convention":"torch","beta_1":0.9,"beta_2":0.999,"epsilon":1e-8}"#,
            ),
            (
                r#"{"name":"rmsprop","rho":0.5}"#,
                r#"{"name":"rmsprop","convention":"keras","epsilon":1e-7,"rho":0.5}"#,
            ),
        ];
        for (written, canonical) in cases {
            let optimizer = read(written).unwrap();
            assert_eq!(serde_json::to_string(&optimizer).unwrap(), canonical);
            assert_eq!(read(canonical).unwrap(), optimizer);
        }
        let Optimizer::Adamw { weight_decay, .. } = read(r#""adamw""#).unwrap() else { panic!() };
        assert_eq!(weight_decay, 0.004);
    }

    #[test]
    fn settings_of_another_optimiser_are_refused() {
        for (written, said) in [
            (r#"{"name":"adam","momentum":0.9}"#, "adam has no momentum"),
            (r#"{"name":"sgd","epsilon":0.1}"#, "sgd has no epsilon"),
            (r#"{"name":"sgd","nesterov":true}"#, "nesterov without momentum"),
            (r#"{"name":"adam","weight_decay":0.1}"#, "adam has no weight_decay"),
        ] {
            assert!(read(written).unwrap_err().contains(said), "{written}");
        }
    }
}
