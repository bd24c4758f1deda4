//! One night, from its beginning to its report.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use jiff::Timestamp;
use miette::Diagnostic;
use spec::nightly::{CompareWith, DEFAULT_WAIT, FeatureLife, Nightly};
use spec::paths::ResultsDir;
use spec::sweep::{Schedule, Sweep};
use thiserror::Error;

use super::{is_builtin, words};
use crate::cli;
use crate::command::machine::{cores, free_memory, slots};
use crate::command::report::render;
use crate::command::run::{CarriedOut, carry_out};
use crate::command::{count, print};
use crate::execute::{End, Signals};
use crate::exit::{self, Ends, Failure};
use crate::gpus::Driver;
use crate::nightly::assess::assess;
use crate::nightly::calendar;
use crate::nightly::conclusion::verdict;
use crate::nightly::history::{self, Past};
use crate::nightly::record::{Begun, State, Summary, VERSION};
use crate::nightly::report::document;
use crate::nightly::toolchain::Toolchain;
use crate::output::Console;
use crate::progress::SetAside;
use crate::report::{ScoreFormat, Section, page, page_below};
use crate::store::nights::Nights;
use crate::store::{ReadError, StoreError, read_plan};
use crate::trainer;

/// How often it is looked whether a GPU is free.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// What went wrong in a night besides its runs.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    pub(super) broken: Vec<String>,
    /// The sweeps that could not be carried out.
    pub(super) sweeps: Vec<String>,
    pub(super) set_aside: Vec<SetAside>,
}

/// What does not change while a night goes on.
#[derive(Clone, Copy)]
pub(super) struct Setting<'a> {
    pub(super) nightly: &'a Nightly,
    pub(super) sweeps: &'a [Sweep],
    pub(super) nights: &'a Nights,
    /// The nights before this one, in the order of time.
    pub(super) past: &'a [Past],
    pub(super) format: ScoreFormat,
    pub(super) console: &'a Console,
}

/// No GPU became free.
#[derive(Debug, Error, Diagnostic)]
#[error("no GPU {wanted} within {}", humantime::format_duration(*limit))]
#[diagnostic(help("`sweep doctor` shows who uses them; wait_limit says how long to wait"))]
struct Busy {
    wanted: Wanted,
    limit: Duration,
}

/// How free a GPU has to be for a night to begin on it.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    /// With so many bytes of memory.
    Memory(u64),
    /// With nobody on it, as far as the driver tells.
    Idle,
}

impl Wanted {
    /// None where the driver does not tell.
    fn is_met(self, driver: &Driver, gpu: &str) -> Option<bool> {
        match self {
            Self::Memory(bytes) => driver.free(gpu).ok().map(|free| free >= bytes),
            Self::Idle => driver.is_computed_on(gpu).ok().map(|is_computed_on| !is_computed_on),
        }
    }

    /// Whether a night may begin, by what is told of each GPU. One of which nothing is told may be a broken one that
    /// others are to be waited for; where nothing is told of any, it is for the worker to find out.
    fn lets_begin(told: &[Option<bool>]) -> bool {
        told.contains(&Some(true)) || told.iter().all(Option::is_none)
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(bytes) => write!(f, "had {} of memory free", ByteSize::b(*bytes)),
            Self::Idle => f.write_str("was without processes of others"),
        }
    }
}

impl Ends for Busy {
    fn exit_code(&self) -> u8 {
        exit::ENVIRONMENT
    }
}

