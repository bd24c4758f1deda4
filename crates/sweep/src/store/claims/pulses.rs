//! Whether orchestrators go on that cannot be seen, by the file that each of them renews.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use crate::process::Process;

/// One that cannot be seen and has said nothing for so long is gone.
const DEAD_AFTER: Duration = Duration::from_secs(10 * 60);

/// When the files of orchestrators that cannot be seen were last renewed, and when we saw that first.
#[derive(Debug, Default)]
pub(super) struct Pulses(HashMap<Process, (SystemTime, Instant)>);

impl Pulses {
    /// Whether the one whose file was renewed at `beat`, by whatever clock, goes on as far as we know.
    pub(super) fn is_alive(&mut self, process: &Process, beat: SystemTime, now: Instant) -> bool {
        let (last, since) = self.0.entry(process.clone()).or_insert((beat, now));
        if *last != beat {
            (*last, *since) = (beat, now);
        }
        now.duration_since(*since) < DEAD_AFTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cannot_be_seen_is_gone_when_nothing_was_renewed_for_long() {
        let now = Instant::now();
        let process = Process { host: "far".to_owned(), ..Process::this().unwrap() };
        let mut pulses = Pulses::default();
        let beat = |number| SystemTime::UNIX_EPOCH + Duration::from_secs(number);
        let mut alive = |number, minutes: u64| {
            pulses.is_alive(&process, beat(number), now + Duration::from_secs(60 * minutes))
        };
        // Their clock may say what it wants.
        assert!(alive(900, 0) && alive(900, 9) && alive(100, 9) && alive(100, 18));
        assert!(!alive(100, 19));
        assert!(alive(101, 20));
    }
}
