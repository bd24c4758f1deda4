//! Layers on top of each other, and the configuration that they add up to.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize as _;
use serde_path_to_error::Error as PathError;

use super::check::{Violation, check, check_own, idle_augmentation};
use super::error::Problem;
use super::keys::{Key, Keys, Target};
use super::kind::Kind;
use super::layer::{Change, Layer};
use super::source::{Place, Source};
use super::value::{Node, Value};
use crate::config::{Augment, Backbone, Builtin, Config, Own};

/// Layers on top of each other: what holds of each key, and where it is written.
#[derive(Debug, Clone)]
pub(super) struct Stack {
    /// What may be set.
    known: &'static Keys,
    keys: BTreeMap<&'static str, Standing>,
    /// Those that are on because some layer says so.
    sections: BTreeMap<&'static str, Standing>,
    height: usize,
}

/// What holds of a key or a section.
#[derive(Debug, Clone)]
struct Standing {
    /// Absent for sections, and for keys whose value is wrong.
    node: Option<Node>,
    place: Place,
    /// The layer that says so, counted from the lowest.
    layer: usize,
}

impl Stack {
    /// Nothing, where `keys` may be set.
    pub(super) fn new(keys: &'static Keys) -> Self {
        Self { known: keys, keys: BTreeMap::new(), sections: BTreeMap::new(), height: 0 }
    }

    /// What may be set.
    pub(super) fn keys(&self) -> &'static Keys {
        self.known
    }

    /// Puts a layer on top.
    pub(super) fn push(&mut self, layer: &Layer) {
        self.height += 1;
        for setting in &layer.settings {
            let standing =
                |node, place: &Place| Standing { node, place: place.clone(), layer: self.height };
            let (section, key) = match setting.target {
                Target::Section(section) => (section, None),
                Target::Key(section, key) => (section, Some(key)),
            };
            let is_in_section = |path: &&str| {
                path.strip_prefix(section.name.as_str()).is_some_and(|rest| rest.starts_with('.'))
            };
            match (&setting.change, key) {
                (Change::Remove, None) => {
                    self.keys.retain(|path, _| !is_in_section(path));
                    self.sections.remove(section.name.as_str());
                    continue;
                }
                (Change::Remove, Some(key)) => {
                    self.keys.remove(key.path.as_str());
                }
                (Change::Set(node), Some(key)) => {
                    self.keys.insert(&key.path, standing(Some(node.clone()), &setting.value));
                }
                (Change::Wrong, Some(key)) => {
                    self.keys.insert(&key.path, standing(None, &setting.value));
                }
                (Change::On | Change::Set(_) | Change::Wrong, _) => {}
            }
            self.sections.entry(&section.name).or_insert_with(|| standing(None, &setting.key));
        }
    }

    /// The configuration, complete and checked; none when a problem stands in the way, which is then
    /// among `problems`. `file` is the sweep file, for what is written nowhere.
    pub(super) fn config(&self, file: &Arc<Source>, problems: &mut Vec<Problem>) -> Option<Config> {
        let missing = self.missing(file);
        let is_wrong = self.keys.values().any(|standing| standing.node.is_none());
        if is_wrong || !missing.is_empty() {
            problems.extend(missing);
            return None;
        }
        let table = self.table(problems)?;
        let config = match self.known.are_builtin() {
            true => serde_path_to_error::deserialize::<_, Builtin>(table).map(Config::from),
            false => serde_path_to_error::deserialize::<_, Own>(table).map(Config::from),
        };
        match config {
            Ok(Config::Own(config)) => {
                let violations = check_own(&config);
                if violations.is_empty() {
                    return Some(Config::Own(config));
                }
                problems.extend(violations.iter().map(|violation| self.locate(violation)));
            }
            Ok(Config::Builtin(mut config)) => {
                let mut violations = check(&config);
                // Among other problems may be the change that is missing, misspelt.
                if problems.is_empty() {
                    violations
                        .extend(idle_augmentation(&config, |key| self.keys.contains_key(key)));
                }
                if violations.is_empty() {
                    config.augment = config.augment.and_then(Augment::effective);
                    return Some(Config::Builtin(config));
                }
                problems.extend(violations.iter().map(|violation| self.locate(violation)));
            }
            Err(error) => problems.push(self.unexpected(&error)),
        }
        None
    }

    /// What a key is set to, as it is written.
    pub(super) fn value(&self, key: &Key) -> Option<&Value> {
        Some(&self.keys.get(key.path.as_str())?.node.as_ref()?.value)
    }

    /// Keys that must be written and are not.
    fn missing(&self, file: &Arc<Source>) -> Vec<Problem> {
        let mut problems = Vec::new();
        for section in &self.known.sections {
            let on = self.sections.get(section.name.as_str());
            let is_missing =
                |key: &&Key| key.required && !self.keys.contains_key(key.path.as_str());
            for key in section.keys.iter().filter(is_missing) {
                if section.optional && on.is_none() {
                    continue;
                }
                let problem = Problem::new(format!("{} sets no `{}`", file.name(), key.path))
                    .with_help(format!("set it under [{}]; it must be {}", section.name, key.kind));
                problems.push(match on {
                    Some(on) => problem.at(&on.place, format!("`{}` is missing here", key.name)),
                    None => problem,
                });
            }
        }
        problems
    }

    /// The settings as serde reads them, with absolute paths.
    fn table(&self, problems: &mut Vec<Problem>) -> Option<toml::Table> {
        let mut root = toml::Table::new();
        for section in &self.known.sections {
            if section.optional && !self.sections.contains_key(section.name.as_str()) {
                continue;
            }
            let mut table = toml::Table::new();
            for key in &section.keys {
                if let Some(Standing { node: Some(node), place, .. }) =
                    self.keys.get(key.path.as_str())
                {
                    match written(key, &node.value, place) {
                        Ok(value) => {
                            table.insert(key.name.clone(), value);
                        }
                        Err(problem) => {
                            problems.push(problem);
                            return None;
                        }
                    }
                }
            }
            if section.name == "trainer" {
                self.add_folder(&mut table, problems)?;
            }
            root.insert(section.name.clone(), table.into());
        }
        fill_in_image_size(&mut root);
        Some(root)
    }

    /// The folder of the file that says `trainer.command`, which is there.
    fn add_folder(&self, trainer: &mut toml::Table, problems: &mut Vec<Problem>) -> Option<()> {
        let Standing { place, .. } = self.keys.get("trainer.command")?;
        match place.source.folder().to_str() {
            Some(folder) => {
                trainer.insert("folder".to_owned(), folder.into());
                Some(())
            }
            None => {
                problems.push(
                    Problem::new(format!("{} is not UTF-8", place.source.folder().display()))
                        .at(place, "in a folder whose name is not UTF-8")
                        .with_help("rename the folder, or move the sweep file"),
                );
                None
            }
        }
    }

    /// A violation with the places that brought it about, the topmost layer's first: that is the one
    /// that was changed last.
    fn locate(&self, violation: &Violation) -> Problem {
        let mut parts: Vec<_> = violation
            .parts
            .iter()
            .filter_map(|(path, label)| Some((self.standing(path)?, label)))
            .collect();
        parts.sort_by_key(|(standing, _)| std::cmp::Reverse(standing.layer));
        let problem = Problem::new(&violation.message).with_help(&violation.help);
        parts
            .into_iter()
            .fold(problem, |problem, (standing, label)| problem.at(&standing.place, label))
    }

    /// What holds of a key, or of its section where the key is not written.
    fn standing(&self, path: &str) -> Option<&Standing> {
        let section = path.split('.').next().unwrap_or_default();
        self.keys.get(path).or_else(|| self.sections.get(section))
    }

    /// Every value was checked on its own before; what serde still refuses is reported in its words.
    fn unexpected(&self, error: &PathError<toml::de::Error>) -> Problem {
        let path = error.path().to_string();
        let problem = Problem::new(format!("`{path}`: {}", error.inner().message()));
        match self.standing(&path) {
            Some(standing) => problem.at(&standing.place, "this value"),
            None => problem,
        }
    }
}

