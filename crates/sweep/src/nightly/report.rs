//! A night for people: what is worse first, then what has changed, then everything else.

use std::time::Duration;

use super::record::{RowNight, RowOutcome, State, Summary, SweepNight};
use super::toolchain::{Build, Change, short};
use crate::report::grid::{Column, columns};
use crate::report::{Block, Document, ScoreFormat, level_cell};

/// The report of a night.
pub fn document(summary: &Summary, format: ScoreFormat) -> Document {
    let mut blocks = vec![Block::Paragraph(times(summary))];
    if let Some(night) = &summary.continues {
        let carried: usize = summary.sweeps.iter().map(|sweep| sweep.carried).sum();
        blocks.push(Block::Paragraph(format!(
            "It goes on with what the night of {night} left: {carried} finished runs are from then, computed \
             by the same worker, libraries and driver."
        )));
    }
    let sweeps = &summary.sweeps;
    let lists = [("Broken:", broken(summary)), ("Worse than before:", worse(sweeps, format))];
    let more = [
        ("Left for the next night:", left(sweeps)),
        ("Better than before:", better(sweeps, format)),
    ];
    let lists = lists.into_iter().chain(more).filter(|(_, items)| !items.is_empty());
    blocks.extend(lists.map(|(lead, items)| Block::List { lead, items }));
    blocks.extend(blind(sweeps).map(Block::Paragraph));
    for sweep in sweeps.iter().filter(|sweep| sweep.state != State::NotBegun) {
        section(sweep, format, &mut blocks);
    }
    blocks.push(Block::Section("What it ran on".to_owned()));
    blocks.push(Block::Table(toolchain(summary)));
    let heading = format!("Night of {}: {}", summary.night, summary.verdict.words());
    Document { heading, blocks }
}

fn times(summary: &Summary) -> String {
    let minute = "%Y-%m-%d %H:%M";
    let took = summary.ended.timestamp().duration_since(summary.started.timestamp());
    let took = Duration::from_secs(u64::try_from(took.as_secs()).unwrap_or(0));
    let budget = summary.until.and_then(|until| {
        let budget = until.duration_since(summary.started.timestamp());
        Some(format!(" of {}", humantime::format_duration(Duration::try_from(budget).ok()?)))
    });
    let sum = |of: fn(&SweepNight) -> usize| summary.sweeps.iter().map(of).sum::<usize>();
    let (runs, finished) = (sum(|sweep| sweep.runs), sum(|sweep| sweep.finished));
    let cut = match summary.cut_short {
        true => " It was cut short: its process was killed, or the machine went down.",
        false => "",
    };
    format!(
        "{}, from {} to {} ({}): {}{}. {finished} of {runs} runs finished.{cut}",
        summary.name,
        summary.started.strftime(minute),
        summary.ended.strftime(minute),
        summary.started.strftime("%:z"),
        humantime::format_duration(took),
        budget.unwrap_or_default(),
    )
}

fn broken(summary: &Summary) -> Vec<String> {
    let set_aside = summary.set_aside.iter();
    let set_aside = set_aside.map(|one| format!("{} was set aside: {}", one.device, one.cause));
    summary.broken.iter().cloned().chain(set_aside).collect()
}

fn worse(sweeps: &[SweepNight], format: ScoreFormat) -> Vec<String> {
    let mut lines = Vec::new();
    for sweep in sweeps {
        let rows: Vec<&RowNight> = sweep.rows.iter().filter(|row| row.regression).collect();
        for row in &rows {
            let mut said = Vec::new();
            if row.outcome == RowOutcome::Worse {
                said.push(moved(row, format));
            }
            if row.lost > 0 {
                let runs = if row.lost == 1 { "run does" } else { "runs do" };
                said.push(format!("{} {runs} not finish any more", row.lost));
            }
            lines.push(format!("{}: {}", name(sweep, row), said.join("; ")));
        }
        if let (false, Some(night)) = (rows.is_empty(), &sweep.compared_with) {
            let of = &sweep.sweep;
            lines.push(match sweep.changed.as_slice() {
                [] => format!("{of}: nothing that is known of has changed since {night}"),
                changed => format!("{of}: changed since {night}: {}", inline(changed)),
            });
        }
    }
    lines
}

fn better(sweeps: &[SweepNight], format: ScoreFormat) -> Vec<String> {
    let rows = sweeps.iter().flat_map(|sweep| sweep.rows.iter().map(move |row| (sweep, row)));
    rows.filter(|(_, row)| row.outcome == RowOutcome::Better)
        .map(|(sweep, row)| format!("{}: {}", name(sweep, row), moved(row, format)))
        .collect()
}

/// `batch_size, batch_size = 16`
fn name(sweep: &SweepNight, row: &RowNight) -> String {
    match row.level.as_str() {
        "" => format!("{}, {}", sweep.sweep, row.factor),
        level => format!("{}, {} = {level}", sweep.sweep, row.factor),
    }
}

/// `41000, was 59274: -18274 (-20100 to -16448), p = 0.004`
fn moved(row: &RowNight, format: ScoreFormat) -> String {
    let score = |score: Option<f64>| score.map_or_else(dash, |score| format.score(score));
    format!(
        "{}, was {}: {}, p {}",
        score(row.score),
        score(row.before),
        difference(row, format),
        p(row).map_or_else(dash, |p| if p.starts_with('<') { p } else { format!("= {p}") }),
    )
}

