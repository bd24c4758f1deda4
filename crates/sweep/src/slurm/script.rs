//! What is submitted: the scripts of the job arrays and of the job that writes the reports.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use miette::Diagnostic;
use spec::paths::SubmissionDir;
use spec::slurm::Slurm;
use thiserror::Error;

use super::mapping::Array;
use crate::exit::{self, Ends};

/// A script that cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
pub enum ScriptError {
    /// Slurm would read the path as another one.
    #[error("{} cannot stand in a script of Slurm's: it has a quote, a backslash, a control character, or is not UTF-8", path.display())]
    #[diagnostic(help("rename the folder, or name another one for the results with --results"))]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// A task would stop as soon as it began.
    #[error(
        "[slurm] time = {} leaves nothing: a task stops {} before it is over",
        humantime::format_duration(*time), humantime::format_duration(*grace)
    )]
    #[diagnostic(help(
        "make `time` longer or `grace` shorter; Slurm may be a minute early with its signal"
    ))]
    Grace {
        /// The time limit.
        time: Duration,
        /// How long before it is over a task stops.
        grace: Duration,
    },
}

impl Ends for ScriptError {
    fn exit_code(&self) -> u8 {
        exit::USAGE
    }
}

/// What all scripts of a submission have in common.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// What the cluster is asked for.
    pub slurm: &'a Slurm,
    /// This program.
    pub sweep: &'a Path,
    /// The worker, where it is not beside this program.
    pub train: Option<&'a Path>,
    /// The results folder; absolute.
    pub results: &'a Path,
    /// The submission's name.
    pub name: &'a str,
    /// Its folder; absolute.
    pub dir: &'a SubmissionDir,
}

/// The script of an array.
///
/// # Errors
/// When a path cannot be written, or `grace` is longer than `time`.
pub fn array(frame: &Frame<'_>, array: &Array) -> Result<String, ScriptError> {
    let Slurm { time, grace, max_concurrent, requeues, cpus, .. } = frame.slurm;
    if let Some(time) = time.filter(|time| time <= grace) {
        return Err(ScriptError::Grace { time, grace: *grace });
    }
    let most = max_concurrent.map(|most| format!("%{most}")).unwrap_or_default();
    let mut script = Script::default();
    script.option("job-name", &array.name);
    script.option("array", &format!("0-{}{most}", array.tasks.saturating_sub(1)));
    script.option("output", &output(&frame.dir.logs(), "%A_%a.log")?);
    // What a task said before it went back into the queue stays.
    script.option("open-mode", "append");
    script.flag("requeue");
    // To the batch script itself, which has become `sweep`: its children hear of it from there.
    script.option("signal", &format!("B:USR1@{}", grace.as_secs()));
    script.place(frame.slurm);
    for (name, value) in [
        ("gres", frame.slurm.gres.clone()),
        ("constraint", frame.slurm.constraint.clone()),
        ("cpus-per-task", cpus.map(|cpus| cpus.to_string())),
        ("mem", frame.slurm.mem.clone()),
        ("time", time.map(slurm_time)),
    ] {
        if let Some(value) = value {
            script.option(name, &value);
        }
    }
    for flag in &frame.slurm.flags {
        script.line(&format!("#SBATCH {flag}"));
    }
    script.line("");
    // A signal that comes before there is anything to stop would end the script, and the task with it.
    script.line("trap '' USR1");
    script.setup(frame)?;
    let (first, requeues) = (array.first, *requeues);
    script
        .exec(frame, &format!("slurm-task {} --first {first} --requeues {requeues}", frame.name))?;
    Ok(script.0)
}

/// The script of the job that writes the reports when all others are over; `arguments` go to the command.
///
/// # Errors
/// When a path cannot be written.
pub fn collector(frame: &Frame<'_>, name: &str, arguments: &str) -> Result<String, ScriptError> {
    let mut script = Script::default();
    script.option("job-name", name);
    script.option("output", &output(&frame.dir.logs(), "collect-%j.log")?);
    script.option("open-mode", "append");
    script.place(frame.slurm);
    if frame.slurm.mem.is_some() {
        script.option("mem", "2G");
    }
    if let Some(time) = frame.slurm.time {
        script.option("time", &slurm_time(time.min(Duration::from_secs(60 * 60))));
    }
    for flag in frame.slurm.flags.iter().filter(|flag| is_for_any_job(flag)) {
        script.line(&format!("#SBATCH {flag}"));
    }
    script.line("");
    script.setup(frame)?;
    script.exec(frame, &format!("slurm-collect {}{arguments}", frame.name))?;
    Ok(script.0)
}

/// Options that say where any job may go, who pays and who is told; others are about what the tasks need. A name, its
/// letter, and whether it is nothing without a value.
const FOR_ANY_JOB: [(&str, Option<char>, bool); 11] = [
    ("clusters", Some('M'), true),
    ("comment", None, true),
    ("exclude", Some('x'), true),
    ("export", None, true),
    ("get-user-env", None, false),
    ("mail-type", None, true),
    ("mail-user", None, true),
    ("nice", None, false),
    ("priority", None, true),
    ("reservation", None, true),
    ("wckey", None, true),
];

