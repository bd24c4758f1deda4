//! One worker process.
//!
//! Threads carry what it says to the one channel that the orchestrator listens to; nothing that a
//! worker does or fails to do can block the orchestrator. The last thing heard of a worker is
//! [`Heard::Ended`], after everything that it said.

use std::io::{self, BufReader, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use spec::config::Config;
use spec::protocol::{Event, Order};

use super::{Line, Lines, Program, orphans};
use crate::devices::SlotSpec;
use crate::open_files;
use crate::process::Process;
use crate::schedule::SlotId;

/// Something heard of a worker.
#[derive(Debug)]
pub enum Heard {
    /// A line on stdout.
    Line(Line),
    /// Something on stderr.
    Chatter(Vec<u8>),
    /// The process has ended; there is nothing more to hear.
    Ended,
}

/// A worker among all that one orchestrator starts. The slot alone would not do: what an earlier worker
/// left behind may hold its pipes, and must not speak for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerId {
    /// Where it works.
    pub slot: SlotId,
    /// Its number among all workers, in the order in which they started.
    pub start: u64,
}

/// How long a dead worker's orphans may keep its pipes open.
const ORPHANS: Duration = Duration::from_secs(2);

/// A worker process.
#[derive(Debug)]
pub struct Worker {
    id: WorkerId,
    child: Child,
    group: Pid,
    /// Dropped to close stdin.
    orders: Option<Sender<Order<Config>>>,
    is_given_up: bool,
}

impl Worker {
    /// Starts `program` as `id`; what is heard of it goes to `to`.
    ///
    /// Must be called from a thread that lives as long as the orchestrator: the kernel kills the
    /// worker when that thread ends.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn start<M: From<(WorkerId, Heard)> + Send + 'static>(
        program: &Program,
        id: WorkerId,
        spec: &SlotSpec,
        to: &SyncSender<M>,
    ) -> io::Result<Self> {
        let mark = orphans::mark(&Process::this()?, id.start);
        let mut command = program.command(spec.device, spec.threads);
        command
            .envs(spec.environment.iter().map(|(name, value)| (name, value)))
            .env(orphans::MARK, &mark)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: Ctrl-C in the terminal reaches us alone, and we can kill all of it.
            .process_group(0);
        die_with_us(&mut command);
        let mut child = command.spawn()?;
        let group = Pid::from_child(&child);
        let (done, readers_done) = mpsc::channel();
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            unreachable!("both are piped")
        };
        read(stdout, stderr, id, to, &done);
        wait_for_end(group, (id, mark), to.clone(), readers_done);
        let orders = child.stdin.take().map(write_orders);
        Ok(Self { id, child, group, orders, is_given_up: false })
    }

    /// Which one it is.
    pub fn id(&self) -> WorkerId {
        self.id
    }

    /// Sends an order. One that cannot arrive any more is lost: [`Heard::Ended`] will follow.
    pub fn send(&self, order: Order<Config>) {
        if let Some(orders) = &self.orders {
            let _ = orders.send(order);
        }
    }

    /// Closes stdin: the worker ends when it has done what it was told.
    pub fn retire(&mut self) {
        self.orders = None;
    }

    /// Asks the worker and what it has started to end, as the system does.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Kills the worker and what it has started.
    pub fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        // It is not reaped before `reap`, so the number cannot be another's yet. A group that is
        // gone already needs no signal.
        let _ = rustix::process::kill_process_group(self.group, signal);
    }

    /// From now on nobody waits for its end: it was killed long ago.
    pub fn give_up(&mut self) {
        self.is_given_up = true;
    }

    /// How it ended; to be called after [`Heard::Ended`], or [`Worker::give_up`].
    pub fn reap(mut self) -> Ending {
        let status = match self.is_given_up {
            true => self.child.try_wait(),
            false => self.child.wait().map(Some),
        };
        match status {
            Ok(Some(status)) => Ending {
                how: describe(status),
                was_asked: status.signal() == Some(signal_hook::consts::SIGTERM),
                is_stuck: false,
            },
            Ok(None) => {
                let how = format!(
                    "was killed and does not end: the kernel holds process {} in a call, as when a driver or \
                     a file system hangs",
                    self.child.id()
                );
                Ending { how, was_asked: false, is_stuck: true }
            }
            Err(error) => {
                let how = format!("ended, and nobody knows how: {error}");
                Ending { how, was_asked: false, is_stuck: false }
            }
        }
    }
}

/// How a worker ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The rest of "the worker ...".
    pub how: String,
    /// Whether its end was the signal by which processes are asked to end. No crash looks like that: a batch
    /// system that cancels a job, or an administrator, sends it, mostly to us as well.
    pub was_asked: bool,
    /// Whether it has not ended at all, and was given up.
    pub is_stuck: bool,
}

/// The rest of "the worker ...".
fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => {
            let name = signal_hook::low_level::signal_name(signal).unwrap_or("a signal");
            let hint = match signal {
                signal_hook::consts::SIGKILL => ", as the kernel does when memory runs out",
                _ => "",
            };
            format!("was killed by {name} ({signal}){hint}")
        }
        (None, None) => format!("ended: {status}"),
    }
}

/// Makes the kernel kill a process when the one that starts it dies, however it dies.
#[expect(unsafe_code, reason = "`pre_exec` is the only way to run code between fork and exec")]
pub(crate) fn die_with_us(command: &mut Command) {
    let us = rustix::process::getpid();
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. `prctl`, `setrlimit` and
    // `getppid` are plain system calls, made without allocation or locks; building an `io::Error` from a number
    // allocates nothing either.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            open_files::restore()?;
            // Whoever died before that call sends no signal any more.
            if rustix::process::getppid() != Some(us) {
                return Err(io::Error::from_raw_os_error(rustix::io::Errno::SRCH.raw_os_error()));
            }
            Ok(())
        });
    }
}

