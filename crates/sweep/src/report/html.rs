//! A report as one page: everything in one file, nothing fetched.
//!
//! Titles, labels, class and file names are whatever somebody wrote. `maud` escapes them in markup, `runs`
//! in JSON, and the page's policy lets no script run but its own.

mod confusion;
mod details;
mod figures;
mod parts;
mod pictures;
mod policy;
mod reproduce;
mod runs;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use spec::record::Plan;

use self::details::Details;
use self::figures::Figures;
use self::pictures::Flips;
use super::plots::{self, Plot};
use super::{Document, Entry, ScoreFormat, Table};
use crate::store::ReadError;

const STYLE: &str = include_str!("html/report.css");
const SCRIPT: &str = include_str!("html/report.js");

/// A sweep's part of a page.
#[derive(Debug)]
pub struct Section {
    sweep: String,
    body: Markup,
    figures: Figures,
}

impl Section {
    /// Reads what a page shows beyond the table, draws it, and puts it into words.
    ///
    /// # Errors
    /// When a run's file is there and cannot be read, or is newer.
    pub fn new(
        plan: &Plan,
        table: &Table,
        entries: &[Entry],
        format: ScoreFormat,
    ) -> Result<Self, ReadError> {
        let details = Details::read(table, entries)?;
        let figures = Figures::of((plan, table), &details, format);
        let flips = pictures::flips(table, &details);
        let sweep = Sweep { plan, table, entries, details: &details, format };
        let body = section(&sweep, &figures, &flips);
        Ok(Self { sweep: plan.sweep.clone(), body, figures })
    }

    /// Its plots.
    pub fn plots(&self) -> impl Iterator<Item = &Plot> {
        self.figures.all()
    }
}

/// What a section is made of.
struct Sweep<'a> {
    plan: &'a Plan,
    table: &'a Table,
    entries: &'a [Entry],
    details: &'a Details,
    format: ScoreFormat,
}

/// The page of some sweeps.
pub fn page<'a>(sections: impl IntoIterator<Item = &'a Section>) -> String {
    page_below(None, sections)
}

/// The page of some sweeps below a report about all of them, if there is one.
pub fn page_below<'a>(
    front: Option<&Document>,
    sections: impl IntoIterator<Item = &'a Section>,
) -> String {
    let sections: Vec<&Section> = sections.into_iter().collect();
    let style = format!("{}\n{STYLE}", plots::STYLE);
    let title = match (front, sections.as_slice()) {
        (Some(front), _) => front.heading.clone(),
        (None, [only]) => only.sweep.clone(),
        _ => format!("{} sweeps", sections.len()),
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy::policy(&style, SCRIPT));
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content=(crate::PROGRAM);
                title { (title) }
                style { (PreEscaped(&style)) }
            }
            body {
                a .skip href="#main" { "To the content" }
                @if sections.len() > 1 || front.is_some() {
                    nav .sweeps aria-label="Sweeps" {
                        @for (at, section) in sections.iter().enumerate() {
                            a href=(format!("#s{at}")) { (section.sweep) }
                        }
                    }
                }
                main id="main" {
                    @if let Some(front) = front {
                        article { (parts::blocks(front, None, None)) }
                    }
                    @for (at, section) in sections.iter().enumerate() {
                        article id=(format!("s{at}")) { (section.body) }
                    }
                    @if sections.is_empty() && front.is_none() { p { "No sweep has run here." } }
                }
                footer { p { "Made by sweep. Everything is in this file; it asks nobody for anything." } }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

fn section(sweep: &Sweep<'_>, figures: &Figures, flips: &[Flips]) -> Markup {
    html! {
        (parts::words(sweep))
        @if let Some(path) = &figures.path {
            section {
                h2 { "The chain's way" }
                p .note { "Each stage tries the levels of one factor on what the stages before it came to." }
                figure .single { (path.inline()) }
            }
        }
        (parts::factors(sweep, figures))
        @if let Some(importance) = &figures.importance {
            section {
                h2 { "How much each factor matters" }
                p .note {
                    "How far the true scores of a factor's levels lie apart (their standard deviation, what seeds \
                     alone would give taken off), with 95 % intervals, and what share of the variance between \
                     runs that is. Other levels would give another answer."
                }
                figure .single { (importance.inline()) }
            }
        }
        (parts::courses(figures))
        (parts::flips(flips))
        (confusion::section(sweep))
        (reproduce::section(sweep))
        (runs::section(sweep))
    }
}
