//! Which process it is, and whether it still is.

mod answer;

use std::fmt;
use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use answer::answer;

/// A process, told apart from every other one: on this machine or another, now or before.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Process {
    /// The machine's name.
    pub host: String,
    /// What its system was called when it was installed; absent where it has no name of that kind, as in many
    /// containers. See machine-id(5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// Another one after each start of the machine.
    pub boot: String,
    /// What `pid` is a number in: containers count their own.
    pub pid_namespace: String,
    /// The number of the process.
    pub pid: u32,
    /// When it started, in clock ticks since the machine did: numbers are used again.
    pub started: u64,
}

/// What became of a process, as seen from another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It goes on.
    Alive,
    /// It has ended.
    Gone,
    /// It has ended with an earlier start of this machine; unless there is another one of the same names.
    Before,
    /// It cannot be seen from here.
    Unseen,
}

impl Process {
    /// This one.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn this() -> io::Result<Self> {
        let read = |file: &str| Ok::<_, io::Error>(fs_err::read_to_string(file)?.trim().to_owned());
        let pid = std::process::id();
        let odd = || io::Error::other("/proc/self/stat is odd");
        let started = start_of(pid)?.ok_or_else(odd)?;
        Ok(Self {
            host: read("/proc/sys/kernel/hostname")?,
            machine: read("/etc/machine-id").ok().filter(|machine| !machine.is_empty()),
            boot: read("/proc/sys/kernel/random/boot_id")?,
            pid_namespace: fs_err::read_link("/proc/self/ns/pid")?.display().to_string(),
            pid,
            started,
        })
    }

    /// What became of `other`, as seen from here.
    pub fn sees(&self, other: &Self) -> Fate {
        self.judge(other, start_of)
    }

    /// `start_of` says when the process of a number started that goes on here.
    fn judge(&self, other: &Self, start_of: impl Fn(u32) -> io::Result<Option<u64>>) -> Fate {
        match other.boot == self.boot {
            // The machine was started anew since. Its name alone does not say that: containers on two machines may
            // have the same.
            false if other.host == self.host && self.is_on_machine_of(other) => Fate::Before,
            true if other.pid_namespace == self.pid_namespace => match start_of(other.pid) {
                Ok(Some(started)) if started == other.started => Fate::Alive,
                Ok(_) => Fate::Gone,
                // Too many files open, and the like: that says nothing of anybody else.
                Err(_) => Fate::Unseen,
            },
            _ => Fate::Unseen,
        }
    }

    fn is_on_machine_of(&self, other: &Self) -> bool {
        self.machine.is_some() && self.machine == other.machine
    }

    /// A name for files.
    pub(crate) fn file_name(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        let host: String = self.host.chars().map(plain).take(60).collect();
        format!("{host}-{}-{}.json", self.pid, self.started)
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on {}", self.pid, self.host)
    }
}

/// How long ago this machine was started, the time included in which it slept. See clock_gettime(2).
pub fn uptime() -> Duration {
    let uptime = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(uptime).unwrap_or(Duration::MAX)
}

/// When a process started that has not ended, in clock ticks since the machine did; none when it has.
fn start_of(pid: u32) -> io::Result<Option<u64>> {
    match fs_err::read(format!("/proc/{pid}/stat")) {
        Ok(stat) => Ok(parse_stat(&String::from_utf8_lossy(&stat))),
        Err(error) if error.kind() == io::ErrorKind::NotFound || went_meanwhile(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a process went while its file was read.
fn went_meanwhile(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|wrapped| wrapped.source()?.downcast_ref::<io::Error>());
    inner.and_then(io::Error::raw_os_error) == Some(rustix::io::Errno::SRCH.raw_os_error())
}

/// The start time in a `/proc/PID/stat`, unless the process has ended and only waits to be reaped. Its
/// name stands in brackets and may hold anything. See proc_pid_stat(5).
pub(crate) fn parse_stat(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    match *fields.first()? {
        "Z" | "X" | "x" => None,
        // The state is field 3, the start time field 22.
        _ => fields.get(19)?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_its_start_too() {
        let stat = |state| {
            format!("42 (a ) b) {state} 1 42 42 0 -1 4194560 1 0 0 0 3 4 0 0 20 0 5 0 777 0 0")
        };
        assert_eq!(parse_stat(&stat("S")), Some(777));
        assert_eq!(parse_stat(&stat("Z")), None);
        assert_eq!(parse_stat("42 (x"), None);
        let this = Process::this().unwrap();
        assert_eq!(this.sees(&this), Fate::Alive);
        assert_eq!(this.sees(&Process { started: 1, ..this.clone() }), Fate::Gone);
    }

    #[test]
    fn who_cannot_be_seen_may_be_alive() {
        let here = Process {
            host: "a".to_owned(),
            machine: Some("m".to_owned()),
            boot: "1".to_owned(),
            pid_namespace: "pid:[1]".to_owned(),
            pid: 1,
            started: 10,
        };
        let other = Process { pid: 7, started: 70, ..here.clone() };
        let alive = |pid| match pid {
            7 => Ok(Some(70)),
            9 => Err(io::Error::other("too many open files")),
            _ => Ok(None),
        };
        let text = str::to_owned;
        for (other, expected) in [
            (other.clone(), Fate::Alive),
            (Process { pid: 8, ..other.clone() }, Fate::Gone),
            (Process { pid: 9, ..other.clone() }, Fate::Unseen),
            (Process { started: 71, ..other.clone() }, Fate::Gone),
            (Process { boot: text("2"), ..other.clone() }, Fate::Before),
            (Process { boot: text("2"), host: text("b"), ..other.clone() }, Fate::Unseen),
            (Process { boot: text("2"), machine: Some(text("n")), ..other.clone() }, Fate::Unseen),
            (Process { boot: text("2"), machine: None, ..other.clone() }, Fate::Unseen),
            (Process { pid_namespace: text("pid:[2]"), ..other }, Fate::Unseen),
        ] {
            assert_eq!(here.judge(&other, alive), expected, "{other:?}");
        }
        let nameless = Process { machine: None, ..here };
        let other = Process { boot: text("2"), ..nameless.clone() };
        assert_eq!(nameless.judge(&other, alive), Fate::Unseen, "in containers of one name");
    }
}
