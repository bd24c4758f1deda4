//! Sweep files: TOML that a person writes, resolved to a [`Sweep`] or refused with every reason.
//!
//! # What a file holds
//! - `extends`: another sweep file, relative to this one, which may extend a further one. What a file
//!   says holds over what the files below it say, key by key; a list of levels is replaced as a whole.
//!   `title` alone is not taken over: it says what one file is about.
//! - The baseline: the sections of [`Config`](crate::config::Config) (`[data]`, `[model]`, `[train]`,
//!   `[early_stopping]`, `[reduce_lr_on_plateau]`, `[augment]`), or a `[baseline]` table with the same sections, which
//!   reads better in a file that extends another. Both may stand in one file; the same key may not.
//! - `[trainer]`, which names a program of the user's own that trains, and `[params]`, its settings; then the
//!   sections above may all be left out, and are passed along where they are not.
//! - `[factors]`: what to vary. Each is a list of levels; see below.
//! - `strategy` (`"ofat"`) with what it takes: `samples` and `sampler` of a random search, `switch` and
//!   `choose_by` of a chain, `interactions` of one factor at a time.
//! - `replicates` (1), `margin`, `title`, `[schedule]`, `[slurm]` and `[score]`.
//!
//! [`Override`]s (`--set`) come on top of the baseline, each over the one before.
//!
//! # How keys are named
//! By path, `train.batch_size`; and in `[baseline]`, `[factors]`, levels and overrides also by the key's
//! own name where one section alone has it, `batch_size`. The bare `patience`, `monitor` and `min_delta`
//! are early stopping's. A name that a section has is the section: the folder of training images is
//! `data.train`, never `train`. A setting that `[params]` declares is what its name stands for, whatever
//! else has that name.
//!
//! # Leaving out
//! `early_stopping`, `reduce_lr_on_plateau` and `augment` are on when any layer mentions them; `false` switches them
//! off and forgets what the layers below set in them, `true` switches them on with defaults. `false` takes
//! every other key away that may be absent for good (`test`, `steps_per_epoch`), and an inherited factor.
//!
//! # Paths
//! Relative to the file that writes them (those of an override: to the working directory); they become
//! absolute without `..`, by their spelling alone: nothing here looks at the data.
//!
//! # Levels
//! How a level is read depends on what the factor's name stands for:
//! - a key that takes no table, such as `batch_size`: a level is a value of that key; a level that is a
//!   table changes the keys that it names;
//! - a key that takes a table, such as `freeze`: a level is always a value of that key, tables too;
//! - a section, such as `early_stopping` or `model`: a level is `true`, `false` or a table, which names
//!   keys of the section and then any other;
//! - no key at all: the name is free, and every level is a table of keys.
//!
//! A random search also draws from ranges, `{ min = 1e-5, max = 1e-2, log = true }`, in place of a list.
//!
//! A level is called what its value is called, what is left out or off `off`; a table may have a `label`.
//! The baseline is compared with whether it is among the levels or not.

mod baseline;
mod check;
mod combine;
mod document;
mod error;
mod keys;
mod kind;
mod layer;
mod levels;
mod nightly;
mod overrides;
mod params;
mod range;
mod sample;
mod scalars;
mod schedule;
mod schema;
mod score;
mod slurm;
mod source;
mod stack;
mod strategy;
pub mod suggest;
mod value;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use combine::Stages;
pub use error::{LoadError, Problem};
pub use nightly::load_nightly;
pub use overrides::{Override, ParseOverrideError};
pub use schema::json_schema;
pub use write::written;

use crate::paths::ResultsDir;
use crate::sweep::{Strategy, Sweep};
use combine::Parts;
use document::{Document, extends, parse};
use keys::Keys;
use levels::{Written, WrittenFactor};
use schedule::WrittenSchedule;
use score::WrittenScore;
use slurm::WrittenSlurm;
use source::{Source, lexical};
use stack::Stack;
use strategy::WrittenStrategy;
use value::Entry;

/// Reads a sweep file and all that it extends, and resolves it.
///
/// # Errors
/// Everything that is wrong with it, each with its place: what cannot be read, keys that do not exist,
/// values that a key does not take, levels that are the same, settings that contradict each other.
pub fn load(file: &Path, overrides: &[Override]) -> Result<Sweep, LoadError> {
    let mut problems = Vec::new();
    let sweep = resolve(file, overrides, &mut problems);
    match sweep {
        Some(sweep) if problems.is_empty() => Ok(sweep),
        _ => Err(LoadError::new(file, problems)),
    }
}

