//! Submitting.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use miette::Diagnostic;
use spec::paths::ResultsDir;
use spec::record;
use spec::slurm::Slurm;
use spec::sweep::Schedule;
use thiserror::Error;

use super::bundle;
use super::cluster::{self, Cluster, ClusterError};
use super::decide::unseen;
use super::mapping::{Array, JobId, Jobs, MappedRun, Mapping, Submission, TaskOrder};
use super::queue::Queue;
use super::script::{self, Frame, ScriptError};
use crate::exit::{self, Ends};
use crate::planning::Work;
use crate::process::Process;
use crate::store::{ReadError, Store, WriteError, Written, open_submissions};

/// What is to be submitted.
#[derive(Debug, Clone)]
pub struct Order<'a> {
    /// The sweeps it is for, by name; at least one.
    pub sweeps: Vec<String>,
    /// The runs.
    pub work: Vec<Work>,
    /// What the cluster is asked for.
    pub slurm: &'a Slurm,
    /// How a task runs them.
    pub schedule: &'a Schedule,
    /// Whether runs that can be are fused.
    pub fuse: bool,
    /// Bytes of a GPU's memory that have to be free before a worker starts there.
    pub wait_free_memory: Option<u64>,
    /// What `sweep slurm-collect` is told besides.
    pub collector_arguments: String,
    /// The worker, where it is not beside this program.
    pub train: Option<PathBuf>,
}

/// What will be submitted, with nothing left to decide.
#[derive(Debug)]
pub struct Prepared {
    /// The submission's name.
    pub name: String,
    /// Which task has which runs.
    pub mapping: Mapping,
    /// The places in [`Order::work`] of each task's runs.
    pub tasks: Vec<Vec<usize>>,
    /// The script of each array.
    pub scripts: Vec<String>,
    /// The script of the job that writes the reports.
    pub collector: String,
}

/// What Slurm took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// The arrays.
    pub arrays: Vec<JobId>,
    /// The job that writes the reports, or why there is none.
    pub collector: Result<JobId, String>,
}

/// Not everything could be submitted.
#[derive(Debug, Error, Diagnostic)]
pub enum SubmitError {
    /// Slurm did not take it.
    #[error("{taken} of {all} arrays are submitted, and no more: {cause}")]
    #[diagnostic(help("{}", way_out(cause)))]
    Refused {
        /// So many were taken before.
        taken: usize,
        /// Of so many.
        all: usize,
        /// Why.
        cause: ClusterError,
    },
    /// A script cannot be written.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Script(#[from] ScriptError),
    /// The results folder cannot be written.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Write(#[from] WriteError),
    /// Nobody knows where we are.
    #[error("cannot tell where sweep itself lies: {0}")]
    Nowhere(io::Error),
}

impl Ends for SubmitError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Script(error) => error.exit_code(),
            Self::Write(error) => error.exit_code(),
            Self::Refused { .. } | Self::Nowhere(_) => exit::ENVIRONMENT,
        }
    }
}

fn way_out(cause: &ClusterError) -> String {
    let help = cause.help().map(|help| help.to_string());
    help.unwrap_or_else(|| "give the same command again".to_owned())
}

/// The submissions of which something is expected, and what the queue has of them: one question to Slurm, and
/// none where nothing is expected.
///
/// # Errors
/// When submissions cannot be read.
pub fn look(dir: &ResultsDir, cluster: Cluster) -> Result<(Vec<Submission>, Queue), ReadError> {
    let submissions = open_submissions(dir)?;
    if submissions.is_empty() {
        return Ok((submissions, Queue::Known(Vec::new())));
    }
    let names = submissions.iter().flat_map(|submission| {
        let arrays = submission.mapping.arrays.iter().map(|array| array.name.as_str());
        arrays.chain([submission.mapping.collector.as_str()])
    });
    let users = submissions.iter().filter_map(|submission| submission.mapping.user);
    let mut queue = cluster.queue(names, users);
    if let Queue::Known(entries) = &queue
        && let Some((submission, user)) = unseen(&submissions, entries, cluster::this_user())
        && let Err(why) = cluster.shows_jobs_of_others()
    {
        let name = &submission.name;
        queue = Queue::Unknown(format!("{name} was submitted by user {user}, and {why}"));
    }
    Ok((submissions, queue))
}

