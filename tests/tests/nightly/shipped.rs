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
    let Some(verified) = analyze(&["verify", "--man=no", &service, &timer]) else { return };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(verified.status.success() && said.is_empty(), "{said}");
    // Of 10.0, which is a service with no limits at all.
    let Some(exposed) = analyze(&["security", "--offline=true", "--threshold=30", &service]) else {
        return;
    };
    let said = String::from_utf8_lossy(&exposed.stdout).into_owned();
    assert!(exposed.status.success(), "{said}");
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
