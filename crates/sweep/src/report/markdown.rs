//! What a report says: the document's columns first, then what honest reading needs.

mod columns;
mod strategy;

use std::fmt::Write as _;

use spec::sweep::Replicates;
use stats::interval::Covers;

use super::document::{Block, Document};
use super::{Agreement, Alike, Basis, ScoreFormat, Submission, Table};
use crate::settings::shell_word;
use columns::{columns, effort};

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
    blocks.extend(strategy::amended(table, format).map(Block::Paragraph));
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

/// What a table calls the row that others are compared with.
pub(super) fn baseline_word(table: &Table) -> &'static str {
    match table.path {
        Some(_) => "incumbent",
        None => "baseline",
    }
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
