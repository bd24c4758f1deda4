//! GPUs, on a machine that has none: the driver's library and the worker are fakes.

use std::collections::BTreeMap;
use std::process::Command;

use end_to_end::script::{Act, Rule};

use crate::bench::{Bench, Running, beside_us};

/// A bench on which a worker finds so many GPUs, of the four that the driver tells of.
fn with_gpus(gpus: usize) -> Bench {
    let bench = Bench::new();
    add_driver(&bench);
    bench.script(|script| script.gpus = gpus);
    bench
}

/// The library of a driver that tells of four GPUs.
pub(crate) fn add_driver(bench: &Bench) {
    fs_err::create_dir(bench.path("lib")).unwrap();
    let driver = bench.path("lib/libnvidia-ml.so.1");
    fs_err::copy(beside_us("examples/libfake_nvml.so"), driver).unwrap();
}

pub(crate) fn command(bench: &Bench, args: &[&str]) -> Command {
    let mut command = bench.command(args);
    command
        .env("LD_LIBRARY_PATH", bench.path("lib"))
        .env("FAKE_NVML_FREED", bench.path("freed"))
        .env("FAKE_NVML_KEPT", bench.path("kept"))
        .env_remove("CUDA_VISIBLE_DEVICES");
    command
}

/// How many of the six runs were done where, all of them at once as far as there are slots.
fn spread(bench: &Bench, change: impl FnOnce(&mut Command), args: &[&str], slots: usize) -> String {
    bench.change_script(|script| {
        script.rules = vec![Rule { seed: None, batch_size: None, times: None, act: Act::Wait }];
    });
    let mut command = command(bench, &[&["run", "batch_size.toml"], args].concat());
    change(&mut command);
    let sweep = Running::start(command);
    // All slots have a run before any goes on, so that none takes what another would.
    for begun in (0..6).step_by(slots) {
        let wave: Vec<_> = (begun..6.min(begun + slots)).map(|_| bench.accept()).collect();
        wave.into_iter().for_each(|worker| worker.go_on());
    }
    let ran = bench.wait(sweep);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let mut devices: BTreeMap<String, usize> = BTreeMap::new();
    for file in bench.results().iter().filter(|file| file.ends_with("result.json")) {
        let result: serde_json::Value =
            serde_json::from_str(&bench.read(&format!("results/{file}"))).unwrap();
        *devices.entry(result["device"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let devices: Vec<_> = devices.iter().map(|(name, runs)| format!("{name}: {runs}")).collect();
    devices.join(", ")
}

#[test]
fn each_worker_sees_one_gpu_and_all_gpus_have_work() {
    let bench = with_gpus(4);
    let spread = spread(&bench, |_| {}, &["--devices", "auto", "--per-device", "2"], 6);
    assert_eq!(spread, "fake GPU 0: 2, fake GPU 1: 2, fake GPU 2: 1, fake GPU 3: 1");
}

#[test]
fn nothing_is_used_but_what_we_were_given() {
    let bench = with_gpus(2);
    let given = |command: &mut Command| _ = command.env("CUDA_VISIBLE_DEVICES", "GPU-fake-1,3");
    let spread = spread(&bench, given, &["--devices", "cuda", "--per-device", "3"], 6);
    assert_eq!(spread, "fake GPU 3: 3, fake GPU GPU-fake-1: 3");
}

#[test]
fn the_instances_of_a_divided_gpu_are_devices() {
    let bench = with_gpus(4);
    let divided = |command: &mut Command| _ = command.env("FAKE_NVML_MIG", "1");
    let spread = spread(&bench, divided, &["--devices", "cuda:3,4"], 2);
    let (one, other) = spread.split_once(", ").unwrap();
    assert!(one.starts_with("fake GPU MIG-fake-5: "), "{spread}");
    assert!(other.starts_with("fake GPU MIG-fake-6: "), "{spread}");
}

#[test]
fn a_gpu_on_which_everything_crashes_is_set_aside_and_costs_no_run() {
    let bench = with_gpus(2);
    let limits = "retries = 3\nretry_delay = \"0s\"\nset_aside_after = 2";
    bench.write("base.toml", &bench.read("base.toml").replace("retries = 0", limits));
    let sweep = bench.read("batch_size.toml").replace("replicates = 2", "replicates = 20");
    bench.write("batch_size.toml", &sweep);
    bench.change_script(|script| script.bad_gpu = Some("1".to_owned()));
    let sweep = command(&bench, &["run", "batch_size.toml", "--devices", "cuda:0,1"]);
    let ran = bench.wait(Running::start(sweep));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("cuda 1 is set aside: 2 failures in a row").count(), 1);
    assert_eq!(bench.ledger().len(), 60);
}

#[test]
fn a_gpu_that_somebody_else_uses_is_waited_for() {
    let bench = with_gpus(4);
    let args = ["run", "batch_size.toml", "--devices", "cuda:2", "--wait-free-memory", "8GiB"];
    let mut sweep = Running::start(command(&bench, &args));
    sweep.stderr_line();
    assert_eq!(sweep.stderr_line(), "cuda 2 has 4.0 GiB free: waiting for 8.0 GiB\n");
    assert_eq!(bench.ledger(), [""; 0]);
    bench.write("freed", "");
    let ran = bench.wait(sweep);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!ran.stderr.contains("waiting"), "said once: {}", ran.stderr);
}

#[test]
fn a_gpu_that_keeps_what_a_dead_worker_had_is_waited_for() {
    let bench = with_gpus(4);
    let leaves = Rule { seed: Some(1), batch_size: Some(32), times: Some(1), act: Act::Leave };
    bench.change_script(|script| script.rules = vec![leaves]);
    let limits =
        bench.read("base.toml").replace("retries = 0", "retries = 1\nretry_delay = \"0s\"");
    bench.write("base.toml", &limits);
    let mut sweep =
        Running::start(command(&bench, &["run", "batch_size.toml", "--devices", "cuda:1"]));
    let worker = bench.accept();
    bench.write("kept", "");
    worker.go_on();
    while !sweep.stderr_line().starts_with("cuda 1 has not given back 10.0 GiB") {}
    assert_eq!(bench.ledger(), [""; 0], "nothing starts there");
    fs_err::remove_file(bench.path("kept")).unwrap();
    let ran = bench.wait(sweep);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!ran.stderr.contains("given back"), "said once: {}", ran.stderr);
    assert_eq!(bench.ledger().len(), 6);
}

