//! The keys that say how a sweep becomes configurations, and how often each of them runs.

use std::num::NonZeroU32;

use super::error::Problem;
use super::layer::shown;
use super::scalars::whole;
use super::source::{Place, Reader};
use super::suggest::nearest;
use super::value::{Entry, Node, Value};
use crate::sweep::{ChooseBy, Replicates, Sampler, Strategy, Switch};

/// The keys, as files list them.
pub(super) const KEYS: [&str; 8] = [
    "strategy",
    "replicates",
    "margin",
    "samples",
    "sampler",
    "switch",
    "choose_by",
    "interactions",
];

/// More replicates than this are a slip of the finger: the standard error falls with the root.
const MAX_REPLICATES: i64 = 10_000;

/// More samples than this are a slip of the finger.
const MAX_SAMPLES: i64 = 10_000;

/// What one file says of it; what it does not say is absent.
#[derive(Debug, Default)]
pub(super) struct WrittenStrategy {
    name: Option<Name>,
    replicates: Option<Replicates>,
    margin: Option<f64>,
    samples: Option<(NonZeroU32, Place)>,
    sampler: Option<((Sampler, u64), Place)>,
    switch: Option<(Switch, Place)>,
    choose_by: Option<(ChooseBy, Place)>,
    interactions: Option<(Vec<Group>, Place)>,
}

/// Factors whose interactions are asked for.
pub(super) type Group = Vec<(String, Place)>;

/// What the layers of a file say together.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) strategy: Strategy,
    pub(super) replicates: Replicates,
    pub(super) margin: Option<f64>,
    pub(super) interactions: Vec<Group>,
    /// Where the strategy, or the score to choose by, is written; absent where neither is.
    pub(super) place: Option<Place>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Ofat,
    Grid,
    Random,
    Chain,
}

type Name = (Word, Place);

impl WrittenStrategy {
    /// Reads one of [`KEYS`].
    pub(super) fn read_entry(&mut self, entry: &Entry, reader: &mut Reader<'_>) {
        let node = &entry.value;
        let place = reader.place(&node.span);
        match entry.key.as_str() {
            "strategy" => {
                let words = [
                    ("ofat", Word::Ofat),
                    ("grid", Word::Grid),
                    ("random", Word::Random),
                    ("chain", Word::Chain),
                ];
                let help = "ofat: one factor at a time, the baseline and every single change of it\n\
                            grid: every combination of the factors' levels\n\
                            random: combinations drawn from levels and ranges\n\
                            chain: factor by factor, each on what the ones before have come to";
                self.name = word("strategy", &words, help, node, reader).map(|word| (word, place));
            }
            "replicates" => self.replicates = replicates(node, reader),
            "margin" => self.margin = margin(node, reader),
            "samples" => {
                let number = whole("samples", 1..=MAX_SAMPLES, node, reader).and_then(positive);
                self.samples = number.map(|number| (number, place));
            }
            "sampler" => self.sampler = sampler(node, reader).map(|sampler| (sampler, place)),
            "switch" => {
                let words = [("evidence", Switch::Evidence), ("best", Switch::Best)];
                let help = "evidence: a level takes the incumbent's place when it is shown to be better\n\
                            best: when its mean is the highest, whatever chance has to do with it";
                self.switch = word("switch", &words, help, node, reader).map(|word| (word, place));
            }
            "choose_by" => {
                let words = [("validation", ChooseBy::Validation), ("test", ChooseBy::Test)];
                let help = "validation: by the score on validation images, of all training images where \
                            there are folds\n\
                            test: on the test images; what is chosen then looks better than it is";
                self.choose_by =
                    word("choose_by", &words, help, node, reader).map(|word| (word, place));
            }
            _ => {
                self.interactions = interactions(node, reader).map(|groups| (groups, place));
            }
        }
    }

