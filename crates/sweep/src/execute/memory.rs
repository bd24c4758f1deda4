//! Whether a GPU has the memory for a worker to start.
//!
//! A driver takes a while to give back what a killed process had, and a process that hangs in the driver
//! keeps it: whoever starts at once finds too little and passes for one that needs too much.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use bytesize::ByteSize;

use crate::devices::SlotSpec;
use crate::gpus::FreeMemory;
use crate::schedule::SlotId;

/// How long to wait for what a worker had that has ended.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is known of the memory of slots' GPUs.
#[derive(Debug)]
pub(super) struct Memory<'a> {
    asked: Option<&'a FreeMemory>,
    /// Slots that wait for memory.
    waiting: HashSet<SlotId>,
    workers: HashMap<SlotId, Before>,
}

/// The worker that a slot had last.
#[derive(Debug, Clone, Copy)]
struct Before {
    /// What was free when it started, where it had the GPU for itself.
    free: Option<u64>,
    ended: Option<Instant>,
}

/// Whether a worker may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum May {
    Start,
    /// It has to wait, and is the first to hear that it has to: why.
    Wait(Option<String>),
}

impl<'a> Memory<'a> {
    pub(super) fn new(asked: Option<&'a FreeMemory>) -> Self {
        Self { asked, waiting: HashSet::new(), workers: HashMap::new() }
    }

    /// Whether a worker may start in `slot`. `alone`: none of ours is on its GPU.
    pub(super) fn may_start(&mut self, slot: SlotId, spec: &SlotSpec, alone: bool) -> May {
        let (Some(memory), Some(gpu)) = (self.asked, &spec.gpu) else { return May::Start };
        // One that answers no more is for the worker to find out.
        let Ok(free) = memory.driver.free(gpu) else { return May::Start };
        let now = Instant::now();
        let before = self.workers.get(&slot).copied().filter(|_| alone);
        let [shown, wanted] = [free, memory.wanted].map(ByteSize::b);
        let why = if free < memory.wanted {
            format!("{} has {shown} free: waiting for {wanted}", spec.home)
        } else if let Some(kept) = before.and_then(|before| before.keeps(free, now)) {
            let kept = ByteSize::b(kept);
            format!("{} has not given back {kept} of its last worker: waiting", spec.home)
        } else {
            self.waiting.remove(&slot);
            let free = alone.then_some(free);
            self.workers.insert(slot, Before { free, ended: None });
            return May::Start;
        };
        May::Wait(self.waiting.insert(slot).then_some(why))
    }

    /// The worker of `slot` has ended.
    pub(super) fn ended(&mut self, slot: SlotId) {
        if let Some(before) = self.workers.get_mut(&slot) {
            before.ended = Some(Instant::now());
        }
    }
}

impl Before {
    /// Bytes that it seems to keep at `now`, when so many are free. After a while it is somebody else who
    /// has them.
    fn keeps(self, free: u64, now: Instant) -> Option<u64> {
        let recent = self.ended.is_some_and(|ended| now.duration_since(ended) < PATIENCE);
        self.free?.checked_sub(free).filter(|&kept| kept > 0 && recent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_had_is_waited_for_but_not_for_ever() {
        let now = Instant::now();
        let before = |free, ended| Before { free, ended };
        let later = now + PATIENCE;
        for (before, free, at, expected) in [
            (before(Some(80), Some(now)), 70, now, Some(10)),
            (before(Some(80), Some(now)), 70, later, None),
            (before(Some(80), Some(now)), 80, now, None),
            (before(Some(80), Some(now)), 81, now, None),
            (before(None, Some(now)), 70, now, None),
            (before(Some(80), None), 70, now, None),
        ] {
            assert_eq!(before.keeps(free, at), expected, "{before:?} {free}");
        }
    }
}
