//! Sweeps whose results decide what comes next, and trainers of the user's own.

use std::path::Path;

use end_to_end::script::{Effect, World};

use super::pretend::{Pretend, until};

/// Runs all tasks that were taken and are not over.
fn run_all(pretend: &Pretend) {
    for job in pretend.jobs() {
        let script = fs_err::read_to_string(pretend.script(&job)).unwrap();
        let is_over = pretend.bench.path(&format!("bin/over/{job}")).exists();
        let array = script.lines().find_map(|line| line.strip_prefix("#SBATCH --array=0-"));
        if let (Some(last), false) = (array, is_over) {
            for index in 0..=last.parse::<usize>().unwrap() {
                let ran = pretend.run_task(&job, index);
                assert_eq!(ran.code, 0, "{}", ran.stderr);
            }
        }
        pretend.end(&job);
    }
}

const CHAIN: &str = r#"
    extends = "base.toml"
    strategy = "chain"
    switch = "best"
    replicates = 2
    [factors]
    batch_size = [16, 32, 64]
    learning_rate = [1e-4, 1e-3]
"#;

/// Batch size 64 is the best by far.
fn chain() -> Pretend {
    let pretend = Pretend::new();
    pretend.bench.write("batch_size.toml", CHAIN);
    let winner = Effect { batch_size: Some(64), add: 0.15, ..Effect::default() };
    let world = World { accuracy: 0.6, effects: vec![winner], images: 200, ..World::default() };
    pretend.bench.script(|script| script.world = Some(world));
    pretend
}

/// Without `--follow` each command submits one stage; with it the command goes from stage to stage.
#[test]
fn a_chain_is_submitted_stage_by_stage() {
    let pretend = chain();
    let first = pretend.submit(&[]);
    assert!(first.stdout.starts_with("submitted 6 runs in "), "{}", first.stdout);
    run_all(&pretend);
    let second = pretend.submit(&[]);
    assert!(second.stderr.contains("8 runs: 6 done before, 2 to submit\n"), "{}", second.stderr);
    run_all(&pretend);
    let done = pretend.submit(&[]);
    assert_eq!((done.code, done.stderr.as_str()), (0, "8 runs: all done before\n"));
    assert_eq!(pretend.bench.ledger().len(), 8);
}

#[test]
fn a_chain_is_followed_from_stage_to_stage() {
    let pretend = chain();
    let args = ["run", "batch_size.toml", "--launcher", "slurm", "--follow", "--poll", "1s"];
    let mut follower = pretend.start(&args);
    for _stage in 0..2 {
        until(&mut follower, |line| line.ends_with(" (Priority)\n"));
        run_all(&pretend);
    }
    let ran = pretend.bench.wait(follower);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("batch_size     64 is taken"), "{}", ran.stdout);
    assert_eq!(pretend.bench.ledger().len(), 8);
}

/// The task knows its program, its folder and its settings from what was submitted: the sweep file may be gone.
#[test]
fn the_command_of_a_trainer_travels_with_the_task() {
    let pretend = own(
        "command = [\"sh\", \"train.sh\", \"--fast\"]",
        ("train.sh", "echo \"$PWD $* $SWEEP_PARAMS_LR\" >> ledger\necho 0.$((SWEEP_SEED + 5))\n"),
    );
    let folder = pretend.bench.path("").canonicalize().unwrap();
    let line = |lr: &str| format!("{} --fast {lr}", folder.display());
    assert_eq!(pretend.bench.ledger(), ["0.1", "0.1", "0.5", "0.5"].map(line));
}

#[test]
fn a_worker_of_one_s_own_travels_with_the_task() {
    if std::process::Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: there is no python3");
        return;
    }
    let worker = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/worker/worker.py");
    let worker = fs_err::read_to_string(worker).unwrap();
    own("command = [\"python3\", \"worker.py\"]\nprotocol = \"worker\"", ("worker.py", &worker));
}

/// Submits a sweep of a trainer of the user's own, and runs its tasks.
fn own(trainer: &str, (file, text): (&str, &str)) -> Pretend {
    let pretend = Pretend::new();
    pretend.bench.write(file, text);
    pretend.bench.write(
        "batch_size.toml",
        &format!(
            "replicates = 2\n[trainer]\n{trainer}\n[params]\nlr = 0.1\nepochs = 3\n\
             [factors]\nlr = [0.1, 0.5]\n"
        ),
    );
    let ran = pretend.submit(&[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.starts_with("submitted 4 runs in 4 tasks: "), "{}", ran.stdout);
    fs_err::remove_file(pretend.bench.path("batch_size.toml")).unwrap();
    run_all(&pretend);
    let results = pretend.bench.results();
    assert_eq!(results.iter().filter(|file| file.ends_with("/result.json")).count(), 4);
    pretend
}
