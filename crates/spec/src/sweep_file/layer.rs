//! One layer of settings: what one file, one level or one `--set` changes.

use std::ops::Range;

use super::error::Problem;
use super::keys::{NameError, PARAMS, Section, Target};
use super::source::{Place, Reader};
use super::value::{Entry, Node, Value};

/// Changes, no two of which speak of the same thing.
#[derive(Debug, Clone, Default)]
pub(super) struct Layer {
    pub(super) settings: Vec<Setting>,
}

/// One change and where it is written.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    pub(super) target: Target,
    pub(super) change: Change,
    pub(super) key: Place,
    pub(super) value: Place,
}

#[derive(Debug, Clone)]
pub(super) enum Change {
    /// The key has this value.
    Set(Node),
    /// The key is left out; the section is off.
    Remove,
    /// The section is on.
    On,
    /// A value that was reported as wrong.
    Wrong,
}

impl Layer {
    /// Reads a table that may name every key: `[baseline]`, or a level that changes several keys.
    /// A key of the section `nearest` goes by its own name, whatever other sections have.
    pub(super) fn read_table(
        &mut self,
        entries: &[Entry],
        nearest: Option<&'static Section>,
        reader: &mut Reader<'_>,
    ) {
        for entry in entries {
            let near =
                nearest.and_then(|section| Some(Target::Key(section, section.key(&entry.key)?)));
            if let Some(target) = near.or_else(|| find(&entry.key, &entry.key_span, reader)) {
                self.read(target, &entry.key_span, &entry.value, reader);
            }
        }
    }

    /// Notes that a level or a table switches `section` on.
    pub(super) fn switch_on(
        &mut self,
        section: &'static Section,
        span: &Range<usize>,
        node: &Node,
        reader: &mut Reader<'_>,
    ) {
        self.add(Target::Section(section), Change::On, span, node, reader);
    }

    /// Reads what `target` is set to.
    pub(super) fn read(
        &mut self,
        target: Target,
        key_span: &Range<usize>,
        node: &Node,
        reader: &mut Reader<'_>,
    ) {
        let change = match (target, &node.value) {
            (Target::Section(section), Value::Table(entries)) => {
                self.switch_on(section, key_span, node, reader);
                self.read_section(section, entries, reader);
                return;
            }
            (Target::Section(section), Value::Boolean(true)) if section.optional => Change::On,
            (Target::Section(section), Value::Boolean(false)) if section.optional => Change::Remove,
            (Target::Section(section), value) => {
                let label = format!("this is {}", value.kind());
                let problem = not_a_section(section, reader.keys.home(&section.name));
                reader.report(&node.span, label, problem);
                return;
            }
            (Target::Key(_, key), Value::Boolean(false)) if key.optional => Change::Remove,
            (Target::Key(_, key), _) => match key.kind.mismatch(node) {
                None => Change::Set(node.clone()),
                Some(mismatch) => {
                    let or_off = if key.optional { ", or false to leave it out" } else { "" };
                    let problem =
                        Problem::new(format!("`{}` must be {}{or_off}", key.path, key.kind));
                    let problem = match (mismatch.help, &node.value) {
                        (Some(help), _) => problem.with_help(help),
                        (None, Value::Array(_)) => {
                            problem.with_help("to compare several values, list them in [factors]")
                        }
                        (None, _) => problem,
                    };
                    reader.report(&mismatch.span, mismatch.label, problem);
                    Change::Wrong
                }
            },
        };
        self.add(target, change, key_span, node, reader);
    }

