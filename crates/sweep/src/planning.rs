//! From sweeps to the work behind them: every run once, whichever sweeps need it.

use std::collections::HashMap;
use std::path::PathBuf;

use ::weights::folder::WeightsFolder;
use miette::Diagnostic;
use serde::{Deserialize, Serialize};
use spec::config::{Backbone, Builtin, Config, Data, Freeze, Model, Validation, Views};
use spec::protocol::RunOrder;
use spec::record::{Plan, PlanRun, RunConfig};
use spec::run_id::{self, Fingerprints, RunId};
use spec::sweep::{Setting, Sweep};
use spec::sweep_file::LoadError;
use thiserror::Error;

use crate::dataset::{DatasetError, Datasets};
use crate::exit::{self, Ends};
use crate::fingerprint::{FingerprintError, Fingerprinter, Layout};
use crate::schedule::Prefix;
use crate::store::ReadError;
use crate::strategy::{self, Evidence, StrategyError};
use crate::trainer::{self, TrainerError};
use crate::weights::{self, WeightsError};

/// One run with everything that is needed to do and to store it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Where it is stored.
    pub planned: PlanRun,
    /// For people: the row where it stands first, such as `batch_size=16 seed 3`.
    pub label: String,
    /// What to train.
    pub config: Config,
    /// The contents behind the configuration's paths.
    pub fingerprints: Fingerprints,
    /// The file with the weights, if any.
    pub weights: Option<PathBuf>,
    /// How many attempts had been made when its last result was written; 0 without one. A result with
    /// more has come since.
    pub attempts: u32,
}

/// Sweeps, ready to be run.
#[derive(Debug)]
pub struct Planned {
    /// One for each sweep, in the order given.
    pub plans: Vec<Plan>,
    /// Every run once, in the order in which it is met.
    pub work: Vec<Work>,
}

/// Sweeps that cannot be planned.
#[derive(Debug, Error, Diagnostic)]
pub enum PlanningError {
    /// Two files would share a folder of results.
    #[error("two sweeps are called `{name}`: {} and {}", first.display(), second.display())]
    #[diagnostic(help(
        "a sweep is called after its file: rename one, or give each its own --results"
    ))]
    SameName {
        /// The name.
        name: String,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// Images are missing.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Data(#[from] FingerprintError),
    /// Images that no run can be trained on.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Dataset(#[from] DatasetError),
    /// Weights are missing.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Weights(#[from] WeightsError),
    /// A trainer of the user's own is missing.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Trainer(#[from] TrainerError),
    /// Levels that a chain has come to contradict each other.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Levels(LoadError),
    /// A result cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Read(ReadError),
}

impl From<StrategyError<PlanningError>> for PlanningError {
    fn from(error: StrategyError<Self>) -> Self {
        match error {
            StrategyError::Run(error) => error,
            StrategyError::Levels(error) => Self::Levels(error),
            StrategyError::Read(error) => Self::Read(error),
        }
    }
}

impl Ends for PlanningError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::SameName { .. } => exit::USAGE,
            Self::Data(error) => error.exit_code(),
            Self::Dataset(error) => error.exit_code(),
            Self::Weights(error) => error.exit_code(),
            Self::Levels(error) => error.exit_code(),
            Self::Read(error) => error.exit_code(),
            Self::Trainer(error) => error.exit_code(),
        }
    }
}

impl Work {
    /// The run.
    pub fn run(&self) -> RunId {
        self.planned.run
    }

    /// What it shares with other runs, where those that can be are fused or not.
    pub fn prefix(&self, fuse: bool) -> Prefix {
        Prefix::of(&self.config, &self.fingerprints, fuse)
    }

