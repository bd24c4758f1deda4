//! Whether a GPU has the memory for a worker to start.
//!
//! A driver takes a while to give back what a killed process had, and a process that hangs in the driver
//! keeps it: whoever starts at once finds too little and passes for one that needs too much.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use bytesize::ByteSize;

use crate::devices::SlotSpec;
use crate::gpus::{FreeMemory, GpuProcess};
use crate::schedule::SlotId;

/// How long to wait for what a worker had that has ended.
const PATIENCE: Duration = Duration::from_secs(60);

/// Less than that need not be a worker's: a display or a driver takes and gives back as much.
const SLACK: u64 = 256 << 20;

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
    /// The least that it had not given back whenever somebody looked within our patience; none where that was all.
    kept: Option<u64>,
}

/// Whether a worker may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum May {
    /// With a remark, if there is one.
    Start(Option<String>),
    /// It has to wait, and is the first to hear that it has to: why.
    Wait(Option<String>),
}

impl<'a> Memory<'a> {
    pub(super) fn new(asked: Option<&'a FreeMemory>) -> Self {
        Self { asked, waiting: HashSet::new(), workers: HashMap::new() }
    }

    /// Whether a worker may start in `slot`. `alone`: none of ours is on its GPU.
    pub(super) fn may_start(&mut self, slot: SlotId, spec: &SlotSpec, alone: bool) -> May {
        let (Some(memory), Some(gpu)) = (self.asked, &spec.gpu) else { return May::Start(None) };
        // One that answers no more is for the worker to find out.
        let Ok(free) = memory.driver.free(gpu) else { return May::Start(None) };
        let now = Instant::now();
        let before = self.workers.get_mut(&slot).filter(|_| alone);
        let kept = before.map_or(Kept::Nothing, |before| before.keeps(free, now));
        let [shown, wanted] = [free, memory.wanted].map(ByteSize::b);
        let home = &spec.home;
        let why = match kept {
            _ if free < memory.wanted => {
                format!("{home} has {shown} free: waiting for {wanted}")
            }
            Kept::ForNow(kept) => {
                let kept = ByteSize::b(kept);
                format!("{home} has not given back {kept} of its last worker: waiting")
            }
            Kept::Nothing | Kept::ForGood(_) => {
                self.waiting.remove(&slot);
                let free = alone.then_some(free);
                self.workers.insert(slot, Before { free, ended: None, kept: None });
                return May::Start(kept.remark(home));
            }
        };
        May::Wait(self.waiting.insert(slot).then_some(why))
    }

    /// Who else is on the GPU of a slot whose run had too little memory, for people.
    pub(super) fn others(&self, spec: &SlotSpec, is_ours: impl Fn(u32) -> bool) -> Option<String> {
        let (memory, gpu) = (self.asked?, spec.gpu.as_ref()?);
        let processes = memory.driver.processes(gpu).ok()?;
        let others = others(&processes, is_ours);
        (!others.is_empty()).then(|| format!("{} was on {} too", words(&others), spec.home))
    }

    /// The worker of `slot` has ended.
    pub(super) fn ended(&mut self, slot: SlotId) {
        if let Some(before) = self.workers.get_mut(&slot) {
            before.ended = Some(Instant::now());
        }
    }
}

/// Bytes of what a worker had that are not free again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Nothing,
    /// They may come back.
    ForNow(u64),
    /// They did not: it is somebody else who has them, or a process that hangs in the driver.
    ForGood(u64),
}

impl Kept {
    fn remark(self, home: &str) -> Option<String> {
        let Self::ForGood(kept) = self else { return None };
        let (kept, limit) = (ByteSize::b(kept), humantime::format_duration(PATIENCE));
        Some(format!(
            "{home} has not given back {kept} of its last worker within {limit}: the next one starts with what \
             is left"
        ))
    }
}

