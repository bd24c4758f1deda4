//! What the scheduler is told, and what it says is to be done.

use std::time::Duration;

use spec::record::Outcome;
use spec::run_id::RunId;

/// A slot's place in the list of slots.
pub type SlotId = usize;

/// A device's place in the order in which slots name them.
pub type DeviceId = usize;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Begin, with every slot vacant.
    Begin,
    /// Time has passed.
    Tick,
    /// No worker can start in this slot yet: somebody else has its device.
    Occupied(SlotId),
    /// The worker in this slot is up and speaks our protocol.
    Ready(SlotId),
    /// The worker said something that changes nothing here, and so is alive.
    News(SlotId),
    /// Others that are not ours are on the slot's device, and have of its memory.
    Shared(SlotId),
    /// The worker began a run.
    Started(SlotId, RunId),
    /// The worker ended a run.
    Finished(SlotId, RunId, Outcome),
    /// The worker is done with its bundle.
    Idle(SlotId),
    /// What runs need is broken, and the worker says what.
    Broken(SlotId, String),
    /// The worker did something that no worker may: the text is the rest of "the worker ...".
    Breach(SlotId, String),
    /// The worker's process has ended and all that it said has been heard: the text is the
    /// rest of "the worker ...".
    Ended(SlotId, String),
    /// The same, where the process was asked to end by a signal, and not by us: nothing failed.
    Dismissed(SlotId, String),
    /// Another orchestrator is at this run, which was assigned to this slot.
    Taken(SlotId, RunId),
    /// Another orchestrator has ended this run, which was assigned to this slot.
    Done(SlotId, RunId),
    /// Another orchestrator has ended this run.
    DoneElsewhere(RunId),
    /// Another orchestrator has let go of this run without an end.
    Free(RunId),
    /// End soon: nothing new, and workers stop what they do.
    Stop,
    /// The sweep's time is over: as [`Event::Stop`], and workers that do not stop soon are ended.
    OutOfTime,
    /// End now: workers are killed and nothing more is stored.
    Abort,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Start a worker in this vacant slot.
    Start(SlotId),
    /// Hand these runs to the slot's idle worker.
    Assign(SlotId, Vec<RunId>),
    /// The run has really begun: open its attempt.
    Open(SlotId, RunId),
    /// The run has ended: store how.
    Store(SlotId, RunId, Outcome),
    /// The attempt at the run came to nothing, and the run stays open.
    Again(SlotId, RunId, Again),
    /// Ask the worker to stop its bundle.
    Stop(SlotId),
    /// Nothing is left to do for this worker: let it end by itself.
    Retire(SlotId),
    /// The worker hears nothing: end it as the system does.
    Terminate(SlotId),
    /// Kill the worker.
    Kill(SlotId),
    /// No worker starts on this device any more; say why.
    SetAside(DeviceId, String),
    /// The sweep cannot go on.
    GiveUp(GiveUp),
    /// So many runs failed that the sweep ends, as it was told to.
    Enough(u32),
    /// See what became of these runs, which other orchestrators are at.
    Look(Vec<RunId>),
}

/// Why an attempt came to nothing, and what comes of the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Again {
    /// Why, for a person.
    pub cause: String,
    /// When the next attempt may begin.
    pub next: Next,
}

/// When the next attempt at a run may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// After this time.
    In(Duration),
    /// When its device is empty.
    Alone,
    /// With the next sweep.
    WithNextSweep,
    /// With the next sweep, when what is broken is mended: the cause is that of the sweep's end.
    WhenMended,
}

/// Why a sweep cannot go on.
#[derive(Debug, Clone, PartialEq)]
pub enum GiveUp {
    /// No worker comes up: the rest of "the worker ...".
    NoWorker(String),
    /// Every device is set aside; which was the last one, and why.
    NoDevice(DeviceId, String),
    /// What runs need is broken, in the worker's words.
    Broken(String),
}
