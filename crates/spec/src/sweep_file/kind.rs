//! What values a key takes, read from the JSON Schema of [`crate::config::Config`].

use std::fmt;
use std::ops::Range;

use serde_json::Value as Schema;

use super::suggest::nearest;
use super::value::{Entry, Node, Value};

/// What values a key takes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Integer(Bounds),
    /// Finite.
    Number(Bounds),
    Boolean,
    /// One of these.
    Words(Vec<String>),
    /// Not empty.
    Path,
    /// Not empty.
    Name,
    /// Any text.
    Text,
    /// Whatever JSON can say too.
    Anything,
    /// These keys and no other.
    Table(Vec<TableKey>),
    /// Any keys, each with such a value.
    Map(Box<Self>),
    List(Box<Self>),
    /// Two such numbers, the first no larger than the second.
    Pair(Bounds),
    OneOf(Vec<Self>),
}

/// A key of a [`Kind::Table`].
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TableKey {
    name: String,
    kind: Kind,
    required: bool,
}

/// The ends of a range of numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    min: Option<f64>,
    above: Option<f64>,
    max: Option<f64>,
    below: Option<f64>,
}

/// Why a value is none of a [`Kind`].
#[derive(Debug)]
pub(super) struct Mismatch {
    pub(super) span: Range<usize>,
    /// Beside the caret.
    pub(super) label: String,
    pub(super) help: Option<String>,
}

impl Kind {
    /// The kind that `schema` describes; `root` holds what it refers to.
    pub(super) fn new(schema: &Schema, root: &Schema) -> Self {
        let schema = followed(schema, root);
        if let Some(choices) = choices(schema) {
            let mut kinds: Vec<_> = choices
                .iter()
                .filter(|choice| choice["type"] != "null")
                .map(|choice| Self::new(choice, root))
                .collect();
            return if kinds.len() == 1 { kinds.remove(0) } else { Self::one_of(kinds) };
        }
        if let Some(words) = schema["enum"].as_array() {
            return Self::Words(words.iter().filter_map(word).collect());
        }
        if let Some(word) = word(&schema["const"]) {
            return Self::Words(vec![word]);
        }
        match (type_name(schema), schema["format"].as_str()) {
            ("integer", _) => Self::Integer(Bounds::new(schema)),
            ("number", _) => Self::Number(Bounds::new(schema)),
            ("boolean", _) => Self::Boolean,
            ("string", Some("path")) => Self::Path,
            ("string", _) => Self::Name,
            ("array", _) if schema["minItems"] == 2 && schema["maxItems"] == 2 => {
                Self::Pair(Bounds::new(&schema["items"]))
            }
            ("array", _) => Self::List(Box::new(Self::new(&schema["items"], root))),
            ("object", _) if schema["additionalProperties"].is_object() => {
                Self::Map(Box::new(Self::new(&schema["additionalProperties"], root)))
            }
            ("object", _) => {
                let required = schema["required"].as_array();
                let keys = schema["properties"].as_object().into_iter().flatten();
                let key = |(name, kind): (&String, &Schema)| TableKey {
                    name: name.clone(),
                    kind: Self::new(kind, root),
                    required: required
                        .is_some_and(|required| required.iter().any(|key| key == name)),
                };
                Self::Table(keys.map(key).collect())
            }
            _ => unreachable!(
                "a configuration has a setting of a kind that sweep files do not know: {schema}"
            ),
        }
    }

    /// The kind of values that are like `value`: of its type.
    pub(super) fn like(value: &Value) -> Self {
        const ANY: Bounds = Bounds { min: None, above: None, max: None, below: None };
        match value {
            Value::Text(_) => Self::Text,
            Value::Integer(_) => Self::Integer(ANY),
            Value::Float(_) => Self::Number(ANY),
            Value::Boolean(_) => Self::Boolean,
            Value::Array(_) => Self::List(Box::new(Self::Anything)),
            Value::Table(_) => Self::Map(Box::new(Self::Anything)),
            Value::Date | Value::HugeNumber => Self::Anything,
        }
    }

