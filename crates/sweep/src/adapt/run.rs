//! One run: one process of the user's program.

use std::collections::VecDeque;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use spec::config::{Config, Metrics, Own};
use spec::paths::CheckpointsDir;
use spec::protocol::{Checkpoints, Event, Order, RunOrder};
use spec::record::{ImageSet, Outcome};
use spec::run_id::RunId;

use super::conclude::{Crash, Known, conclude};
use super::listen::{Ears, FromProgram, Heard};
use super::told::{self, Files};
use super::{GRACE, Place, predictions, said, say};
use crate::worker::die_with_us;

/// So much of what it says is kept for the day it fails.
const LAST_WORDS: usize = 4096;
/// How often the file of metrics is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How long what the program left behind may keep its pipes open.
const ORPHANS: Duration = Duration::from_secs(2);
/// Predictions in one event.
const PART: usize = 10_000;

/// How a run ended.
pub(super) enum Ended {
    With(Outcome),
    /// The program crashed, and so should we.
    Crashed(Crash),
    /// It was stopped, and nobody wants anything more.
    Leave,
    /// It cannot even be started, nor could it for any other run.
    Broken(String),
}

/// A program under way.
struct Program<'a> {
    run: RunId,
    number: u64,
    child: Child,
    group: Pid,
    files: &'a Files,
    metrics: Metrics,
    /// How much of the file of metrics was read.
    read: u64,
    rest: Vec<u8>,
    /// When the last epoch ended.
    since: Instant,
    stop: Option<Stop>,
    closed: u32,
    ended: Option<Instant>,
    chatter: VecDeque<u8>,
    lines: VecDeque<u8>,
    known: Known,
}

/// A program that was asked to end.
#[derive(Debug, Clone, Copy)]
struct Stop {
    kill_at: Option<Instant>,
    /// Whether the adapter is to end too.
    for_good: bool,
}

/// Runs the program for `order`, to its end or until it is stopped; what it keeps goes where `kept` says.
///
/// # Errors
/// When nobody hears what is said.
pub(super) fn run(
    order: &RunOrder<Config>,
    config: &Own,
    kept: Option<&Checkpoints>,
    place: &Place,
    ears: &Ears,
) -> io::Result<Ended> {
    static STARTED: AtomicU64 = AtomicU64::new(0);
    let folder = match tempfile::Builder::new().prefix("sweep-").tempdir() {
        Ok(folder) => folder,
        Err(error) => {
            return Ok(Ended::Broken(format!("no temporary folder can be made: {error}")));
        }
    };
    let checkpoint = match kept {
        Some(Checkpoints { folder, .. }) => CheckpointsDir::new(folder).program(order.run),
        // Nothing is to be kept: it is a folder as any other, and goes with the attempt.
        None => folder.path().join("checkpoint"),
    };
    if let Err(error) = fs_err::create_dir_all(&checkpoint) {
        return Ok(Ended::Broken(format!("the folder for checkpoints cannot be made: {error}")));
    }
    let files = Files { folder: folder.path().to_owned(), checkpoint };
    if let Err(error) = told::write_config(order, config, place, &files) {
        return Ok(Ended::Broken(error.to_string()));
    }
    let mut command = match told::command(order, config, place, &files) {
        Ok(command) => command,
        Err(error) => return Ok(Ended::With(Outcome::Failed { cause: error.to_string() })),
    };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own, which can be asked to end while we stay.
    command.process_group(0);
    die_with_us(&mut command);
    let program = PathBuf::from(command.get_program());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            return Ok(Ended::Broken(format!(
                "the trainer {} does not start: {error}",
                program.display()
            )));
        }
    };
    let (group, number) = (Pid::from_child(&child), STARTED.fetch_add(1, Ordering::Relaxed));
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        unreachable!("both are piped")
    };
    ears.follow(number, group, stdout, stderr);
    let program = Program {
        run: order.run,
        number,
        child,
        group,
        files: &files,
        metrics: config.trainer.metrics,
        read: 0,
        rest: Vec::new(),
        since: Instant::now(),
        stop: None,
        closed: 0,
        ended: None,
        chatter: VecDeque::new(),
        lines: VecDeque::new(),
        known: Known::default(),
    };
    program.follow(ears)
}