fn left(sweeps: &[SweepNight]) -> Vec<String> {
    let line = |sweep: &SweepNight| match sweep.state {
        State::Complete => None,
        State::NotBegun => Some(format!("{}: its turn did not come", sweep.sweep)),
        State::Unfinished => Some(match sweep.runs - sweep.finished - sweep.failed {
            0 => format!("{}: what its results decide", sweep.sweep),
            left => format!("{}: {left} of {} runs", sweep.sweep, sweep.runs),
        }),
    };
    sweeps.iter().filter_map(line).collect()
}

/// What could not be seen, so that nobody takes silence for health.
fn blind(sweeps: &[SweepNight]) -> Option<String> {
    let rows = sweeps.iter().flat_map(|sweep| &sweep.rows);
    match rows.filter(|row| row.outcome == RowOutcome::TooFewSeeds).count() {
        0 => None,
        rows => Some(format!(
            "In {rows} {} no regression could have been seen, however large: too few seeds. The verdicts \
             say how many it takes.",
            if rows == 1 { "row" } else { "rows" }
        )),
    }
}

fn section(sweep: &SweepNight, format: ScoreFormat, blocks: &mut Vec<Block>) {
    let failed = match sweep.failed {
        0 => String::new(),
        failed => format!(", {failed} did not"),
    };
    let carried = match sweep.carried {
        0 => String::new(),
        carried => format!("; {carried} of them are from an earlier night"),
    };
    let compared = match &sweep.compared_with {
        Some(night) => format!("compared with the night of {night}"),
        None => "nothing to compare with yet".to_owned(),
    };
    blocks.push(Block::Section(sweep.sweep.clone()));
    blocks.push(Block::Paragraph(format!(
        "{} of {} runs finished{failed}{carried}; {compared}. Its own report: {}/report.md.",
        sweep.finished, sweep.runs, sweep.sweep
    )));
    if let Some(night) = &sweep.compared_with {
        match sweep.changed.as_slice() {
            [] => blocks
                .push(Block::Paragraph("Nothing that is known of has changed since.".to_owned())),
            changed => {
                blocks.push(Block::Paragraph(format!("Changed since {night}:")));
                blocks.push(Block::Table(changes(changed)));
            }
        }
    }
    blocks.push(Block::Table(table(sweep, format)));
}

fn table(sweep: &SweepNight, format: ScoreFormat) -> Vec<Column> {
    let score = |score: Option<f64>| score.map_or_else(dash, |score| format.score(score));
    let rows: Vec<[String; 8]> = sweep
        .rows
        .iter()
        .map(|row| {
            let lost = match row.lost {
                0 => String::new(),
                lost => format!("; {lost} of {} lost", row.seeds),
            };
            let mark = if row.regression { "regression: " } else { "" };
            [
                row.factor.clone(),
                level_cell(&row.level, row.baseline),
                score(row.before),
                score(row.score),
                difference(row, format),
                p(row).unwrap_or_else(dash),
                format!("{mark}{}{lost}", row.words),
                match row.finished == row.seeds {
                    true => row.seeds.to_string(),
                    false => format!("{} of {}", row.finished, row.seeds),
                },
            ]
        })
        .collect();
    columns(
        [
            ("factor", false),
            ("level", false),
            ("before", true),
            ("now", true),
            ("difference", true),
            ("p", true),
            ("verdict", false),
            ("seeds", true),
        ],
        &rows,
    )
}

fn difference(row: &RowNight, format: ScoreFormat) -> String {
    match (row.difference, row.interval) {
        (None, _) => dash(),
        (Some(difference), None) => format.signed(difference),
        (Some(difference), Some((low, high))) => format!(
            "{} ({} to {})",
            format.signed(difference),
            format.signed(low),
            format.signed(high)
        ),
    }
}

fn p(row: &RowNight) -> Option<String> {
    row.p.map(|p| if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") })
}

fn dash() -> String {
    "-".to_owned()
}

fn changes(changed: &[Change]) -> Vec<Column> {
    let cell = |value: &Option<String>| value.clone().unwrap_or_else(dash);
    let rows: Vec<[String; 3]> =
        changed.iter().map(|one| [one.what.clone(), cell(&one.before), cell(&one.now)]).collect();
    columns([("what", false), ("before", false), ("now", false)], &rows)
}

fn inline(changed: &[Change]) -> String {
    let word = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
    let each = changed
        .iter()
        .map(|one| format!("{} ({} -> {})", one.what, word(&one.before), word(&one.now)));
    each.collect::<Vec<_>>().join(", ")
}

fn toolchain(summary: &Summary) -> Vec<Column> {
    let ran = &summary.toolchain;
    let build = |build: &Build| format!("{} ({})", build.version, short(&build.hash));
    let mut rows: Vec<[String; 2]> = Vec::new();
    let mut add = |what: &str, value: Option<String>| {
        rows.extend(value.map(|value| [what.to_owned(), value]));
    };
    add("source", ran.source.clone());
    add("sweep", Some(build(&ran.sweep)));
    add("worker", ran.worker.as_ref().map(build));
    add("libtorch", ran.libtorch.clone());
    add("driver", ran.driver.clone());
    for (gpu, name) in ran.gpus.iter().enumerate() {
        add(&format!("GPU {gpu}"), Some(name.clone()));
    }
    add("processor", ran.processor.clone());
    add("kernel", ran.kernel.clone());
    columns([("what", false), ("version", false)], &rows)
}
