//! `sweep slurm-task` and `sweep slurm-collect`: what the jobs of a submission do.

use bytesize::ByteSize;
use spec::paths::ResultsDir;
use spec::record::Outcome;

use super::count;
use super::machine::{cores, free_memory, slots};
use super::report::{Rendered, render};
use crate::cli;
use crate::execute::{End, ExecuteError, Signals, execute};
use crate::exit::{self, Failure};
use crate::output::Console;
use crate::planning::Work;
use crate::preflight;
use crate::progress::Progress;
use crate::report::ScoreFormat;
use crate::report::page;
use crate::schedule::Policy;
use crate::slurm::task::{Place, TaskError, Warning};
use crate::slurm::{Cluster, TaskOrder};
use crate::store::{ReadError, Store, read_mapping, read_plan, read_task};
use crate::trainer;

/// Runs what the task has and nobody has done or is at.
pub(super) fn task(
    args: &cli::SlurmTask,
    results: ResultsDir,
    console: &Console,
) -> Result<u8, Failure> {
    // Before anything that takes time: without it the signal would end us.
    let warning = Warning::listen()?;
    let place = Place::from_environment()?;
    let number = args.first + place.index;
    let order = read_task(&results, &args.submission, number)?.ok_or_else(|| {
        TaskError::NoOrder { file: results.submission(&args.submission).task(number) }
    })?;
    console.say(&format!("{}: {}", place.label(), count(order.work.len(), "run")));
    let store = Store::of_job(results, place.label());
    let end = work(&order, &place, &store, &warning, console)?;
    let left = left(&store, &order.work)?;
    if left.open == 0 {
        let code = if left.failed > 0 { exit::RUNS_FAILED } else { exit::DONE };
        return Ok(code);
    }
    match end {
        End::Interrupted if warning.came() => go_back(&place, args.requeues, left.open, console),
        _ => console.say(&format!("{} stay open", count(left.open, "run"))),
    }
    Ok(exit::INTERRUPTED)
}

fn work(
    order: &TaskOrder,
    place: &Place,
    store: &Store,
    warning: &Warning,
    console: &Console,
) -> Result<End, Failure> {
    let mut open = Vec::new();
    for work in &order.work {
        let result = store.result(work)?;
        let is_done =
            |outcome: &Outcome, attempts| outcome.is_settled() && attempts > work.attempts;
        if !result.is_some_and(|result| is_done(&result.outcome, result.attempts)) {
            open.push(work.clone());
        }
    }
    if open.is_empty() {
        console.say("all done before");
        return Ok(End::Done);
    }
    if let Err(error) = preflight::cache(&store.dir().cache()) {
        console.warn(&format!("features are not kept, so every task computes them: {error}"));
    }
    // Where Slurm binds no processes to cores, the machine's own are not all ours.
    let cores = place.cpus.map_or(cores(), |given| cores().min(given.get()));
    let program = trainer::program(open.iter().map(|work| &work.config))?;
    let (slots, lost) = slots(&order.schedule, cores, &program)?;
    lost.iter().for_each(|lost| console.warn(lost));
    let memory = free_memory(order.wait_free_memory.map(ByteSize::b), &slots)?;
    let slots = &slots[..slots.len().min(open.len())];
    let policy = Policy::new(&order.schedule, None);
    let (total, before) = (order.work.len(), order.work.len() - open.len());
    let mut progress = Progress::new(console, slots, (total, before), ScoreFormat::Document);
    let places = (slots, memory.as_ref());
    // What comes from here on is heard by whoever runs them, also where it comes before they begin; what came
    // before nobody else acts on.
    let signals = Signals::default();
    signals.arm().map_err(ExecuteError::Signals)?;
    if warning.came() {
        return Ok(End::Interrupted);
    }
    let heard = (&signals, &mut progress);
    Ok(execute(open, order.fuse, &program, places, policy, store, heard)?.end)
}

/// What has not ended, and what has not ended well.
#[derive(Debug, Clone, Copy, Default)]
struct Left {
    open: usize,
    failed: usize,
}

fn left(store: &Store, work: &[Work]) -> Result<Left, ReadError> {
    let mut left = Left::default();
    for work in work {
        match store.result(work)?.map(|result| result.outcome) {
            Some(Outcome::Finished(_)) => {}
            Some(outcome) if outcome.is_settled() => left.failed += 1,
            _ => left.open += 1,
        }
    }
    Ok(left)
}

/// Back into the queue, unless that was done often enough. What was claimed is let go of by now.
fn go_back(place: &Place, requeues: u32, open: usize, console: &Console) {
    let open = count(open, "run");
    if place.restarts >= requeues {
        let times = count(requeues as usize, "time");
        console.say(&format!("{open} stay open: back in the queue {times}, and no more"));
        return;
    }
    // Before it is asked for: Slurm ends us while it answers.
    console.say(&format!("{open} stay open: back into the queue"));
    if let Err(error) = Cluster.requeue(&place.job) {
        console.warn(&format!("the task does not go back into the queue: {error}"));
    }
}

/// Writes the reports of a submission's sweeps.
pub(super) fn collect(
    args: &cli::SlurmCollect,
    results: ResultsDir,
    console: &Console,
) -> Result<u8, Failure> {
    let mapping = read_mapping(&results, &args.submission)?.ok_or_else(|| TaskError::NoOrder {
        file: results.submission(&args.submission).mapping(),
    })?;
    let store = Store::of_job(results, "Slurm".to_owned());
    let (mut open, mut failed) = (0, 0);
    for name in &mapping.sweeps {
        let plan = read_plan(store.dir(), name)?;
        let rendered = render(store.dir(), &plan, args.score_format)?;
        let page = page([&rendered.section(&plan, args.score_format)?]);
        let Rendered { report, runs, .. } = &rendered;
        store.write_report(&plan, report, runs, Some(&page))?;
        console.say(&format!("{} is written", store.dir().sweep(name).report().display()));
        for run in plan.runs() {
            match crate::store::read_result(&store.dir().run(run), run.run)? {
                Some(result) if matches!(result.outcome, Outcome::Finished(_)) => {}
                Some(result) if result.outcome.is_settled() => failed += 1,
                _ => open += 1,
            }
        }
    }
    if open > 0 {
        console.say(&format!(
            "{} stay open: give `sweep run --launcher slurm` again",
            count(open, "run")
        ));
        return Ok(exit::INTERRUPTED);
    }
    store.close_submission(&args.submission)?;
    Ok(if failed > 0 { exit::RUNS_FAILED } else { exit::DONE })
}
