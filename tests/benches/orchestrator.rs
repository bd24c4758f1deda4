//! What the orchestrator itself costs: the real `sweep` with a worker that trains nothing.
//!
//! `./scripts/bench --orchestrator`. Times are wall-clock and whole commands, from start to end.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on has failed"
)]

#[path = "../tests/bench.rs"]
mod bench;

use std::time::Instant;

use bench::{Bench, Ran};
use end_to_end::script::Act;

/// A bench with a sweep of so many runs.
fn with_runs(runs: usize) -> Bench {
    let bench = Bench::new();
    let sweep = bench.read("batch_size.toml").replace("[16, 32, 64]", "[16, 32]");
    let sweep = sweep.replace("replicates = 2", &format!("replicates = {}", runs / 2));
    bench.write("batch_size.toml", &sweep);
    bench
}

/// Seconds that the command takes.
fn time(bench: &Bench, args: &[&str]) -> f64 {
    let start = Instant::now();
    let ran = bench.sweep(args);
    let seconds = start.elapsed().as_secs_f64();
    let Ran { code, stderr, .. } = ran;
    assert_eq!(code, 0, "{stderr}");
    seconds
}

/// The shortest of several.
fn best(bench: &Bench, args: &[&str]) -> f64 {
    (0..5).map(|_| time(bench, args)).fold(f64::INFINITY, f64::min)
}

fn main() {
    let run = ["run", "batch_size.toml"];
    let bench = with_runs(1000);
    let seconds = time(&bench, &run);
    println!("run: {seconds:.2} s for 1000 runs, every result durable: {seconds:.2} ms a run");
    println!("run again: {:.0} ms", 1e3 * best(&bench, &run));
    let bench = with_runs(10_000);
    let seconds = time(&bench, &run);
    println!("run: {seconds:.2} s for 10000 runs: {:.2} ms a run", seconds / 10.0);
    println!("status of 10000 runs: {:.0} ms", 1e3 * best(&bench, &["status"]));
    println!("report of 10000 runs: {:.0} ms", 1e3 * best(&bench, &["report"]));
    let bench = Bench::new();
    bench.rule(1, 32, Act::Flood(100_000));
    let sweep = bench.start(&run);
    let worker = bench.accept();
    let before = sweep.peak_memory();
    worker.go_on();
    let worker = bench.accept();
    let after = sweep.peak_memory();
    worker.go_on();
    assert_eq!(bench.wait(sweep).code, 0);
    println!("memory: {before} KiB, and {after} KiB after 100000 events");
    let bench = Bench::new();
    assert_eq!(bench.sweep(&["data", "synth", "data"]).code, 2, "there are pictures");
    println!("plan of 6 runs: {:.1} ms", 1e3 * best(&bench, &["plan", "batch_size.toml"]));
}