/// The sweep; none only when there are problems.
fn resolve(file: &Path, overrides: &[Override], problems: &mut Vec<Problem>) -> Option<Sweep> {
    let (documents, keys) = read_chain(file, problems)?;
    let (source, top) = documents.first()?;
    let name = sweep_name(file).map_err(|problem| problems.push(problem)).ok();
    let mut baseline = Stack::new(keys);
    for (_, document) in documents.iter().rev() {
        baseline.push(&document.baseline);
    }
    if !overrides.is_empty() {
        let folder = std::path::absolute(".");
        let folder = folder.map_err(|error| problems.push(Problem::new(error.to_string()))).ok()?;
        for (index, change) in overrides.iter().enumerate() {
            baseline.push(&change.layer(&folder, documents.len() + index, keys, problems));
        }
    }
    let written = layered_factors(&documents);
    let said = || documents.iter().map(|(_, document)| document);
    let how = WrittenStrategy::resolve(said().map(|document| &document.strategy), problems);
    // Of a chain, a later stage may change what an earlier one has.
    if !matches!(how.strategy, Strategy::Chain { .. }) {
        levels::report_shared_keys(&written, problems);
    }
    if !matches!(how.strategy, Strategy::Random { .. }) {
        levels::report_ranges(&written, problems);
    }
    let config = baseline.config(source, problems)?;
    let factors = levels::resolve(&written, (&baseline, &config), source, problems);
    let stages = Stages::new(file.to_owned(), source.clone(), baseline.clone(), written.clone());
    let parts = Parts { baseline: &baseline, factors: &written, source };
    let mut combinations = Vec::new();
    let mut interactions = Vec::new();
    // What is wrong with one level is wrong with everything that it is part of.
    if problems.is_empty() {
        let place = how.place.as_ref();
        match how.strategy {
            Strategy::Ofat => {
                (combinations, interactions) =
                    parts.interactions(&how.interactions, &config, problems);
            }
            Strategy::Grid => combinations = parts.grid(place, problems),
            Strategy::Random { samples, sampler, seed } => {
                combinations = parts.samples(samples, (sampler, seed), place, problems);
            }
            Strategy::Chain { choose_by, .. } => stages.check(choose_by, place, problems),
        }
    }
    Some(Sweep {
        name: name?,
        title: top.title.clone(),
        file: file.to_owned(),
        overrides: overrides.iter().map(Override::to_string).collect(),
        strategy: how.strategy,
        replicates: how.replicates,
        margin: how.margin,
        baseline: config,
        factors,
        combinations,
        interactions,
        stages,
        schedule: WrittenSchedule::resolve(said().map(|document| &document.schedule)),
        slurm: WrittenSlurm::resolve(said().map(|document| &document.slurm)),
        score_command: WrittenScore::resolve(said().map(|document| &document.score)),
    })
}

/// The file's stem, which names the sweep's folder among the results.
fn sweep_name(file: &Path) -> Result<String, Problem> {
    let problem = |what: &str| {
        Problem::new(format!("{} cannot name a sweep: {what}", file.display())).with_help(
            "the file's name without .toml names a folder among the results: rename the file",
        )
    };
    let stem = file.file_stem().and_then(|stem| stem.to_str());
    let stem = stem.ok_or_else(|| problem("it has no name in UTF-8"))?;
    if stem.contains(char::is_control) {
        return Err(problem("its name has control characters"));
    }
    if ResultsDir::is_reserved(stem) {
        return Err(problem(&format!("`{stem}` has another meaning there")));
    }
    Ok(stem.to_owned())
}

/// A file and those that it extends, topmost first, and what they may set.
type Chain = (Vec<(Arc<Source>, Document)>, &'static Keys);

/// The chain that `file` ends; none when one of its files cannot be read, for then there is no telling what
/// the baseline is.
fn read_chain(file: &Path, problems: &mut Vec<Problem>) -> Option<Chain> {
    let mut files = Vec::new();
    let is_whole = parse_chain(file, &mut files, problems).is_some();
    // Which settings there are is known at the end of the chain alone.
    let entries = files.iter().map(|(source, entries)| (source, entries.as_slice()));
    let keys = params::keys_of(entries, problems);
    let read = |(source, entries): (Arc<Source>, Vec<Entry>)| {
        let document = Document::read(&source, &entries, keys, problems);
        (source, document)
    };
    let documents = files.into_iter().map(read).collect();
    is_whole.then_some((documents, keys))
}

/// Puts the file and those that it extends into `files`; none when one of them cannot be read.
fn parse_chain(
    file: &Path,
    files: &mut Vec<(Arc<Source>, Vec<Entry>)>,
    problems: &mut Vec<Problem>,
) -> Option<()> {
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut next = Some((file.to_owned(), None));
    while let Some((file, named_at)) = next.take() {
        let named_here = |problem: Problem| match &named_at {
            Some(place) => problem.at(place, "extended here"),
            None => problem,
        };
        // What one file is called by many names is still one file; what does not exist is told below.
        let identity = fs_err::canonicalize(&file).unwrap_or_else(|_| file.clone());
        if let Some(start) = seen.iter().position(|other| *other == identity) {
            let mut chain: Vec<_> =
                files[start..].iter().map(|(source, _)| source.name().to_owned()).collect();
            chain.push(file.display().to_string());
            let problem = Problem::new(format!("{} extends itself", chain[0]))
                .with_help(format!("take one `extends` out of\n{}", chain.join("\n-> ")));
            problems.push(named_here(problem));
            return None;
        }
        seen.push(identity);
        let source = match Source::read(&file, files.len()) {
            Ok(source) => source,
            Err(problem) => {
                problems.push(named_here(problem));
                return None;
            }
        };
        let entries = parse(&source, problems)?;
        next = extends(&source, &entries, problems).map(|(base, place)| {
            let folder = file.parent().unwrap_or(Path::new(""));
            (lexical(&folder.join(base)), Some(place))
        });
        files.push((source, entries));
    }
    Some(())
}

/// The factors of all files: inherited ones first, each as the topmost file that names it has it.
fn layered_factors(documents: &[(Arc<Source>, Document)]) -> Vec<WrittenFactor> {
    let mut factors: Vec<WrittenFactor> = Vec::new();
    for factor in documents.iter().rev().flat_map(|(_, document)| &document.factors) {
        match factors.iter_mut().find(|other| other.is(factor)) {
            Some(other) => *other = factor.clone(),
            None => factors.push(factor.clone()),
        }
    }
    factors.retain(|factor| !matches!(factor.levels, Written::Off));
    factors
}
