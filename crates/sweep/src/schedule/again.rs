//! Runs that are tried again: later, by themselves, and rather on another device.

use std::time::Duration;

use spec::run_id::RunId;

use super::DeviceId;
use super::policy::Time;
use super::waiting::Prefix;

/// So long a run waits for another device than the one where it failed: that may have been the run's own
/// doing, and the others may be busy for hours.
const CHOOSY: Duration = Duration::from_secs(60);

/// A run that is to be tried again.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Retry {
    pub(super) run: RunId,
    pub(super) prefix: Prefix,
    /// Not before.
    pub(super) at: Time,
    /// Whether it wants the device for itself, because its memory did not do for several.
    pub(super) alone: bool,
    /// Where it failed: another device comes first, if one gets free soon.
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

    /// When the next one's time comes, or it takes any device.
    pub(super) fn due(&self, now: Time) -> Option<Time> {
        let times = self.0.iter().flat_map(|retry| [retry.at, retry.anywhere_at()]);
        times.filter(|&at| at > now).min()
    }
}

impl Retry {
    fn fits(&self, place: Place, now: Time) -> bool {
        self.at <= now
            && (place.empty || !self.alone)
            && (place.only || place.device != self.failed_on || self.anywhere_at() <= now)
    }

    /// When the device does not matter any more; what ran out of memory beside others failed for these.
    fn anywhere_at(&self) -> Time {
        if self.alone { self.at } else { self.at + CHOOSY }
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
        assert_eq!(again.due(at(5)), Some(at(65)), "then any device does");
        assert_eq!(again.ready(place(0, false, false), at(64)), 0);
        assert_eq!(again.ready(place(0, false, false), at(65)), 1);
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
