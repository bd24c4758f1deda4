//! What computes, and what of it has changed: a number that moves has a reason, and this is where to look.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::gpus::Driver;
use crate::open_files;
use crate::worker::{Probe, Program};

/// Everything known of what computes, besides the sweeps themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toolchain {
    /// What is checked out where the nightly file lies, by `git describe`; absent outside of git.
    pub source: Option<String>,
    /// The `sweep` that ran.
    pub sweep: Build,
    /// The worker that trained; absent when there was none.
    pub worker: Option<Build>,
    /// The libtorch that the worker says it has.
    pub libtorch: Option<String>,
    /// The libraries that the worker loads for it, with their contents.
    pub libraries: Vec<Library>,
    /// NVIDIA's driver.
    pub driver: Option<String>,
    /// The GPUs in the order of the PCI bus; of one that does not answer, why.
    pub gpus: Vec<String>,
    /// The processor.
    pub processor: Option<String>,
    /// The kernel.
    pub kernel: Option<String>,
}

/// A program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// What it says of itself.
    pub version: String,
    /// BLAKE3 of its file, in hexadecimal.
    pub hash: String,
}

/// A library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Library {
    /// Its file's name.
    pub name: String,
    /// BLAKE3 of its file, in hexadecimal.
    pub hash: String,
}

/// Something that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What.
    pub what: String,
    /// What it was; absent: there was none.
    pub before: Option<String>,
    /// What it is; absent: there is none any more.
    pub now: Option<String>,
}

