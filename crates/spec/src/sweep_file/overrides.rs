//! `--set key=value`.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use toml::de::DeValue;

use super::error::Problem;
use super::keys::Keys;
use super::layer::{Layer, find};
use super::source::{Reader, Source};
use super::value::{Node, Value};

/// One `--set key=value`: a change of the baseline from the command line.
///
/// The key is named as in `[baseline]`. The value is TOML; a bare word that is not TOML is a string, so
/// that `backbone=resnet50` needs no quotes within quotes. Relative paths are relative to the working
/// directory.
#[derive(Debug, Clone)]
pub struct Override {
    text: String,
    /// Bytes of `text`.
    key: std::ops::Range<usize>,
    value: Node,
}

/// A text that is no `key=value`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseOverrideError {
    /// There is no `=`.
    #[error("`{0}` sets nothing: write key=value, such as batch_size=16")]
    NoEquals(String),
    /// There is nothing before the `=`.
    #[error("`{0}` names no key: write key=value, such as batch_size=16")]
    NoKey(String),
    /// There is nothing after the `=`.
    #[error(
        "`{0}` has no value: write key=value, such as batch_size=16, or key=false to leave it out"
    )]
    NoValue(String),
    /// The value begins like a TOML list, table or quoted text, and is none.
    #[error("the value of `{text}` is not TOML: {cause}")]
    NotToml {
        /// The whole text.
        text: String,
        /// In the parser's words.
        cause: String,
    },
}

impl Override {
    /// The change as a layer. `folder` is the working directory.
    pub(super) fn layer(
        &self,
        folder: &Path,
        order: usize,
        keys: &'static Keys,
        problems: &mut Vec<Problem>,
    ) -> Layer {
        let source = Source::new("--set".to_owned(), self.text.clone(), folder.to_owned(), order);
        let mut reader = Reader { source: &source, problems, keys };
        let mut layer = Layer::default();
        if let Some(target) = find(&self.text[self.key.clone()], &self.key, &mut reader) {
            layer.read(target, &self.key, &self.value, &mut reader);
        }
        layer
    }
}

/// As it was written.
impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Override {
    type Err = ParseOverrideError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let owned = || text.to_owned();
        let (key, value) =
            text.split_once('=').ok_or_else(|| ParseOverrideError::NoEquals(owned()))?;
        if key.trim().is_empty() {
            return Err(ParseOverrideError::NoKey(owned()));
        }
        if value.trim().is_empty() {
            return Err(ParseOverrideError::NoValue(owned()));
        }
        let key_start = key.len() - key.trim_start().len();
        let value_start = text.len() - value.trim_start().len();
        let value = value.trim();
        let node = match DeValue::parse(value) {
            // No key takes a date, but a folder may be named after one.
            Ok(parsed) if !matches!(parsed.get_ref(), DeValue::Datetime(_)) => {
                Node::new(&parsed, value_start)
            }
            Err(error) if value.starts_with(['[', '{', '"', '\'']) => {
                let cause = error.message().to_owned();
                return Err(ParseOverrideError::NotToml { text: owned(), cause });
            }
            _ => Node {
                value: Value::Text(value.to_owned()),
                span: value_start..value_start + value.len(),
            },
        };
        Ok(Self { text: owned(), key: key_start..key_start + key.trim().len(), value: node })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_toml_or_bare_words() {
        let cases = [
            ("batch_size=16", "batch_size", "Integer(16)", "16"),
            (" train.learning_rate = 1e-3 ", "train.learning_rate", "Float(0.001)", "1e-3"),
            ("backbone=resnet50", "backbone", "Text(\"resnet50\")", "resnet50"),
            ("backbone=\"resnet50\"", "backbone", "Text(\"resnet50\")", "\"resnet50\""),
            ("early_stopping=false", "early_stopping", "Boolean(false)", "false"),
            ("test=../data/a=b", "test", "Text(\"../data/a=b\")", "../data/a=b"),
            ("test=2024-01-01", "test", "Text(\"2024-01-01\")", "2024-01-01"),
            ("test=/data/my plates", "test", "Text(\"/data/my plates\")", "/data/my plates"),
        ];
        for (text, key, value, written) in cases {
            let parsed: Override = text.parse().unwrap();
            assert_eq!(&text[parsed.key], key, "{text}");
            assert_eq!(format!("{:?}", parsed.value.value), value, "{text}");
            assert_eq!(&text[parsed.value.span], written, "{text}");
        }
    }

    #[test]
    fn what_sets_nothing_is_refused() {
        let cases =
            ["", "batch_size", "=16", "batch_size=", "freeze={unfreeze_last=1", "x=[1", "x='"];
        let messages: Vec<_> =
            cases.iter().map(|text| text.parse::<Override>().unwrap_err().to_string()).collect();
        insta::assert_snapshot!(messages.join("\n"), @r"
        `` sets nothing: write key=value, such as batch_size=16
        `batch_size` sets nothing: write key=value, such as batch_size=16
        `=16` names no key: write key=value, such as batch_size=16
        `batch_size=` has no value: write key=value, such as batch_size=16, or key=false to leave it out
        the value of `freeze={unfreeze_last=1` is not TOML: unclosed inline table, expected `}`
        the value of `x=[1` is not TOML: unclosed array, expected `]`
        the value of `x='` is not TOML: invalid literal string, expected `'`
        ");
    }
}
