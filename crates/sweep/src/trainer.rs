//! Trainers of the user's own: whether they are there, and what makes their runs other work.

use std::env;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use rustix::fs::Access;
use spec::config::{Config, Own, Protocol, Trainer, Validation, Weights};
use spec::run_id::Fingerprints;
use thiserror::Error;

use crate::exit::{self, Ends};
use crate::fingerprint::{FingerprintError, Fingerprinter};
use crate::worker::Program;

/// A trainer that cannot be started, or not together with another one.
#[derive(Debug, Error, Diagnostic)]
pub enum TrainerError {
    /// There is no such program.
    #[error("`trainer.command` names a program that is not there: {}", shown.display())]
    #[diagnostic(help("{}", way_out(shown, folder)))]
    Missing {
        /// As the command has it, absolute where it is a path.
        shown: PathBuf,
        /// The folder of the sweep file.
        folder: PathBuf,
    },
    /// There is, and it is none.
    #[error("`trainer.command` names a file that cannot be executed: {}", file.display())]
    #[diagnostic(help("make it executable with `chmod +x`, or name its interpreter before it"))]
    NotExecutable {
        /// The file.
        file: PathBuf,
    },
    /// Something under `files` is missing.
    #[error("`trainer.files` names what is not there: {}", path.display())]
    #[diagnostic(help("a path is relative to the file that names the command"))]
    NoFile {
        /// What.
        path: PathBuf,
    },
    /// One worker program serves all runs of a command.
    #[error("the runs are for different trainers: {one} and {other}")]
    #[diagnostic(help("run the sweeps one by one"))]
    Different {
        /// The one.
        one: String,
        /// The other.
        other: String,
    },
}

impl Ends for TrainerError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Missing { .. } | Self::NotExecutable { .. } => exit::ENVIRONMENT,
            Self::NoFile { .. } | Self::Different { .. } => exit::USAGE,
        }
    }
}

fn way_out(shown: &Path, folder: &Path) -> String {
    let here = folder.join(shown);
    if !shown.is_absolute() && here.is_file() {
        return format!("{} is there: write ./{}", here.display(), shown.display());
    }
    "a program without / is looked for in PATH, one with it beside the sweep file".to_owned()
}

/// The program behind a command.
///
/// # Errors
/// When it is not there, or cannot be executed.
pub fn locate(trainer: &Trainer) -> Result<PathBuf, TrainerError> {
    let name = trainer.command.first().map(String::as_str).unwrap_or_default();
    let folder = trainer.folder.clone();
    if name.contains('/') {
        let file = folder.join(name.strip_prefix("./").unwrap_or(name));
        return match (file.is_file(), is_executable(&file)) {
            (true, true) => Ok(file),
            (true, false) => Err(TrainerError::NotExecutable { file }),
            (false, _) => Err(TrainerError::Missing { shown: file, folder }),
        };
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places = env::split_paths(&path).map(|place| place.join(name));
    let found = places.find(|file| file.is_file() && is_executable(file));
    found.ok_or_else(|| TrainerError::Missing { shown: name.into(), folder })
}

fn is_executable(file: &Path) -> bool {
    rustix::fs::access(file, Access::EXEC_OK).is_ok()
}

/// What runs of `config` depend on besides it: the files that its command names, and its data, of whatever
/// kind that is.
///
/// # Errors
/// When something is not there.
pub fn fingerprints(
    config: &Own,
    weights: Option<&Path>,
    fingerprinter: &mut Fingerprinter,
) -> Result<Fingerprints, crate::planning::PlanningError> {
    locate(&config.trainer)?;
    let mut named = Vec::new();
    for (name, path) in config.trainer.named() {
        let is_listed = config.trainer.files.iter().any(|listed| listed == name);
        if path.is_file() || is_listed && path.is_dir() {
            named.push((name, fingerprinter.content(&path)?));
        } else if is_listed {
            return Err(TrainerError::NoFile { path }.into());
        }
    }
    let mut of = |what, path: &Path| {
        match path.exists() {
            true => fingerprinter.content(path),
            false => Err(FingerprintError::Missing { what, folder: path.to_owned() }),
        }
        .map(|hash| hash.to_hex().to_string())
    };
    let data = config.data.as_ref();
    let train = data.map(|data| of("train", &data.train)).transpose()?;
    let validation = match data.map(|data| &data.validation) {
        Some(Validation::Folder(folder)) => Some(of("validation", folder)?),
        _ => None,
    };
    let test = data.and_then(|data| data.test.as_deref());
    Ok(Fingerprints {
        train,
        validation,
        test: test.map(|test| of("test", test)).transpose()?,
        weights: weights.map(|file| of("weights", file)).transpose()?,
        trainer: (!named.is_empty()).then(|| spec::images::fingerprint(named)),
    })
}

/// The weights that a sweep names for a trainer of the user's own: a file, since it has `"imagenet"` of its
/// own.
pub fn weights(config: &Own) -> Option<&Weights> {
    let weights = &config.model.as_ref()?.weights;
    matches!(weights, Weights::File(_)).then_some(weights)
}

/// The program that trains all of `configs`.
///
/// # Errors
/// When that takes several, or it is not there.
pub fn program<'a>(
    configs: impl IntoIterator<Item = &'a Config>,
) -> Result<Program, crate::exit::Failure> {
    let mut one: Option<Kind<'_>> = None;
    for config in configs {
        let kind = Kind::of(config);
        match &one {
            None => one = Some(kind),
            Some(one) if *one == kind => {}
            Some(one) => {
                let (one, other) = (one.words(), kind.words());
                return Err(TrainerError::Different { one, other }.into());
            }
        }
    }
    Ok(match one {
        None | Some(Kind::Builtin) => Program::find()?,
        Some(Kind::Simple) => Program::adapter()?,
        Some(Kind::Worker(trainer)) => Program::own(trainer, locate(trainer)?),
    })
}

/// What trains a run.
#[derive(Debug, PartialEq)]
enum Kind<'a> {
    Builtin,
    /// Any of them: the adapter starts what the run says.
    Simple,
    Worker(&'a Trainer),
}

impl<'a> Kind<'a> {
    fn of(config: &'a Config) -> Self {
        match config {
            Config::Builtin(_) => Self::Builtin,
            Config::Own(own) if own.trainer.protocol == Protocol::Simple => Self::Simple,
            Config::Own(own) => Self::Worker(&own.trainer),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Builtin => "the built-in one".to_owned(),
            Self::Simple => "one of your own in the simple protocol".to_owned(),
            Self::Worker(trainer) => format!("`{}`", trainer.command.join(" ")),
        }
    }
}