    /// How long it takes, in a unit of its own: to tell long runs from short ones, and for nothing else.
    /// What is frozen is computed once, so a backbone that trains counts as much as many heads.
    pub fn length(&self) -> u64 {
        /// A pass over the images, as long as nobody has counted them.
        const PASS: u64 = 1000;
        /// A backbone beside a head.
        const BACKBONE: u64 = 100;
        // Of another trainer's runs nobody knows.
        let Some(Builtin { train, model, data, augment, .. }) = self.config.builtin() else {
            return 1;
        };
        let batch = u64::from(train.batch_size);
        let epoch = train.steps_per_epoch.map_or(PASS, |steps| u64::from(steps) * batch);
        let fits = match data.validation {
            Validation::Folds(folds) => u64::from(folds),
            Validation::None | Validation::Fraction(_) | Validation::Folder(_) => 1,
        };
        let drawn = augment.as_ref().is_some_and(|to| to.views == Views::Fresh);
        let each = if model.freeze == Freeze::All && !drawn { 1 } else { BACKBONE };
        [epoch, fits, each].iter().fold(u64::from(train.epochs), |all, &of| all.saturating_mul(of))
    }

    /// As a worker is told.
    pub fn order(&self) -> RunOrder<Config> {
        RunOrder {
            run: self.planned.run,
            seed: self.planned.seed,
            config: self.config.clone(),
            weights: self.weights.clone(),
            weights_fingerprint: self.fingerprints.weights.clone(),
            fingerprints: Some(self.fingerprints.clone()),
        }
    }

    /// As `config.json` says.
    pub fn record(&self) -> RunConfig {
        RunConfig {
            version: spec::record::VERSION,
            run: self.planned.run,
            seed: self.planned.seed,
            config: self.config.clone(),
            fingerprints: self.fingerprints.clone(),
        }
    }
}

/// Plans sweeps, again and again as their results come in; contents of data and weights are read once.
#[derive(Debug)]
pub struct Planner<'a> {
    sweeps: &'a [Sweep],
    folder: WeightsFolder,
    fingerprinter: Fingerprinter,
    datasets: Datasets,
}

impl<'a> Planner<'a> {
    /// A planner of `sweeps`; weights lie in `folder`.
    ///
    /// # Errors
    /// When names clash.
    pub fn new(sweeps: &'a [Sweep], folder: WeightsFolder) -> Result<Self, PlanningError> {
        check_names(sweeps)?;
        let (fingerprinter, datasets) = (Fingerprinter::default(), Datasets::default());
        Ok(Self { sweeps, folder, fingerprinter, datasets })
    }

    /// The plans as far as results reach. Starts nothing, writes nothing.
    ///
    /// # Errors
    /// When data or weights are missing, or a result cannot be read.
    pub fn plan(&mut self, evidence: &mut Evidence<'_>) -> Result<Planned, PlanningError> {
        let Self { sweeps, folder, fingerprinter, datasets } = self;
        let mut met: HashMap<RunId, Work> = HashMap::new();
        let mut plans = Vec::new();
        for sweep in *sweeps {
            let run = |config: &Config, seed: u64| {
                let (file, fingerprints) = match config {
                    Config::Builtin(config) => {
                        let Model { backbone, weights, .. } = &config.model;
                        let file = weights::locate(folder, *backbone, weights)?;
                        let prints = fingerprints(&config.data, file.as_deref(), fingerprinter)?;
                        datasets.check(config)?;
                        (file, prints)
                    }
                    Config::Own(own) => {
                        let file = trainer::weights(own)
                            .map(|weights| weights::locate(folder, Backbone::default(), weights))
                            .transpose()?
                            .flatten();
                        let prints = trainer::fingerprints(own, file.as_deref(), fingerprinter)?;
                        (file, prints)
                    }
                };
                let run = RunId::of(config, seed, &fingerprints);
                let planned = PlanRun { run, slug: run_id::slug(config, seed), seed };
                met.entry(run).or_insert_with(|| Work {
                    planned: planned.clone(),
                    label: String::new(),
                    config: config.clone(),
                    fingerprints,
                    weights: file,
                    attempts: 0,
                });
                Ok::<_, PlanningError>(planned)
            };
            plans.push(strategy::plan(sweep, run, evidence)?);
        }
        let mut work = Vec::new();
        for plan in &plans {
            for (run, label) in labels(plan) {
                work.extend(met.remove(&run).map(|met| {
                    let mark = if met.config.is_stand_in() { " [random weights]" } else { "" };
                    Work { label: label + mark, ..met }
                }));
            }
        }
        Ok(Planned { plans, work })
    }
}

