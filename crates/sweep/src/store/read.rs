//! Reading records: what is broken counts as not there; what is newer, or cannot be read, is refused,
//! for it may be good.

use std::io;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use spec::paths::{ResultsDir, RunDir};
use spec::record::{self, ExternalScore, PLAN_VERSION, Plan, PlanRun, RunConfig, RunResult};
use spec::run_id::RunId;

use super::ReadError;

/// How `run` ended, by its folder; nothing if that cannot be known.
///
/// # Errors
/// When a newer version of this program wrote it, or reading fails.
pub fn read_result(dir: &RunDir, run: RunId) -> Result<Option<RunResult>, ReadError> {
    let file = dir.result();
    match read_json::<RunResult>(&file, record::VERSION) {
        Ok(Some(result)) if result.run == run => Ok(Some(result)),
        Ok(Some(other)) => {
            tracing::warn!("{} is of run {}: ignored", file.display(), other.run);
            Ok(None)
        }
        Ok(None) => Ok(None),
        Err(error @ ReadError::Broken { .. }) => {
            tracing::warn!("{error}; the run counts as not done");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What was asked for in a run's folder; nothing if that cannot be known.
///
/// # Errors
/// When a newer version of this program wrote it, or reading fails.
pub fn read_config(dir: &RunDir) -> Result<Option<RunConfig>, ReadError> {
    match read_json(&dir.config(), record::VERSION) {
        Err(error @ ReadError::Broken { .. }) => {
            tracing::warn!("{error}");
            Ok(None)
        }
        config => config,
    }
}

/// What a run scored elsewhere; nothing where nobody has said.
///
/// # Errors
/// When a newer version of this program wrote it, or reading fails.
pub fn read_score(dir: &RunDir, run: RunId) -> Result<Option<ExternalScore>, ReadError> {
    let file = dir.external_score();
    match read_json::<ExternalScore>(&file, record::VERSION) {
        Ok(score) => Ok(score.filter(|score| score.run == run)),
        Err(error @ ReadError::Broken { .. }) => {
            tracing::warn!("{error}; give the score again with --replace");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A sweep's plan.
///
/// # Errors
/// When there is none, or it is broken or newer.
pub fn read_plan(dir: &ResultsDir, name: &str) -> Result<Plan, ReadError> {
    // A name is one folder's: `..` or `a/b` is none.
    let is_name = Path::new(name).file_name() == Some(name.as_ref());
    let plan = if is_name { read_json(&dir.sweep(name).plan(), PLAN_VERSION)? } else { None };
    plan.ok_or_else(|| ReadError::NoSweep {
        name: name.to_owned(),
        results: dir.root().to_owned(),
        known: sweeps(dir).unwrap_or_default(),
    })
}

/// The plans of `names`, or of all sweeps there are, in the order of their names.
///
/// # Errors
/// When one is missing, broken or newer.
pub fn plans(dir: &ResultsDir, names: &[String]) -> Result<Vec<Plan>, ReadError> {
    match names {
        [] => sweeps(dir)?.iter().map(|name| read_plan(dir, name)).collect(),
        names => names.iter().map(|name| read_plan(dir, name)).collect(),
    }
}

/// The runs that have a folder, whether a plan has them or not. A folder that does not say whose it is, or
/// is not called after its run, is none.
///
/// # Errors
/// When the folder of runs cannot be read.
pub fn runs(dir: &ResultsDir) -> Result<Vec<PlanRun>, ReadError> {
    let entries = match fs_err::read_dir(dir.runs()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut runs = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some(RunConfig { run, seed, .. }) = read_config(&dir.run_folder(&name))? else {
            continue;
        };
        if let Some(slug) = name.strip_suffix(&format!("-{}", run.short())) {
            runs.push(PlanRun { run, slug: slug.to_owned(), seed });
        }
    }
    runs.sort_by(|one, other| (&one.slug, one.run).cmp(&(&other.slug, other.run)));
    Ok(runs)
}

fn sweeps(dir: &ResultsDir) -> io::Result<Vec<String>> {
    let entries = match fs_err::read_dir(dir.root()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if dir.sweep(&name).plan().is_file() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// A record, of the version `known` or an older one.
pub(super) fn read_json<T: DeserializeOwned>(
    file: &Path,
    known: u32,
) -> Result<Option<T>, ReadError> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let text = match fs_err::read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let broken = |cause: serde_json::Error| ReadError::Broken {
        file: file.to_owned(),
        cause: cause.to_string(),
    };
    // The version first: a newer format need not even have today's fields.
    let Version { version } = serde_json::from_slice(&text).map_err(broken)?;
    if version > known {
        return Err(ReadError::Newer { file: file.to_owned(), version, known });
    }
    serde_json::from_slice(&text).map(Some).map_err(broken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Ends as _;
    use spec::record::Outcome;

    #[test]
    fn a_result_cut_short_anywhere_is_no_result_and_a_newer_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunId::from_digest([7; 32]);
        let planned = PlanRun { run, slug: "x".to_owned(), seed: 1 };
        let dir = ResultsDir::new(folder.path()).run(&planned);
        fs_err::create_dir_all(dir.root()).unwrap();
        assert_eq!(read_result(&dir, run).unwrap(), None);
        let result = RunResult {
            version: record::VERSION,
            run,
            attempts: 1,
            started: "2026-01-01T00:00:00Z".to_owned(),
            seconds: 1.5,
            device: "cpu".to_owned(),
            program: None,
            outcome: Outcome::Failed { cause: "x".to_owned() },
        };
        let whole = serde_json::to_vec(&result).unwrap();
        for length in 0..whole.len() {
            fs_err::write(dir.result(), &whole[..length]).unwrap();
            assert_eq!(read_result(&dir, run).unwrap(), None, "{length} bytes");
        }
        fs_err::write(dir.result(), &whole).unwrap();
        assert_eq!(read_result(&dir, run).unwrap(), Some(result));
        assert_eq!(read_result(&dir, RunId::from_digest([8; 32])).unwrap(), None);
        fs_err::write(dir.result(), br#"{"version":99,"what":"ever"}"#).unwrap();
        assert!(matches!(read_result(&dir, run), Err(ReadError::Newer { version: 99, .. })));
        // A folder in its place cannot be read, for root too: what is there may still be good.
        fs_err::remove_file(dir.result()).unwrap();
        fs_err::create_dir(dir.result()).unwrap();
        let error = read_result(&dir, run).unwrap_err();
        assert!(matches!(error, ReadError::Io(_)), "{error}");
        assert_eq!(error.exit_code(), crate::exit::ENVIRONMENT);
    }

    #[test]
    fn names_cannot_leave_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let dir = ResultsDir::new(folder.path().join("results"));
        for name in ["..", ".", "a/b", "/etc", ""] {
            assert!(matches!(read_plan(&dir, name), Err(ReadError::NoSweep { .. })), "{name}");
        }
    }
}
