//! What is checked before any program starts.

use super::{SCORE, bench, file, run};

#[test]
fn what_cannot_start_is_said_before_anything_does() {
    let mut said = String::new();
    for (command, code) in [
        ("[\"./nowhere.sh\"]", 5),
        ("[\"no-such-program-here\"]", 5),
        ("[\"train.sh\"]", 5),
        ("[\"./own.toml\"]", 5),
        ("[]", 2),
        ("[\"./train.sh\", \"{rate}\", \"{\"]", 2),
        ("[\"./train.sh\"]\nfiles = [\"nowhere\"]", 2),
        ("[\"./train.sh\"]\nprotocol = \"workers\"", 2),
    ] {
        let bench = bench(SCORE);
        let text = bench.read("own.toml");
        let text = text.replace("[\"./train.sh\", \"--rate={lr}\", \"{{}}\"]", command);
        bench.write("own.toml", &text);
        said += &run(&bench, code).stderr;
        assert!(bench.results().is_empty());
    }
    insta::assert_snapshot!(said, @r#"
      × `trainer.command` names a program that is not there: [DIR]/nowhere.sh
      help: a program without / is looked for in PATH, one with it beside the sweep file
      × `trainer.command` names a program that is not there: no-such-program-here
      help: a program without / is looked for in PATH, one with it beside the sweep file
      × `trainer.command` names a program that is not there: train.sh
      help: [DIR]/train.sh is there: write ./train.sh
      × `trainer.command` names a file that cannot be executed: [DIR]/own.toml
      help: make it executable with `chmod +x`, or name its interpreter before it
      × `trainer.command` is empty
       ╭─[own.toml:4:19]
     3 │         [trainer]
     4 │         command = []
       ·                   ─┬
       ·                    ╰── no program here
     5 │         [params]
       ╰────
      help: name a program, such as ["python3", "train.py"]
      × own.toml has 2 problems

    Error: 
      × `{rate}` stands for nothing in `{rate}`
       ╭─[own.toml:4:19]
     3 │         [trainer]
     4 │         command = ["./train.sh", "{rate}", "{"]
       ·                   ──────────────┬──────────────
       ·                                 ╰── no such setting here
     5 │         [params]
       ╰────
      help: declare it in [params], or write {{ and }} for braces

    Error: 
      × a `{` stands alone in `{`
       ╭─[own.toml:4:19]
     3 │         [trainer]
     4 │         command = ["./train.sh", "{rate}", "{"]
       ·                   ──────────────┬──────────────
       ·                                 ╰── in this command
     5 │         [params]
       ╰────
      help: write {{ and }} for braces
      × `trainer.files` names what is not there: [DIR]/nowhere
      help: a path is relative to the file that names the command
      × `trainer.protocol` must be "simple" or "worker"
       ╭─[own.toml:5:12]
     4 │         command = ["./train.sh"]
     5 │ protocol = "workers"
       ·            ────┬────
       ·                ╰── did you mean "worker"?
     6 │         [params]
       ╰────
    "#);
}

#[test]
fn settings_are_checked_as_built_in_ones_are() {
    let mut said = String::new();
    for args in [
        &["--set", "lr=fast"][..],
        &["--set", "kindd=x"],
        &["--set", "params.rate=1"],
        &["--set", "data.image_size=64"],
    ] {
        let bench = bench(SCORE);
        let ran = bench.sweep(&[&["run", "own.toml"], args].concat());
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        said += &ran.stderr;
    }
    insta::assert_snapshot!(said, @"
     × `params.lr` must be a number
      ╭─[--set:1:4]
    1 │ lr=fast
      ·    ──┬─
      ·      ╰── this is text
      ╰────
     × there is no key `kindd`
      ╭─[--set:1:1]
    1 │ kindd=x
      · ──┬──
      ·   ╰── did you mean `kind`?
      ╰────
     help: the keys are
           [augment] brightness_range, channel_shift_range, cval, fill_mode, height_shift_range, horizontal_flip, rotation_range, shear_range, vertical_flip, views, width_shift_range, zoom_range
           [data] image_size, interpolation, test, train, validation
           [early_stopping] baseline, min_delta, mode, monitor, patience, restore_best_weights, start_from_epoch, verbose
           [model] backbone, dropout, freeze, hidden, kernel_initializer, output, pooling, precision, preprocessing, weights
           [reduce_lr_on_plateau] cooldown, factor, min_delta, min_lr, mode, monitor, patience
           [train] batch_size, class_weight, epochs, label_smoothing, learning_rate, learning_rate_schedule, optimizer, steps_per_epoch, validation_steps
           [trainer] command, files, metrics, protocol
           [params] lr, kind
     × there is no key `params.rate`
      ╭─[--set:1:1]
    1 │ params.rate=1
      · ─────┬─────
      ·      ╰── unknown key
      ╰────
     help: the keys are
           [augment] brightness_range, channel_shift_range, cval, fill_mode, height_shift_range, horizontal_flip, rotation_range, shear_range, vertical_flip, views, width_shift_range, zoom_range
           [data] image_size, interpolation, test, train, validation
           [early_stopping] baseline, min_delta, mode, monitor, patience, restore_best_weights, start_from_epoch, verbose
           [model] backbone, dropout, freeze, hidden, kernel_initializer, output, pooling, precision, preprocessing, weights
           [reduce_lr_on_plateau] cooldown, factor, min_delta, min_lr, mode, monitor, patience
           [train] batch_size, class_weight, epochs, label_smoothing, learning_rate, learning_rate_schedule, optimizer, steps_per_epoch, validation_steps
           [trainer] command, files, metrics, protocol
           [params] lr, kind
     × own.toml sets no `data.train`
      ╭─[--set:1:1]
    1 │ data.image_size=64
      · ───────┬───────
      ·        ╰── `train` is missing here
      ╰────
     help: set it under [data]; it must be a path in quotes
    ");
    let bench = bench(SCORE);
    let ran = bench.sweep(&["run", "own.toml", "--set", "kind=other", "--set", "train.epochs=3"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let config: serde_json::Value = serde_json::from_str(&file(&bench, "config.json")).unwrap();
    assert_eq!(
        (&config["config"]["params"]["kind"], &config["config"]["train"]["epochs"]),
        (&"other".into(), &3.into())
    );
    assert_eq!(config["config"].get("model"), None);
}
