//! The table as Markdown: the document's columns first, then what honest reading needs.

use std::fmt::Write as _;

use super::grid::{Column, grid};
use super::{Alike, Basis, Row, ScoreFormat, Summary, Table, level_cell};

/// Before the table, so that nobody takes such rows for a result.
const STAND_IN: &str = "**Not a result:** rows marked [random weights] ran on a backbone with random weights in \
                        place of pretrained ones. They show that the sweep runs, and say nothing about \
                        the backbone or its settings.";

/// A sweep's report.
pub fn markdown(table: &Table, format: ScoreFormat) -> String {
    let mut text = format!("# {}\n\n", table.sweep);
    if let Some(title) = &table.title {
        let _ = writeln!(text, "{title}\n");
    }
    if !table.overrides.is_empty() {
        let _ = writeln!(text, "with --set {}\n", table.overrides.join(" --set "));
    }
    if table.rows.iter().any(|row| row.stand_in) {
        let _ = writeln!(text, "{STAND_IN}\n");
    }
    text.push_str(&grid(&columns(table, format)));
    let mut paragraph = |line: String| {
        let _ = write!(text, "\n{line}\n");
    };
    if table.is_mixed() {
        paragraph(
            "Rows are measured on different images, as their column says: only scores that are measured on \
             the same can be compared."
                .to_owned(),
        );
    }
    if table.basis == Some(Basis::Leaderboard) {
        paragraph(
            "The test images have no labels here: a score comes from the leaderboard, and the \
             validation accuracy stands beside it."
                .to_owned(),
        );
    }
    if table.rows.iter().any(|row| row.folds.is_some()) {
        paragraph(
            "With folds a run trains a model for each. Its validation accuracy counts every training \
             image once, told by the model that was not trained on it; test images get the mean of the \
             models' probabilities. Beside it stand mean and deviation of the single folds, of all seeds."
                .to_owned(),
        );
    }
    if let Some(line) = precision(table, format) {
        paragraph(line);
    }
    for Alike { factor, first, others } in &table.alike {
        paragraph(format!(
            "{factor}: {} trained exactly as {first} did, under every seed: here the difference \
             changes nothing.",
            others.join(" and "),
        ));
    }
    if !table.causes.is_empty() {
        let causes: Vec<String> =
            table.causes.iter().map(|(cause, count)| format!("- {count} x {cause}")).collect();
        paragraph(format!("Not finished:\n{}", causes.join("\n")));
    }
    if !table.submissions.is_empty() {
        let files: Vec<String> = table
            .submissions
            .iter()
            .map(|submission| format!("- {}: {}", submission.label, submission.file.display()))
            .collect();
        paragraph(format!("To hand in:\n{}", files.join("\n")));
    }
    text
}

fn columns(table: &Table, format: ScoreFormat) -> Vec<Column> {
    let column = |heading: &str, right, cell: &dyn Fn(&Row) -> String| Column {
        heading: heading.to_owned(),
        right,
        cells: table.rows.iter().map(cell).collect(),
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
    columns.push(column("level", false, &|row| {
        let cell = level_cell(&row.level, row.baseline);
        let mark = if row.stand_in { " [random weights]" } else { "" };
        format!("{cell}{mark}").trim_start().to_owned()
    }));
    match table.basis {
        Some(Basis::Leaderboard) => {
            columns.push(column("score", true, &|row| match row.finished() {
                0 => dash(),
                _ => "awaits leaderboard".to_owned(),
            }));
            columns.push(scores("validation accuracy".to_owned(), &|row| row.validation));
        }
        Some(Basis::Validation) => {
            columns.push(scores("validation accuracy".to_owned(), &|row| row.score));
        }
        Some(Basis::Test | Basis::Nothing) => {
            columns.push(scores("score".to_owned(), &|row| row.score));
        }
        None => columns.push(scores("score".to_owned(), &Row::measured)),
    }
    if table.is_mixed() {
        columns.push(column("measured on", false, &measured_on));
    }
    columns.push(column("seeds", true, &|row| row.finished().to_string()));
    columns.push(column("std", true, &|row| {
        let std = row.measured().and_then(|summary| summary.std);
        std.map_or_else(dash, |std| format.difference(std))
    }));
    columns.push(column("min - max", true, &|row| match row.measured() {
        Some(Summary { n: 2.., min, max, .. }) => {
            format!("{} - {}", format.score(min), format.score(max))
        }
        _ => dash(),
    }));
    if table.rows.iter().any(|row| row.folds.is_some()) {
        columns.push(column("mean of folds", true, &|row| {
            row.folds.map_or_else(dash, |folds| format.score(folds.mean))
        }));
        columns.push(column("std of folds", true, &|row| {
            let std = row.folds.and_then(|folds| folds.std);
            std.map_or_else(dash, |std| format.difference(std))
        }));
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

/// What the numbers of a row were measured on.
fn measured_on(row: &Row) -> String {
    let kind = match row.basis {
        Some(Basis::Test) => "test images",
        Some(Basis::Leaderboard) => "validation images; awaits leaderboard",
        Some(Basis::Validation) => "validation images",
        Some(Basis::Nothing) => return "nothing".to_owned(),
        None => return dash(),
    };
    match row.images {
        Some(images) => format!("{images} {kind}"),
        None => kind.to_owned(),
    }
}

fn dash() -> String {
    "-".to_owned()
}

/// What one image is worth and how far one score can be trusted, so that nobody over-reads it.
fn precision(table: &Table, format: ScoreFormat) -> Option<String> {
    let images = table.images? as f64;
    let baseline = table.rows.iter().filter(|row| row.baseline).find_map(Row::measured);
    let near = baseline.or_else(|| table.rows.iter().find_map(Row::measured))?.mean;
    let what = match table.basis? {
        Basis::Test => "test",
        Basis::Leaderboard | Basis::Validation => "validation",
        Basis::Nothing => return None,
    };
    let error = (near * (1.0 - near) / images).sqrt();
    Some(format!(
        "One {what} image of {images} is worth {}{unit}. The standard error of one score near {} is \
         {}{unit} (sqrt(p(1-p)/n)): smaller differences between single runs say nothing.",
        format.difference(1.0 / images),
        format.score(near),
        format.difference(error),
        unit = format.unit(),
    ))
}
