//! Simulated nights: the real program, a fake worker, a calendar that is told what day it is.

use std::process::Command;

use end_to_end::script::Act;
use rustix::process::Signal;
use serde_json::Value;

use crate::bench::{Bench, Ran, Running, beside_us};

/// 22:00 UTC on 2026-11-26, in seconds since 1970.
const EVENING: i64 = 1_795_730_400;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// A bench with a nightly file that says `more`, too: three batch sizes under eight seeds, enough to see a
/// regression.
fn bench(more: &str) -> Bench {
    let bench = Bench::new();
    let sweep = bench.read("batch_size.toml").replace("replicates = 2", "replicates = 8");
    bench.write("batch_size.toml", &sweep);
    let nightly = "sweeps = [\"batch_size.toml\"]\ndevices = \"cpu:1\"\ntimezone = \"utc\"\n";
    bench.write("nightly.toml", &format!("{nightly}{more}"));
    bench
}

fn command(bench: &Bench, now: i64, args: &[&str]) -> Command {
    let mut command = bench.command(&[&["nightly", "nightly.toml"], args].concat());
    command
        .env("LD_PRELOAD", beside_us("examples/libclock.so"))
        .env("FAKE_NOW", now.to_string())
        // What is checked out around it is no matter here.
        .env("GIT_CEILING_DIRECTORIES", "/")
        .env("GIT_DIR", "/nowhere");
    command
}

/// The night of evening `day`, from 0.
fn night(bench: &Bench, day: i64) -> Ran {
    at(bench, EVENING + day * DAY)
}

fn at(bench: &Bench, now: i64) -> Ran {
    bench.wait(Running::start(command(bench, now, &[])))
}

fn report(bench: &Bench, night: &str) -> String {
    redact(&bench.read(&format!("results/nightly/{night}/report.md")))
}

fn summary(bench: &Bench, night: &str) -> Value {
    serde_json::from_str(&bench.read(&format!("results/nightly/{night}/summary.json"))).unwrap()
}

