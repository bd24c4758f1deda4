//! Stdout for results, stderr for everything else.

use std::io::{self, IsTerminal as _, Write as _};

use indicatif::{MultiProgress, ProgressDrawTarget};
use tracing_subscriber::fmt::MakeWriter;

/// The two streams, with progress bars kept below what is said.
#[derive(Debug, Clone)]
pub struct Console {
    bars: MultiProgress,
    quiet: bool,
}

impl Console {
    /// A console that keeps remarks and progress to itself when `quiet`.
    pub fn new(quiet: bool) -> Self {
        Self { bars: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()), quiet }
    }

    /// Whether remarks and progress are kept back.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether bars can be drawn.
    pub fn draws_bars(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// Where bars belong.
    pub fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Writes results to stdout. A reader that has seen enough (`| head`) is no error.
    ///
    /// # Errors
    /// When stdout cannot be written for another reason, such as a full disk.
    pub fn print(&self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// Writes a remark to stderr, unless quiet.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            self.warn(text);
        }
    }

    /// Writes to stderr, quiet or not. That nobody can read it is no reason to stop.
    pub fn warn(&self, text: &str) {
        self.bars.suspend(|| {
            let _ = writeln!(io::stderr(), "{text}");
        });
    }
}

/// For logs: each event is written in one piece above the bars.
impl<'a> MakeWriter<'a> for Console {
    type Writer = LogLine;

    fn make_writer(&'a self) -> LogLine {
        LogLine { console: self.clone(), text: Vec::new() }
    }
}

/// A log event on its way to stderr.
#[derive(Debug)]
pub struct LogLine {
    console: Console,
    text: Vec<u8>,
}

impl io::Write for LogLine {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        self.console.warn(String::from_utf8_lossy(&self.text).trim_end());
    }
}