    /// Words beside words are one list of words.
    fn one_of(kinds: Vec<Self>) -> Self {
        let mut merged: Vec<Self> = Vec::new();
        for kind in kinds {
            match (merged.last_mut(), kind) {
                (Some(Self::Words(words)), Self::Words(more)) => words.extend(more),
                (_, kind) => merged.push(kind),
            }
        }
        if merged.len() == 1 { merged.remove(0) } else { Self::OneOf(merged) }
    }

    /// Why `node` is no such value, if it is none.
    pub(super) fn mismatch(&self, node: &Node) -> Option<Mismatch> {
        let label = match (self, &node.value) {
            (_, Value::HugeNumber) => format!("this is {}", node.value.kind()),
            (Self::Integer(bounds) | Self::Number(bounds), Value::Integer(number)) => {
                bounds.broken_by(*number as f64, number)?
            }
            (Self::Number(_), Value::Float(number)) if !number.is_finite() => {
                format!("{number} is not a finite number")
            }
            (Self::Number(bounds), Value::Float(number)) => {
                bounds.broken_by(*number, &node.value)?
            }
            (Self::Boolean, Value::Boolean(_)) => return None,
            (Self::Words(words), Value::Text(text)) if words.contains(text) => return None,
            (Self::Words(words), Value::Text(text)) => {
                match nearest(text, words.iter().map(String::as_str)) {
                    Some(word) => format!("did you mean \"{word}\"?"),
                    None => "not one of them".to_owned(),
                }
            }
            (Self::Path | Self::Name, Value::Text(text)) if text.is_empty() => {
                "this is empty".to_owned()
            }
            (Self::Path | Self::Name | Self::Text, Value::Text(_)) => return None,
            (Self::Anything, Value::Float(number)) if !number.is_finite() => {
                format!("{number} is not a finite number")
            }
            (Self::Anything, Value::Array(items)) => {
                return items.iter().find_map(|item| self.mismatch(item));
            }
            (Self::Anything, Value::Table(entries)) => {
                return entries.iter().find_map(|entry| self.mismatch(&entry.value));
            }
            (Self::Anything, value) if !matches!(value, Value::Date) => return None,
            (Self::Table(keys), Value::Table(entries)) => {
                return table_mismatch(keys, entries, &node.span);
            }
            (Self::Map(kind), Value::Table(entries)) => {
                return entries.iter().find_map(|entry| kind.mismatch(&entry.value));
            }
            (Self::List(kind), Value::Array(items)) => {
                return items.iter().find_map(|item| kind.mismatch(item));
            }
            (Self::Pair(bounds), Value::Array(items)) => {
                return pair_mismatch(*bounds, items, &node.span);
            }
            (Self::OneOf(kinds), _) => return one_of_mismatch(kinds, node),
            (_, value) => format!("this is {}", value.kind()),
        };
        Some(Mismatch { span: node.span.clone(), label, help: self.help(&node.value) })
    }

    /// What to write instead of a value that looks right and is not.
    fn help(&self, value: &Value) -> Option<String> {
        match (self, value) {
            (Self::Integer(_) | Self::Number(_), Value::Text(text)) => text
                .trim()
                .parse::<f64>()
                .ok()
                .map(|_| format!("without the quotes: {}", text.trim())),
            (Self::Boolean, Value::Text(text)) => text
                .trim()
                .parse::<bool>()
                .ok()
                .map(|_| format!("without the quotes: {}", text.trim())),
            (Self::Integer(_), Value::Float(number)) if number.fract() == 0.0 => {
                Some(format!("without the decimal point: {number:.0}"))
            }
            (Self::Path | Self::Text | Self::Anything, Value::Date) => {
                Some("put it in quotes".to_owned())
            }
            (Self::Pair(_), Value::Integer(_) | Value::Float(_)) => Some(PAIR.to_owned()),
            _ => None,
        }
    }

    /// Whether a value of it may be a table.
    pub(super) fn admits_table(&self) -> bool {
        match self {
            Self::Table(_) | Self::Map(_) => true,
            Self::OneOf(kinds) => kinds.iter().any(Self::admits_table),
            _ => false,
        }
    }

