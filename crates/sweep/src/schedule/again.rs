//! Runs that are tried again: later, by themselves, and rather on another device.

use spec::run_id::RunId;

use super::DeviceId;
use super::policy::Time;
use super::waiting::Prefix;

/// A run that is to be tried again.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Retry {
    pub(super) run: RunId,
    pub(super) prefix: Prefix,
    /// Not before.
    pub(super) at: Time,
    /// Whether it wants the device for itself, because its memory did not do for several.
    pub(super) alone: bool,
    /// Where it failed: another device comes first, if there is one.
    pub(super) failed_on: DeviceId,
}

/// Where a slot stands that asks for a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) device: DeviceId,
    /// Whether no other worker is on the device.
    pub(super) empty: bool,
    /// Whether this is the only device left.
    pub(super) only: bool,
}

/// Runs that are tried again.
#[derive(Debug, Clone, Default)]
pub(super) struct Again(Vec<Retry>);

impl Again {
    pub(super) fn push(&mut self, retry: Retry) {
        self.0.push(retry);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many runs a worker in `place` could take at `now`.
    pub(super) fn ready(&self, place: Place, now: Time) -> usize {
        self.0.iter().filter(|retry| retry.fits(place, now)).count()
    }

    /// The run that a worker in `place` takes at `now`: the one whose time came first.
    pub(super) fn take(&mut self, place: Place, now: Time) -> Option<Retry> {
        let fitting = self.0.iter().enumerate().filter(|(_, retry)| retry.fits(place, now));
        let (first, _) = fitting.min_by_key(|(_, retry)| (retry.alone, retry.at))?;
        Some(self.0.remove(first))
    }

    /// When the next one's time comes.
    pub(super) fn due(&self, now: Time) -> Option<Time> {
        self.0.iter().map(|retry| retry.at).filter(|&at| at > now).min()
    }
}

impl Retry {
    fn fits(&self, place: Place, now: Time) -> bool {
        self.at <= now
            && (place.empty || !self.alone)
            && (place.only || self.alone || place.device != self.failed_on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_run_is_tried_again_when_and_where_it_may() {
        let retry = |number: u8, seconds, alone| Retry {
            run: RunId::from_digest([number; 32]),
            prefix: Prefix::from_digest([0; 32], false),
            at: Duration::from_secs(seconds),
            alone,
            failed_on: 0,
        };
        let mut again = Again::default();
        again.push(retry(1, 5, false));
        again.push(retry(2, 0, true));
        let at = Duration::from_secs;
        let place = |device, empty, only| Place { device, empty, only };
        assert_eq!(again.due(at(0)), Some(at(5)));
        assert_eq!(again.take(place(0, false, true), at(4)), None);
        assert_eq!(again.ready(place(0, false, false), at(5)), 0, "another device comes first");
        assert_eq!(again.ready(place(1, false, false), at(5)), 1);
        assert_eq!(again.ready(place(1, true, false), at(5)), 2);
        let first = again.take(place(0, true, true), at(5)).unwrap();
        assert!(!first.alone, "who needs no empty device comes first");
        assert_eq!(again.take(place(0, false, true), at(9)), None);
        assert!(again.take(place(0, true, true), at(9)).is_some_and(|retry| retry.alone));
        assert!(again.is_empty());
    }
}
