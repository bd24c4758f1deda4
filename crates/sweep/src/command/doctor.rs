//! `sweep doctor`: what is here, what is missing, and the way out.

use std::path::Path;
use std::thread;

use ::weights::folder::WeightsFolder;
use serde::Serialize;
use spec::config::Backbone;
use spec::paths::ResultsDir;
use spec::protocol;

use super::{print, print_json};
use crate::cli;
use crate::exit::{self, Failure};
use crate::gpus::{Driver, Gpu, GpuProcess, Place};
use crate::output::Console;
use crate::weights;
use crate::worker::Program;

/// Something that a sweep needs or can use.
#[derive(Debug, Serialize)]
struct Finding {
    what: String,
    state: State,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    way_out: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    /// Not there, and not everybody needs it.
    Absent,
    /// Not there, and nothing runs without it.
    Missing,
}

pub(super) fn doctor(
    args: &cli::Doctor,
    results: &ResultsDir,
    console: &Console,
) -> Result<u8, Failure> {
    let mut findings = worker();
    findings.extend(gpus().iter().map(of_seen));
    findings.push(cores());
    findings.extend(memory());
    findings.push(disk(results.root()));
    findings.extend(weights(&WeightsFolder::from_environment()));
    match args.json {
        true => print_json(console, &findings)?,
        false => print(console, &text(&findings))?,
    }
    let broken = findings.iter().any(|finding| finding.state == State::Missing);
    Ok(if broken { exit::ENVIRONMENT } else { exit::DONE })
}

fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { what, state, detail, way_out } in findings {
        let state = match state {
            State::Ok => "ok",
            State::Absent => "absent",
            State::Missing => "missing",
        };
        text.push_str(&format!("{state:<8} {what:<28} {detail}\n"));
        if let Some(way_out) = way_out {
            text.push_str(&format!("{:<8} {:<28} -> {way_out}\n", "", ""));
        }
    }
    text
}

fn found(what: &str, detail: String) -> Finding {
    Finding { what: what.to_owned(), state: State::Ok, detail, way_out: None }
}

fn missing(what: &str, detail: String, way_out: &str) -> Finding {
    let way_out = Some(way_out.to_owned());
    Finding { what: what.to_owned(), state: State::Missing, detail, way_out }
}

fn absent(what: &str, detail: String, way_out: Option<&str>) -> Finding {
    let way_out = way_out.map(str::to_owned);
    Finding { what: what.to_owned(), state: State::Absent, detail, way_out }
}

/// The worker, and what only it can tell.
fn worker() -> Vec<Finding> {
    const SETUP: &str = "./scripts/setup builds sweep-train and gets libtorch";
    let program = match Program::find() {
        Ok(program) => program,
        Err(error) => return vec![missing("worker", error.to_string(), SETUP)],
    };
    let place = program.path().display().to_string();
    let probe = match program.probe() {
        Ok(probe) => probe,
        Err(error) => return vec![missing("worker", error.to_string(), SETUP)],
    };
    let mut findings = vec![match probe.protocol {
        protocol::VERSION => found("worker", format!("{} at {place}", probe.version)),
        other => missing(
            "worker",
            format!("{place} speaks protocol {other}, and this sweep {}", protocol::VERSION),
            "build both from the same source",
        ),
    }];
    findings.push(found("libtorch", probe.libtorch));
    findings.push(match probe.cuda_devices {
        0 => absent("GPUs for the worker", "none: runs go to the CPU".to_owned(), None),
        gpus => found("GPUs for the worker", gpus.to_string()),
    });
    findings
}

/// A GPU of this machine, or an instance of one.
#[derive(Debug, Serialize)]
pub(super) struct Seen {
    /// `GPU 3, a part`
    pub(super) name: String,
    /// None when it does not answer.
    #[serde(flatten)]
    pub(super) gpu: Option<Gpu>,
    /// Why it does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lost: Option<String>,
}

impl Seen {
    /// What it is and who is on it, or that it does not answer.
    pub(super) fn detail(&self) -> String {
        match (&self.gpu, &self.lost) {
            (Some(gpu), _) => of_gpu(gpu),
            (None, why) => {
                format!("does not answer: {}", why.as_deref().unwrap_or("nobody knows why"))
            }
        }
    }
}

fn of_seen(seen: &Seen) -> Finding {
    const RESET: &str =
        "reset it (`nvidia-smi --gpu-reset`) or start the machine anew; the others are used";
    match seen.lost {
        None => found(&seen.name, seen.detail()),
        Some(_) => absent(&seen.name, seen.detail(), Some(RESET)),
    }
}

/// What the driver tells; nothing where there is none.
pub(super) fn gpus() -> Vec<Seen> {
    let Ok(places) = Driver::open().and_then(|driver| driver.gpus()) else { return Vec::new() };
    let mut seen = Vec::new();
    for (index, place) in places.into_iter().enumerate() {
        let name = format!("GPU {index}");
        match place {
            Ok(Place { gpu, instances }) => {
                seen.push(Seen { name, gpu: Some(gpu), lost: None });
                let name = format!("GPU {index}, a part");
                let part = |gpu| Seen { name: name.clone(), gpu: Some(gpu), lost: None };
                seen.extend(instances.into_iter().map(part));
            }
            Err(why) => seen.push(Seen { name, gpu: None, lost: Some(why) }),
        }
    }
    seen
}

/// `NVIDIA H100: 4.0 GiB free of 80.0 GiB, process 42 has 76.0 GiB`
fn of_gpu(Gpu { name, memory, free, processes, .. }: &Gpu) -> String {
    let mut text = format!("{name}: {} free of {}", gib(*free), gib(*memory));
    for GpuProcess { pid, memory } in processes {
        let memory = memory.map_or(String::new(), |bytes| format!(" has {}", gib(bytes)));
        text.push_str(&format!(", process {pid}{memory}"));
    }
    text
}

fn cores() -> Finding {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    found("CPU cores", cores.to_string())
}

fn memory() -> Option<Finding> {
    let text = fs_err::read_to_string("/proc/meminfo").ok()?;
    let bytes = |key: &str| -> Option<u64> {
        let line = text.lines().find(|line| line.starts_with(key))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib << 10)
    };
    let (total, free) = (bytes("MemTotal:")?, bytes("MemAvailable:")?);
    Some(found("memory", format!("{} free of {}", gib(free), gib(total))))
}

/// Space and permission where results go, or would be made.
fn disk(results: &Path) -> Finding {
    let what = "results";
    let absolute = std::path::absolute(results).unwrap_or_else(|_| results.to_owned());
    let existing = absolute.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    if let Err(error) = rustix::fs::access(existing, rustix::fs::Access::WRITE_OK) {
        let detail = format!("{} cannot be written: {error}", existing.display());
        return missing(what, detail, "make it writable, or name another folder with --results");
    }
    match rustix::fs::statvfs(existing) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            found(what, format!("{} free for {}", gib(free), absolute.display()))
        }
        Err(error) => missing(
            what,
            format!("{}: {error}", existing.display()),
            "name another folder with --results",
        ),
    }
}

fn weights(folder: &WeightsFolder) -> Vec<Finding> {
    Backbone::ALL
        .map(|backbone| {
            let what = format!("weights {}", backbone.name());
            let file = folder.file(backbone.name());
            match file.is_file() {
                true => found(&what, file.display().to_string()),
                false => absent(
                    &what,
                    format!("no {}", file.display()),
                    Some(&weights::way_to(backbone, folder)),
                ),
            }
        })
        .into()
}

fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}
