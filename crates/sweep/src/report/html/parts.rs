//! The words, tables and figures of a section.

use maud::{Markup, html};

use super::Sweep;
use super::confusion::shade;
use super::figures::{Courses, Figures, kind};
use super::pictures::{Flip, Flips};
use crate::report::grid::Column;
use crate::report::markdown::baseline_word;
use crate::report::plots::{Kind, LINES, Plot};
use crate::report::{Basis, Block, Document, Row, document};

/// Rows of a table that stand in the page; the others are in the table of runs.
const ROWS: usize = 200;

/// The report's own words, as in Markdown.
pub(super) fn words(sweep: &Sweep<'_>) -> Markup {
    let document = document(sweep.table, sweep.format);
    blocks(&document, sweep.table.title.as_deref(), Some(&sweep.table.rows))
}

/// The words of a document; `title` is a first paragraph that is one, `rows` are those of the first table.
pub(super) fn blocks(document: &Document, title: Option<&str>, rows: Option<&[Row]>) -> Markup {
    let mut tables = 0;
    let mut blocks = Vec::new();
    for block in &document.blocks {
        blocks.push(match block {
            Block::Section(heading) => html! { h2 { (heading) } },
            Block::Paragraph(text) if blocks.is_empty() && Some(text.as_str()) == title => {
                html! { p .title { (text) } }
            }
            Block::Paragraph(text) => html! { p { (with_code(text)) } },
            Block::Warning { first, rest } => {
                html! { p .warning role="note" { strong { (first) } " " (rest) } }
            }
            Block::List { lead, items } => html! {
                p { (lead) }
                ul { @for item in items { li { (item) } } }
            },
            Block::Drawing(lines) => html! { pre tabindex="0" { (lines) } },
            Block::Table(columns) => {
                tables += 1;
                match tables {
                    1 if rows.is_some() => table(columns, rows, "The sweep's table"),
                    number => table(columns, None, &format!("Table {number}")),
                }
            }
        });
    }
    html! {
        header { h1 { (document.heading) } }
        @for block in blocks { (block) }
    }
}

/// What stands between backticks, as code; a lone one stands for itself.
fn with_code(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    let is_paired = parts.len() % 2 == 1;
    html! {
        @if is_paired {
            @for (at, part) in parts.iter().enumerate() {
                @if at % 2 == 1 { code { (part) } } @else { (part) }
            }
        } @else { (text) }
    }
}

fn table(columns: &[Column], rows: Option<&[Row]>, label: &str) -> Markup {
    let lines = columns.first().map_or(0, |column| column.cells.len());
    let class = |line: usize| match rows.and_then(|rows| rows.get(line)) {
        Some(row) if rows.is_some_and(|rows| rows.len() == lines) => match kind(row) {
            Kind::Baseline => "baseline",
            Kind::Better => "better",
            Kind::Worse => "worse",
            Kind::Plain => "",
        },
        _ => "",
    };
    html! {
        div .scroll tabindex="0" role="region" aria-label=(label) {
            table .facts {
                thead {
                    tr {
                        @for column in columns {
                            th scope="col" .number[column.right] { (column.heading) }
                        }
                    }
                }
                tbody {
                    @for line in 0..lines.min(ROWS) {
                        tr class=(class(line)) {
                            @for (at, column) in columns.iter().enumerate() {
                                @let cell = &column.cells[line];
                                @if at == 1 {
                                    th scope="row" .number[column.right] data-is=(column.heading) { (cell) }
                                } @else {
                                    td .number[column.right] .words[!column.right && at > 1] .none[cell == "-"]
                                        data-is=(column.heading) { (cell) }
                                }
                            }
                        }
                    }
                }
            }
        }
        @if lines > ROWS {
            p .note { "The first " (ROWS) " of " (lines) " rows; the runs of all of them are in the table of runs." }
        }
    }
}

/// Scores and differences of each factor's levels.
pub(super) fn factors(sweep: &Sweep<'_>, figures: &Figures) -> Markup {
    if figures.factors.is_empty() {
        return html! {};
    }
    let word = baseline_word(sweep.table);
    let measured = match sweep.table.basis {
        Some(Basis::Leaderboard | Basis::Validation) => "Validation accuracy",
        Some(Basis::Test | Basis::Trainer | Basis::Nothing) | None => "Score",
    };
    let (drawn, all) = (sweep.details.drawn(), sweep.table.rows.len());
    html! {
        section {
            h2 { "Levels beside each other" }
            p .note {
                "A mark is a mean over seeds, a bar its 95 % interval. A triangle upwards is shown to be better than \
                 the " (word) ", one downwards to be worse, a ring is the " (word) " itself; of a dot nothing is shown."
                @if sweep.plan.margin.is_some() { " Within the band a difference does not matter." }
                @if drawn < all { " Drawn are the baselines and the best rows, " (drawn) " of " (all) "." }
            }
            @for factor in &figures.factors {
                h3 { (factor.name) }
                div .figures {
                    @if let Some(external) = &factor.external { (captioned("Score elsewhere", external)) }
                    (captioned(measured, &factor.scores))
                    @if let Some(differences) = &factor.differences {
                        (captioned(&format!("Difference to the {word}"), differences))
                    }
                }
            }
        }
    }
}

fn captioned(words: &str, plot: &Plot) -> Markup {
    html! { figure { figcaption { (words) } (plot.inline()) } }
}

/// Learning curves.
pub(super) fn courses(figures: &Figures) -> Markup {
    if figures.courses.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "How training went" }
            p .note {
                "By epoch: each model a thin line (a seed, or a fold of one; " (LINES) " at most), and the mean \
                 of all while at least half of them still train, dashed for training and solid for validation. A \
                 dot is where early stopping ended a model, a ring where its epochs ran out."
            }
            @for Courses { row, plots, ends } in &figures.courses {
                div .course {
                    h3 { (row) }
                    p .note { (ends) }
                    div .figures { @for plot in plots { figure { (plot.inline()) } } }
                }
            }
        }
    }
}

/// Images that one level tells right and another wrong.
pub(super) fn flips(flips: &[Flips]) -> Markup {
    let flips: Vec<&Flips> = flips.iter().filter(|flips| !flips.images.is_empty()).collect();
    if flips.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "Images that flip" }
            p .note {
                "Those that the levels of a factor tell most differently: how many of a level's models told the image \
                 right. Pictures are as they lie in the data folder now; only names where it cannot be reached."
            }
            @for flips in flips {
                h3 { (flips.factor) }
                p .note { (flips.flipping) " of " (flips.of) " images are told differently by its levels." }
                div .scroll tabindex="0" role="region" aria-label=(format!("Images that flip with {}", flips.factor)) {
                    table .flips {
                        thead {
                            tr {
                                th scope="col" { "image" }
                                th scope="col" { "true class" }
                                @for level in &flips.levels { th scope="col" .number { (level) } }
                            }
                        }
                        tbody { @for image in &flips.images { (flip(image)) } }
                    }
                }
            }
        }
    }
}

fn flip(image: &Flip) -> Markup {
    html! {
        tr {
            th scope="row" {
                div .picture {
                    @if let Some(picture) = &image.picture {
                        img src=(picture) alt="";
                    }
                    span .name { (image.name) }
                }
            }
            td { (image.label) }
            @for told in &image.told {
                @match told {
                    Some(told) => {
                        @let share = f64::from(told.right()) / f64::from(told.times().max(1));
                        td class={ "number " (shade(share)) } { (told.right()) " of " (told.times()) }
                    }
                    None => td .number { "-" },
                }
            }
        }
    }
}