    /// Reads the table of a section, which names its keys alone.
    fn read_section(
        &mut self,
        section: &'static Section,
        entries: &[Entry],
        reader: &mut Reader<'_>,
    ) {
        for entry in entries {
            match section.key(&entry.key) {
                Some(key) => {
                    self.read(Target::Key(section, key), &entry.key_span, &entry.value, reader);
                }
                None => {
                    let label = match (section.nearest(&entry.key), reader.keys.home(&entry.key)) {
                        (Some(name), _) => format!("did you mean `{name}`?"),
                        (None, Some(home)) => format!("this belongs in [{home}]"),
                        (None, None) => "unknown key".to_owned(),
                    };
                    let problem = Problem::new(format!(
                        "[{}] has no key {}",
                        section.name,
                        shown(&entry.key)
                    ))
                    .with_help(keys_of(section));
                    reader.report(&entry.key_span, label, problem);
                }
            }
        }
    }

    fn add(
        &mut self,
        target: Target,
        change: Change,
        key_span: &Range<usize>,
        node: &Node,
        reader: &mut Reader<'_>,
    ) {
        let setting = Setting {
            target,
            change,
            key: reader.place(key_span),
            value: reader.place(&node.span),
        };
        match self.settings.iter().find(|other| other.contradicts(&setting)) {
            None => self.settings.push(setting),
            Some(other) => {
                let path = target.path();
                let message = if setting.switches_off() != other.switches_off() {
                    format!("[{}] is both set and switched off", target.section().name)
                } else {
                    format!("`{path}` is set twice")
                };
                let label = |setting: &Setting| match setting.switches_off() {
                    true => "switched off here",
                    false => "set here",
                };
                let problem = Problem::new(message)
                    .at(&setting.key, label(&setting))
                    .at(&other.key, label(other));
                reader.problems.push(problem.with_help("keep one of the two"));
            }
        }
    }
}

impl Setting {
    fn switches_off(&self) -> bool {
        matches!((self.target, &self.change), (Target::Section(_), Change::Remove))
    }

    /// Whether a reader could not tell which of the two holds.
    fn contradicts(&self, other: &Self) -> bool {
        match (self.target, other.target) {
            (Target::Key(_, one), Target::Key(_, other)) => one.path == other.path,
            _ => {
                self.target.section().name == other.target.section().name
                    && (self.switches_off() || other.switches_off())
            }
        }
    }
}

/// What a name stands for in a place where every key may be named.
pub(super) fn find(name: &str, span: &Range<usize>, reader: &mut Reader<'_>) -> Option<Target> {
    let keys = reader.keys;
    let (problem, label) = match keys.find(name) {
        Ok(target) => return Some(target),
        Err(NameError::Unknown) => (
            Problem::new(format!("there is no key {}", shown(name)))
                .with_help(format!("the keys are\n{}", keys.listing())),
            match keys.nearest(name) {
                Some(nearest) => format!("did you mean `{nearest}`?"),
                None => "unknown key".to_owned(),
            },
        ),
        Err(NameError::Ambiguous(paths)) => (
            Problem::new(format!("{} could be several keys", shown(name)))
                .with_help(format!("write one of {}", paths.join(", "))),
            "which one?".to_owned(),
        ),
    };
    reader.report(span, label, problem);
    None
}

fn not_a_section(section: &Section, home: Option<&str>) -> Problem {
    let name = &section.name;
    let problem = if section.optional {
        Problem::new(format!("`{name}` must be a table of settings, or true or false"))
    } else {
        Problem::new(format!("`{name}` must be a table of settings"))
    };
    // Such as `train`, the folder of training images.
    match home {
        Some(home) => problem.with_help(format!("or is `{home}.{name}` meant?")),
        None => problem.with_help(keys_of(section)),
    }
}

fn keys_of(section: &Section) -> String {
    let listing = section.listing();
    match (section.name.as_str(), listing.as_str()) {
        (PARAMS, "") => "no file has a [params] that declares them".to_owned(),
        (PARAMS, _) => format!(
            "its keys are {listing}; the file that the others extend declares them in its [params]"
        ),
        _ => format!("its keys are {listing}"),
    }
}

/// A name from a file as messages show it.
pub(super) fn shown(name: &str) -> String {
    format!("`{}`", name.escape_debug())
}
