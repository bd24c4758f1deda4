//! Programs that look like Slurm's and keep what they were told in files.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use crate::bench::{Bench, Ran, Running};

/// Takes every script; `most` holds how many at most. `lost`: the answer does not reach whoever submits,
/// who is killed. `garbage`: the answer is none.
const SBATCH: &str = r#"#!/bin/sh
for script; do :; done
script=$(realpath "$script")
cd "$(dirname "$0")" || exit 1
echo "sbatch $*" >> calls
env | grep -E '^(SLURM|SBATCH|SQUEUE|SCONTROL)_' | sort > environment
taken=$(ls jobs | wc -l)
if [ -e most ] && [ "$taken" -ge "$(cat most)" ]; then
    echo "sbatch: error: QOSMaxSubmitJobPerUserLimit" >&2
    echo "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy" >&2
    exit 1
fi
id=$((101 + taken))
cp "$script" "jobs/$id"
[ -e lost ] && kill -9 $PPID
[ -e garbage ] && { echo "Congratulations!"; exit 0; }
echo "$id"
"#;

/// Lists what was taken and is not in `over`, as waiting; or what is in `says`; or is `dead`.
const SQUEUE: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 1
echo "squeue $*" >> calls
if [ -e dead ]; then
    echo "slurm_load_jobs error: Unable to contact slurm controller (connect failure)" >&2
    exit 1
fi
[ -e says ] && { cat says; exit 0; }
for job in $(ls jobs); do
    [ -e "over/$job" ] && continue
    name=$(sed -n 's/^#SBATCH --job-name=//p' "jobs/$job")
    array=$(sed -n 's/^#SBATCH --array=//p' "jobs/$job")
    echo "$name|$job|${array:-N/A}|PENDING|Priority"
done
"#;

/// Knows how large an array may be (`size`) and what is hidden from others (`private`), and takes down what is
/// requeued.
const SCONTROL: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 1
echo "scontrol $*" >> calls
case "$1" in
    show)
        echo "MaxArraySize            = $(cat size)"
        echo "PrivateData             = $(cat private 2>/dev/null || echo none)" ;;
    requeue) echo "$2" >> requeued ;;
esac
"#;

/// A bench with such programs; nothing that was taken runs before somebody runs it.
pub(crate) struct Pretend {
    pub(crate) bench: Bench,
}

impl Pretend {
    pub(crate) fn new() -> Self {
        let bench = Bench::new();
        for (name, text) in [("sbatch", SBATCH), ("squeue", SQUEUE), ("scontrol", SCONTROL)] {
            let file = format!("bin/{name}");
            bench.write(&file, text);
            let mode = std::fs::Permissions::from_mode(0o755);
            fs_err::set_permissions(bench.path(&file), mode).unwrap();
        }
        for folder in ["bin/jobs", "bin/over"] {
            fs_err::create_dir(bench.path(folder)).unwrap();
        }
        let pretend = Self { bench };
        pretend.set("size", "1001");
        pretend
    }

    /// Tells the programs something.
    pub(crate) fn set(&self, what: &str, text: &str) {
        self.bench.write(&format!("bin/{what}"), text);
    }

    pub(crate) fn unset(&self, what: &str) {
        fs_err::remove_file(self.bench.path(&format!("bin/{what}"))).unwrap();
    }

    /// What they were told, from `file`.
    pub(crate) fn told(&self, file: &str) -> String {
        fs_err::read_to_string(self.bench.path(&format!("bin/{file}"))).unwrap_or_default()
    }

    /// With these programs first on the path.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.bench.command(args);
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", self.bench.path("bin").display()));
        command
    }

    pub(crate) fn start(&self, args: &[&str]) -> Running {
        Running::start(self.command(args))
    }

    pub(crate) fn sweep(&self, args: &[&str]) -> Ran {
        let mut ran = self.bench.wait(self.start(args));
        for text in [&mut ran.stdout, &mut ran.stderr] {
            *text = redact_names(text);
        }
        ran
    }

    /// `sweep run batch_size.toml --launcher slurm`
    pub(crate) fn submit(&self, more: &[&str]) -> Ran {
        let mut args = vec!["run", "batch_size.toml", "--launcher", "slurm"];
        args.extend(more);
        self.sweep(&args)
    }

    /// The jobs that were taken.
    pub(crate) fn jobs(&self) -> Vec<String> {
        let jobs = fs_err::read_dir(self.bench.path("bin/jobs")).unwrap();
        let mut jobs: Vec<String> =
            jobs.map(|job| job.unwrap().file_name().into_string().unwrap()).collect();
        jobs.sort();
        jobs
    }

    pub(crate) fn script(&self, job: &str) -> PathBuf {
        self.bench.path(&format!("bin/jobs/{job}"))
    }

    /// What runs a task of a job as Slurm would.
    pub(crate) fn task(&self, job: &str, index: usize, restarts: u32) -> Command {
        let sweep = self.command(&[]);
        let mut command = Command::new("bash");
        command.arg(self.script(job)).current_dir("/");
        for (name, value) in sweep.get_envs() {
            match value {
                // All that it needs stands in the script.
                Some(value) if name != "SWEEP_TRAIN" && name != "SWEEP_RESULTS" => {
                    command.env(name, value)
                }
                _ => command.env_remove(name),
            };
        }
        command
            .env("SLURM_JOB_ID", format!("{job}{index}"))
            .env("SLURM_ARRAY_JOB_ID", job)
            .env("SLURM_ARRAY_TASK_ID", index.to_string())
            .env("SLURM_CPUS_ON_NODE", "1");
        if restarts > 0 {
            command.env("SLURM_RESTART_COUNT", restarts.to_string());
        }
        command
    }

    pub(crate) fn run_task(&self, job: &str, index: usize) -> Ran {
        self.bench.wait(Running::start(self.task(job, index, 0)))
    }

    /// A job leaves the queue.
    pub(crate) fn end(&self, job: &str) {
        self.set(&format!("over/{job}"), "");
    }
}

/// Reads what a command says until a line is as it should be.
pub(crate) fn until(running: &mut Running, is_it: impl Fn(&str) -> bool) {
    let mut said = String::new();
    loop {
        let line = running.stderr_line();
        assert!(!line.is_empty(), "it said no such line:\n{said}");
        if is_it(&line) {
            return;
        }
        said.push_str(&line);
    }
}

/// `batch_size-1f2e3d4c` -> `batch_size-[NAME]`
pub(crate) fn redact_names(text: &str) -> String {
    let mut parts = text.split("batch_size-");
    let mut redacted = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        redacted.push_str("batch_size-");
        redacted.push_str(if digits == 8 { "[NAME]" } else { &part[..digits] });
        redacted.push_str(&part[digits..]);
    }
    redacted
}
