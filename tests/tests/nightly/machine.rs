//! What a night makes of the machine that it is on, and of the commands that it tells.

use std::process::Command;
use std::sync::mpsc;
use std::thread;

use rustix::process::Signal;
use serde_json::Value;

use super::{DAY, EVENING, bench, command, night, report, summary};
use crate::bench::{PATIENCE, Running, beside_us};

#[test]
fn commands_that_fail_hang_or_flood_lose_nothing() {
    let bench = bench("");
    let nightly = bench.read("nightly.toml");
    for (day, (command, said)) in [
        ("echo no >&2; exit 3", "on_finish ended with exit status: 3; it said "),
        ("exec tail -f /dev/null", "on_finish took too long and was killed; it said "),
        ("head -c 3000000 /dev/zero; exit 1", "on_finish ended with exit status: 1; it said "),
    ]
    .into_iter()
    .enumerate()
    {
        let limit = if command.starts_with("exec") { "300ms" } else { "1m" };
        let hook = format!("on_finish = \"{command}\"\nhook_time_limit = \"{limit}\"\n");
        bench.write("nightly.toml", &format!("{nightly}{hook}"));
        let ran = night(&bench, day as i64);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
        let night = format!("2026-11-{}", 26 + day);
        assert_eq!(summary(&bench, &night)["verdict"], "good");
        let log = fs_err::metadata(bench.path(&format!("results/nightly/{night}/on_finish.log")));
        assert!(log.unwrap().len() <= 64 << 10);
    }
    assert_eq!(bench.read("results/nightly/2026-11-26/on_finish.log"), "no\n");
}

/// Signals stop runs with care; a night that has none under way has nothing to take care of.
#[test]
fn a_night_that_only_tells_ends_at_the_first_signal() {
    let bench = bench("on_finish = \"echo > told; exec tail -f /dev/null\"\n");
    assert!(Command::new("mkfifo").arg(bench.path("told")).status().unwrap().success());
    let night = Running::start(command(&bench, EVENING, &[]));
    let (to, told) = mpsc::channel();
    let fifo = bench.path("told");
    thread::spawn(move || to.send(fs_err::read_to_string(fifo).unwrap()));
    assert_eq!(told.recv_timeout(PATIENCE).unwrap(), "\n");
    night.signal(Signal::TERM);
    let ran = bench.wait(night);
    assert_eq!(ran.code, 128 + Signal::TERM.as_raw(), "{}", ran.stderr);
    assert_eq!(summary(&bench, "2026-11-26")["verdict"], "good");
}

/// What a night on GPUs 0 and 1 comes to, where GPU 1 has fallen off the bus.
#[test]
fn a_dead_gpu_is_told_of_and_costs_no_run() {
    let bench = bench("");
    let limits = "retries = 3\nretry_delay = \"0s\"\nset_aside_after = 2";
    bench.write("base.toml", &bench.read("base.toml").replace("retries = 0", limits));
    let nightly = bench.read("nightly.toml").replace("cpu:1", "cuda:0,1");
    bench.write("nightly.toml", &nightly);
    fs_err::create_dir(bench.path("lib")).unwrap();
    fs_err::copy(beside_us("examples/libfake_nvml.so"), bench.path("lib/libnvidia-ml.so.1"))
        .unwrap();
    bench.script(|script| script.gpus = 2);
    let night = |now, dead: bool| {
        let mut command = command(&bench, now, &[]);
        command.env("LD_LIBRARY_PATH", bench.path("lib")).env_remove("CUDA_VISIBLE_DEVICES");
        if dead {
            command.env("FAKE_NVML_DEAD", "1");
        }
        bench.wait(Running::start(command))
    };
    let first = night(EVENING, false);
    assert_eq!(first.code, 0, "{}", first.stderr);
    bench.change_script(|script| script.bad_gpu = Some("1".to_owned()));
    let ran = night(EVENING + DAY, true);
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    let broken = summary(&bench, "2026-11-27");
    assert_eq!(broken["set_aside"][0]["device"], "cuda 1");
    assert_eq!(broken["sweeps"][0]["finished"], 24);
    insta::assert_snapshot!(report(&bench, "2026-11-27"));
    bench.change_script(|script| script.bad_gpu = None);
    let mended = night(EVENING + 2 * DAY, false);
    assert_eq!(mended.code, 0, "{}", mended.stderr);
}

#[test]
fn gpus_that_nobody_frees_are_waited_for_up_to_a_limit() {
    let memory = "wait_free_memory = \"8GiB\"\nwait_limit = \"0s\"\n";
    waits_for(memory, "- no GPU had 8.0 GiB of memory free within 0s");
}

/// Who says how long to wait, and not for how much memory, waits for a GPU without anybody on it.
#[test]
fn gpus_that_somebody_computes_on_are_waited_for_up_to_a_limit() {
    waits_for("wait_limit = \"0s\"\n", "- no GPU was without processes of others within 0s");
}

fn waits_for(how: &str, said: &str) {
    let bench = bench(&format!("{how}on_finish = \"cat > told\"\n"));
    let nightly = bench.read("nightly.toml").replace("cpu:1", "cuda:2");
    bench.write("nightly.toml", &nightly);
    fs_err::create_dir(bench.path("lib")).unwrap();
    fs_err::copy(beside_us("examples/libfake_nvml.so"), bench.path("lib/libnvidia-ml.so.1"))
        .unwrap();
    bench.script(|script| script.gpus = 4);
    let night = |now| {
        let mut command = command(&bench, now, &[]);
        command
            .env("LD_LIBRARY_PATH", bench.path("lib"))
            .env("FAKE_NVML_FREED", bench.path("freed"))
            .env_remove("CUDA_VISIBLE_DEVICES");
        bench.wait(Running::start(command))
    };
    let busy = night(EVENING);
    assert_eq!(busy.code, 5, "{}", busy.stderr);
    assert!(busy.stdout.contains(said), "{}", busy.stdout);
    let told: Value = serde_json::from_str(&bench.read("told")).unwrap();
    assert_eq!(told["verdict"], "broken");
    bench.write("freed", "");
    assert_eq!(night(EVENING + DAY).code, 0);
}