/// The same where it has the GPU for itself: that is a finding at once.
#[test]
fn a_run_out_of_memory_beside_somebody_elses_process_is_tried_once_more_and_says_so() {
    for (gpu, tries) in [("2", 2), ("0", 1)] {
        let bench = with_gpus(4);
        let (seed, batch_size, act) = (Some(1), Some(32), Act::OutOfMemory);
        bench.change_script(|script| {
            script.rules = vec![Rule { seed, batch_size, times: None, act }];
        });
        let device = format!("cuda:{gpu}");
        let mut command = command(&bench, &["run", "batch_size.toml", "--devices", &device]);
        command.env("FAKE_NVML_WORKERS", "1");
        let ran = bench.wait(Running::start(command));
        assert_eq!(ran.code, 3, "{}", ran.stderr);
        let begun = bench.read("begun").lines().filter(|line| *line == "1 32").count();
        assert_eq!(begun, tries, "{}", ran.stderr);
        let file = bench.run_folder("b32-lr0.0001-s1").join("result.json");
        let result = fs_err::read_to_string(file).unwrap();
        let said =
            result.contains("CUDA out of memory; process 4242 with 76.0 GiB was on cuda 2 too");
        assert_eq!(said, tries == 2, "{result}");
    }
}

#[test]
fn a_gpu_that_is_lost_hides_no_other_one() {
    let bench = with_gpus(4);
    let lost = |command: &mut Command| _ = command.env("FAKE_NVML_DEAD", "1");
    let spread = spread(&bench, lost, &["--devices", "auto"], 3);
    assert_eq!(spread, "fake GPU GPU-fake-0: 2, fake GPU GPU-fake-2: 2, fake GPU GPU-fake-3: 2");
    let said = |args: &[&str]| {
        let mut command = command(&bench, args);
        lost(&mut command);
        let ran = bench.wait(Running::start(command));
        ran.stdout + &ran.stderr
    };
    let doctor = said(&["doctor"]);
    let why = "does not answer: device fell off the bus";
    assert!(doctor.contains(&format!("absent   GPU 1                        {why}")), "{doctor}");
    assert!(doctor.contains("ok       GPU 3  "), "{doctor}");
    assert!(said(&["status"]).contains(&format!("GPU 1: {why}")));
    fs_err::remove_dir_all(bench.path("results")).unwrap();
    bench.change_script(|script| script.rules = Vec::new());
    let ran = said(&["run", "batch_size.toml", "--devices", "auto"]);
    assert_eq!(ran.matches(&format!("cuda 1 {why}")).count(), 1, "{ran}");
}

