//! Ranges of numbers, `{ min = 1e-5, max = 1e-2, log = true }`, that a random search draws from.

use std::ops::Range;

use super::error::Problem;
use super::keys::{Key, Keys, Target};
use super::kind::Kind;
use super::layer::{Layer, shown};
use super::source::{Place, Reader};
use super::value::{Entry, Node, Value};

/// Numbers from `min` to `max`, both included.
#[derive(Debug, Clone)]
pub(super) struct WrittenRange {
    target: Target,
    min: f64,
    max: f64,
    /// Whether ratios count, and not distances: as many draws between 1 and 10 as between 10 and 100.
    log: bool,
    whole: bool,
    span: Range<usize>,
    pub(super) place: Place,
    /// What the file may set.
    keys: &'static Keys,
}

impl WrittenRange {
    /// Whether a factor's table means a range, and not several keys.
    pub(super) fn is_meant(entries: &[Entry]) -> bool {
        entries.iter().any(|entry| ["min", "max", "log"].contains(&entry.key.as_str()))
    }

    /// The range that `entries` write for a factor called `name`.
    pub(super) fn read(
        name: &str,
        target: Target,
        entries: &[Entry],
        node: &Node,
        reader: &mut Reader<'_>,
    ) -> Option<Self> {
        let whole = match target {
            Target::Key(_, key) => number_kind(key),
            Target::Section(_) => None,
        };
        let problem = |what: &str| Problem::new(format!("the range of {} {what}", shown(name)));
        let Some(whole) = whole else {
            let problem = problem("is of no numbers").with_help("list its levels instead");
            reader.report(&node.span, "this takes no range of numbers", problem);
            return None;
        };
        let (mut min, mut max, mut log) = (None, None, false);
        for entry in entries {
            match (entry.key.as_str(), &entry.value.value) {
                ("min" | "max", value) => {
                    let known = reader.problems.len();
                    // What the key itself says of such a value.
                    Layer::default().read(target, &entry.key_span, &entry.value, reader);
                    let number = number(value).filter(|_| reader.problems.len() == known)?;
                    *(if entry.key == "min" { &mut min } else { &mut max }) = Some(number);
                }
                ("log", Value::Boolean(is_log)) => log = *is_log,
                ("log", value) => {
                    let label = format!("this is {}", value.kind());
                    reader.report(
                        &entry.value.span,
                        label,
                        problem("has a `log` that is not true or false"),
                    );
                    return None;
                }
                _ => {
                    let unknown = problem(&format!("has no key {}", shown(&entry.key)));
                    reader.report(&entry.key_span, "unknown key", unknown.with_help(EXAMPLE));
                    return None;
                }
            }
        }
        let label = match (min, max) {
            (Some(min), Some(max)) if log && min <= 0.0 && min < max => {
                "a logarithm needs a `min` above 0"
            }
            (Some(min), Some(max)) if min < max => {
                let (span, place) = (node.span.clone(), reader.place(&node.span));
                return Some(Self { target, min, max, log, whole, span, place, keys: reader.keys });
            }
            (Some(_), Some(_)) => "`min` is not less than `max`",
            (None, _) => "`min` is missing here",
            (_, None) => "`max` is missing here",
        };
        reader.report(&node.span, label, problem("is none").with_help(EXAMPLE));
        None
    }

    /// The value at `share` of the way, from 0 up to but not including 1, with the label of its level.
    pub(super) fn at(&self, share: f64) -> (Node, String) {
        let value = match (self.log, self.whole) {
            // Each whole number has its own share of the way.
            (false, true) => self.min + (share * (self.max - self.min + 1.0)).floor(),
            (false, false) => self.min + share * (self.max - self.min),
            (true, _) => self.min * (self.max / self.min).powf(share),
        };
        let value = match self.whole {
            true => Value::Integer(value.round().clamp(self.min, self.max) as i64),
            false => Value::Float(rounded(value).clamp(self.min, self.max)),
        };
        let label = value.to_string();
        (Node { value, span: self.span.clone() }, label)
    }

    /// A layer that sets the value.
    pub(super) fn layer(&self, node: &Node, problems: &mut Vec<Problem>) -> Layer {
        let mut reader = Reader { source: &self.place.source, problems, keys: self.keys };
        let mut layer = Layer::default();
        layer.read(self.target, &self.span, node, &mut reader);
        layer
    }
}

const EXAMPLE: &str =
    "such as { min = 1e-5, max = 1e-2, log = true }; without `log` distances count, not ratios";

/// Whether the key takes whole numbers (true) or any (false); none where it takes none.
fn number_kind(key: &Key) -> Option<bool> {
    fn of(kind: &Kind) -> Option<bool> {
        match kind {
            Kind::Integer(_) => Some(true),
            Kind::Number(_) => Some(false),
            Kind::OneOf(kinds) => kinds.iter().find_map(of),
            _ => None,
        }
    }
    of(&key.kind)
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

/// To four digits, so that a table shows the very value that trained.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}
