//! Factors and their levels, by the rules that [the module above](super) tells.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::baseline;
use super::error::Problem;
use super::keys::{Keys, Target};
use super::layer::{Layer, find, shown};
use super::range::WrittenRange;
use super::source::{Place, Reader, Source};
use super::stack::Stack;
use super::value::{Entry, Node, Value};
use crate::config::Config;
use crate::sweep::{Factor, Level};

/// A factor as a file writes it.
#[derive(Debug, Clone)]
pub(super) struct WrittenFactor {
    pub(super) name: String,
    /// The key or section that it names; none when the name is free.
    target: Option<Target>,
    pub(super) place: Place,
    pub(super) levels: Written,
}

/// What a file says that a factor takes.
#[derive(Debug, Clone)]
pub(super) enum Written {
    /// Nothing: it takes away a factor of the extended file.
    Off,
    /// These levels.
    List(Vec<WrittenLevel>),
    /// Any number between two.
    Range(WrittenRange),
}

/// A level of a factor, to be put together with those of others.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    pub(super) factor: String,
    pub(super) label: String,
    pub(super) layer: Layer,
}

/// A level as a file writes it.
#[derive(Debug, Clone)]
pub(super) struct WrittenLevel {
    label: String,
    layer: Layer,
    place: Place,
    /// Whether a problem with it is known, so that nothing else can be told of it.
    is_wrong: bool,
}

impl WrittenFactor {
    /// The factor that `entry` writes. `name` is how messages and tables call it: the entry's key, with
    /// its section where the file writes one.
    pub(super) fn read(name: String, entry: &Entry, reader: &mut Reader<'_>) -> Option<Self> {
        let node = &entry.value;
        let place = reader.place(&entry.key_span);
        let items = match &node.value {
            Value::Boolean(false) => {
                let target = reader.keys.find(&name).ok();
                return Some(Self { target, name, place, levels: Written::Off });
            }
            Value::Array(items) => items,
            Value::Table(entries) if WrittenRange::is_meant(entries) => {
                let target = find(&name, &entry.key_span, reader)?;
                let range = WrittenRange::read(&name, target, entries, node, reader)?;
                return Some(Self {
                    name,
                    target: Some(target),
                    place,
                    levels: Written::Range(range),
                });
            }
            value => {
                let problem = Problem::new(format!("{} must be a list of levels", shown(&name)))
                    .with_help(format!("for one level: {name} = [{}]", value));
                reader.report(&node.span, format!("this is {}", value.kind()), problem);
                return None;
            }
        };
        if items.is_empty() {
            let problem = Problem::new(format!("{} has no levels", shown(&name)))
                .with_help("list at least one level, or take the factor out");
            reader.report(&node.span, "this list is empty", problem);
            return None;
        }
        let all_tables = items.iter().all(|item| matches!(item.value, Value::Table(_)));
        let target = match reader.keys.find(&name) {
            Ok(target) => Some(target),
            Err(_) if all_tables && is_line(&name) => None,
            Err(_) => Some(find(&name, &entry.key_span, reader)?),
        };
        let levels = items.iter().map(|item| WrittenLevel::read(target, item, reader)).collect();
        Some(Self { name, target, place, levels: Written::List(levels) })
    }

    /// The levels that it lists; none of a range.
    fn list(&self) -> &[WrittenLevel] {
        match &self.levels {
            Written::List(levels) => levels,
            Written::Off | Written::Range(_) => &[],
        }
    }

    /// What the level of this label changes.
    pub(super) fn level(&self, label: &str) -> Option<&Layer> {
        Some(&self.list().iter().find(|level| level.label == label)?.layer)
    }

    /// Whether a file may call it so.
    pub(super) fn is_called(&self, name: &str, keys: &'static Keys) -> bool {
        let is_target = |target: Target| self.target.is_some_and(|own| own.path() == target.path());
        self.name == name || keys.find(name).is_ok_and(is_target)
    }

    /// The levels that it lists, each to be put together with those of others.
    pub(super) fn choices(&self) -> Vec<Choice> {
        let choice = |level: &WrittenLevel| Choice {
            factor: self.name.clone(),
            label: level.label.clone(),
            layer: level.layer.clone(),
        };
        self.list().iter().filter(|level| !level.is_wrong).map(choice).collect()
    }

