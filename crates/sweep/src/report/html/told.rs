//! What the runs said of the images: where levels differ, and which classes are taken for which.

use std::collections::BTreeMap;
use std::collections::HashMap;

use maud::{Markup, html};

use super::thumbnail::Thumbnails;
use crate::store::Said;

/// So many images are shown: those on which levels differ most.
const MOST_IMAGES: usize = 24;
/// So many rows beside each: with more nothing could be read.
const MOST_ROWS: usize = 6;
/// More classes than these make a matrix that says nothing at a glance.
const MOST_CLASSES: usize = 12;

/// What all runs of a row said together.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Told {
    /// Of each image its class and how often it was told rightly.
    images: HashMap<String, Tally>,
    /// How often an image of one class was told to be of another: (is, said).
    confused: BTreeMap<(String, String), u64>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Tally {
    label: String,
    right: u32,
    asked: u32,
}

/// A row of the report, in its order.
pub(super) struct RowTold<'a> {
    pub(super) label: &'a str,
    pub(super) told: &'a Told,
}

impl Told {
    /// Adds what a run said of its labelled images of `set`.
    pub(super) fn add(&mut self, said: &[Said], set: &str) {
        for said in said.iter().filter(|said| said.set == set) {
            let Some(label) = &said.label else { continue };
            let right = *label == said.predicted;
            let tally = self.images.entry(said.image.clone()).or_default();
            tally.label.clone_from(label);
            tally.asked += 1;
            tally.right += u32::from(right);
            *self.confused.entry((label.clone(), said.predicted.clone())).or_default() += 1;
        }
    }

    /// Adds what another run's tally has.
    pub(super) fn merge(&mut self, other: Self) {
        for (image, tally) in other.images {
            let mine = self.images.entry(image).or_default();
            mine.label = tally.label;
            mine.right += tally.right;
            mine.asked += tally.asked;
        }
        for (pair, count) in other.confused {
            *self.confused.entry(pair).or_default() += count;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    fn share(&self, image: &str) -> Option<f64> {
        let tally = self.images.get(image)?;
        Some(f64::from(tally.right) / f64::from(tally.asked))
    }
}

/// The images that rows tell most differently from each other, and how much the most of any two differ.
fn contested<'a>(rows: &[RowTold<'a>]) -> Vec<(&'a str, &'a str, f64)> {
    let Some(first) = rows.iter().find(|row| !row.told.is_empty()) else { return Vec::new() };
    let mut images: Vec<(&str, &str, f64)> = first
        .told
        .images
        .iter()
        .map(|(image, tally)| {
            let shares = || rows.iter().filter_map(|row| row.told.share(image));
            let spread = shares().fold(0.0, f64::max) - shares().fold(1.0, f64::min);
            (image.as_str(), tally.label.as_str(), spread)
        })
        .filter(|(_, _, spread)| *spread > 0.0)
        .collect();
    images.sort_by(|one, other| other.2.total_cmp(&one.2).then_with(|| one.0.cmp(other.0)));
    images
}

