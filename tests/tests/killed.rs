//! `kill -9` at every point, and at any time: nothing lost, nothing twice.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use end_to_end::script::Act;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rustix::process::{Pid, Signal, kill_process};

use crate::bench::{Bench, Running, beside_us, is_alive, is_long};

const RUN: [&str; 2] = ["run", "batch_size.toml"];

/// Unlabelled test images, so that every file is written that a run can have.
fn bench(levels: &str, replicates: u32) -> Bench {
    let bench = Bench::new();
    fs_err::remove_dir_all(bench.path("data/test")).unwrap();
    bench.write("data/test/0000.jpg", "x");
    let sweep = bench.read("batch_size.toml");
    let sweep = sweep.replace("[16, 32, 64]", levels);
    let sweep = sweep.replace("replicates = 2", &format!("replicates = {replicates}"));
    bench.write("batch_size.toml", &sweep);
    bench
}

/// Everything under `results/runs` but logs, without what differs from one time to the next.
fn kept(bench: &Bench) -> BTreeMap<String, String> {
    let files = bench.results().into_iter();
    files
        .filter(|file| file.starts_with("runs/") && !file.contains("/attempts/"))
        .map(|file| {
            let text = bench.read(&format!("results/{file}"));
            let text = text.replace(bench.path("").to_str().unwrap(), "");
            let text = match file.ends_with("result.json") {
                true => {
                    let mut result: serde_json::Value = serde_json::from_str(&text).unwrap();
                    for key in ["attempts", "started", "seconds"] {
                        result.as_object_mut().unwrap().remove(key).unwrap();
                    }
                    result.to_string()
                }
                false => text,
            };
            (file, text)
        })
        .collect()
}

/// The files in which they differ.
fn different<'a>(
    one: &'a BTreeMap<String, String>,
    other: &'a BTreeMap<String, String>,
) -> Vec<&'a str> {
    let all = one.keys().chain(other.keys());
    all.filter(|file| one.get(*file) != other.get(*file)).map(String::as_str).collect()
}

fn done(bench: &Bench) -> usize {
    let results = bench.results();
    results.iter().filter(|file| file.ends_with("/result.json")).count()
}

fn lines(bench: &Bench, file: &str) -> usize {
    fs_err::read_to_string(bench.path(file)).unwrap_or_default().lines().count()
}

/// A sweep of two runs, and what it comes to where nobody disturbs it.
struct Undisturbed {
    /// Whether the worker trains both at once, and ends the second one first.
    together: bool,
    table: String,
    files: BTreeMap<String, String>,
}

/// Where a sweep is killed.
#[derive(Clone, Copy)]
struct Fault {
    at: u64,
    /// Of those where files of such a name, or processes, are changed.
    of: Option<&'static str>,
    /// With half of what it was about to write.
    half: bool,
}

impl Undisturbed {
    fn new(together: bool) -> Self {
        let bench = Self::bench(together);
        let table = bench.sweep(&RUN).stdout;
        let files = kept(&bench);
        assert!(files.keys().any(|file| file.ends_with("submission.csv")), "{files:?}");
        Self { together, table, files }
    }

    fn bench(together: bool) -> Bench {
        let bench = bench("[32, 64]", 1);
        bench.script(|script| script.together = together);
        bench
    }

    /// What a sweep killed at `fault` was about to do; none when it has no such point. Then gives the same command
    /// again, undisturbed, and finds what it should have been from the beginning.
    fn killed_at(&self, fault: Fault) -> Option<String> {
        let bench = Self::bench(self.together);
        let mut command = bench.command(&RUN);
        command
            .env("LD_PRELOAD", beside_us("examples/libfaults.so"))
            .env("FAULT_AT", fault.at.to_string())
            .env("FAULT_LOG", bench.path("fault"));
        command.envs(fault.of.map(|of| ("FAULT_WHERE", of)));
        if fault.half {
            command.env("FAULT_HALF", "1");
        }
        let ran = bench.wait(Running::start(command));
        if ran.code == 0 {
            assert_eq!(ran.stdout, self.table);
            return None;
        }
        let what = bench.read("fault").replace(bench.path("").to_str().unwrap(), "");
        let place = || format!("point {}, {what}: {}", fault.at, ran.stderr);
        assert_eq!(ran.code, 137, "{}", place());
        let (done, begun) = (done(&bench), lines(&bench, "begun"));
        let again = bench.sweep(&RUN);
        assert_eq!((again.code, &again.stdout), (0, &self.table), "{}{}", place(), again.stderr);
        assert_eq!(different(&kept(&bench), &self.files), [""; 0], "{}", place());
        assert_eq!(
            lines(&bench, "begun") - begun,
            2 - done,
            "what is done is not done again: {}",
            place()
        );
        Some(what)
    }

