//! Learning rates that are too high, with the real worker: a finding, told as one.

use crate::real::Real;

#[test]
fn a_loss_that_is_no_number_is_a_result_of_its_own() {
    let real = Real::new();
    let ran = real.sweep(&["run", "batch_size.toml", "--set", "learning_rate=1e38"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stdout.contains("| 2 of 2 diverged |"), "{}", ran.stdout);
    let causes = ran.stdout.split_once("Not finished:").unwrap().1;
    assert!(causes.contains("diverged: the "), "{}", ran.stdout);
    assert!(causes.contains("a lower learning rate may help"), "{}", ran.stdout);
    let again = real.sweep(&["run", "batch_size.toml", "--set", "learning_rate=1e38"]);
    assert_eq!(again.code, 3, "it is no news, and not repeated: {}", again.stderr);
    assert_eq!(again.stdout, ran.stdout);
    assert!(again.stderr.contains("all ended before"), "{}", again.stderr);
    let results = real.0.results().into_iter().filter(|file| file.ends_with("result.json"));
    for file in results {
        let result = real.0.read(&format!("results/{file}"));
        let result: serde_json::Value = serde_json::from_str(&result).unwrap();
        assert_eq!((&result["outcome"], &result["attempts"]), (&"diverged".into(), &1.into()));
        assert!(result["epoch"].as_u64().is_some_and(|epoch| epoch >= 1), "{result}");
    }
}

#[test]
fn infinite_answers_are_no_submission() {
    let real = Real::new();
    real.unlabel();
    // One step, in which the loss is still a number: only what the model then answers is none.
    let sets =
        ["validation=none", "optimizer=sgd", "learning_rate=1e38", "epochs=1", "steps_per_epoch=1"];
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    let args: Vec<&str> = ["run", "batch_size.toml"].into_iter().chain(sets).collect();
    let ran = real.sweep(&args);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stdout.contains("answers are not numbers after epoch 1"), "{}", ran.stdout);
    assert!(ran.stdout.contains("a lower learning rate may help"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("To hand in:"), "{}", ran.stdout);
    assert!(!real.0.results().iter().any(|file| file.ends_with("submission.csv")));
}
