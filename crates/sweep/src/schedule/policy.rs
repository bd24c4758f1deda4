//! When to lose patience, how often to try again, and what to keep.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use spec::sweep::{CheckpointEvery, Schedule};

/// A moment: how long after the sweep's beginning.
pub type Time = Duration;

/// No wait before another try is longer.
const LONGEST_DELAY: Duration = Duration::from_secs(10 * 60);

/// How long a worker may take to come up: to load CUDA over a slow network takes a minute.
const HELLO_LIMIT: Duration = Duration::from_secs(5 * 60);

/// How long a worker may take to stop at its next batch when the sweep's time is over.
const STOP_LIMIT: Duration = Duration::from_secs(5 * 60);

/// When to lose patience, how often to try again, and what to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Longest wall-clock time of a run; none: as long as it takes.
    pub time_limit: Option<Duration>,
    /// Longest time in which a worker with work says nothing; none: for ever.
    pub silence_limit: Option<Duration>,
    /// Longest time before a worker says that it is up.
    pub hello_limit: Duration,
    /// How often a run is tried again whose worker was lost.
    pub retries: u32,
    /// Wait before the first of these; each further one waits twice as long.
    pub retry_delay: Duration,
    /// So many different runs failing in a row set their device aside; at least 1.
    pub set_aside_after: usize,
    /// So many failed runs end the sweep.
    pub max_failures: Option<NonZeroU32>,
    /// How long a worker may take to stop when the sweep's time is over.
    pub stop_limit: Duration,
    /// How often the state of a long run is kept; none: never.
    pub checkpoint_every: Option<CheckpointEvery>,
    /// What is under way then stops, and nothing more begins; none: as long as it takes.
    pub until: Option<Instant>,
}

impl Policy {
    /// What a sweep file says, and the command line. The sweep's time begins now.
    pub fn new(schedule: &Schedule, max_failures: Option<NonZeroU32>) -> Self {
        Self {
            time_limit: schedule.time_limit,
            silence_limit: schedule.silence_limit,
            hello_limit: HELLO_LIMIT,
            retries: schedule.retries,
            retry_delay: schedule.retry_delay,
            set_aside_after: schedule.set_aside_after.get() as usize,
            max_failures,
            stop_limit: STOP_LIMIT,
            checkpoint_every: schedule.checkpoint_every,
            until: schedule.sweep_time_limit.and_then(|limit| Instant::now().checked_add(limit)),
        }
    }

    /// The same, until `moment` if that comes first.
    #[must_use]
    pub fn until(self, moment: Option<Instant>) -> Self {
        Self { until: self.until.into_iter().chain(moment).min(), ..self }
    }

    /// The wait before the next try, after `tries` of them (at least 1).
    pub(super) fn delay(&self, tries: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(tries.saturating_sub(1));
        self.retry_delay.saturating_mul(doubled).min(LONGEST_DELAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_twice_the_one_before_up_to_ten_minutes() {
        let policy = Policy::new(&Schedule::default(), None);
        let delays = [1, 2, 3, 7, 8, 40, u32::MAX].map(|tries| policy.delay(tries).as_secs());
        assert_eq!(delays, [5, 10, 20, 320, 600, 600, 600]);
    }
}
