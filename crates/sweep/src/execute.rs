//! Doing what the scheduler decides: the one loop in which everything meets.
//!
//! It runs on the caller's thread, which alone starts workers and writes results; other threads only
//! send it messages.

mod memory;
mod signals;
mod station;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::Instant;

use miette::Diagnostic;
use spec::protocol::{self, Bundle, Checkpoints, Order};
use spec::record::Outcome;
use spec::run_id::RunId;
use thiserror::Error;

use crate::devices::{self, SlotSpec};
use crate::exit::{self, Ends};
use crate::gpus::FreeMemory;
use crate::planning::Work;
use crate::process::Process;
use crate::progress::{Activity, Progress};
use crate::schedule::{Again, Effect, Event, GiveUp, Next, Policy, Scheduler, SlotId};
use crate::store::{Claims, Ended, Store, StoreError, Whose, WriteError};
use crate::worker::{Heard, Line, Program, Worker, WorkerId, end_strays};
use memory::{May, Memory};
use signals::Signals;
use station::Station;

/// At most so many runs are stored together: each holds half a dozen files open.
const MOST_ENDED: usize = 64;

/// How it ended, when nothing was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Every run has ended.
    Done,
    /// Somebody stopped it.
    Interrupted,
    /// As many runs failed as were allowed to.
    Enough(u32),
    /// Time was over.
    OutOfTime,
}

/// The sweep cannot go on.
#[derive(Debug, Error, Diagnostic)]
pub enum ExecuteError {
    /// No worker comes up.
    #[error("the worker {} {cause}", program.display())]
    #[diagnostic(help(
        "`sweep doctor` looks for what is missing, `./scripts/setup` gets it; \
         then give the same command: finished runs are kept"
    ))]
    Worker {
        /// The worker.
        program: PathBuf,
        /// The rest of the sentence: how it ended, and its last words.
        cause: String,
    },
    /// No device is left to run on.
    #[error("every device is set aside; {device}: {cause}")]
    #[diagnostic(help(
        "look at what the runs said in attempts/*.log; then give the same command, with \
         --retry-failed for those that failed: finished runs are kept"
    ))]
    NoDevice {
        /// The last one.
        device: String,
        /// Why it was set aside.
        cause: String,
    },
    /// What runs need is broken.
    #[error("{cause}")]
    #[diagnostic(help("mend it, then give the same command: finished runs are kept"))]
    Broken {
        /// What, in the worker's words.
        cause: String,
    },
    /// Results cannot be stored, or not be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(StoreError),
    /// Signals cannot be caught.
    #[error("cannot prepare for Ctrl-C: {0}")]
    Signals(std::io::Error),
}

impl Ends for ExecuteError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Store(error) => error.exit_code(),
            _ => exit::ENVIRONMENT,
        }
    }
}