    /// Kills it at every point.
    fn killed_at_any_point(&self) {
        let next = AtomicU64::new(1);
        let points = Mutex::new(BTreeMap::new());
        let work = || {
            loop {
                let at = next.fetch_add(1, Ordering::SeqCst);
                let fault = Fault { at, of: None, half: false };
                let Some(what) = self.killed_at(fault) else { break };
                if what.starts_with("write") {
                    self.killed_at(Fault { half: true, ..fault });
                }
                points.lock().unwrap().insert(at, what);
            }
        };
        thread::scope(|scope| (0..4).for_each(|_| _ = scope.spawn(work)));
        let points = points.into_inner().unwrap();
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for what in points.values() {
            *kinds.entry(what.split(' ').next().unwrap()).or_default() += 1;
        }
        eprintln!("killed at {} points: {kinds:?}", points.len());
        // The one start of a worker may be passed by: how many points come before it differs by a few.
        let sure = ["write", "sync", "rename", "remove"];
        assert!(sure.iter().all(|kind| kinds.contains_key(kind)), "{kinds:?}");
        assert!(points.len() > 50, "{points:?}");
        let start = self.killed_at(Fault { at: 1, of: Some("start"), half: false });
        assert_eq!(start.as_deref(), Some("start"));
    }
}

#[test]
fn killed_at_any_point_it_goes_on_where_it_stood() {
    Undisturbed::new(false).killed_at_any_point();
}

#[test]
fn killed_at_any_point_of_runs_that_train_together_it_goes_on_where_it_stood() {
    Undisturbed::new(true).killed_at_any_point();
}

/// What the system was asked for, in order, where two runs train together. A machine that loses its power keeps of
/// what was not synced whatever it likes.
#[test]
fn what_a_result_stands_on_is_safe_before_it_and_the_result_before_its_claim_is_let_go() {
    let bench = Undisturbed::bench(true);
    bench.write("trace", "");
    let mut command = bench.command(&RUN);
    command
        .env("LD_PRELOAD", beside_us("examples/libfaults.so"))
        .env("FAULT_TRACE", bench.path("trace"));
    let ran = bench.wait(Running::start(command));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let text = bench.read("trace").replace(&format!("{}/", bench.path("").display()), "");
    let text = text.replace(bench.path("").to_str().unwrap(), "").replace("results/", "");
    let calls: Vec<&str> = text.lines().collect();
    let after = |from: usize, call: &str| {
        let found = calls[from..].iter().position(|made| *made == call);
        from + found.unwrap_or_else(|| panic!("{call} after line {from} of\n{text}"))
    };
    let results =
        calls.iter().filter_map(|call| call.strip_prefix("rename ")?.strip_suffix("/result.json"));
    let folders: Vec<&str> = results.collect();
    assert_eq!(folders.len(), 2, "{text}");
    for folder in folders {
        let result = after(0, &format!("rename {folder}/result.json"));
        let mut last = 0;
        for (at, call) in calls.iter().enumerate() {
            let Some(file) = call.strip_prefix(&format!("rename {folder}/")) else { continue };
            // Under either of its names.
            let is_synced =
                [format!("sync {folder}/.{file}.part"), format!("sync {folder}/{file}")];
            let before = &calls[..result];
            assert!(
                before.iter().any(|call| is_synced.iter().any(|sync| sync == call)),
                "{file}: {text}"
            );
            last = last.max(if at == result { 0 } else { at });
        }
        assert!(last > 0 && last < result, "{text}");
        for folder in [folder, "runs"] {
            assert!(after(last, &format!("sync {folder}")) < result, "{folder}: {text}");
        }
        let safe = after(result, &format!("sync {folder}"));
        let run: serde_json::Value =
            serde_json::from_str(&bench.read(&format!("results/{folder}/result.json"))).unwrap();
        let claim = format!("remove .claims/runs/{}.json", run["run"].as_str().unwrap());
        assert!(after(0, &claim) > safe, "{text}");
    }
}

