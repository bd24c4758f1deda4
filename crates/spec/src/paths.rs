//! Every path under `results/`.

use std::path::{Path, PathBuf};

use crate::record::PlanRun;
use crate::run_id::RunId;

/// The results folder: the one place that knows what lies where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultsDir {
    root: PathBuf,
    /// Where features are, if not below.
    cache: Option<PathBuf>,
}

/// The folder of one run: `runs/<slug>-<id12>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir {
    root: PathBuf,
}

/// The folder of what workers keep of long runs: `cache/checkpoints`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointsDir {
    root: PathBuf,
}

/// The folder of all nights: `nightly`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NightsDir {
    root: PathBuf,
}

/// The folder of one night: `nightly/<night>`. It is a results folder of its own, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NightDir {
    root: PathBuf,
}

/// The folder of one sweep: `<sweep>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepDir {
    root: PathBuf,
}

/// The folder of what was submitted to a cluster at once: `.slurm/<name>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmissionDir {
    root: PathBuf,
}

impl ResultsDir {
    /// The results folder at `root`, which need not exist.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), cache: None }
    }

    /// The same with features that are kept elsewhere.
    pub fn with_cache(self, cache: PathBuf) -> Self {
        Self { cache: Some(cache), ..self }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Folder of the nights.
    pub fn nights(&self) -> NightsDir {
        NightsDir::new(self.root.join("nightly"))
    }

    /// Folder of all runs.
    pub fn runs(&self) -> PathBuf {
        self.root.join("runs")
    }

    /// The folders of all attempts, as a pattern to show to people.
    pub fn every_attempts(&self) -> PathBuf {
        self.runs().join("*/attempts")
    }

    /// Folder of one run.
    pub fn run(&self, run: &PlanRun) -> RunDir {
        RunDir { root: self.runs().join(format!("{}-{}", run.slug, run.run.short())) }
    }

    /// The folder of this name among those of runs.
    pub fn run_folder(&self, name: &str) -> RunDir {
        RunDir { root: self.runs().join(name) }
    }

    /// Whether a sweep may not have this name, because its folder would lie where something else does.
    pub fn is_reserved(name: &str) -> bool {
        name.is_empty()
            || name.starts_with('.')
            || matches!(name, "runs" | "cache" | "reference" | "nightly")
    }

    /// Folder of one sweep. The name is a file's stem, so it holds no separator.
    pub fn sweep(&self, name: &str) -> SweepDir {
        SweepDir { root: self.root.join(name) }
    }

    /// Features, content-addressed; may be deleted at any time.
    pub fn cache(&self) -> PathBuf {
        self.cache.clone().unwrap_or_else(|| self.root.join("cache"))
    }

    /// What workers keep of long runs; may be deleted at any time.
    pub fn checkpoints(&self) -> CheckpointsDir {
        CheckpointsDir::new(self.cache().join("checkpoints"))
    }

    /// Held for the moment in which an orchestrator changes what all of them write.
    pub fn lock(&self) -> PathBuf {
        self.root.join(".lock")
    }

    /// Folder of the orchestrators that are at work here: a file for each, which it keeps fresh.
    pub fn orchestrators(&self) -> PathBuf {
        self.root.join(".claims/orchestrators")
    }

    /// Folder of the runs that orchestrators are at: a file for each, named after the run's id.
    pub fn claims(&self) -> PathBuf {
        self.root.join(".claims/runs")
    }

    /// Folder of all that was submitted to a cluster.
    pub fn submissions(&self) -> PathBuf {
        self.root.join(".slurm")
    }

    /// Folder of what was submitted at once, under this name.
    pub fn submission(&self, name: &str) -> SubmissionDir {
        SubmissionDir { root: self.submissions().join(name) }
    }

    /// Held while somebody submits, so that nobody submits the same meanwhile.
    pub fn submission_lock(&self) -> PathBuf {
        self.submissions().join(".lock")
    }
}

impl CheckpointsDir {
    /// The folder at `root`, which need not exist.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What is kept of one run: to be removed when it has ended.
    pub fn run(&self, run: RunId) -> PathBuf {
        self.root.join(run.to_string())
    }

    /// What a program of the user's own keeps of a run: a folder of its own, in which all names are free.
    pub fn program(&self, run: RunId) -> PathBuf {
        self.run(run).join("program")
    }

    /// The state of a run, or of one of its folds, counted from 1.
    pub fn file(&self, run: RunId, fold: Option<u32>) -> PathBuf {
        let name = match fold {
            Some(fold) => format!("fold-{fold}.safetensors"),
            None => "run.safetensors".to_owned(),
        };
        self.run(run).join(name)
    }
}

impl NightsDir {
    /// The nights in `root`, which need not exist.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Folder of the night of this name.
    pub fn night(&self, name: &str) -> NightDir {
        NightDir { root: self.root.join(name) }
    }