impl<E: Into<StoreError>> From<E> for ExecuteError {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

/// What the loop waits for.
enum Message {
    Worker(WorkerId, Heard),
    /// Ctrl-C or its like.
    Signal,
    /// Time is over.
    Late,
}

impl From<(WorkerId, Heard)> for Message {
    fn from((worker, heard): (WorkerId, Heard)) -> Self {
        Self::Worker(worker, heard)
    }
}

/// Runs `work` on `slots` and stores what comes out; shares it with others that are at work in the same
/// folder. With `fuse`, runs that can be are fused.
///
/// # Errors
/// When no worker comes up, or results cannot be stored. What ended before that is stored.
pub fn execute(
    work: Vec<Work>,
    fuse: bool,
    program: &Program,
    (slots, memory): (&[SlotSpec], Option<&FreeMemory>),
    policy: Policy,
    store: &Store,
    progress: &mut Progress,
) -> Result<End, ExecuteError> {
    // Bounded: a worker that talks faster than we listen waits.
    let (to, inbox) = mpsc::sync_channel(1024);
    let signals = Signals::listen(to.clone()).map_err(ExecuteError::Signals)?;
    let claims = store.claims(slots.iter().map(|slot| slot.name.clone()).collect())?;
    match end_strays(claims.process()) {
        0 => {}
        left => {
            progress.say(&format!("{left} processes of a sweep that was killed were left: ended"))
        }
    }
    let checkpoints = match policy.checkpoint_every {
        Some(every) => {
            let folder = std::path::absolute(store.dir().checkpoints().root());
            Some(Checkpoints { folder: folder.map_err(WriteError::from)?, every })
        }
        None => None,
    };
    // Long ones first: a long run that begins last keeps everybody waiting.
    let mut order: Vec<&Work> = work.iter().collect();
    order.sort_by_key(|work| Reverse(work.length()));
    let runs = order.iter().map(|work| (work.run(), work.prefix(fuse)));
    let (homes, devices) = devices::homes(slots);
    let mut execution = Execution {
        began: Instant::now(),
        until: policy.until,
        late: false,
        scheduler: Scheduler::new(runs, &homes, policy)
            .with_lengths(work.iter().map(|work| (work.run(), work.length()))),
        devices,
        work: work.iter().map(|work| (work.run(), work.clone())).collect(),
        stations: slots.iter().map(|_| Station::default()).collect(),
        fuse,
        checkpoints,
        slots,
        memory: Memory::new(memory),
        program,
        store,
        claims,
        met: HashSet::new(),
        progress,
        to,
        ended: Vec::new(),
        starts: 0,
        signals: 0,
        interrupted: false,
        enough: None,
        gave_up: None,
    };
    let end = execution.go_on(&inbox);
    // What has ended is kept, however the sweep ends.
    let end = execution.commit().and(end);
    execution.stations.iter().for_each(Station::kill);
    execution.progress.clear();
    signals.close();
    end
}

struct Execution<'a> {
    /// The scheduler's clock counts from here.
    began: Instant,
    /// When time is over; none when it is.
    until: Option<Instant>,
    /// Whether time was over before all was done.
    late: bool,
    scheduler: Scheduler,
    /// The devices' names.
    devices: Vec<String>,
    work: HashMap<RunId, Work>,
    stations: Vec<Station>,
    fuse: bool,
    checkpoints: Option<Checkpoints>,
    slots: &'a [SlotSpec],
    memory: Memory<'a>,
    program: &'a Program,
    store: &'a Store,
    claims: Claims,
    /// Others that are at work here.
    met: HashSet<Process>,
    progress: &'a mut Progress,
    to: SyncSender<Message>,
    /// Runs that have ended and are not stored yet.
    ended: Vec<Ended>,
    /// How many workers were started.
    starts: u64,
    signals: u32,
    /// Whether a run was stopped on its way.
    interrupted: bool,
    /// How many runs failed, when these are as many as may.
    enough: Option<u32>,
    gave_up: Option<GiveUp>,
}

