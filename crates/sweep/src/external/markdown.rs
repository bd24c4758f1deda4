//! A report of scores alone, for people: the tables as they were, then what the numbers support.

use std::fmt::Write as _;

use stats::interval::Interval;
use stats::selection::expected_maximum;

use super::{Against, Decided, Expects, Report, ScoredRow};
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
        (1, None) => format!("no number of {}", report.images),
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
    let mut told: Vec<(&str, Vec<&Against>)> = Vec::new();
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
            match told.iter_mut().find(|(known, _)| known == conclusion) {
                Some((_, rests_on)) => rests_on.push(against),
                None => told.push((conclusion, vec![against])),
            }
        }
    }
    lines.sort_by_key(|(not_shown, _)| *not_shown);
    let mut text: String = lines.iter().map(|(_, line)| format!("{line}\n")).collect();
    if !told.is_empty() {
        text.push_str("\nWhat was concluded:\n");
    }
    for (conclusion, rests_on) in told {
        let _ = writeln!(text, "- \"{conclusion}\": {}", of_conclusion(&rests_on));
    }
    text
}

/// What the numbers say of a conclusion that rests on these comparisons.
fn of_conclusion(rests_on: &[&Against]) -> String {
    let count = |is: &dyn Fn(&Against) -> bool| rests_on.iter().filter(|one| is(one)).count();
    let all = rests_on.len();
    let supported = count(&|one| one.decided == Some(Decided::Supported));
    let contradicted = count(&|one| one.decided == Some(Decided::Contradicted));
    let of = |many: usize| match all {
        1 => String::new(),
        _ if many == all => format!(" by all of its {all} comparisons"),
        _ => format!(" by {many} of its {all} comparisons"),
    };
    let rest = match all - supported - contradicted {
        0 => String::new(),
        _ => format!("; else {}", why_not_decided(rests_on)),
    };
    match (supported, contradicted) {
        (0, 0) => why_not_decided(rests_on),
        (_, 0) => format!("**supported**{}, of these models{rest}", of(supported)),
        (0, _) => format!("**contradicted**{}, of these models{rest}", of(contradicted)),
        _ => format!(
            "**supported**{}, **contradicted**{}, of these models{rest}",
            of(supported),
            of(contradicted)
        ),
    }
}

/// Why comparisons that are not decided are not.
fn why_not_decided(rests_on: &[&Against]) -> String {
    let why = |one: &&&Against| match (one.decided, one.possible, one.expects) {
        (Some(Decided::Supported | Decided::Contradicted), ..) => None,
        (_, false, _) => Some("one score is impossible"),
        (_, _, Some(Expects::Linked)) => Some("no row changes both factors"),
        (_, _, Some(Expects::Same)) => Some("a difference that is not seen may still be there"),
        (_, _, Some(_)) => Some("chance can do as much"),
        (_, _, None) => Some("`expects` does not say what it takes"),
    };
    let mut words: Vec<&str> = rests_on.iter().filter_map(|one| why(&one)).collect();
    words.sort_unstable();
    words.dedup();
    format!("**not decided** ({})", words.join("; "))
}

/// What the highest score owes to its being the highest of so many.
fn highest(report: &Report, format: ScoreFormat) -> Option<String> {
    let best =
        report.rows.iter().max_by(|one, other| one.score.mean.total_cmp(&other.score.mean))?;
    // A configuration that stands in several tables has the same score in each.
    let mut scores: Vec<u64> = report.rows.iter().map(|row| row.score.mean.to_bits()).collect();
    scores.sort_unstable();
    scores.dedup();
    if scores.len() < 3 || best.runs > 1 {
        return None;
    }
    let score = best.score.mean;
    let error = (score * (1.0 - score) / report.images as f64).sqrt();
    let above = error * expected_maximum(scores.len());
    Some(format!(
        "The highest of {} different scores is {}, {}: {} = {}. Whoever takes the row for that chooses on the test \
         images, and the score is too high for what was taken: had all of them been equally good, chance alone would \
         put the highest as much as {}{} above the rest. How good it is only images can say that had no part in the choice.\n",
        scores.len(),
        format.score(score),
        best.sweep,
        best.factor,
        best.level,
        format.difference(above),
        format.unit(),
    ))
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
    if let Some(line) = highest(report, format) {
        let _ = write!(text, "\n{line}");
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
