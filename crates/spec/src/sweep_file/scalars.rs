//! Single values that are no keys of the configuration: numbers, times, words.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::error::Problem;
use super::source::Reader;
use super::value::{Node, Value};

/// A time such as `2h 30m`.
pub(super) fn duration(
    path: &str,
    help: &str,
    node: &Node,
    reader: &mut Reader<'_>,
) -> Option<Duration> {
    let label = match &node.value {
        Value::Text(text) => match humantime::parse_duration(text) {
            Ok(time) => return Some(time),
            Err(error) => error.to_string(),
        },
        value => format!("this is {}", value.kind()),
    };
    let problem = Problem::new(format!("`{path}` must be a time")).with_help(help);
    reader.report(&node.span, label, problem);
    None
}

/// A whole number within bounds.
pub(super) fn whole(
    path: &str,
    range: RangeInclusive<i64>,
    node: &Node,
    reader: &mut Reader<'_>,
) -> Option<i64> {
    let (least, most) = (range.start(), range.end());
    let label = match &node.value {
        Value::Integer(number) if range.contains(number) => return Some(*number),
        Value::Integer(number) => {
            format!("{number} is too {}", if number < least { "small" } else { "large" })
        }
        value => format!("this is {}", value.kind()),
    };
    let message = format!("`{path}` must be a whole number from {least} to {most}");
    reader.report(&node.span, label, Problem::new(message));
    None
}

/// A list of lines, of which `wrong` says why one may not be there.
pub(super) fn lines(
    path: &str,
    example: &str,
    wrong: impl Fn(&str) -> Option<String>,
    node: &Node,
    reader: &mut Reader<'_>,
) -> Option<Vec<String>> {
    let problem = || {
        Problem::new(format!("`{path}` must be a list of lines"))
            .with_help(format!("such as {path} = [{example}]"))
    };
    let Value::Array(items) = &node.value else {
        reader.report(&node.span, format!("this is {}", node.value.kind()), problem());
        return None;
    };
    let mut lines = Vec::new();
    for item in items {
        let label = match &item.value {
            Value::Text(text) if text.trim().is_empty() => "an empty line".to_owned(),
            Value::Text(text) if text.contains(|c: char| c.is_control() && c != '\t') => {
                "more than one line, or odd characters".to_owned()
            }
            Value::Text(text) => match wrong(text) {
                None => {
                    lines.push(text.clone());
                    continue;
                }
                Some(why) => why,
            },
            value => format!("this is {}", value.kind()),
        };
        reader.report(&item.span, label, problem());
    }
    Some(lines)
}