    /// The level at `share` of the way, from 0 up to but not including 1; none where there is none.
    pub(super) fn pick(&self, share: f64, problems: &mut Vec<Problem>) -> Option<Choice> {
        match &self.levels {
            Written::Range(range) => {
                let (node, label) = range.at(share);
                let layer = range.layer(&node, problems);
                Some(Choice { factor: self.name.clone(), label, layer })
            }
            Written::List(_) | Written::Off => {
                let mut choices = self.choices();
                let at = (share * choices.len() as f64) as usize;
                (at < choices.len()).then(|| choices.swap_remove(at))
            }
        }
    }

    /// Whether the two are one factor, spelt alike or not.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self.target, other.target) {
            (Some(one), Some(other)) => one.path() == other.path(),
            (None, None) => self.name == other.name,
            _ => false,
        }
    }

    /// What it stands for, and whatever its levels change beside, each once.
    fn targets(&self) -> Vec<Target> {
        let settings = self.list().iter().flat_map(|level| &level.layer.settings);
        let mut targets: Vec<Target> = self.target.into_iter().collect();
        for setting in settings {
            if targets.iter().all(|known| known.path() != setting.target.path()) {
                targets.push(setting.target);
            }
        }
        targets
    }

    /// The keys and sections that its levels change, and where.
    fn changes(&self) -> impl Iterator<Item = (&'static str, &Place)> {
        let levels = self.list().iter();
        let own = self.target.map(|target| (target.path(), &self.place));
        let settings = levels.flat_map(|level| &level.layer.settings);
        own.into_iter().chain(settings.map(|setting| (setting.target.path(), &setting.key)))
    }
}

impl WrittenLevel {
    fn read(target: Option<Target>, node: &Node, reader: &mut Reader<'_>) -> Self {
        let known = reader.problems.len();
        let (label, layer) = Self::label_and_layer(target, node, reader);
        let is_wrong = reader.problems.len() > known;
        Self { label, layer, place: reader.place(&node.span), is_wrong }
    }

    fn label_and_layer(
        target: Option<Target>,
        node: &Node,
        reader: &mut Reader<'_>,
    ) -> (String, Layer) {
        let mut layer = Layer::default();
        let Value::Table(entries) = &node.value else {
            if let Some(target) = target {
                layer.read(target, &node.span, node, reader);
            }
            return (default_label(target, &node.value), layer);
        };
        let (labels, entries): (Vec<_>, Vec<_>) =
            entries.iter().cloned().partition(|entry| entry.key == "label");
        let label = labels.first().map(|label| line("a label", &label.value, reader));
        let is_empty = entries.is_empty() && labels.is_empty();
        let rest = Node { value: Value::Table(entries.clone()), span: node.span.clone() };
        match target {
            Some(target @ Target::Key(_, key)) if key.kind.admits_table() => {
                layer.read(target, &node.span, &rest, reader);
            }
            Some(Target::Section(section)) if section.optional => {
                layer.switch_on(section, &node.span, &rest, reader);
                layer.read_table(&entries, Some(section), reader);
            }
            _ if is_empty => {
                let problem = Problem::new("a level changes nothing and has no label")
                    .with_help("name the keys it changes, or give the baseline a label here");
                reader.report(&node.span, "this level", problem);
            }
            Some(Target::Section(section)) => layer.read_table(&entries, Some(section), reader),
            _ => layer.read_table(&entries, None, reader),
        }
        let label = label.flatten().unwrap_or_else(|| default_label(target, &rest.value));
        (label, layer)
    }
}

/// The value as a person would write it; what is left out or switched off is `off`.
pub(super) fn default_label(target: Option<Target>, value: &Value) -> String {
    match (target, value) {
        (Some(Target::Section(_)), Value::Boolean(true)) => "on".to_owned(),
        (Some(Target::Section(_)), Value::Table(entries)) if entries.is_empty() => "on".to_owned(),
        (Some(target), Value::Boolean(false)) if target.is_optional() => "off".to_owned(),
        // A path may hold what a line of text may not.
        (_, value) => value.to_string().replace(char::is_control, " "),
    }
}

/// A text for a heading or a cell of a table: not empty, and one line.
pub(super) fn line(what: &str, node: &Node, reader: &mut Reader<'_>) -> Option<String> {
    let label = match &node.value {
        Value::Text(text) if is_line(text) => return Some(text.clone()),
        Value::Text(text) if text.trim().is_empty() => "this is empty".to_owned(),
        Value::Text(_) => "this has line breaks or control characters".to_owned(),
        value => format!("this is {}", value.kind()),
    };
    reader.report(&node.span, label, Problem::new(format!("{what} must be one line of text")));
    None
}

