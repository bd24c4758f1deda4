//! What a report says: the document's columns first, then what honest reading needs.

mod strategy;

use std::fmt::Write as _;

use spec::sweep::Replicates;
use stats::interval::{Covers, Interval};

use super::document::{Block, Document};
use super::grid::Column;
use super::{Agreement, Alike, Basis, Effort, Row, ScoreFormat, Submission, Summary, Table};
use crate::settings::shell_word;

/// Before the table, so that nobody takes such rows for a result.
const STAND_IN: &str = "rows marked [random weights] ran on a backbone with random weights in \
                        place of pretrained ones. They show that the sweep runs, and say nothing about \
                        the pretrained backbone or its settings.";

/// A sweep's report in Markdown.
pub fn markdown(table: &Table, format: ScoreFormat) -> String {
    document(table, format).markdown()
}

/// A sweep's report.
pub fn document(table: &Table, format: ScoreFormat) -> Document {
    let mut blocks = Vec::new();
    let mut paragraph = |text: String| blocks.push(Block::Paragraph(text));
    if let Some(title) = &table.title {
        paragraph(title.clone());
    }
    if !table.overrides.is_empty() {
        let sets: Vec<String> = table.overrides.iter().map(|set| shell_word(set)).collect();
        paragraph(format!("with --set {}", sets.join(" --set ")));
    }
    if table.rows.iter().any(|row| row.stand_in) {
        blocks.push(Block::Warning { first: "Not a result:", rest: STAND_IN.to_owned() });
    }
    if let Some(rest) = strategy::warning(table) {
        blocks.push(Block::Warning { first: "Selection bias:", rest });
    }
    blocks.push(Block::Table(columns(table, format)));
    let mut paragraph = |text: String| blocks.push(Block::Paragraph(text));
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
    if let Some(found) = &table.agreement {
        paragraph(agreement(found));
    }
    if table.rows.iter().any(|row| row.folds.is_some()) {
        paragraph(
            "With folds a run trains a model for each. Its validation accuracy counts every training \
             image once, told by the model that was not trained on it; test images get the mean of the \
             models' probabilities. Mean and deviation of folds are of the single ones, of all seeds."
                .to_owned(),
        );
    }
    if let Some(line) = worth(table, format) {
        paragraph(line);
    }
    if let Some(line) = basis_of_verdicts(table, format) {
        paragraph(line);
    }
    blocks.extend(strategy::amended(table).map(Block::Paragraph));
    blocks.extend(strategy::blocks(table, format));
    let mut paragraph = |text: String| blocks.push(Block::Paragraph(text));
    for Alike { factor, first, others } in &table.alike {
        paragraph(format!(
            "{factor}: {} trained exactly as {first} did, under every seed: here the difference \
             changes nothing.",
            others.join(" and "),
        ));
    }
    if let Some(effort) = effort(table, format) {
        paragraph("What the runs took, in the mean over seeds, and how seeds differ. Time that runs share, such as for features, counts for the first of them:".to_owned());
        blocks.push(Block::Table(effort));
    }
    if !table.causes.is_empty() {
        let causes = table.causes.iter().map(|(cause, count)| format!("{count} x {cause}"));
        blocks.push(Block::List { lead: "Not finished:", items: causes.collect() });
    }
    if !table.submissions.is_empty() {
        let items = to_hand_in(&table.submissions);
        let all = items.len() == table.submissions.len();
        blocks.push(Block::List { lead: "To hand in:", items });
        if !all {
            blocks.push(Block::Paragraph(
                "The folders of the others stand in the sweep's runs.csv.".to_owned(),
            ));
        }
    }
    Document { heading: table.sweep.clone(), blocks }
}

/// One file for each row: with ten seeds a line for every run would be longer than all else.
fn to_hand_in(submissions: &[Submission]) -> Vec<String> {
    submissions
        .chunk_by(|one, next| one.row == next.row)
        .filter_map(|of_row| {
            let Submission { row, seed, file } = of_row.first()?;
            let more = match of_row.len() - 1 {
                0 => String::new(),
                1 => ", and one more seed's".to_owned(),
                more => format!(", and {more} more seeds'"),
            };
            Some(format!("{row}: seed {seed}'s, {}{more}", file.display()))
        })
        .collect()
}

