//! Processes that a worker has started and that outlive it.
//!
//! A worker hands its environment on to all that it starts, and with it a mark that says whose they are;
//! so they are found wherever they have gone: into another group or session, or to another parent.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::process::{Fate, Process};

/// The environment variable.
pub(super) const MARK: &str = "SWEEP_WORKER";

/// Who starts often enough while it is killed gets away at last.
const TRIES: usize = 20;

/// How long to wait for a process that is between two programs.
const BETWEEN_PROGRAMS: Duration = Duration::from_millis(5);

/// How long to wait until what was killed is gone: one that the kernel holds in a call goes when that ends.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// The mark of the worker that `of` starts as its `number`-th.
pub(super) fn mark(of: &Process, number: u64) -> String {
    let Process { boot, pid_namespace, pid, started, .. } = of;
    format!("{boot}/{pid_namespace}/{pid}/{started}/{number}")
}

/// The orchestrator in a mark, if it is one of this machine and of our own numbers.
fn parse(mark: &str, here: &Process) -> Option<Process> {
    let mut parts = mark.split('/');
    let mut next = || parts.next();
    let (boot, pid_namespace) = (next()?.to_owned(), next()?.to_owned());
    let (pid, started) = (next()?.parse().ok()?, next()?.parse().ok()?);
    let ours = boot == here.boot && pid_namespace == here.pid_namespace;
    let (host, machine) = (here.host.clone(), here.machine.clone());
    ours.then_some(Process { host, machine, boot, pid_namespace, pid, started })
}

/// Kills what the worker with this mark has started. How many processes that were.
pub(super) fn end(mark: &str) -> usize {
    kill_all(|found| found == mark)
}

/// Kills what all workers of `of` have started, and them. How many processes that were.
pub fn end_all(of: &Process) -> usize {
    kill_all(|found| parse(found, of).is_some_and(|found| found == *of))
}

/// Kills what the workers of orchestrators have left that are gone themselves. How many processes that
/// were.
pub fn end_strays(here: &Process) -> usize {
    kill_all(|found| parse(found, here).is_some_and(|of| here.sees(&of) == Fate::Gone))
}

/// Kills and sees them gone: whoever comes next may want what they had.
fn kill_all(is_meant: impl Fn(&str) -> bool) -> usize {
    let mut killed = HashMap::new();
    for _ in 0..TRIES {
        let before = killed.len();
        let mut unclear = false;
        for pid in pids() {
            match kill(pid, &is_meant) {
                Some(Found::Killed(process)) => _ = killed.entry(pid).or_insert(process),
                Some(Found::Unclear) => unclear = true,
                Some(Found::Another) | None => {}
            }
        }
        match killed.len() == before {
            true if unclear => std::thread::sleep(BETWEEN_PROGRAMS),
            true => break,
            false => {}
        }
    }
    let until = Instant::now() + LAST_BREATH;
    killed.values().for_each(|process| await_end(process, until));
    killed.len()
}

/// A process, by the mark that it may carry.
enum Found {
    /// It is meant, and is killed.
    Killed(OwnedFd),
    /// Nothing of it can be read, and may be in a moment.
    Unclear,
    Another,
}

/// Kills a process that carries a mark which is meant; none when it is gone.
fn kill(pid: Pid, is_meant: impl Fn(&str) -> bool) -> Option<Found> {
    // Before its mark is read, so that it is no other process of that number which is killed.
    let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    let environment = fs_err::read(format!("/proc/{pid}/environ")).ok()?;
    match carried(&environment) {
        Some(mark) if is_meant(mark) => {
            pidfd_send_signal(&process, Signal::KILL).ok()?;
            Some(Found::Killed(process))
        }
        // What is part of the kernel, or only waits to be reaped, has no program.
        None if environment.is_empty() && fs_err::read_link(format!("/proc/{pid}/exe")).is_ok() => {
            let stat = fs_err::read(format!("/proc/{pid}/stat")).ok()?;
            let between = is_between_programs(&String::from_utf8_lossy(&stat));
            // It may have come to its next program since, whose environment this is.
            let now = fs_err::read(format!("/proc/{pid}/environ")).ok()?;
            match between || !now.is_empty() {
                true => Some(Found::Unclear),
                false => Some(Found::Another),
            }
        }
        _ => Some(Found::Another),
    }
}

