//! What is lost between us and Slurm: nothing is forgotten, and nothing runs twice.

use super::pretend::{Pretend, redact_names, until};

/// A cluster where every run is an array of its own.
fn six_arrays() -> Pretend {
    let pretend = Pretend::new();
    pretend.set("size", "2");
    let base = pretend.bench.read("base.toml");
    pretend.bench.write("base.toml", &format!("{base}\n[slurm]\nruns_per_task = 1\n"));
    pretend
}

fn run_all(pretend: &Pretend) {
    for job in pretend.jobs() {
        let script = fs_err::read_to_string(pretend.script(&job)).unwrap();
        if script.contains("slurm-task") {
            for index in 0..if script.contains("--array=0-1") { 2 } else { 1 } {
                let ran = pretend.run_task(&job, index);
                assert_eq!(ran.code, 0, "{}", ran.stderr);
            }
        }
    }
    let mut once = pretend.bench.ledger();
    once.dedup();
    assert_eq!((once.len(), pretend.bench.ledger().len()), (6, 6), "every run once");
}

#[test]
fn what_slurm_does_not_take_is_submitted_with_the_next_command() {
    let pretend = six_arrays();
    pretend.set("most", "1");
    let ran = pretend.submit(&[]);
    assert_eq!(ran.code, 5, "{}", ran.stdout);
    insta::assert_snapshot!(ran.stderr, @"
    6 runs: 0 done before, 6 to submit
      × 1 of 3 arrays are submitted, and no more: `sbatch` failed: sbatch: error: QOSMaxSubmitJobPerUserLimit
      │ sbatch: error: Batch job submission failed: Job violates accounting/QOS policy
      help: what Slurm has taken goes on, and results are kept; mend it, or wait for the controller to come back, then give the same command
    ");
    assert_eq!(pretend.jobs().len(), 1);
    pretend.unset("most");
    let again = pretend.submit(&[]);
    assert!(
        again.stderr.contains("0 done before, 2 in the queue, 4 to submit"),
        "{}",
        again.stderr
    );
    assert_eq!(again.code, 0);
    run_all(&pretend);
}

/// The array is in the queue and nobody took its number down.
#[test]
fn killed_between_submitting_and_taking_the_number_down_it_finds_the_job_by_its_name() {
    let pretend = six_arrays();
    pretend.set("lost", "");
    let ran = pretend.submit(&[]);
    assert_eq!(ran.code, 137, "{}", ran.stderr);
    assert_eq!(pretend.jobs().len(), 1);
    pretend.unset("lost");
    let status = pretend.sweep(&["status"]).stdout;
    assert!(status.contains("batch_size-[NAME] in Slurm: 2 tasks wait (Priority)"), "{status}");
    let again = pretend.submit(&[]);
    insta::assert_snapshot!(again.stderr, @"
    batch_size-[NAME]: jobs were found by their names
    6 runs: 0 done before, 2 in the queue, 4 to submit
    ");
    let jobs = pretend.bench.results().into_iter().filter(|file| file.ends_with("jobs.json"));
    let jobs: String = jobs.map(|file| pretend.bench.read(&format!("results/{file}"))).collect();
    assert!(jobs.contains("101"), "{jobs}");
    run_all(&pretend);
}

#[test]
fn an_answer_that_is_none_is_an_error_and_the_job_is_found() {
    let pretend = Pretend::new();
    pretend.set("garbage", "");
    let ran = pretend.submit(&[]);
    assert_eq!(ran.code, 5);
    assert!(ran.stderr.contains("`sbatch` says something odd: Congratulations!"), "{}", ran.stderr);
    pretend.unset("garbage");
    let again = pretend.submit(&[]);
    assert!(again.stderr.contains("jobs were found by their names"), "{}", again.stderr);
    assert_eq!(pretend.jobs(), ["101"], "nothing is submitted twice");
    run_all(&pretend);
}

#[test]
fn while_nobody_can_tell_what_is_in_the_queue_nothing_is_submitted() {
    let pretend = Pretend::new();
    assert_eq!(pretend.submit(&[]).code, 0);
    for (what, text) in [("dead", ""), ("says", "slurm_load_jobs: truncated\n")] {
        pretend.set(what, text);
        let ran = pretend.submit(&[]);
        assert_eq!(ran.code, 5, "{}", ran.stderr);
        assert!(ran.stderr.contains("so nothing is submitted: "), "{}", ran.stderr);
        let status = pretend.sweep(&["status"]);
        assert_eq!(status.code, 0);
        let unknown = "in Slurm (job 101): unknown, since nobody can tell: `squeue` ";
        assert!(status.stdout.contains(unknown), "{}", status.stdout);
        assert!(status.stdout.contains("| batch_size |    6 |        0 |"), "{}", status.stdout);
        pretend.unset(what);
    }
    assert_eq!(pretend.jobs().len(), 2);
    run_all(&pretend);
}

/// A folder that two people use: each asks for the jobs of both, and where those of the other are hidden, what is
/// not seen is not gone.
#[test]
fn jobs_of_another_user_are_in_the_queue_or_unknown() {
    const OTHER: &str = "4242";
    let pretend = Pretend::new();
    assert_eq!(pretend.submit(&[]).code, 0);
    let mut mappings =
        pretend.bench.results().into_iter().filter(|file| file.ends_with("mapping.json"));
    let mapping = format!("results/{}", mappings.next().unwrap());
    let us = rustix::process::getuid().as_raw();
    let text = pretend.bench.read(&mapping);
    let ours = format!("\"user\":{us},");
    assert!(text.contains(&ours), "{text}");
    pretend.bench.write(&mapping, &text.replace(&ours, &format!("\"user\":{OTHER},")));
    let ran = pretend.submit(&[]);
    assert!(ran.stderr.contains("6 in the queue, 0 to submit"), "{}", ran.stderr);
    assert!(pretend.told("calls").contains(&format!(" --user={us},{OTHER} ")));
    for (private, hidden) in [("jobs,usage", true), ("none", false)] {
        pretend.set("private", private);
        pretend.set("says", "");
        let status = pretend.sweep(&["status"]).stdout;
        assert_eq!(status.contains("unknown, since nobody can tell: "), hidden, "{status}");
        let ran = pretend.submit(&[]);
        assert_eq!(ran.code, if hidden { 5 } else { 0 }, "{}", ran.stderr);
        if hidden {
            insta::assert_snapshot!(ran.stderr, @"
            × nobody can tell what is in the queue, so nothing is submitted: batch_size-[NAME] was submitted by user 4242, and this cluster shows nobody the jobs of others (PrivateData); the same command by that user can tell
            help: what was submitted before goes on, and results are kept; give the same command when Slurm answers
            ");
        }
    }
    assert_eq!(pretend.jobs().len(), 4, "once it is known to be gone, and not before");
}

/// A controller that was started anew has forgotten them.
#[test]
fn what_vanished_from_the_queue_is_submitted_again() {
    let pretend = six_arrays();
    assert_eq!(pretend.submit(&[]).code, 0);
    assert_eq!(pretend.run_task("101", 1).code, 0);
    pretend.jobs().iter().for_each(|job| pretend.end(job));
    let again = pretend.submit(&[]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    insta::assert_snapshot!(again.stderr, @"6 runs: 1 done before, 5 to submit");
    let status = pretend.sweep(&["status"]).stdout;
    assert_eq!(status.matches(" in Slurm ").count(), 1, "the former one is over: {status}");
    // It was not lost after all.
    run_all(&pretend);
}

#[test]
fn following_submits_what_is_lost_again_and_gives_up_when_nothing_comes_of_it() {
    let pretend = six_arrays();
    let args = ["run", "batch_size.toml", "--launcher", "slurm", "--follow", "--poll", "1s"];
    let mut follower = pretend.start(&args);
    until(&mut follower, |line| line.contains(" (Priority)"));
    assert_eq!(pretend.run_task("101", 0).code, 0);
    let before = pretend.jobs();
    before.iter().for_each(|job| pretend.end(job));
    // A submission may vanish before anything comes of it; two in a row are no accident.
    for _ in 0..2 {
        until(&mut follower, |line| line.starts_with("6 runs: 1 done before, 5 to submit"));
        until(&mut follower, |line| line.contains(" (Priority)"));
        pretend.jobs().iter().for_each(|job| pretend.end(job));
    }
    let ran = pretend.bench.wait(follower);
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    insta::assert_snapshot!(redact_names(&ran.stderr), @"
    5 runs have no result, and nothing is in the queue
      × 5 runs have no result, and none came of the last 2 submissions; nothing is in the queue
      help: what the tasks said is in results/.slurm/*/logs; then give the same command
    ");
    run_all(&pretend);
}

/// Somebody else's tasks in the same folder bring none of our runs.
#[test]
fn following_is_not_deceived_by_the_tasks_of_other_sweeps() {
    let pretend = Pretend::new();
    let other = pretend
        .bench
        .read("batch_size.toml")
        .replace("batch_size = [16, 32, 64]", "learning_rate = [0.5]");
    let base = pretend.bench.read("base.toml");
    pretend.bench.write("other_base.toml", &format!("{base}\n[train]\nepochs = 7\n"));
    pretend.bench.write("other.toml", &other.replace("base.toml", "other_base.toml"));
    assert_eq!(pretend.sweep(&["run", "other.toml", "--launcher", "slurm"]).code, 0);
    let theirs = pretend.jobs();
    let args = ["run", "batch_size.toml", "--launcher", "slurm", "--follow", "--poll", "1s"];
    let mut follower = pretend.start(&args);
    until(&mut follower, |line| line.contains(" (Priority)"));
    let ours: Vec<String> =
        pretend.jobs().into_iter().filter(|job| !theirs.contains(job)).collect();
    ours.iter().for_each(|job| pretend.end(job));
    until(&mut follower, |line| line.starts_with("6 runs: 0 done before, 6 to submit"));
    follower.signal(rustix::process::Signal::KILL);
    pretend.bench.wait(follower);
}

/// Whose jobs are gone and whose runs have results is asked about once more, and then never.
#[test]
fn a_submission_without_a_collector_is_closed_by_the_next_command() {
    let pretend = Pretend::new();
    assert_eq!(pretend.submit(&[]).code, 0);
    assert_eq!(pretend.run_task("101", 0).code, 0);
    pretend.jobs().iter().for_each(|job| pretend.end(job));
    assert_eq!(pretend.submit(&[]).code, 0);
    let asked = pretend.told("calls").matches("squeue").count();
    assert_eq!(pretend.submit(&[]).code, 0);
    assert_eq!(pretend.told("calls").matches("squeue").count(), asked);
}

#[test]
fn a_submission_that_was_cut_off_counts_for_nothing() {
    let pretend = Pretend::new();
    pretend.bench.write("results/.slurm/batch_size-00000000/tasks/0.json", "{\"vers");
    assert!(pretend.sweep(&["status"]).stdout.contains("no sweep has run"));
    assert_eq!(pretend.submit(&[]).code, 0);
    run_all(&pretend);
}
