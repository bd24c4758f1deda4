//! Ctrl-C and its like, for a whole command: as messages while runs are under way, and remembered between.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::{flag, iterator, low_level};

use super::Message;

/// What asks a command to end. Once armed it stays so: a handler that were taken away would leave the signal
/// without any effect.
#[derive(Debug, Default)]
pub struct Signals {
    armed: OnceLock<()>,
    /// Set as soon as a signal comes, and cleared when runs that were under way have ended.
    came: Arc<AtomicBool>,
    /// Whether that was ever so.
    came_before: AtomicBool,
    ears: Arc<Mutex<Ears>>,
}

/// Who hears of a signal.
#[derive(Debug, Default)]
struct Ears {
    /// Whoever runs something.
    to: Option<SyncSender<Message>>,
    /// How many came while there was nobody.
    unheard: u32,
    /// Whether nobody looks or listens any more.
    is_over: bool,
}

/// What is to be done about a signal.
#[derive(Debug)]
enum Heard {
    /// Somebody is to be told.
    By(SyncSender<Message>),
    /// Whoever looks next ends the command.
    Kept,
    /// Nobody will look, or has since one came before: what the system does with it.
    Again,
}

impl Ears {
    fn hear(&mut self) -> Heard {
        match &self.to {
            Some(to) => Heard::By(to.clone()),
            None => self.keep(),
        }
    }

    fn keep(&mut self) -> Heard {
        self.unheard += 1;
        if self.unheard > 1 || self.is_over { Heard::Again } else { Heard::Kept }
    }
}

/// Signals arrive as messages until this is dropped.
#[derive(Debug)]
pub(super) struct Listening<'a>(&'a Signals);

impl Signals {
    /// From now on signals are caught: before that they end us as they end any program.
    ///
    /// # Errors
    /// When they cannot be caught.
    pub fn arm(&self) -> io::Result<()> {
        if self.armed.set(()).is_err() {
            return Ok(());
        }
        // SIGUSR1 is what batch systems are asked to send ahead of a time limit.
        let mut caught = vec![SIGINT, SIGTERM, SIGUSR1];
        // Under nohup the end of the terminal is not to be the end of the sweep.
        if !is_ignored(SIGHUP, &fs_err::read_to_string("/proc/self/status")?) {
            caught.push(SIGHUP);
        }
        // The flag by the handler itself: whoever looks right after the signal sees it.
        for signal in &caught {
            flag::register(*signal, Arc::clone(&self.came))?;
        }
        let mut signals = iterator::Signals::new(caught)?;
        let ears = Arc::clone(&self.ears);
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                let heard = lock(&ears).hear();
                let heard = match heard {
                    // Whoever does not listen any more has not heard it.
                    Heard::By(to) if to.send(Message::Signal).is_err() => lock(&ears).keep(),
                    heard => heard,
                };
                if matches!(heard, Heard::Again) {
                    let _ = low_level::emulate_default_handler(signal);
                }
            }
        })?;
        Ok(())
    }

    /// Whether a signal came, at any time.
    pub fn came(&self) -> bool {
        self.came.load(Ordering::SeqCst) || self.came_before.load(Ordering::SeqCst)
    }

    /// Whether one came since the last runs have ended.
    pub fn came_since_the_runs(&self) -> bool {
        self.came.load(Ordering::SeqCst)
    }

    /// From now on the next one ends us as it ends any program: nothing is left that must be stopped with care.
    pub fn hand_back(&self) {
        lock(&self.ears).is_over = true;
    }

    /// Sends them to `to`, and first what came while nobody listened. There is room for one.
    pub(super) fn tell(&self, to: SyncSender<Message>) -> Listening<'_> {
        let mut ears = lock(&self.ears);
        if std::mem::take(&mut ears.unheard) > 0 {
            let _ = to.try_send(Message::Signal);
        }
        ears.to = Some(to);
        Listening(self)
    }
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        let mut ears = lock(&self.0.ears);
        ears.to = None;
        if self.0.came.swap(false, Ordering::SeqCst) {
            self.0.came_before.store(true, Ordering::SeqCst);
        }
    }
}

/// Whoever panics leaves nothing half-changed in it.
fn lock(ears: &Mutex<Ears>) -> MutexGuard<'_, Ears> {
    ears.lock().unwrap_or_else(PoisonError::into_inner)
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
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_signal_that_nobody_hears_is_kept_for_whoever_listens_next_and_a_second_one_ends_us() {
        let signals = Signals::default();
        assert!(matches!(lock(&signals.ears).hear(), Heard::Kept));
        let (to, inbox) = mpsc::sync_channel(1);
        let listening = signals.tell(to);
        assert!(matches!(inbox.try_recv(), Ok(Message::Signal)));
        assert!(inbox.try_recv().is_err(), "once");
        assert!(matches!(lock(&signals.ears).hear(), Heard::By(_)));
        drop(listening);
        assert!(matches!(lock(&signals.ears).hear(), Heard::Kept), "what was heard does not count");
        assert!(matches!(lock(&signals.ears).hear(), Heard::Again));
    }

    #[test]
    fn when_everything_is_over_the_first_one_ends_us() {
        let signals = Signals::default();
        let (to, _inbox) = mpsc::sync_channel(1);
        let listening = signals.tell(to);
        signals.hand_back();
        assert!(matches!(lock(&signals.ears).hear(), Heard::By(_)), "somebody still listens");
        drop(listening);
        assert!(matches!(lock(&signals.ears).hear(), Heard::Again));
    }

    #[test]
    fn what_comes_while_runs_are_under_way_is_known_afterwards_too() {
        let signals = Signals::default();
        let (to, _inbox) = mpsc::sync_channel(1);
        let listening = signals.tell(to);
        assert!(!signals.came());
        signals.came.store(true, Ordering::SeqCst);
        drop(listening);
        assert!(signals.came() && !signals.came_since_the_runs());
        signals.came.store(true, Ordering::SeqCst);
        assert!(signals.came_since_the_runs());
    }

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
