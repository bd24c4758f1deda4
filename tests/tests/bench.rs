//! A bench to test on: a folder with data, sweep files and results, and the fake worker.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use end_to_end::script::{Act, Rule, Script, VARIABLE};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Longer than anything takes; so long before a test gives up on a program that hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Whether tests may take minutes.
pub(crate) fn is_long() -> bool {
    std::env::var_os("SWEEP_TEST_LONG").is_some()
}

/// Whether a process goes on; one that only waits to be reaped does not.
pub(crate) fn is_alive(pid: &str) -> bool {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// A folder of its own for each test.
pub(crate) struct Bench {
    folder: TempDir,
    socket: UnixListener,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code; 128 + N when signal N ended it.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A command under way.
pub(crate) struct Running(Child);

/// A worker that has checked in at the socket.
pub(crate) struct CheckedIn {
    /// `seed batch_size`
    pub(crate) who: String,
    stream: BufReader<UnixStream>,
}

impl Bench {
    /// With labelled test images and `batch_size.toml`: 3 batch sizes x 2 seeds.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixListener::bind(folder.path().join("socket")).unwrap();
        let bench = Self { folder, socket };
        for (class, number) in [("cleaned", 0), ("cleaned", 1), ("dirty", 2), ("dirty", 3)] {
            for set in ["train", "test"] {
                bench.write(&format!("data/{set}/{class}/000{number}.jpg"), set);
            }
        }
        bench.write(
            "base.toml",
            r#"
            [data]
            train = "data/train"
            test = "data/test"
            [model]
            weights = "weights.safetensors"
            [schedule]
            retries = 0
            "#,
        );
        bench.write(
            "batch_size.toml",
            r#"
            extends = "base.toml"
            strategy = "ofat"
            replicates = 2
            [factors]
            batch_size = [16, 32, 64]
            "#,
        );
        // Without a tensor: the fake worker reads none.
        bench.write("weights.safetensors", "\u{2}\0\0\0\0\0\0\0{}");
        bench.script(|_| {});
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        let text = fs_err::read_to_string(self.path(name)).unwrap();
        text.split_inclusive('\n').map(redact_time_cell).collect()
    }

    /// Tells the fake worker what to do, from nothing.
    pub(crate) fn script(&self, change: impl FnOnce(&mut Script)) {
        let script = Script {
            ledger: self.path("ledger"),
            begun: self.path("begun"),
            socket: self.path("socket"),
            ..Script::default()
        };
        self.write_script(script, change);
    }

    /// Tells it more.
    pub(crate) fn change_script(&self, change: impl FnOnce(&mut Script)) {
        self.write_script(serde_json::from_str(&self.read("script.json")).unwrap(), change);
    }

    fn write_script(&self, mut script: Script, change: impl FnOnce(&mut Script)) {
        change(&mut script);
        self.write("script.json", &serde_json::to_string(&script).unwrap());
    }

    /// Tells it to do `act` with the run of `seed` and `batch_size`, and nothing else.
    pub(crate) fn rule(&self, seed: u64, batch_size: u32, act: Act) {
        self.rules(&[(seed, batch_size, act)]);
    }

    /// Tells it what to do with the runs of these seeds and batch sizes, and nothing else.
    pub(crate) fn rules(&self, rules: &[(u64, u32, Act)]) {
        let rule = |(seed, batch_size, act): &(u64, u32, Act)| Rule {
            seed: Some(*seed),
            batch_size: Some(*batch_size),
            times: None,
            act: act.clone(),
        };
        self.script(|script| script.rules = rules.iter().map(rule).collect());
    }

    /// The command, on one slot unless `args` say otherwise.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(sweep());
        command
            .args(args)
            .current_dir(self.folder.path())
            .env("SWEEP_TRAIN", env!("CARGO_BIN_EXE_fake-worker"))
            .env(VARIABLE, self.path("script.json"))
            .env("SWEEP_RESULTS", "results")
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env_remove("SWEEP_WEIGHTS")
            .env_remove("RUST_LOG");
        if args.first() == Some(&"run") && !args.contains(&"--devices") {
            command.args(["--devices", "cpu:1"]);
        }
        command
    }

    pub(crate) fn sweep(&self, args: &[&str]) -> Ran {
        self.wait(self.start(args))
    }

    pub(crate) fn start(&self, args: &[&str]) -> Running {
        Running::start(self.command(args))
    }

    /// What came of it; paths and times redacted.
    pub(crate) fn wait(&self, mut running: Running) -> Ran {
        let stdout = read_all(running.0.stdout.take().unwrap());
        let stderr = read_all(running.0.stderr.take().unwrap());
        let (_done, not_done) = mpsc::channel::<()>();
        let pid = running.pid();
        thread::spawn(move || {
            if not_done.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                kill_process(pid, Signal::KILL).unwrap();
            }
        });
        let status = running.0.wait().unwrap();
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap());
        let text = |said: thread::JoinHandle<String>| self.redact(&said.join().unwrap());
        Ran { code, stdout: text(stdout), stderr: text(stderr) }
    }

    /// The next worker that checks in.
    pub(crate) fn accept(&self) -> CheckedIn {
        let socket = self.socket.try_clone().unwrap();
        let (to, accepted) = mpsc::channel();
        thread::spawn(move || to.send(socket.accept().unwrap().0));
        let stream = accepted.recv_timeout(PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut stream = BufReader::new(stream);
        let mut who = String::new();
        stream.read_line(&mut who).unwrap();
        CheckedIn { who: who.trim_end().to_owned(), stream }
    }

    /// Runs that came to their end, as the fake worker took them down, sorted.
    pub(crate) fn ledger(&self) -> Vec<String> {
        let text = fs_err::read_to_string(self.path("ledger")).unwrap_or_default();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// The files under `results`, if there are any, sorted.
    pub(crate) fn results(&self) -> Vec<String> {
        self.files("results")
    }

    /// The files under a folder, if there are any, sorted.
    pub(crate) fn files(&self, under: &str) -> Vec<String> {
        let mut files = Vec::new();
        let root = self.path(under);
        let mut folders = vec![root.clone()];
        folders.retain(|folder| folder.exists());
        while let Some(folder) = folders.pop() {
            for entry in fs_err::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(&root).unwrap();
                    files.push(name.to_str().unwrap().to_owned());
                }
            }
        }
        files.sort();
        files
    }

    /// Run folders, by the end of their slug (`b32-lr0.0001-s1`).
    pub(crate) fn run_folder(&self, slug_end: &str) -> PathBuf {
        let runs = fs_err::read_dir(self.path("results/runs")).unwrap();
        let mut found = runs.map(|entry| entry.unwrap().path()).filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.rsplit_once('-').unwrap().0.ends_with(slug_end)
        });
        let folder = found.next().unwrap();
        assert_eq!(found.next(), None);
        folder
    }

    fn redact(&self, text: &str) -> String {
        let text = text.replace(self.folder.path().to_str().unwrap(), "[DIR]");
        let text = text.replace(env!("CARGO_BIN_EXE_fake-worker"), "[WORKER]");
        // One slot has every core of the machine that the tests run on.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let text = text.replace(&format!("({cores} threads)"), "([CORES] threads)");
        redact_seconds(&text)
    }
}