/// Kills whatever it likes of `sweeps` and their workers, once each after some time.
fn disturb(sweeps: &[Running], random: &mut ChaCha8Rng) {
    for sweep in sweeps {
        // Not to wait for anything: any moment will do.
        let (_never, rings) = mpsc::channel::<()>();
        let _ = rings.recv_timeout(Duration::from_millis(random.random_range(0..250)));
        match random.random_range(0..3) {
            0 => {
                workers(sweep.pid()).into_iter().for_each(|pid| _ = kill_process(pid, Signal::KILL))
            }
            _ => sweep.signal(Signal::KILL),
        }
    }
}

pub(crate) fn workers(of: Pid) -> Vec<Pid> {
    let listed = Command::new("pgrep").arg("-P").arg(of.to_string()).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    listed.lines().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

/// Two hundred times where `SWEEP_TEST_LONG` is set.
#[test]
fn killed_at_any_time_in_ones_and_twos_it_goes_on() {
    let rounds = if is_long() { 200 } else { 15 };
    let levels = "[16, 32, 64]";
    let make = || {
        let bench = bench(levels, 20);
        let base = bench.read("base.toml");
        let many = "retries = 100\nretry_delay = \"0s\"\nset_aside_after = 1000";
        bench.write("base.toml", &base.replace("retries = 0", many));
        bench
    };
    let undisturbed = make();
    let table = undisturbed.sweep(&RUN).stdout;
    let files = kept(&undisturbed);
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut round = 0;
    while round < rounds {
        let bench = make();
        loop {
            round += 1;
            let before = done(&bench);
            let sweeps: Vec<Running> =
                (0..random.random_range(1..=2)).map(|_| bench.start(&RUN)).collect();
            disturb(&sweeps, &mut random);
            let codes: Vec<i32> = sweeps.into_iter().map(|sweep| bench.wait(sweep).code).collect();
            assert!(codes.iter().all(|code| [0, 137].contains(code)), "{codes:?}");
            let after = kept(&bench);
            assert!(done(&bench) >= before, "what is done stays done");
            for (file, text) in after.iter().filter(|(file, _)| file.ends_with("/result.json")) {
                assert_eq!(text, &files[file]);
            }
            if codes.contains(&0) {
                break;
            }
        }
        let last = bench.sweep(&RUN);
        assert_eq!((last.code, last.stdout, last.stderr), (0, table.clone(), all_done()));
        assert_eq!(different(&kept(&bench), &files), [""; 0]);
    }
    eprintln!("killed {round} times");
}

fn all_done() -> String {
    "60 runs: all done before\n".to_owned()
}

/// The same on a results folder that is taken away under way.
#[test]
fn a_results_folder_that_vanishes_ends_the_sweep_once() {
    let bench = bench("[16, 32, 64]", 2);
    bench.rules(&[(1, 32, Act::Wait), (1, 16, Act::Leave)]);
    let child = bench.start(&[RUN[0], RUN[1], "--devices", "cpu:2", "--no-fuse"]);
    let (one, other) = (bench.accept(), bench.accept());
    let (worker, _leaving) = if one.who == "1 32" { (one, other) } else { (other, one) };
    let left = bench.read("left");
    let gone: PathBuf = bench.path("gone");
    fs_err::rename(bench.path("results"), &gone).unwrap();
    worker.go_on();
    let ran = bench.wait(child);
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("cannot store results").count(), 1, "{}", ran.stderr);
    assert!(!bench.path("results").exists(), "{}", ran.stderr);
    assert!(!is_alive(left.trim()), "what a worker has started ends with the sweep");
    fs_err::rename(&gone, bench.path("results")).unwrap();
    bench.script(|_| {});
    let again = bench.sweep(&RUN);
    assert_eq!(again.code, 0, "{}", again.stderr);
}
