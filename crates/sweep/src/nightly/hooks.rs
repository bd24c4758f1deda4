//! Commands that are told of a night: to send mail, to write to a chat, to open an issue.
//!
//! The night is stored before any of them starts, so none can lose it: one that fails, hangs or floods is
//! a remark.

use std::io::{self, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::worker::die_with_us;

/// So much of what one says is kept.
const MOST_KEPT: usize = 64 << 10;

/// A command to be told.
#[derive(Debug, Clone, Copy)]
pub struct Hook<'a> {
    /// A command line for `sh -c`.
    pub command: &'a str,
    /// Where it runs.
    pub folder: &'a Path,
    /// What its environment has besides ours.
    pub environment: &'a [(&'a str, String)],
    /// What it reads from stdin.
    pub stdin: &'a [u8],
    /// So long it may take.
    pub limit: Duration,
}

/// How a command ended.
#[derive(Debug)]
pub enum End {
    /// By itself.
    Exited(ExitStatus),
    /// It did not, and was killed with all that it had started.
    TimedOut,
    /// It did not even start.
    NotStarted(io::Error),
}

/// How a command ended, and the beginning of what it said on stdout and stderr.
#[derive(Debug)]
pub struct Told {
    /// How it ended.
    pub end: End,
    /// What it said, at most 64 KiB.
    pub said: Vec<u8>,
}

impl Told {
    /// What a person should read, unless all is well.
    pub fn trouble(&self) -> Option<String> {
        match &self.end {
            End::Exited(status) if status.success() => None,
            End::Exited(status) => Some(format!("ended with {status}")),
            End::TimedOut => Some("took too long and was killed".to_owned()),
            End::NotStarted(error) => Some(format!("did not start: {error}")),
        }
    }
}

/// Runs a command, at most for as long as it may take.
pub fn tell(hook: &Hook<'_>) -> Told {
    // A limit beyond all clocks is none.
    let until = Instant::now().checked_add(hook.limit);
    let said = Arc::new(Mutex::new(Vec::new()));
    let end = run(hook, until, &said).unwrap_or_else(End::NotStarted);
    let said = std::mem::take(&mut *said.lock().unwrap_or_else(PoisonError::into_inner));
    Told { end, said }
}

fn run(hook: &Hook<'_>, until: Option<Instant>, said: &Arc<Mutex<Vec<u8>>>) -> io::Result<End> {
    let (output, input) = io::pipe()?;
    let mut command = Command::new("sh");
    command
        .args(["-c", hook.command])
        .current_dir(hook.folder)
        .envs(hook.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(input.try_clone()?)
        .stderr(input)
        .process_group(0);
    // Whoever ends us while it runs means it too, and nobody would hold it to its limit.
    die_with_us(&mut command);
    let mut child = command.spawn()?;
    // It holds our ends of the pipe, and the end of what is said would never come.
    drop(command);
    let group = Pid::from_child(&child);
    if let Some(mut stdin) = child.stdin.take() {
        let summary = hook.stdin.to_vec();
        // Who does not read it does not want it.
        thread::spawn(move || stdin.write_all(&summary));
    }
    let (to, ended) = mpsc::channel();
    let (kept, done) = (said.clone(), to.clone());
    thread::spawn(move || {
        keep(output, &kept);
        done.send(None)
    });
    thread::spawn(move || to.send(Some(child.wait())));
    let mut status = None;
    // Its exit and the end of what it says, in whatever order.
    for _ in 0..2 {
        let next = match until {
            Some(until) => ended.recv_timeout(until.saturating_duration_since(Instant::now())),
            None => ended.recv().map_err(RecvTimeoutError::from),
        };
        match next {
            Ok(Some(exited)) => status = Some(exited?),
            Ok(None) => {}
            Err(_) => {
                // All that it started, too, which may hold its stdout.
                let _ = kill_process_group(group, Signal::KILL);
                return Ok(End::TimedOut);
            }
        }
    }
    status.map(End::Exited).ok_or_else(|| io::Error::other("nobody knows how it ended"))
}

/// Reads to the end, and keeps the beginning.
fn keep(mut from: impl Read, to: &Mutex<Vec<u8>>) {
    let mut part = [0; 8 << 10];
    while let Ok(length @ 1..) = from.read(&mut part) {
        let mut kept = to.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MOST_KEPT - kept.len();
        kept.extend_from_slice(&part[..length.min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(command: &str, stdin: &[u8], limit: Duration) -> Told {
        let folder = Path::new("/");
        let environment = [("SWEEP_NIGHT", "2026-11-26".to_owned())];
        tell(&Hook { command, folder, environment: &environment, stdin, limit })
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn it_reads_the_summary_and_is_heard() {
        let told = told("cat; echo \" $SWEEP_NIGHT\"; pwd >&2", b"summary", LONG);
        assert_eq!(String::from_utf8(told.said.clone()).unwrap(), "summary 2026-11-26\n/\n");
        assert_eq!(told.trouble(), None);
    }

    #[test]
    fn one_that_fails_says_how() {
        let large = vec![b'x'; 1 << 20];
        let failed = told("echo no; exit 3", &large, LONG);
        assert_eq!(failed.trouble().unwrap(), "ended with exit status: 3");
        assert_eq!(failed.said, b"no\n");
        let missing = told("/no/such/program", b"", LONG);
        assert_eq!(missing.trouble().unwrap(), "ended with exit status: 127");
    }

    #[test]
    fn one_that_hangs_or_leaves_somebody_behind_is_killed() {
        for command in ["echo here; exec tail -f /dev/null", "echo here; tail -f /dev/null &"] {
            let told = told(command, b"", Duration::from_millis(500));
            assert_eq!(told.trouble().unwrap(), "took too long and was killed", "{command}");
        }
    }

    #[test]
    fn a_limit_beyond_all_clocks_is_none() {
        let told = told("echo here", b"", Duration::MAX);
        assert_eq!((told.trouble(), told.said), (None, b"here\n".to_vec()));
    }

    #[test]
    fn of_one_that_floods_the_beginning_is_kept() {
        let told = told("head -c 10000000 /dev/zero | tr '\\0' x", b"", LONG);
        assert_eq!(told.trouble(), None);
        assert_eq!(told.said.len(), MOST_KEPT);
    }
}
