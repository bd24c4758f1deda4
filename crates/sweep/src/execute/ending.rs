//! What becomes of attempts and runs that have ended.

use spec::record::Outcome;
use spec::run_id::RunId;

use super::{ExecuteError, Execution, MOST_ENDED, Message};
use crate::planning::Work;
use crate::schedule::{Again, Next, SlotId};
use crate::store::Committed;

impl Execution<'_> {
    pub(super) fn store_outcome(
        &mut self,
        slot: SlotId,
        run: RunId,
        outcome: Outcome,
    ) -> Result<(), ExecuteError> {
        let Some(work) = self.work.get(&run) else { return Ok(()) };
        self.interrupted |= !outcome.is_settled();
        if !self.claims.may_end(work)? {
            self.stations[slot].close(run);
            self.progress.say(&taken_over(work));
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

    /// Stores the runs that have ended, without waiting for it unless there are too many.
    pub(super) fn store_ended(&mut self) -> Result<(), ExecuteError> {
        let stored = match self.ended.len() < MOST_ENDED {
            true => self.storing.poll(),
            false => self.storing.wait(),
        };
        if let Some(stored) = stored {
            self.are_stored(stored)?;
        }
        if !self.storing.is_busy() && !self.ended.is_empty() {
            self.begin_to_store()?;
        }
        Ok(())
    }

    /// Stores all runs that have ended, and waits for it; after an error the others all the same.
    pub(super) fn store_all(&mut self) -> Result<(), ExecuteError> {
        let mut all = Ok(());
        loop {
            if let Some(stored) = self.storing.wait() {
                all = all.and(self.are_stored(stored));
            }
            if self.ended.is_empty() {
                return all;
            }
            self.begin_to_store()?;
        }
    }

    fn begin_to_store(&mut self) -> Result<(), ExecuteError> {
        let to = self.to.clone();
        // Where it is full, nobody sleeps.
        let wake = move || _ = to.try_send(Message::Stored);
        Ok(self.storing.begin(std::mem::take(&mut self.ended), wake)?)
    }

    /// Lets go of runs that are safe now, and tells of them.
    fn are_stored(&mut self, committed: Committed) -> Result<(), ExecuteError> {
        let Committed { stored, lost, error } = committed;
        self.claims.release(stored.iter().map(|result| result.run).chain(lost.iter().copied()));
        for result in &stored {
            if let Some(work) = self.work.get(&result.run) {
                self.progress.ended(&work.label, &result.outcome, result.seconds);
            }
        }
        for work in lost.iter().filter_map(|run| self.work.get(run)) {
            self.progress.say(&taken_over(work));
        }
        error.map_or(Ok(()), |error| Err(error.into()))
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
            Next::Alone => "it is tried again with no other run on its device".to_owned(),
            Next::WithNextSweep | Next::WhenMended => "it stays open".to_owned(),
        };
        if let Some(attempt) = self.stations[slot].close(run) {
            attempt.leave(&format!("{}\n{next}", again.cause))?;
        }
        if again.next == Next::WhenMended {
            // The end of the sweep, which follows, says why.
            self.progress.say(&format!("{}: {next}", work.label));
            return Ok(());
        }
        let cause = again.cause.lines().next().unwrap_or_default();
        let cause = cause.trim_end_matches("; its last words:").trim_end_matches(':');
        self.progress.say(&format!("{}: {cause}; {next}", work.label));
        Ok(())
    }
}

fn taken_over(work: &Work) -> String {
    format!("{}: another process has taken it over", work.label)
}
