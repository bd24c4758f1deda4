//! Nodes, controllers, jobs and time that are lost. Minutes each: only where `SWEEP_TEST_LONG` is set.

use super::Real;
use crate::slurm::cluster::{NODES, wait};

#[test]
fn tasks_that_are_cancelled_or_lost_are_submitted_again() {
    let Some(mut real) = Real::up_for_long(10, "runs_per_task = 2\ncpus = 1\nmax_concurrent = 3")
    else {
        return;
    };
    real.hold(3);
    let ran = real.submitted();
    let held = real.bench.accept();
    // Some are cancelled, one of them under way.
    let (_, jobs) = ran.stdout.split_once("job ").unwrap();
    let job = jobs.split([',', ';']).next().unwrap();
    assert!(real.cluster.ask("scancel", &[job]).status.success());
    // Slurm asks the worker to end as it asks us: it is gone, whether it heard of us before or not.
    held.rest();
    wait("the queue is empty", || real.cluster.states().is_empty());
    assert!(real.results() < 40);
    real.release();
    real.hold(4);
    real.submitted();
    let held = real.bench.accept();
    // The cluster forgets the rest; a node that begins anew ends what it finds of jobs that nobody knows.
    real.cluster.lose_all_jobs();
    assert_eq!(real.cluster.states(), "");
    drop(held);
    real.release();
    real.cluster.administered(|| real.go_on_until_done());
    real.each_once(40);
}

/// A node's daemon dies and the tasks on it live on. Slurm takes them for lost and starts them again beside
/// themselves.
#[test]
fn a_task_that_slurm_starts_again_beside_itself_waits() {
    let Some(mut real) = Real::up_for_long(50, "runs_per_task = 5\ncpus = 1") else { return };
    real.hold(30);
    real.submitted();
    let held = real.bench.accept();
    // All others have ended, and the report waits.
    wait("it is the last one", || real.cluster.states() == "PENDING\nRUNNING\n");
    let node = (0..NODES)
        .find(|node| {
            !real.cluster.says("squeue", &["-h", "-t", "R", "-w", &format!("n{node}")]).is_empty()
        })
        .unwrap();
    real.cluster.kill_node(node);
    wait("the task is started again beside itself", || real.logs().contains(", restart 1"));
    let status = real.status();
    assert_eq!(
        status.matches(" is at work since ").count(),
        2,
        "the old one and the new one: {status}"
    );
    held.go_on();
    real.cluster.start_node(node);
    real.go_on_until_done();
    real.each_once(200);
}

#[test]
fn a_controller_that_is_killed_and_comes_back_loses_nothing() {
    let Some(mut real) = Real::up_for_long(50, "runs_per_task = 5\ncpus = 1") else { return };
    real.hold(30);
    real.submitted();
    let held = real.bench.accept();
    real.cluster.kill_controller();
    let unknown = real.submit(&[]);
    assert_eq!(unknown.code, 5, "{}", unknown.stderr);
    assert!(unknown.stderr.contains("so nothing is submitted"), "{}", unknown.stderr);
    held.go_on();
    real.cluster.start_again(&[]);
    real.release();
    real.cluster.administered(|| real.go_on_until_done());
    real.each_once(200);
}

/// Slurm warns a task before its time is over; the task stops, goes back into the queue and goes on there.
#[test]
fn a_task_whose_time_is_over_goes_on_in_the_next_one() {
    let Some(real) = Real::up_for_long(
        5,
        "runs_per_task = 20\ncpus = 1\ntime = \"3m\"\ngrace = \"2m\"\nrequeues = 3",
    ) else {
        return;
    };
    real.hold(3);
    real.submitted();
    let held = real.bench.accept();
    assert_eq!(held.rest(), "stopped\n", "it is warned");
    real.release();
    wait("it is back in the queue", || real.logs().contains("back into the queue"));
    real.go_on_until_done();
    real.each_once(20);
    assert!(real.logs().contains(", restart 1: 20 runs"), "{}", real.logs());
}

/// A partition that comes first takes the nodes. Slurm warns the task in the first moment of the time that it has to
/// leave them; it stops, goes back into the queue and goes on when there is room.
#[test]
fn a_task_that_has_to_make_room_goes_on_when_there_is_some() {
    let Some(mut real) = Real::up_for_long(5, "runs_per_task = 20\ncpus = 1\nrequeues = 3") else {
        return;
    };
    real.cluster.configured_anew(|conf| {
        let least = "PartitionName=main PriorityTier=1 PreemptMode=REQUEUE GraceTime=110 ";
        let conf = conf.replace("PartitionName=main ", least);
        format!(
            "{conf}PreemptType=preempt/partition_prio\nPreemptMode=REQUEUE\n\
             SlurmctldParameters=preempt_send_user_signal\n\
             PartitionName=urgent Nodes=ALL PriorityTier=10 DefMemPerCPU=50 State=UP\n"
        )
    });
    real.hold(3);
    real.submitted();
    let held = real.bench.accept();
    let all = format!("--nodes={NODES}");
    let urgent = ["-p", "urgent", &all, "--exclusive", "-o", "/dev/null", "--wrap", "true"];
    let urgent = real.cluster.ask("sbatch", &urgent);
    assert!(urgent.status.success(), "{}", String::from_utf8_lossy(&urgent.stderr));
    assert_eq!(held.rest(), "stopped\n", "it is warned, and not killed");
    real.release();
    wait("it is back in the queue", || real.logs().contains("back into the queue"));
    real.go_on_until_done();
    real.each_once(20);
    assert!(real.logs().contains(", restart 1: 20 runs"), "{}", real.logs());
}
