//! What is shipped to install nights with.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::bench::Bench;

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// `systemd-analyze` with these arguments; none where there is none.
fn analyze(args: &[&str]) -> Option<Output> {
    let output = Command::new("systemd-analyze").args(args).output();
    if output.is_err() {
        eprintln!("skipped: there is no systemd-analyze");
    }
    output.ok()
}

/// The units, as for a project in the folder of `bench`.
fn units(bench: &Bench) -> [String; 2] {
    let root = bench.path("");
    let root = root.to_str().unwrap().trim_end_matches('/').to_owned();
    ["sweep-nightly.service", "sweep-nightly.timer"].map(|name| {
        let text = fs_err::read_to_string(project().join("scripts/systemd").join(name)).unwrap();
        bench.write(name, &text.replace("/opt/sweep", &root));
        bench.path(name).to_str().unwrap().to_owned()
    })
}

#[test]
fn the_units_are_well_formed_and_hardened() {
    let bench = Bench::new();
    let [service, timer] = units(&bench);
    // What it starts has to be there.
    fs_err::create_dir_all(bench.path("target/release")).unwrap();
    fs_err::os::unix::fs::symlink(crate::bench::sweep(), bench.path("target/release/sweep"))
        .unwrap();
    bench.write("docs/nightly.md", "");
    let verify = || {
        let verified = analyze(&["verify", "--man=no", &service, &timer])?;
        let said = String::from_utf8_lossy(&verified.stderr).into_owned();
        assert!(verified.status.success() && said.is_empty(), "{said}");
        Some(())
    };
    if verify().is_none() {
        return;
    }
    // Of 10.0, which is a service with no limits at all.
    let Some(exposed) = analyze(&["security", "--offline=true", "--threshold=30", &service]) else {
        return;
    };
    let said = String::from_utf8_lossy(&exposed.stdout).into_owned();
    assert!(exposed.status.success(), "{said}");
    // With what hooks may need besides.
    let hooks = fs_err::read_to_string(project().join("scripts/systemd/hooks.conf")).unwrap();
    bench.write("sweep-nightly.service.d/hooks.conf", &hooks);
    verify();
    bench.write("sweep-nightly.service.d/hooks.conf", &hooks.replace("read-only", "read-mostly"));
    let Some(verified) = analyze(&["verify", "--man=no", &service, &timer]) else { return };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(said.contains("protect home"), "the drop-in is read: {said}");
}

/// For cron: silent after a good night, the report after any other.
#[test]
fn the_script_for_cron_says_something_only_when_there_is_something() {
    let bench = Bench::new();
    let script = fs_err::read_to_string(project().join("scripts/nightly")).unwrap();
    bench.write("scripts/nightly", &script);
    for (code, said) in [(0, ""), (4, "# Night of 2026-11-26: regression\n")] {
        let sweep = format!(
            "#!/bin/sh\necho \"$*\" > told\necho \"$SWEEP_RESULTS\" > results-folder\n\
             echo '# Night of 2026-11-26: regression'\nexit {code}\n"
        );
        bench.write("scripts/sweep", &sweep);
        let chmod = Command::new("chmod").args(["-R", "+x"]).arg(bench.path("scripts")).status();
        assert!(chmod.unwrap().success());
        let cron = Command::new(bench.path("scripts/nightly"))
            .current_dir(bench.path(""))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .output()
            .unwrap();
        assert_eq!(cron.status.code(), Some(code));
        assert_eq!(String::from_utf8_lossy(&cron.stdout), said);
        let told = bench.read("told");
        assert!(
            told.starts_with("nightly --quiet /") && told.ends_with("nightly.toml\n"),
            "{told}"
        );
        assert!(bench.read("results-folder").ends_with("/results\n"));
    }
}

/// upload-artifact refuses paths with `..`, and only when it runs.
#[test]
fn no_workflow_has_a_path_with_two_dots() {
    for entry in fs_err::read_dir(project().join(".github/workflows")).unwrap() {
        let file = entry.unwrap().path();
        for line in fs_err::read_to_string(&file).unwrap().lines() {
            let said = line.split(" #").next().unwrap();
            assert!(
                said.trim_start().starts_with('#') || !said.contains("/.."),
                "{file:?}: {line}"
            );
        }
    }
}

/// The lines of the step of the nightly workflow that runs the night.
fn night_step() -> String {
    let workflow = project().join(".github/workflows/nightly.yml");
    let text = fs_err::read_to_string(workflow).unwrap();
    let step = text.split("- name: ").find(|step| step.starts_with("Run the night")).unwrap();
    let lines = step.split_once("run: |\n").unwrap().1.lines();
    lines.map(|line| format!("{}\n", line.trim_start())).collect()
}

/// Of a night that did not begin there is no report, and that of an older one is not its.
#[test]
fn the_workflow_keeps_the_report_of_its_own_night_alone() {
    let bench = Bench::new();
    let latest = bench.path("nights/nightly/latest");
    fs_err::create_dir_all(latest.parent().unwrap()).unwrap();
    let nightly = |sweep: &str| {
        bench.write("scripts/sweep", &format!("#!/bin/sh\n{sweep}\n"));
        let chmod = Command::new("chmod").args(["-R", "+x"]).arg(bench.path("scripts")).status();
        assert!(chmod.unwrap().success());
        bench.write("output", "");
        let step = Command::new("bash")
            .args(["-e", "-c", &night_step()])
            .current_dir(bench.path(""))
            .env("SWEEP_RESULTS", bench.path("nights"))
            .env("GITHUB_OUTPUT", bench.path("output"))
            .env("GITHUB_STEP_SUMMARY", bench.path("step"))
            .output()
            .unwrap();
        (step.status.code(), bench.read("output"))
    };
    let ends = |night: &str, code| {
        let link = format!("ln -sfn {night} \"$SWEEP_RESULTS/nightly/latest\"");
        format!("echo '# Night of {night}'; {link}; exit {code}")
    };
    assert_eq!(nightly("exit 2"), (Some(2), String::new()), "none ever");
    assert_eq!(nightly(&ends("2026-11-26", 0)), (Some(0), "name=2026-11-26\n".to_owned()));
    assert_eq!(nightly("exit 2"), (Some(2), String::new()), "no night began");
    assert_eq!(nightly(&ends("2026-11-26.2", 4)), (Some(4), "name=2026-11-26.2\n".to_owned()));
    assert_eq!(bench.read("step"), "# Night of 2026-11-26\n# Night of 2026-11-26.2\n");
}
