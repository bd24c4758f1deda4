//! Sweep files: read, layered, checked, resolved.

mod error;
mod overrides;
mod source;

use std::path::Path;

use serde::Deserialize as _;

pub use error::{LoadError, Problem};
pub use overrides::{Override, ParseOverrideError};

use crate::config::Config;
use crate::sweep::{Factor, Level, Schedule, Strategy, Sweep};
use source::{Place, Source};

/// Reads a sweep file and all that it extends, and resolves it.
///
/// # Errors
/// All problems found, each with its place.
pub fn load(file: &Path, overrides: &[Override]) -> Result<Sweep, LoadError> {
    thin(file, overrides).map_err(|problem| LoadError::new(file, vec![problem]))
}

fn thin(file: &Path, overrides: &[Override]) -> Result<Sweep, Problem> {
    let absolute = std::path::absolute(file).map_err(|error| Problem::new(error.to_string()))?;
    let folder = absolute.parent().unwrap_or(Path::new("/")).to_owned();
    let text = fs_err::read_to_string(file).map_err(|error| Problem::new(error.to_string()))?;
    let source = Source::new(file.display().to_string(), text, folder.clone());
    let problem = |error: toml::de::Error| {
        let place = Place { source: source.clone(), span: error.span().unwrap_or(0..0) };
        Problem::new(error.message()).at(&place, "here")
    };
    let mut top: toml::Table = toml::from_str(source.text()).map_err(problem)?;
    let mut root = toml::Table::new();
    if let Some(toml::Value::String(base)) = top.remove("extends") {
        let base = fs_err::read_to_string(source.folder().join(base))
            .map_err(|error| Problem::new(error.to_string()))?;
        root = toml::from_str(&base).map_err(problem)?;
        root.remove("augment");
    }
    let title = top.remove("title").and_then(|title| title.as_str().map(str::to_owned));
    let replicates = top.remove("replicates").and_then(|n| n.as_integer()).unwrap_or(1);
    let factors = top.remove("factors");
    for part in ["extends", "strategy", "schedule", "augment"] {
        top.remove(part);
        root.remove(part);
    }
    if let Some(toml::Value::Table(baseline)) = top.remove("baseline") {
        baseline.into_iter().for_each(|(key, value)| set(&mut root, &key, value));
    }
    top.into_iter().for_each(|(key, value)| set(&mut root, &key, value));
    for set_by_hand in overrides {
        set(&mut root, set_by_hand.key(), set_by_hand.value().clone());
    }
    let config = |root: toml::Table| -> Result<Config, Problem> {
        let mut config = Config::deserialize(root).map_err(problem)?;
        config.data.train = folder.join(&config.data.train);
        config.data.test = config.data.test.map(|test| folder.join(test));
        Ok(config)
    };
    let baseline = config(root.clone())?;
    let mut resolved = Vec::new();
    for (name, levels) in
        factors.and_then(|factors| factors.as_table().cloned()).into_iter().flatten()
    {
        let mut factor = Factor { name: name.clone(), levels: Vec::new() };
        for level in levels.as_array().into_iter().flatten() {
            let mut root = root.clone();
            let mut label = match level {
                toml::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            match level {
                toml::Value::Table(keys) if !keys.contains_key("unfreeze_last") => {
                    for (key, value) in keys {
                        match (key.as_str(), value) {
                            ("label", toml::Value::String(text)) => label.clone_from(text),
                            _ => set(&mut root, key, value.clone()),
                        }
                    }
                }
                value => set(&mut root, &name, value.clone()),
            }
            let config = config(root)?;
            let baseline = config == baseline;
            factor.levels.push(Level { label, config, baseline });
        }
        resolved.push(factor);
    }
    Ok(Sweep {
        name: file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        title,
        file: file.to_owned(),
        strategy: Strategy::Ofat,
        seeds: (1..=replicates.unsigned_abs()).collect(),
        baseline,
        factors: resolved,
        schedule: Schedule::default(),
    })
}

fn set(root: &mut toml::Table, key: &str, value: toml::Value) {
    const SECTIONS: [(&str, &[&str]); 4] = [
        ("data", &["test", "validation", "image_size"]),
        ("model", &["backbone", "weights", "freeze", "pooling"]),
        ("train", &["batch_size", "learning_rate", "epochs", "steps_per_epoch", "optimizer"]),
        ("early_stopping", &["patience", "monitor", "min_delta", "restore_best_weights"]),
    ];
    if let toml::Value::Table(inner) = value {
        let section = root.entry(key).or_insert_with(|| toml::Table::new().into());
        if let toml::Value::Table(section) = section {
            section.extend(inner);
        }
        return;
    }
    let (section, key) = match key.split_once('.') {
        Some((section, key)) => (section.to_owned(), key),
        None => match SECTIONS.iter().find(|(_, keys)| keys.contains(&key)) {
            Some((section, _)) => ((*section).to_owned(), key),
            None if value.as_bool() == Some(false) => {
                root.remove(key);
                return;
            }
            None => (key.to_owned(), key),
        },
    };
    let section = root.entry(section).or_insert_with(|| toml::Table::new().into());
    if let toml::Value::Table(section) = section {
        section.insert(key.to_owned(), value);
    }
}
