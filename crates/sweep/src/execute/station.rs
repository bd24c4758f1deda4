//! One slot's worker, as the loop knows it.

use std::collections::VecDeque;
use std::io::Write as _;
use std::time::{Duration, Instant};

use spec::config::Config;
use spec::protocol::Order;
use spec::run_id::RunId;

use crate::store::{Attempt, WriteError};
use crate::worker::{Ending, Worker, WorkerId};

/// So much of what a worker says on stderr is kept for the day it fails.
const LAST_WORDS: usize = 4096;
/// So many lines of it are shown.
const LAST_LINES: usize = 10;

/// How long a worker may take to end when it was let go, and again when it was asked to.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a worker may take to end when it was killed: one with much of a GPU's memory takes a while, and one that
/// the kernel holds in a call to a driver or a file system ends with that call, if it ever does.
const LAST_BREATH: Duration = Duration::from_secs(60);

/// What comes next for a worker that was let go and does not end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Push {
    Terminate,
    Kill,
    GiveUp,
}

/// When it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Leaving {
    next: Push,
    at: Instant,
}

impl Leaving {
    fn since(now: Instant) -> Self {
        Self { next: Push::Terminate, at: now + PATIENCE }
    }

    /// What is due at `now`, and what is left to do after it.
    fn push(self, now: Instant) -> (Option<Push>, Option<Self>) {
        match self.next {
            _ if now < self.at => (None, Some(self)),
            Push::Terminate => {
                (Some(Push::Terminate), Some(Self { next: Push::Kill, at: now + PATIENCE }))
            }
            Push::Kill => (Some(Push::Kill), Some(Self::killed(now))),
            Push::GiveUp => (Some(Push::GiveUp), None),
        }
    }

    fn killed(now: Instant) -> Self {
        Self { next: Push::GiveUp, at: now + LAST_BREATH }
    }
}

/// A slot's worker, the attempts under way, and what was said since there was none.
#[derive(Debug, Default)]
pub(super) struct Station {
    worker: Option<Worker>,
    leaving: Option<Leaving>,
    attempts: Vec<Attempt>,
    last_words: VecDeque<u8>,
    /// Of the last run that ended.
    pub(super) last_log: Option<fs_err::File>,
    /// In the worker's words.
    pub(super) device: String,
}

impl Station {
    pub(super) fn take(&mut self, worker: Worker) {
        self.worker = Some(worker);
        self.leaving = None;
        self.last_words.clear();
    }

    /// Whether `id` is the worker here, and not an earlier one.
    pub(super) fn holds(&self, id: WorkerId) -> bool {
        self.worker.as_ref().is_some_and(|worker| worker.id() == id)
    }

    /// Whether there is a worker, in whatever state.
    pub(super) fn has_worker(&self) -> bool {
        self.worker.is_some()
    }

    pub(super) fn send(&self, order: Order<Config>) {
        if let Some(worker) = &self.worker {
            worker.send(order);
        }
    }

    pub(super) fn retire(&mut self, now: Instant) {
        if let Some(worker) = &mut self.worker {
            worker.retire();
            self.leaving = Some(Leaving::since(now));
        }
    }

    /// Ends a worker that hears nothing.
    pub(super) fn terminate(&mut self, now: Instant) {
        self.retire(now);
        if let Some(worker) = &self.worker {
            worker.terminate();
            self.leaving = Some(Leaving { next: Push::Kill, at: now + PATIENCE });
        }
    }

    /// When a worker that was let go has to be hurried.
    pub(super) fn due(&self) -> Option<Instant> {
        self.leaving.map(|leaving| leaving.at)
    }

    /// Hurries a worker that was let go long ago. One that nothing can end is to pass for ended: which.
    pub(super) fn hurry(&mut self, now: Instant) -> Option<WorkerId> {
        let (Some(worker), Some(leaving)) = (&mut self.worker, self.leaving) else { return None };
        let (push, next) = leaving.push(now);
        self.leaving = next;
        match push? {
            Push::Terminate => worker.terminate(),
            Push::Kill => worker.kill(),
            Push::GiveUp => {
                worker.give_up();
                return Some(worker.id());
            }
        }
        None
    }

    pub(super) fn kill(&mut self, now: Instant) {
        if let Some(worker) = &self.worker {
            worker.kill();
            self.leaving = Some(Leaving::killed(now));
        }
    }

    /// How the worker ended, with its last words: the rest of "the worker ...".
    ///
    /// What it said since its last run goes to that run's log.
    pub(super) fn reap(&mut self) -> Result<Ending, WriteError> {
        if let Some(mut log) = self.last_log.take().filter(|_| self.attempts.is_empty()) {
            log.write_all(self.last_words.make_contiguous())?;
        }
        self.leaving = None;
        let Ending { how, was_asked, is_stuck } = match self.worker.take() {
            Some(worker) => worker.reap(),
            None => Ending { how: "is gone".to_owned(), was_asked: false, is_stuck: false },
        };
        let said = String::from_utf8_lossy(self.last_words.make_contiguous()).into_owned();
        let lines: Vec<&str> = said.trim_end().lines().collect();
        let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
        let how = if last.is_empty() { how } else { format!("{how}; its last words:\n{last}") };
        Ok(Ending { how, was_asked, is_stuck })
    }

    /// Takes down what the worker says on stderr: in the log of every attempt under way, since nobody
    /// knows which of them it is about, and in mind until all of them have ended.
    pub(super) fn log(&mut self, said: &[u8]) -> Result<(), WriteError> {
        self.last_words.extend(said);
        let surplus = self.last_words.len().saturating_sub(LAST_WORDS);
        self.last_words.drain(..surplus);
        self.attempts.iter_mut().try_for_each(|attempt| attempt.log(said))
    }

    /// Opens the log. What was said since no run was under way belongs to this one too: stderr and
    /// stdout are two pipes, and what comes first out of them need not have gone in first.
    pub(super) fn open(&mut self, mut attempt: Attempt) -> Result<(), WriteError> {
        attempt.log(self.last_words.make_contiguous())?;
        self.attempts.push(attempt);
        Ok(())
    }

    /// How many attempts are under way.
    pub(super) fn under_way(&self) -> usize {
        self.attempts.len()
    }

    /// The attempt at `run`, if it is under way.
    pub(super) fn attempt(&mut self, run: RunId) -> Option<&mut Attempt> {
        self.attempts.iter_mut().find(|attempt| attempt.run() == run)
    }

    /// Takes the attempt at `run` out, to be ended.
    pub(super) fn close(&mut self, run: RunId) -> Option<Attempt> {
        let place = self.attempts.iter().position(|attempt| attempt.run() == run)?;
        let attempt = self.attempts.remove(place);
        if self.attempts.is_empty() {
            self.last_words.clear();
        }
        Some(attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_leave_is_asked_and_then_killed_and_then_given_up() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut leaving = Some(Leaving::since(start));
        let mut pushed = Vec::new();
        for second in 0..100 {
            let Some(now) = leaving else { break };
            let (push, next) = now.push(after(second));
            pushed.extend(push.map(|push| (second, push)));
            leaving = next;
        }
        assert_eq!(pushed, [(10, Push::Terminate), (20, Push::Kill), (80, Push::GiveUp)]);
        assert_eq!(leaving, None);
    }
}
