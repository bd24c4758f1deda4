//! One sweep file by itself, before what it extends is known.

use std::sync::Arc;

use toml::de::DeTable;

use super::error::Problem;
use super::keys::{Keys, PARAMS, Target};
use super::layer::{Layer, shown};
use super::levels::{WrittenFactor, line};
use super::schedule::WrittenSchedule;
use super::score::WrittenScore;
use super::slurm::WrittenSlurm;
use super::source::{Place, Reader, Source};
use super::strategy::{self, WrittenStrategy};
use super::suggest::nearest;
use super::value::{Entry, Node, Value, entries};

/// The keys of a sweep file besides the sections of the configuration.
const OWN_KEYS: [&str; 7] =
    ["extends", "title", "baseline", "factors", "schedule", "slurm", "score"];

/// The same, with those that say how the sweep becomes configurations.
pub(super) fn own_keys() -> impl Iterator<Item = &'static str> {
    let (head, tail) = OWN_KEYS.split_at(2);
    head.iter().chain(&strategy::KEYS).chain(tail).copied()
}

/// What one file says.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) title: Option<String>,
    pub(super) strategy: WrittenStrategy,
    pub(super) schedule: WrittenSchedule,
    pub(super) slurm: WrittenSlurm,
    pub(super) score: WrittenScore,
    pub(super) baseline: Layer,
    pub(super) factors: Vec<WrittenFactor>,
}

/// What a file's text says, as TOML; none when it is none.
pub(super) fn parse(source: &Arc<Source>, problems: &mut Vec<Problem>) -> Option<Vec<Entry>> {
    entries_of(&mut Reader { source, problems, keys: Keys::builtin() })
}

/// The file that a file extends, and where it names it.
pub(super) fn extends(
    source: &Arc<Source>,
    entries: &[Entry],
    problems: &mut Vec<Problem>,
) -> Option<(String, Place)> {
    let entry = entries.iter().find(|entry| entry.key == "extends")?;
    let mut reader = Reader { source, problems, keys: Keys::builtin() };
    let place = reader.place(&entry.value.span);
    Some((line("`extends`", &entry.value, &mut reader)?, place))
}

impl Document {
    /// Reads the entries of a file, where `keys` may be set. What is wrong goes to `problems` and is left
    /// out.
    pub(super) fn read(
        source: &Arc<Source>,
        entries: &[Entry],
        keys: &'static Keys,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut reader = Reader { source, problems, keys };
        let mut document = Self::default();
        for entry in entries {
            document.read_entry(entry, &mut reader);
        }
        document
    }

    fn read_entry(&mut self, entry: &Entry, reader: &mut Reader<'_>) {
        let node = &entry.value;
        match entry.key.as_str() {
            // Read before this.
            "extends" => {}
            "title" => self.title = line("`title`", node, reader),
            key if strategy::KEYS.contains(&key) => self.strategy.read_entry(entry, reader),
            "baseline" => {
                if let Some(entries) = table("baseline", node, reader) {
                    self.baseline.read_table(entries, None, reader);
                }
            }
            "factors" => self.read_factors(entry, reader),
            "schedule" => {
                for entry in table("schedule", node, reader).into_iter().flatten() {
                    self.schedule.read_entry(entry, reader);
                }
            }
            "slurm" => {
                for entry in table("slurm", node, reader).into_iter().flatten() {
                    self.slurm.read_entry(entry, reader);
                }
            }
            "score" => {
                for entry in table("score", node, reader).into_iter().flatten() {
                    self.score.read_entry(entry, reader);
                }
            }
            name => match reader.keys.section(name) {
                Some(section) => {
                    self.baseline.read(Target::Section(section), &entry.key_span, node, reader);
                }
                None => unknown_at_top(entry, reader),
            },
        }
    }

    fn read_factors(&mut self, entry: &Entry, reader: &mut Reader<'_>) {
        let Some(entries) = table("factors", &entry.value, reader) else {
            return;
        };
        if entries.is_empty() {
            let problem = Problem::new("[factors] is empty").with_help(
                "name what to vary, such as batch_size = [16, 32], or take [factors] out",
            );
            reader.report(&entry.key_span, "no factor here", problem);
        }
        let mut named = Vec::new();
        for entry in entries {
            match (&entry.value.value, reader.keys.section(&entry.key)) {
                // To TOML, `train.batch_size = [..]` is a table in a table, one for all of its kind.
                (Value::Table(inner), Some(section)) => named.extend(
                    inner.iter().map(|inner| (format!("{}.{}", section.name, inner.key), inner)),
                ),
                _ => named.push((entry.key.clone(), entry)),
            }
        }
        named.sort_by_key(|(_, entry)| entry.key_span.start);
        for (name, entry) in named {
            self.add_factor(name, entry, reader);
        }
    }

