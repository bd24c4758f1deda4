//! What was submitted to a cluster: written before anything of it is submitted.

use std::io::{self, Write as _};
use std::path::PathBuf;

use spec::paths::ResultsDir;
use spec::record;

use super::atomic::Syncing;
use super::lock::Lock;
use super::read::read_json;
use super::{ReadError, Store, WriteError, atomic};
use crate::slurm::{Jobs, Mapping, Submission, TaskOrder};

/// So many files are written before they are synced together.
const TOGETHER: usize = 256;

/// What all jobs of a submission are made of.
#[derive(Debug, Clone, Copy)]
pub struct Written<'a> {
    /// Which task has which runs.
    pub mapping: &'a Mapping,
    /// The script of each array.
    pub scripts: &'a [String],
    /// The script of the job that writes the reports.
    pub collector: &'a str,
}

/// Held while somebody submits.
#[derive(Debug)]
pub struct Submitting(#[expect(dead_code, reason = "open means held")] Lock);

impl Store {
    /// Waits until nobody else submits from this folder.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn submitting(&self) -> Result<Submitting, WriteError> {
        fs_err::create_dir_all(self.dir.submissions())?;
        Ok(Submitting(Lock::hold_file(self.dir.submission_lock())?))
    }

    /// Writes a submission under a name that is free. When this is done all of it is on the disk, and before
    /// that it counts for nothing.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_submission(
        &self,
        name: &str,
        written: Written<'_>,
        tasks: impl Iterator<Item = TaskOrder>,
    ) -> Result<(), WriteError> {
        let dir = self.dir.submission(name);
        fs_err::create_dir(dir.root())?;
        fs_err::create_dir(dir.tasks())?;
        fs_err::create_dir(dir.logs())?;
        let scripts = written.scripts.iter().enumerate();
        let scripts =
            scripts.map(|(place, script)| (dir.script(place), script.clone().into_bytes()));
        let collector = (dir.collector(), written.collector.as_bytes().to_vec());
        write_all(scripts.chain([collector]).map(Ok))?;
        write_all(
            tasks
                .enumerate()
                .map(|(place, task)| Ok((dir.task(place), serde_json::to_vec(&task)?))),
        )?;
        atomic::sync_folder(&dir.tasks())?;
        atomic::write_json(&dir.jobs(), &Jobs::none(written.mapping.arrays.len()))?;
        atomic::write(&dir.mapping(), &serde_json::to_vec(written.mapping)?)?;
        atomic::sync_folder(&self.dir.submissions())?;
        Ok(atomic::sync_folder(self.dir.root())?)
    }

    /// Takes down the numbers that Slurm gave.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write_jobs(&self, name: &str, jobs: &Jobs) -> Result<(), WriteError> {
        atomic::write_json(&self.dir.submission(name).jobs(), jobs)
    }

    /// Nothing more is expected of a submission.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn close_submission(&self, name: &str) -> Result<(), WriteError> {
        fs_err::File::create(self.dir.submission(name).closed())?;
        Ok(())
    }
}

/// Writes files that nobody looks at yet, and syncs them.
fn write_all(
    files: impl Iterator<Item = serde_json::Result<(PathBuf, Vec<u8>)>>,
) -> Result<(), WriteError> {
    let syncing = Syncing::start()?;
    let mut files = files.peekable();
    while files.peek().is_some() {
        let mut open = Vec::new();
        for file in files.by_ref().take(TOGETHER) {
            let (path, content) = file?;
            let mut file = fs_err::File::create(path)?;
            file.write_all(&content)?;
            open.push(file);
        }
        syncing.sync(&open.iter().collect::<Vec<_>>())?;
    }
    Ok(())
}

/// The submissions of which something is still expected, in the order of their names.
///
/// # Errors
/// When one cannot be read, or a newer version of this program wrote it.
pub fn open_submissions(dir: &ResultsDir) -> Result<Vec<Submission>, ReadError> {
    let mut found = Vec::new();
    for name in names(dir)? {
        let submission = dir.submission(&name);
        if submission.closed().exists() {
            continue;
        }
        if let Some(mapping) = read_mapping(dir, &name)? {
            // Without numbers its jobs are found by their names.
            let jobs = match read_json::<Jobs>(&submission.jobs(), record::VERSION) {
                Ok(Some(jobs)) if jobs.arrays.len() == mapping.arrays.len() => jobs,
                Ok(_) | Err(ReadError::Broken { .. }) => Jobs::none(mapping.arrays.len()),
                Err(error) => return Err(error),
            };
            found.push(Submission { name, mapping, jobs });
        }
    }
    Ok(found)
}

/// A submission's mapping; none where writing it was cut off, so that nothing of it was submitted.
///
/// # Errors
/// When it cannot be read, or a newer version of this program wrote it.
pub fn read_mapping(dir: &ResultsDir, name: &str) -> Result<Option<Mapping>, ReadError> {
    read_json(&dir.submission(name).mapping(), record::VERSION)
}

/// What task `task` of a submission has to do; none where there is no such task.
///
/// # Errors
/// When it cannot be read, or a newer version of this program wrote it.
pub fn read_task(
    dir: &ResultsDir,
    name: &str,
    task: usize,
) -> Result<Option<TaskOrder>, ReadError> {
    read_json(&dir.submission(name).task(task), record::VERSION)
}

fn names(dir: &ResultsDir) -> io::Result<Vec<String>> {
    let entries = match fs_err::read_dir(dir.submissions()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    Ok(names)
}
