//! `{name}` in the command of a trainer of the user's own.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::Own;

/// What stands for something besides the settings: files, and what a run is besides its configuration.
pub const RESERVED: [&str; 10] = [
    "run",
    "seed",
    "device",
    "threads",
    "config",
    "folder",
    "checkpoint",
    "metrics",
    "predictions",
    "score",
];

/// A `{name}` that stands for nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceholderError {
    /// There is no such setting here.
    #[error("`{{{name}}}` stands for nothing")]
    Unknown {
        /// The name.
        name: String,
    },
    /// Several sections have such a setting.
    #[error("`{{{name}}}` could be {}", paths.join(" or "))]
    Ambiguous {
        /// The name.
        name: String,
        /// The settings by path.
        paths: Vec<String>,
    },
    /// A brace by itself.
    #[error("a `{brace}` stands alone")]
    Brace {
        /// Which.
        brace: char,
    },
}

/// What placeholders stand for.
#[derive(Debug, Clone, Default)]
pub struct Meanings {
    reserved: BTreeMap<&'static str, String>,
    settings: BTreeMap<String, Value>,
}

impl Meanings {
    /// Those of the settings of `config`; `reserved` says what each of [`RESERVED`] stands for.
    pub fn new(config: &Own, reserved: impl Fn(&'static str) -> String) -> Self {
        let reserved = RESERVED.iter().map(|name| (*name, reserved(name))).collect();
        Self { reserved, settings: config.settings() }
    }

    /// Every name: a setting is named by its path, or by its own name where one section alone has it; one of
    /// `[params]` always.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let paths = self.settings.keys().map(String::as_str);
        let own = paths.clone().filter_map(|path| Some(path.split_once('.')?.1));
        self.reserved.keys().copied().chain(paths).chain(own)
    }

    /// `text` with every placeholder replaced; `{{` and `}}` are braces.
    ///
    /// # Errors
    /// When one stands for nothing, or for several settings.
    pub fn expand(&self, text: &str) -> Result<String, PlaceholderError> {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some(place) = rest.find(['{', '}']) {
            expanded += &rest[..place];
            let brace = if rest[place..].starts_with('{') { '{' } else { '}' };
            rest = &rest[place + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                expanded.push(brace);
                rest = after;
                continue;
            }
            let (name, after) = match (brace, rest.split_once('}')) {
                ('{', Some(parts)) => parts,
                _ => return Err(PlaceholderError::Brace { brace }),
            };
            expanded += &self.meaning(name)?;
            rest = after;
        }
        Ok(expanded + rest)
    }

    fn meaning(&self, name: &str) -> Result<String, PlaceholderError> {
        if let Some(meaning) = self.reserved.get(name) {
            return Ok(meaning.clone());
        }
        let setting = |path: &str| self.settings.get(path);
        if let Some(value) = setting(name).or_else(|| setting(&format!("params.{name}"))) {
            return Ok(written(value));
        }
        let is_meant = |path: &&String| path.split_once('.').is_some_and(|(_, own)| own == name);
        let paths: Vec<&String> = self.settings.keys().filter(is_meant).collect();
        match paths.as_slice() {
            [] => Err(PlaceholderError::Unknown { name: name.to_owned() }),
            [path] => Ok(written(&self.settings[*path])),
            several => Err(PlaceholderError::Ambiguous {
                name: name.to_owned(),
                paths: several.iter().map(|path| (*path).clone()).collect(),
            }),
        }
    }
}

/// A setting as an argument or a variable: text as it is, everything else as JSON.
pub fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meanings() -> Meanings {
        let config = serde_json::json!({
            "trainer": { "command": ["x"], "folder": "/" },
            "params": { "lr": 1e-4, "kind": "a b", "layers": [64, 32], "deep": true, "epochs": 7 },
            "train": { "epochs": 50, "batch_size": 16 },
            "early_stopping": { "patience": 3 },
            "reduce_lr_on_plateau": { "patience": 5 },
        });
        Meanings::new(&serde_json::from_value(config).unwrap(), |name| format!("<{name}>"))
    }

    #[test]
    fn placeholders_stand_for_settings_and_files() {
        for (text, expected) in [
            ("plain", "plain"),
            ("--lr={lr}", "--lr=0.0001"),
            ("{params.lr}{kind}", "0.0001a b"),
            ("{layers} {deep}", "[64,32] true"),
            ("{epochs} {train.epochs} {batch_size}", "7 50 16"),
            ("{seed}/{run}", "<seed>/<run>"),
            ("{{lr}} }}{{", "{lr} }{"),
            ("", ""),
        ] {
            assert_eq!(meanings().expand(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_stands_for_nothing_is_refused() {
        let said = ["{rate}", "{patience}", "{lr", "a}", "{}", "{steps_per_epoch}"]
            .map(|text| meanings().expand(text).unwrap_err().to_string());
        insta::assert_snapshot!(said.join("\n"), @"
        `{rate}` stands for nothing
        `{patience}` could be early_stopping.patience or reduce_lr_on_plateau.patience
        a `{` stands alone
        a `}` stands alone
        `{}` stands for nothing
        `{steps_per_epoch}` stands for nothing
        ");
    }
}
