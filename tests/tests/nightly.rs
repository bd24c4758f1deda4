//! Simulated nights: the real program, a fake worker, a calendar that is told what day it is.

mod compared;
mod kept;
mod machine;
mod shipped;
mod trainer;
mod unfinished;

use std::process::Command;

use serde_json::Value;

use crate::bench::{Bench, Ran, Running, beside_us};

/// 22:00 UTC on 2026-11-26, in seconds since 1970.
const EVENING: i64 = 1_795_730_400;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A bench with a nightly file that says `more`, too: three batch sizes under eight seeds, enough to see a
/// regression.
fn bench(more: &str) -> Bench {
    let bench = Bench::new();
    let sweep = bench.read("batch_size.toml").replace("replicates = 2", "replicates = 8");
    bench.write("batch_size.toml", &sweep);
    let nightly = "sweeps = [\"batch_size.toml\"]\ndevices = \"cpu:1\"\ntimezone = \"utc\"\n";
    bench.write("nightly.toml", &format!("{nightly}{more}"));
    bench
}

fn command(bench: &Bench, now: i64, args: &[&str]) -> Command {
    let mut command = bench.command(&[&["nightly", "nightly.toml"], args].concat());
    command
        .env("LD_PRELOAD", beside_us("examples/libclock.so"))
        .env("FAKE_NOW", now.to_string())
        // What is checked out around it is no matter here.
        .env("GIT_CEILING_DIRECTORIES", "/")
        .env("GIT_DIR", "/nowhere");
    command
}

/// The night of evening `day`, from 0.
fn night(bench: &Bench, day: i64) -> Ran {
    at(bench, EVENING + day * DAY)
}

fn at(bench: &Bench, now: i64) -> Ran {
    bench.wait(Running::start(command(bench, now, &[])))
}

fn report(bench: &Bench, night: &str) -> String {
    redact(&bench.read(&format!("results/nightly/{night}/report.md")))
}

fn summary(bench: &Bench, night: &str) -> Value {
    serde_json::from_str(&bench.read(&format!("results/nightly/{night}/summary.json"))).unwrap()
}

/// Without what differs between machines, builds and times: hashes, how long it took, who came first.
fn redact(report: &str) -> String {
    let mut text = String::new();
    let (report, _) = report.split_once("## What it ran on").unwrap();
    for line in report.lines().filter(|line| !line.contains(": chatter")) {
        let words = line.split(' ').map(|word| {
            let inner = word.trim_matches(|c: char| "()".contains(c));
            let is_hash = inner.len() == 12 && inner.bytes().all(|b| b.is_ascii_hexdigit());
            if is_hash { word.replace(inner, "[HASH]") } else { word.to_owned() }
        });
        let line = words.collect::<Vec<_>>().join(" ");
        // `22:00 to 2026-11-26 22:00 (+00:00): 1s. ` -> `22:00 to [END]. `
        let line = match (line.find(" to 20"), line.find("runs finished.")) {
            (Some(from), Some(to)) => {
                let rest = line[..to].rsplit(". ").next().unwrap().to_owned() + &line[to..];
                format!("{} to [END]. {rest}", &line[..from])
            }
            _ => line,
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// The same of a summary.
fn redact_summary(summary: &Value) -> String {
    let mut summary = summary.clone();
    let redact = |value: &mut Value| *value = "[REDACTED]".into();
    for key in ["started", "ended", "toolchain"] {
        redact(&mut summary[key]);
    }
    for sweep in summary["sweeps"].as_array_mut().unwrap() {
        redact(&mut sweep["seconds"]);
        redact(&mut sweep["subject"]);
        // One row says all.
        sweep["rows"].as_array_mut().unwrap().truncate(1);
    }
    serde_json::to_string_pretty(&summary).unwrap()
}
