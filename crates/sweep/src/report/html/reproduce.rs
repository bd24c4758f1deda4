//! What it takes to get a row again.

use std::collections::BTreeSet;

use maud::{Markup, html};
use spec::record::{PlanChange, RunConfig};

use super::Sweep;
use super::details::RowDetails;
use super::figures::row_name;
use crate::report::{Entry, Row, Table};
use crate::settings::{shell_word, shown};

/// Settings, contents and the command.
pub(super) fn section(sweep: &Sweep<'_>) -> Markup {
    let rows = sweep.table.rows.iter().zip(&sweep.details.rows);
    let rows: Vec<(&Row, &RowDetails)> =
        rows.filter_map(|(row, details)| Some((row, details.as_ref()?))).collect();
    let asked: Vec<&RunConfig> =
        rows.iter().filter_map(|(_, details)| details.asked.as_ref()).collect();
    html! {
        section {
            h2 { "To get it again" }
            p { "The whole sweep, in which whatever has run is not run again:" }
            pre tabindex="0" { code { (command(sweep.table, &[])) } }
            (contents(&asked))
            (programs(sweep.entries))
            div .scroll tabindex="0" role="region" aria-label="What each row takes" {
                table .facts {
                    thead {
                        tr {
                            th scope="col" { "row" }
                            th scope="col" { "what differs from its baseline" }
                            th scope="col" { "the row alone, as the baseline" }
                        }
                    }
                    tbody {
                        @for (row, _) in rows.iter().filter(|(row, details)| !details.again || !row.baseline) {
                            tr {
                                th scope="row" { (row_name(row)) }
                                td .words {
                                    @for change in &row.changes { (differs(change)) br; }
                                    @if row.changes.is_empty() {
                                        @if row.baseline { "nothing: it is the baseline" } @else { "not known" }
                                    }
                                }
                                td .words { code { (command(sweep.table, &row.changes)) } }
                            }
                        }
                    }
                }
            }
            p .note { "The folder of each run has its whole configuration: config.json." }
        }
    }
}

fn differs(change: &PlanChange) -> Markup {
    let value = |value: &serde_json::Value| match value.is_null() {
        true => "left out".to_owned(),
        false => shown(value),
    };
    html! { code { (change.key) } " " (value(&change.here)) " in place of " (value(&change.baseline)) }
}

/// The sweep's command; with `changes`, those in its baseline.
fn command(table: &Table, changes: &[PlanChange]) -> String {
    let file = match &table.file {
        Some(file) => file.to_string_lossy().into_owned(),
        None => format!("{}.toml", table.sweep),
    };
    let mut words = vec!["sweep".to_owned(), "run".to_owned(), file];
    let sets = changes.iter().map(|change| match change.here.is_null() {
        true => format!("{}=false", change.key),
        false => format!("{}={}", change.key, toml(&change.here)),
    });
    for set in table.overrides.iter().cloned().chain(sets) {
        words.extend(["--set".to_owned(), set]);
    }
    words.iter().map(|word| shell_word(word)).collect::<Vec<_>>().join(" ")
}

/// A value as a sweep file has it.
fn toml(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::String(text) => Value::String(text.clone()).to_string(),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", "))
        }
        Value::Object(entries) => {
            let entries = entries.iter().filter(|(_, value)| !value.is_null());
            let entries = entries.map(|(key, value)| format!("{key} = {}", toml(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// What is behind the paths, where all rows share it.
fn contents(asked: &[&RunConfig]) -> Markup {
    let Some(first) = asked.first() else { return html! {} };
    if asked.iter().any(|other| other.fingerprints != first.fingerprints) {
        return html! {
            p { "Rows have different data or weights: their fingerprints are in the config.json of their runs." }
        };
    }
    let prints = &first.fingerprints;
    let prints = [
        ("training images", prints.train.as_ref()),
        ("validation images", prints.validation.as_ref()),
        ("test images", prints.test.as_ref()),
        ("weights", prints.weights.as_ref()),
        ("trainer", prints.trainer.as_ref()),
    ];
    html! {
        p { "Fingerprints of what they ran on:" }
        dl .prints {
            @for (what, print) in prints {
                @if let Some(print) = print { dt { (what) } dd { code { (print) } } }
            }
        }
    }
}

/// Which programs took the results down.
fn programs(entries: &[Entry]) -> Markup {
    let results = entries.iter().filter_map(|entry| entry.result.as_ref());
    let programs: BTreeSet<&str> =
        results.map(|result| result.program.as_deref().unwrap_or("an older sweep")).collect();
    let programs: Vec<&str> = programs.into_iter().collect();
    html! {
        @if !programs.is_empty() {
            p .note {
                "Results taken down by " (programs.join(", ")) "; this page made by " (crate::PROGRAM) "."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_survive_a_shell() {
        assert_eq!(shell_word("batch_size=16"), "batch_size=16");
        assert_eq!(shell_word("a b's; rm -rf"), r"'a b'\''s; rm -rf'");
        let value = serde_json::json!({ "unfreeze_last": 10, "label": "it's", "off": null });
        assert_eq!(toml(&value), r#"{ label = "it's", unfreeze_last = 10 }"#);
        assert_eq!(toml(&serde_json::json!([64, "a"])), r#"[64, "a"]"#);
    }
}