    /// Whether `text`, a value of it, names a file or folder.
    pub(super) fn is_path(&self, text: &str) -> bool {
        match self {
            Self::Path => true,
            Self::OneOf(kinds) => {
                let is_word = |kind: &Self| matches!(kind, Self::Words(words) if words.iter().any(|word| word == text));
                !kinds.iter().any(is_word) && kinds.contains(&Self::Path)
            }
            _ => false,
        }
    }

    fn has_a_key_of(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Table(keys), Value::Table(entries)) => {
                keys.iter().any(|key| entries.iter().any(|entry| entry.key == key.name))
            }
            _ => true,
        }
    }

    /// Whether TOML of the right type is here, whatever its value.
    fn has_type_of(&self, value: &Value) -> bool {
        match self {
            Self::Integer(_) => matches!(value, Value::Integer(_)),
            Self::Number(_) => matches!(value, Value::Integer(_) | Value::Float(_)),
            Self::Boolean => matches!(value, Value::Boolean(_)),
            Self::Words(_) | Self::Path | Self::Name | Self::Text => {
                matches!(value, Value::Text(_))
            }
            Self::Anything => true,
            Self::Table(_) | Self::Map(_) => matches!(value, Value::Table(_)),
            Self::List(_) | Self::Pair(_) => matches!(value, Value::Array(_)),
            Self::OneOf(kinds) => kinds.iter().any(|kind| kind.has_type_of(value)),
        }
    }
}

fn table_mismatch(keys: &[TableKey], entries: &[Entry], span: &Range<usize>) -> Option<Mismatch> {
    for entry in entries {
        let Some(TableKey { kind, .. }) = keys.iter().find(|key| key.name == entry.key) else {
            let label = match nearest(&entry.key, keys.iter().map(|key| key.name.as_str())) {
                Some(key) => format!("did you mean `{key}`?"),
                None => "no such key here".to_owned(),
            };
            return Some(Mismatch { span: entry.key_span.clone(), label, help: None });
        };
        if let Some(mismatch) = kind.mismatch(&entry.value) {
            return Some(mismatch);
        }
    }
    let is_missing =
        |key: &&TableKey| key.required && !entries.iter().any(|entry| entry.key == key.name);
    let label = format!("`{}` is missing here", keys.iter().find(is_missing)?.name);
    Some(Mismatch { span: span.clone(), label, help: None })
}

/// What two numbers are written as.
const PAIR: &str = "the least and the most, such as [0.8, 1.2]";

fn pair_mismatch(bounds: Bounds, items: &[Node], span: &Range<usize>) -> Option<Mismatch> {
    let example = Some(PAIR.to_owned());
    if let Some(mismatch) = items.iter().find_map(|item| Kind::Number(bounds).mismatch(item)) {
        return Some(Mismatch { help: mismatch.help.or(example), ..mismatch });
    }
    let number = |node: &Node| match node.value {
        Value::Integer(number) => number as f64,
        Value::Float(number) => number,
        _ => f64::NAN,
    };
    let label = match items {
        [low, high] if number(low) <= number(high) => return None,
        [_, _] => "the first is the larger one".to_owned(),
        [_] => "this is one number, not two".to_owned(),
        items => format!("these are {} numbers, not two", items.len()),
    };
    Some(Mismatch { span: span.clone(), label, help: example })
}

fn one_of_mismatch(kinds: &[Kind], node: &Node) -> Option<Mismatch> {
    let mut of_type = None;
    for kind in kinds {
        let mismatch = kind.mismatch(node)?;
        // Of several tables the one that is meant is the one that has such a key.
        if kind.has_type_of(&node.value) && (of_type.is_none() || kind.has_a_key_of(&node.value)) {
            of_type = Some(mismatch);
        }
    }
    let label = format!("this is {}", node.value.kind());
    Some(of_type.unwrap_or(Mismatch { span: node.span.clone(), label, help: None }))
}

/// The schema that `$ref` names, or the schema itself.
pub(super) fn followed<'a>(schema: &'a Schema, root: &'a Schema) -> &'a Schema {
    schema["$ref"]
        .as_str()
        .and_then(|reference| root.pointer(reference.trim_start_matches('#')))
        .unwrap_or(schema)
}

fn choices(schema: &Schema) -> Option<&Vec<Schema>> {
    schema["anyOf"].as_array().or(schema["oneOf"].as_array())
}