/// Whether a process with such a `/proc/PID/stat` goes from one program to the next. Then it has no environment for a
/// moment: the kernel says last where in the new memory it ends, in field 51, which is not 0 where there is an empty
/// one. See proc_pid_stat(5).
fn is_between_programs(stat: &str) -> bool {
    let fields = stat.rsplit_once(") ").map(|(_, rest)| rest.split_whitespace());
    fields.and_then(|mut fields| fields.nth(51 - 3)) == Some("0")
}

/// The mark in an environment.
fn carried(environment: &[u8]) -> Option<&str> {
    environment.split(|&byte| byte == 0).find_map(|variable| {
        let variable = std::str::from_utf8(variable).ok()?;
        variable.strip_prefix(MARK)?.strip_prefix('=')
    })
}

/// Whether process `pid` is a worker of `of`, or one has started it.
pub fn is_of(pid: u32, of: &Process) -> bool {
    let environment = fs_err::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    carried(&environment).and_then(|mark| parse(mark, of)).is_some_and(|found| found == *of)
}

/// Waits until a process has ended, but no longer than `until`.
fn await_end(process: &OwnedFd, until: Instant) {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap_or_default();
        match poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&left)) {
            Err(rustix::io::Errno::INTR) => {}
            _ => return,
        }
    }
}

fn pids() -> Vec<Pid> {
    let entries = fs_err::read_dir(Path::new("/proc")).into_iter().flatten().flatten();
    entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_mark_tells_its_orchestrator_and_others_are_left_alone() {
        let this = Process::this().unwrap();
        let text = mark(&this, 7);
        assert_eq!(parse(&text, &this), Some(this.clone()));
        let far = Process { pid_namespace: "pid:[1]".to_owned(), ..this.clone() };
        assert_eq!(parse(&mark(&far, 7), &this), None, "its numbers are not ours");
        for odd in ["", "1", "a/b/c/d/e", &text[1..]] {
            assert_eq!(parse(odd, &this), None, "{odd}");
        }
    }

    #[test]
    fn who_is_between_programs_has_no_end_of_an_environment_yet() {
        let stat = |end: u64| format!("7 (a ) b) R 1 2{} {end} 0\n", " 5".repeat(45));
        assert!(is_between_programs(&stat(0)));
        assert!(!is_between_programs(&stat(140_722_843_869_183)));
        assert!(!is_between_programs("7 (cat"));
    }

    #[test]
    fn only_who_carries_the_mark_is_killed_and_nobody_is_waited_for_that_has_no_environment() {
        let started = |clear: bool, mark: Option<&str>| {
            let mut command = Command::new("cat");
            if clear {
                command.env_clear();
            }
            command.envs(mark.map(|mark| (MARK, mark)));
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
        };
        for (clear, mark, expected) in [
            (true, None, "another"),
            (true, Some("a"), "killed"),
            (true, Some("b"), "another"),
            (false, None, "another"),
        ] {
            let mut child = started(clear, mark);
            // It is the other program once it answers.
            child.stdin.as_mut().unwrap().write_all(b"x\n").unwrap();
            child.stdout.as_mut().unwrap().read_exact(&mut [0; 2]).unwrap();
            let found = match kill(Pid::from_child(&child), |mark| mark == "a") {
                Some(Found::Killed(_)) => "killed",
                Some(Found::Unclear) => "unclear",
                Some(Found::Another) => "another",
                None => "gone",
            };
            assert_eq!(found, expected, "{mark:?}");
            let _ = child.kill();
            child.wait().unwrap();
        }
    }
}
