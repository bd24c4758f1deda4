//! What may go: features beyond a size, and what those have left who were killed.

use std::fs::TryLockError;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use spec::paths::{ResultsDir, RunDir};
use spec::run_id::RunId;

use super::claims::at_work_now;
use super::lock::Lock;
use super::{StoreError, WriteError, read_result};

/// What went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Freed {
    /// Files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// What became of a results folder's garbage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// What went.
    pub freed: Freed,
    /// Bytes of features that are left.
    pub left: u64,
    /// Files of features that are in use, and stay whatever their size.
    pub in_use: usize,
}

/// A file of features.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Features {
    file: PathBuf,
    bytes: u64,
    used: SystemTime,
}

/// Removes features, those first that were used longest ago, until no more than `keep` bytes of them are
/// left, halves of files that nobody will finish, what was kept of runs that have ended, and what was
/// submitted to a cluster and is over. What a worker is at stays.
///
/// # Errors
/// When something cannot be listed or removed, or a result not be read.
pub fn collect_garbage(dir: &ResultsDir, keep: u64) -> Result<Collected, StoreError> {
    let mut collected = collect_features(dir, keep).map_err(WriteError::from)?;
    clear_runs(dir, &mut collected.freed)?;
    clear_submissions(dir, &mut collected.freed).map_err(WriteError::from)?;
    Ok(collected)
}

/// What was submitted to a cluster and is over, with what its jobs said.
fn clear_submissions(dir: &ResultsDir, freed: &mut Freed) -> io::Result<()> {
    for folder in entries(&dir.submissions())?.into_iter().filter(|path| path.is_dir()) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let submission = dir.submission(&name);
        if !submission.closed().exists() {
            continue;
        }
        for folder in [submission.root().to_owned(), submission.tasks(), submission.logs()] {
            for file in files(&folder)? {
                freed.add(size(&file)?);
            }
        }
        fs_err::remove_dir_all(submission.root())?;
    }
    Ok(())
}

fn collect_features(dir: &ResultsDir, keep: u64) -> io::Result<Collected> {
    let mut collected = Collected::default();
    let (features, halves) = list(&dir.cache())?;
    let total: u64 = features.iter().map(|features| features.bytes).sum();
    collected.left = total;
    for features in oldest_first(features) {
        if collected.left <= keep {
            break;
        }
        match remove_unless_used(&features.file)? {
            true => {
                collected.left -= features.bytes;
                collected.freed.add(features.bytes);
            }
            false => collected.in_use += 1,
        }
    }
    for half in halves {
        let bytes = size(&half)?;
        if remove_unless_used(&half)? {
            collected.freed.add(bytes);
        }
    }
    Ok(collected)
}

