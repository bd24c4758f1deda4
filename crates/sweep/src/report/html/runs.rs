//! The table of runs: kept as JSON, and drawn as far as it is seen.

use maud::{Markup, PreEscaped, html};
use serde::Serialize;

use super::Sweep;
use crate::report::{ScoreFormat, outcome_cause};

/// What the page's script draws the table from. Lists rather than objects: with thousands of runs, keys would
/// be most of it.
#[derive(Debug, Serialize)]
struct Runs<'a> {
    /// How scores are written: `document`, `percent`, `fraction`.
    format: &'static str,
    /// Factor and level of each row.
    rows: Vec<(&'a str, String)>,
    outcomes: Vec<&'a str>,
    causes: Vec<&'a str>,
    /// Row, seed, outcome, score, validation accuracy, epochs, best epoch, seconds, folder, cause.
    runs: Vec<Run<'a>>,
}

#[derive(Debug, Serialize)]
struct Run<'a>(
    usize,
    u64,
    usize,
    Option<f64>,
    Option<f64>,
    Option<u32>,
    Option<u32>,
    Option<f64>,
    &'a str,
    Option<usize>,
);

/// Columns, as the script knows them, and whether they are of numbers.
const COLUMNS: [(&str, bool); 10] = [
    ("factor", false),
    ("level", false),
    ("seed", true),
    ("outcome", false),
    ("score", true),
    ("validation", true),
    ("epochs", true),
    ("best epoch", true),
    ("seconds", true),
    ("run", false),
];

/// The table of runs.
pub(super) fn section(sweep: &Sweep<'_>) -> Markup {
    let runs = runs(sweep);
    let outcomes = runs.outcomes.clone();
    let count = runs.runs.len();
    html! {
        section .runs data-runs {
            h2 { "Runs" }
            p .note { "A heading sorts; again, the other way round. A run's folder is runs/*-ID." }
            div .controls {
                label { "Filter" input type="search" data-filter placeholder="factor, level, seed, id …" autocomplete="off"; }
                label { "Outcome"
                    select data-outcome {
                        option value="" { "all" }
                        @for outcome in &outcomes { option value=(outcome) { (outcome) } }
                    }
                }
                span .count data-count role="status" aria-live="polite" { (count) " runs" }
            }
            noscript { p { "The table needs JavaScript; runs.csv beside this file has the same runs." } }
            div .scroll .window tabindex="0" role="region" aria-label="Runs" data-window {
                table aria-rowcount=(count + 1) {
                    thead {
                        tr aria-rowindex="1" {
                            @for (heading, number) in COLUMNS {
                                th scope="col" aria-sort="none" .number[number] {
                                    button type="button" data-sort=(heading) { (heading) }
                                }
                            }
                        }
                    }
                    tbody data-body {}
                }
            }
            script type="application/json" data-json { (PreEscaped(json(&runs))) }
        }
    }
}

/// JSON that cannot end the element it stands in.
fn json(runs: &Runs<'_>) -> String {
    let json = serde_json::to_string(runs).unwrap_or_else(|_| "null".to_owned());
    json.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

fn runs<'a>(sweep: &Sweep<'a>) -> Runs<'a> {
    let (mut outcomes, mut causes) = (Vec::new(), Vec::new());
    let place = |known: &mut Vec<&'a str>, word: &'a str| {
        known.iter().position(|other| *other == word).unwrap_or_else(|| {
            known.push(word);
            known.len() - 1
        })
    };
    let entries = sweep.entries.iter();
    let runs = entries.map(|entry| {
        let result = entry.result.as_ref();
        let outcome =
            place(&mut outcomes, result.map_or("waiting", |result| result.outcome.name()));
        let cause = result.and_then(|result| outcome_cause(&result.outcome));
        let cause = cause.and_then(|cause| cause.lines().next());
        let finished = entry.finished();
        let rounded = |value: f64, digits: f64| (value * digits).round() / digits;
        Run(
            entry.row as usize,
            entry.seed,
            outcome,
            entry.score().map(|score| rounded(score, 1e7)),
            entry.validation().map(|accuracy| rounded(accuracy, 1e7)),
            finished.map(|finished| finished.epochs),
            finished.and_then(|finished| Some(finished.stopped_early.as_ref()?.best_epoch)),
            result.map(|result| rounded(result.seconds, 1e2)),
            folder_end(&entry.dir),
            cause.map(|cause| place(&mut causes, cause)),
        )
    });
    let runs = runs.collect();
    let rows = sweep.table.rows.iter();
    let rows = rows.map(|row| (row.factor.as_str(), row.shown()));
    Runs {
        format: match sweep.format {
            ScoreFormat::Document => "document",
            ScoreFormat::Percent => "percent",
            ScoreFormat::Fraction => "fraction",
        },
        rows: rows.collect(),
        outcomes,
        causes,
        runs,
    }
}

/// The twelve digits that a run's folder ends with.
fn folder_end(dir: &spec::paths::RunDir) -> &str {
    let name = dir.root().file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.rsplit_once('-').map_or(name, |(_, id)| id)
}