/// Every run of a plan with its label, the baseline's first; a run may come more than once.
fn labels(plan: &Plan) -> Vec<(RunId, String)> {
    let baseline = plan.rows.iter().find(|row| row.baseline).into_iter().flat_map(|row| &row.runs);
    let baseline = baseline.map(|run| (run.run, format!("baseline seed {}", run.seed)));
    let levels = plan.rows.iter().flat_map(|row| {
        let settings =
            row.settings.iter().map(|Setting { factor, level }| format!("{factor}={level}"));
        let settings = settings.collect::<Vec<_>>().join(" ");
        row.runs.iter().map(move |run| (run.run, format!("{settings} seed {}", run.seed)))
    });
    baseline.chain(levels).collect()
}

fn check_names(sweeps: &[Sweep]) -> Result<(), PlanningError> {
    for (place, sweep) in sweeps.iter().enumerate() {
        let name = sweep.name.clone();
        if let Some(first) = sweeps[..place].iter().find(|other| other.name == name) {
            let (first, second) = (first.file.clone(), sweep.file.clone());
            return Err(PlanningError::SameName { name, first, second });
        }
    }
    Ok(())
}

fn fingerprints(
    data: &Data,
    weights: Option<&std::path::Path>,
    fingerprinter: &mut Fingerprinter,
) -> Result<Fingerprints, FingerprintError> {
    Ok(Fingerprints {
        train: Some(fingerprinter.folder("train", &data.train, Layout::Classes)?),
        validation: match &data.validation {
            Validation::None | Validation::Fraction(_) | Validation::Folds(_) => None,
            Validation::Folder(folder) => {
                Some(fingerprinter.folder("validation", folder, Layout::Classes)?)
            }
        },
        test: match &data.test {
            None => None,
            Some(folder) => Some(fingerprinter.folder("test", folder, Layout::Any)?),
        },
        weights: weights.map(|file| fingerprinter.weights(file)).transpose()?,
        trainer: None,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use spec::record::{Finished, Outcome};

    #[test]
    fn a_backbone_that_trains_takes_longer_than_a_head_and_folds_longer_than_one_fit() {
        let with = |edit: &dyn Fn(&mut Builtin)| {
            let mut work = work(1);
            let mut config = work.config.builtin().unwrap().clone();
            edit(&mut config);
            work.config = config.into();
            work.length()
        };
        let plain = with(&|_| {});
        assert_eq!(with(&|config| config.train.batch_size = 16), plain, "the same images");
        assert_eq!(with(&|config| config.train.epochs *= 2), 2 * plain);
        let folds = with(&|config| config.data.validation = Validation::Folds(5));
        let unfrozen = with(&|config| config.model.freeze = Freeze::UnfreezeLast(10));
        assert!(plain < folds && folds < unfrozen, "{plain} {folds} {unfrozen}");
        let longest = with(&|config| {
            config.train = spec::config::Train {
                epochs: u32::MAX,
                batch_size: u32::MAX,
                steps_per_epoch: Some(u32::MAX),
                ..config.train.clone()
            };
        });
        assert_eq!(longest, u64::MAX);
    }

    /// A run that came to its end, of which nothing else matters.
    pub(crate) fn finished() -> Outcome {
        Outcome::Finished(Finished {
            epochs: 1,
            updates: 1,
            images_seen: 1,
            stopped_early: None,
            validation: None,
            test: None,
            score: None,
            folds: Vec::new(),
        })
    }

    /// Some run of this seed.
    pub(crate) fn work(seed: u64) -> Work {
        let config = serde_json::json!({
            "data": { "train": "train" },
            "model": { "backbone": "efficientnet_lite0", "weights": "none" },
            "train": {},
        });
        let config: Config = serde_json::from_value(config).unwrap();
        let fingerprints = Fingerprints {
            train: Some("1".repeat(64)),
            validation: None,
            test: None,
            weights: None,
            trainer: None,
        };
        let run = RunId::of(&config, seed, &fingerprints);
        let planned = PlanRun { run, slug: run_id::slug(&config, seed), seed };
        let label = format!("baseline seed {seed}");
        Work { planned, label, config, fingerprints, weights: None, attempts: 0 }
    }
}
