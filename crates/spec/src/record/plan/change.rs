//! What one configuration has that another has not.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::Config;

/// A key that two configurations set differently.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanChange {
    /// Section and key, such as `train.batch_size`; the section alone where one has it and the other has
    /// not.
    pub key: String,
    /// What the baseline has; null where it is left out or off.
    pub baseline: Value,
    /// What the row has; null likewise.
    pub here: Value,
}

/// What `config` has that `baseline` has not, in the order of the keys.
pub fn changes(baseline: &Config, config: &Config) -> Vec<PlanChange> {
    let value = |config: &Config| serde_json::to_value(config).unwrap_or_default();
    let (baseline, here) = (value(baseline), value(config));
    let mut changes = Vec::new();
    for section in keys(&baseline, &here) {
        let (before, after) = (&baseline[&section], &here[&section]);
        if !before.is_object() || !after.is_object() {
            push(&mut changes, section, before, after);
            continue;
        }
        for key in keys(before, after) {
            push(&mut changes, format!("{section}.{key}"), &before[&key], &after[&key]);
        }
    }
    changes
}

fn push(changes: &mut Vec<PlanChange>, key: String, baseline: &Value, here: &Value) {
    if baseline != here {
        changes.push(PlanChange { key, baseline: baseline.clone(), here: here.clone() });
    }
}

fn keys(one: &Value, other: &Value) -> BTreeSet<String> {
    [one, other]
        .into_iter()
        .filter_map(Value::as_object)
        .flatten()
        .map(|(key, _)| key.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(change: impl FnOnce(&mut Value)) -> Config {
        let mut config = serde_json::json!({
            "data": { "train": "train" },
            "model": { "backbone": "efficientnet_lite0" },
            "train": {},
        });
        change(&mut config);
        serde_json::from_value(config).unwrap()
    }

    #[test]
    fn keys_and_sections_that_differ_are_named() {
        let baseline = config(|_| {});
        assert_eq!(changes(&baseline, &baseline), []);
        let other = config(|config| {
            config["train"]["batch_size"] = 16.into();
            config["early_stopping"] = serde_json::json!({});
        });
        let found = changes(&baseline, &other);
        let keys: Vec<&str> = found.iter().map(|change| change.key.as_str()).collect();
        assert_eq!(keys, ["early_stopping", "train.batch_size"]);
        assert_eq!((&found[1].baseline, &found[1].here), (&32.into(), &16.into()));
        assert!(found[0].baseline.is_null() && found[0].here.is_object());
    }
}
