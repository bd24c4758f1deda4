//! Worker processes: started, spoken to, listened to, ended.

mod ask;
mod lines;
mod orphans;
mod process;
mod program;

pub use ask::AskError;
pub use lines::{Line, Lines};
pub use orphans::{end_all, end_strays, is_of};
pub(crate) use process::die_with_us;
pub use process::{Ending, Heard, Worker, WorkerId};
pub use program::{Probe, ProbeError, Program, ProgramError};
