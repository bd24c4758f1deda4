//! What a program is told of its run.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value};
use spec::config::{Config, Own};
use spec::placeholders::{Meanings, PlaceholderError, written};
use spec::protocol::RunOrder;

use super::Place;

/// The files of one run, in a folder that is gone after it.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) folder: PathBuf,
    /// Where the program keeps what it goes on from when it is interrupted: it stays until the run has ended.
    pub(super) checkpoint: PathBuf,
}

impl Files {
    pub(super) fn config(&self) -> PathBuf {
        self.folder.join("config.json")
    }

    pub(super) fn metrics(&self) -> PathBuf {
        self.folder.join("metrics.jsonl")
    }

    pub(super) fn predictions(&self) -> PathBuf {
        self.folder.join("predictions.csv")
    }

    pub(super) fn score(&self) -> PathBuf {
        self.folder.join("score")
    }
}

/// What stands for the words that a command may use besides the settings.
fn reserved(
    name: &str,
    order: &RunOrder<Config>,
    Place { device, threads }: &Place,
    files: &Files,
) -> String {
    let path = |path: PathBuf| path.display().to_string();
    match name {
        "run" => order.run.to_string(),
        "seed" => order.seed.to_string(),
        "device" => device.clone(),
        "threads" => threads.to_string(),
        "config" => path(files.config()),
        "folder" => path(files.folder.clone()),
        "checkpoint" => path(files.checkpoint.clone()),
        "metrics" => path(files.metrics()),
        "predictions" => path(files.predictions()),
        "score" => path(files.score()),
        // All of them stand above: a test holds that.
        _ => String::new(),
    }
}

/// The program's command line and environment. `SWEEP_` and a word in capitals for each of
/// [`spec::placeholders::RESERVED`], `SWEEP_` and its path for each setting: `SWEEP_PARAMS_LR`.
///
/// # Errors
/// When a placeholder stands for nothing.
pub(super) fn command(
    order: &RunOrder<Config>,
    config: &Own,
    place: &Place,
    files: &Files,
) -> Result<Command, PlaceholderError> {
    let meaning = |name: &'static str| reserved(name, order, place, files);
    let meanings = Meanings::new(config, meaning);
    let mut words = config.trainer.command.iter().map(|word| meanings.expand(word));
    let program = words.next().transpose()?.unwrap_or_default();
    let folder = &config.trainer.folder;
    // A path is relative to the sweep file, and not to where we are.
    let program = if program.contains('/') { folder.join(program) } else { PathBuf::from(program) };
    let mut command = Command::new(program);
    command.args(words.collect::<Result<Vec<_>, _>>()?).current_dir(folder);
    for name in spec::placeholders::RESERVED {
        command.env(format!("SWEEP_{}", name.to_ascii_uppercase()), meaning(name));
    }
    for (path, value) in config.settings() {
        let name = path.replace('.', "_").to_ascii_uppercase();
        command.env(format!("SWEEP_{name}"), written(&value));
    }
    Ok(command)
}

/// `config.json`: the same as one object, settings by section.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write_config(
    order: &RunOrder<Config>,
    config: &Own,
    place: &Place,
    files: &Files,
) -> io::Result<()> {
    let mut told = match serde_json::to_value(config)? {
        Value::Object(sections) => sections,
        _ => Map::new(),
    };
    told.remove("trainer");
    for name in spec::placeholders::RESERVED.into_iter().filter(|name| *name != "config") {
        told.insert(name.to_owned(), reserved(name, order, place, files).into());
    }
    told.insert("seed".to_owned(), order.seed.into());
    told.insert("threads".to_owned(), place.threads.into());
    write(&files.config(), &serde_json::to_vec_pretty(&Value::Object(told))?)
}

fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    fs_err::write(file, bytes)
}
