//! What a strategy adds to the report: the path of a chain, interactions, importance, the best of many.

use std::fmt::Write as _;

use spec::record::{Amended, Amendment, PlanChoice, PlanStage, Stopped, Why};
use spec::sweep::{ChooseBy, Replicates, Setting, Strategy, Switch};
use stats::interval::Interval;

use super::super::document::Block;
use super::super::grid::Column;
use super::super::{Basis, Path, ScoreFormat, Table};
use super::columns::{dash, p_value, signed_interval};

/// Why a row has no more seeds.
pub(super) fn stopped(stopped: Option<Stopped>) -> &'static str {
    match stopped {
        Some(Stopped::Decided) => "decided",
        Some(Stopped::AtMost) => "the most it may have",
        Some(Stopped::MoreImages) => "more seeds would not help",
        Some(Stopped::NotComparable) => "not comparable",
        None => "-",
    }
}

/// What must not be missed before the table.
pub(super) fn warning(table: &Table) -> Option<String> {
    let path = table.path.as_ref()?;
    let words = if path.choose_by == ChooseBy::Test {
        "levels were chosen on the test images, as `choose_by = \"test\"` says. What \
         was taken looks better on them than it is, and no score here is of images that had no part in \
         the choice."
    } else if !path.came_to.is_empty() && shows_what_it_was_chosen_by(path, table) {
        "levels were chosen by the scores that stand here. What was taken looks better by them than it is; \
         how good it is only images can say that had no part in the choice."
    } else {
        return None;
    };
    Some(words.to_owned())
}

/// Whether p-values are of comparisons that were set before anybody saw the results, on images that had no part in
/// any choice: only then is one false claim in twenty tables the most.
pub(super) fn promise_holds(table: &Table) -> bool {
    let chosen_by =
        table.path.as_ref().is_some_and(|path| shows_what_it_was_chosen_by(path, table));
    table.amendments.is_empty() && !chosen_by
}

/// That the plan was changed when results were there.
pub(super) fn amended(table: &Table, format: ScoreFormat) -> Option<String> {
    let told: Vec<String> = table
        .amendments
        .iter()
        .map(|Amendment { at, results, changes }| {
            let day = at.split('T').next().unwrap_or(at);
            let changes: Vec<String> = changes.iter().map(|change| words(change, format)).collect();
            format!("on {day}, when {results} runs had results, {}", changes.join(" and "))
        })
        .collect();
    if told.is_empty() {
        return None;
    }
    Some(format!(
        "The plan was changed after results existed: {}. If they had been looked at, p is too small: one look \
         before doubling the seeds makes 5 % of false claims about 8 %, and rows that are added or left out for \
         their results are not what Holm's correction counts (docs/statistics.md). `replicates = {{ min, max, until = \
         \"decided\" }}` is made for looking.",
        told.join("; "),
    ))
}

/// `8 seeds in place of 2`
fn words(change: &Amended, format: ScoreFormat) -> String {
    let seeds = |replicates: &Replicates| match replicates {
        Replicates::Fixed { seeds } => format!("{seeds}"),
        Replicates::UntilDecided { min, max } => format!("{min} to {max} until decided"),
    };
    let margin = |margin: &Option<f64>| match margin {
        Some(margin) => format!("{}{}", format.difference(*margin), format.unit()),
        None => "none".to_owned(),
    };
    match change {
        Amended::Seeds { before, now } => {
            format!("{} seeds in place of {}", seeds(now), seeds(before))
        }
        Amended::Comparisons { before, now } => {
            format!("{now} rows to compare in place of {before}")
        }
        Amended::Rows { others: 1 } => "1 row in place of another".to_owned(),
        Amended::Rows { others } => format!("{others} rows in place of others"),
        Amended::Margin { before, now } => {
            format!("a margin of {} in place of {}", margin(now), margin(before))
        }
    }
}

/// Whether the scores of the table had a part in the choice of levels.
fn shows_what_it_was_chosen_by(path: &Path, table: &Table) -> bool {
    path.choose_by == ChooseBy::Test || table.basis != Some(Basis::Test)
}

/// What stands after the table.
pub(super) fn blocks(table: &Table, format: ScoreFormat) -> Vec<Block> {
    let mut blocks = Vec::new();
    if let Some(path) = &table.path {
        let some_lost = table.rows.iter().any(|row| !row.baseline && row.lost().is_some());
        blocks.push(Block::Paragraph(lead(path, some_lost)));
        blocks.push(Block::Drawing(drawn(path, format)));
        let chosen_by = shows_what_it_was_chosen_by(path, table);
        blocks.extend(end(path, chosen_by, format).map(Block::Paragraph));
    }
    let lines = [best(table, format), margin(table, format), replicates(table)];
    blocks.extend(lines.into_iter().flatten().map(Block::Paragraph));
    blocks.extend(interactions(table, format));
    blocks.extend(importances(table, format));
    blocks
}

