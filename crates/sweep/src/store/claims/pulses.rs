//! Whether orchestrators go on, as far as the system knows, and by the file that each of them renews where it
//! does not.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use spec::paths::ResultsDir;

use crate::process::{Fate, Process, uptime};

/// One that cannot be seen and has said nothing for so long, by our own clock, is gone.
const DEAD_AFTER: Duration = Duration::from_secs(10 * 60);

/// One that cannot be seen and whose file is so old is not worth a word. A machine that slept for a night is as silent:
/// its claims stand, and it says that it is there before it makes new ones.
const SILENT_AFTER: Duration = Duration::from_secs(60 * 60);

/// When the files of orchestrators that cannot be seen were last renewed, and when we saw that first.
#[derive(Debug, Default)]
pub(super) struct Pulses(HashMap<Process, (SystemTime, Instant)>);

impl Pulses {
    /// Whether `other` goes on as far as `this` knows; `now` by the file system's clock.
    pub(super) fn is_alive(
        &mut self,
        this: &Process,
        other: &Process,
        dir: &ResultsDir,
        now: impl FnOnce() -> io::Result<SystemTime>,
    ) -> io::Result<bool> {
        match fate(this, other, &dir.orchestrators().join(other.file_name()), now)? {
            Known::Alive => Ok(true),
            Known::Gone => Ok(false),
            Known::Renewed(beat) => Ok(self.is_heard(other, beat, Instant::now())),
        }
    }

    /// Whether the one whose file was renewed at `beat`, by whatever clock, is heard of.
    fn is_heard(&mut self, process: &Process, beat: SystemTime, now: Instant) -> bool {
        let (last, since) = self.0.entry(process.clone()).or_insert((beat, now));
        if *last != beat {
            (*last, *since) = (beat, now);
        }
        now.duration_since(*since) < DEAD_AFTER
    }
}

/// What is known of an orchestrator at one look.
enum Known {
    Alive,
    Gone,
    /// It cannot be seen; its file was renewed then.
    Renewed(SystemTime),
}

/// When a file was changed, by the file system's clock.
pub(super) fn modified(file: &Path) -> io::Result<SystemTime> {
    fs_err::metadata(file)?.modified()
}

fn fate(
    this: &Process,
    other: &Process,
    presence: &Path,
    now: impl FnOnce() -> io::Result<SystemTime>,
) -> io::Result<Known> {
    let seen = this.sees(other);
    match seen {
        Fate::Alive => return Ok(Known::Alive),
        Fate::Gone => return Ok(Known::Gone),
        Fate::Before | Fate::Unseen => {}
    }
    match modified(presence) {
        // Two machines that were set up from one image have the same names, but what was renewed since this one was
        // started is the other's. Both times are of the same clock, whatever it says.
        Ok(beat)
            if seen == Fate::Before
                && now()?.duration_since(beat).is_ok_and(|age| age > uptime()) =>
        {
            Ok(Known::Gone)
        }
        Ok(beat) => Ok(Known::Renewed(beat)),
        // Whoever goes takes the file along.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Known::Gone),
        Err(error) => Err(error),
    }
}

/// Whether `other` is gone for sure.
pub(super) fn has_gone(this: &Process, other: &Process, dir: &ResultsDir, now: SystemTime) -> bool {
    let known = fate(this, other, &dir.orchestrators().join(other.file_name()), || Ok(now));
    matches!(known, Ok(Known::Gone))
}

/// Whether `other`, whose file is `presence`, cannot be seen and was not heard of for long.
pub(super) fn is_silent(this: &Process, other: &Process, presence: &Path, now: SystemTime) -> bool {
    match fate(this, other, presence, || Ok(now)) {
        Ok(Known::Renewed(beat)) => {
            now.duration_since(beat).is_ok_and(|since| since > SILENT_AFTER)
        }
        _ => false,
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
            pulses.is_heard(&process, beat(number), now + Duration::from_secs(60 * minutes))
        };
        // Their clock may say what it wants.
        assert!(alive(900, 0) && alive(900, 9) && alive(100, 9) && alive(100, 18));
        assert!(!alive(100, 19));
        assert!(alive(101, 20));
    }
}
