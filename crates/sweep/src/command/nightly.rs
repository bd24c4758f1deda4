//! `sweep nightly`

mod night;
mod tell;

use std::path::Path;

use jiff::Timestamp;
use miette::Diagnostic;
use spec::nightly::{CompareWith, Nightly};
use spec::paths::{NightsDir, ResultsDir};
use spec::sweep::Sweep;
use spec::sweep_file;
use thiserror::Error;

use super::{count, print};
use crate::cli;
use crate::execute::End;
use crate::exit::{self, Ends, Failure};
use crate::nightly::calendar;
use crate::nightly::history::{self, Next, Past};
use crate::nightly::record::State;
use crate::nightly::toolchain::Toolchain;
use crate::output::Console;
use crate::planning::Planner;
use crate::store::nights::{self, Nights};
use crate::store::{StoreError, WriteError};
use crate::strategy::Evidence;
use crate::worker::{Probe, Program};
use ::weights::folder::WeightsFolder;
use night::{Setting, Trouble};

/// A night that cannot be.
#[derive(Debug, Error, Diagnostic)]
enum NightError {
    #[error("two sweeps are called `{0}`")]
    #[diagnostic(help("a sweep is called after its file: rename one"))]
    SameName(String),
    #[error("there is no night `{night}` that has ended{}", known_nights(.known))]
    #[diagnostic(help("each has a folder that is called after its day"))]
    NoNight { night: String, known: Vec<String> },
    #[error("the night of {night} did not finish {}", sweeps.join(", "))]
    #[diagnostic(help("what later nights are compared with has to be whole: accept one that is"))]
    Unfinished { night: String, sweeps: Vec<String> },
}

impl Ends for NightError {
    fn exit_code(&self) -> u8 {
        exit::USAGE
    }
}

pub(super) fn nightly(
    args: &cli::Nightly,
    results: &ResultsDir,
    console: &Console,
) -> Result<u8, Failure> {
    let nightly = sweep_file::load_nightly(&args.file)?;
    let load = |file| sweep_file::load(file, &[]);
    let sweeps = nightly.sweeps.iter().map(|file| load(file)).collect::<Result<Vec<_>, _>>()?;
    check_names(&sweeps)?;
    let dir = nightly.reports.clone().map_or_else(|| results.nights(), NightsDir::new);
    let now = calendar::now();
    if args.check {
        return check(&nightly, &sweeps, &dir, now, console);
    }
    let nights = Nights::open(dir, &calendar::in_zone(now, nightly.timezone))?;
    let mut past = nights.past(&nightly.name).map_err(StoreError::from)?;
    if let Some(night) = &args.accept {
        return accept(&nights, &past, night, console);
    }
    check_compared(&nightly, &past)?;
    let mut trouble = Trouble::default();
    // Trainers of the user's own need no worker of ours.
    let worker = match sweeps.iter().any(is_builtin) {
        true => worker().map_err(|failure| trouble.broken.push(words(&failure))).ok(),
        false => None,
    };
    let folder = nightly.file.parent().filter(|folder| *folder != Path::new(""));
    let known = worker.as_ref().map(|(program, probe)| (program, probe));
    let toolchain = Toolchain::look(known, folder.unwrap_or(Path::new(".")));
    let toolchain = toolchain.map_err(WriteError::from)?;

    let setting = Setting {
        nightly: &nightly,
        sweeps: &sweeps,
        nights: &nights,
        past: &[],
        format: args.score_format,
        console,
    };
    let last = past.len().saturating_sub(1);
    let goes_on = match history::next(&past, now, &toolchain) {
        Next::GoOn(_) => past.pop(),
        Next::Close(cut) => {
            console
                .say(&format!("the night of {} was cut short: its report is written", cut.night()));
            let setting = Setting { past: &past[..last], ..setting };
            let summary = setting.conclude(&cut.begun, &Trouble::default(), true)?;
            setting.tell(&summary);
            past = nights.past(&nightly.name).map_err(StoreError::from)?;
            None
        }
        Next::Begin => None,
    };
    let setting = Setting { past: &past, ..setting };
    let begun = match goes_on {
        Some(past) => setting.go_on(past.begun)?,
        None => setting.begin(now, toolchain)?,
    };
    if setting.run(&begun, &mut trouble)? == End::Interrupted {
        console.say("interrupted: give the same command to go on with this night");
        return Ok(exit::INTERRUPTED);
    }
    let summary = setting.conclude(&begun, &trouble, false)?;
    setting.tell(&summary);
    // The night is over, and what it came to is no other for it.
    if let Err(failure) = setting.clean_up(&summary) {
        console.warn(&format!("what no later night needs is not all removed: {}", words(&failure)));
    }
    Ok(summary.exit_code)
}