/// An image size that is left out is that of the backbone.
fn fill_in_image_size(root: &mut toml::Table) {
    let backbone = match root.get("model").and_then(|model| model.get("backbone")) {
        Some(written) => Backbone::deserialize(written.clone()).unwrap_or_default(),
        None => Backbone::default(),
    };
    if let Some(toml::Value::Table(data)) = root.get_mut("data") {
        data.entry("image_size").or_insert_with(|| i64::from(backbone.image_size()).into());
    }
}

/// A value as serde reads it.
fn written(key: &Key, value: &Value, place: &Place) -> Result<toml::Value, Problem> {
    match value {
        Value::Text(text) if key.kind.is_path(text) => {
            match place.source.absolute(text).into_os_string().into_string() {
                Ok(path) => Ok(path.into()),
                Err(path) => Err(Problem::new(format!("{} is not UTF-8", path.display()))
                    .at(place, "relative to a folder whose name is not UTF-8")
                    .with_help("rename the folder, or move the sweep file")),
            }
        }
        // One number has one name. Of the built-in keys some mean another thing by a whole one.
        Value::Integer(number) if key.is_own() && matches!(key.kind, Kind::Number(_)) => {
            Ok((*number as f64).into())
        }
        value => Ok(plain(value)),
    }
}

fn plain(value: &Value) -> toml::Value {
    match value {
        Value::Text(text) => text.clone().into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Boolean(boolean) => (*boolean).into(),
        Value::Array(items) => {
            toml::Value::Array(items.iter().map(|item| plain(&item.value)).collect())
        }
        Value::Table(entries) => {
            let entries =
                entries.iter().map(|entry| (entry.key.clone(), plain(&entry.value.value)));
            toml::Value::Table(entries.collect())
        }
        Value::Date | Value::HugeNumber => {
            unreachable!("no key takes such a value, and every value is checked when it is read")
        }
    }
}
