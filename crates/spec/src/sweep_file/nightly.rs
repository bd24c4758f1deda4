//! Nightly files, read as sweep files are: every problem at its line.

use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::document::{entries_of, table, unknown_in};
use super::error::{LoadError, Problem};
use super::keys::Keys;
use super::levels::line;
use super::scalars;
use super::source::{Reader, Source, unreadable};
use super::suggest::nearest;
use super::value::{Entry, Node, Value};
use crate::nightly::{CompareWith, FeatureLife, Nightly, Regression, Timezone};

const KEYS: [&str; 15] = [
    "sweeps",
    "budget",
    "devices",
    "per_device",
    "wait_free_memory",
    "wait_limit",
    "reports",
    "keep",
    "timezone",
    "features",
    "compare_with",
    "regression",
    "on_finish",
    "on_regression",
    "hook_time_limit",
];
const REGRESSION_KEYS: [&str; 3] = ["alpha", "margin", "lost_runs"];

/// More workers on one GPU than this are a slip of the finger.
const MOST_PER_DEVICE: i64 = 64;
/// More nights than this are a slip of the finger.
const MOST_KEPT: i64 = 100_000;
const LAST_GOOD: &str = "last good";

/// Reads a nightly file. The sweep files that it names have to be there, and are not read.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn load_nightly(file: &Path) -> Result<Nightly, LoadError> {
    let mut problems = Vec::new();
    match resolve(file, &mut problems) {
        Some(nightly) if problems.is_empty() => Ok(nightly),
        _ => Err(LoadError::new(file, problems)),
    }
}

/// The file's content; none only when there are problems.
fn resolve(file: &Path, problems: &mut Vec<Problem>) -> Option<Nightly> {
    let source = Source::read(file, 0).map_err(|problem| problems.push(problem)).ok()?;
    let mut reader = Reader { source: &source, problems, keys: Keys::builtin() };
    let entries = entries_of(&mut reader)?;
    let mut sweeps = None;
    let mut nightly = Nightly {
        name: file.file_stem().map(|stem| stem.to_string_lossy().into()).unwrap_or_default(),
        file: file.to_owned(),
        sweeps: Vec::new(),
        budget: None,
        devices: None,
        per_device: None,
        wait_free_memory: None,
        wait_limit: None,
        reports: None,
        keep: NonZeroU32::MIN.saturating_add(29),
        timezone: Timezone::default(),
        features: FeatureLife::default(),
        compare_with: CompareWith::default(),
        regression: Regression::default(),
        on_finish: None,
        on_regression: None,
        hook_time_limit: Duration::from_secs(60),
    };
    for entry in &entries {
        match entry.key.as_str() {
            "sweeps" => sweeps = self::sweeps(&entry.value, &mut reader),
            _ => read_entry(entry, &mut nightly, &mut reader),
        }
    }
    match sweeps {
        Some(sweeps) => nightly.sweeps = sweeps,
        None if entries.iter().any(|entry| entry.key == "sweeps") => {}
        None => {
            let problem = Problem::new("a nightly file must name its sweeps")
                .with_help("such as sweeps = [\"../sweeps/batch_size.toml\"]");
            reader.report(&(0..0), "`sweeps` is missing", problem);
        }
    }
    Some(nightly)
}