#[test]
fn a_machine_without_a_worker_is_broken_and_says_so() {
    let bench = bench("on_finish = \"cat > told\"\n");
    let mut command = command(&bench, EVENING, &[]);
    command.env("SWEEP_TRAIN", "/nowhere/sweep-train");
    let ran = bench.wait(Running::start(command));
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    assert!(ran.stdout.contains("- there is no worker: /nowhere/sweep-train\n"), "{}", ran.stdout);
    let told: Value = serde_json::from_str(&bench.read("told")).unwrap();
    assert_eq!(told["sweeps"][0]["state"], "not_begun");
    assert_eq!(night(&bench, 1).code, 0);
}

#[test]
fn nights_are_called_after_the_day_where_the_machine_is() {
    let bench = bench("");
    let local = bench.read("nightly.toml").replace("timezone = \"utc\"\n", "");
    bench.write("nightly.toml", &local);
    for (zone, expected) in
        [("UTC", "2026-11-26"), ("Asia/Tokyo", "2026-11-27"), ("JST-9", "2026-11-27")]
    {
        let mut command = command(&bench, EVENING, &["--check"]);
        command.env("TZ", zone);
        let ran = bench.wait(Running::start(command));
        assert!(
            ran.stdout.ends_with(&format!("in results/nightly/{expected}\n")),
            "{zone}: {}",
            ran.stdout
        );
    }
    assert_eq!(bench.results(), [""; 0], "a check leaves nothing");
}

#[test]
fn a_nightly_file_is_checked_before_anything_begins() {
    let bench = bench("");
    let nightly = bench.read("nightly.toml");
    bench.write("nightly.toml", &nightly.replace("devices", "device"));
    let ran = night(&bench, 0);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("did you mean `devices`?"), "{}", ran.stderr);
    bench.write("nightly.toml", &nightly.replace("batch_size.toml", "batchsize.toml"));
    let ran = night(&bench, 0);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("did you mean [DIR]/batch_size.toml?"), "{}", ran.stderr);
    assert_eq!(bench.results(), [""; 0]);
}

/// What cannot be removed is a remark, and nobody goes untold for it.
#[test]
fn a_folder_that_cannot_be_cleaned_up_keeps_nobody_from_being_told() {
    let bench = bench("on_finish = \"cat > told\"\n");
    assert_eq!(night(&bench, 0).code, 0);
    fs_err::remove_file(bench.path("told")).unwrap();
    let cache = "results/nightly/2026-11-26/cache";
    let _ = fs_err::remove_dir_all(bench.path(cache));
    bench.write(cache, "a file where a folder belongs");
    let ran = night(&bench, 1);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("what no later night needs is not all removed: "),
        "{}",
        ran.stderr
    );
    let told: Value = serde_json::from_str(&bench.read("told")).unwrap();
    assert_eq!(told["night"], "2026-11-27");
}

/// Runs that are lost to a broken machine say nothing of the code: whoever is told of regressions is not.
#[test]
fn runs_that_are_lost_to_a_dead_gpu_are_no_regression() {
    let bench = bench("on_regression = \"cat > worse\"\non_finish = \"cat > told\"\n");
    let limits = "retries = 0\nretry_delay = \"0s\"\nset_aside_after = 2";
    bench.write("base.toml", &bench.read("base.toml").replace("retries = 0", limits));
    let nightly = bench.read("nightly.toml").replace("cpu:1", "cuda:0");
    bench.write("nightly.toml", &nightly);
    fs_err::create_dir(bench.path("lib")).unwrap();
    fs_err::copy(beside_us("examples/libfake_nvml.so"), bench.path("lib/libnvidia-ml.so.1"))
        .unwrap();
    bench.script(|script| script.gpus = 1);
    let night = |now, dead: bool| {
        let mut command = command(&bench, now, &[]);
        command.env("LD_LIBRARY_PATH", bench.path("lib")).env_remove("CUDA_VISIBLE_DEVICES");
        if dead {
            command.env("FAKE_NVML_DEAD", "0");
        }
        bench.wait(Running::start(command))
    };
    assert_eq!(night(EVENING, false).code, 0);
    bench.change_script(|script| script.bad_gpu = Some("0".to_owned()));
    let ran = night(EVENING + DAY, true);
    assert_eq!(ran.code, 5, "{}{}", ran.stdout, ran.stderr);
    let broken = summary(&bench, "2026-11-27");
    assert_eq!(broken["verdict"], "broken");
    let rows = broken["sweeps"][0]["rows"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["lost"].as_u64() > Some(0)), "{rows:?}");
    assert!(!bench.path("worse").exists());
    assert_eq!(serde_json::from_str::<Value>(&bench.read("told")).unwrap(), broken);
    // It is nothing to compare with either.
    bench.change_script(|script| script.bad_gpu = None);
    assert_eq!(night(EVENING + 2 * DAY, false).code, 0);
    let mended = summary(&bench, "2026-11-28");
    assert_eq!(mended["sweeps"][0]["compared_with"], "2026-11-26");
}