impl Freed {
    fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

fn oldest_first(mut features: Vec<Features>) -> Vec<Features> {
    features.sort_by(|one, other| (one.used, &one.file).cmp(&(other.used, &other.file)));
    features
}

/// The features in `cache`, and the halves of such.
fn list(cache: &Path) -> io::Result<(Vec<Features>, Vec<PathBuf>)> {
    let (mut features, mut halves) = (Vec::new(), Vec::new());
    for file in files(cache)? {
        match file.extension().and_then(|ending| ending.to_str()) {
            Some("safetensors") => {
                let metadata = fs_err::metadata(&file)?;
                // Not every disk takes down when a file was read.
                let times = [metadata.accessed(), metadata.modified()];
                let used = times.into_iter().flatten().max().unwrap_or(SystemTime::UNIX_EPOCH);
                features.push(Features { file, bytes: metadata.len(), used });
            }
            Some("part") => halves.push(file),
            _ => {}
        }
    }
    Ok((features, halves))
}

/// Whether `file` is removed: its lock, which workers hold while they read or make it, was free. The lock
/// itself stays, since somebody may wait for it.
fn remove_unless_used(file: &Path) -> io::Result<bool> {
    let lock = fs_err::File::create(file.with_extension("lock"))?;
    match lock.file().try_lock() {
        Ok(()) => fs_err::remove_file(file).map(|()| true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// What was being written for runs when a sweep was killed, and checkpoints of runs that have ended or are
/// not there any more; if nobody is at work.
fn clear_runs(dir: &ResultsDir, freed: &mut Freed) -> Result<(), StoreError> {
    if !dir.root().is_dir() {
        return Ok(());
    }
    let _lock = Lock::hold(dir).map_err(WriteError::from)?;
    if !at_work_now(dir).map_err(WriteError::from)?.is_empty() {
        return Ok(());
    }
    let runs = entries(&dir.runs()).map_err(WriteError::from)?;
    let checkpoints = entries(dir.checkpoints().root()).map_err(WriteError::from)?;
    for folder in runs.iter().chain(&checkpoints) {
        remove_files(folder, freed, |file| file.extension().is_some_and(|end| end == "part"))
            .map_err(WriteError::from)?;
    }
    let runs: Vec<RunDir> = runs.into_iter().map(RunDir::new).collect();
    for folder in checkpoints {
        let name = folder.file_name().and_then(|name| name.to_str()?.parse::<RunId>().ok());
        let Some(run) = name else { continue };
        let result = match runs.iter().find(|dir| dir.is_of(run)) {
            Some(dir) => read_result(dir, run)?.map(|result| result.outcome.is_settled()),
            None => Some(true),
        };
        if result == Some(true) {
            remove_folder(&folder, freed).map_err(WriteError::from)?;
        }
    }
    Ok(())
}

fn remove_files(
    folder: &Path,
    freed: &mut Freed,
    is_meant: impl Fn(&Path) -> bool,
) -> io::Result<()> {
    for file in files(folder)?.into_iter().filter(|file| is_meant(file)) {
        freed.add(size(&file)?);
        fs_err::remove_file(file)?;
    }
    Ok(())
}

/// Removes a folder with all that is in it, which a program of the user's own may have put there: links count
/// for themselves.
fn remove_folder(folder: &Path, freed: &mut Freed) -> io::Result<()> {
    for path in entries(folder)? {
        let metadata = fs_err::symlink_metadata(&path)?;
        if metadata.is_dir() {
            remove_folder(&path, freed)?;
        } else {
            freed.add(metadata.len());
            fs_err::remove_file(&path)?;
        }
    }
    fs_err::remove_dir(folder)
}

fn size(file: &Path) -> io::Result<u64> {
    Ok(fs_err::metadata(file)?.len())
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    Ok(entries(folder)?.into_iter().filter(|path| path.is_file()).collect())
}

/// What is in a folder; one that is not there has nothing.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs_err::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.path())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Four files of 100 bytes, `a` used longest ago, and half a file.
    fn cache() -> (tempfile::TempDir, ResultsDir) {
        let folder = tempfile::tempdir().unwrap();
        let dir = ResultsDir::new(folder.path());
        fs_err::create_dir_all(dir.cache()).unwrap();
        for (name, age) in [("a", 40), ("b", 30), ("c", 20), ("d", 10)] {
            let path = dir.cache().join(format!("{name}.safetensors"));
            fs_err::write(&path, [0; 100]).unwrap();
            let used = SystemTime::now() - Duration::from_secs(3600 * age);
            let times = std::fs::FileTimes::new().set_accessed(used).set_modified(used);
            fs_err::File::options()
                .write(true)
                .open(path)
                .unwrap()
                .file()
                .set_times(times)
                .unwrap();
        }
        fs_err::write(dir.cache().join("e.part"), [0; 7]).unwrap();
        (folder, dir)
    }

    fn left(dir: &ResultsDir) -> String {
        let files = files(&dir.cache()).unwrap();
        let ending = |file: &PathBuf| file.extension().is_some_and(|ending| ending != "lock");
        let mut names: Vec<String> = files
            .iter()
            .filter(|file| ending(file))
            .map(|file| file.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names.join(" ")
    }

    #[test]
    fn the_oldest_features_go_until_few_enough_are_left() {
        let (_folder, dir) = cache();
        let collected = collect_garbage(&dir, 250).unwrap();
        assert_eq!(left(&dir), "c.safetensors d.safetensors");
        let freed = Freed { files: 3, bytes: 207 };
        assert_eq!(collected, Collected { freed, left: 200, in_use: 0 });
        assert_eq!(collect_garbage(&dir, 250).unwrap().freed, Freed::default());
    }

    #[test]
    fn what_was_submitted_goes_when_it_is_over() {
        let (_folder, dir) = cache();
        for (name, is_over) in [("a", true), ("b", false)] {
            let submission = dir.submission(name);
            fs_err::create_dir_all(submission.tasks()).unwrap();
            fs_err::write(submission.mapping(), [0; 30]).unwrap();
            fs_err::write(submission.task(0), [0; 20]).unwrap();
            if is_over {
                fs_err::write(submission.closed(), []).unwrap();
            }
        }
        let freed = collect_garbage(&dir, 1000).unwrap().freed;
        assert_eq!(freed, Freed { files: 4, bytes: 57 }, "half a file of features too");
        assert!(!dir.submission("a").root().exists() && dir.submission("b").mapping().exists());
    }

    #[test]
    fn what_is_in_use_stays() {
        let (_folder, dir) = cache();
        let locks = ["a.lock", "e.lock"].map(|name| {
            let lock = fs_err::File::create(dir.cache().join(name)).unwrap();
            lock.file().lock().unwrap();
            lock
        });
        let collected = collect_garbage(&dir, 0).unwrap();
        assert_eq!(left(&dir), "a.safetensors e.part");
        assert_eq!((collected.left, collected.in_use), (100, 1));
        drop(locks);
    }

    #[test]
    fn checkpoints_stay_while_their_run_is_open() {
        use crate::planning::tests::work;
        use spec::record::{self, Outcome, RunResult};
        let (_folder, dir) = cache();
        let works = [work(1), work(2), work(3)];
        for work in &works {
            let file = dir.checkpoints().file(work.run(), None);
            fs_err::create_dir_all(file.parent().unwrap()).unwrap();
            fs_err::write(&file, [0; 50]).unwrap();
        }
        // A program's own folder may have folders, and files of any name.
        for (work, file) in [(&works[0], "half.part"), (&works[1], "model/1/weights")] {
            let file = dir.checkpoints().program(work.run()).join(file);
            fs_err::create_dir_all(file.parent().unwrap()).unwrap();
            fs_err::write(file, [0; 3]).unwrap();
        }
        let half = dir.checkpoints().run(works[0].run()).join("run.part");
        fs_err::write(half, [0; 5]).unwrap();
        for (work, outcome) in [
            (&works[0], Outcome::Interrupted { cause: String::new() }),
            (&works[1], Outcome::Failed { cause: String::new() }),
        ] {
            let run = dir.run(&work.planned);
            fs_err::create_dir_all(run.root()).unwrap();
            let result = RunResult {
                version: record::VERSION,
                run: work.run(),
                attempts: 1,
                started: String::new(),
                seconds: 1.0,
                device: String::new(),
                program: None,
                outcome,
            };
            fs_err::write(run.result(), serde_json::to_vec(&result).unwrap()).unwrap();
        }
        let freed = collect_garbage(&dir, 1000).unwrap().freed;
        // Of one that has ended, of one that is not there, and two halves.
        assert_eq!(freed, Freed { files: 5, bytes: 50 + 3 + 50 + 5 + 7 });
        assert!(dir.checkpoints().program(works[0].run()).join("half.part").is_file());
        let left = entries(dir.checkpoints().root()).unwrap();
        assert_eq!(left, [dir.checkpoints().run(works[0].run())]);
    }

    #[test]
    fn a_folder_that_is_not_there_has_no_garbage() {
        let dir = ResultsDir::new("/nowhere/at/all");
        assert_eq!(collect_garbage(&dir, 0).unwrap(), Collected::default());
    }
}