/// The images on which levels differ.
pub(super) fn flips(rows: &[RowTold<'_>], thumbnails: &mut Thumbnails) -> Option<Markup> {
    let images = contested(rows);
    if images.is_empty() || rows.len() < 2 {
        return None;
    }
    let shown = &rows[..rows.len().min(MOST_ROWS)];
    let number = images.len();
    Some(html! {
        p {
            @if number > MOST_IMAGES {
                (number) " images are told differently by different levels; these " (MOST_IMAGES) " the most."
            } @else if number == 1 {
                "One image is told differently by different levels."
            } @else {
                (number) " images are told differently by different levels."
            }
            " A bar is the share of runs that told the image rightly."
        }
        ul.images {
            @for (image, label, _) in images.iter().take(MOST_IMAGES) {
                li {
                    @match thumbnails.of(image) {
                        Some(source) => img src=(source) alt="" loading="lazy" width="96" height="96";,
                        None => div.no-picture aria-hidden="true" {},
                    }
                    div {
                        p.image-name { (image) " " span.is { "is " (label) } }
                        @for row in shown {
                            @if let Some(share) = row.told.share(image) {
                                div.share {
                                    span.of { (row.label) }
                                    meter min="0" max="1" value=(format!("{share:.3}")) {}
                                    span.number { (format!("{:.0} %", share * 100.0)) }
                                }
                            }
                        }
                    }
                }
            }
        }
        @if rows.len() > MOST_ROWS {
            p.note { "Of " (rows.len()) " rows the first " (MOST_ROWS) " are shown." }
        }
    })
}

/// Which classes a row takes for which.
pub(super) fn confusion(row: &RowTold<'_>) -> Option<Markup> {
    let classes: Vec<&String> = {
        let mut classes: Vec<&String> =
            row.told.confused.keys().flat_map(|(is, said)| [is, said]).collect();
        classes.sort();
        classes.dedup();
        classes
    };
    if classes.is_empty() || classes.len() > MOST_CLASSES {
        return None;
    }
    let count = |is: &str, said: &str| {
        row.told.confused.get(&(is.to_owned(), said.to_owned())).copied().unwrap_or(0)
    };
    Some(html! {
        table.confusion {
            caption { (row.label) }
            thead {
                tr { td {} th scope="colgroup" colspan=(classes.len()) { "said" } }
                tr {
                    th scope="col" { "is" }
                    @for class in &classes { th scope="col" { (class) } }
                }
            }
            tbody {
                @for is in &classes {
                    @let all = classes.iter().map(|said| count(is, said)).sum::<u64>().max(1);
                    tr {
                        th scope="row" { (is) }
                        @for said in &classes {
                            @let share = count(is, said) as f64 / all as f64;
                            td.right-answer[is == said] style=(format!("--share:{share:.3}")) {
                                (format!("{:.1} %", share * 100.0))
                                span.count { (count(is, said)) }
                            }
                        }
                    }
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(image: &str, label: &str, predicted: &str) -> Said {
        Said {
            set: "test".to_owned(),
            fold: None,
            image: image.to_owned(),
            label: Some(label.to_owned()),
            predicted: predicted.to_owned(),
            probability: None,
            label_probability: None,
        }
    }

    fn told(runs: &[&[Said]]) -> Told {
        let mut told = Told::default();
        runs.iter().for_each(|run| told.add(run, "test"));
        told
    }

    #[test]
    fn images_stand_in_the_order_in_which_levels_differ_on_them() {
        let right = |image: &str| said(image, "clean", "clean");
        let wrong = |image: &str| said(image, "clean", "dirty");
        let one = told(&[&[right("a"), right("b"), right("c")], &[right("a"), right("b"), right("c")]]);
        let other = told(&[&[right("a"), wrong("b"), wrong("c")], &[right("a"), wrong("b"), right("c")]]);
        let rows = [RowTold { label: "1", told: &one }, RowTold { label: "2", told: &other }];
        let images: Vec<_> = contested(&rows).into_iter().map(|(image, ..)| image).collect();
        assert_eq!(images, ["b", "c"]);
        assert!(contested(&rows[..1]).is_empty());
    }

    #[test]
    fn a_matrix_counts_what_was_said() {
        let told = told(&[&[said("a", "<b>", "<b>"), said("b", "<b>", "c"), said("c", "c", "c")]]);
        let matrix = confusion(&RowTold { label: "16", told: &told }).unwrap().0;
        assert!(matrix.contains("50.0 %") && matrix.contains("100.0 %"), "{matrix}");
        assert!(!matrix.contains("<b>"), "{matrix}");
    }

    #[test]
    fn merging_is_adding() {
        let runs = [[said("a", "x", "x"), said("b", "y", "x")], [said("a", "x", "y"), said("b", "y", "y")]];
        let mut merged = told(&[&runs[0]]);
        merged.merge(told(&[&runs[1]]));
        assert_eq!(merged, told(&[&runs[0], &runs[1]]));
    }

    #[test]
    fn other_sets_and_unlabelled_images_do_not_count() {
        let unlabelled = Said { label: None, ..said("a", "x", "x") };
        let validation = Said { set: "validation".to_owned(), ..said("b", "x", "x") };
        assert!(told(&[&[unlabelled, validation]]).is_empty());
    }
}