#[test]
fn where_no_gpu_answers_nothing_is_trained_on_the_cpu_unasked() {
    for (found, dead) in [(4, "0,1,2,3"), (0, "2")] {
        let bench = with_gpus(found);
        let run = |devices: &str| {
            let mut command = command(&bench, &["run", "batch_size.toml", "--devices", devices]);
            command.env("FAKE_NVML_DEAD", dead);
            bench.wait(Running::start(command))
        };
        let ran = run("auto");
        assert_eq!(ran.code, 5, "{}", ran.stderr);
        assert!(ran.stderr.contains("no GPU can be used: cuda "), "{}", ran.stderr);
        assert!(ran.stderr.contains("`--devices cpu` does without GPUs"), "{}", ran.stderr);
        assert_eq!(bench.ledger(), [""; 0]);
        assert_eq!(run("cpu").code, 0);
    }
}

#[test]
fn the_doctor_shows_gpus_and_who_is_on_them() {
    let bench = with_gpus(4);
    let mut doctor = command(&bench, &["doctor"]);
    let output = doctor.env("FAKE_NVML_MIG", "1").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let gpus: Vec<&str> = text.lines().filter(|line| line.contains("GPU")).collect();
    insta::assert_snapshot!(gpus.join("\n"), @"
    ok       GPUs for the worker          4
    ok       GPU 0                        Fake F100: 80.0 GiB free of 80.0 GiB
    ok       GPU 1                        Fake F100: 80.0 GiB free of 80.0 GiB
    ok       GPU 2                        Fake F100: 4.0 GiB free of 80.0 GiB, process 4242 has 76.0 GiB
    ok       GPU 3                        Fake F100: 80.0 GiB free of 80.0 GiB
    ok       GPU 3, a part                Fake F100 MIG 3g.40gb: 40.0 GiB free of 40.0 GiB
    ok       GPU 3, a part                Fake F100 MIG 3g.40gb: 40.0 GiB free of 40.0 GiB
    ");
}

#[test]
fn the_status_shows_gpus_who_is_on_them_and_which_slots_have_work() {
    let bench = with_gpus(4);
    bench.change_script(|script| {
        let act = Act::Wait;
        script.rules = vec![Rule { seed: Some(1), batch_size: Some(32), times: None, act }];
    });
    let args = ["run", "batch_size.toml", "--devices", "cuda:1,3", "--no-fuse"];
    let mut sweep = Running::start(command(&bench, &args));
    let worker = bench.accept();
    while !sweep.stderr_line().starts_with("[4/6]") {}
    let output = command(&bench, &["status"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("cuda 1 ") && text.contains("cuda 3 "), "{text}");
    assert!(text.contains(" has 2 runs") && text.contains(" is idle"), "{text}");
    assert!(
        text.contains("GPU 2: Fake F100: 4.0 GiB free of 80.0 GiB, process 4242 has"),
        "{text}"
    );
    worker.go_on();
    assert_eq!(bench.wait(sweep).code, 0);
}

#[test]
fn without_a_driver_nobody_can_wait_for_memory() {
    let bench = Bench::new();
    let args = ["run", "batch_size.toml", "--wait-free-memory", "8GiB"];
    let ran = bench.sweep(&args);
    assert_eq!(ran.code, 5);
    assert!(ran.stderr.contains("nobody can tell how much memory of the GPUs is free"));
    let ran = bench.sweep(&["run", "batch_size.toml", "--wait-free-memory", "much"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
}
