//! What came of a night, from its folder alone: also of one that was killed.

use spec::config::Config;
use spec::nightly::{CompareWith, Regression};
use spec::paths::{NightsDir, ResultsDir};
use spec::record::{Outcome, Plan, RunConfig};

use super::history::{Past, reference};
use super::record::{Begun, State, Subject, SweepNight};
use super::rows::{Pair, compare};
use super::toolchain::{Change, short};
use crate::report::collect;
use crate::store::{ReadError, read_config, read_plan, read_result};

/// What came of the sweeps of the night that `begun` tells of. `past` are the nights before it; runs that are lost
/// are no regression of those sweeps for which the machine was `broken`.
///
/// # Errors
/// When a record cannot be read, or a newer version of this program wrote it.
pub fn assess(
    nights: &NightsDir,
    begun: &Begun,
    past: &[Past],
    (with, regression): (&CompareWith, &Regression),
    broken: impl Fn(&str) -> bool,
) -> Result<Vec<SweepNight>, ReadError> {
    let results = nights.night(&begun.night).results();
    let (mut sweeps, mut pairs) = (Vec::new(), Vec::new());
    for name in &begun.sweeps {
        let Some(plan) = planned(&results, name)? else {
            sweeps.push(not_begun(name));
            pairs.push(Pair::default());
            continue;
        };
        let mut sweep = counted(&results, &plan)?;
        sweep.carried = begun.carried.get(name).copied().unwrap_or(0);
        let mut pair = Pair { now: collect(&results, &plan)?, before: None, broken: broken(name) };
        if let Some(past) = reference(past, with, name) {
            let theirs = nights.night(past.night()).results();
            if let Some(plan) = planned(&theirs, name)? {
                pair.before = Some(collect(&theirs, &plan)?);
                sweep.compared_with = Some(past.night().to_owned());
                sweep.changed = begun.toolchain.changes_since(&past.begun.toolchain);
                let subject = self::subject(&theirs, &plan)?;
                sweep.changed.extend(changes(&sweep, &subject));
            }
        }
        sweeps.push(sweep);
        pairs.push(pair);
    }
    for (sweep, rows) in sweeps.iter_mut().zip(compare(&pairs, regression)) {
        sweep.rows = rows;
    }
    Ok(sweeps)
}

/// The plan of a sweep; none when its turn did not come.
fn planned(results: &ResultsDir, name: &str) -> Result<Option<Plan>, ReadError> {
    match read_plan(results, name) {
        Ok(plan) => Ok(Some(plan)),
        Err(ReadError::NoSweep { .. } | ReadError::Broken { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn not_begun(name: &str) -> SweepNight {
    SweepNight {
        sweep: name.to_owned(),
        state: State::NotBegun,
        runs: 0,
        finished: 0,
        failed: 0,
        carried: 0,
        seconds: 0.0,
        subject: Subject::default(),
        compared_with: None,
        changed: Vec::new(),
        rows: Vec::new(),
    }
}

fn counted(results: &ResultsDir, plan: &Plan) -> Result<SweepNight, ReadError> {
    let mut sweep = SweepNight { state: State::Complete, ..not_begun(&plan.sweep) };
    for run in plan.runs() {
        sweep.runs += 1;
        match read_result(&results.run(run), run.run)? {
            Some(result) => {
                sweep.seconds += result.seconds;
                match result.outcome {
                    Outcome::Finished(_) => sweep.finished += 1,
                    Outcome::Interrupted { .. } => sweep.state = State::Unfinished,
                    _ => sweep.failed += 1,
                }
            }
            None => sweep.state = State::Unfinished,
        }
    }
    // Results may decide what comes next. A night that ended between two rounds has results of all runs
    // that are planned, and is not done.
    if plan.has_more_to_come() {
        sweep.state = State::Unfinished;
    }
    sweep.subject = subject(results, plan)?;
    Ok(sweep)
}

/// What the runs of `plan` that have begun were run on.
fn subject(results: &ResultsDir, plan: &Plan) -> Result<Subject, ReadError> {
    let mut configs = Vec::new();
    for run in plan.runs() {
        configs.extend(read_config(&results.run(run))?);
    }
    let all = |of: &dyn Fn(&RunConfig) -> Option<String>| named(configs.iter().filter_map(of));
    Ok(Subject {
        configurations: all(&|run| Some(without_paths(&run.config))),
        train: all(&|run| run.fingerprints.train.clone()),
        validation: all(&|run| run.fingerprints.validation.clone()),
        test: all(&|run| run.fingerprints.test.clone()),
        weights: all(&|run| run.fingerprints.weights.clone()),
        trainer: all(&|run| run.fingerprints.trainer.clone()),
    })
}

/// One name for several contents, whatever their order; nothing for none.
fn named(contents: impl Iterator<Item = String>) -> Option<String> {
    let mut contents: Vec<String> = contents.collect();
    contents.sort_unstable();
    contents.dedup();
    match contents.as_slice() {
        [] => None,
        [one] if one.len() == 64 => Some(one.clone()),
        several => Some(blake3::hash(several.join("\n").as_bytes()).to_hex().to_string()),
    }
}

/// What is to be trained, wherever the data lie.
fn without_paths(config: &Config) -> String {
    let mut json = serde_json::to_value(config).unwrap_or_default();
    for (section, key) in
        [("data", "train"), ("data", "test"), ("model", "weights"), ("trainer", "folder")]
    {
        if let Some(section) = json.get_mut(section).and_then(serde_json::Value::as_object_mut) {
            section.remove(key);
        }
    }
    json.to_string()
}

/// What is not as it was `before`. Half a sweep has half the configurations, which is no change.
fn changes(sweep: &SweepNight, before: &Subject) -> Vec<Change> {
    let now = &sweep.subject;
    let configurations = match sweep.state {
        State::Complete => &now.configurations,
        State::Unfinished | State::NotBegun => &before.configurations,
    };
    [
        ("configurations", &before.configurations, configurations),
        ("training images", &before.train, &now.train),
        ("validation images", &before.validation, &now.validation),
        ("test images", &before.test, &now.test),
        ("weights", &before.weights, &now.weights),
        ("trainer's files", &before.trainer, &now.trainer),
    ]
    .into_iter()
    .filter(|(_, before, now)| before != now)
    .map(|(what, before, now)| {
        let [before, now] = [before, now].map(|hash| hash.as_deref().map(short).map(str::to_owned));
        Change { what: what.to_owned(), before, now }
    })
    .collect()
}