/// `command` where only so many files may be open unless it raises the limit.
pub(crate) fn limited(files: u32, command: &Command) -> Command {
    let mut limited = Command::new("sh");
    limited.args(["-c", &format!("ulimit -Sn {files}; exec \"$@\""), "sh"]);
    limited.arg(command.get_program()).args(command.get_args());
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    if let Some(folder) = command.get_current_dir() {
        limited.current_dir(folder);
    }
    limited
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// The most memory that it has had, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs_err::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// The next line on stderr; the rest stays to be read.
    pub(crate) fn stderr_line(&mut self) -> String {
        let stderr = self.0.stderr.as_mut().unwrap();
        let mut line = Vec::new();
        let mut byte = [0];
        while line.last() != Some(&b'\n') && stderr.read(&mut byte).unwrap() == 1 {
            line.extend(byte);
        }
        String::from_utf8(line).unwrap()
    }
}

/// A test that fails leaves nothing running.
impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl CheckedIn {
    pub(crate) fn go_on(mut self) {
        self.stream.get_mut().write_all(b"go\n").unwrap();
    }

    /// What it still says, until it is gone.
    pub(crate) fn rest(mut self) -> String {
        let mut rest = String::new();
        self.stream.read_to_string(&mut rest).unwrap();
        rest
    }
}

/// `(3 epochs, 0.1 s)` -> `(3 epochs, [TIME])`
fn redact_seconds(text: &str) -> String {
    let mut words: Vec<String> = text.split_inclusive(' ').map(str::to_owned).collect();
    for place in 1..words.len() {
        let number = words[place - 1].trim().trim_start_matches('(').to_owned();
        let is_seconds = words[place].starts_with("s)") && number.parse::<f64>().is_ok();
        if is_seconds {
            words[place - 1] = words[place - 1].replace(&format!("{number} "), "[TIME]");
            words[place].remove(0);
        }
    }
    words.concat().split_inclusive('\n').map(redact_time_cell).collect()
}

/// `| 5000 | 0.1 s |` -> `| 5000 | T.T s |`: what runs took stands last in its table.
fn redact_time_cell(line: &str) -> String {
    match line.trim_end().strip_suffix(" s |").and_then(|line| line.rsplit_once(' ')) {
        Some((rest, number)) if number.parse::<f64>().is_ok() => {
            format!("{rest} {} s |\n", number.replace(|c: char| c.is_ascii_digit(), "T"))
        }
        _ => line.to_owned(),
    }
}

fn read_all(mut from: impl std::io::Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = Vec::new();
        from.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    })
}

/// The built program: Cargo hands tests only the programs of their own package.
pub(crate) fn sweep() -> PathBuf {
    beside_us("sweep")
}

pub(crate) fn beside_us(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.parent().and_then(Path::parent).unwrap().join(name);
    assert!(
        program.is_file(),
        "{} is missing: `cargo build --release --all-targets` first",
        program.display()
    );
    program
}