fn margin(table: &Table, format: ScoreFormat) -> Option<String> {
    let margin = table.margin?;
    Some(format!(
        "\"Equivalent\" is a difference that was shown to be smaller than the margin, {}{} either way, which \
         the sweep sets.",
        format.difference(margin),
        format.unit(),
    ))
}

fn replicates(table: &Table) -> Option<String> {
    let Replicates::UntilDecided { min, max } = table.replicates else { return None };
    Some(format!(
        "Seeds were added where a verdict was open, from {min} up to {max}, after looks at the results. \
         P-values and verdicts hold however often one looks (a sequential rule that bets on the signs of \
         differences, docs/statistics.md), and so p is larger than that of as many seeds set beforehand. \
         Intervals do not allow for the looks: those of rows that stopped early lie somewhat too far \
         from 0. A score is the mean over all seeds of its row, a difference that over the seeds which the \
         baseline has too."
    ))
}

/// How a chain went about it.
fn lead(path: &Path, some_lost: bool) -> String {
    let mut choices = path.stages.iter().filter_map(|stage| stage.choice.as_ref());
    let score = match (path.choose_by, choices.any(|choice| choice.folds)) {
        (ChooseBy::Test, _) => "score on the test images",
        (ChooseBy::Validation, true) => "cross-validation score, which no test image has a part in",
        (ChooseBy::Validation, false) => "validation score, which no test image has a part in",
    };
    let rule = match path.switch {
        Switch::Evidence => "the incumbent stays unless a level is shown to be better",
        Switch::Best => "the highest mean is taken, whatever chance has to do with it",
    };
    let lost = match some_lost {
        true => {
            " A level of which runs diverged or failed is not taken, however well it does where it finishes."
        }
        false => "",
    };
    format!("The path taken. Levels are chosen by {score}; {rule}.{lost}")
}

/// The way of a chain, from top to bottom.
fn drawn(path: &Path, format: ScoreFormat) -> String {
    let mut text = "baseline\n".to_owned();
    let factors = path.stages.iter().map(|stage| &stage.factor).chain(&path.to_come);
    let width = factors.map(|factor| factor.chars().count()).max().unwrap_or(0);
    for stage in &path.stages {
        let _ = writeln!(text, "  |\n{}", step(stage, width, format));
    }
    for factor in &path.to_come {
        let _ = writeln!(text, "  |\n  .   {factor:<width$}  to come");
    }
    let setting = |Setting { factor, level }: &Setting| format!("{factor} = {level}");
    let end = match path.came_to.as_slice() {
        [] => "baseline".to_owned(),
        settings => settings.iter().map(setting).collect::<Vec<_>>().join(", "),
    };
    let _ = write!(text, "  |\n  v\n{end}");
    text
}

/// The end of the path beside its beginning. Where the scores had a part in the choice neither interval nor
/// p holds.
fn end(path: &Path, chosen_by: bool, format: ScoreFormat) -> Option<String> {
    let end = path.end.as_ref()?;
    let difference = &end.difference;
    if chosen_by {
        return Some(format!(
            "The end of the path beside its beginning: {}, by the scores that it was chosen by, and so \
             likely too much.",
            format.signed(difference.estimate),
        ));
    }
    let p = end.p.map(|p| format!(", p {}", compared(p))).unwrap_or_default();
    Some(format!(
        "The end of the path beside its beginning, one comparison by itself: {}{p}.",
        signed_interval(difference.estimate, difference.interval, format),
    ))
}

fn step(stage: &PlanStage, width: usize, format: ScoreFormat) -> String {
    let factor = &stage.factor;
    let Some(PlanChoice { level, stays, why, .. }) = &stage.choice else {
        return format!("  .   {factor:<width$}  under way");
    };
    let mark = if *stays { "|  " } else { "+->" };
    let verb = if *stays { "stays" } else { "is taken" };
    format!("  {mark} {factor:<width$}  {level} {verb}: {}", reason(why, format))
}

fn reason(why: &Why, format: ScoreFormat) -> String {
    let signed = |difference: f64| format.signed(difference);
    match why {
        Why::Better { difference, p } => {
            format!("{}, shown to be better (p {})", signed(*difference), compared(*p))
        }
        Why::Best { difference } => format!("{}, the highest mean", signed(*difference)),
        Why::NoEvidence { nearest, difference, p } => {
            let p = p.map_or_else(
                || "too few seeds to tell".to_owned(),
                |p| format!("p {}", compared(p)),
            );
            format!("no evidence for another; nearest {nearest}, {} ({p})", signed(*difference))
        }
        Why::IncumbentBest => "no level has a higher mean".to_owned(),
        Why::NothingToCompare => "no level could be compared with it".to_owned(),
    }
}

/// `= 0.012`, `< 0.001`
fn compared(p: f64) -> String {
    match p_value(p) {
        small if small.starts_with('<') => small,
        p => format!("= {p}"),
    }
}