/// Shares out what is to be submitted, in arrays of `most` tasks at most.
///
/// # Errors
/// When a script cannot be written.
pub fn prepare(order: &Order<'_>, dir: &ResultsDir, most: usize) -> Result<Prepared, SubmitError> {
    let absolute = |path: &Path| std::path::absolute(path).map_err(SubmitError::Nowhere);
    let results = ResultsDir::new(absolute(dir.root())?);
    let sweep = env::current_exe().map_err(SubmitError::Nowhere)?;
    let name = name_of(&order.sweeps);
    let prefixes: Vec<_> = order.work.iter().map(|work| work.prefix(order.fuse)).collect();
    let tasks = bundle::tasks(&prefixes, order.slurm.runs_per_task);
    let mapped = |place: &usize| {
        let work = &order.work[*place];
        MappedRun { run: work.run(), attempts: work.attempts }
    };
    let arrays = bundle::arrays(tasks.len(), most).into_iter().enumerate();
    let mapping = Mapping {
        version: record::VERSION,
        written: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        user: Some(cluster::this_user()),
        sweeps: order.sweeps.clone(),
        arrays: arrays
            .map(|(number, range)| Array {
                name: format!("sweep.{name}.{number}"),
                first: range.start,
                tasks: range.len(),
            })
            .collect(),
        collector: format!("sweep.{name}.collect"),
        tasks: tasks.iter().map(|places| places.iter().map(mapped).collect()).collect(),
    };
    let frame = Frame {
        slurm: order.slurm,
        sweep: &sweep,
        train: order.train.as_deref(),
        results: results.root(),
        name: &name,
        dir: &results.submission(&name),
    };
    let scripts = mapping.arrays.iter().map(|array| script::array(&frame, array));
    let scripts = scripts.collect::<Result<_, _>>()?;
    let collector = script::collector(&frame, &mapping.collector, &order.collector_arguments)?;
    Ok(Prepared { name, mapping, tasks, scripts, collector })
}

/// Writes down what is to be submitted, then submits it; to be called by whoever holds
/// [`Store::submitting`].
///
/// # Errors
/// When it cannot be written: then nothing is submitted. When Slurm does not take an array: then those before
/// it are submitted, and the next one who looks submits the rest.
pub fn submit(
    order: &Order<'_>,
    prepared: &Prepared,
    store: &Store,
    cluster: Cluster,
) -> Result<Submitted, SubmitError> {
    let Prepared { name, mapping, tasks, scripts, collector } = prepared;
    let task = |places: &Vec<usize>| TaskOrder {
        version: record::VERSION,
        schedule: order.schedule.clone(),
        fuse: order.fuse,
        wait_free_memory: order.wait_free_memory,
        work: places.iter().map(|&place| order.work[place].clone()).collect(),
    };
    store.write_submission(
        name,
        Written { mapping, scripts, collector },
        tasks.iter().map(task),
    )?;
    let dir = store.dir().submission(name);
    let mut jobs = Jobs::none(mapping.arrays.len());
    let mut taken: Vec<JobId> = Vec::new();
    for place in 0..mapping.arrays.len() {
        // Each array has a limit of its own; one after the other they have it together.
        let after = taken.last().filter(|_| order.slurm.max_concurrent.is_some());
        let job = cluster
            .submit(&dir.script(place), after.map(std::slice::from_ref).unwrap_or_default())
            .map_err(|cause| SubmitError::Refused {
                taken: taken.len(),
                all: mapping.arrays.len(),
                cause,
            })?;
        taken.push(job);
        jobs.arrays[place] = Some(job);
        store.write_jobs(name, &jobs)?;
    }
    let collector = cluster.submit(&dir.collector(), &taken);
    if let Ok(job) = collector {
        jobs.collector = Some(job);
        store.write_jobs(name, &jobs)?;
    }
    Ok(Submitted { arrays: taken, collector: collector.map_err(|error| error.to_string()) })
}

/// A name that nothing else has, for a folder and for Slurm, which takes commas for the end of a name.
fn name_of(sweeps: &[String]) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let stem: String = sweeps.iter().flat_map(|name| name.chars()).map(plain).take(40).collect();
    let nanos = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos());
    let mut hasher = blake3::Hasher::new();
    hasher.update(&nanos.to_le_bytes()).update(&std::process::id().to_le_bytes());
    if let Ok(this) = Process::this() {
        hasher.update(this.host.as_bytes()).update(this.boot.as_bytes());
    }
    format!("{stem}-{}", &hasher.finalize().to_hex()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word_and_another_one_each_time() {
        let names = || name_of(&["grid, 2 x 3|ä".to_owned(), "b".to_owned()]);
        let (one, other) = (names(), names());
        assert!(one.starts_with("grid__2_x_3__b-"), "{one}");
        assert_ne!(one, other);
    }
}
