//! The tables' columns.

use stats::interval::Interval;

use super::{baseline_word, of_images, strategy};
use crate::report::grid::Column;
use crate::report::{Basis, Effort, Row, ScoreFormat, Summary, Table};

pub(super) fn columns(table: &Table, format: ScoreFormat) -> Vec<Column> {
    let column = |heading: &str, right, cell: &dyn Fn(&Row) -> String| Column {
        heading: heading.to_owned(),
        right,
        cells: table.rows.iter().filter(|row| !row.cell).map(cell).collect(),
    };
    let scores = |heading: String, cell: &dyn Fn(&Row) -> Option<Summary>| {
        let folds = match table.folds {
            None | Some(0) => String::new(),
            Some(folds) => format!(", {folds} folds"),
        };
        column(&format!("{heading}{folds}{}", format.heading()), true, &|row| {
            cell(row).map_or_else(dash, |summary| format.score(summary.mean))
        })
    };
    let mut columns = vec![column("factor", false, &|row| row.factor.clone())];
    columns.push(column("level", false, &|row| level(row)));
    match table.basis {
        Some(Basis::Leaderboard) => {
            columns.push(column("score", true, &|row| match (&row.external, row.finished()) {
                (Some(external), _) => format.score(external.mean),
                (None, 0) => dash(),
                (None, _) => "awaits leaderboard".to_owned(),
            }));
            if table.rows.iter().any(|row| row.external.is_some()) {
                columns.push(external_interval(table, format));
            }
            columns.push(scores("validation accuracy".to_owned(), &|row| row.validation));
        }
        Some(Basis::Validation) => {
            columns.push(scores("validation accuracy".to_owned(), &|row| row.score));
        }
        Some(Basis::Test | Basis::Trainer | Basis::Nothing) => {
            columns.push(scores("score".to_owned(), &|row| row.score));
            // By which a chain chooses, and the best of many is told.
            let chooses = table.path.is_some() || table.best.is_some();
            if chooses && table.rows.iter().any(|row| row.validation.is_some()) {
                columns.push(scores("validation accuracy".to_owned(), &|row| row.validation));
            }
        }
        None => columns.push(scores("score".to_owned(), &Row::measured)),
    }
    if table.basis != Some(Basis::Leaderboard)
        && table.rows.iter().any(|row| row.external.is_some())
    {
        columns.push(column("elsewhere", true, &|row| {
            row.external.as_ref().map_or_else(dash, |external| format.score(external.mean))
        }));
        columns.push(external_interval(table, format));
    }
    if table.is_mixed() {
        columns.push(column("measured on", false, &measured_on));
    }
    if table.rows.iter().any(|row| row.judged.score.is_some()) {
        columns.push(column("95 % interval", true, &|row| {
            let interval = row.judged.score.as_ref().and_then(|score| score.interval);
            interval.map_or_else(dash, |Interval { low, high }| {
                format!("{} - {}", format.score(low), format.score(high))
            })
        }));
    }
    if table.rows.iter().any(|row| row.judged.comparison.is_some()) {
        columns.push(column("difference", true, &|row| difference(row, format)));
        columns.push(column("p", true, &|row| {
            let p = row.judged.comparison.as_ref().and_then(|comparison| comparison.p);
            p.map_or_else(dash, p_value)
        }));
        columns.push(column(
            "verdict",
            false,
            &|row| match (&row.judged.comparison, row.baseline) {
                (Some(comparison), _) => {
                    where_it_finishes(row, of_images(table, &comparison.verdict.to_string()))
                }
                (None, true) => where_it_finishes(row, format!("the {}", baseline_word(table))),
                (None, false) => dash(),
            },
        ));
    }
    columns.push(column("seeds", true, &|row| row.finished().to_string()));
    if table.rows.iter().any(|row| row.stopped.is_some()) {
        columns
            .push(column("no more seeds", false, &|row| strategy::stopped(row.stopped).to_owned()));
    }
    if table.rows.iter().any(|row| !row.unfinished.is_empty()) {
        columns.push(column("not finished", false, &|row| {
            let words = row.unfinished.iter().map(|(how, count)| (how, count));
            let words: Vec<String> =
                words.map(|(how, count)| format!("{count} of {} {how}", row.seeds)).collect();
            words.join(", ")
        }));
    }
    columns
}

