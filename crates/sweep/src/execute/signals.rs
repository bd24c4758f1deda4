//! Ctrl-C and its like, as messages.

use std::io;
use std::sync::mpsc::SyncSender;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::iterator::{self, Handle};

use super::Message;

/// Signals arrive as messages until this is closed.
pub(super) struct Signals(Handle);

impl Signals {
    pub(super) fn listen(to: SyncSender<Message>) -> io::Result<Self> {
        // SIGUSR1 is what batch systems are asked to send ahead of a time limit.
        let mut caught = vec![SIGINT, SIGTERM, SIGUSR1];
        // Under nohup the end of the terminal is not to be the end of the sweep.
        if !is_ignored(SIGHUP, &fs_err::read_to_string("/proc/self/status")?) {
            caught.push(SIGHUP);
        }
        let mut signals = iterator::Signals::new(caught)?;
        let handle = signals.handle();
        thread::spawn(move || {
            for _ in signals.forever() {
                if to.send(Message::Signal).is_err() {
                    return;
                }
            }
        });
        Ok(Self(handle))
    }

    pub(super) fn close(self) {
        self.0.close();
    }
}

/// Whether a process ignores `signal`, by its `/proc/PID/status`: `SigIgn` is a mask in hexadecimal,
/// signal 1 its lowest bit. See proc_pid_status(5).
fn is_ignored(signal: i32, status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_says_what_is_ignored() {
        let table = [
            ("SigIgn:\t0000000000001001\n", true),
            ("SigBlk:\t0000000000000001\nSigIgn:\t0000000000001000\n", false),
            ("SigIgn:\t0000000000000002\n", false),
            ("", false),
        ];
        for (status, expected) in table {
            assert_eq!(is_ignored(SIGHUP, status), expected, "{status:?}");
        }
    }
}
