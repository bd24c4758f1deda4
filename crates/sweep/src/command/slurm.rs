//! `sweep run --launcher slurm`

mod follow;

use std::collections::HashMap;
use std::env;
use std::path::PathBuf;

use clap::ValueEnum as _;
use miette::Diagnostic;
use spec::paths::ResultsDir;
use spec::record::Outcome;
use spec::run_id::RunId;
use spec::slurm::Slurm;
use spec::sweep::{Schedule, Sweep};
use thiserror::Error;

use super::layers::{self, NameError};
use super::run::{conclude, is_open, nothing_to_do, print_reports, replace_plan};
use super::status::where_tasks_are;
use super::{count, load, print};
use crate::cli;
use crate::devices;
use crate::execute::Signals;
use crate::exit::{self, Ends, Failure};
use crate::output::Console;
use crate::planning::{Planned, Planner, Work};
use crate::preflight;
use crate::report::ScoreFormat;
use crate::slurm::decide::{Cover, cover, tally};
use crate::slurm::submit::{Order, Prepared, Submitted, look, prepare, submit};
use crate::slurm::{Cluster, Queue};
use crate::store::Store;
use crate::strategy::Evidence;
use crate::trainer;
use crate::worker::Program;
use ::weights::folder::WeightsFolder;
use follow::follow;

/// So many tasks Slurm's arrays have at most where nobody can be asked: its own default.
const USUAL_ARRAY: usize = 1001;

/// So many submissions in a row of which no result came are enough. One may vanish, as where a controller was started
/// anew.
const BARREN: u32 = 2;

/// What cannot be done on a cluster.
#[derive(Debug, Error, Diagnostic)]
enum LauncherError {
    #[error("--dry-run prints what would be submitted, and nothing is to be")]
    #[diagnostic(help("`sweep plan` shows what would run here; or is --launcher slurm missing?"))]
    DryRun,
    #[error("--follow waits for what was submitted, and nothing is to be")]
    #[diagnostic(help(
        "without it `sweep run` stays until all has ended; or is --launcher slurm missing?"
    ))]
    Follow,
    #[error(
        "--launcher slurm knows no --max-failures and no --fail-fast: tasks do not hear of each other"
    )]
    #[diagnostic(help("`scancel` ends what is in the queue; `sweep status` shows what failed"))]
    MaxFailures,
    #[error("the sweeps differ in [slurm]")]
    #[diagnostic(help("make the sections the same, or submit the sweeps one by one"))]
    Different,
    /// Nothing may be submitted while nobody knows what is in the queue.
    #[error("nobody can tell what is in the queue, so nothing is submitted: {0}")]
    #[diagnostic(help(
        "what was submitted before goes on, and results are kept; give the same command when Slurm answers"
    ))]
    Unknown(String),
    /// Nothing has come of what was submitted.
    #[error("{} have no result, and none came of the last {BARREN} submissions; nothing is in the queue", count(*.open, "run"))]
    #[diagnostic(help("what the tasks said is in {}; then give the same command", logs.display()))]
    NoProgress { open: usize, logs: PathBuf },
}

impl Ends for LauncherError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::DryRun | Self::Follow | Self::MaxFailures | Self::Different => exit::USAGE,
            Self::Unknown(_) | Self::NoProgress { .. } => exit::ENVIRONMENT,
        }
    }
}

/// Options that only make sense where Slurm does the work.
pub(super) fn refuse_options(args: &cli::Run) -> Result<(), Failure> {
    match (args.dry_run, args.follow) {
        (true, _) => Err(LauncherError::DryRun.into()),
        (_, true) => Err(LauncherError::Follow.into()),
        _ => Ok(()),
    }
}

/// Submits what has no result and is not in the queue. With `--follow`, waits for it and submits what is lost.
pub(super) fn run(args: &cli::Run, results: ResultsDir, console: &Console) -> Result<u8, Failure> {
    if args.fail_fast || args.max_failures.is_some() {
        return Err(LauncherError::MaxFailures.into());
    }
    let sweeps = load(&args.files)?;
    let asked = Asked::of(args, &sweeps)?;
    let mut retry_failed = args.retry_failed;
    let (mut ended_before, mut barren) = (None, 0);
    let mut planner = Planner::new(&sweeps, WeightsFolder::from_environment())?;
    // Results may decide what comes next.
    let mut plan = |retry_failed: bool| {
        let open = |_, outcome: Option<&Outcome>| is_open(outcome, retry_failed);
        planner.plan(&mut Evidence::new(&results, open))
    };
    loop {
        let Planned { mut plans, work } = plan(retry_failed)?;
        if args.dry_run {
            return dry_run(&asked, &work, &results, console);
        }
        let store = Store::open(results.clone())?;
        for plan in &mut plans {
            replace_plan(&store, plan, console)?;
        }
        let runs = Runs::read(&work, retry_failed, |work| store.result(work))?;
        if runs.open.is_empty() {
            console.say(&nothing_to_do(work.len(), runs.failed));
            close_what_is_over(&store)?;
        } else {
            let ended = work.len() - runs.open.len();
            barren = if ended_before == Some(ended) { barren + 1 } else { 0 };
            if barren == BARREN {
                let logs = store.dir().submissions().join("*/logs");
                return Err(LauncherError::NoProgress { open: runs.open.len(), logs }.into());
            }
            ended_before = Some(ended);
            check_layers(&asked.program, &runs.open, console)?;
            submit_what_is_not_there(&asked, &runs, work.len(), &store, console)?;
            if !args.follow {
                return Ok(exit::DONE);
            }
            console.say("following; Ctrl-C ends that alone, and the jobs go on");
            let have_ended = follow(&work, &runs, args, &store, console)?;
            // What failed since was tried again already.
            retry_failed = false;
            if !have_ended || plan(retry_failed)?.plans != plans {
                continue;
            }
        }
        // It catches no signal: they end it as they end any program.
        print_reports(&store, &plans, args, (&Signals::default(), console))?;
        return conclude(&store, &work, console);
    }
}

