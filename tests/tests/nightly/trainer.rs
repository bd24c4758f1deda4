//! Nights of trainers of the user's own.

use super::{EVENING, at, bench, command, night, summary};
use crate::bench::{Bench, Running};

const NIGHTLY: &str = "sweeps = [\"own.toml\"]\ndevices = \"cpu:1\"\ntimezone = \"utc\"\n";

/// A bench whose nights have one sweep, of a shell script whose score is a little above `score` under each of
/// eight seeds.
fn own(score: &str) -> Bench {
    let bench = bench("");
    bench.write("nightly.toml", NIGHTLY);
    bench.write(
        "own.toml",
        r#"
        replicates = 8
        [trainer]
        command = ["sh", "train.sh"]
        [params]
        lr = 0.1
        [factors]
        lr = [0.1, 0.5]
        "#,
    );
    scores(&bench, score);
    bench
}

fn scores(bench: &Bench, score: &str) {
    bench.write("train.sh", &format!("echo ran >> ledger\necho 0.{score}$SWEEP_SEED\n"));
}

fn ran(bench: &Bench) -> usize {
    bench.read("ledger").lines().count()
}

#[test]
fn a_trainer_of_one_s_own_has_nights_as_the_built_in_one_has() {
    let bench = own("8");
    let first = night(&bench, 0);
    assert_eq!(first.code, 0, "{}{}", first.stdout, first.stderr);
    assert_eq!(ran(&bench), 16);
    assert_eq!(night(&bench, 1).code, 0);
    assert_eq!(ran(&bench), 32, "every night does everything anew");
    scores(&bench, "5");
    let worse = night(&bench, 2);
    assert_eq!(worse.code, 4, "{}", worse.stdout);
    let changed = &summary(&bench, "2026-11-28")["sweeps"][0]["changed"];
    assert_eq!(changed[0]["what"], "trainer's files", "{changed}");
    assert_eq!(changed.as_array().unwrap().len(), 1, "{changed}");
}

#[test]
fn it_needs_no_worker_of_ours() {
    let bench = own("8");
    let night = |now| {
        let mut command = command(&bench, now, &[]);
        command.env("SWEEP_TRAIN", "/nowhere/sweep-train");
        bench.wait(Running::start(command))
    };
    let alone = night(EVENING);
    assert_eq!(alone.code, 0, "{}{}", alone.stdout, alone.stderr);
    assert_eq!(summary(&bench, "2026-11-26")["toolchain"]["worker"], serde_json::Value::Null);
    // Beside a sweep that needs one, it runs all the same, and the night says what is missing.
    bench.write(
        "nightly.toml",
        &NIGHTLY.replace("[\"own.toml\"]", "[\"batch_size.toml\", \"own.toml\"]"),
    );
    let both = night(EVENING + 3600);
    assert_eq!(both.code, 5, "{}", both.stderr);
    assert!(
        both.stdout.contains("- there is no worker: /nowhere/sweep-train\n"),
        "{}",
        both.stdout
    );
    let sweeps = &summary(&bench, "2026-11-26.2")["sweeps"];
    assert_eq!(sweeps[0]["state"], "not_begun");
    assert_eq!((&sweeps[1]["state"], &sweeps[1]["finished"]), (&"complete".into(), &16.into()));
}

#[test]
fn what_is_left_of_it_goes_on_the_next_night() {
    let bench = own("8");
    bench.write("nightly.toml", &format!("{NIGHTLY}budget = \"1h\"\n"));
    // The last run ends its whole night: the shell's parent is the adapter, whose parent is `sweep`.
    bench.write(
        "train.sh",
        "if [ -e kill ] && [ $SWEEP_SEED = 8 ] && [ $SWEEP_PARAMS_LR = 0.5 ]; then\n\
         rm kill; kill -KILL $(cut -d' ' -f4 /proc/$PPID/stat); exit 1\n\
         fi\n\
         echo ran >> ledger\necho 0.8$SWEEP_SEED\n",
    );
    bench.write("kill", "");
    let killed = night(&bench, 0);
    assert_eq!(killed.code, 137, "{}", killed.stderr);
    let next = at(&bench, EVENING + 24 * 3600);
    assert_eq!(next.code, 0, "{}{}", next.stdout, next.stderr);
    let sweep = &summary(&bench, "2026-11-27")["sweeps"][0];
    assert_eq!(sweep["state"], "complete");
    // The last ones that ended may not have been on the disk yet.
    let carried = sweep["carried"].as_u64().unwrap();
    assert!(carried >= 1, "{carried}");
    assert_eq!(ran(&bench) as u64, 15 + 16 - carried, "nothing twice that was stored");
}
