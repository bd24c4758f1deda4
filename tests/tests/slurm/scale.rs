//! What 100,000 runs in 10,000 tasks cost, against programs that only look like Slurm's, and what a real controller
//! bears of it: the figures in `docs/slurm.md`. Minutes: only where `SWEEP_TEST_LONG` is set.
//!
//! ```text
//! ./scripts/bench --slurm
//! ```

use std::process::Command;
use std::time::Instant;

use super::cluster::{Cluster, find, is_here};
use super::pretend::Pretend;
use crate::bench::{Ran, Running, is_long};

const RUNS: usize = 100_000;

/// Runs a command and says what it took.
fn measured(pretend: &Pretend, what: &str, args: &[&str]) -> Ran {
    let mut command = pretend.command(&[]);
    command.args(args);
    let began = Instant::now();
    let ran = pretend.bench.wait(Running::start(command));
    let seconds = began.elapsed().as_secs_f64();
    eprintln!(
        "{what}: {seconds:.1} s, and no command until now had more than {} MiB",
        peak_memory()
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran
}

/// The most that a process had which has ended and that we have waited for, in MiB.
#[expect(unsafe_code, reason = "nothing else speaks of it")]
fn peak_memory() -> i64 {
    // SAFETY: the structure is plain numbers, and the call fills it. See getrusage(2).
    let used = unsafe {
        let mut used = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut used);
        used
    };
    used.ru_maxrss / 1024
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
    count_operations(&pretend, &pretend.jobs().remove(1));
}

/// What a task of ten runs asks of the file system, where there is somebody to count.
fn count_operations(pretend: &Pretend, job: &str) {
    let task = pretend.task(job, 0, 0);
    let trace = pretend.bench.path("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-e", "trace=%file,fsync,fdatasync,flock", "-o"]).arg(&trace);
    command.arg(task.get_program()).args(task.get_args()).current_dir("/");
    for (name, value) in task.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    if !find("strace").is_some_and(|_| command.status().unwrap().success()) {
        eprintln!("operations on files are not counted: there is no strace");
        return;
    }
    let said = String::from_utf8_lossy(&fs_err::read(&trace).unwrap()).into_owned();
    let calls =
        said.lines().filter(|line| line.contains("/results/") && !line.contains("resumed>"));
    let is = |line: &&str, names: &[&str]| names.iter().any(|name| line.contains(name));
    let (synced, others): (Vec<&str>, Vec<&str>) =
        calls.partition(|line| is(line, &[" fsync(", " fdatasync("]));
    let (locked, named): (Vec<&str>, Vec<&str>) =
        others.into_iter().partition(|line| is(line, &[" flock("]));
    eprintln!(
        "a task of ten runs: {} operations on paths below results/, {} fsyncs, {} of flock",
        named.len(),
        synced.len(),
        locked.len()
    );
}

/// A real controller with 10,000 tasks in ten arrays, and what our question costs it.
#[test]
fn a_real_controller_takes_ten_thousand_tasks_and_tells_of_them() {
    if !is_long() || !is_here() {
        return;
    }
    let mut cluster = Cluster::up();
    cluster.configured_anew(|conf| {
        conf.replace("MaxArraySize=31", "MaxArraySize=1001") + "MaxJobCount=20000\n"
    });
    let began = Instant::now();
    for _ in 0..10 {
        let args =
            ["--hold", "--array=0-999", "-o", "/dev/null", "-J", "sweep.x", "--wrap", "true"];
        let taken = cluster.ask("sbatch", &args);
        assert!(taken.status.success(), "{}", String::from_utf8_lossy(&taken.stderr));
    }
    let seconds = began.elapsed().as_secs_f64();
    eprintln!("a controller takes ten arrays of 1,000: {seconds:.2} s");
    for (what, each) in [("as arrays", &[][..]), ("task by task", &["-r"])] {
        let args = [&["-h", "--name=sweep.x", "--format=%j|%F|%K|%T|%r"], each].concat();
        let began = Instant::now();
        let said = cluster.says("squeue", &args);
        let (lines, bytes) = (said.lines().count(), said.len());
        let time = began.elapsed().as_secs_f64() * 1e3;
        eprintln!("its answer, {what}: {lines} lines, {bytes} bytes, {time:.0} ms");
        assert_eq!(lines, if each.is_empty() { 10 } else { 10_000 });
    }
}
