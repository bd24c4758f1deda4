//! What becomes of attempts and runs that have ended.

use spec::record::Outcome;
use spec::run_id::RunId;

use super::{ExecuteError, Execution};
use crate::schedule::{Again, Next, SlotId};

impl Execution<'_> {
    pub(super) fn store_outcome(
        &mut self,
        slot: SlotId,
        run: RunId,
        outcome: Outcome,
    ) -> Result<(), ExecuteError> {
        let Some(work) = self.work.get(&run) else { return Ok(()) };
        self.interrupted |= !outcome.is_settled();
        if !self.claims.holds(run) {
            self.stations[slot].close(run);
            self.progress.say(&format!("{}: another process has taken it over", work.label));
            return Ok(());
        }
        let station = &mut self.stations[slot];
        let attempt = match station.close(run) {
            Some(attempt) => attempt,
            // The worker was lost before it said that it begins.
            None => self.store.begin(work)?,
        };
        let (ended, log) = attempt.end(&station.device, outcome)?;
        station.last_log = Some(log);
        self.ended.push(ended);
        Ok(())
    }

    /// Stores the runs that have ended, lets go of them and tells of them.
    pub(super) fn commit(&mut self) -> Result<(), ExecuteError> {
        if self.ended.is_empty() {
            return Ok(());
        }
        for result in self.store.commit(std::mem::take(&mut self.ended))? {
            self.claims.release(result.run);
            if let Some(work) = self.work.get(&result.run) {
                self.progress.ended(&work.label, &result.outcome, result.seconds);
            }
        }
        Ok(())
    }

    /// An attempt came to nothing.
    pub(super) fn leave_open(
        &mut self,
        slot: SlotId,
        run: RunId,
        again: &Again,
    ) -> Result<(), ExecuteError> {
        let Some(work) = self.work.get(&run) else { return Ok(()) };
        let next = match again.next {
            Next::In(wait) if wait.is_zero() => "it is tried again".to_owned(),
            Next::In(wait) => format!("it is tried again in {}", humantime::format_duration(wait)),
            Next::Alone => "it is tried again with the device for itself".to_owned(),
            Next::WithNextSweep => "it stays open".to_owned(),
        };
        if let Some(attempt) = self.stations[slot].close(run) {
            attempt.leave(&format!("{}\n{next}", again.cause))?;
        }
        let cause = again.cause.lines().next().unwrap_or_default();
        let cause = cause.trim_end_matches("; its last words:");
        self.progress.say(&format!("{}: {cause}; {next}", work.label));
        Ok(())
    }
}
