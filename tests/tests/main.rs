//! The real `sweep` binary, mostly with the fake worker, at last with the real one.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on has failed")]

mod bench;
mod cache;
mod compare;
mod devices;
mod disk;
mod diverged;
mod explain;
mod failures;
mod features;
mod files;
mod hostile;
mod html;
mod interrupt;
mod killed;
mod nightly;
mod page;
mod real;
mod report;
mod resumed;
mod run;
mod scores;
mod sharing;
mod slurm;
mod stand_in;
mod strategies;
mod tables;
mod terminal;
mod trainer;
mod unsuitable;
mod weights;
mod workers;