impl Setting<'_> {
    fn names(&self) -> Vec<String> {
        self.sweeps.iter().map(|sweep| sweep.name.clone()).collect()
    }

    /// A night that was cut short goes on.
    pub(super) fn go_on(&self, begun: Begun) -> Result<Begun, Failure> {
        self.console.say(&format!("the night of {} was cut short: it goes on", begun.night));
        let begun = Begun { sweeps: self.names(), ..begun };
        self.nights.begin(&begun)?;
        Ok(begun)
    }

    /// A new night begins, with what the last one left undone.
    pub(super) fn begin(&self, now: Timestamp, toolchain: Toolchain) -> Result<Begun, Failure> {
        let started = calendar::in_zone(now, self.nightly.timezone);
        let mut begun = Begun {
            version: VERSION,
            name: self.nightly.name.clone(),
            night: calendar::name(&started, |name| self.nights.is_taken(name)),
            until: calendar::until(now, self.nightly.budget),
            started,
            sweeps: self.names(),
            toolchain,
            continues: None,
            carried: BTreeMap::new(),
        };
        self.nights.begin(&begun)?;
        self.console.say(&format!("the night of {} begins", begun.night));
        let Some(last) = self.past.last() else { return Ok(begun) };
        let undone: Vec<&str> = last
            .summary
            .iter()
            .flat_map(|summary| &summary.sweeps)
            .filter(|sweep| sweep.state == State::Unfinished && begun.sweeps.contains(&sweep.sweep))
            .map(|sweep| sweep.sweep.as_str())
            .collect();
        if undone.is_empty() {
            return Ok(begun);
        }
        if !last.begun.toolchain.computes_as(&begun.toolchain) {
            self.console.say(&format!(
                "what the night of {} left begins anew: the worker, its libraries or the driver are others",
                last.night()
            ));
            return Ok(begun);
        }
        let dir = self.nights.dir();
        let (from, to) = (dir.night(last.night()), dir.night(&begun.night));
        let carried = self.nights.carry(&from, &to, &undone)?;
        let runs = carried.iter().sum();
        self.console.say(&format!(
            "it goes on with what the night of {} left: {} done before",
            last.night(),
            count(runs, "run")
        ));
        begun.continues = Some(last.night().to_owned());
        begun.carried = undone.iter().map(|sweep| (*sweep).to_owned()).zip(carried).collect();
        self.nights.begin(&begun)?;
        Ok(begun)
    }

    fn results(&self, begun: &Begun) -> ResultsDir {
        let dir = self.nights.dir();
        let results = dir.night(&begun.night).results();
        match self.nightly.features {
            FeatureLife::Night => results,
            FeatureLife::Toolchain => {
                results.with_cache(dir.features().join(begun.toolchain.key()))
            }
        }
    }

    /// Runs one sweep after the other until the night is over: what fits are whole sweeps.
    pub(super) fn run(&self, begun: &Begun, trouble: &mut Trouble) -> Result<End, Failure> {
        // What was broken before anything ran is the worker.
        let has_worker = trouble.broken.is_empty();
        let can_run = |sweep: &Sweep| has_worker || !is_builtin(sweep);
        let Some(first) = self.sweeps.iter().find(|sweep| can_run(sweep)) else {
            return Ok(End::Done);
        };
        if let Err(failure) = self.wait_for_gpu(begun, first) {
            trouble.broken.push(words(&failure));
            return Ok(End::Done);
        }
        let signals = Signals::default();
        let end = self.run_sweeps(begun, can_run, trouble, &signals);
        // What comes now is short, or somebody's hook; and a night that is killed goes on with the next one.
        signals.hand_back();
        match end {
            // After the last sweep's runs, when nobody looked any more.
            Ok(End::Done) if signals.came_since_the_runs() => Ok(End::Interrupted),
            end => end,
        }
    }

    fn run_sweeps(
        &self,
        begun: &Begun,
        can_run: impl Fn(&Sweep) -> bool,
        trouble: &mut Trouble,
        signals: &Signals,
    ) -> Result<End, Failure> {
        let args = cli::Run {
            devices: self.nightly.devices.clone(),
            per_device: self.nightly.per_device,
            wait_free_memory: self.nightly.wait_free_memory.map(ByteSize::b),
            score_format: self.format,
            ..cli::Run::default()
        };
        let names: Vec<&str> = begun.sweeps.iter().map(String::as_str).collect();
        for name in history::order(&names, self.past.last()) {
            let named = self.sweeps.iter().find(|sweep| sweep.name == name);
            let Some(sweep) = named.filter(|sweep| can_run(sweep)) else { continue };
            let left = begun.until.map(|until| calendar::left(until, calendar::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(End::OutOfTime);
            }
            let until = left.and_then(|left| Instant::now().checked_add(left));
            self.console.say(&format!("# {name}"));
            let results = self.results(begun);
            let sweeps = std::slice::from_ref(sweep);
            if signals.came() {
                return Ok(End::Interrupted);
            }
            match carry_out(sweeps, &args, until, results, (signals, self.console)) {
                Ok(done) => {
                    let end = done.end;
                    self.keep_report(done, trouble);
                    // A sweep may have a time of its own, and the night goes on.
                    if end == End::Interrupted {
                        return Ok(end);
                    }
                }
                // The next one may fare better: other images, other devices.
                Err(failure) => {
                    let said = format!("{name}: {}", words(&failure));
                    self.console.warn(&said);
                    trouble.broken.push(said);
                    trouble.sweeps.push(name.to_owned());
                }
            }
        }
        Ok(End::Done)
    }

    fn keep_report(&self, done: CarriedOut, trouble: &mut Trouble) {
        for device in done.set_aside {
            if trouble.set_aside.iter().all(|known| known.device != device.device) {
                trouble.set_aside.push(device);
            }
        }
        for plan in &done.plans {
            let kept = render(done.store.dir(), plan, self.format).and_then(|rendered| {
                let page = page([&rendered.section(plan, self.format)?]);
                Ok(done.store.write_report(plan, &rendered.report, &rendered.runs, Some(&page))?)
            });
            // It is derived: `sweep report` makes it again.
            if let Err(failure) = kept {
                self.console.warn(&format!("{}: {}", plan.sweep, failure.report));
            }
        }
    }

    /// Waits until a GPU is as free as was asked for. What happens to it later is for the slots to wait for.
    fn wait_for_gpu(&self, begun: &Begun, sweep: &Sweep) -> Result<(), Failure> {
        let (wanted, limit) = match (self.nightly.wait_free_memory, self.nightly.wait_limit) {
            (None, None) => return Ok(()),
            (None, Some(limit)) => (Wanted::Idle, limit),
            (Some(bytes), limit) => (Wanted::Memory(bytes), limit.unwrap_or(DEFAULT_WAIT)),
        };
        let devices = self.nightly.devices.clone().unwrap_or(sweep.schedule.devices.clone());
        let schedule = Schedule { devices, ..sweep.schedule.clone() };
        let program = trainer::program([&sweep.baseline])?;
        let (slots, _) = slots(&schedule, cores(), &program)?;
        let gpus: Vec<&String> = slots.iter().filter_map(|slot| slot.gpu.as_ref()).collect();
        if gpus.is_empty() {
            return Ok(());
        }
        let memory = self.nightly.wait_free_memory.map(ByteSize::b);
        let Some(memory) = free_memory(memory, &slots)? else { return Ok(()) };
        let now = Instant::now();
        let mut over = now.checked_add(limit);
        let left = begun.until.map(|until| calendar::left(until, calendar::now()));
        if let Some(end) = left.and_then(|left| now.checked_add(left)) {
            over = Some(over.map_or(end, |over| over.min(end)));
        }
        let mut said = false;
        loop {
            let told: Vec<_> = gpus.iter().map(|gpu| wanted.is_met(&memory.driver, gpu)).collect();
            if Wanted::lets_begin(&told) {
                return Ok(());
            }
            let left = over.map(|over| over.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(Busy { wanted, limit }.into());
            }
            if !said {
                self.console.say("every GPU is used by others: waiting");
                said = true;
            }
            std::thread::sleep(left.map_or(LOOK_EVERY, |left| left.min(LOOK_EVERY)));
        }
    }

    /// Makes the report and the summary of a night from its folder.
    pub(super) fn conclude(
        &self,
        begun: &Begun,
        trouble: &Trouble,
        cut_short: bool,
    ) -> Result<Summary, Failure> {
        let dir = self.nights.dir();
        let with = (&self.nightly.compare_with, &self.nightly.regression);
        let broken = |sweep: &str| {
            !trouble.set_aside.is_empty() || trouble.sweeps.iter().any(|name| name == sweep)
        };
        let sweeps = assess(dir, begun, self.past, with, broken).map_err(StoreError::from)?;
        let verdict = verdict(&sweeps, &trouble.broken, &trouble.set_aside);
        let summary = Summary {
            version: VERSION,
            name: begun.name.clone(),
            night: begun.night.clone(),
            verdict,
            exit_code: verdict.exit_code(),
            started: begun.started.clone(),
            ended: calendar::now().to_zoned_datetime(begun.started.time_zone().clone()),
            until: begun.until,
            cut_short,
            report: dir.night(&begun.night).report(),
            page: Some(dir.night(&begun.night).page()),
            continues: begun.continues.clone(),
            broken: trouble.broken.clone(),
            set_aside: trouble.set_aside.clone(),
            toolchain: begun.toolchain.clone(),
            sweeps,
        };
        let document = document(&summary, self.format);
        let report = document.markdown();
        let page = page_below(Some(&document), &self.sections(begun));
        self.nights.conclude(&summary, &report, &page)?;
        if !cut_short {
            print(self.console, &report)?;
        }
        Ok(summary)
    }

    /// What the sweeps of a night came to, each for the night's page.
    fn sections(&self, begun: &Begun) -> Vec<Section> {
        let results = self.nights.dir().night(&begun.night).results();
        let section = |name: &String| {
            let plan = match read_plan(&results, name) {
                // Its turn did not come, and the report says so.
                Err(ReadError::NoSweep { .. } | ReadError::Broken { .. }) => return Ok(None),
                read => read?,
            };
            let rendered = render(&results, &plan, self.format)?;
            Ok::<_, Failure>(Some(rendered.section(&plan, self.format)?))
        };
        let read = begun.sweeps.iter().filter_map(|name| match section(name) {
            Ok(section) => section,
            // The night is more than its page.
            Err(failure) => {
                self.console.warn(&format!("{name} is not on the page: {}", failure.report));
                None
            }
        });
        read.collect()
    }

    /// Removes what no later night needs.
    pub(super) fn clean_up(&self, summary: &Summary) -> Result<(), Failure> {
        for past in self.past {
            self.nights.forget_features(past.night())?;
        }
        if summary.sweeps.iter().all(|sweep| sweep.state != State::Unfinished) {
            self.nights.forget_features(&summary.night)?;
        }
        self.nights.forget_other_features(&summary.toolchain.key())?;
        let past = self.nights.past(&summary.name).map_err(StoreError::from)?;
        let keep = self.nightly.keep.get() as usize;
        let with: &CompareWith = &self.nightly.compare_with;
        for night in history::to_remove(&past, keep, with) {
            self.nights.remove(night)?;
            self.console.say(&format!("the night of {night} is removed"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_night_waits_for_a_gpu_that_is_known_to_be_free() {
        for (told, expected) in [
            (vec![Some(false), Some(true)], true),
            (vec![None, Some(true)], true),
            (vec![None, Some(false)], false),
            (vec![Some(false)], false),
            (vec![None, None], true),
        ] {
            assert_eq!(Wanted::lets_begin(&told), expected, "{told:?}");
        }
    }
}