    /// A night that is about to be removed.
    pub fn gone(&self, name: &str) -> PathBuf {
        self.root.join(format!(".gone-{name}"))
    }

    /// Points to the folder of the last night that ended.
    pub fn latest(&self) -> PathBuf {
        self.root.join("latest")
    }

    /// Held while a night goes on.
    pub fn lock(&self) -> PathBuf {
        self.root.join(".lock")
    }

    /// Who holds it.
    pub fn holder(&self) -> PathBuf {
        self.root.join(".holder.json")
    }

    /// Folder of the features that several nights share.
    pub fn features(&self) -> PathBuf {
        self.root.join(".features")
    }
}

impl NightDir {
    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What its sweeps leave.
    pub fn results(&self) -> ResultsDir {
        ResultsDir::new(&self.root)
    }

    /// How it began. A night is there when this is.
    pub fn begun(&self) -> PathBuf {
        self.root.join("night.json")
    }

    /// How it ended, for programs. Written last: without it the night was cut short.
    pub fn summary(&self) -> PathBuf {
        self.root.join("summary.json")
    }

    /// How it ended, for people.
    pub fn report(&self) -> PathBuf {
        self.root.join("report.md")
    }

    /// The same as one page, with its sweeps.
    pub fn page(&self) -> PathBuf {
        self.root.join("report.html")
    }

    /// There when somebody has said that later nights are to be compared with this one.
    pub fn accepted(&self) -> PathBuf {
        self.root.join("accepted")
    }

    /// What the command of this name said.
    pub fn hook_log(&self, name: &str) -> PathBuf {
        self.root.join(format!("{name}.log"))
    }
}

impl RunDir {
    /// The folder at `root`, found among those of all runs.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Whether it is that of `run`, by its name.
    pub fn is_of(&self, run: RunId) -> bool {
        let name = self.root.file_name().and_then(|name| name.to_str());
        name.and_then(|name| name.rsplit_once('-')).is_some_and(|(_, id)| id == run.short())
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What was asked for: [`crate::record::RunConfig`].
    pub fn config(&self) -> PathBuf {
        self.root.join("config.json")
    }

    /// How it ended: [`crate::record::RunResult`]. Written last.
    pub fn result(&self) -> PathBuf {
        self.root.join("result.json")
    }

    /// One row for each epoch.
    pub fn metrics(&self) -> PathBuf {
        self.root.join("metrics.csv")
    }

    /// One row for each image.
    pub fn predictions(&self) -> PathBuf {
        self.root.join("predictions.csv")
    }

    /// For the leaderboard, where the test images have no labels.
    pub fn submission(&self) -> PathBuf {
        self.root.join("submission.csv")
    }

    /// What it scored elsewhere, such as on a leaderboard. `sweep score` alone writes it.
    pub fn external_score(&self) -> PathBuf {
        self.root.join("score.json")
    }

    /// Folder of the attempts' logs.
    pub fn attempts(&self) -> PathBuf {
        self.root.join("attempts")
    }

    /// What the worker said during attempt `attempt`, from 1.
    pub fn attempt_log(&self, attempt: u32) -> PathBuf {
        self.attempts().join(format!("{attempt}.log"))
    }
}

impl SubmissionDir {
    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Which runs each task has; never changed. It is there as soon as everything else is that a task needs.
    pub fn mapping(&self) -> PathBuf {
        self.root.join("mapping.json")
    }

    /// The numbers that the cluster gave to what was submitted.
    pub fn jobs(&self) -> PathBuf {
        self.root.join("jobs.json")
    }

    /// Folder of what each task needs.
    pub fn tasks(&self) -> PathBuf {
        self.root.join("tasks")
    }

    /// Everything that task `task` needs, from 0.
    pub fn task(&self, task: usize) -> PathBuf {
        self.tasks().join(format!("{task}.json"))
    }

    /// The script of array `array`, from 0.
    pub fn script(&self, array: usize) -> PathBuf {
        self.root.join(format!("array-{array}.sh"))
    }

    /// The script of the job that writes the reports.
    pub fn collector(&self) -> PathBuf {
        self.root.join("collect.sh")
    }

    /// Folder of what the jobs say.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// There when nobody waits for anything of it any more.
    pub fn closed(&self) -> PathBuf {
        self.root.join("closed")
    }
}

impl SweepDir {
    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Which runs stand in which row: [`crate::record::Plan`].
    pub fn plan(&self) -> PathBuf {
        self.root.join("plan.json")
    }

    /// The table, derived.
    pub fn report(&self) -> PathBuf {
        self.root.join("report.md")
    }

    /// The same and more as a page, derived.
    pub fn page(&self) -> PathBuf {
        self.root.join("report.html")
    }

    /// One row for each run, derived.
    pub fn runs_csv(&self) -> PathBuf {
        self.root.join("runs.csv")
    }
}
