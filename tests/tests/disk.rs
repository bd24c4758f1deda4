//! Disks that are full or may not be written: for real, on small file systems of their own.
//!
//! Mounting needs root. Where we are not, the tests say so and check what can be checked.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use end_to_end::script::Act;

use crate::bench::{Bench, Ran};

/// A small file system, unmounted at the end.
struct Mount<'a>(&'a Path);

impl<'a> Mount<'a> {
    fn new(place: &'a Path, options: &str) -> Option<Self> {
        fs_err::create_dir_all(place).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "sweep-test"])
            .arg(place)
            .output();
        match mount {
            Ok(output) if output.status.success() => Some(Self(place)),
            failed => {
                eprintln!("cannot mount a file system here, so this is not tested: {failed:?}");
                None
            }
        }
    }

    fn remount(&self, options: &str) {
        let output = Command::new("mount").args(["-o", options]).arg(self.0).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

fn ends_once(ran: &Ran, with: &str) {
    assert_eq!(ran.code, 5, "{}", ran.stderr);
    assert_eq!(ran.stderr.matches(with).count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("finished runs are kept"), "{}", ran.stderr);
}

#[test]
fn a_disk_that_fills_up_ends_the_sweep_once_and_it_goes_on_when_there_is_room() {
    let bench = Bench::new();
    let results = bench.path("results");
    let Some(mount) = Mount::new(&results, "size=8m") else { return };
    bench.rule(1, 16, Act::Wait);
    let mut child = bench.start(&["run", "batch_size.toml"]);
    let worker = bench.accept();
    // Results are stored beside the work.
    while !child.stderr_line().starts_with("[2/6]") {}
    let mut file = fs_err::File::create(bench.path("results/full")).unwrap();
    let full = loop {
        if let Err(error) = file.write_all(&[0; 4096]) {
            break error;
        }
    };
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    worker.go_on();
    let ran = bench.wait(child);
    ends_once(&ran, "No space left on device");
    let done = bench.results().iter().filter(|file| file.ends_with("result.json")).count();
    assert_eq!(done, 2);
    drop(file);
    fs_err::remove_file(bench.path("results/full")).unwrap();
    bench.script(|_| {});
    let resumed = bench.sweep(&["run", "batch_size.toml"]);
    assert_eq!(resumed.code, 0, "{}", resumed.stderr);
    assert!(resumed.stderr.contains("6 runs: 2 done before"), "{}", resumed.stderr);
    drop(mount);
}

#[test]
fn a_disk_that_is_too_full_is_seen_before_anything_starts() {
    let bench = Bench::new();
    let results = bench.path("results");
    let Some(mount) = Mount::new(&results, "size=96k") else { return };
    let ran = bench.sweep(&["run", "batch_size.toml"]);
    assert_eq!(ran.code, 5);
    assert!(
        ran.stderr.contains("the disk is too full: for 6 to do it takes 168 KiB at the least"),
        "{}",
        ran.stderr
    );
    assert_eq!(bench.ledger(), [""; 0]);
    drop(mount);
}

#[test]
fn a_folder_that_may_not_be_written_ends_the_sweep_once_and_can_still_be_read() {
    let bench = Bench::new();
    let results = bench.path("results");
    let Some(mount) = Mount::new(&results, "size=8m") else { return };
    let first = bench.sweep(&["run", "batch_size.toml"]);
    assert_eq!(first.code, 0, "{}", first.stderr);
    mount.remount("remount,ro");
    let ran = bench.sweep(&["run", "batch_size.toml"]);
    ends_once(&ran, "Read-only file system");
    let report = bench.sweep(&["report"]);
    assert_eq!((report.code, report.stdout), (0, first.stdout));
    assert_eq!(bench.sweep(&["doctor"]).code, 5);
    drop(mount);
}

#[test]
fn a_table_that_cannot_be_printed_is_no_success() {
    let bench = Bench::new();
    let mut command = bench.command(&["plan", "batch_size.toml"]);
    let full = fs_err::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = command.stdout(full.into_parts().0).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("cannot write to stdout: No space left on device"), "{said}");
}