fn read_entry(entry: &Entry, nightly: &mut Nightly, reader: &mut Reader<'_>) {
    let (key, node) = (entry.key.as_str(), &entry.value);
    match key {
        "budget" => nightly.budget = off_or(node, || time(key, node, reader)).flatten(),
        "devices" => nightly.devices = devices(node, reader),
        "per_device" => nightly.per_device = number(key, MOST_PER_DEVICE, node, reader),
        "wait_free_memory" => {
            nightly.wait_free_memory = off_or(node, || memory(node, reader)).flatten();
        }
        "wait_limit" => nightly.wait_limit = time(key, node, reader),
        "reports" => {
            let folder = line("`reports`", node, reader);
            nightly.reports = folder.map(|folder| reader.source.absolute(&folder));
        }
        "keep" => set(&mut nightly.keep, number(key, MOST_KEPT, node, reader)),
        "timezone" => {
            let words = [("local", Timezone::Local), ("utc", Timezone::Utc)];
            set(&mut nightly.timezone, word(key, &words, node, reader));
        }
        "features" => {
            let words = [("night", FeatureLife::Night), ("toolchain", FeatureLife::Toolchain)];
            set(&mut nightly.features, word(key, &words, node, reader));
        }
        "compare_with" => set(&mut nightly.compare_with, compare_with(node, reader)),
        "on_finish" => nightly.on_finish = off_or(node, || command(key, node, reader)).flatten(),
        "on_regression" => {
            nightly.on_regression = off_or(node, || command(key, node, reader)).flatten();
        }
        "hook_time_limit" => set(&mut nightly.hook_time_limit, time(key, node, reader)),
        "regression" => {
            for entry in table("regression", node, reader).into_iter().flatten() {
                read_regression(entry, &mut nightly.regression, reader);
            }
        }
        _ => unknown(entry, reader),
    }
}

fn read_regression(entry: &Entry, regression: &mut Regression, reader: &mut Reader<'_>) {
    let (key, node) = (entry.key.as_str(), &entry.value);
    match key {
        "alpha" => set(&mut regression.alpha, fraction(key, 0.000_001, 0.5, node, reader)),
        "margin" => set(&mut regression.margin, fraction(key, 0.0, 1.0, node, reader)),
        "lost_runs" => match node.value {
            Value::Boolean(counts) => regression.lost_runs = counts,
            ref value => {
                let problem = Problem::new("`regression.lost_runs` must be true or false");
                reader.report(&node.span, format!("this is {}", value.kind()), problem);
            }
        },
        _ => unknown_in("regression", &REGRESSION_KEYS, entry, reader),
    }
}

/// What was read, if it could be.
fn set<T>(place: &mut T, read: Option<T>) {
    if let Some(value) = read {
        *place = value;
    }
}

/// `false` for none.
fn off_or<T>(node: &Node, read: impl FnOnce() -> Option<T>) -> Option<Option<T>> {
    match node.value {
        Value::Boolean(false) => Some(None),
        _ => read().map(Some),
    }
}

