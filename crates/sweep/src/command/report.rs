//! `sweep report`

use std::collections::HashSet;
use std::io::{self, IsTerminal as _};
use std::path::Path;

use miette::Diagnostic;
use serde::Serialize;
use spec::paths::ResultsDir;
use spec::record::Plan;
use thiserror::Error;

use super::{count, output};
use crate::cli::{self, ReportFormat};
use crate::exit::{self, Ends, Failure};
use crate::external;
use crate::output::Console;
use crate::report::{Entry, Plot, ScoreFormat, Section, Table, collect, markdown, page};
use crate::store::{self, ReadError, Store};
use crate::tables::{self, Collected, FileFormat, runs_csv};

/// A sweep's report in all its forms.
pub(super) struct Rendered {
    table: Table,
    entries: Vec<Entry>,
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

/// A report of scores from elsewhere in a form that there is not.
#[derive(Debug, Error, Diagnostic)]
#[error("scores measured elsewhere have no {format}")]
#[diagnostic(help(
    "--scores has --format md and json; the file itself is the table, and `sweep score --file` takes its scores down beside the runs, whose reports have every format"
))]
struct NoSuchReport {
    format: &'static str,
}

impl Ends for NoSuchReport {
    fn exit_code(&self) -> u8 {
        exit::USAGE
    }
}

/// The plots were not written.
#[derive(Debug, Error, Diagnostic)]
#[error("cannot write the plots: {0}")]
struct PlotError(io::Error);

impl Ends for PlotError {
    fn exit_code(&self) -> u8 {
        exit::ENVIRONMENT
    }
}

pub(super) fn report(
    args: &cli::Report,
    results: ResultsDir,
    console: &Console,
) -> Result<u8, Failure> {
    if let (Some(file), Some(images)) = (&args.scores, args.images) {
        let is_json = match args.format {
            ReportFormat::Md => args.json,
            ReportFormat::Json => true,
            ReportFormat::Html => return Err(NoSuchReport { format: "page" }.into()),
            ReportFormat::Csv => return Err(NoSuchReport { format: "CSV table" }.into()),
            ReportFormat::Parquet => return Err(NoSuchReport { format: "Parquet table" }.into()),
        };
        let report = external::report(&external::read(file)?, images)?;
        let text = match is_json {
            true => json(&report)?,
            false => external::markdown(&report, args.score_format),
        };
        output::text(args.output.as_deref(), &text)?;
        return Ok(exit::DONE);
    }
    let format = match args.format {
        ReportFormat::Md | ReportFormat::Html => None,
        ReportFormat::Csv => Some(FileFormat::Csv),
        ReportFormat::Json => Some(FileFormat::Json),
        ReportFormat::Parquet => Some(FileFormat::Parquet),
    };
    if let Some(format) = format {
        return table(args, format, &results, console);
    }
    let is_page = args.format == ReportFormat::Html;
    let (mut tables, mut reports, mut sections) = (Vec::new(), Vec::new(), Vec::new());
    for plan in store::plans(&results, &args.sweeps)? {
        let rendered = render(&results, &plan, args.score_format)?;
        let section = match is_page || args.plots.is_some() {
            true => Some(rendered.section(&plan, args.score_format)?),
            false => None,
        };
        let page = section.as_ref().filter(|_| is_page).map(|section| page([section]));
        keep(&results, &plan, &rendered, page.as_deref());
        tables.push(rendered.table);
        reports.push(rendered.report);
        sections.extend(section);
    }
    if tables.is_empty() {
        console.say(&format!("no sweep has run in {}", results.root().display()));
    }
    if let Some(folder) = &args.plots {
        let plots: Vec<&Plot> = sections.iter().flat_map(Section::plots).collect();
        write_plots(folder, &plots).map_err(PlotError)?;
        console.say(&format!("{} in {}", count(plots.len(), "plot"), folder.display()));
    }
    let text = match args.format {
        _ if args.json => json(&tables)?,
        ReportFormat::Html => page(&sections),
        _ => reports.join("\n"),
    };
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
    let (table, runs) =
        rayon::join(|| Table::new(plan, &entries), || runs_csv(&plan.sweep, &entries));
    let table = table?;
    let report = markdown(&table, format);
    Ok(Rendered { report, table, runs: runs?, entries })
}

impl Rendered {
    /// Its part of a page.
    pub(super) fn section(&self, plan: &Plan, format: ScoreFormat) -> Result<Section, ReadError> {
        Section::new(plan, &self.table, &self.entries, format)
    }
}

/// Keeps the derived files fresh where we may: a folder that is only to be read can still be reported.
fn keep(results: &ResultsDir, plan: &Plan, rendered: &Rendered, page: Option<&str>) {
    let kept = Store::open(results.clone());
    let Rendered { report, runs, .. } = rendered;
    if let Err(error) = kept.and_then(|store| store.write_report(plan, report, runs, page)) {
        tracing::warn!("the report is not kept: {error}");
    }
}

/// Each plot as a file of its own.
fn write_plots(folder: &Path, plots: &[&Plot]) -> io::Result<()> {
    fs_err::create_dir_all(folder)?;
    let mut names = HashSet::new();
    for plot in plots {
        // Two levels may differ in nothing that a file's name can hold.
        let numbered = (2..).map(|number| format!("{}-{number}", plot.name));
        let name = std::iter::once(plot.name.clone()).chain(numbered);
        let name = name.into_iter().find(|name| names.insert(name.clone())).unwrap_or_default();
        fs_err::write(folder.join(format!("{name}.svg")), plot.file())?;
    }
    Ok(())
}