fn check_names(sweeps: &[Sweep]) -> Result<(), NightError> {
    for (place, sweep) in sweeps.iter().enumerate() {
        if sweeps[..place].iter().any(|other| other.name == sweep.name) {
            return Err(NightError::SameName(sweep.name.clone()));
        }
    }
    Ok(())
}

/// A named night that is not there would be no regression ever.
fn check_compared(nightly: &Nightly, past: &[Past]) -> Result<(), NightError> {
    match &nightly.compare_with {
        CompareWith::Night(night) => check_ended(past, night),
        CompareWith::LastGood => Ok(()),
    }
}

fn check_ended(past: &[Past], night: &str) -> Result<(), NightError> {
    let ended = || past.iter().filter(|past| past.summary.is_some()).map(Past::night);
    if ended().any(|known| known == night) {
        return Ok(());
    }
    let known = ended().map(str::to_owned).collect();
    Err(NightError::NoNight { night: night.to_owned(), known })
}

fn known_nights(known: &[String]) -> String {
    match known {
        [] => ", and no other".to_owned(),
        known => format!("; there are {}", known.join(", ")),
    }
}

/// Whether the built-in trainer trains it.
fn is_builtin(sweep: &Sweep) -> bool {
    sweep.baseline.builtin().is_some()
}

/// The worker, and what it says of the machine.
fn worker() -> Result<(Program, Probe), Failure> {
    let program = Program::find()?;
    let probe = program.probe()?;
    Ok((program, probe))
}

/// An error in words, with its way out.
fn words(failure: &Failure) -> String {
    let help = failure.report.help().map(|help| format!("\n({help})")).unwrap_or_default();
    format!("{}{help}", failure.report)
}

fn check(
    nightly: &Nightly,
    sweeps: &[Sweep],
    dir: &NightsDir,
    now: Timestamp,
    console: &Console,
) -> Result<u8, Failure> {
    let past = nights::past(dir, &nightly.name).map_err(StoreError::from)?;
    check_compared(nightly, &past)?;
    let mut text = String::new();
    for sweep in sweeps {
        let mut planner =
            Planner::new(std::slice::from_ref(sweep), WeightsFolder::from_environment())?;
        // A night begins with nothing done.
        let nothing = dir.night(".none").results();
        let planned = planner.plan(&mut Evidence::new(&nothing, |_, _| true))?;
        let compared = match history::reference(&past, &nightly.compare_with, &sweep.name) {
            Some(past) => format!("compared with the night of {}", past.night()),
            None => "nothing to compare with yet".to_owned(),
        };
        text.push_str(&format!(
            "{}: {}, {compared}\n",
            sweep.name,
            count(planned.work.len(), "run")
        ));
    }
    let started = calendar::in_zone(now, nightly.timezone);
    let budget = match nightly.budget {
        Some(budget) => format!("for {} at the most", humantime::format_duration(budget)),
        None => "until all is done".to_owned(),
    };
    text.push_str(&format!(
        "A night that began now ({}) would go on {budget}, in {}\n",
        started.strftime("%Y-%m-%d %H:%M %:z"),
        dir.night(&calendar::name(&started, |name| dir.night(name).root().exists()))
            .root()
            .display()
    ));
    print(console, &text)?;
    Ok(exit::DONE)
}

fn accept(nights: &Nights, past: &[Past], night: &str, console: &Console) -> Result<u8, Failure> {
    check_ended(past, night)?;
    let summaries = past.iter().filter(|past| past.night() == night);
    let sweeps = summaries.filter_map(|past| past.summary.as_ref()).flat_map(|one| &one.sweeps);
    let (whole, parts): (Vec<_>, Vec<_>) = sweeps.partition(|sweep| sweep.state == State::Complete);
    if whole.is_empty() || parts.iter().any(|sweep| sweep.state == State::Unfinished) {
        let sweeps = parts.iter().map(|sweep| sweep.sweep.clone()).collect();
        return Err(NightError::Unfinished { night: night.to_owned(), sweeps }.into());
    }
    nights.accept(night)?;
    console.say(&format!("later nights are compared with that of {night}"));
    Ok(exit::DONE)
}