impl Execution<'_> {
    fn go_on(&mut self, inbox: &Receiver<Message>) -> Result<End, ExecuteError> {
        self.tell(Event::Begin)?;
        while !self.scheduler.is_over() {
            match self.listen(inbox)? {
                Some(Message::Worker(worker, heard)) => self.hear(worker, heard)?,
                Some(Message::Signal) => {
                    self.signals += 1;
                    if self.signals > 1 {
                        self.tell(Event::Abort)?;
                        return Ok(self.end());
                    }
                    self.progress.say(
                        "stopping: runs under way end at their next batch; once more to kill them",
                    );
                    self.tell(Event::Stop)?;
                }
                Some(Message::Late) => {
                    self.late = true;
                    self.progress.say("time is over: runs under way end at their next batch");
                    self.tell(Event::OutOfTime)?;
                }
                None => self.tell(Event::Tick)?,
            }
        }
        match self.gave_up.take() {
            Some(why) => Err(self.error(why)),
            None => Ok(self.end()),
        }
    }

    /// Somebody who stops it after the last run has ended is too late.
    fn end(&self) -> End {
        let left = !self.scheduler.is_done() || self.interrupted;
        match self.enough {
            _ if self.signals > 0 && left => End::Interrupted,
            _ if self.late && left => End::OutOfTime,
            Some(failures) if left => End::Enough(failures),
            _ => End::Done,
        }
    }

    fn error(&self, why: GiveUp) -> ExecuteError {
        match why {
            GiveUp::NoWorker(cause) => {
                ExecuteError::Worker { program: self.program.path().to_owned(), cause }
            }
            GiveUp::NoDevice(device, cause) => {
                let device = self.devices.get(device).cloned().unwrap_or_default();
                ExecuteError::NoDevice { device, cause }
            }
            GiveUp::Broken(cause) => ExecuteError::Broken { cause },
        }
    }

    /// The next message; none when something is due before it.
    fn listen(&mut self, inbox: &Receiver<Message>) -> Result<Option<Message>, ExecuteError> {
        loop {
            let now = Instant::now();
            self.stations.iter_mut().for_each(|station| station.hurry(now));
            self.claims.beat(now);
            if self.until.is_some_and(|until| until <= now) {
                self.until = None;
                return Ok(Some(Message::Late));
            }
            let stations = self.stations.iter().filter_map(Station::due);
            let scheduler = self.scheduler.due(now - self.began).map(|due| self.began + due);
            if scheduler.is_some_and(|due| due <= now) {
                return Ok(None);
            }
            let due = stations.chain(scheduler).chain(self.until);
            let due = due.fold(self.claims.due(), Instant::min);
            // What has ended is stored when there is nothing to hear, or much to store.
            match inbox.try_recv() {
                Ok(message) => {
                    if self.ended.len() >= MOST_ENDED {
                        self.commit()?;
                    }
                    return Ok(Some(message));
                }
                Err(_) => self.commit()?,
            }
            // We hold a sender ourselves, so the channel cannot end.
            if let Ok(message) = inbox.recv_timeout(due.saturating_duration_since(now)) {
                return Ok(Some(message));
            }
            // What was due then is not due any more now.
            if scheduler.is_some_and(|due| due <= Instant::now()) {
                return Ok(None);
            }
        }
    }

    fn hear(&mut self, worker: WorkerId, heard: Heard) -> Result<(), ExecuteError> {
        let slot = worker.slot;
        if !self.stations[slot].holds(worker) {
            tracing::debug!(?worker, ?heard, "heard of a worker that is gone");
            return Ok(());
        }
        match heard {
            Heard::Chatter(said) => Ok(self.stations[slot].log(&said)?),
            Heard::Line(Line::Breach(what)) => self.tell(Event::Breach(slot, what)),
            Heard::Line(Line::Event(event)) => self.hear_event(slot, *event),
            Heard::Ended => {
                let how = self.stations[slot].reap()?;
                self.memory.ended(slot);
                self.tell(Event::Ended(slot, how))
            }
        }
    }

    fn hear_event(&mut self, slot: SlotId, event: protocol::Event) -> Result<(), ExecuteError> {
        use protocol::Event as Said;
        let station = &mut self.stations[slot];
        match event {
            Said::Hello { version: protocol::VERSION, device } => {
                tracing::info!("{}: worker on {device}", self.slots[slot].name);
                station.device = device;
                self.tell(Event::Ready(slot))
            }
            Said::Hello { version, .. } => {
                let known = protocol::VERSION;
                let what = format!(
                    "speaks version {version} of the protocol, and this sweep speaks {known}: \
                     build both from the same source"
                );
                self.tell(Event::Breach(slot, what))
            }
            Said::Progress { stage, done, total } => {
                self.progress.activity(slot, &Activity::Stage { stage, done, total });
                self.tell(Event::News(slot))
            }
            Said::Started { run } => self.tell(Event::Started(slot, run)),
            Said::Finished { run, outcome } => self.tell(Event::Finished(slot, run, outcome)),
            Said::Idle => self.tell(Event::Idle(slot)),
            Said::Broken { cause } => self.tell(Event::Broken(slot, cause)),
            Said::Epoch { run, metrics } => match station.attempt(run) {
                Some(attempt) => {
                    attempt.epoch(metrics);
                    if let Some(work) = self.work.get(&run) {
                        let (label, epochs) =
                            (&work.label, work.config.train().map(|train| train.epochs));
                        tracing::debug!("{label}: epoch {} has ended", metrics.epoch);
                        let (metrics, others) = (&metrics, station.under_way() - 1);
                        let epoch = Activity::Epoch { label, others, epochs, metrics };
                        self.progress.activity(slot, &epoch);
                    }
                    self.tell(Event::News(slot))
                }
                None => self.not_under_way(slot, run),
            },
            Said::Note { run, text } => match station.attempt(run) {
                Some(attempt) => {
                    attempt.log(format!("{text}\n").as_bytes())?;
                    if let Some(work) = self.work.get(&run) {
                        tracing::info!("{}: {text}", work.label);
                    }
                    self.tell(Event::News(slot))
                }
                None => self.not_under_way(slot, run),
            },
            Said::Features { .. }
            | Said::NoFeatures { .. }
            | Said::Layers { .. }
            | Said::NoLayers { .. } => {
                let what = "spoke of features or layers that nobody asked for".to_owned();
                self.tell(Event::Breach(slot, what))
            }
            Said::Predictions { run, predictions } => match station.attempt(run) {
                Some(attempt) => {
                    attempt.predictions(predictions);
                    self.tell(Event::News(slot))
                }
                None => self.not_under_way(slot, run),
            },
        }
    }

    fn not_under_way(&mut self, slot: SlotId, run: RunId) -> Result<(), ExecuteError> {
        self.tell(Event::Breach(slot, format!("spoke of run {run}, which is not under way")))
    }

    /// Tells the scheduler, and does what it says; what comes of that is told too.
    fn tell(&mut self, event: Event) -> Result<(), ExecuteError> {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            tracing::trace!(?event);
            for effect in self.scheduler.handle(self.began.elapsed(), event) {
                tracing::trace!(?effect);
                events.extend(self.obey(effect)?);
            }
        }
        Ok(())
    }

    fn obey(&mut self, effect: Effect) -> Result<Vec<Event>, ExecuteError> {
        match effect {
            Effect::Start(slot) if self.is_occupied(slot) => {
                return Ok(vec![Event::Occupied(slot)]);
            }
            Effect::Start(slot) => {
                self.progress.activity(slot, &Activity::Starting);
                self.starts += 1;
                let id = WorkerId { slot, start: self.starts };
                match Worker::start(self.program, id, &self.slots[slot], &self.to) {
                    Ok(worker) => self.stations[slot].take(worker),
                    Err(error) => {
                        let how = format!("does not start: {error}");
                        return Ok(vec![Event::Ended(slot, how)]);
                    }
                }
            }
            Effect::Assign(slot, runs) => return self.assign(slot, &runs),
            Effect::Open(slot, run) => {
                if let Some(work) = self.work.get(&run) {
                    let others = self.stations[slot].under_way();
                    self.progress.activity(slot, &Activity::Run { label: &work.label, others });
                    self.stations[slot].open(self.store.begin(work)?)?;
                }
            }
            Effect::Store(slot, run, outcome) => self.store_outcome(slot, run, outcome)?,
            Effect::Again(slot, run, again) => self.leave_open(slot, run, &again)?,
            Effect::Stop(slot) => self.stations[slot].send(Order::Stop),
            Effect::Retire(slot) => {
                self.progress.activity(slot, &Activity::Nothing);
                self.stations[slot].retire(Instant::now());
            }
            Effect::Terminate(slot) => {
                self.progress.activity(slot, &Activity::Nothing);
                self.stations[slot].terminate(Instant::now());
            }
            Effect::Kill(slot) => {
                self.progress.activity(slot, &Activity::Nothing);
                self.stations[slot].kill();
            }
            Effect::SetAside(device, why) => {
                self.progress.set_aside(&self.devices[device], &why);
            }
            Effect::Enough(failures) => self.enough = Some(failures),
            Effect::GiveUp(why) => self.gave_up = Some(why),
            Effect::Look(runs) => return self.look(&runs),
        }
        Ok(Vec::new())
    }

    /// Whether the slot's GPU is in somebody's hands, so that it has to wait.
    fn is_occupied(&mut self, slot: SlotId) -> bool {
        let spec = &self.slots[slot];
        let mut others = self.stations.iter().zip(self.slots).enumerate();
        let alone = !others.any(|(at, (station, other))| {
            at != slot && other.gpu == spec.gpu && station.has_worker()
        });
        match self.memory.may_start(slot, spec, alone) {
            May::Start => return false,
            May::Wait(None) => {}
            May::Wait(Some(why)) => self.progress.say(&why),
        }
        true
    }

    /// Hands a slot's worker those of `runs` that nobody else is at or has done.
    fn assign(&mut self, slot: SlotId, runs: &[RunId]) -> Result<Vec<Event>, ExecuteError> {
        let works: Vec<&Work> = runs.iter().filter_map(|run| self.work.get(run)).collect();
        let whose = self.claims.take(&works, &self.slots[slot].name)?;
        let (mut ours, mut events) = (Vec::new(), Vec::new());
        for (work, whose) in works.into_iter().zip(whose) {
            match whose {
                Whose::Ours | Whose::Nobody => ours.push(work.order()),
                Whose::Theirs(process) => {
                    if self.met.insert(process.clone()) {
                        self.progress.say(&format!("{process} works here too: runs are shared"));
                    }
                    events.push(Event::Taken(slot, work.run()));
                }
                Whose::Done(result) => {
                    let label = elsewhere(work);
                    self.progress.ended(&label, &result.outcome, result.seconds);
                    events.push(Event::Done(slot, work.run()));
                }
            }
        }
        if !ours.is_empty() {
            let cache = std::path::absolute(self.store.dir().cache()).map_err(WriteError::from)?;
            let checkpoints = self.checkpoints.clone();
            let bundle = Bundle { cache, fuse: self.fuse, checkpoints, runs: ours };
            self.stations[slot].send(Order::Bundle(bundle));
        }
        Ok(events)
    }

    /// What became of runs that others were at.
    fn look(&mut self, runs: &[RunId]) -> Result<Vec<Event>, ExecuteError> {
        let works: Vec<&Work> = runs.iter().filter_map(|run| self.work.get(run)).collect();
        let whose = self.claims.look(&works)?;
        let mut events = Vec::new();
        for (work, whose) in works.into_iter().zip(whose) {
            match whose {
                Whose::Theirs(_) => {}
                Whose::Ours | Whose::Nobody => events.push(Event::Free(work.run())),
                Whose::Done(result) => {
                    let label = elsewhere(work);
                    self.progress.ended(&label, &result.outcome, result.seconds);
                    events.push(Event::DoneElsewhere(work.run()));
                }
            }
        }
        Ok(events)
    }

    fn store_outcome(
        &mut self,
        slot: SlotId,
        run: RunId,
        outcome: Outcome,
    ) -> Result<(), ExecuteError> {
        let Some(work) = self.work.get(&run) else { return Ok(()) };
        self.interrupted |= !outcome.is_settled();
        if !self.claims.holds(run) {
            self.stations[slot].close(run);
            self.progress.say(&format!("{}: another process has taken it over", work.label));
            return Ok(());
        }
        let station = &mut self.stations[slot];
        let attempt = match station.close(run) {
            Some(attempt) => attempt,
            // The worker was lost before it said that it begins.
            None => self.store.begin(work)?,
        };
        let (ended, log) = attempt.end(&station.device, outcome)?;
        station.last_log = Some(log);
        self.ended.push(ended);
        Ok(())
    }

    /// Stores the runs that have ended, lets go of them and tells of them.
    fn commit(&mut self) -> Result<(), ExecuteError> {
        if self.ended.is_empty() {
            return Ok(());
        }
        for result in self.store.commit(std::mem::take(&mut self.ended))? {
            self.claims.release(result.run);
            if let Some(work) = self.work.get(&result.run) {
                self.progress.ended(&work.label, &result.outcome, result.seconds);
            }
        }
        Ok(())
    }

    /// An attempt came to nothing.
    fn leave_open(&mut self, slot: SlotId, run: RunId, again: &Again) -> Result<(), ExecuteError> {
        let Some(work) = self.work.get(&run) else { return Ok(()) };
        let next = match again.next {
            Next::In(wait) if wait.is_zero() => "it is tried again".to_owned(),
            Next::In(wait) => format!("it is tried again in {}", humantime::format_duration(wait)),
            Next::Alone => "it is tried again with the device for itself".to_owned(),
            Next::WithNextSweep => "it stays open".to_owned(),
        };
        if let Some(attempt) = self.stations[slot].close(run) {
            attempt.leave(&format!("{}\n{next}", again.cause))?;
        }
        let cause = again.cause.lines().next().unwrap_or_default();
        let cause = cause.trim_end_matches("; its last words:");
        self.progress.say(&format!("{}: {cause}; {next}", work.label));
        Ok(())
    }
}

/// How a run is called that another orchestrator has ended.
fn elsewhere(work: &Work) -> String {
    format!("{} (elsewhere)", work.label)
}
