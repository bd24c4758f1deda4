//! `sweep status`

use std::collections::HashSet;

use rayon::prelude::*;
use serde::Serialize;
use spec::paths::ResultsDir;
use spec::record::{Outcome, Plan, PlanRun};
use spec::run_id::RunId;

use super::doctor::{Seen, gpus};
use super::{count, print, print_json};
use crate::cli;
use crate::exit::{self, Failure};
use crate::output::Console;
use crate::process::Process;
use crate::report::grid;
use crate::slurm::decide::{Tally, tally};
use crate::slurm::submit::look;
use crate::slurm::{Cluster, JobId, Queue, Submission};
use crate::store::{self, AtWork, ReadError};

#[derive(Serialize)]
struct Status {
    at_work: Vec<AtWork>,
    /// Of this machine, with who is on them; empty where the driver tells of none.
    gpus: Vec<Seen>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    slurm: Vec<Submitted>,
    sweeps: Vec<SweepStatus>,
}

/// What was submitted to Slurm at once, and what the queue has of it.
#[derive(Serialize)]
struct Submitted {
    submission: String,
    sweeps: Vec<String>,
    /// The arrays' numbers, as far as they are known.
    jobs: Vec<JobId>,
    #[serde(flatten)]
    queue: Known,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Known {
    Tasks(Tally),
    Unknown(String),
}

/// How many runs are where.
#[derive(Debug, Default, Serialize)]
struct SweepStatus {
    sweep: String,
    runs: usize,
    finished: usize,
    failed: usize,
    interrupted: usize,
    /// Of those that are open or run again, the ones that somebody is at.
    running: usize,
    waiting: usize,
}

pub(super) fn status(
    args: &cli::Status,
    results: &ResultsDir,
    console: &Console,
) -> Result<u8, Failure> {
    let plans = store::plans(results, &args.sweeps)?;
    let at_work = store::at_work(results);
    let slots = at_work.iter().flat_map(|one| &one.slots);
    let running: HashSet<RunId> = slots.flat_map(|(_, runs)| runs.iter().copied()).collect();
    let of = |plan| of(plan, results, &running);
    let sweeps = plans.iter().map(of).collect::<Result<Vec<_>, _>>()?;
    let (submissions, queue) = look(results, Cluster)?;
    let slurm = submissions.into_iter().map(|submission| submitted(submission, &queue)).collect();
    let status = Status { at_work, gpus: gpus(), slurm, sweeps };
    match args.json {
        true => print_json(console, &status)?,
        false => print(console, &text(&status, results))?,
    }
    Ok(exit::DONE)
}

fn submitted(submission: Submission, queue: &Queue) -> Submitted {
    let queue = match queue {
        Queue::Known(entries) => Known::Tasks(tally(&submission, entries)),
        Queue::Unknown(why) => Known::Unknown(why.clone()),
    };
    let Submission { name, mapping, jobs } = submission;
    let jobs = jobs.arrays.into_iter().flatten().collect();
    Submitted { submission: name, sweeps: mapping.sweeps, jobs, queue }
}

/// `12 tasks run, 28 tasks wait (Resources)`
pub(super) fn where_tasks_are(tally: &Tally) -> String {
    let do_so = |tasks: usize, verb: &str| {
        format!("{} {verb}{}", count(tasks, "task"), if tasks == 1 { "s" } else { "" })
    };
    let waiting = tally.waiting.iter().map(|(why, &tasks)| match why.as_str() {
        "" | "None" => do_so(tasks, "wait"),
        why => format!("{} ({why})", do_so(tasks, "wait")),
    });
    let running = (tally.running > 0).then(|| do_so(tally.running, "run"));
    let parts: Vec<String> = running.into_iter().chain(waiting).collect();
    match parts.is_empty() {
        true if tally.collector => "the report is still to be written".to_owned(),
        true => "nothing is in the queue".to_owned(),
        false => parts.join(", "),
    }
}

/// `batch_size-1f2e3d4c in Slurm (job 77): 12 tasks run, 28 wait (Resources)`
fn in_slurm(submitted: &Submitted) -> String {
    let jobs: Vec<String> = submitted.jobs.iter().map(ToString::to_string).collect();
    let jobs = match jobs.as_slice() {
        [] => String::new(),
        [job] => format!(" (job {job})"),
        jobs => format!(" (jobs {})", jobs.join(", ")),
    };
    let known = match &submitted.queue {
        Known::Tasks(tally) => where_tasks_are(tally),
        Known::Unknown(why) => format!("unknown, since nobody can tell: {why}"),
    };
    format!("{} in Slurm{jobs}: {known}", submitted.submission)
}

fn of(
    plan: &Plan,
    results: &ResultsDir,
    running: &HashSet<RunId>,
) -> Result<SweepStatus, ReadError> {
    let runs = plan.runs();
    let mut status =
        SweepStatus { sweep: plan.sweep.clone(), runs: runs.len(), ..SweepStatus::default() };
    let read = |run: &&PlanRun| Ok((run.run, store::read_result(&results.run(run), run.run)?));
    for (run, result) in runs.par_iter().map(read).collect::<Result<Vec<_>, ReadError>>()? {
        match result.map(|result| result.outcome) {
            // A claim is let go after the result is there.
            Some(Outcome::Finished(_)) => status.finished += 1,
            _ if running.contains(&run) => status.running += 1,
            None => status.waiting += 1,
            Some(Outcome::Interrupted { .. }) => status.interrupted += 1,
            Some(_) => status.failed += 1,
        }
    }
    Ok(status)
}

fn text(status: &Status, results: &ResultsDir) -> String {
    let rows: Vec<[String; 7]> = status
        .sweeps
        .iter()
        .map(|sweep| {
            let &SweepStatus { runs, finished, failed, interrupted, running, waiting, .. } = sweep;
            let numbers = [runs, finished, failed, interrupted, running, waiting];
            let [a, b, c, d, e, f] = numbers.map(|number| number.to_string());
            [sweep.sweep.clone(), a, b, c, d, e, f]
        })
        .collect();
    let headings = [
        ("sweep", false),
        ("runs", true),
        ("finished", true),
        ("failed", true),
        ("interrupted", true),
        ("running", true),
        ("waiting", true),
    ];
    let at_work = match status.at_work.as_slice() {
        [] => "nothing is at work".to_owned(),
        all => all.iter().map(at_work).collect::<Vec<_>>().join("\n"),
    };
    let gpus = status.gpus.iter().map(|seen| format!("\n{}: {}", seen.name, seen.detail()));
    let gpus: String = gpus.collect();
    let slurm: String =
        status.slurm.iter().map(|submitted| format!("\n{}", in_slurm(submitted))).collect();
    let at_work = format!("{at_work}{slurm}");
    match rows.as_slice() {
        [] => format!("no sweep has run in {}; {at_work} there{gpus}\n", results.root().display()),
        rows => format!("{}\n{at_work}{gpus}\n", grid::from_rows(headings, rows)),
    }
}

/// `process 42 is at work since 2026-01-01T00:00:00Z: cpu 1 has 3 runs`
fn at_work(AtWork { process, since, job, slots }: &AtWork) -> String {
    let here = Process::this().is_ok_and(|this| this.host == process.host);
    let place = if here { String::new() } else { format!(" on {}", process.host) };
    let job = job.as_ref().map(|job| format!(" ({job})")).unwrap_or_default();
    let slots: Vec<String> = slots
        .iter()
        .map(|(slot, runs)| match runs.len() {
            0 => format!("{slot} is idle"),
            runs => format!("{slot} has {}", count(runs, "run")),
        })
        .collect();
    let slots = if slots.is_empty() { String::new() } else { format!(": {}", slots.join(", ")) };
    format!("process {}{place}{job} is at work since {since}{slots}", process.pid)
}
