//! What a program is told and what is made of what it says.

use super::{bench, file, result, run};
use crate::bench::Running;
use crate::devices;

#[test]
fn a_script_is_told_its_run_and_its_epochs_and_score_are_kept() {
    let bench = bench(
        r#"echo "got $* $SWEEP_PARAMS_KIND $SWEEP_SEED $SWEEP_DEVICE"
        grep -q '"kind": "plain"' "$SWEEP_CONFIG" || exit 1
        echo '{"epoch": 1, "loss": 0.5, "val_accuracy": 0.25, "seconds": 2}'
        echo 'Epoch 2/2 [=====>'
        printf '\377 no text\n'
        echo '{"epoch": 2, "loss": NaN, "seconds": 2}'
        echo chatter >&2
        echo "{\"score\": 0.$((SWEEP_SEED + 5))}""#,
    );
    let ran = run(&bench, 0);
    insta::assert_snapshot!(ran.stderr, @"
    4 runs: 0 done before, 4 to do on cpu 1 ([CORES] threads)
    [1/4] baseline seed 1: 60000 (2 epochs, [TIME])
    [2/4] baseline seed 2: 70000 (2 epochs, [TIME])
    [3/4] lr=0.5 seed 1: 60000 (2 epochs, [TIME])
    [4/4] lr=0.5 seed 2: 70000 (2 epochs, [TIME])
    ");
    insta::assert_snapshot!(ran.stdout, @r#"
    # own

    | factor | level          | score | 95 % interval | difference |     p | verdict                                 | seeds |
    | ------ | -------------- | ----: | ------------: | ---------: | ----: | --------------------------------------- | ----: |
    | lr     | 0.1 (baseline) | 65000 | 1468 - 100000 |          - |     - | the baseline                            |     2 |
    | lr     | 0.5            | 65000 | 1468 - 100000 |          0 | 1.000 | too few seeds to tell: 6 needed, 2 here |     2 |

    Intervals are 95 %, over other seeds. Differences are to the baseline under the same seeds, and p is Holm's over all rows: in at most one table of twenty is any "better" or "worse" a false one. Each interval is 95 % by itself: of many rows some intervals miss. With so few seeds no difference could have been shown, however large.

    lr: 0.5 trained exactly as 0.1 did, under every seed: here the difference changes nothing.

    What the runs took, in the mean over seeds, and how seeds differ. Time that runs share, such as for features, counts for the first of them:

    | factor | level          |  std |     min - max | epochs | updates | images seen |  time |
    | ------ | -------------- | ---: | ------------: | -----: | ------: | ----------: | ----: |
    | lr     | 0.1 (baseline) | 7071 | 60000 - 70000 |      2 |       0 |           0 | T.T s |
    | lr     | 0.5            | 7071 | 60000 - 70000 |      2 |       0 |           0 | T.T s |
    "#);
    insta::assert_snapshot!(file(&bench, "metrics.csv"), @"
    fold,epoch,loss,accuracy,val_loss,val_accuracy,val_auc,learning_rate,seconds
    ,1,0.5,,,0.25,,,2.0
    ,2,,,,,,,2.0
    ");
    assert_eq!((&result(&bench)["score"], &result(&bench)["epochs"]), (&0.6.into(), &2.into()));
    let log = file(&bench, "attempts/1.log");
    for said in ["got --rate=0.1 {} plain 1 cpu\n", "Epoch 2/2 [=====>\n", "chatter\n"] {
        assert!(log.contains(said), "{log}");
    }
}

#[test]
fn predictions_are_compared_image_by_image() {
    let bench = bench(
        r#"right=$([ $SWEEP_PARAMS_LR = 0.5 ] && echo 35 || echo 20)
        { echo image,label,predicted
        for image in $(seq 40); do
            echo $image,yes,$([ $image -le $((right + SWEEP_SEED)) ] && echo yes || echo no)
        done; } > "$SWEEP_PREDICTIONS""#,
    );
    let ran = run(&bench, 0);
    insta::assert_snapshot!(ran.stdout, @r#"
    # own

    | factor | level          | score | 95 % interval |                difference |     p | verdict                                 | seeds |
    | ------ | -------------- | ----: | ------------: | ------------------------: | ----: | --------------------------------------- | ----: |
    | lr     | 0.1 (baseline) | 53750 | 29945 - 76359 |                         - |     - | the baseline                            |     2 |
    | lr     | 0.5            | 91250 | 57014 - 99860 | +37500 (+22207 to +52793) | 0.500 | too few seeds to tell: 6 needed, 2 here |     2 |

    One test image of 40 is worth 2500 points.

    Intervals are 95 %, over other seeds and other test images. Differences are to the baseline under the same seeds, and p is Holm's over all rows: in at most one table of twenty is any "better" or "worse" a false one. Each interval is 95 % by itself: of many rows some intervals miss. With so few seeds no difference could have been shown, however large.

    What the runs took, in the mean over seeds, and how seeds differ. Time that runs share, such as for features, counts for the first of them:

    | factor | level          |  std |     min - max | epochs | updates | images seen |  time |
    | ------ | -------------- | ---: | ------------: | -----: | ------: | ----------: | ----: |
    | lr     | 0.1 (baseline) | 1768 | 52500 - 55000 |      0 |       0 |           0 | T.T s |
    | lr     | 0.5            | 1768 | 90000 - 92500 |      0 |       0 |           0 | T.T s |
    "#);
    assert_eq!(result(&bench)["test"]["correct"], 21);
    assert_eq!(file(&bench, "predictions.csv").lines().count(), 41);
}

#[test]
fn metrics_and_score_may_be_files() {
    let bench = bench(
        r#"echo '{"epoch": 9, "score": 2}'
        echo '{"epoch": 1, "val_loss": 0.5}' > $SWEEP_METRICS
        printf '{"epoch": 2, "val_loss": 0.25}' >> $SWEEP_METRICS
        echo 0.75 > $SWEEP_SCORE"#,
    );
    let text = bench.read("own.toml").replace("[params]", "metrics = \"file\"\n[params]");
    bench.write("own.toml", &text);
    run(&bench, 0);
    assert_eq!((&result(&bench)["score"], &result(&bench)["epochs"]), (&0.75.into(), &2.into()));
    assert_eq!(file(&bench, "metrics.csv").lines().count(), 3);
}

/// Both wait for the other before they go on.
#[test]
fn two_at_once_have_a_gpu_each() {
    let bench = bench(
        r#"echo "$SWEEP_DEVICE $CUDA_VISIBLE_DEVICES" >> gpus
        if [ $SWEEP_SEED = 1 ]; then echo here > fifo0; cat fifo1; else cat fifo0; echo here > fifo1; fi
        echo 0.5"#,
    );
    for name in ["fifo0", "fifo1"] {
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, bench.path(name), kind, mode, 0).unwrap();
    }
    let text = bench.read("own.toml").replace("lr = [0.1, 0.5]", "lr = [0.1]");
    bench.write("own.toml", &text);
    devices::add_driver(&bench);
    let command = devices::command(&bench, &["run", "own.toml", "--devices", "cuda:0,1"]);
    let ran = bench.wait(Running::start(command));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let gpus = bench.read("gpus");
    let mut gpus: Vec<&str> = gpus.lines().collect();
    gpus.sort_unstable();
    assert_eq!(gpus, ["cuda 0", "cuda 1"]);
}

/// Libraries for distributed training take themselves for one of the job's many, which they are not.
#[test]
fn of_a_job_that_the_sweep_is_in_a_program_hears_nothing() {
    let bench =
        bench("env | grep -c ^SLURM_ >&2; echo \"on $SLURMD_NODENAME\"; echo '{\"score\": 0.5}'");
    let mut command = bench.command(&["run", "own.toml"]);
    command.env("SLURM_NTASKS", "4").env("SLURM_PROCID", "3").env("SLURMD_NODENAME", "n7");
    let ran = bench.wait(Running::start(command));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let log = file(&bench, "attempts/1.log");
    assert!(log.contains("0\n") && log.contains("on n7\n"), "{log}");
}
