//! Levels of several factors together: cells of a grid, samples, the cells of interactions, and the stages
//! of a chain.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::error::{LoadError, Problem};
use super::layer::shown;
use super::levels::{self, Choice, WrittenFactor};
use super::sample::Shares;
use super::source::{Place, Source};
use super::stack::Stack;
use super::strategy::Group;
use super::suggest::nearest;
use crate::config::{Builtin, Config, Validation};
use crate::sweep::{ChooseBy, Combination, Factor, Sampler, Setting};

/// More cells than this are a slip of the finger.
const MAX_CELLS: usize = 20_000;

/// Of a chain with more ways through it than this only so many are looked at beforehand.
const MAX_WAYS: usize = 2_000;

/// What makes the stages of a chain: factors on a baseline.
#[derive(Debug, Clone)]
pub struct Stages {
    file: PathBuf,
    source: Arc<Source>,
    baseline: Stack,
    factors: Vec<WrittenFactor>,
}

impl Stages {
    pub(super) fn new(
        file: PathBuf,
        source: Arc<Source>,
        baseline: Stack,
        factors: Vec<WrittenFactor>,
    ) -> Self {
        Self { file, source, baseline, factors }
    }

    /// The stage of the factor at `stage`, from 0, where each of `taken` was chosen before: its incumbent,
    /// and the factor with its levels on it.
    ///
    /// # Errors
    /// When the levels contradict each other together, at their lines.
    pub fn stage(&self, stage: usize, taken: &[Setting]) -> Result<(Config, Factor), LoadError> {
        let mut problems = Vec::new();
        let made = self.make(stage, taken, &mut problems);
        match made {
            Some(made) if problems.is_empty() => Ok(made),
            _ => Err(LoadError::new(&self.file, problems)),
        }
    }

    fn make(
        &self,
        stage: usize,
        taken: &[Setting],
        problems: &mut Vec<Problem>,
    ) -> Option<(Config, Factor)> {
        let mut stack = self.baseline.clone();
        for setting in taken {
            let factor = self.factors.iter().find(|factor| factor.name == setting.factor);
            let level = factor.and_then(|factor| factor.level(&setting.level));
            if let Some(level) = level {
                stack.push(level);
            }
        }
        let config = stack.config(&self.source, problems)?;
        let factor = self.factors.get(stage..=stage)?;
        let mut factors = levels::resolve(factor, (&stack, &config), &self.source, problems);
        Some((config, factors.pop()?))
    }

    /// Goes through the chain in every way that it may take, before anything runs: what contradicts each
    /// other together, and what cannot be chosen by its score.
    pub(super) fn check(&self, by: ChooseBy, place: Option<&Place>, problems: &mut Vec<Problem>) {
        let mut told = BTreeSet::new();
        let mut ways = vec![Vec::new()];
        let mut seen = 0;
        for stage in 0..self.factors.len() {
            let mut next = Vec::new();
            for way in ways {
                seen += 1;
                if seen > MAX_WAYS {
                    return;
                }
                let mut own = Vec::new();
                let made = self.make(stage, &way, &mut own);
                own.retain(|problem| told.insert(problem.message().to_owned()));
                problems.extend(own);
                let Some((incumbent, factor)) = made else { continue };
                let configs = factor.levels.iter().map(|level| &level.config);
                for config in configs.chain([&incumbent]) {
                    if let Some(problem) = unscored(config, by)
                        && told.insert(problem.message().to_owned())
                    {
                        problems.push(match place {
                            Some(place) => {
                                problem.at(place, "chooses by a score that is not there")
                            }
                            None => problem,
                        });
                    }
                }
                next.push(way.clone());
                for level in factor.levels.iter().filter(|level| !level.baseline) {
                    let taken = Setting { factor: factor.name.clone(), level: level.label.clone() };
                    next.push(way.iter().cloned().chain([taken]).collect());
                }
            }
            ways = next;
        }
    }
}

