//! `sweep run`

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::time::Instant;

use spec::paths::ResultsDir;
use spec::record::{Outcome, Plan};
use spec::sweep::{Schedule, Sweep};

use super::changes::changes;
use super::machine::{cores, free_memory, slots};
use super::report::{Rendered, render};
use super::{count, load, print, slurm};
use crate::cli;
use crate::devices::{self, SlotSpec};
use crate::execute::{End, execute};
use crate::exit::{self, Failure};
use crate::gpus::FreeMemory;
use crate::output::Console;
use crate::planning::{self, Planned, Work};
use crate::preflight;
use crate::progress::{Progress, SetAside};
use crate::schedule::Policy;
use crate::store::{ReadError, Store, read_plan};
use crate::worker::Program;
use ::weights::folder::WeightsFolder;

pub(super) fn run(args: &cli::Run, results: ResultsDir, console: &Console) -> Result<u8, Failure> {
    slurm::refuse_options(args)?;
    let sweeps = load(&args.files)?;
    let CarriedOut { store, plans, work, end, .. } =
        carry_out(&sweeps, args, None, results, console)?;
    match end {
        End::Done => {}
        End::OutOfTime => {
            console.say("stopped when its time was over: give the same command to go on");
        }
        End::Interrupted => {
            console.say("interrupted: give the same command to go on");
            return Ok(exit::INTERRUPTED);
        }
        End::Enough(failures) => console.say(&format!(
            "stopped after {}: give the same command to go on",
            count(failures as usize, "failure")
        )),
    }
    print_reports(&store, &plans, args, console)?;
    conclude(&store, &work, console)
}

/// Sweeps that have been run, as far as they came.
pub(super) struct CarriedOut {
    pub(super) store: Store,
    pub(super) plans: Vec<Plan>,
    pub(super) work: Vec<Work>,
    pub(super) end: End,
    /// Devices on which nothing ran any more.
    #[expect(dead_code, reason = "nobody asks yet")]
    pub(super) set_aside: Vec<SetAside>,
}

/// Runs what of `sweeps` has no result yet, in the manner of `args`, until `until` if that comes first.
pub(super) fn carry_out(
    sweeps: &[Sweep],
    args: &cli::Run,
    until: Option<Instant>,
    results: ResultsDir,
    console: &Console,
) -> Result<CarriedOut, Failure> {
    let schedules = sweeps.iter().map(|sweep| &sweep.schedule);
    let agreed = devices::agree(args.devices.as_ref(), schedules)?;
    let per_device = args.per_device.unwrap_or(agreed.per_device);
    let schedule = Schedule { per_device, ..agreed };
    // Before anything is written, so that a mistake leaves no trace.
    let Planned { plans, work } = planning::plan(sweeps, &WeightsFolder::from_environment())?;
    let store = Store::open(results)?;
    for plan in &plans {
        if let Some(change) = change_of_plan(&store, plan)? {
            console.say(&change);
        }
        store.write_plan(plan)?;
    }
    let mut open = Vec::new();
    let mut failed = 0;
    for work in &work {
        let result = store.result(work)?;
        let attempts = result.as_ref().map_or(0, |result| result.attempts);
        let outcome = result.map(|result| result.outcome);
        if is_open(outcome.as_ref(), args.retry_failed) {
            open.push(Work { attempts, ..work.clone() });
        } else if !matches!(outcome, Some(Outcome::Finished(_))) {
            failed += 1;
        }
    }
    let (end, set_aside) = match open.len() {
        0 => {
            console.say(&nothing_to_do(work.len(), failed));
            (End::Done, Vec::new())
        }
        _ => {
            let max_failures =
                if args.fail_fast { Some(NonZeroU32::MIN) } else { args.max_failures };
            let policy = Policy::new(&schedule, max_failures).until(until);
            let (slots, program) = slots(&schedule, cores())?;
            let memory = free_memory(args.wait_free_memory, &slots)?;
            let places = (slots.as_slice(), memory.as_ref());
            let fuse = !args.no_fuse;
            start(open, work.len(), (&program, policy, fuse), places, &store, console)?
        }
    };
    Ok(CarriedOut { store, plans, work, end, set_aside })
}

pub(super) fn is_open(outcome: Option<&Outcome>, retry_failed: bool) -> bool {
    match outcome {
        None => true,
        Some(Outcome::Finished(_)) => false,
        Some(outcome) => retry_failed || !outcome.is_settled(),
    }
}

pub(super) fn nothing_to_do(runs: usize, failed: usize) -> String {
    let runs = count(runs, "run");
    match failed {
        0 => format!("{runs}: all done before"),
        _ => format!(
            "{runs}: all ended before, {failed} of them failed; --retry-failed runs those again"
        ),
    }
}

/// What `plan` makes of the plan that stands under its name.
pub(super) fn change_of_plan(store: &Store, plan: &Plan) -> Result<Option<String>, Failure> {
    match read_plan(store.dir(), &plan.sweep) {
        Ok(before) => Ok(changes(&before, plan)),
        // A broken plan is written anew, as its error says.
        Err(ReadError::NoSweep { .. } | ReadError::Broken { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn start(
    open: Vec<Work>,
    total: usize,
    (program, policy, fuse): (&Program, Policy, bool),
    (slots, memory): (&[SlotSpec], Option<&FreeMemory>),
    store: &Store,
    console: &Console,
) -> Result<(End, Vec<SetAside>), Failure> {
    preflight::room(store.dir().root(), open.len())?;
    if let Err(error) = preflight::cache(&store.dir().cache()) {
        console.warn(&format!("features are not kept, so every worker computes them: {error}"));
    }
    let slots = &slots[..slots.len().min(open.len())];
    let before = total - open.len();
    console.say(&format!(
        "{}: {before} done before, {} to do on {}",
        count(total, "run"),
        open.len(),
        names(slots)
    ));
    let mut progress = Progress::new(console, slots, total, before);
    let end = execute(open, fuse, program, (slots, memory), policy, store, &mut progress)?;
    Ok((end, progress.devices_set_aside()))
}

fn names(slots: &[SlotSpec]) -> String {
    let names: Vec<String> = slots
        .iter()
        .map(|slot| format!("{} ({})", slot.name, count(slot.threads, "thread")))
        .collect();
    names.join(", ")
}

pub(super) fn print_reports(
    store: &Store,
    plans: &[Plan],
    args: &cli::Run,
    console: &Console,
) -> Result<(), Failure> {
    for (place, plan) in plans.iter().enumerate() {
        let Rendered { report, runs, .. } = render(store.dir(), plan, args.score_format)?;
        store.write_report(plan, &report, &runs)?;
        print(console, &format!("{}{report}", if place > 0 { "\n" } else { "" }))?;
    }
    Ok(())
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