impl Before {
    /// What it seems to keep at `now`, when so many bytes are free. Where nobody looked while it had time to give them
    /// back, anybody may have taken them since.
    fn keeps(&mut self, free: u64, now: Instant) -> Kept {
        let kept = self.free.map_or(0, |before| before.saturating_sub(free));
        match self.ended {
            Some(ended) if now.duration_since(ended) < PATIENCE => {
                let least = self.kept.map_or(kept, |least| least.min(kept));
                self.kept = (kept > SLACK).then_some(least);
                if kept > SLACK { Kept::ForNow(kept) } else { Kept::Nothing }
            }
            Some(_) if kept > SLACK => {
                self.kept.map_or(Kept::Nothing, |least| Kept::ForGood(least.min(kept)))
            }
            _ => Kept::Nothing,
        }
    }
}

/// Whoever computes on a GPU besides our own workers, with more than a monitor of the driver's needs, when its memory
/// ran out; none where nobody is seen, or where the driver tells the numbers of another container's processes, ours among them.
fn others(processes: &[GpuProcess], is_ours: impl Fn(u32) -> bool) -> Vec<&GpuProcess> {
    let (ours, others): (Vec<_>, Vec<_>) =
        processes.iter().partition(|process| is_ours(process.pid));
    let counts = |other: &&GpuProcess| other.memory.is_none_or(|bytes| bytes > SLACK);
    if ours.is_empty() { Vec::new() } else { others.into_iter().filter(counts).collect() }
}

/// `process 42 with 76.0 GiB, process 43`
fn words(processes: &[&GpuProcess]) -> String {
    let words = processes.iter().map(|GpuProcess { pid, memory }| {
        let memory = memory.map_or(String::new(), |bytes| format!(" with {}", ByteSize::b(bytes)));
        format!("process {pid}{memory}")
    });
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_had_is_waited_for_but_not_for_ever() {
        const GIB: u64 = 1 << 30;
        let now = Instant::now();
        let before = |free, ended| Before { free, ended, kept: Some(10 * GIB) };
        let later = now + PATIENCE;
        for (mut before, free, at, expected) in [
            (before(Some(80 * GIB), Some(now)), 70 * GIB, now, Kept::ForNow(10 * GIB)),
            (before(Some(80 * GIB), Some(now)), 70 * GIB, later, Kept::ForGood(10 * GIB)),
            (before(Some(80 * GIB), Some(now)), 80 * GIB - SLACK, now, Kept::Nothing),
            (before(Some(80 * GIB), Some(now)), 80 * GIB, now, Kept::Nothing),
            (before(Some(80 * GIB), Some(now)), 81 * GIB, now, Kept::Nothing),
            (before(None, Some(now)), 70 * GIB, now, Kept::Nothing),
            (before(Some(80 * GIB), None), 70 * GIB, now, Kept::Nothing),
        ] {
            assert_eq!(before.keeps(free, at), expected, "{before:?} {free}");
        }
        let mut unseen = Before { kept: None, ..before(Some(80 * GIB), Some(now)) };
        assert_eq!(unseen.keeps(70 * GIB, later), Kept::Nothing, "anybody's");
        assert_eq!(unseen.keeps(70 * GIB, now), Kept::ForNow(10 * GIB));
        assert_eq!(unseen.keeps(60 * GIB, later), Kept::ForGood(10 * GIB), "the rest is anybody's");
        assert_eq!(unseen.keeps(80 * GIB, now), Kept::Nothing);
        assert_eq!(unseen.keeps(70 * GIB, later), Kept::Nothing, "it had given back all");
        assert_eq!(Kept::ForNow(GIB).remark("cuda 1"), None);
        assert_eq!(
            Kept::ForGood(10 * GIB).remark("cuda 1").unwrap(),
            "cuda 1 has not given back 10.0 GiB of its last worker within 1m: the next one starts with what is \
             left"
        );
    }

    #[test]
    fn others_are_told_apart_where_our_own_are_seen() {
        let process = |pid| GpuProcess { pid, memory: (pid == 7).then_some(1 << 30) };
        let monitor = GpuProcess { pid: 6, memory: Some(12 << 20) };
        let all = [monitor, process(7), process(8), process(9)];
        let seen = |ours: &[u32]| words(&others(&all, |pid| ours.contains(&pid)));
        assert_eq!(seen(&[8]), "process 7 with 1.0 GiB, process 9");
        assert_eq!(seen(&[7, 8, 9]), "");
        assert_eq!(seen(&[1]), "", "numbers of another container");
    }
}