    fn add_factor(&mut self, name: String, entry: &Entry, reader: &mut Reader<'_>) {
        let Some(factor) = WrittenFactor::read(name, entry, reader) else {
            return;
        };
        match self.factors.iter().find(|other| other.is(&factor)) {
            None => self.factors.push(factor),
            Some(first) => {
                let (one, other) = (shown(&first.name), shown(&factor.name));
                reader.problems.push(
                    Problem::new(format!("{one} and {other} are the same factor"))
                        .at(&factor.place, "again here")
                        .at(&first.place, "first here")
                        .with_help("list all levels in one place"),
                );
            }
        }
    }
}

/// What stands at the top of a text; none when it is not even TOML.
pub(super) fn entries_of(reader: &mut Reader<'_>) -> Option<Vec<Entry>> {
    let (table, errors) = DeTable::parse_recoverable(reader.source.text());
    // After the first error the parser guesses, and its further errors confuse more than they help.
    if let Some(error) = errors.iter().min_by_key(|error| error.span().map(|span| span.start)) {
        report_syntax(error, reader);
        return None;
    }
    Some(entries(table.get_ref(), 0))
}

pub(super) fn table<'a>(
    name: &str,
    node: &'a Node,
    reader: &mut Reader<'_>,
) -> Option<&'a [Entry]> {
    match &node.value {
        Value::Table(entries) => Some(entries),
        value => {
            let problem = Problem::new(format!("`{name}` must be a table"))
                .with_help(format!("write [{name}] on a line of its own"));
            reader.report(&node.span, format!("this is {}", value.kind()), problem);
            None
        }
    }
}

pub(super) fn unknown_in(table: &str, keys: &[&str], entry: &Entry, reader: &mut Reader<'_>) {
    let label = match nearest(&entry.key, keys.iter().copied()) {
        Some(key) => format!("did you mean `{key}`?"),
        None => "unknown key".to_owned(),
    };
    let problem = Problem::new(format!("[{table}] has no key {}", shown(&entry.key)))
        .with_help(format!("its keys are {}", keys.join(", ")));
    reader.report(&entry.key_span, label, problem);
}

fn unknown_at_top(entry: &Entry, reader: &mut Reader<'_>) {
    if entry.key == PARAMS {
        let problem =
            Problem::new("[params] are settings of a trainer of your own, and there is none")
                .with_help(
                    "name its program: [trainer] with command = [\"python3\", \"train.py\"]",
                );
        reader.report(&entry.key_span, "whose settings?", problem);
        return;
    }
    let keys = reader.keys;
    let sections = || keys.sections.iter().map(|section| section.name.as_str());
    let near = nearest(&entry.key, own_keys().chain(sections()));
    let label = match (keys.home(&entry.key), near, &entry.value.value) {
        (Some(section), None, _) => format!("this belongs in [{section}]"),
        (Some(section), _, value) if !matches!(value, Value::Table(_)) => {
            format!("this belongs in [{section}]")
        }
        (_, Some(name), _) => format!("did you mean `{name}`?"),
        _ => "unknown key".to_owned(),
    };
    let sections: Vec<_> = sections().collect();
    let problem = Problem::new(format!("a sweep file has no key {} at its top", shown(&entry.key)))
        .with_help(format!(
            "its keys are {}; the sections of the baseline are {}",
            own_keys().chain(["trainer", PARAMS]).collect::<Vec<_>>().join(", "),
            sections.join(", ")
        ));
    reader.report(&entry.key_span, label, problem);
}

/// What the parser says, in the words of someone who wrote a sweep file.
fn report_syntax(error: &toml::de::Error, reader: &mut Reader<'_>) {
    let text = reader.source.text();
    let span = error.span().unwrap_or(text.len()..text.len());
    let written = text.get(span.clone()).unwrap_or_default().trim();
    let at_comma = text.get(span.start..).is_some_and(|rest| rest.starts_with(','));
    let message = error.message();
    let (label, help) = match message {
        "duplicate key" => ("this key is there already", Some("keep one of the two".to_owned())),
        "missing comma between array elements, expected `,`" => {
            ("a comma is missing before this, or the `]` of the list", None)
        }
        "invalid basic string, expected `\"`" | "invalid literal string, expected `'`" => {
            ("the closing quote is missing", None)
        }
        _ if message.starts_with("unexpected key or value") => (
            "the line should end here",
            at_comma.then(|| "a list stands in brackets: [16, 32]".to_owned()),
        ),
        _ if message.starts_with("string values must be quoted") && written.is_empty() => {
            ("a value is missing here", None)
        }
        _ if message.starts_with("string values must be quoted") => {
            ("text stands in quotes", Some(format!("write \"{written}\"")))
        }
        message => (message, None),
    };
    let problem = Problem::new(format!("{} is not TOML", reader.source.name()));
    let problem = match help {
        Some(help) => problem.with_help(help),
        None => problem,
    };
    reader.report(&span, label, problem);
}
