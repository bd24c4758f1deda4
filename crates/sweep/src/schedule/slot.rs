//! What a slot's worker is doing.

use std::collections::VecDeque;

use spec::run_id::RunId;

use super::Prefix;

/// A share of a device, by what the worker in it is doing.
#[derive(Debug, Clone, PartialEq)]
pub enum Slot {
    /// No worker.
    Vacant,
    /// A worker that has not said hello yet.
    Starting,
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
    },
    /// A worker that was told to end, or killed; nothing that it says counts.
    Leaving,
}

impl Slot {
    /// Begins `run`, if it is its turn here.
    pub(super) fn start(&mut self, run: RunId) -> bool {
        self.hand().is_some_and(|hand| hand.start(run))
    }

    /// Ends `run`, if it is under way here.
    pub(super) fn finish(&mut self, run: RunId) -> bool {
        self.hand().is_some_and(|hand| hand.finish(run))
    }

    fn hand(&mut self) -> Option<&mut Hand> {
        match self {
            Self::Busy { hand, .. } => Some(hand),
            _ => None,
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

/// The part of a bundle that has not ended: the run under way, then those to come.
#[derive(Debug, Clone, PartialEq)]
pub struct Hand {
    current: Option<RunId>,
    rest: VecDeque<RunId>,
}

impl Hand {
    pub(super) fn new(runs: Vec<RunId>) -> Self {
        Self { current: None, rest: runs.into() }
    }

    /// Begins `run`, if it is its turn.
    fn start(&mut self, run: RunId) -> bool {
        let turn = self.current.is_none() && self.rest.front() == Some(&run);
        if turn {
            self.current = self.rest.pop_front();
        }
        turn
    }

    /// Ends `run`, if it is under way.
    fn finish(&mut self, run: RunId) -> bool {
        self.current.take_if(|current| *current == run).is_some()
    }

    pub(super) fn is_between_runs(&self) -> bool {
        self.current.is_none()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.current.is_none() && self.rest.is_empty()
    }

    /// The runs not ended, the one under way first.
    pub fn into_runs(self) -> VecDeque<RunId> {
        let mut runs = self.rest;
        if let Some(current) = self.current {
            runs.push_front(current);
        }
        runs
    }
}
