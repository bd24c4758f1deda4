//! Doing what the scheduler decides: the one loop in which everything meets.
//!
//! It runs on the caller's thread, which alone starts workers and writes results; other threads only
//! send it messages.

mod ending;
mod error;
mod hear;
mod memory;
mod obey;
mod signals;
mod station;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::{Duration, Instant};

use spec::protocol::Checkpoints;
use spec::run_id::RunId;

use crate::devices::{self, SlotSpec};
use crate::gpus::FreeMemory;
use crate::planning::Work;
use crate::process::Process;
use crate::progress::Progress;
use crate::schedule::{Event, GiveUp, Policy, Scheduler};
use crate::store::{Claims, Ended, Store, Storing, WriteError};
use crate::worker::{Heard, Program, WorkerId, end_all, end_strays};
use memory::Memory;
use station::Station;

pub use error::ExecuteError;
pub use signals::Signals;

/// At most so many runs are stored together, and as many wait for it: each holds half a dozen files open.
const MOST_ENDED: usize = 48;

/// How long to wait for workers that were killed.
const LAST_BREATH: Duration = Duration::from_secs(5);

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

/// What came of a call of [`execute`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Executed {
    /// How it ended.
    pub end: End,
    /// Runs that failed here; those that somebody else has ended are not among them.
    pub failures: u32,
}

/// What the loop waits for.
enum Message {
    Worker(WorkerId, Heard),
    /// Ctrl-C or its like.
    Signal,
    /// Time is over.
    Late,
    /// Runs are stored, or cannot be.
    Stored,
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
    (signals, progress): (&Signals, &mut Progress),
) -> Result<Executed, ExecuteError> {
    // Bounded: a worker that talks faster than we listen waits.
    let (to, inbox) = mpsc::sync_channel(1024);
    signals.arm().map_err(ExecuteError::Signals)?;
    let listening = signals.tell(to.clone());
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
        storing: store.storing(&claims)?,
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
    let stored = execution.store_all();
    let end = end.and_then(|end| stored.map(|()| end));
    execution.end_workers(&inbox);
    execution.progress.clear();
    drop(listening);
    end.map(|end| Executed { end, failures: execution.scheduler.failures() })
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
    storing: Storing,
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
                Some(Message::Stored) => {}
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
            if let Some(stuck) = self.stations.iter_mut().find_map(|station| station.hurry(now)) {
                return Ok(Some((stuck, Heard::Ended).into()));
            }
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
            self.store_ended()?;
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

    /// Kills the workers that are left, and all that they have started, before others may have what they hold.
    fn end_workers(&mut self, inbox: &Receiver<Message>) {
        if !self.stations.iter().any(Station::has_worker) {
            return;
        }
        let now = Instant::now();
        self.stations.iter_mut().for_each(|station| station.kill(now));
        let until = Instant::now() + LAST_BREATH;
        while self.stations.iter().any(Station::has_worker) {
            match inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Message::Worker(worker, Heard::Ended)) => {
                    let station = &mut self.stations[worker.slot];
                    if station.holds(worker) {
                        // How it ended is known: by us.
                        let _ = station.reap();
                    }
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        end_all(self.claims.process());
    }
}
