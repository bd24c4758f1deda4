//! `sweep run`

mod rounds;

use std::collections::HashSet;
use std::time::{Instant, SystemTime};

use spec::paths::ResultsDir;
use spec::record::{Outcome, Plan};
use spec::sweep::{Schedule, Sweep};

use super::changes::changes;
use super::report::{Rendered, render};
use super::{count, load, print, slurm};
use crate::cli;
use crate::devices;
use crate::execute::{End, ExecuteError, Signals};
use crate::exit::{self, Failure};
use crate::output::Console;
use crate::planning::{Planned, Planner, Work};
use crate::progress::SetAside;
use crate::report::page;
use crate::store::{ReadError, Store, read_plan, read_result};
use ::weights::folder::WeightsFolder;
use rounds::{Rounds, choices};
pub(super) use rounds::{is_open, nothing_to_do};

pub(super) fn run(args: &cli::Run, results: ResultsDir, console: &Console) -> Result<u8, Failure> {
    slurm::refuse_options(args)?;
    let sweeps = load(&args.files)?;
    let signals = Signals::default();
    let CarriedOut { store, plans, work, end, .. } =
        carry_out(&sweeps, args, None, results, (&signals, console))?;
    match end {
        End::Done => {}
        End::OutOfTime => {
            console.say("stopped when its time was over: give the same command to go on");
        }
        End::Interrupted => return Ok(interrupted(console)),
        End::Enough(failures) => console.say(&format!(
            "stopped after {}: give the same command to go on",
            count(failures as usize, "failure")
        )),
    }
    if !print_reports(&store, &plans, args, (&signals, console))? {
        return Ok(interrupted(console));
    }
    conclude(&store, &work, console)
}

fn interrupted(console: &Console) -> u8 {
    console.say("interrupted: give the same command to go on");
    exit::INTERRUPTED
}

/// Sweeps that have been run, as far as they came.
pub(super) struct CarriedOut {
    pub(super) store: Store,
    pub(super) plans: Vec<Plan>,
    pub(super) work: Vec<Work>,
    pub(super) end: End,
    /// Devices on which nothing ran any more.
    pub(super) set_aside: Vec<SetAside>,
}

/// Runs what of `sweeps` has no result yet, in the manner of `args`, until `until` if that comes first.
pub(super) fn carry_out(
    sweeps: &[Sweep],
    args: &cli::Run,
    until: Option<Instant>,
    results: ResultsDir,
    (signals, console): (&Signals, &Console),
) -> Result<CarriedOut, Failure> {
    let schedules = sweeps.iter().map(|sweep| &sweep.schedule);
    let agreed = devices::agree(args.devices.as_ref(), schedules)?;
    let per_device = args.per_device.unwrap_or(agreed.per_device);
    let schedule = Schedule { per_device, ..agreed };
    let mut planner = Planner::new(sweeps, WeightsFolder::from_environment())?;
    let mut rounds = Rounds::new(&schedule, args, until);
    // Before anything is written, so that a mistake leaves no trace.
    let mut planned = rounds.plan(&mut planner, &results)?;
    // What came before could be left off anywhere.
    signals.arm().map_err(ExecuteError::Signals)?;
    let store = Store::open(results.clone())?;
    for plan in &mut planned.plans {
        replace_plan(&store, plan, console)?;
    }
    let end = loop {
        let Some(end) = rounds.run(&planned.work, &store, (signals, console))? else {
            break End::Done;
        };
        // What has ended may decide what comes next, also where it is for another command to go on: a plan
        // whose runs all have results would pass for a sweep that is done.
        let mut next = rounds.plan(&mut planner, &results)?;
        for (before, plan) in planned.plans.iter().zip(&mut next.plans) {
            plan.amendments.clone_from(&before.amendments);
            plan.past.clone_from(&before.past);
            choices(before, plan).iter().for_each(|choice| console.say(choice));
            if plan != before {
                store.write_plan(plan)?;
            }
        }
        planned = next;
        if end != End::Done {
            break end;
        }
    };
    let Planned { plans, work } = planned;
    Ok(CarriedOut { store, plans, work, end, set_aside: rounds.set_aside })
}

/// Puts `plan` in the place of the one that stands under its name: says what becomes another one, and keeps in mind
/// how plans of that name were changed after results existed.
pub(super) fn replace_plan(
    store: &Store,
    plan: &mut Plan,
    console: &Console,
) -> Result<(), Failure> {
    match read_plan(store.dir(), &plan.sweep) {
        Ok(before) => {
            let mut results = 0;
            for run in before.runs() {
                let result = read_result(&store.dir().run(run), run.run)?;
                results += usize::from(result.is_some_and(|result| result.outcome.is_settled()));
            }
            let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
            plan.amend(&before, results, now);
            if let Some(change) = changes(&before, plan) {
                console.say(&change);
            }
        }
        Err(ReadError::NoSweep { .. }) => {}
        // It is written anew, as its error says.
        Err(error @ ReadError::Broken { .. }) => console.warn(&format!(
            "{error}: it is written anew, and the report will not say what was changed after results existed"
        )),
        Err(error) => return Err(error.into()),
    }
    Ok(store.write_plan(plan)?)
}

/// Whether nobody has stopped it meanwhile.
pub(super) fn print_reports(
    store: &Store,
    plans: &[Plan],
    args: &cli::Run,
    (signals, console): (&Signals, &Console),
) -> Result<bool, Failure> {
    for (place, plan) in plans.iter().enumerate() {
        let rendered = render(store.dir(), plan, args.score_format)?;
        let page = rendered.section(plan, args.score_format).map(|section| page([&section]))?;
        if signals.came_since_the_runs() {
            return Ok(false);
        }
        let Rendered { report, runs, .. } = &rendered;
        store.write_report(plan, report, runs, Some(&page))?;
        print(console, &format!("{}{report}", if place > 0 { "\n" } else { "" }))?;
    }
    Ok(true)
}

/// What failed, whenever that was: asking again does not mend it.
pub(super) fn conclude(store: &Store, work: &[Work], console: &Console) -> Result<u8, Failure> {
    let mut failed = HashSet::new();
    for work in work {
        match store.result(work)?.map(|result| result.outcome) {
            Some(Outcome::Finished(_)) => {}
            _ => {
                failed.insert(work.run());
            }
        }
    }
    if failed.is_empty() {
        return Ok(exit::DONE);
    }
    console.say(&format!(
        "{} of {} did not finish; --retry-failed runs them again, and what they said is in {}",
        failed.len(),
        count(work.len(), "run"),
        store.dir().every_attempts().display(),
    ));
    Ok(exit::RUNS_FAILED)
}
