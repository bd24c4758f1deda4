//! A real Slurm on this machine: one controller and four nodes on loopback, with GPUs that are none.
//!
//! Its daemons are this test's own children, in the foreground, and end with it: `setpriv` has the kernel
//! end them when the thread that started them does. Nothing is installed and nothing of the system's own
//! Slurm is touched. Numbers that are not Slurm's defaults (`cred_expire`, the intervals of the scheduler)
//! make what takes minutes on a cluster take seconds here.

use std::fmt::Write as _;
use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long to wait before one looks again.
const PAUSE: Duration = Duration::from_millis(50);

/// So many nodes, n0 to n3, each with as many GPUs.
pub(crate) const NODES: usize = 4;

/// A cluster; dropped, nothing of it is left.
pub(crate) struct Cluster {
    folder: TempDir,
    munged: Child,
    controller: Option<Child>,
    nodes: Vec<Option<Child>>,
}

/// Whether Slurm is installed. Where it is not, the test that asks is skipped, and says so.
pub(crate) fn is_here() -> bool {
    let programs = "munged munge slurmctld slurmd sbatch squeue scontrol scancel sinfo setpriv";
    let missing = programs.split(' ').find(|program| find(program).is_none());
    if let Some(missing) = missing {
        eprintln!(
            "skipped: there is no {missing}; `./scripts/setup_slurm` as root on Debian gets it"
        );
    }
    missing.is_none()
}

pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let folders = path.split(':').chain(["/usr/sbin", "/sbin"]).map(Path::new);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

impl Cluster {
    pub(crate) fn up() -> Self {
        // A short path, whatever TMPDIR says: that of a socket may have 107 bytes.
        let folder = tempfile::Builder::new().prefix("slurm").tempdir_in("/tmp").unwrap();
        fs_err::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        for name in ["log", "state", "spool", "dev", "munge", "socket"] {
            fs_err::create_dir(folder.path().join(name)).unwrap();
        }
        for gpu in 0..NODES {
            // Only of a character device does Slurm tell the task.
            let device = folder.path().join(format!("dev/gpu{gpu}"));
            fs_err::os::unix::fs::symlink("/dev/null", device).unwrap();
        }
        configure(folder.path());
        let mut munged = munged(folder.path());
        wait("munged answers", || {
            assert!(
                munged.try_wait().unwrap().is_none(),
                "munged ended: {}",
                log(&folder, "munged")
            );
            let socket = folder.path().join("socket/munge");
            let asked = Command::new("munge").arg("-n").arg("-S").arg(socket).output().unwrap();
            asked.status.success()
        });
        let nodes = (0..NODES).map(|_| None).collect();
        let mut cluster = Self { folder, munged, controller: None, nodes };
        cluster.start_controller(&[]);
        (0..NODES).for_each(|node| cluster.start_node(node));
        wait("all nodes are idle", || {
            cluster.says("sinfo", &["-h", "-N", "-p", "main", "-o", "%T"]).matches("idle").count()
                == NODES
        });
        cluster
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What `SLURM_CONF` is set to.
    pub(crate) fn conf(&self) -> PathBuf {
        self.path("slurm.conf")
    }

    /// Something else for the cluster to run, or to be asked.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(find(program).unwrap());
        command.env("SLURM_CONF", self.conf());
        command
    }

    pub(crate) fn ask(&self, program: &str, args: &[&str]) -> Output {
        self.command(program).args(args).output().unwrap()
    }

    /// What a program says when it is well.
    pub(crate) fn says(&self, program: &str, args: &[&str]) -> String {
        String::from_utf8_lossy(&self.ask(program, args).stdout).into_owned()
    }

    /// States of all jobs and tasks in the queue, such as `RUNNING`, one a line.
    pub(crate) fn states(&self) -> String {
        self.says("squeue", &["-h", "-r", "-o", "%T"])
    }

    /// Changes `slurm.conf` and begins with it anew, while nothing is in the queue.
    pub(crate) fn configured_anew(&mut self, change: impl Fn(String) -> String) {
        let conf = fs_err::read_to_string(self.conf()).unwrap();
        fs_err::write(self.conf(), change(conf)).unwrap();
        self.lose_all_jobs();
    }

    pub(crate) fn start_controller(&mut self, args: &[&str]) {
        let mut command = self.daemon("slurmctld", "slurmctld");
        command.arg("-D").args(args);
        self.controller = Some(command.spawn().unwrap());
        wait("the controller answers", || self.ask("scontrol", &["ping"]).status.success());
    }

    pub(crate) fn kill_controller(&mut self) {
        kill(self.controller.take());
    }

    /// The controller loses all jobs and begins anew, and so do the nodes.
    pub(crate) fn lose_all_jobs(&mut self) {
        self.kill_controller();
        self.start_again(&["-c"]);
    }

    /// The controller comes back; so do the nodes' daemons, which otherwise are known again by and by. What
    /// they had started goes on.
    pub(crate) fn start_again(&mut self, args: &[&str]) {
        (0..NODES).for_each(|node| self.kill_node(node));
        self.start_controller(args);
        (0..NODES).for_each(|node| self.start_node(node));
        wait("all nodes are back", || {
            let states = self.says("sinfo", &["-h", "-N", "-p", "main", "-o", "%T"]);
            let is_back =
                |state: &&str| ["idle", "mixed", "allocated", "completing"].contains(state);
            states.lines().filter(is_back).count() == NODES
        });
    }

