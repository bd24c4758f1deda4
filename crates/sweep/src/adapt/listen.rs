//! Everything that the adapter hears, in one channel: orders, signals, and what the program says.

use std::io::{self, BufRead as _, BufReader, Read};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, WaitId, WaitIdOptions};
use signal_hook::consts::SIGTERM;
use signal_hook::iterator::Signals;
use spec::config::Config;
use spec::protocol::Order;

/// A longer line is heard in pieces.
const LONGEST: u64 = 1 << 20;

/// Something heard.
pub(super) enum Heard {
    Order(Order<Config>),
    NoMoreOrders,
    /// The adapter is to end.
    Terminate,
    /// Of the program started as the number says.
    Program(u64, FromProgram),
}

/// Something heard of a program.
pub(super) enum FromProgram {
    /// A line on stdout, without its end.
    Line(Vec<u8>),
    /// Something on stderr.
    Chatter(Vec<u8>),
    /// One of the two has ended.
    Closed,
    /// The process has ended and waits to be reaped.
    Ended,
}

/// The channel.
pub(super) struct Ears {
    to: Sender<Heard>,
    from: Receiver<Heard>,
}

impl Ears {
    pub(super) fn open() -> io::Result<Self> {
        let (to, from) = mpsc::channel();
        let mut signals = Signals::new([SIGTERM])?;
        let tell = to.clone();
        thread::spawn(move || {
            for _ in signals.forever() {
                let _ = tell.send(Heard::Terminate);
            }
        });
        let tell = to.clone();
        thread::spawn(move || {
            for line in io::stdin().lock().lines() {
                let order = line.ok().and_then(|line| serde_json::from_str(&line).ok());
                let Some(order) = order else { break };
                let _ = tell.send(Heard::Order(order));
            }
            let _ = tell.send(Heard::NoMoreOrders);
        });
        Ok(Self { to, from })
    }

    /// The next thing heard; none when there is nothing until `until`.
    pub(super) fn wait(&self, until: Option<Instant>) -> Option<Heard> {
        match until {
            None => self.from.recv().ok(),
            Some(until) => {
                self.from.recv_timeout(until.saturating_duration_since(Instant::now())).ok()
            }
        }
    }

    /// Listens to the program `number`.
    pub(super) fn follow(
        &self,
        number: u64,
        pid: Pid,
        stdout: impl Read + Send + 'static,
        stderr: impl Read + Send + 'static,
    ) {
        let to = self.to.clone();
        thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            let mut line = Vec::new();
            while stdout.by_ref().take(LONGEST).read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = line.strip_suffix(b"\n").unwrap_or(&line).to_vec();
                let _ = to.send(Heard::Program(number, FromProgram::Line(text)));
                line.clear();
            }
            let _ = to.send(Heard::Program(number, FromProgram::Closed));
        });
        let to = self.to.clone();
        thread::spawn(move || {
            let mut stderr = stderr;
            let mut buffer = vec![0; 1 << 14];
            while let Ok(length @ 1..) = stderr.read(&mut buffer) {
                let chatter = FromProgram::Chatter(buffer[..length].to_vec());
                let _ = to.send(Heard::Program(number, chatter));
            }
            let _ = to.send(Heard::Program(number, FromProgram::Closed));
        });
        let to = self.to.clone();
        thread::spawn(move || {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while let Err(rustix::io::Errno::INTR) =
                rustix::process::waitid(WaitId::Pid(pid), options)
            {}
            let _ = to.send(Heard::Program(number, FromProgram::Ended));
        });
    }
}
