//! On a real Slurm with four nodes and four GPUs on each, which are none: whatever happens, every run ends
//! with a result, exactly once.

mod runs;
mod trouble;

use std::collections::BTreeSet;
use std::process::Command;

use end_to_end::script::{Act, Rule};

use super::cluster::{Cluster, is_here};
use crate::bench::{Bench, Ran, Running, is_long};

/// A bench on a cluster of its own.
struct Real {
    cluster: Cluster,
    bench: Bench,
}

impl Real {
    /// With `many.toml`: 4 batch sizes, each under `seeds` seeds; `slurm` is what its `[slurm]` says besides the
    /// GPU. None where there is no Slurm.
    fn up(seeds: usize, slurm: &str) -> Option<Self> {
        if !is_here() {
            return None;
        }
        let (cluster, bench) = (Cluster::up(), Bench::new());
        bench.write(
            "many.toml",
            &format!(
                "extends = \"base.toml\"\nreplicates = {seeds}\n[schedule]\ndevices = \"cuda\"\n\
                 [factors]\nbatch_size = [8, 16, 32, 64]\n[slurm]\ngres = \"gpu:1\"\n{slurm}\n"
            ),
        );
        bench.script(|script| script.gpus = 1);
        Some(Self { cluster, bench })
    }

    /// The same, where tests may take minutes.
    fn up_for_long(seeds: usize, slurm: &str) -> Option<Self> {
        if is_long() { Self::up(seeds, slurm) } else { None }
    }

    fn start(&self, args: &[&str]) -> Running {
        let mut command: Command = self.bench.command(&[]);
        // The file says on which devices, not the bench.
        command.args(args).env("SLURM_CONF", self.cluster.conf());
        Running::start(command)
    }

    /// `sweep run many.toml --launcher slurm`
    fn submit(&self, more: &[&str]) -> Ran {
        let args = [&["run", "many.toml", "--launcher", "slurm"], more].concat();
        self.bench.wait(self.start(&args))
    }

    fn submitted(&self) -> Ran {
        let ran = self.submit(&[]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran
    }

    fn status(&self) -> String {
        self.bench.wait(self.start(&["status"])).stdout
    }

    fn results(&self) -> usize {
        self.bench.results().iter().filter(|file| file.ends_with("/result.json")).count()
    }

    /// Waits for the end of all that is submitted, and submits what was lost, until nothing is open.
    fn go_on_until_done(&self) -> Ran {
        let ran = self.submit(&["--follow", "--poll", "1s"]);
        assert_eq!(ran.code, 0, "{}\n{}", ran.stderr, self.logs());
        assert!(ran.stdout.contains("# many\n"), "{}", ran.stdout);
        ran
    }

    /// Each run came to its end once, and has a result.
    fn each_once(&self, runs: usize) {
        let ledger = self.bench.ledger();
        let once: BTreeSet<&String> = ledger.iter().collect();
        assert_eq!((once.len(), ledger.len()), (runs, runs), "{ledger:?}\n{}", self.logs());
        assert_eq!(self.results(), runs);
        let files = self.bench.results().into_iter();
        let left = files.filter(|file| file.starts_with(".claims/runs"));
        assert_eq!(left.collect::<Vec<_>>(), [""; 0], "claims are let go");
    }

    /// What the tasks said.
    fn logs(&self) -> String {
        let files = self.bench.results().into_iter();
        let logs = files.filter(|file| file.contains(".slurm/") && file.ends_with(".log"));
        let text = |file| format!("{file}:\n{}\n", self.bench.read(&format!("results/{file}")));
        logs.map(text).collect()
    }

    /// Runs of one seed wait until somebody says that they may go on.
    fn hold(&self, seed: u64) {
        let rule = Rule { seed: Some(seed), batch_size: Some(32), times: None, act: Act::Wait };
        self.bench.change_script(|script| script.rules = vec![rule]);
    }

    /// None waits any more.
    fn release(&self) {
        self.bench.change_script(|script| script.rules = Vec::new());
    }
}
