//! Asking the programs of Slurm.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use miette::Diagnostic;
use thiserror::Error;

use super::mapping::JobId;
use super::queue::{self, Queue};
use crate::exit::{self, Ends};
use crate::process;

/// How long a question may take. A controller that is gone is noticed by Slurm itself after some ten seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a submission may take: sbatch waits for a controller that has too much to do.
const SUBMIT_PATIENCE: Duration = Duration::from_secs(5 * 60);

/// The cluster of this machine, as the programs on the path know it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cluster;

/// A program of Slurm's did not do what was asked.
#[derive(Debug, Error, Diagnostic)]
pub enum ClusterError {
    /// It is not here.
    #[error("there is no `{program}` here")]
    #[diagnostic(help(
        "--launcher slurm submits from a machine that belongs to a Slurm cluster: its login node, mostly"
    ))]
    Missing {
        /// The program.
        program: &'static str,
    },
    /// It could not, or nobody answered.
    #[error("`{program}` failed: {said}")]
    #[diagnostic(help(
        "what Slurm has taken goes on, and results are kept; mend it, or wait for the controller to come \
         back, then give the same command"
    ))]
    Failed {
        /// The program.
        program: &'static str,
        /// What it said.
        said: String,
    },
    /// It said something that cannot be understood.
    #[error("`{program}` says something odd: {said}")]
    #[diagnostic(help(
        "if it has submitted something all the same, the same command finds it by its name"
    ))]
    Odd {
        /// The program.
        program: &'static str,
        /// What it said.
        said: String,
    },
    /// The cluster has no job arrays.
    #[error("this cluster takes no job arrays: MaxArraySize is {0}")]
    #[diagnostic(help("whoever keeps the cluster sets MaxArraySize in slurm.conf"))]
    NoArrays(usize),
}

impl Ends for ClusterError {
    fn exit_code(&self) -> u8 {
        exit::ENVIRONMENT
    }
}

impl Cluster {
    /// The most tasks that an array may have; at least 1.
    ///
    /// # Errors
    /// When the controller does not answer, or takes no arrays.
    pub fn max_array_size(self) -> Result<usize, ClusterError> {
        let said = answer("scontrol", ["show", "config"], PATIENCE)?;
        match queue::max_array_size(&said) {
            Some(size) if size > 1 => Ok(size),
            Some(size) => Err(ClusterError::NoArrays(size)),
            None => Err(odd("scontrol", &said)),
        }
    }

    /// Submits `script`, to begin when all of `after` are over, however they end.
    ///
    /// # Errors
    /// When Slurm does not take it, or its answer is lost.
    pub fn submit(self, script: &Path, after: &[JobId]) -> Result<JobId, ClusterError> {
        let mut arguments = vec!["--parsable".into()];
        if !after.is_empty() {
            let jobs: Vec<String> = after.iter().map(JobId::to_string).collect();
            arguments.push(format!("--dependency=afterany:{}", jobs.join(":")).into());
        }
        arguments.push(script.as_os_str().to_owned());
        let said = answer("sbatch", &arguments, SUBMIT_PATIENCE)?;
        queue::submitted(&said).ok_or_else(|| odd("sbatch", &said))
    }

    /// Whether jobs of other users can be seen; if not, why.
    ///
    /// # Errors
    /// In words, when they cannot, or nobody can tell.
    pub fn shows_jobs_of_others(self) -> Result<(), String> {
        let said = answer("scontrol", ["show", "config"], PATIENCE);
        let said = said.map_err(|error| error.to_string())?;
        match queue::hides_jobs(&said) {
            Some(false) => Ok(()),
            Some(true) => Err("this cluster shows nobody the jobs of others (PrivateData); \
                               the same command by that user can tell"
                .to_owned()),
            None => Err(odd("scontrol", &said).to_string()),
        }
    }

