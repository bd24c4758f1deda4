//! What is submitted, and what comes of it.

use end_to_end::script::Act;
use rustix::process::Signal;

use super::pretend::{Pretend, until};
use crate::bench::Running;

#[test]
fn a_dry_run_prints_what_would_be_submitted_and_leaves_no_trace() {
    let pretend = Pretend::new();
    let base = pretend.bench.read("base.toml");
    let slurm = "[slurm]\npartition = \"gpu\"\ngres = \"gpu:1\"\ncpus = 4\nmem = \"16G\"\ntime = \"4h\"\n\
                 max_concurrent = 2\nruns_per_task = 1\nsetup = [\"module load cuda\"]\n\
                 flags = [\"--exclude=n7\"]\n";
    pretend.bench.write("base.toml", &format!("{base}\n{slurm}"));
    let ran = pretend.submit(&["--dry-run"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let program = crate::bench::sweep();
    insta::assert_snapshot!(ran.stdout.replace(program.to_str().unwrap(), "[SWEEP]"), @"
    #!/bin/bash
    #SBATCH --job-name=sweep.batch_size-[NAME].0
    #SBATCH --array=0-5%2
    #SBATCH --output=[DIR]/results/.slurm/batch_size-[NAME]/logs/%A_%a.log
    #SBATCH --open-mode=append
    #SBATCH --requeue
    #SBATCH --signal=B:USR1@120
    #SBATCH --partition=gpu
    #SBATCH --gres=gpu:1
    #SBATCH --cpus-per-task=4
    #SBATCH --mem=16G
    #SBATCH --time=0-04:00:00
    #SBATCH --exclude=n7

    trap '' USR1
    module load cuda
    export SWEEP_TRAIN=[WORKER]
    exec [SWEEP] --results [DIR]/results slurm-task batch_size-[NAME] --first 0 --requeues 10

    #!/bin/bash
    #SBATCH --job-name=sweep.batch_size-[NAME].collect
    #SBATCH --output=[DIR]/results/.slurm/batch_size-[NAME]/logs/collect-%j.log
    #SBATCH --open-mode=append
    #SBATCH --partition=gpu
    #SBATCH --mem=2G
    #SBATCH --time=0-01:00:00
    #SBATCH --exclude=n7

    module load cuda
    export SWEEP_TRAIN=[WORKER]
    exec [SWEEP] --results [DIR]/results slurm-collect batch_size-[NAME]
    ");
    insta::assert_snapshot!(ran.stderr, @"6 runs in 6 tasks, 1 array; then the report");
    assert_eq!(pretend.told("calls"), "scontrol show config\n");
    assert!(!pretend.bench.path("results").exists());
}

#[test]
fn it_submits_and_returns_and_tasks_bring_the_results() {
    let pretend = Pretend::new();
    let ran = pretend.submit(&[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    insta::assert_snapshot!(ran.stdout, @"submitted 6 runs in 1 task: job 101; job 102 then writes the report");
    insta::assert_snapshot!(ran.stderr, @"6 runs: 0 done before, 6 to submit");
    assert_eq!(pretend.bench.ledger(), [""; 0], "nothing runs here");
    insta::assert_snapshot!(pretend.sweep(&["status"]).stdout, @"
    | sweep      | runs | finished | failed | interrupted | running | waiting |
    | ---------- | ---: | -------: | -----: | ----------: | ------: | ------: |
    | batch_size |    6 |        0 |      0 |           0 |       0 |       6 |

    nothing is at work
    batch_size-[NAME] in Slurm (job 101): 1 task waits (Priority)
    ");
    let again = pretend.submit(&[]);
    assert_eq!((again.code, again.stdout.as_str()), (0, ""));
    insta::assert_snapshot!(again.stderr, @"
    6 runs: 0 done before, 6 in the queue, 0 to submit
    batch_size-[NAME]: 1 task waits (Priority)
    ");

    let task = pretend.run_task("101", 0);
    assert_eq!(task.code, 0, "{}", task.stderr);
    insta::assert_snapshot!(task.stderr, @"
    Slurm job 101_0: 6 runs
    [1/6] baseline seed 1: 58736 (3 epochs, [TIME])
    [2/6] baseline seed 2: 60483 (3 epochs, [TIME])
    [3/6] batch_size=16 seed 1: 57123 (3 epochs, [TIME])
    [4/6] batch_size=16 seed 2: 58870 (3 epochs, [TIME])
    [5/6] batch_size=64 seed 1: 61962 (3 epochs, [TIME])
    [6/6] batch_size=64 seed 2: 63709 (3 epochs, [TIME])
    ");
    assert_eq!(pretend.bench.ledger().len(), 6);
    pretend.end("101");
    let collected = pretend.bench.wait(Running::start(pretend.task("102", 0, 0)));
    assert_eq!(collected.code, 0, "{}", collected.stderr);
    pretend.end("102");
    let done = pretend.submit(&[]);
    assert_eq!(done.stderr, "6 runs: all done before\n");
    assert_eq!(pretend.bench.read("results/batch_size/report.md"), done.stdout);
    assert!(pretend.bench.path("results/batch_size/report.html").is_file());
    let asked = pretend.told("calls").matches("squeue").count();
    assert!(pretend.sweep(&["status"]).stdout.ends_with("nothing is at work\n"));
    assert_eq!(
        pretend.told("calls").matches("squeue").count(),
        asked,
        "nothing is expected any more"
    );
    assert_eq!(pretend.run_task("101", 0).code, 0, "what is done is not done again");
    assert_eq!(pretend.bench.ledger().len(), 6);
}

#[test]
fn what_we_are_in_ourselves_does_not_leak_into_what_is_submitted() {
    let pretend = Pretend::new();
    let mut command = pretend.command(&["run", "batch_size.toml", "--launcher", "slurm"]);
    for (name, value) in [
        ("SLURM_CONF", "/etc/slurm/slurm.conf"),
        ("SLURM_JOB_ID", "7"),
        ("SLURM_MEM_PER_CPU", "100"),
        ("SBATCH_PARTITION", "debug"),
        ("SBATCH_EXPORT", "NONE"),
    ] {
        command.env(name, value);
    }
    assert_eq!(pretend.bench.wait(Running::start(command)).code, 0);
    assert_eq!(
        pretend.told("environment"),
        "SLURM_BITSTR_LEN=0\nSLURM_CONF=/etc/slurm/slurm.conf\n"
    );
}

#[test]
fn many_tasks_are_many_arrays_and_together_keep_to_the_limit() {
    let pretend = Pretend::new();
    pretend.set("size", "3");
    let base = pretend.bench.read("base.toml");
    let slurm = "[slurm]\nruns_per_task = 1\nmax_concurrent = 2\n";
    pretend.bench.write("base.toml", &format!("{base}\n{slurm}"));
    assert_eq!(pretend.submit(&[]).code, 0);
    let calls = pretend.told("calls");
    let sbatch: Vec<&str> = calls.lines().filter(|call| call.starts_with("sbatch")).collect();
    assert!(!sbatch[0].contains("--dependency"), "{calls}");
    assert!(sbatch[1].contains("--dependency=afterany:101 "), "{calls}");
    assert!(sbatch[2].contains("--dependency=afterany:101:102 "), "{calls}");
    for job in ["101", "102"] {
        let script = fs_err::read_to_string(pretend.script(job)).unwrap();
        assert!(script.contains("\n#SBATCH --array=0-2%2\n"), "{script}");
        (0..3).for_each(|index| assert_eq!(pretend.run_task(job, index).code, 0));
    }
    let mut once = pretend.bench.ledger();
    once.dedup();
    assert_eq!((once.len(), pretend.bench.ledger().len()), (6, 6));
}

/// Slurm's signal ahead of the time limit: what runs is stopped, what has ended is kept, and the task goes
/// back into the queue until that was often enough.
#[test]
fn a_task_whose_time_is_nearly_over_stops_and_goes_back_into_the_queue() {
    for (restarts, requeued) in [(0, "1010\n"), (9, "1010\n"), (10, "")] {
        let pretend = Pretend::new();
        pretend.bench.rule(2, 16, Act::Wait);
        pretend.submit(&[]);
        let task = Running::start(pretend.task("101", 0, restarts));
        let worker = pretend.bench.accept();
        assert_eq!(worker.who, "2 16");
        if restarts == 9 {
            let status = pretend.sweep(&["status"]).stdout;
            assert!(status.contains(" (Slurm job 101_0, restart 9) is at work since "), "{status}");
            let status = pretend.sweep(&["status", "--json"]).stdout;
            let status: serde_json::Value = serde_json::from_str(&status).unwrap();
            let of = |what: &str| status["sweeps"][0][what].as_u64().unwrap();
            assert_eq!((of("running") + of("finished"), of("waiting")), (6, 0), "{status}");
            assert!(of("running") >= 3, "{status}");
        }
        task.signal(Signal::USR1);
        assert_eq!(worker.rest(), "stopped\n", "it is asked, not killed");
        let ran = pretend.bench.wait(task);
        assert_eq!(ran.code, 130, "{}", ran.stderr);
        assert_eq!(pretend.told("requeued"), requeued);
        assert!(ran.stderr.contains("3 runs stay open: back in"), "{}", ran.stderr);
        let claims =
            pretend.bench.results().into_iter().filter(|file| file.contains("claims/runs/"));
        assert_eq!(claims.collect::<Vec<_>>(), [""; 0], "let go of before it is requeued");
        pretend.bench.script(|_| {});
        assert_eq!(pretend.run_task("101", 0).code, 0);
        assert_eq!(pretend.bench.ledger().len(), 6, "nothing twice");
    }
}

/// The signal may come before anything runs: a task reads its orders, looks at its GPUs, loads its libraries.
#[test]
fn a_task_that_is_warned_before_it_begins_does_not_begin() {
    let pretend = Pretend::new();
    pretend.submit(&[]);
    let results = pretend.bench.results();
    let order = results.iter().find(|file| file.ends_with("tasks/0.json")).unwrap();
    let order = pretend.bench.path(&format!("results/{order}"));
    let orders = fs_err::read(&order).unwrap();
    fs_err::remove_file(&order).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&order).status().unwrap();
    assert!(made.success());
    let task = Running::start(pretend.task("101", 0, 0));
    // It opens when the task reads it, which listens by then.
    let mut pipe = fs_err::OpenOptions::new().write(true).open(&order).unwrap();
    task.signal(Signal::USR1);
    std::io::Write::write_all(&mut pipe, &orders).unwrap();
    drop(pipe);
    let ran = pretend.bench.wait(task);
    assert_eq!(ran.code, 130, "{}", ran.stderr);
    assert_eq!(pretend.told("requeued"), "1010\n");
    assert_eq!(pretend.bench.ledger(), [""; 0]);
}

#[test]
fn a_task_whose_runs_failed_says_so_and_they_run_again_when_asked_to() {
    let pretend = Pretend::new();
    pretend.bench.rule(1, 16, Act::Fail);
    pretend.submit(&[]);
    assert_eq!(pretend.run_task("101", 0).code, 3);
    // Still in the queue, with another reason to be there: the failed run is not covered by it.
    pretend.bench.script(|_| {});
    let again = pretend.submit(&["--retry-failed"]);
    assert!(again.stderr.contains("6 runs: 5 done before, 1 to submit\n"), "{}", again.stderr);
    assert_eq!(pretend.run_task("103", 0).code, 0);
    assert_eq!(pretend.bench.ledger().len(), 7);
    assert_eq!(pretend.run_task("101", 0).code, 0);
    assert_eq!(pretend.bench.ledger().len(), 7);
}

#[test]
fn following_waits_for_the_results_and_shows_them() {
    let pretend = Pretend::new();
    let args = ["run", "batch_size.toml", "--launcher", "slurm", "--follow", "--poll", "1s"];
    let mut follower = pretend.start(&args);
    until(&mut follower, |line| line.ends_with(": 1 task waits (Priority)\n"));
    pretend.set("dead", "");
    until(&mut follower, |line| line.starts_with("Slurm does not answer"));
    pretend.unset("dead");
    assert_eq!(pretend.run_task("101", 0).code, 0);
    let ran = pretend.bench.wait(follower);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("[6/6] "), "{}", ran.stderr);
    assert!(ran.stdout.contains("# batch_size\n"), "{}", ran.stdout);
}

#[test]
fn options_that_mean_nothing_are_refused() {
    let pretend = Pretend::new();
    for (args, said) in [
        (&["--launcher", "slurm", "--fail-fast"][..], "tasks do not hear of each other"),
        (&["--dry-run"], "nothing is to be"),
        (&["--follow"], "nothing is to be"),
        (&["--launcher", "slurm", "--follow", "--poll", "0s"], "1s at least"),
    ] {
        let ran = pretend.sweep(&[&["run", "batch_size.toml"], args].concat());
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
    }
    let ran = pretend.sweep(&["slurm-task", "x", "--first", "0", "--requeues", "0"]);
    assert!(ran.stderr.contains("this is no task of a Slurm array"), "{}", ran.stderr);
    assert_eq!(ran.code, 2);
    let missing = pretend.bench.sweep(&["run", "batch_size.toml", "--launcher", "slurm"]);
    if missing.code != 0 {
        assert_eq!(missing.code, 5, "{}", missing.stderr);
    }
    assert!(!pretend.bench.path("results/.slurm/x").exists());
}
