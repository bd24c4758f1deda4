//! How many files may be open at a time.
//!
//! A run under way has its log open and its `config.json`, and a worker may train a thousand runs together: more
//! than the 1,024 files that programs may open by default. That limit is a soft one, for the sake of programs
//! which cannot count further; those that we start have it again, by [`as_given`] or as workers do.

use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::OnceLock;

use rustix::io;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What we were given.
static GIVEN: OnceLock<Rlimit> = OnceLock::new();

/// Raises the soft limit to the hard one.
pub fn allow_many() {
    let given = getrlimit(Resource::Nofile);
    let most = Rlimit { current: given.maximum, maximum: given.maximum };
    if given.current == given.maximum {
        return;
    }
    match setrlimit(Resource::Nofile, most) {
        Ok(()) => _ = GIVEN.set(given),
        // It does for most sweeps as it is.
        Err(error) => tracing::debug!("the limit of open files stays as it is: {error}"),
    }
}

/// Lets `command` begin with the limit that we were given: `sbatch` hands it on to jobs, and a hook or a program that
/// asks for a score may be one of those that cannot count further.
#[expect(unsafe_code, reason = "`pre_exec` is the only way to run code between fork and exec")]
pub(crate) fn as_given(command: &mut Command) {
    // SAFETY: between fork and exec only async-signal-safe calls are allowed, and `restore` makes one plain system
    // call; building an `io::Error` from a number allocates nothing.
    unsafe {
        command.pre_exec(|| Ok(restore()?));
    }
}

/// Gives a process that we start the limit that we were given. A plain system call, without allocation or locks.
pub(crate) fn restore() -> io::Result<()> {
    GIVEN.get().map_or(Ok(()), |given| setrlimit(Resource::Nofile, *given))
}
