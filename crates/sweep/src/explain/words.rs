//! An explanation for people.

use std::fmt::Write as _;

use spec::record::{Outcome, RunResult};

use super::{AttemptLog, Explanation, FromBaseline};
use crate::report::{ScoreFormat, outcome_cause};
use crate::settings::{Change, shown};

/// What a person wants to know of a run.
pub fn text(explained: &Explanation) -> String {
    let mut text = format!("run {}\n", explained.run);
    let _ = writeln!(text, "seed {}, in {}", explained.seed, explained.folder.display());
    let mut part = |title: &str, lines: Vec<String>| {
        let _ = write!(text, "\n{title}\n");
        for line in lines.iter().flat_map(|line| line.lines()) {
            let _ = writeln!(text, "  {line}");
        }
    };
    part("What became of it", state(explained));
    part("Where it stands", stands(explained));
    for FromBaseline { sweep, changes } in &explained.differs {
        let lines = match changes {
            None => vec!["not known before both have begun".to_owned()],
            Some(changes) if changes.is_empty() => vec!["nothing: it is the baseline".to_owned()],
            Some(changes) => changes.iter().map(change).collect(),
        };
        part(&format!("What differs from the baseline of {sweep} (baseline -> here)"), lines);
    }
    let attempts: Vec<String> = explained.attempts.iter().map(attempt).collect();
    if !attempts.is_empty() {
        part("What its attempts said last", attempts);
    }
    part("To have it again", again(explained));
    text
}

fn state(explained: &Explanation) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(at_it) = &explained.at_work {
        lines.push(format!(
            "process {} on {} is at it, on {}",
            at_it.process.pid, at_it.process.host, at_it.slot
        ));
    }
    let Some(result) = &explained.result else {
        if explained.at_work.is_none() {
            lines.push(match explained.attempts.len() {
                0 => "It has not run: `sweep run` with the file of its sweep runs it.".to_owned(),
                _ => "It began and did not end: `sweep run` with the file of its sweep runs it again."
                    .to_owned(),
            });
        }
        return lines;
    };
    let RunResult { attempts, started, seconds, device, program, outcome, .. } = result;
    lines.push(format!("{}: {}", outcome.name(), why(outcome)));
    if let Some(cause) = outcome_cause(outcome) {
        lines.extend(cause.lines().map(|line| format!("> {line}")));
    }
    if let Outcome::Finished(finished) = outcome {
        let mut measured = Vec::new();
        for (set, evaluation) in [("test", finished.test), ("validation", finished.validation)] {
            measured.extend(evaluation.map(|evaluation| {
                format!(
                    "{} on {} {set} images",
                    ScoreFormat::Document.score(evaluation.accuracy()),
                    evaluation.images
                )
            }));
        }
        if !measured.is_empty() {
            let mark = match explained.stand_in {
                true => " [random weights: not a result]",
                false => "",
            };
            lines.push(format!("score {}{mark}", measured.join(", ")));
        }
        let stopped = finished
            .stopped_early
            .as_ref()
            .map(|stopped| format!(", stopped early (the best was epoch {})", stopped.best_epoch));
        lines.push(format!("{} epochs{}", finished.epochs, stopped.unwrap_or_default()));
    }
    let tries = match attempts {
        1 => "one attempt".to_owned(),
        several => format!("{several} attempts, of which the last"),
    };
    let program = program.as_ref().map(|program| format!("; {program} took it down"));
    let program = program.unwrap_or_default();
    lines.push(format!("{tries} began {started} and took {seconds:.1} s on {device}{program}"));
    if let Some(semantics) = explained.semantics {
        let now = spec::run_id::TRAINING_SEMANTICS;
        let note = match semantics == now {
            true => String::new(),
            false => {
                format!("; this program trains under version {now}, so it would be another run")
            }
        };
        lines.push(format!("training semantics version {semantics}{note}"));
    }
    lines
}

/// Why it ran, and whether it runs again.
fn why(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Finished(_) => {
            "it ran because nothing with its id had a result, and does not run again"
        }
        Outcome::Interrupted { .. } => {
            "it was stopped from outside, and the next `sweep run` runs it again"
        }
        Outcome::Diverged { .. } | Outcome::OutOfMemory { .. } => {
            "that is a finding, and does not run again but with --retry-failed"
        }
        Outcome::TimedOut { .. } | Outcome::Failed { .. } => {
            "a failure is a result too, and does not run again but with --retry-failed"
        }
    }
}

fn stands(explained: &Explanation) -> Vec<String> {
    let mut lines: Vec<String> = explained
        .stands
        .iter()
        .map(|place| {
            let mark = if place.baseline { " (baseline)" } else { "" };
            format!("{place}:{}{mark}", explained.seed)
        })
        .collect();
    match lines.len() {
        0 => lines.push("in no sweep's plan any more: nothing reports it".to_owned()),
        1 => {}
        _ => lines.push("The same work in several rows is one run.".to_owned()),
    }
    lines
}

fn change(Change { what, from, to }: &Change) -> String {
    let side = |value: &Option<serde_json::Value>| value.as_ref().map_or("off".to_owned(), shown);
    format!("{what}: {} -> {}", side(from), side(to))
}

fn attempt(AttemptLog { attempt, log, last_lines }: &AttemptLog) -> String {
    let mut text = format!("attempt {attempt} ({}):", log.display());
    for line in last_lines {
        let _ = write!(text, "\n> {line}");
    }
    if last_lines.is_empty() {
        text.push_str(" nothing");
    }
    text
}

fn again(explained: &Explanation) -> Vec<String> {
    let folder = explained.folder.file_name().unwrap_or_default().to_string_lossy();
    match explained.sweep_file {
        None => vec!["its settings are not known before it has begun".to_owned()],
        Some(_) => vec![
            format!("sweep explain {folder} --toml > again.toml"),
            "sweep run again.toml --results results-again".to_owned(),
        ],
    }
}
