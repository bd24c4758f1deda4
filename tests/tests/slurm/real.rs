//! On a real Slurm with four nodes and four GPUs on each, which are none: whatever happens, every run ends
//! with a result, exactly once.

use std::collections::BTreeSet;
use std::process::Command;

use end_to_end::script::{Act, Rule};

use super::cluster::{Cluster, is_here, wait};
use crate::bench::{Bench, Ran, Running, is_long};

/// 4 batch sizes, each under `seeds` seeds.
fn bench(seeds: usize, slurm: &str) -> Bench {
    let bench = Bench::new();
    bench.write(
        "many.toml",
        &format!(
            "extends = \"base.toml\"\nreplicates = {seeds}\n[schedule]\ndevices = \"cuda\"\n\
             [factors]\nbatch_size = [8, 16, 32, 64]\n[slurm]\ngres = \"gpu:1\"\n{slurm}\n"
        ),
    );
    bench.script(|script| script.gpus = 1);
    bench
}

fn command(bench: &Bench, cluster: &Cluster, args: &[&str]) -> Command {
    let mut command = bench.command(args);
    command.env("SLURM_CONF", cluster.conf());
    command
}

/// `sweep run many.toml --launcher slurm`; the file says on which devices, not the bench.
fn submit(bench: &Bench, cluster: &Cluster, more: &[&str]) -> Running {
    let mut command = command(bench, cluster, &[]);
    command.args(["run", "many.toml", "--launcher", "slurm"]).args(more);
    Running::start(command)
}

fn submitted(bench: &Bench, cluster: &Cluster) -> Ran {
    let ran = bench.wait(submit(bench, cluster, &[]));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran
}

fn results(bench: &Bench) -> usize {
    bench.results().iter().filter(|file| file.ends_with("/result.json")).count()
}

/// Waits for the end of all that is submitted, and submits what was lost, until nothing is open.
fn go_on_until_done(bench: &Bench, cluster: &Cluster) {
    let ran = bench.wait(submit(bench, cluster, &["--follow", "--poll", "500ms"]));
    assert_eq!(ran.code, 0, "{}\n{}", ran.stderr, logs(bench));
    assert!(ran.stdout.contains("# many\n"), "{}", ran.stdout);
}

/// Each run came to its end once, and has a result.
fn each_once(bench: &Bench, runs: usize) {
    let ledger = bench.ledger();
    let once: BTreeSet<&String> = ledger.iter().collect();
    assert_eq!((once.len(), ledger.len()), (runs, runs), "{ledger:?}\n{}", logs(bench));
    assert_eq!(results(bench), runs);
    let left = bench.results().into_iter().filter(|file| file.starts_with(".claims/runs"));
    assert_eq!(left.collect::<Vec<_>>(), [""; 0], "claims are let go");
}

fn logs(bench: &Bench) -> String {
    let logs = bench
        .results()
        .into_iter()
        .filter(|file| file.contains(".slurm/") && file.ends_with(".log"));
    logs.map(|file| format!("{file}:\n{}\n", bench.read(&format!("results/{file}")))).collect()
}

/// Runs of one seed wait until somebody says that they may go on.
fn hold(bench: &Bench, seed: u64) {
    bench.change_script(|script| {
        script.rules =
            vec![Rule { seed: Some(seed), batch_size: Some(32), times: None, act: Act::Wait }];
    });
}

#[test]
fn two_hundred_runs_on_four_nodes() {
    if !is_here() {
        return;
    }
    let cluster = Cluster::up();
    let bench = bench(50, "runs_per_task = 5\ncpus = 1\nmem = \"100M\"\ntime = \"10m\"");
    let ran = submitted(&bench, &cluster);
    assert!(ran.stdout.starts_with("submitted 200 runs in 40 tasks: jobs "), "{}", ran.stdout);
    // The collector writes the report after all else.
    wait("the report is there", || bench.path("results/many/report.md").is_file());
    each_once(&bench, 200);
    let devices: BTreeSet<String> = bench
        .results()
        .iter()
        .filter(|file| file.ends_with("/result.json"))
        .map(|file| {
            let text = bench.read(&format!("results/{file}"));
            let result: serde_json::Value = serde_json::from_str(&text).unwrap();
            result["device"].as_str().unwrap().to_owned()
        })
        .collect();
    let gpus: BTreeSet<String> = (0..4).map(|gpu| format!("fake GPU {gpu}")).collect();
    assert_eq!(devices, gpus, "each worker sees the one that Slurm gave");
    let again = bench.wait(submit(&bench, &cluster, &[]));
    assert_eq!((again.code, again.stderr.as_str()), (0, "200 runs: all done before\n"));
    assert_eq!(bench.read("results/many/report.md"), again.stdout);
    let status = bench.wait(Running::start(command(&bench, &cluster, &["status"]))).stdout;
    assert!(status.ends_with("nothing is at work\n"), "{status}");
}