/// A configuration without the score that a chain chooses by.
fn unscored(config: &Config, by: ChooseBy) -> Option<Problem> {
    // What a trainer of the user's own measures is known when it has.
    let Builtin { data, .. } = config.builtin()?;
    match by {
        ChooseBy::Validation if data.validation == Validation::None => Some(
            Problem::new("the chain chooses by validation score, and there is no validation data")
                .with_help(
                    "set data.validation to a share such as 0.2 or to { folds = 5 }, or say choose_by = \
                     \"test\": what is chosen then looks better than it is",
                ),
        ),
        ChooseBy::Test if data.test.is_none() => Some(
            Problem::new("the chain chooses by test score, and there are no test images")
                .with_help("set data.test, or say choose_by = \"validation\""),
        ),
        _ => None,
    }
}

/// What combinations are made of.
pub(super) struct Parts<'a> {
    pub(super) baseline: &'a Stack,
    pub(super) factors: &'a [WrittenFactor],
    pub(super) source: &'a Arc<Source>,
}

impl Parts<'_> {
    /// Every combination of the factors' levels, the last factor changing first.
    pub(super) fn grid(
        &self,
        place: Option<&Place>,
        problems: &mut Vec<Problem>,
    ) -> Vec<Combination> {
        let sizes = self.factors.iter().map(|factor| factor.choices().len());
        let cells = sizes.fold(1_usize, usize::saturating_mul);
        if cells > MAX_CELLS {
            let problem = Problem::new(format!("the grid has {cells} cells"));
            let problem = place.into_iter().fold(problem, |problem, place| {
                problem.at(place, "every combination of all levels")
            });
            problems.push(problem.with_help(format!(
                "more than {MAX_CELLS} are not planned: leave levels out, or draw some of them with \
                 strategy = \"random\""
            )));
            return Vec::new();
        }
        let mut cells: Vec<Vec<Choice>> = vec![Vec::new()];
        for factor in self.factors {
            let choices = factor.choices();
            let longer = |cell: &Vec<Choice>| -> Vec<Vec<Choice>> {
                choices.iter().map(|choice| [cell.clone(), vec![choice.clone()]].concat()).collect()
            };
            cells = cells.iter().flat_map(longer).collect();
        }
        self.resolve(cells, problems)
    }

    /// So many different combinations, drawn by `sampler`.
    pub(super) fn samples(
        &self,
        samples: u32,
        (sampler, seed): (Sampler, u64),
        place: Option<&Place>,
        problems: &mut Vec<Problem>,
    ) -> Vec<Combination> {
        let wanted = samples as usize;
        let shares = Shares::new(sampler, seed);
        let mut drawn: Vec<Vec<Choice>> = Vec::new();
        let mut labels = BTreeSet::new();
        for index in 0..samples.saturating_mul(MAX_TRIES) {
            let pick = |(dimension, factor): (u32, &WrittenFactor)| {
                factor.pick(shares.at(index, dimension), problems)
            };
            let sample: Option<Vec<Choice>> = (0..).zip(self.factors).map(pick).collect();
            let Some(sample) = sample else { return Vec::new() };
            if labels.insert(sample.iter().map(|choice| choice.label.clone()).collect::<Vec<_>>()) {
                drawn.push(sample);
            }
            if drawn.len() == wanted {
                break;
            }
        }
        if drawn.len() < wanted {
            let problem = Problem::new(format!(
                "{samples} samples are more than the {} different ones that were found",
                drawn.len()
            ));
            let problem =
                place.into_iter().fold(problem, |problem, place| problem.at(place, "drawn from"));
            problems.push(
                problem
                    .with_help("ask for fewer, or run every combination with strategy = \"grid\""),
            );
            return Vec::new();
        }
        self.resolve(drawn, problems)
    }

    /// The cells that interactions add to single changes, and the pairs of factors that they are of.
    pub(super) fn interactions(
        &self,
        groups: &[Group],
        baseline: &Config,
        problems: &mut Vec<Problem>,
    ) -> (Vec<Combination>, Vec<[String; 2]>) {
        let mut pairs: Vec<[&WrittenFactor; 2]> = Vec::new();
        for group in groups {
            let found: Vec<_> = group.iter().map(|name| self.named(name, problems)).collect();
            for (at, second) in found.iter().enumerate() {
                for (first, other) in found[..at].iter().zip(group) {
                    let (Some(first), Some(second)) = (first, second) else { continue };
                    if first.name == second.name {
                        problems.push(
                            Problem::new(format!("{} is there twice", shown(&first.name)))
                                .at(&group[at].1, "again here")
                                .at(&other.1, "first here")
                                .with_help("name the factors that it may act on"),
                        );
                    } else if !pairs.iter().any(|pair| is_pair(pair, [first, second])) {
                        pairs.push([first, second]);
                    }
                }
            }
        }
        let mut cells = Vec::new();
        for [first, second] in &pairs {
            for one in first.choices() {
                for other in second.choices() {
                    cells.push(vec![one.clone(), other]);
                }
            }
        }
        let cells = self.resolve(cells, problems);
        // A level that is the baseline's makes a single change, which is there already.
        let single = |setting: &Setting| {
            let stack = self.factors.iter().find(|factor| factor.name == setting.factor).and_then(
                |factor| {
                    let mut stack = self.baseline.clone();
                    stack.push(factor.level(&setting.level)?);
                    Some(stack)
                },
            );
            stack.and_then(|stack| stack.config(self.source, &mut Vec::new()))
        };
        let is_change =
            |setting: &Setting| single(setting).is_none_or(|config| config != *baseline);
        let cells = cells.into_iter().filter(|cell| cell.settings.iter().all(is_change)).collect();
        let names = |pair: &[&WrittenFactor; 2]| pair.map(|factor| factor.name.clone());
        (cells, pairs.iter().map(names).collect())
    }

    fn named(
        &self,
        (name, place): &(String, Place),
        problems: &mut Vec<Problem>,
    ) -> Option<&WrittenFactor> {
        let found = self.factors.iter().find(|factor| factor.is_called(name, self.baseline.keys()));
        if found.is_none() {
            let names = || self.factors.iter().map(|factor| factor.name.as_str());
            let label = match nearest(name, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "no such factor".to_owned(),
            };
            problems.push(
                Problem::new(format!("there is no factor {}", shown(name)))
                    .at(place, label)
                    .with_help(format!(
                        "the factors are {}",
                        names().collect::<Vec<_>>().join(", ")
                    )),
            );
        }
        found
    }

    fn resolve(&self, cells: Vec<Vec<Choice>>, problems: &mut Vec<Problem>) -> Vec<Combination> {
        let mut told = BTreeSet::new();
        let mut combinations = Vec::new();
        for cell in cells {
            let mut stack = self.baseline.clone();
            cell.iter().for_each(|choice| stack.push(&choice.layer));
            let mut own = Vec::new();
            match stack.config(self.source, &mut own) {
                Some(config) => {
                    let setting =
                        |choice: Choice| Setting { factor: choice.factor, level: choice.label };
                    let settings = cell.into_iter().map(setting).collect();
                    combinations.push(Combination { settings, config });
                }
                // One cause breaks many combinations alike: the first of them shows it.
                None => own.retain(|problem| told.insert(problem.message().to_owned())),
            }
            problems.extend(own);
        }
        combinations
    }
}

/// So many draws for each sample wanted, until different ones are given up.
const MAX_TRIES: u32 = 50;

fn is_pair(pair: &[&WrittenFactor; 2], other: [&WrittenFactor; 2]) -> bool {
    let names = pair.map(|factor| &factor.name);
    other.iter().all(|factor| names.contains(&&factor.name))
}