fn sweeps(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<PathBuf>> {
    let list = scalars::lines("sweeps", "\"batch_size.toml\"", |_| None, node, reader)?;
    if list.is_empty() && matches!(&node.value, Value::Array(items) if items.is_empty()) {
        let problem = Problem::new("`sweeps` is empty").with_help("name one sweep file at least");
        reader.report(&node.span, "no sweep here", problem);
        return None;
    }
    let Value::Array(items) = &node.value else { return None };
    for Node { value, span, .. } in items {
        let Value::Text(file) = value else { continue };
        if file.trim().is_empty() {
            continue;
        }
        let file = reader.source.absolute(file);
        // A folder is told of by its kind: it can be looked at.
        let problem = match fs_err::metadata(&file) {
            Ok(found) if found.is_dir() => unreadable(&file, &io::ErrorKind::IsADirectory.into()),
            Ok(_) => continue,
            Err(error) => unreadable(&file, &error),
        };
        reader.report(span, "one of the sweeps", problem);
    }
    Some(list.iter().map(|file| reader.source.absolute(file)).collect())
}

fn time(key: &str, node: &Node, reader: &mut Reader<'_>) -> Option<Duration> {
    scalars::duration(key, "such as \"8h\" or \"1h 30m\"", node, reader)
}

fn number(key: &str, most: i64, node: &Node, reader: &mut Reader<'_>) -> Option<NonZeroU32> {
    let number = scalars::whole(key, 1..=most, node, reader)?;
    u32::try_from(number).ok().and_then(NonZeroU32::new)
}

fn memory(node: &Node, reader: &mut Reader<'_>) -> Option<u64> {
    let label = match &node.value {
        Value::Text(text) => match text.parse::<bytesize::ByteSize>() {
            Ok(size) => return Some(size.as_u64()),
            Err(_) => "not an amount of memory".to_owned(),
        },
        value => format!("this is {}", value.kind()),
    };
    let problem = Problem::new("`wait_free_memory` must be an amount of memory")
        .with_help("such as \"20GiB\", or false to wait for nothing");
    reader.report(&node.span, label, problem);
    None
}

fn devices(node: &Node, reader: &mut Reader<'_>) -> Option<crate::devices::Devices> {
    super::schedule::devices("devices", node, reader)
}

fn word<T: Copy>(
    key: &str,
    words: &[(&str, T)],
    node: &Node,
    reader: &mut Reader<'_>,
) -> Option<T> {
    let names = || words.iter().map(|(name, _)| *name);
    let label = match &node.value {
        Value::Text(text) => match words.iter().find(|(name, _)| name == text) {
            Some((_, value)) => return Some(*value),
            None => match nearest(text, names()) {
                Some(name) => format!("did you mean \"{name}\"?"),
                None => "no such word".to_owned(),
            },
        },
        value => format!("this is {}", value.kind()),
    };
    let list: Vec<String> = names().map(|name| format!("\"{name}\"")).collect();
    let problem = Problem::new(format!("`{key}` must be {}", list.join(" or ")));
    reader.report(&node.span, label, problem);
    None
}

fn compare_with(node: &Node, reader: &mut Reader<'_>) -> Option<CompareWith> {
    let text = line("`compare_with`", node, reader)?;
    // A night is named after a day: 2026-11-26, or 2026-11-26.2 for the second one of that day.
    let is_night = text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || c == '-' || c == '.');
    match text.as_str() {
        LAST_GOOD => Some(CompareWith::LastGood),
        _ if is_night => Some(CompareWith::Night(text)),
        _ => {
            let problem =
                Problem::new(format!("`compare_with` must be \"{LAST_GOOD}\" or a night"))
                    .with_help("a night is called after its day, such as \"2026-11-26\"");
            reader.report(&node.span, "neither", problem);
            None
        }
    }
}

fn command(key: &str, node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    let label = match &node.value {
        Value::Text(text) if text.trim().is_empty() => "empty".to_owned(),
        Value::Text(text) if text.contains('\0') => "a zero byte is in it".to_owned(),
        Value::Text(text) => return Some(text.clone()),
        value => format!("this is {}", value.kind()),
    };
    let problem = Problem::new(format!("`{key}` must be a command line for sh")).with_help(
        format!("such as {key} = \"mail -s nightly me@example.org\", or false for none"),
    );
    reader.report(&node.span, label, problem);
    None
}

fn fraction(key: &str, least: f64, most: f64, node: &Node, reader: &mut Reader<'_>) -> Option<f64> {
    let number = match node.value {
        Value::Float(number) => Some(number),
        Value::Integer(number) => Some(number as f64),
        _ => None,
    };
    let label = match number {
        Some(number) if (least..=most).contains(&number) => return Some(number),
        Some(_) => "out of bounds".to_owned(),
        None => format!("this is {}", node.value.kind()),
    };
    let message = format!("`regression.{key}` must be a number from {least} to {most}");
    reader.report(&node.span, label, Problem::new(message));
    None
}

fn unknown(entry: &Entry, reader: &mut Reader<'_>) {
    let is_a_sweeps = ["extends", "factors", "replicates", "data", "model", "train", "baseline"];
    let label = match nearest(&entry.key, KEYS) {
        _ if is_a_sweeps.contains(&entry.key.as_str()) => {
            "this belongs in a sweep file, which `sweep run` takes".to_owned()
        }
        Some(key) => format!("did you mean `{key}`?"),
        None => "unknown key".to_owned(),
    };
    let problem = Problem::new(format!("a nightly file has no key `{}`", entry.key))
        .with_help(format!("its keys are {}", KEYS.join(", ")));
    reader.report(&entry.key_span, label, problem);
}
