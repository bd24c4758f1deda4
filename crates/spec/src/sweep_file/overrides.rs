//! `--set key=value`.

use std::str::FromStr;

/// One `--set key=value`: a change of the baseline from the command line.
///
/// The value is TOML; a bare word that is not TOML is a string.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    key: String,
    value: toml::Value,
}

/// A text that is no `key=value`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseOverrideError {
    /// Nothing is set to anything.
    #[error("`{0}` has no `=`: write key=value, such as batch_size=16")]
    NoEquals(String),
}

impl Override {
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn value(&self) -> &toml::Value {
        &self.value
    }
}

impl FromStr for Override {
    type Err = ParseOverrideError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) =
            text.split_once('=').ok_or_else(|| ParseOverrideError::NoEquals(text.to_owned()))?;
        let value = match toml::from_str::<toml::Table>(&format!("value = {value}")) {
            Ok(mut table) => table.remove("value"),
            Err(_) => None,
        };
        let value = value.unwrap_or_else(|| toml::Value::String(text[key.len() + 1..].to_owned()));
        Ok(Self { key: key.trim().to_owned(), value })
    }
}