impl Program<'_> {
    fn follow(mut self, ears: &Ears) -> io::Result<Ended> {
        while !self.is_over() {
            match ears.wait(self.due()) {
                Some(Heard::Program(number, heard)) if number == self.number => self.hear(heard)?,
                // What an earlier one left behind.
                Some(Heard::Program(..)) => {}
                Some(Heard::Order(Order::Stop)) => self.stop(false),
                // Whoever would want the result is gone.
                Some(Heard::NoMoreOrders | Heard::Terminate) => self.stop(true),
                Some(Heard::Order(_)) => tracing::warn!("an order came before the last was done"),
                None => self.look()?,
            }
        }
        self.look()?;
        let status = self.child.wait()?;
        match self.stop {
            Some(Stop { for_good: true, .. }) => return Ok(Ended::Leave),
            Some(_) => {
                let cause = "stopped".to_owned();
                return Ok(Ended::With(Outcome::Interrupted { cause }));
            }
            None => {}
        }
        self.read_results()?;
        Ok(match conclude(status, &self.known) {
            Ok(outcome) => Ended::With(outcome),
            Err(crash) => Ended::Crashed(crash),
        })
    }

    fn is_over(&self) -> bool {
        self.ended.is_some_and(|ended| self.closed == 2 || ended.elapsed() >= ORPHANS)
    }

    /// When there is something to do though nothing is heard.
    fn due(&self) -> Option<Instant> {
        let kill = self.stop.and_then(|stop| stop.kill_at);
        let look = (self.metrics == Metrics::File).then(|| Instant::now() + LOOK);
        let end = self.ended.map(|ended| ended + ORPHANS);
        kill.into_iter().chain(look).chain(end).min()
    }

    fn stop(&mut self, for_good: bool) {
        let before = self.stop;
        let kill_at = match before {
            Some(stop) => stop.kill_at,
            None => {
                let _ = kill_process_group(self.group, Signal::TERM);
                Some(Instant::now() + GRACE)
            }
        };
        let for_good = for_good || before.is_some_and(|stop| stop.for_good);
        self.stop = Some(Stop { kill_at, for_good });
    }

    fn look(&mut self) -> io::Result<()> {
        if let Some(Stop { kill_at: Some(at), for_good }) = self.stop
            && at <= Instant::now()
        {
            let _ = kill_process_group(self.group, Signal::KILL);
            self.stop = Some(Stop { kill_at: None, for_good });
        }
        if self.metrics == Metrics::File {
            self.read_metrics()?;
        }
        Ok(())
    }

    fn hear(&mut self, heard: FromProgram) -> io::Result<()> {
        match heard {
            FromProgram::Line(line) => {
                let text = String::from_utf8_lossy(&line).into_owned();
                if !text.trim().is_empty() {
                    text.trim().clone_into(&mut self.known.last_line);
                }
                keep(&mut self.lines, &[&line[..], b"\n"].concat());
                say(&Event::Note { run: self.run, text })?;
                if self.metrics == Metrics::Stdout {
                    self.measure(&line)?;
                }
            }
            FromProgram::Chatter(said) => {
                keep(&mut self.chatter, &said);
                io::stderr().write_all(&said)?;
            }
            FromProgram::Closed => self.closed += 1,
            FromProgram::Ended => {
                self.ended = Some(Instant::now());
                // Not reaped yet, so the number is still its own. What it started may not outlive it.
                let _ = kill_process_group(self.group, Signal::KILL);
            }
        }
        Ok(())
    }

    /// Takes a line of metrics down.
    fn measure(&mut self, line: &[u8]) -> io::Result<()> {
        let Some(measured) = said::measured(line, self.since.elapsed().as_secs_f64()) else {
            return Ok(());
        };
        let known = &mut self.known;
        known.score = measured.score.or(known.score);
        known.updates = measured.updates.unwrap_or(known.updates);
        known.images_seen = measured.images_seen.unwrap_or(known.images_seen);
        if let Some(metrics) = measured.epoch {
            self.since = Instant::now();
            known.epochs = known.epochs.max(metrics.epoch);
            known.diverged = measured.diverged;
            say(&Event::Epoch { run: self.run, metrics })?;
        }
        Ok(())
    }

    /// Reads on in the file of metrics, whole lines.
    fn read_metrics(&mut self) -> io::Result<()> {
        let Ok(mut file) = fs_err::File::open(self.files.metrics()) else { return Ok(()) };
        file.seek(SeekFrom::Start(self.read))?;
        let mut more = Vec::new();
        self.read += file.read_to_end(&mut more)? as u64;
        self.rest.extend(more);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            self.measure(&line)?;
        }
        if self.ended.is_some() {
            let line = std::mem::take(&mut self.rest);
            self.measure(&line)?;
        }
        Ok(())
    }

    /// What it has left in files, and what its last line says.
    fn read_results(&mut self) -> io::Result<()> {
        if let Ok(text) = fs_err::read_to_string(self.files.score()) {
            self.known.score = said::measured(text.as_bytes(), 0.0)
                .and_then(|measured| measured.score)
                .or_else(|| said::score(&text));
            self.known.last_line = format!("{} (in the file SWEEP_SCORE)", text.trim());
        } else {
            self.known.score = self.known.score.or_else(|| said::score(&self.known.last_line));
        }
        if self.files.predictions().exists() {
            match predictions::read(&self.files.predictions()) {
                Ok(told) => {
                    self.known.test = predictions::evaluate(&told, ImageSet::Test);
                    self.known.validation = predictions::evaluate(&told, ImageSet::Validation);
                    for part in told.images.chunks(PART) {
                        let predictions = spec::record::Predictions {
                            classes: told.classes.clone(),
                            images: part.to_vec(),
                        };
                        say(&Event::Predictions { run: self.run, predictions })?;
                    }
                }
                Err(what) => self.known.bad_predictions = Some(what),
            }
        }
        let said = if self.chatter.is_empty() { &mut self.lines } else { &mut self.chatter };
        self.known.last_words = String::from_utf8_lossy(said.make_contiguous()).into_owned();
        Ok(())
    }
}

fn keep(last: &mut VecDeque<u8>, said: &[u8]) {
    last.extend(said);
    let surplus = last.len().saturating_sub(LAST_WORDS);
    last.drain(..surplus);
}
