//! TOML values that remember where they are written.

use std::fmt;
use std::ops::Range;

use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

/// A value and the bytes it is written in.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) span: Range<usize>,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Date,
    Array(Vec<Node>),
    /// In the order of the file.
    Table(Vec<Entry>),
    /// A number that 64 bits cannot hold.
    HugeNumber,
}

/// One `key = value`.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Range<usize>,
    pub(super) value: Node,
}

impl Node {
    /// `offset` is added to every span, for a value cut out of a longer text.
    pub(super) fn new(value: &toml::Spanned<DeValue<'_>>, offset: usize) -> Self {
        let converted = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => integer(number),
            DeValue::Float(number) => float(number),
            DeValue::Boolean(boolean) => Value::Boolean(*boolean),
            DeValue::Datetime(_) => Value::Date,
            DeValue::Array(items) => {
                Value::Array(items.iter().map(|item| Self::new(item, offset)).collect())
            }
            DeValue::Table(table) => Value::Table(entries(table, offset)),
        };
        Self { value: converted, span: shifted(value.span(), offset) }
    }
}

/// The entries of a table in the order of the file; `offset` as for [`Node::new`].
pub(super) fn entries(table: &DeTable<'_>, offset: usize) -> Vec<Entry> {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_span: shifted(key.span(), offset),
            value: Node::new(value, offset),
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_span.start);
    entries
}

fn shifted(span: Range<usize>, offset: usize) -> Range<usize> {
    span.start + offset..span.end + offset
}

fn integer(number: &DeInteger<'_>) -> Value {
    match i64::from_str_radix(number.as_str(), number.radix()) {
        Ok(number) => Value::Integer(number),
        Err(_) => Value::HugeNumber,
    }
}

fn float(number: &DeFloat<'_>) -> Value {
    match number.as_str().parse::<f64>() {
        Ok(float) if float.is_infinite() && !number.as_str().contains("inf") => Value::HugeNumber,
        // No negative zero: the same work would have two run ids.
        Ok(float) => Value::Float(float + 0.0),
        Err(_) => Value::HugeNumber,
    }
}

impl Value {
    /// What it is, for "this is ...".
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a decimal number",
            Self::Boolean(true) => "`true`",
            Self::Boolean(false) => "`false`",
            Self::Date => "a date",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
            Self::HugeNumber => "a number that needs more than 64 bits",
        }
    }
}

/// Without places, for what is written nowhere.
impl From<&serde_json::Value> for Value {
    fn from(value: &serde_json::Value) -> Self {
        let node = |value| Node { value: Self::from(value), span: 0..0 };
        match value {
            serde_json::Value::Null => Self::Boolean(false),
            serde_json::Value::Bool(boolean) => Self::Boolean(*boolean),
            serde_json::Value::String(text) => Self::Text(text.clone()),
            serde_json::Value::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => Self::Integer(number),
                (None, Some(number)) => Self::Float(number),
                (None, None) => Self::HugeNumber,
            },
            serde_json::Value::Array(items) => Self::Array(items.iter().map(node).collect()),
            serde_json::Value::Object(entries) => {
                let entry = |(key, value): (&String, _)| Entry {
                    key: key.clone(),
                    key_span: 0..0,
                    value: node(value),
                };
                Self::Table(entries.iter().map(entry).collect())
            }
        }
    }
}

/// As a person would write it in a table: text without quotes, numbers in plain decimal when short.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(number) => number.fmt(f),
            Self::Float(number) => {
                let (plain, scientific) = (number.to_string(), format!("{number:e}"));
                let is_short = plain.len() <= "0.000001".len() || plain.len() <= scientific.len();
                f.write_str(if is_short { &plain } else { &scientific })
            }
            Self::Boolean(boolean) => boolean.fmt(f),
            Self::Date | Self::HugeNumber => f.write_str(self.kind()),
            Self::Array(items) => {
                f.write_str("[")?;
                separated(f, items, |f, item| item.value.fmt(f))?;
                f.write_str("]")
            }
            Self::Table(entries) => {
                separated(f, entries, |f, entry| write!(f, "{} = {}", entry.key, entry.value.value))
            }
        }
    }
}

fn separated<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    mut write: impl FnMut(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        write(f, item)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_as_a_person_would_write_them() {
        let cases = [
            ("16", "16"),
            ("0x10", "16"),
            ("1e-4", "0.0001"),
            ("0.005", "0.005"),
            ("1e-6", "0.000001"),
            ("2.5e-7", "2.5e-7"),
            ("1e300", "1e300"),
            ("1.0", "1"),
            ("-0.0", "0"),
            ("nan", "NaN"),
            ("'resnet50'", "resnet50"),
            ("true", "true"),
            ("{ unfreeze_last = 10 }", "unfreeze_last = 10"),
            ("{ pooling = 'gap', backbone = 'resnet50' }", "pooling = gap, backbone = resnet50"),
            ("[1, 'a']", "[1, a]"),
            ("99999999999999999999", "a number that needs more than 64 bits"),
            ("1e999", "a number that needs more than 64 bits"),
        ];
        for (toml, shown) in cases {
            let node = Node::new(&DeValue::parse(toml).unwrap(), 0);
            assert_eq!(node.value.to_string(), shown, "{toml}");
        }
    }
}
