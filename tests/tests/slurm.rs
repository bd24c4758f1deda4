//! `--launcher slurm`: against programs that only look like Slurm's, and on a real Slurm on this machine.

mod cluster;
mod fake;
mod lost;
mod pretend;
mod real;
mod scale;
mod strategies;
