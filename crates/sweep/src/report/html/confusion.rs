//! Which class is taken for which.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::Sweep;
use super::details::RowDetails;
use super::figures::row_name;

/// Classes that a matrix has room for.
const CLASSES: usize = 20;
/// Pairs of classes in place of a matrix.
const PAIRS: usize = 12;

/// A matrix for each row that is drawn.
pub(super) fn section(sweep: &Sweep<'_>) -> Markup {
    let classes = &sweep.details.classes;
    let rows = sweep.table.rows.iter().zip(&sweep.details.rows);
    let rows: Vec<_> = rows
        .filter_map(|(row, details)| Some((row, details.as_ref()?)))
        .filter(|(_, details)| !details.again && !details.told.is_empty())
        .collect();
    if rows.is_empty() {
        return html! {};
    }
    if classes.len() > CLASSES {
        return html! {
            section {
                h2 { "Which class is taken for which" }
                p .note {
                    "A matrix of " (classes.len()) " classes has no room here; these are the " (PAIRS) " pairs that \
                     are confused most, all images under all seeds. " code { "report --table images" } " has all."
                }
                div .matrices {
                    @for (row, details) in rows { (pairs(&row_name(row), &most_confused(details))) }
                }
            }
        };
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

/// A class that is taken for another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Confused<'a> {
    label: &'a str,
    said: &'a str,
    /// How often, of how many that are of the class.
    times: u32,
    of: u32,
}

/// The pairs that are confused most often, of equal ones in the order of names.
fn most_confused(details: &RowDetails) -> Vec<Confused<'_>> {
    let mut times: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    let mut of: BTreeMap<&str, u32> = BTreeMap::new();
    for told in details.told.values() {
        *of.entry(&told.label).or_default() += told.times();
        for (said, count) in told.said.iter().filter(|(said, _)| **said != told.label) {
            *times.entry((&told.label, said)).or_default() += count;
        }
    }
    let confused = times.into_iter().map(|((label, said), times)| Confused {
        label,
        said,
        times,
        of: of.get(label).copied().unwrap_or(times),
    });
    let mut confused: Vec<Confused<'_>> = confused.collect();
    confused.sort_by_key(|pair| std::cmp::Reverse(pair.times));
    confused.truncate(PAIRS);
    confused
}

fn pairs(name: &str, pairs: &[Confused<'_>]) -> Markup {
    html! {
        div .scroll tabindex="0" role="region" aria-label=(format!("{name}: classes that are confused")) {
            table .matrix {
                caption { (name) }
                thead {
                    tr { th scope="col" { "true" } th scope="col" { "told" } th scope="col" .number { "times" } }
                }
                tbody {
                    @for Confused { label, said, times, of } in pairs {
                        @let share = f64::from(*times) / f64::from((*of).max(1));
                        tr {
                            th scope="row" { (label) }
                            td { (said) }
                            td class={ "number " (shade(share)) } {
                                (times) span .share { (format!("{:.0} %", 100.0 * share)) }
                            }
                        }
                    }
                    @if pairs.is_empty() { tr { td colspan="3" { "none: every image is told right" } } }
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

#[cfg(test)]
mod tests {
    use super::super::details::Told;
    use super::*;

    #[test]
    fn what_is_confused_most_comes_first() {
        let told = |label: &str, said: &[(&str, u32)]| Told {
            label: label.to_owned(),
            said: said.iter().map(|(said, times)| ((*said).to_owned(), *times)).collect(),
        };
        let images = [
            told("cup", &[("cup", 1), ("mug", 2)]),
            told("cup", &[("mug", 3)]),
            told("mug", &[("cup", 1), ("bowl", 2)]),
            told("bowl", &[("bowl", 3)]),
        ];
        let images = (0..).zip(images).map(|(at, told): (u32, _)| (at.to_string(), told));
        let details = RowDetails { told: images.collect(), ..RowDetails::default() };
        let pairs: Vec<_> = most_confused(&details)
            .into_iter()
            .map(|pair| (pair.label, pair.said, pair.times, pair.of))
            .collect();
        assert_eq!(pairs, [("cup", "mug", 5, 6), ("mug", "bowl", 2, 3), ("mug", "cup", 1, 3)]);
    }
}
