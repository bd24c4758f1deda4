//! A worker that is asked one thing and then let go.

use std::io::{self, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{ChildStdout, Command, Stdio};

use miette::Diagnostic;
use spec::protocol::{self, Event, Order};
use thiserror::Error;

use super::{Line, Lines, Program};
use crate::exit::{self, Ends};
use crate::open_files;

/// A worker that does not answer.
#[derive(Debug, Error, Diagnostic)]
#[error("the worker {}: {cause}", program.display())]
#[diagnostic(help("`sweep doctor` looks for what is missing"))]
pub struct AskError {
    program: PathBuf,
    cause: String,
}

impl Ends for AskError {
    fn exit_code(&self) -> u8 {
        exit::ENVIRONMENT
    }
}

impl Program {
    /// Has a worker of its own do `order`, on the CPU; what it says until it is idle. It ends when we do,
    /// since its orders end then.
    ///
    /// # Errors
    /// When it does not start, breaks the protocol, or ends before it is done.
    pub fn ask(&self, order: Order) -> Result<Vec<Event>, AskError> {
        let broken = |cause: String| AskError { program: self.path().into(), cause };
        let io = |error: io::Error| broken(error.to_string());
        let mut command = Command::new(self.path());
        open_files::as_given(&mut command);
        let mut child = command
            .args(["--device", "cpu"])
            .env("RUST_LOG", "off")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(io)?;
        let (Some(mut orders), Some(events)) = (child.stdin.take(), child.stdout.take()) else {
            unreachable!("both are piped")
        };
        let mut line = serde_json::to_vec(&order).map_err(|error| io(error.into()))?;
        line.push(b'\n');
        // A worker that is gone already says why in what it leaves.
        let sent = orders.write_all(&line).and_then(|()| orders.flush());
        let answer = listen(events);
        drop(orders);
        if answer.is_err() {
            // Whoever breaks the protocol might not end by itself.
            let _ = child.kill();
        }
        let status = child.wait().map_err(io)?;
        match answer {
            Ok(Some(events)) => sent.map(|()| events).map_err(io),
            Ok(None) => Err(broken(format!("ended before it was done: {status}"))),
            Err(breach) => Err(broken(breach)),
        }
    }
}

/// What comes until the worker is idle; none when it ends before, an error when it breaks the protocol.
fn listen(events: ChildStdout) -> Result<Option<Vec<Event>>, String> {
    let mut said = Vec::new();
    for line in Lines::new(BufReader::new(events)) {
        match line {
            Line::Breach(what) => return Err(what),
            Line::Event(event) => match *event {
                Event::Hello { version: protocol::VERSION, .. } => {}
                Event::Hello { version, .. } => {
                    let known = protocol::VERSION;
                    return Err(format!(
                        "speaks version {version} of the protocol, and this sweep speaks {known}"
                    ));
                }
                Event::Idle => return Ok(Some(said)),
                event => said.push(event),
            },
        }
    }
    Ok(None)
}
