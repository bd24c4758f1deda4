//! `sweep score`

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use miette::Diagnostic;
use spec::paths::{ResultsDir, RunDir};
use spec::record::{self, ExternalScore, Outcome};
use spec::sweep_file;
use thiserror::Error;

use super::{count, print_json};
use crate::cli;
use crate::exit::{self, Ends, Failure};
use crate::external::{self, Given, NoScore};
use crate::find::{Catalog, Known};
use crate::open_files;
use crate::output::Console;
use crate::process::Process;
use crate::report::ScoreFormat;
use crate::store::{self, Store};

/// What the path of a run's `submission.csv` takes the place of, in `[score] command`.
const SUBMISSION: &str = "{submission}";

/// A score that cannot be taken down.
#[derive(Debug, Error, Diagnostic)]
enum ScoreError {
    #[error("{run} has not finished")]
    #[diagnostic(help("only what a finished run handed in can have a score"))]
    NotFinished { run: String },
    #[error("{run} has the score {known} already, from {from}")]
    #[diagnostic(help("--replace takes the new one, {given}"))]
    There { run: String, known: String, from: String, given: String },
    #[error("{run} has no score from elsewhere")]
    #[diagnostic(help("what a run measured itself is its result, and stays"))]
    None { run: String },
    #[error("nothing says how to ask for scores: {} has no [score] command", file.display())]
    #[diagnostic(help("[score]\ncommand = [\"./submit.sh\", \"{SUBMISSION}\"]"))]
    NoCommand { file: PathBuf },
    #[error("{run}: `{command}` {what}")]
    #[diagnostic(help(
        "it gets the path of submission.csv in place of {SUBMISSION}, and the file on stdin; the last line that it prints is the score"
    ))]
    Command { run: String, command: String, what: String },
    #[error("{} line {line} names no run", file.display())]
    #[diagnostic(help("fill `run`, or `sweep`, `factor`, `level` and `seed`"))]
    Unnamed { file: PathBuf, line: u64 },
}

impl Ends for ScoreError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Command { .. } => exit::ENVIRONMENT,
            _ => exit::USAGE,
        }
    }
}

/// What is taken down for a run.
struct Entry<'a> {
    known: &'a Known,
    given: String,
    from: String,
}

pub(super) fn score(
    args: &cli::Score,
    results: &ResultsDir,
    console: &Console,
) -> Result<u8, Failure> {
    let catalog = Catalog::read(results)?;
    if let Some(file) = &args.command_of {
        return ask(args, file, &catalog, results, console);
    }
    if let (Some(run), true) = (&args.run, args.remove) {
        return take_back(args, catalog.find(run)?, results, console);
    }
    let entries: Vec<Entry<'_>> = match (&args.run, &args.score, &args.file) {
        (Some(run), Some(score), _) => {
            let from = "the command line".to_owned();
            vec![Entry { known: catalog.find(run)?, given: score.clone(), from }]
        }
        (_, _, Some(file)) => of_file(file, &catalog)?,
        _ => Vec::new(),
    };
    // All are checked before the first is written.
    for entry in &entries {
        check(entry, args.replace, results)?;
    }
    let store = Store::open(results.clone())?;
    let mut taken = Vec::new();
    for entry in &entries {
        taken.push(take_down(entry, &store, console)?);
    }
    told(args, &taken, console)
}

/// Removes what was taken down for a run.
fn take_back(
    args: &cli::Score,
    known: &Known,
    results: &ResultsDir,
    console: &Console,
) -> Result<u8, Failure> {
    let dir = results.run(&known.planned);
    let Some(score) = store::read_score(&dir, known.planned.run)? else {
        return Err(ScoreError::None { run: known.folder() }.into());
    };
    Store::open(results.clone())?.remove_score(&dir)?;
    console.say(&format!(
        "{}: {}, from {}, is taken back",
        known.folder(),
        ScoreFormat::Document.score(score.score),
        score.from
    ));
    told(args, &[score], console)
}

/// What was taken down, where somebody wants to know.
fn told(args: &cli::Score, taken: &[ExternalScore], console: &Console) -> Result<u8, Failure> {
    if args.json {
        print_json(console, &taken)?;
    }
    Ok(exit::DONE)
}

fn of_file<'a>(file: &Path, catalog: &'a Catalog) -> Result<Vec<Entry<'a>>, Failure> {
    let mut entries = Vec::new();
    for line in external::read(file)? {
        let wanted = match (line.run.as_str(), line.sweep.as_str(), line.factor.as_str()) {
            ("", "", _) | ("", _, "") => {
                return Err(ScoreError::Unnamed { file: file.to_owned(), line: line.line }.into());
            }
            ("", sweep, factor) if line.level.is_empty() => {
                format!("{sweep}:{factor}:{}", line.seed)
            }
            ("", sweep, factor) => format!("{sweep}:{factor}={}:{}", line.level, line.seed),
            (run, ..) => run.to_owned(),
        };
        let from = file.display().to_string();
        entries.push(Entry { known: catalog.find(&wanted)?, given: line.given, from });
    }
    Ok(entries)
}