    /// What `layers` say together, the first over those that follow. What is written in the first and is
    /// of no use under its strategy goes to `problems`.
    pub(super) fn resolve<'a>(
        layers: impl Iterator<Item = &'a Self> + Clone,
        problems: &mut Vec<Problem>,
    ) -> Resolved {
        fn first<'a, T>(
            mut layers: impl Iterator<Item = &'a WrittenStrategy>,
            said: impl Fn(&'a WrittenStrategy) -> Option<T>,
        ) -> Option<T> {
            layers.find_map(said)
        }
        let said = || layers.clone();
        let name = first(said(), |layer| layer.name.as_ref());
        let word = name.map_or(Word::Ofat, |(word, _)| *word);
        if let Some(top) = said().next() {
            top.report_idle(word, problems);
        }
        let choose_by = first(said(), |layer| layer.choose_by.as_ref());
        let strategy = match word {
            Word::Ofat => Strategy::Ofat,
            Word::Grid => Strategy::Grid,
            Word::Random => {
                let samples = first(said(), |layer| layer.samples.as_ref());
                if let (None, Some((_, place))) = (samples, name) {
                    problems.push(
                        Problem::new("a random search needs `samples`")
                            .at(place, "how many?")
                            .with_help("such as samples = 20"),
                    );
                }
                let default = (Sampler::Random, 1);
                let sampler = first(said(), |layer| layer.sampler.as_ref());
                let (sampler, seed) = sampler.map_or(default, |(sampler, _)| *sampler);
                let samples = samples.map_or(1, |(samples, _)| samples.get());
                Strategy::Random { samples, sampler, seed }
            }
            Word::Chain => Strategy::Chain {
                switch: first(said(), |layer| layer.switch.as_ref())
                    .map_or(Switch::default(), |(switch, _)| *switch),
                choose_by: choose_by.map_or(ChooseBy::default(), |(by, _)| *by),
            },
        };
        let interactions = match word {
            Word::Ofat => first(said(), |layer| layer.interactions.as_ref()),
            _ => None,
        };
        Resolved {
            strategy,
            replicates: first(said(), |layer| layer.replicates).unwrap_or_default(),
            margin: first(said(), |layer| layer.margin).filter(|margin| *margin > 0.0),
            interactions: interactions.map(|(groups, _)| groups.clone()).unwrap_or_default(),
            place: choose_by
                .map(|(_, place)| place.clone())
                .or(name.map(|(_, place)| place.clone())),
        }
    }

    /// Keys that say something under another strategy alone.
    fn report_idle(&self, word: Word, problems: &mut Vec<Problem>) {
        let keys = [
            ("samples", Word::Random, self.samples.as_ref().map(|(_, place)| place)),
            ("sampler", Word::Random, self.sampler.as_ref().map(|(_, place)| place)),
            ("switch", Word::Chain, self.switch.as_ref().map(|(_, place)| place)),
            ("choose_by", Word::Chain, self.choose_by.as_ref().map(|(_, place)| place)),
            ("interactions", Word::Ofat, self.interactions.as_ref().map(|(_, place)| place)),
        ];
        for (key, of, place) in keys {
            let (Some(place), true) = (place, of != word) else { continue };
            let help = match (key, word) {
                ("interactions", Word::Grid) => {
                    "a grid has every combination, and its report every interaction: take it out"
                }
                _ => "take it out, or change the strategy",
            };
            problems.push(
                Problem::new(format!("`{key}` is for strategy = \"{}\"", of.name()))
                    .at(place, format!("the strategy is \"{}\"", word.name()))
                    .with_help(help),
            );
        }
    }
}

impl Word {
    fn name(self) -> &'static str {
        match self {
            Self::Ofat => "ofat",
            Self::Grid => "grid",
            Self::Random => "random",
            Self::Chain => "chain",
        }
    }
}

/// One of some words.
fn word<T: Copy>(
    key: &str,
    words: &[(&str, T)],
    help: &str,
    node: &Node,
    reader: &mut Reader<'_>,
) -> Option<T> {
    let label = match &node.value {
        Value::Text(text) => match words.iter().find(|(word, _)| word == text) {
            Some((_, meaning)) => return Some(*meaning),
            None => match nearest(text, words.iter().map(|(word, _)| *word)) {
                Some(word) => format!("did you mean \"{word}\"?"),
                None => "no such word".to_owned(),
            },
        },
        value => format!("this is {}", value.kind()),
    };
    let words: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    let problem = Problem::new(format!("`{key}` must be {}", words.join(" or "))).with_help(help);
    reader.report(&node.span, label, problem);
    None
}

fn positive(number: i64) -> Option<NonZeroU32> {
    u32::try_from(number).ok().and_then(NonZeroU32::new)
}