    /// Does `work` while an administrator looks after the cluster. A controller that was killed has lost its
    /// last seconds: it starts again what already runs, takes nodes that say so for broken and drains them, and
    /// holds the jobs.
    pub(crate) fn administered<T>(&self, work: impl FnOnce() -> T) -> T {
        let (done, is_done) = mpsc::channel::<()>();
        thread::scope(|scope| {
            scope.spawn(move || {
                while is_done.recv_timeout(PAUSE) == Err(mpsc::RecvTimeoutError::Timeout) {
                    if self.says("sinfo", &["-h", "-N", "-p", "main", "-o", "%T"]).contains("drain")
                    {
                        let all = format!("NodeName=n[0-{}]", NODES - 1);
                        self.ask("scontrol", &["update", &all, "State=RESUME"]);
                    }
                    let queue = self.says("squeue", &["-h", "-r", "-o", "%i %r"]);
                    let held = queue.lines().filter_map(|line| {
                        let (job, reason) = line.split_once(' ')?;
                        (reason.contains("held") || reason.contains("JobHeld")).then_some(job)
                    });
                    held.for_each(|job| _ = self.ask("scontrol", &["release", job]));
                }
            });
            let worked = work();
            drop(done);
            worked
        })
    }

    pub(crate) fn start_node(&mut self, node: usize) {
        let name = format!("n{node}");
        fs_err::create_dir_all(self.path(&format!("spool/{name}"))).unwrap();
        let mut command = self.daemon("slurmd", &format!("slurmd-{name}"));
        command.args(["-D", "-N", &name]);
        self.nodes[node] = Some(command.spawn().unwrap());
    }

    /// Kills a node's daemon alone: what it started goes on.
    pub(crate) fn kill_node(&mut self, node: usize) {
        kill(self.nodes[node].take());
    }

    fn daemon(&self, program: &str, name: &str) -> Command {
        let output = fs_err::File::create(self.path(&format!("log/{name}"))).unwrap();
        let output = output.into_parts().0;
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL"])
            .arg(find(program).unwrap())
            .env("SLURM_CONF", self.conf())
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output);
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let conf = self.conf();
        for daemon in self.nodes.iter_mut().chain([&mut self.controller]) {
            kill(daemon.take());
        }
        // What the nodes started has left them: it is known by its environment.
        for pid in processes_with(&format!("SLURM_CONF={}", conf.display())) {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = self.munged.kill();
        let _ = self.munged.wait();
        if thread::panicking() {
            for name in ["slurmctld", "slurmd-n0"] {
                eprintln!("{name}:\n{}", log(&self.folder, name));
            }
        }
    }
}

fn log(folder: &TempDir, name: &str) -> String {
    let text = fs_err::read(folder.path().join("log").join(name)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

fn kill(daemon: Option<Child>) {
    if let Some(mut daemon) = daemon {
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }
}

fn processes_with(variable: &str) -> Vec<Pid> {
    let entries = fs_err::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let environment = fs_err::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|entry| entry == variable.as_bytes())
    })
    .filter_map(Pid::from_raw)
    .collect()
}

/// Waits until `is_so`.
pub(crate) fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "for long nothing came of this: {what}");
        thread::sleep(PAUSE);
    }
}

fn munged(folder: &Path) -> Child {
    let munge = folder.join("munge");
    let key = munge.join("key");
    fs_err::write(&key, format!("{:?}", std::time::SystemTime::now()).repeat(20)).unwrap();
    fs_err::set_permissions(&key, Permissions::from_mode(0o400)).unwrap();
    fs_err::set_permissions(&munge, Permissions::from_mode(0o700)).unwrap();
    let output = fs_err::File::create(folder.join("log/munged")).unwrap().into_parts().0;
    let is = |option: &str, name: &str| format!("--{option}={}", munge.join(name).display());
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL"])
        .arg(find("munged").unwrap())
        .args(["--foreground", "--num-threads=2", "--origin=127.0.0.1"])
        .args([is("key-file", "key"), is("socket", "../socket/munge"), is("pid-file", "pid")])
        .args([is("log-file", "log"), is("seed-file", "seed")])
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap()
}

/// Ports on loopback that are free now.
fn ports() -> Vec<u16> {
    let held: Vec<TcpListener> =
        (0..=NODES).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    held.iter().map(|port| port.local_addr().unwrap().port()).collect()
}

fn configure(folder: &Path) {
    let read = |program: &str, args: &[&str]| {
        let said = Command::new(program).args(args).output().unwrap().stdout;
        String::from_utf8(said).unwrap().trim().to_owned()
    };
    let (host, user) = (read("hostname", &["-s"]), read("id", &["-un"]));
    let (ports, dir) = (ports(), folder.display());
    let last = NODES - 1;
    let mut conf = format!(
        "ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={dir}/socket/munge,cred_expire=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={dir}/state
SlurmdSpoolDir={dir}/spool/%n
SlurmctldPidFile={dir}/slurmctld.pid
SlurmdPidFile={dir}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
ReturnToService=2
SlurmctldTimeout=10
SlurmdTimeout=12
MessageTimeout=5
KillWait=5
MaxArraySize=31
JobRequeue=1
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
GresTypes=gpu
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefMemPerCPU=50 State=UP
",
        ports[0]
    );
    for (node, port) in ports[1..].iter().enumerate() {
        let _ = writeln!(
            conf,
            "NodeName=n{node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={NODES} Boards=1 \
             SocketsPerBoard=1 CoresPerSocket={NODES} ThreadsPerCore=1 RealMemory=4000 Gres=gpu:{NODES} \
             State=UNKNOWN"
        );
    }
    fs_err::write(folder.join("slurm.conf"), conf).unwrap();
    let gres =
        format!("AutoDetect=off\nNodeName=n[0-{last}] Name=gpu File={dir}/dev/gpu[0-{last}]\n");
    fs_err::write(folder.join("gres.conf"), gres).unwrap();
}
