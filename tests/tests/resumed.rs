//! Long runs that are killed in the middle and go on from a checkpoint: with the real worker.

use std::collections::BTreeMap;

use rustix::process::{Pid, Signal, kill_process};

use crate::bench::Running;
use crate::killed::workers;
use crate::real::Real;

const RUN: [&str; 5] = ["run", "unfrozen.toml", "--devices", "cpu:1", "-vv"];

fn real() -> Real {
    let real = Real::new();
    real.0.write(
        "unfrozen.toml",
        r#"
        extends = "base.toml"
        [baseline.train]
        epochs = 5
        batch_size = 4
        [baseline.model]
        freeze = { unfreeze_last = 12 }
        [schedule]
        checkpoint_every = 1
        retries = 2
        retry_delay = "0s"
        "#,
    );
    real
}

/// What its runs left, by file, without the seconds that epochs took.
fn left(real: &Real, results: &str) -> BTreeMap<String, String> {
    let files = real.0.files(results).into_iter();
    let tables = files.filter(|file| file.ends_with(".csv") && file.starts_with("runs/"));
    tables
        .map(|file| {
            let text = real.0.read(&format!("{results}/{file}"));
            let rows = match file.ends_with("metrics.csv") {
                true => text.lines().map(|line| line.rsplit_once(',').unwrap().0).collect(),
                false => text.lines().collect::<Vec<_>>(),
            };
            let text = rows.join("\n");
            (file, text)
        })
        .collect()
}

/// Waits until the sweep has heard of this epoch, then of no more.
fn wait_for_epoch(sweep: &mut Running, number: u32) {
    let said = format!("epoch {number} has ended");
    loop {
        let line = sweep.stderr_line();
        assert_ne!(line, "", "it ended before");
        if line.contains(&said) {
            return;
        }
    }
}

fn kill(pids: impl IntoIterator<Item = Pid>) {
    pids.into_iter().for_each(|pid| kill_process(pid, Signal::KILL).unwrap());
}

#[test]
fn a_run_whose_worker_or_sweep_is_killed_goes_on_with_the_same_numbers() {
    let real = real();
    let undisturbed = real.sweep(&[&RUN[..], &["--results", "undisturbed"]].concat());
    assert_eq!(undisturbed.code, 0, "{}", undisturbed.stderr);
    let mut sweep = Running::start(real.command(&RUN));
    // Of the second epoch alone it is not known whether it has been kept.
    wait_for_epoch(&mut sweep, 2);
    kill(workers(sweep.pid()));
    // Said again, and more.
    wait_for_epoch(&mut sweep, 3);
    sweep.signal(Signal::KILL);
    assert_eq!(real.0.wait(sweep).code, 137);
    assert!(real.0.results().iter().any(|file| file.starts_with("cache/checkpoints/")));
    let last = real.sweep(&RUN);
    assert_eq!((last.code, last.stdout), (0, undisturbed.stdout), "{}", last.stderr);
    assert_eq!(left(&real, "results"), left(&real, "undisturbed"));
    let logs = real.0.results().into_iter().filter(|file| file.ends_with(".log"));
    let logs: String = logs.map(|file| real.0.read(&format!("results/{file}"))).collect();
    assert_eq!(logs.matches("goes on after epoch").count(), 2, "{logs}");
    let kept = real.0.results().into_iter().find(|file| file.starts_with("cache/checkpoints/"));
    assert_eq!(kept, None, "it goes with the end of its run");
}