/// A number of seeds, or how many at least and at most.
fn replicates(node: &Node, reader: &mut Reader<'_>) -> Option<Replicates> {
    let Value::Table(entries) = &node.value else {
        let label = match node.value {
            Value::Integer(number) if (1..=MAX_REPLICATES).contains(&number) => {
                return positive(number).map(|seeds| Replicates::Fixed { seeds });
            }
            Value::Integer(number) => {
                format!("{number} is too {}", if number < 1 { "small" } else { "large" })
            }
            ref value => format!("this is {}", value.kind()),
        };
        let message = format!(
            "`replicates` must be a whole number from 1 to {MAX_REPLICATES}, or {UNTIL_DECIDED}"
        );
        reader.report(&node.span, label, Problem::new(message));
        return None;
    };
    let (mut min, mut max) = (None, None);
    for entry in entries {
        let path = format!("replicates.{}", entry.key);
        let number = |reader: &mut Reader<'_>| {
            whole(&path, 1..=MAX_REPLICATES, &entry.value, reader).and_then(positive)
        };
        match entry.key.as_str() {
            "min" => min = Some(number(reader)?),
            "max" => max = Some(number(reader)?),
            "until" => {
                let help = "decided: seeds are added where the verdict is open";
                word(&path, &[("decided", ())], help, &entry.value, reader)?;
            }
            _ => {
                let problem =
                    Problem::new(format!("`replicates` has no key {}", shown(&entry.key)))
                        .with_help(format!("write {UNTIL_DECIDED}"));
                reader.report(&entry.key_span, "unknown key", problem);
                return None;
            }
        }
    }
    let label = match (min, max) {
        (Some(min), Some(max)) if min <= max => return Some(Replicates::UntilDecided { min, max }),
        (Some(_), Some(_)) => "`min` is more than `max`",
        (None, _) => "`min` is missing here",
        (_, None) => "`max` is missing here",
    };
    let problem = Problem::new("`replicates` must say how many seeds at least and at most")
        .with_help(format!("write {UNTIL_DECIDED}"));
    reader.report(&node.span, label, problem);
    None
}

const UNTIL_DECIDED: &str = "{ min = 3, max = 30, until = \"decided\" }";

/// A share between 0 and 1; `false` takes an inherited one away, as 0.
fn margin(node: &Node, reader: &mut Reader<'_>) -> Option<f64> {
    let label = match node.value {
        Value::Float(margin) if margin > 0.0 && margin < 1.0 => return Some(margin),
        Value::Boolean(false) => return Some(0.0),
        Value::Float(_) | Value::Integer(_) => "not between 0 and 1".to_owned(),
        ref value => format!("this is {}", value.kind()),
    };
    let problem = Problem::new("`margin` must be a share of the images, above 0 and below 1")
        .with_help("margin = 0.02: a difference of less than 2 % of the images does not matter");
    reader.report(&node.span, label, problem);
    None
}

/// How samples are drawn, and the seed that names the draws.
fn sampler(node: &Node, reader: &mut Reader<'_>) -> Option<(Sampler, u64)> {
    const WORDS: [(&str, Sampler); 2] = [("random", Sampler::Random), ("sobol", Sampler::Sobol)];
    const HELP: &str = "random: each sample by itself\n\
                        sobol: spread evenly over all ranges, by Sobol's sequence\n\
                        { name = \"sobol\", seed = 2 }: other draws";
    let Value::Table(entries) = &node.value else {
        return word("sampler", &WORDS, HELP, node, reader).map(|sampler| (sampler, 1));
    };
    let (mut name, mut seed) = (None, 1);
    for entry in entries {
        match entry.key.as_str() {
            "name" => name = Some(word("sampler.name", &WORDS, HELP, &entry.value, reader)?),
            "seed" => {
                let number = whole("sampler.seed", 0..=i64::from(u32::MAX), &entry.value, reader)?;
                seed = u64::try_from(number).unwrap_or_default();
            }
            _ => {
                let problem = Problem::new(format!("`sampler` has no key {}", shown(&entry.key)));
                reader.report(&entry.key_span, "unknown key", problem.with_help(HELP));
                return None;
            }
        }
    }
    if name.is_none() {
        let problem = Problem::new("`sampler` names no sampler").with_help(HELP);
        reader.report(&node.span, "`name` is missing here", problem);
    }
    name.map(|name| (name, seed))
}

/// Groups of names of factors.
fn interactions(node: &Node, reader: &mut Reader<'_>) -> Option<Vec<Group>> {
    let problem = || {
        Problem::new("`interactions` must be a list of groups of factors")
            .with_help("such as interactions = [[\"batch_size\", \"learning_rate\"]]")
    };
    let Value::Array(items) = &node.value else {
        if matches!(node.value, Value::Boolean(false)) {
            return Some(Vec::new());
        }
        reader.report(&node.span, format!("this is {}", node.value.kind()), problem());
        return None;
    };
    let mut groups = Vec::new();
    for item in items {
        let names = match &item.value {
            Value::Array(names) => names,
            value => {
                reader.report(&item.span, format!("this is {}", value.kind()), problem());
                return None;
            }
        };
        let mut group = Group::new();
        for name in names {
            let Value::Text(text) = &name.value else {
                reader.report(&name.span, format!("this is {}", name.value.kind()), problem());
                return None;
            };
            group.push((text.clone(), reader.place(&name.span)));
        }
        if group.len() < 2 {
            reader.report(&item.span, "fewer than two factors", problem());
            return None;
        }
        groups.push(group);
    }
    Some(groups)
}