/// What a worker says on stderr, for two threads that read it.
#[derive(Debug)]
struct Chatter<M> {
    pipe: ChildStderr,
    /// Held from reading to sending, so that nothing is on its way when it is not.
    turn: Mutex<()>,
    id: WorkerId,
    to: SyncSender<M>,
}

/// So much of it is read in one go.
const PIECE: usize = 1 << 14;

/// What fits into a pipe, and more: whoever says more than that says it afterwards.
const IN_A_PIPE: usize = (1 << 20) / PIECE;

impl<M: From<(WorkerId, Heard)>> Chatter<M> {
    /// Sends on what is there; whether more may come.
    fn forward(&self, buffer: &mut [u8]) -> bool {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..IN_A_PIPE {
            if !self.has_something(Some(&Timespec::default())) {
                return true;
            }
            match rustix::io::read(&self.pipe, &mut *buffer) {
                Err(rustix::io::Errno::INTR) => {}
                Ok(length @ 1..) => {
                    let said = Heard::Chatter(buffer[..length].to_vec());
                    if self.to.send((self.id, said).into()).is_err() {
                        return false;
                    }
                }
                _ => return false,
            }
        }
        true
    }

    /// Waits until something is there, or the end.
    fn has_something(&self, limit: Option<&Timespec>) -> bool {
        poll(&mut [PollFd::new(&self.pipe, PollFlags::IN)], limit).is_ok_and(|ready| ready > 0)
    }
}

/// Reads both pipes, each on a thread of its own.
///
/// What a worker said on stderr before it says that a run has ended is told before that: it belongs to the
/// run's log, which is closed then.
fn read<M: From<(WorkerId, Heard)> + Send + 'static>(
    stdout: ChildStdout,
    stderr: ChildStderr,
    id: WorkerId,
    to: &SyncSender<M>,
    done: &Sender<()>,
) {
    let chatter = Arc::new(Chatter { pipe: stderr, turn: Mutex::new(()), id, to: to.clone() });
    let beside = Arc::clone(&chatter);
    let finished = done.clone();
    thread::spawn(move || {
        let mut buffer = vec![0; PIECE];
        while beside.forward(&mut buffer) {
            beside.has_something(None);
        }
        let _ = finished.send(());
    });
    let (to, done) = (to.clone(), done.clone());
    thread::spawn(move || {
        let mut stdout = BufReader::with_capacity(1 << 16, stdout);
        let mut buffer = vec![0; PIECE];
        for line in Lines::new(&mut stdout) {
            if matches!(&line, Line::Event(event) if matches!(**event, Event::Finished { .. })) {
                chatter.forward(&mut buffer);
            }
            if to.send((id, Heard::Line(line)).into()).is_err() {
                return;
            }
        }
        // After a breach the rest is drained, so that the worker is not stuck in a write for good.
        let _ = io::copy(&mut stdout, &mut io::sink());
        let _ = done.send(());
    });
}

/// Says [`Heard::Ended`] once the process has ended and both readers are done. The process stays a
/// zombie until [`Worker::reap`].
fn wait_for_end<M: From<(WorkerId, Heard)> + Send + 'static>(
    pid: Pid,
    (id, mark): (WorkerId, String),
    to: SyncSender<M>,
    readers_done: Receiver<()>,
) {
    thread::spawn(move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while let Err(rustix::io::Errno::INTR) = rustix::process::waitid(WaitId::Pid(pid), options)
        {
        }
        // What it started may not outlive it; that also closes the pipes.
        let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        match orphans::end(&mark) {
            0 => {}
            left => tracing::info!("{left} processes that a worker left behind were killed"),
        }
        for _ in 0..2 {
            if readers_done.recv_timeout(ORPHANS).is_err() {
                break;
            }
        }
        let _ = to.send((id, Heard::Ended).into());
    });
}

fn write_orders(mut stdin: ChildStdin) -> Sender<Order<Config>> {
    let (orders, inbox) = mpsc::channel::<Order<Config>>();
    thread::spawn(move || {
        for order in inbox {
            let Ok(mut line) = serde_json::to_vec(&order) else { continue };
            line.push(b'\n');
            if stdin.write_all(&line).and_then(|()| stdin.flush()).is_err() {
                return;
            }
        }
    });
    orders
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Told(Heard);

    impl From<(WorkerId, Heard)> for Told {
        fn from((_, heard): (WorkerId, Heard)) -> Self {
            Self(heard)
        }
    }

    #[test]
    fn what_was_said_before_a_runs_end_is_heard_before_it() {
        let run = "01".repeat(32);
        let end = format!(r#"{{"type":"finished","run":"{run}","outcome":"failed","cause":"x"}}"#);
        for _ in 0..100 {
            let mut child = Command::new("sh")
                .args(["-c", "head -c 60000 /dev/zero >&2; echo \"$0\"; echo after >&2", &end])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let (to, heard) = mpsc::sync_channel::<Told>(1024);
            let (done, _) = mpsc::channel();
            let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
            read(stdout, stderr, WorkerId { slot: 0, start: 1 }, &to, &done);
            drop(to);
            let (mut before, mut all, mut ended) = (0, 0, false);
            for Told(heard) in heard {
                match heard {
                    Heard::Chatter(said) => {
                        all += said.len();
                        before += if ended { 0 } else { said.len() };
                    }
                    Heard::Line(Line::Event(_)) => ended = true,
                    other => panic!("{other:?}"),
                }
            }
            assert!(ended && before >= 60_000, "{before} of {all} bytes");
            assert_eq!(all, 60_006, "nothing is lost");
            child.wait().unwrap();
        }
    }
}
