//! Being a task: who we are in Slurm, and what it tells us.

use std::env;
use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use miette::Diagnostic;
use signal_hook::consts::SIGUSR1;
use thiserror::Error;

use crate::exit::{self, Ends};

/// A task of an array, as Slurm's environment tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The number that `scontrol` knows the task by.
    pub job: String,
    /// The array's number.
    pub array: String,
    /// Its place in the array, from 0.
    pub index: usize,
    /// How often it was sent back into the queue.
    pub restarts: u32,
    /// The CPUs that it was given, where Slurm says how many.
    pub cpus: Option<NonZeroUsize>,
}

/// A task that cannot begin.
#[derive(Debug, Error, Diagnostic)]
pub enum TaskError {
    /// It is no task.
    #[error("this is no task of a Slurm array: {variable} is {}", value.as_deref().unwrap_or("not set"))]
    #[diagnostic(help("`sweep run FILE --launcher slurm` submits; Slurm then gives this command"))]
    NoTask {
        /// What Slurm would have set.
        variable: &'static str,
        /// To what it is set.
        value: Option<String>,
    },
    /// Nothing is known of it.
    #[error("{} is not here", file.display())]
    #[diagnostic(help(
        "the results folder must lie on a file system that all nodes share, at the same path; after \
         `sweep gc` what was submitted before is gone"
    ))]
    NoOrder {
        /// Where it was looked for.
        file: PathBuf,
    },
    /// Signals cannot be caught.
    #[error("cannot prepare for Slurm's signal: {0}")]
    Signals(io::Error),
}

impl Ends for TaskError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::NoTask { .. } => exit::USAGE,
            Self::NoOrder { .. } | Self::Signals(_) => exit::ENVIRONMENT,
        }
    }
}

impl Place {
    /// By this process's environment.
    ///
    /// # Errors
    /// When it is no task of an array.
    pub fn from_environment() -> Result<Self, TaskError> {
        Self::read(|name| env::var(name).ok())
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, TaskError> {
        fn parsed<T: std::str::FromStr>(
            variable: &'static str,
            value: Option<String>,
        ) -> Result<T, TaskError> {
            let parsed = value.as_ref().and_then(|value| value.parse().ok());
            parsed.ok_or(TaskError::NoTask { variable, value })
        }
        let of = |name: &'static str| parsed(name, variable(name));
        Ok(Self {
            job: parsed("SLURM_JOB_ID", variable("SLURM_JOB_ID"))?,
            array: parsed("SLURM_ARRAY_JOB_ID", variable("SLURM_ARRAY_JOB_ID"))?,
            index: of("SLURM_ARRAY_TASK_ID")?,
            // Not set the first time.
            restarts: variable("SLURM_RESTART_COUNT")
                .and_then(|count| count.parse().ok())
                .unwrap_or(0),
            cpus: ["SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"]
                .into_iter()
                .find_map(|name| variable(name)?.parse().ok()),
        })
    }

    /// As people call it: `Slurm job 77_3, restart 1`.
    pub fn label(&self) -> String {
        let restart = match self.restarts {
            0 => String::new(),
            restarts => format!(", restart {restarts}"),
        };
        format!("Slurm job {}_{}{restart}", self.array, self.index)
    }
}

/// Whether Slurm said that time is nearly over.
#[derive(Debug, Clone)]
pub struct Warning(Arc<AtomicBool>);

impl Warning {
    /// From now on the signal is caught: without that it would end us.
    ///
    /// # Errors
    /// When it cannot be.
    pub fn listen() -> Result<Self, TaskError> {
        let flag = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGUSR1, flag.clone()).map_err(TaskError::Signals)?;
        Ok(Self(flag))
    }

    /// Whether it came.
    pub fn came(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Place, TaskError> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Place::read(variable)
    }

    #[test]
    fn slurm_says_which_task_it_is() {
        let mut variables = vec![
            ("SLURM_JOB_ID", "81"),
            ("SLURM_ARRAY_JOB_ID", "77"),
            ("SLURM_ARRAY_TASK_ID", "3"),
            ("SLURM_CPUS_ON_NODE", "8"),
        ];
        let place = read(&variables).unwrap();
        assert_eq!(
            (place.index, place.restarts, place.label()),
            (3, 0, "Slurm job 77_3".to_owned())
        );
        assert_eq!(place.cpus, NonZeroUsize::new(8));
        variables.extend([("SLURM_RESTART_COUNT", "2"), ("SLURM_CPUS_PER_TASK", "4")]);
        let place = read(&variables).unwrap();
        assert_eq!(place.label(), "Slurm job 77_3, restart 2");
        assert_eq!(place.cpus, NonZeroUsize::new(4));
        let error = read(&variables[..2]).unwrap_err();
        insta::assert_snapshot!(error, @"this is no task of a Slurm array: SLURM_ARRAY_TASK_ID is not set");
    }
}
