//! A comparison of two sides for people.

use std::fmt::Write as _;

use stats::interval::Interval;
use stats::score::Score;

use super::{Compared, Pair};
use crate::report::ScoreFormat;
use crate::report::grid::from_rows;
use crate::settings::{Change, shown};

/// The comparison as Markdown.
pub fn markdown(compared: &Compared, format: ScoreFormat) -> String {
    let Compared { from, to, margin, family, adaptive, rows, only_from, only_to } = compared;
    let mut text = format!("# {from} -> {to}\n\n");
    let cells: Vec<[String; 7]> = rows.iter().map(|pair| cells(pair, format)).collect();
    let headings = [
        ("row", false),
        ("before", true),
        ("after", true),
        ("difference", true),
        ("p", true),
        ("verdict", false),
        ("seeds", true),
    ];
    text.push_str(&from_rows(headings, &cells));
    let mut paragraph = |words: String| {
        let _ = write!(text, "\n{words}\n");
    };
    let over = match family {
        1 => "p is of this comparison alone: of a row that was picked out of several for its results it is too \
              small"
            .to_owned(),
        family => format!("p is Holm's over the {family} rows compared here, and over no others"),
    };
    paragraph(format!(
        "Differences are after minus before, paired by seed, and by image where the images are the same; {over}."
    ));
    if *adaptive {
        paragraph(
            "Results decided how many seeds there are: p holds however often one looks (a sequential rule, \
             docs/statistics.md), and is larger than that of as many seeds set beforehand."
                .to_owned(),
        );
    }
    if let Some(margin) = margin {
        let (size, unit) = (format.difference(*margin), format.unit());
        paragraph(format!("Differences below {size}{unit} do not matter: --margin."));
    }
    let failed: Vec<String> = rows
        .iter()
        .filter(|pair| !pair.failed.is_empty())
        .map(|pair| format!("- {}: seeds {}", pair.row, seeds(&pair.failed)))
        .collect();
    if !failed.is_empty() {
        paragraph(format!("Finished before and not after:\n{}", failed.join("\n")));
    }
    paragraph(repeated(rows));
    let differs = differs(rows);
    if !differs.is_empty() {
        paragraph(format!("What differs besides:\n{}", differs.join("\n")));
    }
    for (side, only) in [(from, only_from), (to, only_to)] {
        if !only.is_empty() {
            paragraph(format!("Only in {side}: {}.", only.join("; ")));
        }
    }
    text
}

fn cells(pair: &Pair, format: ScoreFormat) -> [String; 7] {
    let dash = || "-".to_owned();
    let mean = |side: usize| {
        let mark = if pair.stand_in[side] { " [random weights]" } else { "" };
        let score: Option<&Score> = pair.scores[side].as_ref();
        score.map_or_else(dash, |score| format!("{}{mark}", format.score(score.mean)))
    };
    let difference = pair.comparison.as_ref().map_or_else(dash, |comparison| {
        let difference = &comparison.difference;
        let estimate = format.signed(difference.estimate);
        match difference.interval {
            None => estimate,
            Some(Interval { low, high }) => {
                format!("{estimate} ({} to {})", format.signed(low), format.signed(high))
            }
        }
    });
    let p = match pair.comparison.as_ref().and_then(|comparison| comparison.p) {
        None => dash(),
        Some(p) if p < 0.001 => "< 0.001".to_owned(),
        Some(p) => format!("{p:.3}"),
    };
    let verdict = match (&pair.comparison, pair.why_not) {
        (Some(comparison), _) => comparison.verdict.to_string(),
        (None, Some(why_not)) => why_not.words().to_owned(),
        (None, None) => dash(),
    };
    let seeds = match pair.seeds {
        [before, after] if before == after => after.to_string(),
        [before, after] => format!("{before}, {after}"),
    };
    [pair.row.clone(), mean(0), mean(1), difference, p, verdict, seeds]
}

/// Whether the same work gave the same numbers.
fn repeated(rows: &[Pair]) -> String {
    let same: usize = rows.iter().map(|pair| pair.same_runs).sum();
    let changed: Vec<String> = rows
        .iter()
        .filter(|pair| !pair.changed.is_empty())
        .map(|pair| format!("- {}: seeds {}", pair.row, seeds(&pair.changed)))
        .collect();
    match (same, changed.len()) {
        (0, _) => "No run is the same on both sides.".to_owned(),
        (same, 0) => format!("{same} runs are the same work on both sides, with the same results."),
        (same, _) => format!(
            "{same} runs are the same work on both sides. Of these gave other numbers:\n{}",
            changed.join("\n")
        ),
    }
}

/// Settings and contents that differ, each once with the rows where it does.
fn differs(rows: &[Pair]) -> Vec<String> {
    let mut found: Vec<(String, Vec<&str>)> = Vec::new();
    for pair in rows {
        let changes = pair.changes.iter().map(change).chain(pair.semantics.map(|sides| {
            let side = |version: Option<u32>| {
                version.map_or("unknown".to_owned(), |version| version.to_string())
            };
            format!("training semantics: {} -> {}", side(sides[0]), side(sides[1]))
        }));
        for change in changes {
            match found.iter_mut().find(|(known, _)| *known == change) {
                Some((_, of)) => of.push(&pair.row),
                None => found.push((change, vec![&pair.row])),
            }
        }
    }
    found
        .into_iter()
        .map(|(change, of)| match of.len() == rows.len() {
            true => format!("- {change}"),
            false => format!("- {change} ({})", of.join("; ")),
        })
        .collect()
}

fn change(Change { what, from, to }: &Change) -> String {
    let side = |value: &Option<serde_json::Value>| value.as_ref().map_or("off".to_owned(), shown);
    format!("{what}: {} -> {}", side(from), side(to))
}

fn seeds(seeds: &[u64]) -> String {
    seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}
