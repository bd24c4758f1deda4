//! Who is at work in a results folder, for people.

use std::collections::HashMap;
use std::io;
use std::time::SystemTime;

use serde::Serialize;
use spec::paths::ResultsDir;
use spec::run_id::RunId;

use super::files::read_all;
use super::pulses::{has_gone, is_silent, modified};
use super::{Claim, Presence};
use crate::process::Process;

/// An orchestrator at work, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AtWork {
    /// Which one.
    pub process: Process,
    /// Since when, in RFC 3339, UTC.
    pub since: String,
    /// The job of a batch system that it is, as people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Its slots, with the runs they have: none where they are idle.
    pub slots: Vec<(String, Vec<RunId>)>,
}

/// Who is at work in `dir` and with what, but those of whom nothing was heard for long. A folder without claims
/// is not an error.
pub fn at_work(dir: &ResultsDir) -> Vec<AtWork> {
    at_work_at(dir, SystemTime::now())
}

/// The same by the file system's clock, for whoever is to remove what is nobody's.
pub(in crate::store) fn at_work_now(dir: &ResultsDir) -> io::Result<Vec<AtWork>> {
    let clock = tempfile::NamedTempFile::new_in(dir.root())?;
    Ok(at_work_at(dir, modified(clock.path())?))
}

fn at_work_at(dir: &ResultsDir, now: SystemTime) -> Vec<AtWork> {
    let Ok(this) = Process::this() else { return Vec::new() };
    let mut slots: HashMap<Process, Vec<(String, Vec<RunId>)>> = HashMap::new();
    for (file, claim) in read_all::<Claim>(&dir.claims()) {
        let run = file.file_stem().and_then(|stem| stem.to_str()?.parse::<RunId>().ok());
        let theirs = slots.entry(claim.holder).or_default();
        match theirs.iter_mut().find(|(slot, _)| *slot == claim.slot) {
            Some((_, runs)) => runs.extend(run),
            None => theirs.push((claim.slot, run.into_iter().collect())),
        }
    }
    let present = read_all::<Presence>(&dir.orchestrators()).into_iter();
    let present = present.filter(|(file, Presence { process, .. })| {
        !has_gone(&this, process, dir, now) && !is_silent(&this, process, file, now)
    });
    let mut all: Vec<AtWork> = present
        .map(|(_, Presence { process, since, job, slots: all })| {
            let mut slots = slots.remove(&process).unwrap_or_default();
            let idle = all.into_iter().filter(|slot| !slots.iter().any(|(busy, _)| busy == slot));
            let idle: Vec<_> = idle.map(|slot| (slot, Vec::new())).collect();
            slots.extend(idle);
            slots.sort();
            AtWork { process, since, job, slots }
        })
        .collect();
    all.sort_by(|one, other| (&one.since, one.process.pid).cmp(&(&other.since, other.process.pid)));
    all
}