/// Whether a line of `flags` holds for the job that writes the reports too. One that cannot be read does not: it is
/// for sbatch to say what is wrong with it, where the tasks are submitted.
fn is_for_any_job(line: &str) -> bool {
    let Some(words) = shlex::split(line) else { return false };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (known, value) = match word.strip_prefix("--") {
            Some(long) => {
                let (name, value) =
                    long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
                (FOR_ANY_JOB.iter().find(|(known, ..)| *known == name), value)
            }
            None => {
                let mut letters = word.strip_prefix('-').unwrap_or_default().chars();
                let letter = letters.next();
                let known =
                    FOR_ANY_JOB.iter().find(|(_, known, _)| known.is_some() && *known == letter);
                (known, Some(letters.as_str()).filter(|value| !value.is_empty()))
            }
        };
        match (known, value) {
            (None, _) => return false,
            // Whatever it looks like.
            (Some((.., true)), None) => _ = words.next(),
            _ => {}
        }
    }
    true
}

struct Script(String);

impl Default for Script {
    fn default() -> Self {
        // Not sh: what `module` is called is a function of bash's.
        Self("#!/bin/bash\n".to_owned())
    }
}

impl Script {
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.0, "{line}");
    }

    fn option(&mut self, name: &str, value: &str) {
        let quoted = if value.contains(char::is_whitespace) {
            format!("\"{value}\"")
        } else {
            value.to_owned()
        };
        self.line(&format!("#SBATCH --{name}={quoted}"));
    }

    fn flag(&mut self, name: &str) {
        self.line(&format!("#SBATCH --{name}"));
    }

    /// Where it goes and who pays.
    fn place(&mut self, slurm: &Slurm) {
        for (name, value) in
            [("partition", &slurm.partition), ("account", &slurm.account), ("qos", &slurm.qos)]
        {
            if let Some(value) = value {
                self.option(name, value);
            }
        }
    }

    fn setup(&mut self, frame: &Frame<'_>) -> Result<(), ScriptError> {
        for line in &frame.slurm.setup {
            self.line(line);
        }
        if let Some(train) = frame.train {
            self.line(&format!("export SWEEP_TRAIN={}", shell(train)?));
        }
        Ok(())
    }

    fn exec(&mut self, frame: &Frame<'_>, arguments: &str) -> Result<(), ScriptError> {
        let (sweep, results) = (shell(frame.sweep)?, shell(frame.results)?);
        self.line(&format!("exec {sweep} --results {results} {arguments}"));
        Ok(())
    }
}

/// As Slurm writes times; it counts in minutes and rounds up.
fn slurm_time(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    format!("{}-{:02}:{:02}:{:02}", hours / 24, hours % 24, minutes % 60, seconds % 60)
}

/// Where a job's output goes. In it `%` begins a pattern, and a backslash ends all patterns.
fn output(folder: &Path, pattern: &str) -> Result<String, ScriptError> {
    let folder = text(folder)?;
    match folder.contains(['"', '\'', '\\']) {
        true => Err(ScriptError::Path { path: folder.into() }),
        false => Ok(format!("{}/{pattern}", folder.replace('%', "%%"))),
    }
}

/// A path as one word of the shell.
fn shell(path: &Path) -> Result<String, ScriptError> {
    let text = text(path)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%,".contains(c);
    match text.chars().all(plain) {
        true => Ok(text.to_owned()),
        false => Ok(format!("'{}'", text.replace('\'', r"'\''"))),
    }
}

