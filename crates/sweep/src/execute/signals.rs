//! Ctrl-C and its like, as messages.

use std::io;
use std::sync::mpsc::SyncSender;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{self, Handle};

use super::Message;

/// Signals arrive as messages until this is closed.
pub(super) struct Signals(Handle);

impl Signals {
    pub(super) fn listen(to: SyncSender<Message>) -> io::Result<Self> {
        let mut signals = iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])?;
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