    /// What the queue has under `names`, of this user's and of `users`' jobs. Who cannot be asked knows nothing.
    pub fn queue<'a>(
        self,
        names: impl IntoIterator<Item = &'a str>,
        users: impl IntoIterator<Item = u32>,
    ) -> Queue {
        let names: Vec<&str> = names.into_iter().collect();
        // The controller picks users' jobs out, squeue the names.
        let users: BTreeSet<u32> = users.into_iter().chain([this_user()]).collect();
        let users: Vec<String> = users.iter().map(u32::to_string).collect();
        let arguments = [
            "--noheader".to_owned(),
            format!("--user={}", users.join(",")),
            format!("--name={}", names.join(",")),
            format!("--format={}", queue::FORMAT),
        ];
        match answer("squeue", arguments, PATIENCE) {
            Ok(said) => match queue::parse(&said) {
                Ok(entries) => Queue::Known(entries),
                Err(line) => Queue::Unknown(odd("squeue", &line).to_string()),
            },
            Err(error) => Queue::Unknown(error.to_string()),
        }
    }

    /// Sends a job back into the queue; its processes are ended.
    ///
    /// # Errors
    /// When Slurm does not do so.
    pub fn requeue(self, job: &str) -> Result<(), ClusterError> {
        answer("scontrol", ["requeue", job], PATIENCE).map(drop)
    }
}

/// The number of the user that we are, which is one on all machines of a cluster.
pub(super) fn this_user() -> u32 {
    rustix::process::getuid().as_raw()
}

fn odd(program: &'static str, said: &str) -> ClusterError {
    ClusterError::Odd { program, said: last_words(said) }
}

/// What `program` says on stdout, when it ends well.
fn answer<S: AsRef<OsStr>>(
    program: &'static str,
    arguments: impl IntoIterator<Item = S>,
    patience: Duration,
) -> Result<String, ClusterError> {
    let mut command = Command::new(program);
    command.args(arguments);
    scrub(&mut command);
    // Otherwise squeue cuts long lists of indices.
    command.env("SLURM_BITSTR_LEN", "0");
    let failed = |said: String| ClusterError::Failed { program, said };
    let output = match process::answer(&mut command, patience) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(ClusterError::Missing { program });
        }
        output => output.map_err(|error| failed(error.to_string()))?,
    };
    if !output.status.success() {
        let said = last_words(&String::from_utf8_lossy(&output.stderr));
        return Err(failed(if said.is_empty() { output.status.to_string() } else { said }));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Takes out of the environment what would change the meaning of a command: we may be in a job ourselves,
/// whose memory and tasks are not those of the jobs that we submit, and whose ranks are not those of the workers
/// that we start: libraries for distributed training take themselves for one of many. Where the cluster is stays.
pub(crate) fn scrub(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let is_slurms = name.to_str().is_some_and(is_scrubbed);
        if is_slurms {
            command.env_remove(name);
        }
    }
}

fn is_scrubbed(variable: &str) -> bool {
    let prefixes = ["SLURM_", "SBATCH_", "SQUEUE_", "SCONTROL_"];
    prefixes.iter().any(|prefix| variable.starts_with(prefix)) && variable != "SLURM_CONF"
}

fn last_words(said: &str) -> String {
    let lines: Vec<&str> = said.trim().lines().collect();
    let last = lines[lines.len().saturating_sub(5)..].join("\n");
    last.chars().take(1000).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_where_the_cluster_is_stays_in_the_environment() {
        let table = [
            ("SLURM_CONF", false),
            ("SLURM_MEM_PER_CPU", true),
            ("SLURM_NTASKS", true),
            ("SLURMD_NODENAME", false),
            ("SBATCH_PARTITION", true),
            ("SQUEUE_FORMAT", true),
            ("SWEEP_RESULTS", false),
            ("PATH", false),
        ];
        for (variable, scrubbed) in table {
            assert_eq!(is_scrubbed(variable), scrubbed, "{variable}");
        }
    }
}