fn word(value: &Schema) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// The type besides null.
fn type_name(schema: &Schema) -> &str {
    let is_type = |name: &&str| *name != "null";
    let mut names = schema["type"].as_array().into_iter().flatten().filter_map(Schema::as_str);
    schema["type"].as_str().or_else(|| names.find(is_type)).unwrap_or_default()
}

/// Whether null, that is absence, is a value.
pub(super) fn is_optional(schema: &Schema) -> bool {
    let is_null = |kind: &Schema| kind == "null" || kind["type"] == "null";
    choices(schema).or(schema["type"].as_array()).is_some_and(|kinds| kinds.iter().any(is_null))
}

impl Bounds {
    fn new(schema: &Schema) -> Self {
        let is_u32 = schema["format"] == "uint32";
        Self {
            min: schema["minimum"].as_f64(),
            above: schema["exclusiveMinimum"].as_f64(),
            max: schema["maximum"].as_f64().or(is_u32.then_some(f64::from(u32::MAX))),
            below: schema["exclusiveMaximum"].as_f64(),
        }
    }

    /// What is wrong with `number`, if anything is.
    fn broken_by(&self, number: f64, shown: &dyn fmt::Display) -> Option<String> {
        let too_small = self.min.is_some_and(|min| number < min)
            || self.above.is_some_and(|above| number <= above);
        let too_large = self.max.is_some_and(|max| number > max)
            || self.below.is_some_and(|below| number >= below);
        match (too_small, too_large, self.max) {
            (false, false, _) => None,
            (true, _, _) => Some(format!("{shown} is too small")),
            (_, true, Some(max)) => Some(format!("{shown} is more than {max}")),
            (_, true, None) => Some(format!("{shown} is too large")),
        }
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let max = self.max.filter(|max| *max < f64::from(u32::MAX));
        match (self.min, self.above, max, self.below) {
            (Some(min), _, Some(max), _) => write!(f, " from {min} to {max}"),
            (Some(min), _, None, None) => write!(f, ", {min} or more"),
            (Some(min), _, None, Some(below)) => write!(f, ", {min} or more and below {below}"),
            (None, Some(above), None, Some(below)) => write!(f, " above {above} and below {below}"),
            (None, Some(above), None, None) => write!(f, " above {above}"),
            _ => Ok(()),
        }
    }
}

/// For "must be ...".
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alternatives = self.alternatives();
        for (index, alternative) in alternatives.iter().enumerate() {
            let separator = match index {
                0 => "",
                last if last + 1 == alternatives.len() => " or ",
                _ => ", ",
            };
            write!(f, "{separator}{alternative}")?;
        }
        Ok(())
    }
}

impl Kind {
    /// Each thing that a value may be.
    fn alternatives(&self) -> Vec<String> {
        match self {
            Self::Integer(bounds) => vec![format!("a whole number{bounds}")],
            Self::Number(bounds) => vec![format!("a number{bounds}")],
            Self::Boolean => vec!["true".to_owned(), "false".to_owned()],
            Self::Words(words) => words.iter().map(|word| format!("\"{word}\"")).collect(),
            Self::Path => vec!["a path in quotes".to_owned()],
            Self::Name => vec!["a name in quotes".to_owned()],
            Self::Text => vec!["text in quotes".to_owned()],
            Self::Anything => vec!["text, a number, true, false, a list or a table".to_owned()],
            Self::Table(keys) => {
                let key = |key: &TableKey| match key.required {
                    true => format!("{} = ...", key.name),
                    false => format!("[{} = ...]", key.name),
                };
                let mut keys: Vec<_> = keys.iter().collect();
                keys.sort_by_key(|key| !key.required);
                let keys: Vec<_> = keys.into_iter().map(key).collect();
                vec![format!("{{ {} }}", keys.join(", "))]
            }
            Self::Map(kind) => vec![format!("{{ name = {kind}, ... }}")],
            Self::List(kind) => vec![format!("a list, each {kind}")],
            Self::Pair(bounds) => vec![format!("[lowest, highest], each a number{bounds}")],
            Self::OneOf(kinds) => kinds.iter().flat_map(Self::alternatives).collect(),
        }
    }
}
