//! Which class is taken for which.

use maud::{Markup, html};

use super::Sweep;
use super::details::RowDetails;
use super::figures::row_name;

/// Classes that a matrix has room for.
const CLASSES: usize = 20;

/// A matrix for each row that is drawn.
pub(super) fn section(sweep: &Sweep<'_>) -> Markup {
    let classes = &sweep.details.classes;
    let rows = sweep.table.rows.iter().zip(&sweep.details.rows);
    let rows: Vec<_> = rows
        .filter_map(|(row, details)| Some((row, details.as_ref()?)))
        .filter(|(_, details)| !details.again && !details.told.is_empty())
        .collect();
    if rows.is_empty() || classes.len() > CLASSES {
        return html! {};
    }
    html! {
        section {
            h2 { "Which class is taken for which" }
            p .note {
                "All images under all seeds: how many, and what share of their true class. Darker is more."
            }
            div .matrices {
                @for (row, details) in rows {
                    (matrix(&row_name(row), classes, details))
                }
            }
        }
    }
}

fn matrix(name: &str, classes: &[String], details: &RowDetails) -> Markup {
    let count = |label: &String, said: &String| -> u32 {
        let of_label = details.told.values().filter(|told| told.label == *label);
        of_label.filter_map(|told| told.said.get(said)).sum()
    };
    html! {
        div .scroll tabindex="0" role="region" aria-label=(format!("{name}: confusion matrix")) {
            table .matrix {
                caption { (name) }
                thead {
                    tr {
                        th scope="col" { "true" }
                        @for class in classes { th scope="col" .number { "told " (class) } }
                    }
                }
                tbody {
                    @for label in classes {
                        @let all: u32 = classes.iter().map(|said| count(label, said)).sum();
                        tr {
                            th scope="row" { (label) }
                            @for said in classes {
                                @let here = count(label, said);
                                @let share = if all == 0 { 0.0 } else { f64::from(here) / f64::from(all) };
                                td class={ "number " (shade(share)) } {
                                    (here) @if all > 0 { span .share { (format!("{:.0} %", 100.0 * share)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The class of a cell's shade, in five steps; nothing for nothing.
pub(super) fn shade(share: f64) -> &'static str {
    match share {
        share if share <= 0.0 => "",
        share if share < 0.2 => "shade1",
        share if share < 0.4 => "shade2",
        share if share < 0.6 => "shade3",
        share if share < 0.8 => "shade4",
        _ => "shade5",
    }
}
