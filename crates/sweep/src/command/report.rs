//! `sweep report`

use spec::paths::ResultsDir;
use spec::record::Plan;

use super::{print, print_json};
use crate::cli;
use crate::exit::{self, Failure};
use crate::output::Console;
use crate::report::{ScoreFormat, Table, collect, markdown, runs_csv};
use crate::store::{self, Store};

/// A sweep's report in all its forms.
pub(super) struct Rendered {
    pub(super) table: Table,
    pub(super) report: String,
    pub(super) runs: Vec<u8>,
}

pub(super) fn report(
    args: &cli::Report,
    results: ResultsDir,
    console: &Console,
) -> Result<u8, Failure> {
    let mut tables = Vec::new();
    let mut reports = Vec::new();
    for plan in store::plans(&results, &args.sweeps)? {
        let Rendered { table, report, runs } = render(&results, &plan, args.score_format)?;
        keep(&results, &plan, &report, &runs);
        tables.push(table);
        reports.push(report);
    }
    if tables.is_empty() {
        console.say(&format!("no sweep has run in {}", results.root().display()));
    }
    match args.json {
        true => print_json(console, &tables)?,
        false => print(console, &reports.join("\n"))?,
    }
    Ok(exit::DONE)
}

pub(super) fn render(
    results: &ResultsDir,
    plan: &Plan,
    format: ScoreFormat,
) -> Result<Rendered, Failure> {
    let entries = collect(results, plan)?;
    let table = Table::new(plan, &entries)?;
    let report = markdown(&table, format);
    Ok(Rendered { report, table, runs: runs_csv(&entries)? })
}

/// Keeps the derived files fresh where we may: a folder that is only to be read can still be reported.
fn keep(results: &ResultsDir, plan: &Plan, report: &str, runs: &[u8]) {
    let kept = Store::open(results.clone());
    if let Err(error) = kept.and_then(|store| store.write_report(plan, report, runs)) {
        tracing::warn!("the report is not kept: {error}");
    }
}