#[test]
fn tasks_that_are_cancelled_or_lost_are_submitted_again() {
    if !is_here() || !is_long() {
        return;
    }
    let mut cluster = Cluster::up();
    let bench = bench(10, "runs_per_task = 2\ncpus = 1\nmax_concurrent = 3");
    hold(&bench, 3);
    let ran = submitted(&bench, &cluster);
    let held = bench.accept();
    // Some are cancelled, one of them under way.
    let (_, jobs) = ran.stdout.split_once("job ").unwrap();
    let job = jobs.split([',', ';']).next().unwrap();
    assert!(cluster.ask("scancel", &[job]).status.success());
    // Slurm asks the worker to end as it asks us: it is gone, whether it heard of us before or not.
    held.rest();
    wait("the queue is empty", || cluster.states().is_empty());
    assert!(results(&bench) < 40);
    bench.change_script(|script| script.rules = Vec::new());
    hold(&bench, 4);
    submitted(&bench, &cluster);
    let held = bench.accept();
    // The cluster forgets the rest; a node that begins anew ends what it finds of jobs that nobody knows.
    cluster.lose_all_jobs();
    assert_eq!(cluster.states(), "");
    drop(held);
    bench.change_script(|script| script.rules = Vec::new());
    go_on_until_done(&bench, &cluster);
    each_once(&bench, 40);
}

/// A node's daemon dies and the tasks on it live on. Slurm takes them for lost and starts them again beside
/// themselves.
#[test]
fn a_task_that_slurm_starts_again_beside_itself_waits() {
    if !is_here() || !is_long() {
        return;
    }
    let mut cluster = Cluster::up();
    let bench = bench(50, "runs_per_task = 5\ncpus = 1");
    hold(&bench, 30);
    submitted(&bench, &cluster);
    let held = bench.accept();
    // All others have ended, and the report waits.
    wait("it is the last one", || cluster.states() == "PENDING\nRUNNING\n");
    let node = (0..super::cluster::NODES)
        .find(|node| {
            !cluster.says("squeue", &["-h", "-t", "R", "-w", &format!("n{node}")]).is_empty()
        })
        .unwrap();
    cluster.kill_node(node);
    wait("the task is started again beside itself", || logs(&bench).contains(", restart 1"));
    let status = bench.wait(Running::start(command(&bench, &cluster, &["status"]))).stdout;
    assert_eq!(
        status.matches(" is at work since ").count(),
        2,
        "the old one and the new one: {status}"
    );
    held.go_on();
    cluster.start_node(node);
    go_on_until_done(&bench, &cluster);
    each_once(&bench, 200);
}

#[test]
fn a_controller_that_is_killed_and_comes_back_loses_nothing() {
    if !is_here() || !is_long() {
        return;
    }
    let mut cluster = Cluster::up();
    let bench = bench(50, "runs_per_task = 5\ncpus = 1");
    hold(&bench, 30);
    submitted(&bench, &cluster);
    let held = bench.accept();
    cluster.kill_controller();
    let unknown = bench.wait(submit(&bench, &cluster, &[]));
    assert_eq!(unknown.code, 5, "{}", unknown.stderr);
    assert!(unknown.stderr.contains("so nothing is submitted"), "{}", unknown.stderr);
    held.go_on();
    cluster.start_again(&[]);
    bench.change_script(|script| script.rules = Vec::new());
    go_on_until_done(&bench, &cluster);
    each_once(&bench, 200);
}

/// Slurm warns a task before its time is over; the task stops, goes back into the queue and goes on there.
#[test]
fn a_task_whose_time_is_over_goes_on_in_the_next_one() {
    if !is_here() || !is_long() {
        return;
    }
    let cluster = Cluster::up();
    let bench =
        bench(5, "runs_per_task = 20\ncpus = 1\ntime = \"3m\"\ngrace = \"2m\"\nrequeues = 3");
    hold(&bench, 3);
    submitted(&bench, &cluster);
    let held = bench.accept();
    assert_eq!(held.rest(), "stopped\n", "it is warned");
    bench.change_script(|script| script.rules = Vec::new());
    wait("it is back in the queue", || logs(&bench).contains("back into the queue"));
    go_on_until_done(&bench, &cluster);
    each_once(&bench, 20);
    assert!(logs(&bench).contains(", restart 1: 20 runs"), "{}", logs(&bench));
}
