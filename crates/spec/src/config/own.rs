//! A configuration for a trainer of the user's own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Augment, Data, EarlyStopping, Model, ReduceLrOnPlateau, Train};

/// A configuration for a trainer of the user's own, seed excluded.
///
/// The built-in sections are passed along where the sweep file has them: what they mean is the trainer's
/// affair. What the file does not mention is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Own {
    /// The program that trains.
    pub trainer: Trainer,
    /// Settings of its own, by name.
    #[serde(default, skip_serializing_if = "Params::is_empty")]
    pub params: Params,
    /// Where the data is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
    /// The model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
    /// The training loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<Train>,
    /// When to stop early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<EarlyStopping>,
    /// When to lower the learning rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduce_lr_on_plateau: Option<ReduceLrOnPlateau>,
    /// How training images are changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augment: Option<Augment>,
}

/// Settings of a trainer's own, by name: whatever TOML can say, but for dates and numbers that JSON does
/// not know.
pub type Params = BTreeMap<String, Value>;

/// The program that trains in place of the built-in trainer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trainer {
    /// Program and arguments. A program without `/` is looked for in `PATH`, one with it is relative to the
    /// sweep file, whose folder is the working directory. In the simple protocol `{name}` stands for a
    /// setting.
    #[schemars(length(min = 1))]
    pub command: Vec<String>,
    /// How it is spoken to.
    #[serde(default)]
    pub protocol: Protocol,
    /// In the simple protocol: where it writes what it measures.
    #[serde(default)]
    pub metrics: Metrics,
    /// Files and folders whose content makes a run another one, besides the files that the command names:
    /// what a script imports, data that it reads. Relative to the sweep file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// The folder of the file that says `command`, absolute: what is relative in it is relative to this.
    #[schemars(skip)]
    pub folder: PathBuf,
}

/// How a trainer is spoken to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// A process for each run, told by arguments, environment and a file.
    #[default]
    Simple,
    /// A process that trains run after run and speaks [`crate::protocol`].
    Worker,
}

/// Where a simple trainer writes what it measures, a JSON object a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metrics {
    /// On stdout, among whatever else it says there.
    #[default]
    Stdout,
    /// In the file that `SWEEP_METRICS` names.
    File,
}

impl Trainer {
    /// What the command and `files` name, as written and as absolute paths; what is no such file is for the
    /// caller to see. Of a word like `--config=net.yaml` that is what stands behind each `=`.
    pub fn named(&self) -> impl Iterator<Item = (&str, PathBuf)> {
        let program = self.command.first().map(String::as_str).filter(|name| name.contains('/'));
        let arguments = self.command.iter().skip(1).flat_map(|word| {
            let values = word.match_indices('=').map(|(place, sign)| &word[place + sign.len()..]);
            std::iter::once(word.as_str()).chain(values).filter(|name| !name.is_empty())
        });
        let names = program.into_iter().chain(arguments);
        let names = names.chain(self.files.iter().map(String::as_str));
        names.map(|name| (name, self.folder.join(name)))
    }

    /// What the program is called: the first file of the command that has an ending, else the program.
    pub fn name(&self) -> &str {
        let mut arguments = self.command.iter().map(Path::new);
        let script = arguments.clone().find(|argument| argument.extension().is_some());
        let stem = script.or_else(|| arguments.next()).and_then(Path::file_stem);
        stem.and_then(|stem| stem.to_str()).unwrap_or("trainer")
    }
}

impl Own {
    /// Every setting by its path, such as `params.lr` or `train.batch_size`, those of the trainer excepted.
    pub fn settings(&self) -> BTreeMap<String, Value> {
        let Ok(Value::Object(sections)) = serde_json::to_value(self) else {
            return BTreeMap::new();
        };
        let sections = sections.into_iter().filter(|(name, _)| name != "trainer");
        sections
            .flat_map(|(name, section)| match section {
                Value::Object(keys) => keys
                    .into_iter()
                    .map(|(key, value)| (format!("{name}.{key}"), value))
                    .collect::<Vec<_>>(),
                _ => Vec::new(),
            })
            .collect()
    }
}
