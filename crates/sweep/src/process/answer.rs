//! Asking another program something.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::open_files;

/// What `command` says and how it ends, unless that takes longer than `limit`: then it is killed.
///
/// # Errors
/// When it does not start, or takes too long.
pub fn answer(command: &mut Command, limit: Duration) -> io::Result<Output> {
    open_files::as_given(command);
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let group = Pid::from_child(&child);
    let (to, answer) = mpsc::channel();
    thread::spawn(move || to.send(child.wait_with_output()));
    answer.recv_timeout(limit).unwrap_or_else(|_| {
        // Still there, or it would have been heard.
        let _ = kill_process_group(group, Signal::KILL);
        let limit = humantime::format_duration(limit);
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer in {limit}")))
    })
}
