//! Whether a device can be trusted: the circuit breaker.

use spec::run_id::RunId;

use super::policy::Time;

/// What is known of a device from what became of the runs and workers on it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Health {
    /// Whether a worker ever came up on it.
    proven: bool,
    /// What went wrong since something last went well: different runs, or a worker alone.
    in_a_row: Vec<Option<RunId>>,
    /// No worker starts on it before.
    pub(super) not_before: Time,
    /// Set aside for the rest of the sweep.
    pub(super) is_out: bool,
}

impl Health {
    /// A worker came up.
    pub(super) fn came_up(&mut self) {
        self.proven = true;
    }

    /// A run went as runs go.
    pub(super) fn worked(&mut self) {
        self.in_a_row.clear();
    }

    /// Something went wrong, with `run` or without any; the same run over and over counts once.
    /// Whether that was one too many: with `limit` of them in a row, or before any worker came up.
    pub(super) fn failed(&mut self, run: Option<RunId>, limit: usize) -> bool {
        if run.is_none() || !self.in_a_row.contains(&run) {
            self.in_a_row.push(run);
        }
        !self.is_out && (!self.proven || self.in_a_row.len() >= limit)
    }

    /// How many things went wrong in a row.
    pub(super) fn failures(&self) -> u32 {
        u32::try_from(self.in_a_row.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: u8) -> Option<RunId> {
        Some(RunId::from_digest([number; 32]))
    }

    #[test]
    fn different_failures_in_a_row_are_too_many_and_one_run_is_no_row() {
        let mut health = Health::default();
        health.came_up();
        let three =
            |health: &mut Health, runs: [Option<RunId>; 3]| runs.map(|run| health.failed(run, 3));
        assert_eq!(three(&mut health, [run(1), run(1), run(1)]), [false; 3]);
        assert_eq!(three(&mut health, [run(2), run(1), run(2)]), [false; 3]);
        health.worked();
        assert_eq!(three(&mut health, [run(3), run(4), run(5)]), [false, false, true]);
        health.worked();
        assert_eq!(three(&mut health, [None; 3]), [false, false, true]);
    }

    #[test]
    fn a_device_on_which_no_worker_ever_came_up_is_given_up_at_once() {
        assert!(Health::default().failed(None, 100));
    }
}