fn columns(table: &Table, format: ScoreFormat) -> Vec<Column> {
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

/// What a table calls the row that others are compared with.
pub(super) fn baseline_word(table: &Table) -> &'static str {
    match table.path {
        Some(_) => "incumbent",
        None => "baseline",
    }
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
fn signed_interval(estimate: f64, interval: Option<Interval>, format: ScoreFormat) -> String {
    let estimate = format.signed(estimate);
    match interval {
        Some(Interval { low, high }) => {
            format!("{estimate} ({} to {})", format.signed(low), format.signed(high))
        }
        None => estimate,
    }
}

/// How seeds differ, and what the runs took, for the rows that have finished.
fn effort(table: &Table, format: ScoreFormat) -> Option<Vec<Column>> {
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

/// What intervals and verdicts rest on.
fn basis_of_verdicts(table: &Table, format: ScoreFormat) -> Option<String> {
    let judged = || table.rows.iter().map(|row| &row.judged);
    let covers = |of: &mut dyn Iterator<Item = Covers>| Some(of_images(table, &covers(of)?));
    let scores = covers(&mut judged().filter_map(|judged| Some(judged.score.as_ref()?.covers)))?;
    let compared: Vec<_> = judged().filter_map(|judged| judged.comparison.as_ref()).collect();
    let differences = covers(&mut compared.iter().map(|comparison| comparison.difference.covers));
    let mut text = match differences {
        Some(differences) if differences != scores => {
            format!(
                "Intervals are 95 %: those of scores over {scores}, those of differences over \
                 {differences}."
            )
        }
        _ => format!("Intervals are 95 %, over {scores}."),
    };
    if compared.is_empty() {
        return Some(text);
    }
    let (baseline, rows) = match table.path {
        Some(_) => ("incumbent of the stage", "rows of all stages"),
        None => ("baseline", "rows"),
    };
    let _ = write!(
        text,
        " Differences are to the {baseline} under the same seeds, and p is Holm's over all {rows}",
    );
    // Holm's promise is that of comparisons that were set before anybody saw results.
    text.push_str(match strategy::promise_holds(table) {
        true => {
            ": in at most one table of twenty is any \"better\" or \"worse\" a false one. Each interval is 95 % by \
             itself: of many rows some intervals miss."
        }
        false => ". Each interval is 95 % by itself: of many rows some intervals miss.",
    });
    let detectable = || compared.iter().filter_map(|comparison| comparison.detectable);
    match (detectable().reduce(f64::min), detectable().reduce(f64::max)) {
        (Some(least), Some(most)) => {
            let (least, most) = (format.difference(least), format.difference(most));
            let size = if least == most { least } else { format!("{least} to {most}") };
            let within = match table.replicates {
                Replicates::Fixed { .. } => String::new(),
                Replicates::UntilDecided { max, .. } => format!(" within {max} seeds"),
            };
            let _ = write!(
                text,
                " A true difference of {size}{} would have been seen four times in five{within}.",
                format.unit(),
            );
        }
        _ => {
            text.push_str(" With so few seeds no difference could have been shown, however large.")
        }
    }
    Some(text)
}

/// The statistics speak of test images; where scores are of validation images, of those.
fn of_images(table: &Table, text: &str) -> String {
    match table.basis {
        Some(Basis::Validation | Basis::Leaderboard) => {
            text.replace("test images", "validation images")
        }
        Some(Basis::Trainer) => text.replace(" on these test images", ""),
        Some(Basis::Test | Basis::Nothing) | None => text.to_owned(),
    }
}

/// What intervals allow for, each once.
fn covers(of: impl Iterator<Item = Covers>) -> Option<String> {
    let mut words: Vec<&str> = of.map(Covers::words).collect();
    words.sort_unstable();
    words.dedup();
    (!words.is_empty()).then(|| words.join(", or "))
}

fn p_value(p: f64) -> String {
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

fn dash() -> String {
    "-".to_owned()
}

/// What one image is worth, so that nobody over-reads a score.
fn worth(table: &Table, format: ScoreFormat) -> Option<String> {
    let images = table.images?;
    let what = match table.basis? {
        Basis::Test => "test",
        Basis::Leaderboard | Basis::Validation => "validation",
        Basis::Trainer | Basis::Nothing => return None,
    };
    Some(format!(
        "One {what} image of {images} is worth {}{}.",
        format.difference(1.0 / images as f64),
        format.unit(),
    ))
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

/// Whether what is measured here ranks the rows as what was scored elsewhere does.
fn agreement(Agreement { rows, ranks }: &Agreement) -> String {
    let words = match (ranks.spearman > 0.0, ranks.spearman_p <= 0.05) {
        (true, true) => "much as",
        (false, true) => "the other way round than",
        (_, false) => "in an order that is not shown to be the one of",
    };
    format!(
        "What is measured here ranks the {rows} rows {words} the scores from elsewhere: Spearman's \
         rho {:.2} (p = {:.3}), Kendall's tau {:.2} (p = {:.3}).",
        ranks.spearman, ranks.spearman_p, ranks.kendall, ranks.kendall_p,
    )
}
