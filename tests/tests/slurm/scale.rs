//! What 100,000 runs in 10,000 tasks cost, against programs that only look like Slurm's: the figures in
//! `docs/slurm.md`. Minutes: only where `SWEEP_TEST_LONG` is set.
//!
//! ```text
//! SWEEP_TEST_LONG=1 cargo test --release --workspace --test end_to_end -- --nocapture slurm::scale
//! ```

use std::time::Instant;

use super::pretend::Pretend;
use crate::bench::{Ran, Running, is_long};

const RUNS: usize = 100_000;

/// Runs a command and says what it took.
fn measured(pretend: &Pretend, what: &str, args: &[&str]) -> Ran {
    let mut command = pretend.command(&[]);
    command.args(args);
    let began = Instant::now();
    let ran = pretend.bench.wait(Running::start(command));
    eprintln!("{what}: {:.1} s", began.elapsed().as_secs_f64());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran
}

#[test]
fn a_hundred_thousand_runs_are_planned_submitted_and_looked_after() {
    if !is_long() {
        return;
    }
    let pretend = Pretend::new();
    let sizes: Vec<String> = (1..=100).map(|size| size.to_string()).collect();
    pretend.bench.write(
        "batch_size.toml",
        &format!(
            "extends = \"base.toml\"\nreplicates = {}\n[factors]\nbatch_size = [{}]\n\
             [slurm]\nruns_per_task = 10\n",
            RUNS / sizes.len(),
            sizes.join(", ")
        ),
    );
    let run = ["run", "batch_size.toml", "--launcher", "slurm"];
    let planned = measured(&pretend, "sweep plan", &["plan", "batch_size.toml"]);
    assert!(planned.stdout.contains("100000 runs"), "{}", planned.stdout);
    let submitted = measured(&pretend, "submitting", &run);
    let said = "submitted 100000 runs in 10000 tasks: jobs ";
    assert!(submitted.stdout.starts_with(said), "{}", submitted.stdout);
    let folder = pretend.bench.files("results/.slurm");
    let bytes = folder.iter().map(|file| {
        fs_err::metadata(pretend.bench.path("results/.slurm").join(file)).unwrap().len()
    });
    eprintln!("on the disk: {} files, {} MB", folder.len(), bytes.sum::<u64>() / 1_000_000);
    measured(&pretend, "the same command again", &run);
    measured(&pretend, "sweep status", &["status"]);
    let job = pretend.jobs().remove(0);
    let began = Instant::now();
    let task = pretend.run_task(&job, 0);
    eprintln!("a task of ten runs: {:.0} ms", began.elapsed().as_secs_f64() * 1e3);
    assert_eq!(task.code, 0, "{}", task.stderr);
    assert_eq!(pretend.bench.ledger().len(), 10);
}