/// What the command line and the sweep files ask for.
struct Asked {
    sweeps: Vec<String>,
    slurm: Slurm,
    schedule: Schedule,
    fuse: bool,
    retry_failed: bool,
    wait_free_memory: Option<u64>,
    collector_arguments: String,
    /// What will train on the nodes, as it is found here.
    program: Program,
    train: Option<PathBuf>,
}

impl Asked {
    fn of(args: &cli::Run, sweeps: &[Sweep]) -> Result<Self, Failure> {
        let schedules = sweeps.iter().map(|sweep| &sweep.schedule);
        let agreed = devices::agree(args.devices.as_ref(), schedules)?;
        let per_device = args.per_device.unwrap_or(agreed.per_device);
        let slurm = sweeps.first().map(|sweep| sweep.slurm.clone()).unwrap_or_default();
        if sweeps.iter().any(|sweep| sweep.slurm != slurm) {
            return Err(LauncherError::Different.into());
        }
        let collector_arguments = match args.score_format.to_possible_value() {
            Some(format) if args.score_format != ScoreFormat::Document => {
                format!(" --score-format {}", format.get_name())
            }
            _ => String::new(),
        };
        // A worker that is missing is missing on the nodes too.
        let program = trainer::program(sweeps.iter().map(|sweep| &sweep.baseline))?;
        let named = env::var_os("SWEEP_TRAIN").filter(|_| program.is_builtin());
        let train = named.map(|_| program.path().to_owned());
        Ok(Self {
            program,
            sweeps: sweeps.iter().map(|sweep| sweep.name.clone()).collect(),
            slurm,
            schedule: Schedule { per_device, ..agreed },
            fuse: !args.no_fuse,
            retry_failed: args.retry_failed,
            wait_free_memory: args.wait_free_memory.map(|size| size.as_u64()),
            collector_arguments,
            train,
        })
    }

    fn order(&self, work: Vec<Work>) -> Order<'_> {
        Order {
            sweeps: self.sweeps.clone(),
            work,
            slurm: &self.slurm,
            schedule: &self.schedule,
            fuse: self.fuse,
            wait_free_memory: self.wait_free_memory,
            collector_arguments: self.collector_arguments.clone(),
            train: self.train.clone(),
        }
    }
}

/// Refuses layers that are not there, before anything waits in a queue for them. A login node may lack what a
/// worker needs to start: then the tasks find out.
fn check_layers(program: &Program, work: &[Work], console: &Console) -> Result<(), Failure> {
    match layers::check_names(program, work) {
        Err(NameError::Unasked(error)) => {
            console.warn(&format!("the names of layers are not checked here: {error}"));
            Ok(())
        }
        checked => Ok(checked?),
    }
}

/// Runs by what became of them.
struct Runs {
    /// To be run.
    open: Vec<Work>,
    /// Of these, those that ended before and are to be run again: after how many attempts.
    settled: HashMap<RunId, u32>,
    /// Runs that failed and are left at that.
    failed: usize,
}

impl Runs {
    fn read<E>(
        work: &[Work],
        retry_failed: bool,
        result: impl Fn(&Work) -> Result<Option<spec::record::RunResult>, E>,
    ) -> Result<Self, E> {
        let mut runs = Self { open: Vec::new(), settled: HashMap::new(), failed: 0 };
        for work in work {
            let result = result(work)?;
            let attempts = result.as_ref().map_or(0, |result| result.attempts);
            let outcome = result.map(|result| result.outcome);
            if is_open(outcome.as_ref(), retry_failed) {
                if outcome.is_some_and(|outcome| outcome.is_settled()) {
                    runs.settled.insert(work.run(), attempts);
                }
                runs.open.push(Work { attempts, ..work.clone() });
            } else if !matches!(outcome, Some(Outcome::Finished(_))) {
                runs.failed += 1;
            }
        }
        Ok(runs)
    }

