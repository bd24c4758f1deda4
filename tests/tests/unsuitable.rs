//! Settings that the data or the network do not suit: said once, before anything starts.

use crate::bench::Running;
use crate::real::Real;

#[test]
fn names_and_classes_that_are_not_there_are_refused() {
    let real = Real::new();
    let third = "plates/train/greasy";
    let a_plate = real.a_dirty_plate();
    for (three, set, said) in [
        (false, "class_weight={ dirtyy = 2.0 }", "names the class `dirtyy`, which is not there"),
        (false, "freeze={ unfreeze_from = \"nope\" }", "layers is called `nope`"),
        (true, "output=sigmoid", "`output = \"sigmoid\"` is for two classes, and there are 3"),
        (true, "early_stopping={ monitor = \"val_auc\" }", "`val_auc` is for two classes"),
    ] {
        if three {
            fs_err::create_dir_all(real.0.path(third)).unwrap();
            for copy in ["1.jpg", "2.jpg"] {
                fs_err::copy(&a_plate, real.0.path(third).join(copy)).unwrap();
            }
            real.unlabel();
        }
        let ran = real.sweep(&["run", "batch_size.toml", "--set", set]);
        assert_eq!(ran.code, 2, "{set}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{set}: {}", ran.stderr);
        assert!(!real.0.results().iter().any(|file| file.ends_with("result.json")), "{set}");
    }
}

#[test]
fn a_watched_quantity_that_is_missing_is_noted() {
    let real = Real::new();
    let ran = real.sweep(&[
        "run",
        "batch_size.toml",
        "--set",
        "early_stopping={ monitor = \"val_auc\" }",
        "--set",
        "validation_steps=1",
        "--set",
        "batch_size=1",
        "-v",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let logs = real.0.results().into_iter().filter(|file| file.ends_with(".log"));
    let logs: Vec<String> = logs.map(|file| real.0.read(&format!("results/{file}"))).collect();
    let noted = |log: &String| log.matches("has no val_auc").count();
    assert!(logs.iter().any(|log| noted(log) == 1), "{logs:?}");
    assert!(logs.iter().all(|log| noted(log) <= 1), "said once: {logs:?}");
}

/// Nothing waits in a queue for a layer that is not there.
#[test]
fn a_layer_that_is_not_there_is_refused_before_anything_is_submitted() {
    let real = Real::new();
    let sbatch = real.0.path("bin");
    fs_err::create_dir(&sbatch).unwrap();
    for program in ["sbatch", "squeue", "scontrol"] {
        real.0.write(&format!("bin/{program}"), "#!/bin/sh\necho \"$0 $*\" >> called\nexit 1\n");
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs_err::set_permissions(real.0.path(&format!("bin/{program}")), executable).unwrap();
    }
    let path = format!("{}:{}", sbatch.display(), std::env::var("PATH").unwrap());
    let nope = "freeze={ unfreeze_from = \"nope\" }";
    let mut command =
        real.command(&["run", "batch_size.toml", "--launcher", "slurm", "--set", nope]);
    let ran = real.0.wait(Running::start({
        command.env("PATH", path);
        command
    }));
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("layers is called `nope`"), "{}", ran.stderr);
    assert!(!real.0.path("called").exists());
    assert!(!real.0.path("results/.slurm").exists());
}