/// A verdict is about the seeds that finished, and says so where others did not: a level that trains only under some
/// seeds looks better than it is.
fn where_it_finishes(row: &Row, verdict: String) -> String {
    let Some(lost) = row.lost() else { return verdict };
    let mut verdict = verdict;
    for word in ["better", "worse", "equivalent"] {
        if verdict.starts_with(word) {
            verdict = verdict.replacen(word, &format!("{word} where it finishes"), 1);
        }
    }
    format!("{verdict}; {lost}")
}

fn level(row: &Row) -> String {
    let mark = if row.stand_in { " [random weights]" } else { "" };
    format!("{}{mark}", row.shown()).trim_start().to_owned()
}

/// The difference to the baseline, with its interval.
fn difference(row: &Row, format: ScoreFormat) -> String {
    let Some(comparison) = &row.judged.comparison else { return dash() };
    let difference = &comparison.difference;
    signed_interval(difference.estimate, difference.interval, format)
}

/// `+296 (-492 to +1084)`
pub(super) fn signed_interval(
    estimate: f64,
    interval: Option<Interval>,
    format: ScoreFormat,
) -> String {
    let estimate = format.signed(estimate);
    match interval {
        Some(Interval { low, high }) => {
            format!("{estimate} ({} to {})", format.signed(low), format.signed(high))
        }
        None => estimate,
    }
}

/// How seeds differ, and what the runs took, for the rows that have finished.
pub(super) fn effort(table: &Table, format: ScoreFormat) -> Option<Vec<Column>> {
    let rows: Vec<&Row> =
        table.rows.iter().filter(|row| row.effort.is_some() && !row.cell).collect();
    if rows.is_empty() {
        return None;
    }
    let column = |heading: &str, right, cell: &dyn Fn(&Row) -> String| Column {
        heading: heading.to_owned(),
        right,
        cells: rows.iter().map(|row| cell(row)).collect(),
    };
    let number = |heading: &str, of: &dyn Fn(&Effort) -> f64| {
        column(heading, true, &|row| {
            row.effort.as_ref().map_or_else(dash, |effort| format!("{:.0}", of(effort)))
        })
    };
    let mut columns = vec![
        column("factor", false, &|row| row.factor.clone()),
        column("level", false, &|row| level(row)),
        column("std", true, &|row| {
            let std = row.measured().and_then(|summary| summary.std);
            std.map_or_else(dash, |std| format.difference(std))
        }),
        column("min - max", true, &|row| match row.measured() {
            Some(Summary { n: 2.., min, max, .. }) => {
                format!("{} - {}", format.score(min), format.score(max))
            }
            _ => dash(),
        }),
    ];
    if rows.iter().any(|row| row.folds.is_some()) {
        columns.push(column("mean of folds", true, &|row| {
            row.folds.map_or_else(dash, |folds| format.score(folds.mean))
        }));
        columns.push(column("std of folds", true, &|row| {
            let std = row.folds.and_then(|folds| folds.std);
            std.map_or_else(dash, |std| format.difference(std))
        }));
    }
    columns.push(number("epochs", &|effort| effort.epochs));
    columns.push(number("updates", &|effort| effort.updates));
    columns.push(number("images seen", &|effort| effort.images));
    columns.push(column("time", true, &|row| {
        row.effort.as_ref().map_or_else(dash, |effort| format!("{:.1} s", effort.seconds))
    }));
    Some(columns)
}

pub(super) fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}

/// What the numbers of a row were measured on.
fn measured_on(row: &Row) -> String {
    let kind = match row.basis {
        Some(Basis::Test) => "test images",
        Some(Basis::Leaderboard) => "validation images; awaits leaderboard",
        Some(Basis::Validation) => "validation images",
        Some(Basis::Trainer) => return "what the trainer says".to_owned(),
        Some(Basis::Nothing) => return "nothing".to_owned(),
        None => return dash(),
    };
    match row.images {
        Some(images) => format!("{images} {kind}"),
        None => kind.to_owned(),
    }
}

/// The interval of what was scored elsewhere, and of how many runs it is.
fn external_interval(table: &Table, format: ScoreFormat) -> Column {
    let cell = |row: &Row| {
        let Some(external) = &row.external else { return dash() };
        let runs = match (external.seeds, row.finished()) {
            (scored, finished) if scored == finished => String::new(),
            (scored, finished) => format!(" ({scored} of {finished} runs)"),
        };
        match external.interval {
            None => format!("-{runs}"),
            Some(Interval { low, high }) => {
                format!("{} - {}{runs}", format.score(low), format.score(high))
            }
        }
    };
    let cells = table.rows.iter().map(cell).collect();
    Column { heading: "its interval".to_owned(), right: true, cells }
}

pub(super) fn dash() -> String {
    "-".to_owned()
}