/// Without what differs between machines, builds and times: hashes, how long it took, who came first.
fn redact(report: &str) -> String {
    let mut text = String::new();
    let (report, _) = report.split_once("## What it ran on").unwrap();
    for line in report.lines().filter(|line| !line.contains(": chatter")) {
        let words = line.split(' ').map(|word| {
            let inner = word.trim_matches(|c: char| "()".contains(c));
            let is_hash = inner.len() == 12 && inner.bytes().all(|b| b.is_ascii_hexdigit());
            if is_hash { word.replace(inner, "[HASH]") } else { word.to_owned() }
        });
        let line = words.collect::<Vec<_>>().join(" ");
        // `22:00 to 2026-11-26 22:00 (+00:00): 1s. ` -> `22:00 to [END]. `
        let line = match (line.find(" to 20"), line.find("runs finished."), line.starts_with('`')) {
            (Some(from), Some(to), true) => {
                let rest = line[..to].rsplit(". ").next().unwrap().to_owned() + &line[to..];
                format!("{} to [END]. {rest}", &line[..from])
            }
            _ => line,
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// The same of a summary.
fn redact_summary(summary: &Value) -> String {
    let mut summary = summary.clone();
    let redact = |value: &mut Value| *value = "[REDACTED]".into();
    for key in ["started", "ended", "toolchain"] {
        redact(&mut summary[key]);
    }
    for sweep in summary["sweeps"].as_array_mut().unwrap() {
        redact(&mut sweep["seconds"]);
        redact(&mut sweep["subject"]);
        // One row says all.
        sweep["rows"].as_array_mut().unwrap().truncate(1);
    }
    serde_json::to_string_pretty(&summary).unwrap()
}

#[test]
fn three_nights_the_middle_one_with_a_regression() {
    let bench = bench("on_regression = \"cat >> regressions\"\non_finish = \"cat > last\"\n");
    bench.script(|script| script.libtorch = "2.10.0".to_owned());
    let first = night(&bench, 0);
    assert_eq!(first.code, 0, "{}", first.stderr);
    assert!(first.stdout.starts_with("# Night of 2026-11-26: good\n"), "{}", first.stdout);
    assert_eq!(summary(&bench, "2026-11-26")["sweeps"][0]["rows"][0]["outcome"], "first");
    assert!(!bench.path("regressions").exists());

    bench.change_script(|script| (script.worse_by, script.libtorch) = (60, "2.11.0".to_owned()));
    let second = night(&bench, 1);
    assert_eq!(second.code, 4, "{}", second.stderr);
    insta::assert_snapshot!(report(&bench, "2026-11-27"));
    let worse = summary(&bench, "2026-11-27");
    insta::assert_snapshot!(redact_summary(&worse));
    let told: Value = serde_json::from_str(&bench.read("regressions")).unwrap();
    assert_eq!(told, worse, "the commands get the summary");

    // Within noise, and with yet another library: no regression, and compared with the first night.
    let noise = |script: &mut end_to_end::script::Script| {
        (script.worse_by, script.jitter, script.libtorch) = (0, 3, "2.11.1".to_owned());
    };
    bench.change_script(noise);
    let third = night(&bench, 2);
    assert_eq!(third.code, 0, "{}", third.stderr);
    insta::assert_snapshot!(report(&bench, "2026-11-28"));
    assert_eq!(
        bench.read("regressions"),
        bench.read("results/nightly/2026-11-27/summary.json").trim_end()
    );
    assert_eq!(
        bench.read("last").trim_end(),
        bench.read("results/nightly/latest/summary.json").trim_end()
    );
    assert_eq!(bench.ledger().len(), 72, "every night does everything anew");
}

#[test]
fn a_night_with_a_regression_that_somebody_accepts_is_what_later_ones_are_compared_with() {
    let bench = bench("");
    assert_eq!(night(&bench, 0).code, 0);
    bench.script(|script| script.worse_by = 60);
    assert_eq!(night(&bench, 1).code, 4);
    assert_eq!(night(&bench, 2).code, 4, "it stays one");
    let accept =
        |night: &str| bench.wait(Running::start(command(&bench, EVENING, &["--accept", night])));
    let refused = accept("2026-11-30");
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("there are 2026-11-26, 2026-11-27, 2026-11-28"),
        "{}",
        refused.stderr
    );
    assert_eq!(accept("2026-11-28").code, 0);
    assert_eq!(night(&bench, 3).code, 0);
    assert_eq!(summary(&bench, "2026-11-29")["sweeps"][0]["compared_with"], "2026-11-28");
}

#[test]
fn runs_that_do_not_finish_any_more_are_a_regression_and_those_that_never_did_are_not() {
    let bench = bench("");
    bench.rule(1, 16, Act::Fail);
    let first = night(&bench, 0);
    assert_eq!(first.code, 3, "{}", first.stderr);
    assert_eq!(night(&bench, 1).code, 3, "as before");
    bench.rules(&[(1, 16, Act::Fail), (2, 16, Act::Diverge)]);
    let worse = night(&bench, 2);
    assert_eq!(worse.code, 4, "{}", worse.stderr);
    assert!(
        worse.stdout.contains("- batch_size, batch_size = 16: 1 run does not finish any more\n"),
        "{}",
        worse.stdout
    );
    let nightly = bench.read("nightly.toml");
    bench.write("nightly.toml", &format!("{nightly}[regression]\nlost_runs = false\n"));
    assert_eq!(night(&bench, 3).code, 3);
}

/// The runs of seed 8 with batch size 64 are the last ones.
fn killed_at_the_last_run(bench: &Bench) {
    bench.rule(8, 64, Act::Wait);
    let mut going = Running::start(command(bench, EVENING, &[]));
    let worker = bench.accept();
    assert_eq!(worker.who, "8 64");
    // All others are stored.
    while !going.stderr_line().starts_with("[23/24]") {}
    going.signal(Signal::KILL);
    assert_eq!(bench.wait(going).code, 137);
    bench.script(|_| {});
}

#[test]
fn a_night_that_was_killed_goes_on_the_same_night() {
    let bench = bench("budget = \"8h\"\n");
    killed_at_the_last_run(&bench);
    assert!(!bench.path("results/nightly/2026-11-26/summary.json").exists());
    // Past midnight: a night is called after the day on which it began.
    let again = at(&bench, EVENING + 4 * HOUR);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(again.stderr.contains("the night of 2026-11-26 was cut short: it goes on\n"));
    assert!(again.stdout.starts_with("# Night of 2026-11-26: good\n"), "{}", again.stdout);
    assert_eq!(bench.ledger().len(), 24, "nothing twice");
    assert!(!bench.path("results/nightly/2026-11-27").exists());
}

#[test]
fn a_night_that_was_killed_and_is_over_has_its_report_and_the_next_one_goes_on() {
    let bench = bench("budget = \"8h\"\n");
    killed_at_the_last_run(&bench);
    let next = night(&bench, 1);
    assert_eq!(next.code, 0, "{}", next.stderr);
    assert!(next.stderr.contains("the night of 2026-11-26 was cut short: its report is written\n"));
    let cut = report(&bench, "2026-11-26");
    assert!(cut.contains("23 of 24 runs finished. It was cut short"), "{cut}");
    assert_eq!(summary(&bench, "2026-11-26")["verdict"], "unfinished");
    insta::assert_snapshot!(report(&bench, "2026-11-27"));
    assert_eq!(bench.ledger().len(), 24, "nothing twice");
}

#[test]
fn what_another_library_computed_is_not_gone_on_with() {
    let bench = bench("budget = \"8h\"\n");
    killed_at_the_last_run(&bench);
    bench.script(|script| script.libtorch = "2.12.0".to_owned());
    let next = at(&bench, EVENING + HOUR);
    assert_eq!(next.code, 0, "{}", next.stderr);
    assert!(
        next.stderr.contains("begins anew: the worker, its libraries or the driver are others\n")
    );
    assert_eq!(summary(&bench, "2026-11-26.2")["sweeps"][0]["carried"], 0);
    assert_eq!(bench.ledger().len(), 23 + 24);
}

#[test]
fn what_does_not_fit_goes_on_the_next_night() {
    let bench = bench("budget = \"2s\"\n");
    let other = bench.read("batch_size.toml").replace("[16, 32, 64]", "[8, 32]");
    bench.write("other.toml", &other);
    let both = "sweeps = [\"batch_size.toml\", \"other.toml\"]";
    let nightly = bench.read("nightly.toml").replace("sweeps = [\"batch_size.toml\"]", both);
    bench.write("nightly.toml", &nightly);
    bench.rule(8, 64, Act::Wait);
    let first = night(&bench, 0);
    // Nothing to be woken for.
    assert_eq!(first.code, 0, "{}", first.stderr);
    assert!(first.stderr.contains("time is over: runs under way end at their next batch\n"));
    assert!(first.stdout.contains(": nothing wrong, not all done\n"), "{}", first.stdout);
    assert!(first.stdout.contains("- other: its turn did not come\n"), "{}", first.stdout);
    bench.script(|_| {});
    bench.write("nightly.toml", &nightly.replace("2s", "1h"));
    let next = night(&bench, 1);
    assert_eq!(next.code, 0, "{}", next.stderr);
    let sweep = &summary(&bench, "2026-11-27")["sweeps"][0];
    assert_eq!((&sweep["state"], &sweep["finished"]), (&"complete".into(), &24.into()));
    // 24 of the one, and 8 of the other that the first has not; the baseline stands in both.
    assert_eq!(bench.ledger().len(), 32, "nothing twice: {:?}", bench.ledger());
}

#[test]
fn ctrl_c_leaves_the_night_open() {
    let bench = bench("");
    bench.rule(8, 64, Act::Wait);
    let going = Running::start(command(&bench, EVENING, &[]));
    let worker = bench.accept();
    going.signal(Signal::TERM);
    assert_eq!(worker.rest(), "stopped\n");
    let ran = bench.wait(going);
    assert_eq!(ran.code, 130, "{}", ran.stderr);
    assert!(ran.stderr.ends_with("interrupted: give the same command to go on with this night\n"));
    bench.script(|_| {});
    assert_eq!(at(&bench, EVENING + HOUR).code, 0);
    assert_eq!(bench.ledger().len(), 24);
}

#[test]
fn a_second_one_says_who_has_the_night_and_leaves() {
    let bench = bench("");
    bench.rule(1, 32, Act::Wait);
    let going = Running::start(command(&bench, EVENING, &[]));
    let worker = bench.accept();
    bench.script(|_| {});
    let second = at(&bench, EVENING + HOUR);
    assert_eq!(second.code, 5);
    let who = format!("process {} on", going.pid());
    assert!(second.stderr.contains(&who), "{}", second.stderr);
    assert!(second.stderr.contains("since 2026-11-26T22:00:0"), "{}", second.stderr);
    worker.go_on();
    assert_eq!(bench.wait(going).code, 0);
    assert_eq!(at(&bench, EVENING + HOUR).code, 0);
    assert!(bench.path("results/nightly/2026-11-26.2/summary.json").exists());
}

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
    let bench =
        bench("wait_free_memory = \"8GiB\"\nwait_limit = \"0s\"\non_finish = \"cat > told\"\n");
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
    assert!(
        busy.stdout.contains("- no GPU had 8.0 GiB of memory free within 0s"),
        "{}",
        busy.stdout
    );
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
fn so_many_nights_are_kept_and_the_one_that_is_compared_with() {
    let bench = bench("keep = 2\n");
    assert_eq!(night(&bench, 0).code, 0);
    bench.script(|script| script.worse_by = 60);
    (1..4).for_each(|day| assert_eq!(night(&bench, day).code, 4));
    let mut nights: Vec<String> = fs_err::read_dir(bench.path("results/nightly"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("20"))
        .collect();
    nights.sort();
    assert_eq!(nights, ["2026-11-26", "2026-11-28", "2026-11-29"]);
    // What features there were is gone with the night.
    assert!(!bench.path("results/nightly/2026-11-29/cache").exists());
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

/// The features of a night are another one's only where everything that computes them is the same.
#[test]
fn features_are_shared_as_long_as_what_computes_them_is_the_same() {
    let bench = bench("features = \"toolchain\"\n");
    let kept = || {
        let entries = fs_err::read_dir(bench.path("results/nightly/.features")).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
    };
    assert_eq!(night(&bench, 0).code, 0);
    let first = kept();
    assert_eq!(first.len(), 1);
    assert_eq!(night(&bench, 1).code, 0);
    assert_eq!(kept(), first);
    bench.script(|script| script.libtorch = "2.12.0".to_owned());
    assert_eq!(night(&bench, 2).code, 0);
    assert_eq!(kept().len(), 1);
    assert_ne!(kept(), first);
}
