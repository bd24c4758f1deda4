//! The rounds of a sweep: one for most, several where results decide what comes next.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::time::Instant;

use spec::paths::ResultsDir;
use spec::record::{Outcome, Plan};
use spec::run_id::RunId;
use spec::sweep::Schedule;

use crate::cli;
use crate::command::machine::{cores, free_memory, slots};
use crate::command::{count, layers};
use crate::devices::SlotSpec;
use crate::execute::{End, Executed, Signals, execute};
use crate::exit::Failure;
use crate::gpus::FreeMemory;
use crate::output::Console;
use crate::planning::{Planned, Planner, PlanningError, Work};
use crate::preflight;
use crate::progress::{Progress, SetAside};
use crate::report::ScoreFormat;
use crate::schedule::Policy;
use crate::store::Store;
use crate::strategy::Evidence;
use crate::trainer;
use crate::worker::Program;

/// What the rounds of one command have in common.
pub(super) struct Rounds<'a> {
    args: &'a cli::Run,
    schedule: &'a Schedule,
    /// When time is over, for all rounds together.
    until: Option<Instant>,
    /// Runs that this command has run: none is run twice.
    ran: HashSet<RunId>,
    /// Runs that failed in them.
    failures: u32,
    /// Devices on which nothing ran any more.
    pub(super) set_aside: Vec<SetAside>,
}

impl<'a> Rounds<'a> {
    /// The sweep's time begins now, and ends at `until` if that comes first.
    pub(super) fn new(schedule: &'a Schedule, args: &'a cli::Run, until: Option<Instant>) -> Self {
        let until = Policy::new(schedule, None).until(until).until;
        let (ran, failures, set_aside) = (HashSet::new(), 0, Vec::new());
        Self { args, schedule, until, ran, failures, set_aside }
    }

    /// What is to be done, as far as results reach.
    pub(super) fn plan(
        &self,
        planner: &mut Planner<'_>,
        results: &ResultsDir,
    ) -> Result<Planned, PlanningError> {
        let is_open = |run, outcome: Option<&Outcome>| match self.ran.contains(&run) {
            true => is_open(outcome, false),
            false => is_open(outcome, self.args.retry_failed),
        };
        planner.plan(&mut Evidence::new(results, is_open))
    }

    /// Runs what of `work` is open and has not been run yet; none when nothing is.
    pub(super) fn run(
        &mut self,
        work: &[Work],
        store: &Store,
        (signals, console): (&Signals, &Console),
    ) -> Result<Option<End>, Failure> {
        let mut open = Vec::new();
        let mut failed = 0;
        for work in work.iter().filter(|work| !self.ran.contains(&work.run())) {
            let result = store.result(work)?;
            let attempts = result.as_ref().map_or(0, |result| result.attempts);
            let outcome = result.map(|result| result.outcome);
            if is_open(outcome.as_ref(), self.args.retry_failed) {
                open.push(Work { attempts, ..work.clone() });
            } else if !matches!(outcome, Some(Outcome::Finished(_))) {
                failed += 1;
            }
        }
        if open.is_empty() {
            if self.ran.is_empty() {
                console.say(&nothing_to_do(work.len(), failed));
            }
            return Ok(None);
        }
        // What came between two rounds, or after the last run of one had ended.
        if signals.came() {
            return Ok(Some(End::Interrupted));
        }
        let most = if self.args.fail_fast { Some(NonZeroU32::MIN) } else { self.args.max_failures };
        // Those of earlier rounds count.
        if most.is_some_and(|most| self.failures >= most.get()) {
            return Ok(Some(End::Enough(self.failures)));
        }
        let most = most.and_then(|most| NonZeroU32::new(most.get() - self.failures));
        let policy = self.policy(most);
        let program = trainer::program(open.iter().map(|work| &work.config))?;
        let (slots, lost) = slots(self.schedule, cores(), &program)?;
        // Once for all rounds.
        if self.ran.is_empty() {
            lost.iter().for_each(|lost| console.warn(lost));
        }
        let memory = free_memory(self.args.wait_free_memory, &slots)?;
        let places = (slots.as_slice(), memory.as_ref());
        let fuse = !self.args.no_fuse;
        self.ran.extend(open.iter().map(Work::run));
        let shown = (work.len(), self.args.score_format);
        let what = (&program, policy, fuse);
        let (executed, set_aside) = start(open, shown, what, places, store, (signals, console))?;
        self.set_aside.extend(set_aside);
        self.failures += executed.failures;
        Ok(Some(match executed.end {
            End::Enough(_) => End::Enough(self.failures),
            end => end,
        }))
    }

    /// That of one round.
    fn policy(&self, max_failures: Option<NonZeroU32>) -> Policy {
        Policy::new(self.schedule, max_failures).until(self.until)
    }
}

/// What stages of a chain have come to since `before`.
pub(super) fn choices(before: &Plan, now: &Plan) -> Vec<String> {
    let known = before.stages.iter().filter(|stage| stage.choice.is_some()).count();
    let new = now.stages.iter().skip(known);
    new.filter_map(|stage| {
        let choice = stage.choice.as_ref()?;
        let verb = if choice.stays { "stays" } else { "is taken" };
        Some(format!("{}: {} {verb}", stage.factor, choice.level))
    })
    .collect()
}

pub(in crate::command) fn is_open(outcome: Option<&Outcome>, retry_failed: bool) -> bool {
    match outcome {
        None => true,
        Some(Outcome::Finished(_)) => false,
        Some(outcome) => retry_failed || !outcome.is_settled(),
    }
}

pub(in crate::command) fn nothing_to_do(runs: usize, failed: usize) -> String {
    let runs = count(runs, "run");
    match failed {
        0 => format!("{runs}: all done before"),
        _ => format!(
            "{runs}: all ended before, {failed} of them failed; --retry-failed runs those again"
        ),
    }
}

fn start(
    open: Vec<Work>,
    (total, format): (usize, ScoreFormat),
    (program, policy, fuse): (&Program, Policy, bool),
    (slots, memory): (&[SlotSpec], Option<&FreeMemory>),
    store: &Store,
    (signals, console): (&Signals, &Console),
) -> Result<(Executed, Vec<SetAside>), Failure> {
    layers::check_names(program, &open)?;
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
    let mut progress = Progress::new(console, slots, (total, before), format);
    let heard = (signals, &mut progress);
    let executed = execute(open, fuse, program, (slots, memory), policy, store, heard)?;
    Ok((executed, progress.devices_set_aside()))
}

fn names(slots: &[SlotSpec]) -> String {
    let names: Vec<String> = slots
        .iter()
        .map(|slot| format!("{} ({})", slot.name, count(slot.threads, "thread")))
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::Parser as _;

    use super::*;

    #[test]
    fn time_is_over_for_all_rounds_at_one_moment() {
        let limit = Duration::from_secs(60 * 60);
        let schedule = Schedule { sweep_time_limit: Some(limit), ..Schedule::default() };
        let cli = cli::Cli::parse_from(["sweep", "run", "x.toml"]);
        let cli::Command::Run(args) = cli.command else { panic!("{cli:?}") };
        let rounds = Rounds::new(&schedule, &args, None);
        let moments = [1, 2].map(|_| rounds.policy(None).until);
        assert!(moments[0].is_some());
        assert_eq!(moments[0], moments[1]);
        let sooner = Instant::now();
        assert_eq!(Rounds::new(&schedule, &args, Some(sooner)).policy(None).until, Some(sooner));
    }
}
