//! A report of scores alone, for people: the tables as they were, then what the numbers support.

use std::fmt::Write as _;

use stats::interval::Interval;

use super::{Against, Report, ScoredRow};
use crate::report::ScoreFormat;
use crate::report::grid::from_rows;

/// The report as Markdown.
pub fn markdown(report: &Report, format: ScoreFormat) -> String {
    let mut text = String::new();
    for of_sweep in report.rows.chunk_by(|one, next| one.sweep == next.sweep) {
        let title = of_sweep.first().map(|row| row.sweep.as_str()).unwrap_or_default();
        let cells: Vec<[String; 8]> =
            of_sweep.iter().map(|row| cells(row, report, format)).collect();
        let headings = [
            ("factor", false),
            ("level", false),
            ("score", true),
            ("images right", true),
            ("95 % interval", true),
            ("against", false),
            ("difference", true),
            ("p, Holm", true),
        ];
        let _ = write!(text, "# {title}\n\n{}\n", from_rows(headings, &cells));
    }
    let conclusions = conclusions(report, format);
    if !conclusions.is_empty() {
        let _ = write!(text, "# Which conclusions the numbers support\n\n{conclusions}\n");
    }
    text.push_str(&notes(report, format));
    text
}

fn cells(row: &ScoredRow, report: &Report, format: ScoreFormat) -> [String; 8] {
    let dash = || "-".to_owned();
    let right = match (row.runs, row.right) {
        (1, Some(right)) => right.to_string(),
        (1, None) => format!("none of {}", report.images),
        (runs, _) => format!("{runs} runs"),
    };
    let between = |interval: Option<Interval>| match interval {
        None => dash(),
        Some(Interval { low, high }) => format!("{} - {}", format.score(low), format.score(high)),
    };
    let [mut against, mut difference, mut p] = [dash(), dash(), dash()];
    if let Some(found) = &row.against {
        against = named(&report.rows[found.row], row);
        difference = signed(found, format);
        p = p_value(found.adjusted);
    }
    [
        row.factor.clone(),
        row.level.clone(),
        format.score(row.score.mean),
        right,
        between(row.score.interval),
        against,
        difference,
        p,
    ]
}

fn signed(against: &Against, format: ScoreFormat) -> String {
    let estimate = format.signed(against.difference.estimate);
    match against.difference.interval {
        None => estimate,
        Some(Interval { low, high }) => {
            format!("{estimate} ({} to {})", format.signed(low), format.signed(high))
        }
    }
}

/// A row as another one names it.
fn named(row: &ScoredRow, from: &ScoredRow) -> String {
    match () {
        () if row.sweep == from.sweep && row.factor == from.factor => row.level.clone(),
        () if row.sweep == from.sweep => format!("{} = {}", row.factor, row.level),
        () => format!("{}: {} = {}", row.sweep, row.factor, row.level),
    }
}

/// Every comparison in words, those that hold first; then what was concluded from several.
fn conclusions(report: &Report, format: ScoreFormat) -> String {
    let mut lines: Vec<(bool, String)> = Vec::new();
    let mut told: Vec<(&str, usize, usize)> = Vec::new();
    for row in &report.rows {
        let Some(against) = &row.against else { continue };
        let Against { difference, adjusted, holds, possible, conclusion, .. } = against;
        let word = if difference.estimate > 0.0 { "better" } else { "worse" };
        let other = &report.rows[against.row];
        let mark = match (*possible, *holds) {
            (false, _) => "cannot be judged, one score is impossible",
            (true, true) => "holds",
            (true, false) => "not shown",
        };
        lines.push((
            !holds,
            format!(
                "- **{mark}**: {}: {} = {} {word} than {}, by {}{} (p {})",
                row.sweep,
                row.factor,
                row.level,
                named(other, row),
                format.difference(difference.estimate.abs()),
                format.unit(),
                p_value(*adjusted),
            ),
        ));
        if !conclusion.is_empty() {
            match told.iter_mut().find(|(known, ..)| known == conclusion) {
                Some((_, held, count)) => {
                    *held += usize::from(*holds);
                    *count += usize::from(*possible);
                }
                None => told.push((conclusion, usize::from(*holds), usize::from(*possible))),
            }
        }
    }
    lines.sort_by_key(|(not_shown, _)| *not_shown);
    let mut text: String = lines.iter().map(|(_, line)| format!("{line}\n")).collect();
    if !told.is_empty() {
        text.push_str("\nWhat was concluded:\n");
    }
    for (conclusion, held, count) in told {
        let mark = match held {
            0 if count == 0 => "cannot be judged".to_owned(),
            0 => "not supported".to_owned(),
            held if held == count => "supported, of these models".to_owned(),
            held => format!("supported by {held} of its {count} comparisons, of these models"),
        };
        let _ = writeln!(text, "- \"{conclusion}\": {mark}");
    }
    text
}

fn notes(report: &Report, format: ScoreFormat) -> String {
    let images = report.images;
    let mut text = format!(
        "One test image of {images} is worth {}{}. Intervals are 95 %; p is Holm's over all comparisons here.\n",
        format.difference(1.0 / images as f64),
        format.unit(),
    );
    if report.rows.iter().any(|row| row.runs == 1) {
        text.push_str(
            "\nAt one run each nothing can be said of a setting: \"holds\" says that these two trained models differ on \
             other images too. Which images each was right on is not known, so the comparison is a cautious one.\n",
        );
    }
    let odd: Vec<String> = report
        .rows
        .iter()
        .filter(|row| row.runs == 1 && row.right.is_none())
        .map(|row| format.score(row.score.mean))
        .collect();
    if !odd.is_empty() {
        let _ = write!(
            text,
            "\nNo number of right answers out of {images} gives {}: measured on something else, or copied wrongly.\n",
            odd.join(" or "),
        );
    }
    text
}

fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}