fn text(path: &Path) -> Result<&str, ScriptError> {
    let text = path.to_str().filter(|text| !text.contains(char::is_control));
    text.ok_or_else(|| ScriptError::Path { path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::paths::ResultsDir;
    use std::num::NonZeroU32;

    fn scripts(
        slurm: &Slurm,
        results: &str,
        train: Option<&str>,
    ) -> Result<[String; 2], ScriptError> {
        let name = "batch_size-1f2e3d4c";
        let frame = Frame {
            slurm,
            sweep: Path::new("/opt/sweep/sweep"),
            train: train.map(Path::new),
            results: Path::new(results),
            name,
            dir: &ResultsDir::new(results).submission(name),
        };
        let of = Array { name: format!("sweep.{name}.1"), first: 1000, tasks: 40 };
        let collect = format!("sweep.{name}.collect");
        Ok([array(&frame, &of)?, collector(&frame, &collect, " --score-format percent")?])
    }

    #[test]
    fn a_script_asks_for_no_more_than_it_was_told() {
        let [array, collect] = scripts(&Slurm::default(), "/data/results", None).unwrap();
        insta::assert_snapshot!(array, @"
        #!/bin/bash
        #SBATCH --job-name=sweep.batch_size-1f2e3d4c.1
        #SBATCH --array=0-39
        #SBATCH --output=/data/results/.slurm/batch_size-1f2e3d4c/logs/%A_%a.log
        #SBATCH --open-mode=append
        #SBATCH --requeue
        #SBATCH --signal=B:USR1@120

        trap '' USR1
        exec /opt/sweep/sweep --results /data/results slurm-task batch_size-1f2e3d4c --first 1000 --requeues 10
        ");
        insta::assert_snapshot!(collect, @"
        #!/bin/bash
        #SBATCH --job-name=sweep.batch_size-1f2e3d4c.collect
        #SBATCH --output=/data/results/.slurm/batch_size-1f2e3d4c/logs/collect-%j.log
        #SBATCH --open-mode=append

        exec /opt/sweep/sweep --results /data/results slurm-collect batch_size-1f2e3d4c --score-format percent
        ");
    }

    #[test]
    fn a_script_asks_for_everything_it_was_told() {
        let text = |text: &str| Some(text.to_owned());
        let slurm = Slurm {
            partition: text("gpu"),
            account: text("biology"),
            qos: text("normal"),
            gres: text("gpu:1"),
            constraint: text("a100|h100"),
            mem: text("16G"),
            cpus: NonZeroU32::new(4),
            time: Some(Duration::from_secs(36 * 3600 + 90)),
            grace: Duration::from_secs(300),
            requeues: 3,
            max_concurrent: NonZeroU32::new(16),
            setup: vec!["module load cuda/12.8".to_owned(), "export A='b c'".to_owned()],
            flags: [
                "--exclude=n7",
                "--comment=\"two words\"",
                "--exclusive",
                "-x n8 --mail-type=END",
            ]
            .map(str::to_owned)
            .to_vec(),
            ..Slurm::default()
        };
        let [array, collect] =
            scripts(&slurm, "/data/my results/100%", Some("/opt/other's/train")).unwrap();
        insta::assert_snapshot!(array, @r#"
        #!/bin/bash
        #SBATCH --job-name=sweep.batch_size-1f2e3d4c.1
        #SBATCH --array=0-39%16
        #SBATCH --output="/data/my results/100%%/.slurm/batch_size-1f2e3d4c/logs/%A_%a.log"
        #SBATCH --open-mode=append
        #SBATCH --requeue
        #SBATCH --signal=B:USR1@300
        #SBATCH --partition=gpu
        #SBATCH --account=biology
        #SBATCH --qos=normal
        #SBATCH --gres=gpu:1
        #SBATCH --constraint=a100|h100
        #SBATCH --cpus-per-task=4
        #SBATCH --mem=16G
        #SBATCH --time=1-12:01:30
        #SBATCH --exclude=n7
        #SBATCH --comment="two words"
        #SBATCH --exclusive
        #SBATCH -x n8 --mail-type=END

        trap '' USR1
        module load cuda/12.8
        export A='b c'
        export SWEEP_TRAIN='/opt/other'\''s/train'
        exec /opt/sweep/sweep --results '/data/my results/100%' slurm-task batch_size-1f2e3d4c --first 1000 --requeues 3
        "#);
        insta::assert_snapshot!(collect, @r#"
        #!/bin/bash
        #SBATCH --job-name=sweep.batch_size-1f2e3d4c.collect
        #SBATCH --output="/data/my results/100%%/.slurm/batch_size-1f2e3d4c/logs/collect-%j.log"
        #SBATCH --open-mode=append
        #SBATCH --partition=gpu
        #SBATCH --account=biology
        #SBATCH --qos=normal
        #SBATCH --mem=2G
        #SBATCH --time=0-01:00:00
        #SBATCH --exclude=n7
        #SBATCH --comment="two words"
        #SBATCH -x n8 --mail-type=END

        module load cuda/12.8
        export A='b c'
        export SWEEP_TRAIN='/opt/other'\''s/train'
        exec /opt/sweep/sweep --results '/data/my results/100%' slurm-collect batch_size-1f2e3d4c --score-format percent
        "#);
    }

    #[test]
    fn flags_hold_for_the_reports_too_where_they_say_nothing_of_what_tasks_need() {
        for (flag, expected) in [
            ("--comment=\"needs -n 4, says who pays\"", true),
            ("--comment '--gres as before'", true),
            ("--reservation maintenance --nice=-5", true),
            ("-M other -xn7", true),
            ("--nice --gres=gpu:1", false),
            ("--mail-type=END --exclusive", false),
            ("-N 2", false),
            ("--comment=\"no end", false),
        ] {
            assert_eq!(is_for_any_job(flag), expected, "{flag}");
        }
    }

    #[test]
    fn what_slurm_would_read_otherwise_is_refused() {
        for path in ["/a\"b", "/a\\b", "/a'b", "/a\nb"] {
            let error = scripts(&Slurm::default(), path, None).unwrap_err();
            assert!(matches!(error, ScriptError::Path { .. }), "{error}");
        }
        let time = Some(Duration::from_secs(120));
        let error = scripts(&Slurm { time, ..Slurm::default() }, "/data", None).unwrap_err();
        insta::assert_snapshot!(error, @"[slurm] time = 2m leaves nothing: a task stops 2m before it is over");
    }
}
