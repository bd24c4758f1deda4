//! What a slot's worker is doing.

use std::collections::VecDeque;

use spec::run_id::RunId;

use super::Prefix;
use super::policy::Time;

/// A share of a device, by what the worker in it is doing.
#[derive(Debug, Clone, PartialEq)]
pub enum Slot {
    /// No worker.
    Vacant,
    /// A worker that has not said hello yet.
    Starting {
        /// Since when.
        since: Time,
    },
    /// A worker without work.
    Idle {
        /// What it computed last, and need not compute again.
        warm: Option<Prefix>,
    },
    /// A worker with a bundle.
    Busy {
        /// What the bundle's runs share.
        prefix: Prefix,
        /// The runs not yet ended.
        hand: Hand,
        /// When it last said anything.
        heard: Time,
        /// Whether its run has the device for itself.
        alone: bool,
    },
    /// A worker that was told to end, or killed; nothing that it says counts.
    Leaving,
}

impl Slot {
    /// Begins `run`, if it is to come here.
    pub(super) fn start(&mut self, run: RunId, now: Time) -> bool {
        self.hand().is_some_and(|hand| hand.start(run, now))
    }

    /// Ends `run`, if it is under way here.
    pub(super) fn finish(&mut self, run: RunId) -> bool {
        self.hand().is_some_and(|hand| hand.finish(run))
    }

    pub(super) fn hand(&mut self) -> Option<&mut Hand> {
        match self {
            Self::Busy { hand, .. } => Some(hand),
            _ => None,
        }
    }

    /// The worker said something.
    pub(super) fn hear(&mut self, now: Time) {
        if let Self::Busy { heard, .. } = self {
            *heard = now;
        }
    }

    pub(super) fn is_vacant(&self) -> bool {
        matches!(self, Self::Vacant)
    }

    /// How many runs it has in hand.
    pub(super) fn runs(&self) -> usize {
        match self {
            Self::Busy { hand, .. } => hand.begun.len() + hand.rest.len(),
            _ => 0,
        }
    }

    /// What the slot's bundle shares, if it has one.
    pub(super) fn prefix(&self) -> Option<Prefix> {
        match self {
            Self::Busy { prefix, .. } => Some(*prefix),
            _ => None,
        }
    }
}

/// The part of a bundle that has not ended: the runs under way, then those to come.
#[derive(Debug, Clone, PartialEq)]
pub struct Hand {
    /// In the order in which they began.
    begun: Vec<Begun>,
    rest: VecDeque<RunId>,
}

/// A run under way.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Begun {
    run: RunId,
    since: Time,
    /// Whether the memory of its device was for others too, at any time since.
    shared: bool,
}

impl Hand {
    pub(super) fn new(runs: Vec<RunId>) -> Self {
        Self { begun: Vec::new(), rest: runs.into() }
    }

    /// Begins `run`, if it is still to come: beside others and in any order, since a worker may train
    /// several together.
    fn start(&mut self, run: RunId, now: Time) -> bool {
        let place = self.rest.iter().position(|&waiting| waiting == run);
        let run = place.and_then(|place| self.rest.remove(place));
        self.begun.extend(run.map(|run| Begun { run, since: now, shared: false }));
        place.is_some()
    }

    /// Ends `run`, if it is under way.
    fn finish(&mut self, run: RunId) -> bool {
        let place = self.begun.iter().position(|begun| begun.run == run);
        place.map(|place| self.begun.remove(place)).is_some()
    }

    /// Takes `run` out, if it is still to come.
    pub(super) fn give_back(&mut self, run: RunId) -> bool {
        let place = self.rest.iter().position(|&waiting| waiting == run);
        place.and_then(|place| self.rest.remove(place)).is_some()
    }

    pub(super) fn is_between_runs(&self) -> bool {
        self.begun.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.begun.is_empty() && self.rest.is_empty()
    }

    /// The runs under way.
    pub fn begun(&self) -> impl Iterator<Item = RunId> {
        self.begun.iter().map(|begun| begun.run)
    }

    /// When the run began that is under way for longest.
    pub(super) fn oldest(&self) -> Option<Time> {
        self.begun.iter().map(|begun| begun.since).min()
    }

    /// Whether `run`, under way, ever had company.
    pub(super) fn was_shared(&self, run: RunId) -> bool {
        self.begun.iter().any(|begun| begun.run == run && begun.shared)
    }

    /// Runs under way have company from here on: what they trained beside counts when their memory runs out,
    /// also when it has ended by then.
    pub(super) fn share(&mut self) {
        self.begun.iter_mut().for_each(|begun| begun.shared = true);
    }

    /// The runs to come.
    pub fn rest(&self) -> &VecDeque<RunId> {
        &self.rest
    }

    /// The runs under way with their beginnings, and those to come.
    pub(super) fn into_parts(self) -> (Vec<(RunId, Time)>, VecDeque<RunId>) {
        (self.begun.into_iter().map(|begun| (begun.run, begun.since)).collect(), self.rest)
    }

    /// All runs, those under way first.
    pub(super) fn into_runs(self) -> VecDeque<RunId> {
        self.begun.into_iter().map(|begun| begun.run).chain(self.rest).collect()
    }
}