impl Toolchain {
    /// That of this machine. `program` is none when there is no worker, or it does not answer; `folder` is
    /// where the nightly file lies.
    ///
    /// # Errors
    /// When a program or a library cannot be read.
    pub fn look(program: Option<(&Program, &Probe)>, folder: &Path) -> std::io::Result<Self> {
        let driver = Driver::open().ok();
        let worker = program.map(|(program, probe)| {
            Ok::<_, std::io::Error>(Build {
                version: probe.version.clone(),
                hash: hash(program.path())?,
            })
        });
        let mut libraries = Vec::new();
        for file in program.iter().flat_map(|(_, probe)| &probe.libraries) {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            libraries.push(Library { name, hash: hash(file)? });
        }
        let line = |file: &str| {
            let text = fs_err::read_to_string(file).ok()?;
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        Ok(Self {
            source: described(folder),
            sweep: Build {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                // By what runs, whatever lies at its path by now.
                hash: hash(Path::new("/proc/self/exe"))?,
            },
            worker: worker.transpose()?,
            libtorch: program.map(|(_, probe)| probe.libtorch.clone()),
            libraries,
            driver: driver.as_ref().and_then(Driver::version),
            gpus: driver.as_ref().map(Driver::names).unwrap_or_default(),
            processor: line("/proc/cpuinfo").and_then(|text| {
                let model = text.lines().find(|line| line.starts_with("model name"))?;
                Some(model.split_once(':')?.1.trim().to_owned())
            }),
            kernel: line("/proc/sys/kernel/osrelease"),
        })
    }

    /// Whether runs of the other may stand beside ours: what computes them is the same.
    pub fn computes_as(&self, other: &Self) -> bool {
        self.computing() == other.computing()
    }

    /// Names what computes.
    pub fn key(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in self.computing() {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        hasher.finalize().to_hex()[..16].to_owned()
    }

    fn computing(&self) -> Vec<&str> {
        let worker = self.worker.iter().map(|build| build.hash.as_str());
        let libraries = self.libraries.iter().flat_map(|one| [&*one.name, &*one.hash]);
        let rest = [&self.libtorch, &self.driver, &self.processor];
        let rest = rest.into_iter().map(|part| part.as_deref().unwrap_or_default());
        worker.chain(libraries).chain(rest).chain(self.gpus.iter().map(String::as_str)).collect()
    }

    /// What is not as it was in `before`.
    pub fn changes_since(&self, before: &Self) -> Vec<Change> {
        let build = |build: &Build| format!("{} ({})", build.version, short(&build.hash));
        let mut changes = Vec::new();
        let mut add = |what: &str, before: Option<String>, now: Option<String>| {
            if before != now {
                changes.push(Change { what: what.to_owned(), before, now });
            }
        };
        add("source", before.source.clone(), self.source.clone());
        add("sweep", Some(build(&before.sweep)), Some(build(&self.sweep)));
        add("worker", before.worker.as_ref().map(build), self.worker.as_ref().map(build));
        add("libtorch", before.libtorch.clone(), self.libtorch.clone());
        let library = |of: &Self, name: &str| {
            let found = of.libraries.iter().find(|library| library.name == name);
            found.map(|library| short(&library.hash).to_owned())
        };
        let mut names: Vec<&str> = Vec::new();
        for Library { name, .. } in before.libraries.iter().chain(&self.libraries) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        for name in names {
            add(name, library(before, name), library(self, name));
        }
        add("driver", before.driver.clone(), self.driver.clone());
        for gpu in 0..before.gpus.len().max(self.gpus.len()) {
            let what = format!("GPU {gpu}");
            add(&what, before.gpus.get(gpu).cloned(), self.gpus.get(gpu).cloned());
        }
        add("processor", before.processor.clone(), self.processor.clone());
        add("kernel", before.kernel.clone(), self.kernel.clone());
        changes
    }
}

/// The beginning of a hash, enough to tell two apart.
pub fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

fn hash(file: &Path) -> std::io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(fs_err::File::open(file)?)?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// What is checked out in `folder`.
fn described(folder: &Path) -> Option<String> {
    let mut git = std::process::Command::new("git");
    open_files::as_given(&mut git);
    let git = git
        .arg("-C")
        .arg(folder)
        .args(["describe", "--always", "--dirty", "--tags"])
        .stdin(std::process::Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&git.stdout).trim().to_owned();
    (git.status.success() && !text.is_empty()).then_some(text)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Some machine with this libtorch.
    pub(crate) fn with(libtorch: &str) -> Toolchain {
        let build = |hash: &str| Build { version: "0.1.0".to_owned(), hash: hash.repeat(16) };
        Toolchain {
            source: Some("v1-2-gabc".to_owned()),
            sweep: build("aaaa"),
            worker: Some(build("bbbb")),
            libtorch: Some(libtorch.to_owned()),
            libraries: vec![Library { name: "libc10.so".to_owned(), hash: "cccc".repeat(16) }],
            driver: Some("600.0".to_owned()),
            gpus: vec!["F100".to_owned()],
            processor: None,
            kernel: Some("6.1".to_owned()),
        }
    }

    #[test]
    fn what_has_changed_is_named() {
        let before = with("2.10.0");
        assert_eq!(before.changes_since(&before), []);
        assert!(before.computes_as(&before));
        let mut now = with("2.11.0");
        now.libraries = vec![Library { name: "libcudnn.so.9".to_owned(), hash: "d".repeat(64) }];
        now.gpus.push("the GPU is lost".to_owned());
        let said: Vec<String> = now
            .changes_since(&before)
            .into_iter()
            .map(|Change { what, before, now }| {
                let word = |word: Option<String>| word.unwrap_or_else(|| "-".to_owned());
                format!("{what}: {} -> {}", word(before), word(now))
            })
            .collect();
        insta::assert_snapshot!(said.join("\n"), @"
        libtorch: 2.10.0 -> 2.11.0
        libc10.so: cccccccccccc -> -
        libcudnn.so.9: - -> dddddddddddd
        GPU 1: - -> the GPU is lost
        ");
    }

    #[test]
    fn what_computes_is_told_from_what_does_not() {
        let one = with("2.11.0");
        let mut other = one.clone();
        other.source = None;
        other.sweep.hash = "e".repeat(64);
        other.kernel = None;
        assert!(one.computes_as(&other));
        assert_eq!(one.key(), other.key());
        let mut driver = one.clone();
        driver.driver = Some("601.0".to_owned());
        let mut worker = one.clone();
        worker.worker = None;
        for other in [with("2.10.0"), driver, worker] {
            assert!(!one.computes_as(&other), "{other:?}");
            assert_ne!(one.key(), other.key());
        }
    }
}