fn check(entry: &Entry<'_>, replace: bool, results: &ResultsDir) -> Result<(), Failure> {
    let score: f64 = entry.given.parse::<Given>()?.score;
    let run = entry.known.folder();
    let dir = results.run(&entry.known.planned);
    let result = store::read_result(&dir, entry.known.planned.run)?;
    if !result.is_some_and(|result| matches!(result.outcome, Outcome::Finished(_))) {
        return Err(ScoreError::NotFinished { run }.into());
    }
    match store::read_score(&dir, entry.known.planned.run)? {
        Some(known) if !replace && (known.score - score).abs() > 1e-9 => Err(ScoreError::There {
            run,
            known: known.given,
            from: known.from,
            given: entry.given.clone(),
        }
        .into()),
        _ => Ok(()),
    }
}

fn take_down(
    entry: &Entry<'_>,
    store: &Store,
    console: &Console,
) -> Result<ExternalScore, Failure> {
    let given: Given = entry.given.parse::<Given>()?;
    let dir = store.dir().run(&entry.known.planned);
    let images = images(&dir)?;
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let host = Process::this().map(|this| this.host).map_err(store::ReadError::from)?;
    let score = ExternalScore {
        version: record::VERSION,
        run: entry.known.planned.run,
        score: given.score,
        given: entry.given.clone(),
        images,
        from: entry.from.clone(),
        who: format!("{}@{host}", user.unwrap_or_else(|_| "somebody".to_owned())),
        when: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
    };
    store.write_score(&dir, &score)?;
    let shown = ScoreFormat::Document.score(given.score);
    let right = match images.map(|images| (images, given.right(images))) {
        None => String::new(),
        Some((images, Some(right))) => format!(", {right} of {images} images"),
        Some((images, None)) => format!(
            ", which no number of right answers out of {images} gives: measured on something else, or copied wrongly"
        ),
    };
    console.say(&format!("{}: {shown}{right}", entry.known.folder()));
    Ok(score)
}

/// Test images that were handed in.
fn images(dir: &RunDir) -> Result<Option<u64>, store::ReadError> {
    match fs_err::read_to_string(dir.submission()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        text => Ok(Some(text?.lines().skip(1).count() as u64).filter(|images| *images > 0)),
    }
}

/// Has the command of a sweep file ask for the scores of its finished runs that have none: the first seed
/// of each row first, since leaderboards allow few a day.
fn ask(
    args: &cli::Score,
    file: &Path,
    catalog: &Catalog,
    results: &ResultsDir,
    console: &Console,
) -> Result<u8, Failure> {
    let sweep = sweep_file::load(file, &[])?;
    let [program, arguments @ ..] = sweep.score_command.as_slice() else {
        return Err(ScoreError::NoCommand { file: file.to_owned() }.into());
    };
    let plan = store::read_plan(results, &sweep.name)?;
    let mut runs = plan.runs();
    runs.sort_by_key(|run| run.seed);
    let store = Store::open(results.clone())?;
    let mut taken = Vec::new();
    for planned in runs {
        if args.at_most.is_some_and(|most| taken.len() >= most) {
            break;
        }
        let dir = results.run(planned);
        let result = store::read_result(&dir, planned.run)?;
        let finished = result.is_some_and(|result| matches!(result.outcome, Outcome::Finished(_)));
        let open = args.replace || store::read_score(&dir, planned.run)?.is_none();
        if !finished || !open || !dir.submission().is_file() {
            continue;
        }
        let known = catalog.find(&planned.run.to_string())?;
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let given = answer(known, (program, arguments), &dir, folder)?;
        let entry = Entry { known, given, from: format!("`{program}`") };
        taken.push(take_down(&entry, &store, console)?);
    }
    console.say(&format!("asked for {}", count(taken.len(), "score")));
    told(args, &taken, console)
}

/// The last line that the command prints.
fn answer(
    known: &Known,
    (program, arguments): (&str, &[String]),
    dir: &RunDir,
    folder: Option<&Path>,
) -> Result<String, Failure> {
    let failed = |what: String| ScoreError::Command {
        run: known.folder(),
        command: program.to_owned(),
        what,
    };
    let submission = std::path::absolute(dir.submission()).map_err(store::ReadError::from)?;
    let content = fs_err::read(&submission).map_err(store::ReadError::from)?;
    let path = submission.display().to_string();
    let arguments = arguments.iter().map(|argument| argument.replace(SUBMISSION, &path));
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    open_files::as_given(&mut command);
    let mut child = command.spawn().map_err(|error| failed(format!("cannot start: {error}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that takes the path instead need not read it.
        std::thread::spawn(move || drop(stdin.write_all(&content)));
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(format!("ended with {}", output.status)).into());
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let last = said.lines().rev().map(str::trim).find(|line| !line.is_empty());
    let Some(last) = last else { return Err(failed("printed nothing".to_owned()).into()) };
    match last.parse::<Given>() {
        Ok(_) => Ok(last.to_owned()),
        Err(error @ (NoScore::Not { .. } | NoScore::Ambiguous { .. })) => {
            Err(failed(format!("printed no score: {error}")).into())
        }
    }
}
