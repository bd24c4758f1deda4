//! `sweep compare`

use std::path::Path;

use spec::paths::ResultsDir;

use super::{print, print_json};
use crate::cli::{self, FailOn};
use crate::compare::{Side, compare as beside, markdown};
use crate::exit::{self, Failure};
use crate::find::Catalog;
use crate::output::Console;
use crate::report::{Entry, collect};
use crate::store::{self, ReadError};
use crate::tables::Collected;

pub(super) fn compare(
    args: &cli::Compare,
    results: &ResultsDir,
    console: &Console,
) -> Result<u8, Failure> {
    let (from, to) = (side(&args.from, results)?, side(&args.to, results)?);
    let compared = beside(&from, &to, args.margin)?;
    match args.json {
        true => print_json(console, &compared)?,
        false => print(console, &markdown(&compared, args.score_format))?,
    }
    let (worse, changed) = (!compared.regressions().is_empty(), !compared.changed().is_empty());
    Ok(match args.fail_on {
        Some(FailOn::Worse) if worse => exit::REGRESSION,
        Some(FailOn::Changed) if worse || changed => exit::REGRESSION,
        _ => exit::DONE,
    })
}

/// What `named` stands for: a folder of results, a sweep's folder, a sweep, one of its rows, or a run.
fn side(named: &str, results: &ResultsDir) -> Result<Side, Failure> {
    let name = named.to_owned();
    let folder = ResultsDir::new(named);
    if folder.runs().is_dir() {
        let plans = store::plans(&folder, &[])?;
        let collected = plans.iter().map(|plan| sweep(&folder, &plan.sweep));
        return Ok(Side { name, sweeps: collected.collect::<Result<_, _>>()? });
    }
    let path = Path::new(named);
    if let (Some(parent), Some(last)) =
        (path.parent(), path.file_name().and_then(|last| last.to_str()))
        && !parent.as_os_str().is_empty()
        && ResultsDir::new(parent).sweep(last).plan().is_file()
    {
        return Ok(Side { name, sweeps: vec![sweep(&ResultsDir::new(parent), last)?] });
    }
    if results.sweep(named).plan().is_file() {
        return Ok(Side { name, sweeps: vec![sweep(results, named)?] });
    }
    if let Some(found) = row(named, results)? {
        return Ok(Side { name, sweeps: vec![found] });
    }
    let catalog = Catalog::read(results)?;
    let known = catalog.find(named)?;
    let of_run = |entry: &Entry| entry.planned.run == known.planned.run;
    match known.stands.first() {
        Some(place) => Ok(Side { name, sweeps: vec![first_row(results, &place.sweep, of_run)?] }),
        None => Ok(Side { name, sweeps: Vec::new() }),
    }
}

fn sweep(results: &ResultsDir, name: &str) -> Result<Collected, ReadError> {
    let plan = store::read_plan(results, name)?;
    Ok(Collected { entries: collect(results, &plan)?, sweep: plan.sweep })
}

/// A row as `sweep:factor=level` or `sweep:baseline` names it.
fn row(named: &str, results: &ResultsDir) -> Result<Option<Collected>, ReadError> {
    let Some((name, row)) = named.split_once(':') else { return Ok(None) };
    if !results.sweep(name).plan().is_file() {
        return Ok(None);
    }
    let is_row = |entry: &Entry| {
        let baseline = row == "baseline" && entry.baseline;
        baseline || row == format!("{}={}", entry.factor, entry.level)
    };
    let found = first_row(results, name, is_row)?;
    Ok((!found.entries.is_empty()).then_some(found))
}

/// The runs that `wanted` fits, of the first row that has any.
fn first_row(
    results: &ResultsDir,
    name: &str,
    wanted: impl Fn(&Entry) -> bool,
) -> Result<Collected, ReadError> {
    let mut collected = sweep(results, name)?;
    let first = collected.entries.iter().find(|entry| wanted(entry)).map(|entry| entry.row);
    collected.entries.retain(|entry| wanted(entry) && Some(entry.row) == first);
    Ok(collected)
}
