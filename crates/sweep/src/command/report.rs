//! `sweep report`

use std::io::{self, IsTerminal as _};

use miette::Diagnostic;
use serde::Serialize;
use spec::paths::ResultsDir;
use spec::record::Plan;
use thiserror::Error;

use super::output;
use crate::cli::{self, ReportFormat};
use crate::exit::{self, Ends, Failure};
use crate::external;
use crate::output::Console;
use crate::report::{ScoreFormat, Table, collect, markdown};
use crate::store::{self, Store};
use crate::tables::{self, Collected, FileFormat, runs_csv};

/// A sweep's report in all its forms.
pub(super) struct Rendered {
    pub(super) table: Table,
    pub(super) report: String,
    pub(super) runs: Vec<u8>,
}

/// A table that no terminal can show.
#[derive(Debug, Error, Diagnostic)]
#[error("a Parquet file is not for a terminal")]
#[diagnostic(help("name a file with --output"))]
struct Unreadable;

impl Ends for Unreadable {
    fn exit_code(&self) -> u8 {
        exit::USAGE
    }
}

pub(super) fn report(
    args: &cli::Report,
    results: ResultsDir,
    console: &Console,
) -> Result<u8, Failure> {
    if let (Some(file), Some(images)) = (&args.scores, args.images) {
        let report = external::report(&external::read(file)?, images)?;
        let text = match args.json || args.format == ReportFormat::Json {
            true => json(&report)?,
            false => external::markdown(&report, args.score_format),
        };
        output::text(args.output.as_deref(), &text)?;
        return Ok(exit::DONE);
    }
    let format = match args.format {
        ReportFormat::Md => None,
        ReportFormat::Csv => Some(FileFormat::Csv),
        ReportFormat::Json => Some(FileFormat::Json),
        ReportFormat::Parquet => Some(FileFormat::Parquet),
    };
    if let Some(format) = format {
        return table(args, format, &results, console);
    }
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
    let text = if args.json { json(&tables)? } else { reports.join("\n") };
    output::text(args.output.as_deref(), &text)?;
    Ok(exit::DONE)
}

/// One table of all sweeps, for other programs.
fn table(
    args: &cli::Report,
    format: FileFormat,
    results: &ResultsDir,
    console: &Console,
) -> Result<u8, Failure> {
    if format == FileFormat::Parquet && args.output.is_none() && io::stdout().is_terminal() {
        return Err(Unreadable.into());
    }
    let mut collected = Vec::new();
    for plan in store::plans(results, &args.sweeps)? {
        let entries = collect(results, &plan)?;
        collected.push(Collected { sweep: plan.sweep, entries });
    }
    if collected.is_empty() {
        console.say(&format!("no sweep has run in {}", results.root().display()));
    }
    let parts = tables::parts(args.table, &collected);
    output::to(args.output.as_deref(), |to| tables::write(parts, format, to))?;
    Ok(exit::DONE)
}

fn json(tables: &(impl Serialize + ?Sized)) -> Result<String, Failure> {
    let json = serde_json::to_string_pretty(tables).map_err(tables::TableError::from)?;
    Ok(format!("{json}\n"))
}

pub(super) fn render(
    results: &ResultsDir,
    plan: &Plan,
    format: ScoreFormat,
) -> Result<Rendered, Failure> {
    let entries = collect(results, plan)?;
    let table = Table::new(plan, &entries)?;
    let report = markdown(&table, format);
    Ok(Rendered { report, table, runs: runs_csv(&plan.sweep, &entries)? })
}

/// Keeps the derived files fresh where we may: a folder that is only to be read can still be reported.
fn keep(results: &ResultsDir, plan: &Plan, report: &str, runs: &[u8]) {
    let kept = Store::open(results.clone());
    if let Err(error) = kept.and_then(|store| store.write_report(plan, report, runs)) {
        tracing::warn!("the report is not kept: {error}");
    }
}