fn is_line(text: &str) -> bool {
    !text.trim().is_empty() && !text.contains(char::is_control)
}

/// The factors, every level a configuration of its own. `baseline` is what they change, before and
/// after it became a configuration; what is wrong goes to `problems`.
pub(super) fn resolve(
    factors: &[WrittenFactor],
    baseline: (&Stack, &Config),
    file: &Arc<Source>,
    problems: &mut Vec<Problem>,
) -> Vec<Factor> {
    let mut resolved = Vec::new();
    for factor in factors {
        let mut levels: Vec<(&WrittenLevel, Level)> = Vec::new();
        let mut told = BTreeSet::new();
        let usable = factor.list().iter().filter(|level| !level.is_wrong);
        for written in usable {
            let mut stack = baseline.0.clone();
            stack.push(&written.layer);
            let mut own = Vec::new();
            let Some(config) = stack.config(file, &mut own) else {
                // One cause breaks many levels alike: the first of them shows it.
                own.retain(|problem| !told.contains(problem.message()));
                told.extend(own.iter().map(|problem| problem.message().to_owned()));
                problems.extend(own);
                continue;
            };
            report_twin(factor, written, &config, &levels, problems);
            let level =
                Level { label: written.label.clone(), baseline: config == *baseline.1, config };
            levels.push((written, level));
        }
        let levels: Vec<Level> = levels.into_iter().map(|(_, level)| level).collect();
        let baseline = match levels.iter().find(|level| level.baseline) {
            Some(level) => level.label.clone(),
            None => baseline::label(&factor.targets(), factor.target, baseline),
        };
        resolved.push(Factor { name: factor.name.clone(), baseline, levels });
    }
    resolved
}

/// A key that two factors change: the comparison would not say which of them made the difference.
pub(super) fn report_shared_keys(factors: &[WrittenFactor], problems: &mut Vec<Problem>) {
    for (index, factor) in factors.iter().enumerate() {
        for earlier in &factors[..index] {
            let shared = factor.changes().find_map(|(path, place)| {
                let (_, first) = earlier.changes().find(|(other, _)| *other == path)?;
                Some((path, place, first))
            });
            if let Some((path, place, first)) = shared {
                let (one, other) = (shown(&earlier.name), shown(&factor.name));
                let message = format!("the factors {one} and {other} both change `{path}`");
                let problem =
                    Problem::new(message).at(place, "changed here too").at(first, "changed here");
                problems
                    .push(problem.with_help("make them one factor, or take the key out of one"));
            }
        }
    }
}

/// Ranges where levels are to be gone through one by one.
pub(super) fn report_ranges(factors: &[WrittenFactor], problems: &mut Vec<Problem>) {
    for factor in factors {
        if let Written::Range(range) = &factor.levels {
            let name = shown(&factor.name);
            problems.push(
                Problem::new(format!("{name} is a range, which only a random search draws from"))
                    .at(&range.place, "endlessly many levels")
                    .with_help("list its levels, or set strategy = \"random\" and samples = 20"),
            );
        }
    }
}

/// A level that is another one again, or that has its label.
fn report_twin(
    factor: &WrittenFactor,
    written: &WrittenLevel,
    config: &Config,
    earlier: &[(&WrittenLevel, Level)],
    problems: &mut Vec<Problem>,
) {
    let name = shown(&factor.name);
    if let Some((first, level)) = earlier.iter().find(|(_, level)| level.config == *config) {
        let message = if level.label == written.label {
            format!("{name} has the level `{}` twice", level.label)
        } else {
            format!("{name} has one level twice: `{}` and `{}`", level.label, written.label)
        };
        problems.push(
            Problem::new(message)
                .at(&written.place, "the same configuration again")
                .at(&first.place, "first here")
                .with_help("take one of them out"),
        );
    } else if let Some((first, _)) = earlier.iter().find(|(_, level)| level.label == written.label)
    {
        problems.push(
            Problem::new(format!("{name} has two levels labelled `{}`", written.label))
                .at(&written.place, "the same label again")
                .at(&first.place, "first here")
                .with_help("give each a `label` of its own"),
        );
    }
}
