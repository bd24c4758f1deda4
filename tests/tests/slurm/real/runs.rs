//! What is submitted comes to its end.

use std::collections::BTreeSet;

use super::Real;
use crate::slurm::cluster::wait;

#[test]
fn two_hundred_runs_on_four_nodes() {
    let Some(real) = Real::up(50, "runs_per_task = 5\ncpus = 1\nmem = \"100M\"\ntime = \"10m\"")
    else {
        return;
    };
    let ran = real.submitted();
    assert!(ran.stdout.starts_with("submitted 200 runs in 40 tasks: jobs "), "{}", ran.stdout);
    // The collector writes the report after all else.
    wait("the report is there", || real.bench.path("results/many/report.md").is_file());
    real.each_once(200);
    let devices: BTreeSet<String> = real
        .bench
        .results()
        .iter()
        .filter(|file| file.ends_with("/result.json"))
        .map(|file| {
            let text = real.bench.read(&format!("results/{file}"));
            let result: serde_json::Value = serde_json::from_str(&text).unwrap();
            result["device"].as_str().unwrap().to_owned()
        })
        .collect();
    let gpus: BTreeSet<String> = (0..4).map(|gpu| format!("fake GPU {gpu}")).collect();
    assert_eq!(devices, gpus, "each worker sees the one that Slurm gave");
    let again = real.submit(&[]);
    assert_eq!((again.code, again.stderr.as_str()), (0, "200 runs: all done before\n"));
    assert_eq!(real.bench.read("results/many/report.md"), again.stdout);
    let status = real.status();
    assert!(status.ends_with("nothing is at work\n"), "{status}");
}

/// A trainer of the user's own needs nothing of ours on the nodes but `sweep`: what it is and where travels with
/// the task.
#[test]
fn a_trainer_of_one_s_own_runs_on_the_nodes() {
    let Some(real) = Real::up(1, "") else { return };
    real.bench.write(
        "many.toml",
        "replicates = 3\n[trainer]\ncommand = [\"sh\", \"train.sh\", \"{lr}\"]\n[params]\nlr = 0.1\n\
         [factors]\nlr = [0.1, 0.5]\n[slurm]\ngres = \"gpu:1\"\ncpus = 1\n",
    );
    let train = "echo \"$SWEEP_SEED $1 $SLURMD_NODENAME\" >> ledger\necho 0.$((SWEEP_SEED + 5))\n";
    real.bench.write("train.sh", train);
    let ran = real.go_on_until_done();
    real.each_once(6);
    assert!(ran.stderr.contains("[6/6] "), "{}", ran.stderr);
    let nodes = real.bench.ledger();
    assert!(nodes.iter().all(|run| run.contains(" n")), "each was at a node: {nodes:?}");
    let again = real.submit(&[]);
    assert_eq!((again.code, again.stderr.as_str()), (0, "6 runs: all done before\n"));
}

/// What comes next is decided from results while it is followed: round after round is submitted.
#[test]
fn seeds_until_there_is_a_verdict_are_followed_round_by_round() {
    let Some(real) = Real::up(1, "") else { return };
    let text = real.bench.read("many.toml");
    let text =
        text.replace("replicates = 1", "replicates = { min = 2, max = 4, until = \"decided\" }");
    real.bench.write("many.toml", &text.replace("[8, 16, 32, 64]", "[32, 64]"));
    let ran = real.go_on_until_done();
    // Two levels of two, three and four seeds: too few for a verdict.
    real.each_once(8);
    assert_eq!(ran.stdout.matches("submitted ").count(), 3, "{}", ran.stdout);
}
