//! Sweeps that are run anew every night, and what has changed since the last good one.
//!
//! A night is a results folder of its own: a run's id does not know the library that computes it, so in a
//! shared folder an unchanged sweep would be "all done" on every night, and a changed library would not
//! show. What is here decides; [`crate::store::nights`] reads and writes, and `command::nightly` acts.

pub mod assess;
pub mod calendar;
pub mod conclusion;
pub mod history;
pub mod hooks;
pub mod record;
pub mod report;
pub mod rows;
pub mod toolchain;