fn best(table: &Table, format: ScoreFormat) -> Option<String> {
    if !matches!(table.strategy, Strategy::Grid | Strategy::Random { .. }) {
        return None;
    }
    let Some(best) = &table.best else {
        let finished = table.rows.iter().all(|row| row.unfinished.is_empty());
        return finished.then(|| {
            "Nothing is called best here: there are no validation images to choose by, and choosing on the \
             test images would make the chosen look better than it is."
                .to_owned()
        });
    };
    let row = &table.rows[best.row];
    let mut text = format!(
        "Best by validation accuracy, of {}: {} = {}, {}",
        best.of,
        row.factor,
        row.level,
        format.score(best.validation),
    );
    match best.optimism {
        Some(optimism) => {
            let _ = write!(
                text,
                ". About {}{} of that are owed to its being the best of {}",
                format.difference(optimism),
                format.unit(),
                best.of,
            );
        }
        None => {
            text.push_str(", which is too high by what it owes to its being the best of so many")
        }
    }
    if let (Some(Basis::Test), Some(score)) = (row.basis, &row.score) {
        let _ = write!(
            text,
            "; on the test images, which had no part in the choice, it scores {}",
            format.score(score.mean)
        );
    }
    text.push('.');
    Some(text)
}

fn interactions(table: &Table, format: ScoreFormat) -> Vec<Block> {
    if table.interactions.is_empty() {
        return blindness(table).map(Block::Paragraph).into_iter().collect();
    }
    let column = |heading: &str, right, cell: &dyn Fn(usize) -> String| Column {
        heading: heading.to_owned(),
        right,
        cells: (0..table.interactions.len()).map(cell).collect(),
    };
    let of = |at: usize| &table.interactions[at];
    let shown = |setting: &Setting| format!("{} = {}", setting.factor, setting.level);
    let columns = [
        column("with", false, &|at| shown(&of(at).row)),
        column("and", false, &|at| shown(&of(at).column)),
        column("interaction", true, &|at| {
            let difference = &of(at).comparison.difference;
            signed_interval(difference.estimate, difference.interval, format)
        }),
        column("p", true, &|at| of(at).comparison.p.map_or_else(dash, p_value)),
        column("verdict", false, &|at| {
            of(at)
                .comparison
                .verdict
                .to_string()
                .replacen("better (", "more than their sum (", 1)
                .replacen("worse (", "less than their sum (", 1)
        }),
    ];
    let words = "Interactions: by how much the effect of the one changes when the other is set too; 0 where the two \
         add up. Intervals are 95 %, and p is Holm's over the interactions.";
    vec![Block::Paragraph(words.to_owned()), Block::Table(columns.to_vec())]
}

/// What one factor at a time cannot see.
fn blindness(table: &Table) -> Option<String> {
    let mut factors: Vec<&str> = table.rows.iter().map(|row| row.factor.as_str()).collect();
    factors.dedup();
    let text = match table.strategy {
        Strategy::Ofat if factors.len() > 1 => {
            "One factor was changed at a time: whether some act on each other, as batch size and learning \
             rate may, cannot be seen here. `interactions = [[\"batch_size\", \"learning_rate\"]]` adds the \
             runs that tell."
        }
        Strategy::Chain { .. } if factors.len() > 1 => {
            "Each factor was changed on what the ones before had come to: whether some act on each other, \
             and whether another order would have come to something else, cannot be seen here."
        }
        _ => return None,
    };
    Some(text.to_owned())
}

fn importances(table: &Table, format: ScoreFormat) -> Vec<Block> {
    // Of a single factor the table says it all.
    if table.importance.len() < 2 {
        return Vec::new();
    }
    let column = |heading: &str, right, cell: &dyn Fn(usize) -> String| Column {
        heading: heading.to_owned(),
        right,
        cells: (0..table.importance.len()).map(cell).collect(),
    };
    let of = |at: usize| &table.importance[at].importance;
    // Levels that lie closer together than seeds alone would let them: no interval holds that.
    let interval = |at: usize, shown: &dyn Fn() -> String| match of(at).effect_interval.high > 0.0 {
        true => shown(),
        false => dash(),
    };
    let percent = |share: f64| format!("{:.0} %", 100.0 * share);
    let columns = [
        column("factor", false, &|at| table.importance[at].factor.clone()),
        column("effect", true, &|at| format.difference(of(at).effect)),
        column("95 % interval", true, &|at| {
            let Interval { low, high } = of(at).effect_interval;
            interval(at, &|| format!("{} - {}", format.difference(low), format.difference(high)))
        }),
        column("share of variance", true, &|at| percent(of(at).share)),
        column("95 % interval", true, &|at| {
            let Interval { low, high } = of(at).share_interval;
            interval(at, &|| format!("{} - {}", percent(low), percent(high)))
        }),
    ];
    let words = "How much each factor matters, over the levels it has here and on these images: how far its levels \
         typically lie from their mean, and their share of the variance between runs. What seeds alone \
         would give is taken off.";
    vec![Block::Paragraph(words.to_owned()), Block::Table(columns.to_vec())]
}
