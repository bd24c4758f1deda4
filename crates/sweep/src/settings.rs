//! Settings by their paths, and in what two configurations differ.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use spec::config::Config;
use spec::record::RunConfig;
use spec::run_id::RunId;

/// A setting, or the content behind one, that two runs do not share.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// Its path, as in `train.batch_size`; `content of data.train` for what a path leads to.
    pub what: String,
    /// What the first has; absent where it is left out or off.
    pub from: Option<Value>,
    /// What the second has; absent where it is left out or off.
    pub to: Option<Value>,
}

/// The settings of `config` by their paths. A setting that is a table of its own, such as `freeze =
/// { unfreeze_last = 10 }`, stays one; what is left out or switched off is absent.
pub fn flat(config: &Config) -> BTreeMap<String, Value> {
    let mut flat = BTreeMap::new();
    if let Ok(Value::Object(sections)) = serde_json::to_value(config) {
        for (section, keys) in sections {
            if let Value::Object(keys) = keys {
                for (key, value) in keys {
                    flat.insert(format!("{section}.{key}"), value);
                }
            }
        }
    }
    flat.retain(|_, value| !value.is_null());
    flat
}

/// A setting as it is written in a table: words without quotes, tables as JSON.
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// In what two configurations differ, seeds aside: settings, then contents. Paths whose contents are the
/// same do not count, as they do not for run ids.
pub fn changes(from: &RunConfig, to: &RunConfig) -> Vec<Change> {
    let contents = [contents(from), contents(to)];
    let same_content = |path: &str| {
        contents[0].get(path) == contents[1].get(path) && contents[0].contains_key(path)
    };
    let (left, right) = (flat(&from.config), flat(&to.config));
    let mut changes: Vec<Change> = union(&left, &right)
        .filter(|what| left.get(*what) != right.get(*what) && !same_content(what))
        .map(|what| change(what.clone(), left.get(what), right.get(what)))
        .collect();
    let [left, right] = contents;
    changes.extend(
        union(&left, &right)
            .filter(|what| left.get(*what) != right.get(*what))
            .map(|what| change(format!("content of {what}"), left.get(what), right.get(what))),
    );
    changes
}

fn change(what: String, from: Option<&Value>, to: Option<&Value>) -> Change {
    Change { what, from: from.cloned(), to: to.cloned() }
}

fn union<'a>(
    left: &'a BTreeMap<String, Value>,
    right: &'a BTreeMap<String, Value>,
) -> impl Iterator<Item = &'a String> {
    left.keys().chain(right.keys().filter(|key| !left.contains_key(*key)))
}

/// What is behind the paths of a configuration: beginnings of hashes that tell contents apart.
fn contents(asked: &RunConfig) -> BTreeMap<String, Value> {
    let fingerprints = &asked.fingerprints;
    [
        ("data.train", fingerprints.train.as_ref()),
        ("data.validation", fingerprints.validation.as_ref()),
        ("data.test", fingerprints.test.as_ref()),
        ("model.weights", fingerprints.weights.as_ref()),
        ("the trainer's files", fingerprints.trainer.as_ref()),
    ]
    .into_iter()
    .filter_map(|(path, hash)| {
        let short: String = hash?.chars().take(12).collect();
        Some((path.to_owned(), Value::String(short)))
    })
    .collect()
}

/// The version of [training semantics](spec::run_id::TRAINING_SEMANTICS) that a run was made under; absent
/// where no version known here gives its id.
pub fn semantics(asked: &RunConfig) -> Option<u32> {
    let is_it = |version: &u32| {
        RunId::under(*version, &asked.config, asked.seed, &asked.fingerprints) == asked.run
    };
    (1..=spec::run_id::TRAINING_SEMANTICS).rev().find(is_it)
}

/// A word as a shell takes it for one.
pub fn shell_word(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./=:,+@%".contains(letter);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planning::tests::work;

    #[test]
    fn what_differs_is_named_and_paths_to_the_same_are_not() {
        let one = work(1).record();
        let mut other = work(2).record();
        assert_eq!(changes(&one, &other), [], "seeds do not count");
        let mut config = other.config.builtin().unwrap().clone();
        config.data.train = "elsewhere".into();
        other.config = config.clone().into();
        assert_eq!(changes(&one, &other), [], "the same images elsewhere");
        config.train.batch_size = 16;
        config.train.steps_per_epoch = Some(7);
        other.config = config.into();
        other.fingerprints.train = Some("2".repeat(64));
        let named: Vec<String> = changes(&one, &other)
            .iter()
            .map(|Change { what, from, to }| {
                let shown = |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), shown);
                format!("{what}: {} -> {}", shown(from), shown(to))
            })
            .collect();
        insta::assert_snapshot!(named.join("\n"), @"
        data.train: train -> elsewhere
        train.batch_size: 32 -> 16
        train.steps_per_epoch: - -> 7
        content of data.train: 111111111111 -> 222222222222
        ");
    }

    #[test]
    fn the_version_that_made_a_run_is_found() {
        let mut asked = work(1).record();
        assert_eq!(semantics(&asked), Some(spec::run_id::TRAINING_SEMANTICS));
        asked.run = RunId::under(3, &asked.config, 1, &asked.fingerprints);
        assert_eq!(semantics(&asked), Some(3));
        asked.run = RunId::from_digest([1; 32]);
        assert_eq!(semantics(&asked), None);
    }
}
