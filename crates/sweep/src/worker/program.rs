//! The worker program: where it is, and what it says of the machine.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use miette::Diagnostic;
use serde::Deserialize;
use spec::config::Trainer;
use thiserror::Error;

use crate::exit::{self, Ends};
use crate::process;
use crate::slurm::cluster::scrub;

/// How long a worker may take to say what it finds: CUDA over a slow network takes a minute to load.
const PROBE_LIMIT: Duration = Duration::from_secs(5 * 60);

/// The worker's executable, and how it is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    file: PathBuf,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// The built-in trainer.
    Builtin,
    /// This program itself, which starts others.
    Adapter,
    /// A worker of the user's own, with these arguments, in this folder.
    Own { arguments: Vec<String>, folder: PathBuf },
}

/// There is no worker.
#[derive(Debug, Error, Diagnostic)]
pub enum ProgramError {
    /// Not beside us, and no other is named.
    #[error("there is no worker: {}", file.display())]
    #[diagnostic(help(
        "`./scripts/setup` builds sweep-train beside sweep; SWEEP_TRAIN names another worker"
    ))]
    Missing {
        /// Where it was looked for.
        file: PathBuf,
    },
    /// We do not know where we are ourselves.
    #[error("cannot tell where sweep itself lies, so not where its worker is: {0}")]
    #[diagnostic(help("SWEEP_TRAIN names a worker"))]
    Nowhere(io::Error),
}

impl Ends for ProgramError {
    fn exit_code(&self) -> u8 {
        exit::ENVIRONMENT
    }
}

/// What `sweep-train --probe` says: one line of JSON. Fields that we do not know are left alone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Probe {
    /// The worker's version.
    pub version: String,
    /// The protocol it speaks.
    pub protocol: u32,
    /// The libtorch that it found.
    pub libtorch: String,
    /// How many GPUs it can use.
    pub cuda_devices: usize,
    /// Files of the libraries that it computes with, where it tells.
    #[serde(default)]
    pub libraries: Vec<PathBuf>,
}

/// A worker that does not answer `--probe`.
#[derive(Debug, Error, Diagnostic)]
pub enum ProbeError {
    /// It does not start.
    #[error("the worker {} does not start: {cause}", program.display())]
    #[diagnostic(help("`sweep doctor` looks for what is missing; `./scripts/setup` gets it"))]
    Start {
        /// The worker.
        program: PathBuf,
        /// Why.
        cause: String,
    },
    /// It says something else.
    #[error("the worker {} does not answer --probe as expected: {cause}", program.display())]
    #[diagnostic(help("build sweep and sweep-train from the same source"))]
    Answer {
        /// The worker.
        program: PathBuf,
        /// What is wrong with the answer.
        cause: String,
    },
}

impl Ends for ProbeError {
    fn exit_code(&self) -> u8 {
        exit::ENVIRONMENT
    }
}

impl Program {
    /// The one that `SWEEP_TRAIN` names, else `sweep-train` beside this executable.
    ///
    /// # Errors
    /// When there is none.
    pub fn find() -> Result<Self, ProgramError> {
        let file = match env::var_os("SWEEP_TRAIN").filter(|named| !named.is_empty()) {
            Some(named) => std::path::absolute(named).map_err(ProgramError::Nowhere)?,
            None => {
                env::current_exe().map_err(ProgramError::Nowhere)?.with_file_name("sweep-train")
            }
        };
        if file.is_file() {
            Ok(Self { file, kind: Kind::Builtin })
        } else {
            Err(ProgramError::Missing { file })
        }
    }

    /// The adapter, for programs that are no workers.
    ///
    /// # Errors
    /// When this executable cannot be found.
    pub fn adapter() -> Result<Self, ProgramError> {
        let file = env::current_exe().map_err(ProgramError::Nowhere)?;
        Ok(Self { file, kind: Kind::Adapter })
    }

    /// A worker of the user's own, whose program is `file`.
    pub fn own(trainer: &Trainer, file: PathBuf) -> Self {
        let arguments = trainer.command.iter().skip(1).cloned().collect();
        Self { file, kind: Kind::Own { arguments, folder: trainer.folder.clone() } }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// Whether it can be asked what it finds.
    pub fn is_builtin(&self) -> bool {
        self.kind == Kind::Builtin
    }

    /// What starts it for a share of `device` with so many threads. Of a job of Slurm's that we are in it hears
    /// nothing: it is not the job's program, but one of several.
    pub fn command(&self, device: &str, threads: usize) -> Command {
        let threads = threads.to_string();
        let mut command = Command::new(&self.file);
        scrub(&mut command);
        match &self.kind {
            Kind::Builtin => {
                command.args(["--device", device, "--threads", &threads]);
            }
            Kind::Adapter => {
                command.args(["adapt", "--device", device, "--threads", &threads]);
            }
            Kind::Own { arguments, folder } => {
                command.args(arguments).current_dir(folder);
                command.env("SWEEP_DEVICE", device).env("SWEEP_THREADS", threads);
            }
        }
        command
    }

    /// What it finds on this machine.
    ///
    /// # Errors
    /// When it does not start or does not answer.
    pub fn probe(&self) -> Result<Probe, ProbeError> {
        self.probe_within(PROBE_LIMIT)
    }

    fn probe_within(&self, limit: Duration) -> Result<Probe, ProbeError> {
        let start = |cause: String| ProbeError::Start { program: self.file.clone(), cause };
        let output = process::answer(
            Command::new(&self.file).arg("--probe").env("CUDA_DEVICE_ORDER", "PCI_BUS_ID"),
            limit,
        )
        .map_err(|error| start(error.to_string()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(start(format!("{}\n{}", output.status, said.trim_end())));
        }
        let answer = |cause: String| ProbeError::Answer { program: self.file.clone(), cause };
        serde_json::from_slice(&output.stdout).map_err(|error| answer(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_worker_that_never_answers_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sweep-train");
        fs_err::write(&file, "#!/bin/sh\ntail -f /dev/null\n").unwrap();
        fs_err::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        let error = Program { file, kind: Kind::Builtin }
            .probe_within(Duration::from_millis(50))
            .unwrap_err();
        assert!(error.to_string().ends_with("does not start: no answer in 50ms"), "{error}");
    }
}