    /// Those that no task in the queue will bring.
    fn uncovered(&self, cover: &Cover) -> Vec<Work> {
        let is_covered =
            |work: &&Work| cover.has(work.run(), self.settled.get(&work.run()).copied());
        self.open.iter().filter(|work| !is_covered(work)).cloned().collect()
    }
}

fn submit_what_is_not_there(
    asked: &Asked,
    runs: &Runs,
    total: usize,
    store: &Store,
    console: &Console,
) -> Result<(), Failure> {
    let _submitting = store.submitting()?;
    let (submissions, queue) = look(store.dir(), Cluster)?;
    let entries = match queue {
        Queue::Known(entries) => entries,
        Queue::Unknown(why) => return Err(LauncherError::Unknown(why).into()),
    };
    let cover = cover(&submissions, &entries);
    for (name, jobs) in &cover.found {
        console.say(&format!("{name}: jobs were found by their names"));
        store.write_jobs(name, jobs)?;
    }
    let work = runs.uncovered(&cover);
    let (before, there) = (total - runs.open.len(), runs.open.len() - work.len());
    let there = match there {
        0 => String::new(),
        there => format!("{there} in the queue, "),
    };
    console.say(&format!(
        "{}: {before} done before, {there}{} to submit",
        count(total, "run"),
        work.len()
    ));
    if work.is_empty() {
        for submission in &submissions {
            let tally = tally(submission, &entries);
            if tally.tasks() > 0 {
                console.say(&format!("{}: {}", submission.name, where_tasks_are(&tally)));
            }
        }
        // What they have not brought is in others that stand in the queue.
        return close(&cover, store);
    }
    preflight::room(store.dir().root(), work.len())?;
    let order = asked.order(work);
    let prepared = prepare(&order, store.dir(), Cluster.max_array_size()?)?;
    let submitted = submit(&order, &prepared, store, Cluster)?;
    // What is lost of the former ones is in the new one.
    close(&cover, store)?;
    tell(&prepared, &submitted, order.work.len(), console)
}

/// Nothing is expected any more of submissions that are over.
fn close(cover: &Cover, store: &Store) -> Result<(), Failure> {
    for name in &cover.over {
        store.close_submission(name)?;
    }
    Ok(())
}

/// The same where nothing is open: what is still in the queue stays, and where nobody can tell, everything.
fn close_what_is_over(store: &Store) -> Result<(), Failure> {
    let _submitting = store.submitting()?;
    match look(store.dir(), Cluster)? {
        (submissions, Queue::Known(entries)) => close(&cover(&submissions, &entries), store),
        (_, Queue::Unknown(_)) => Ok(()),
    }
}

fn tell(
    prepared: &Prepared,
    submitted: &Submitted,
    runs: usize,
    console: &Console,
) -> Result<(), Failure> {
    let jobs: Vec<String> = submitted.arrays.iter().map(ToString::to_string).collect();
    let (jobs, s) = (jobs.join(", "), if jobs.len() == 1 { "" } else { "s" });
    let tasks = count(prepared.tasks.len(), "task");
    let reports = match &submitted.collector {
        Ok(job) => format!("; job {job} then writes the report"),
        Err(_) => String::new(),
    };
    print(
        console,
        &format!("submitted {} in {tasks}: job{s} {jobs}{reports}\n", count(runs, "run")),
    )?;
    if let Err(why) = &submitted.collector {
        console.warn(&format!("no job will write the report, `sweep report` will: {why}"));
    }
    Ok(())
}

fn dry_run(
    asked: &Asked,
    work: &[Work],
    results: &ResultsDir,
    console: &Console,
) -> Result<u8, Failure> {
    let result = |work: &Work| crate::store::read_result(&results.run(&work.planned), work.run());
    let runs = Runs::read(work, asked.retry_failed, result)?;
    let (submissions, queue) = look(results, Cluster)?;
    let cover = match queue {
        Queue::Known(entries) => cover(&submissions, &entries),
        Queue::Unknown(why) => {
            console.warn(&format!("nobody can tell what is in the queue: {why}"));
            Cover::default()
        }
    };
    let open = runs.uncovered(&cover);
    check_layers(&asked.program, &open, console)?;
    if open.is_empty() {
        console.say("nothing would be submitted: every run is done or in the queue");
        return Ok(exit::DONE);
    }
    let most = Cluster.max_array_size().unwrap_or_else(|error| {
        console.warn(&format!("arrays of {USUAL_ARRAY} tasks at most are assumed: {error}"));
        USUAL_ARRAY
    });
    let order = asked.order(open);
    let Prepared { tasks, scripts, collector, .. } = prepare(&order, results, most)?;
    console.say(&format!(
        "{} in {}, {}; then the report",
        count(order.work.len(), "run"),
        count(tasks.len(), "task"),
        count(scripts.len(), "array"),
    ));
    print(console, &format!("{}\n{collector}", scripts.join("\n")))?;
    Ok(exit::DONE)
}
