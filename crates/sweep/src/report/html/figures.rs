//! The plots of a sweep: what they show, and in which words.

mod courses;

use spec::record::Plan;
use stats::verdict::Verdict;

use super::details::Details;
use crate::report::markdown::baseline_word;
use crate::report::plots::{Forest, Kind, Mark, Plot, Stop, file_name, forest, path};
use crate::report::{FactorImportance, Row, ScoreFormat, Table};
use courses::courses;

/// All plots of a sweep.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) path: Option<Plot>,
    pub(super) factors: Vec<Factor>,
    pub(super) importance: Option<Plot>,
    pub(super) courses: Vec<Courses>,
}

/// The levels of a factor beside each other.
#[derive(Debug)]
pub(super) struct Factor {
    pub(super) name: String,
    pub(super) scores: Plot,
    /// What was scored elsewhere, where anything was.
    pub(super) external: Option<Plot>,
    pub(super) differences: Option<Plot>,
}

/// How the runs of a row went.
#[derive(Debug)]
pub(super) struct Courses {
    pub(super) row: String,
    pub(super) plots: Vec<Plot>,
    /// When and why training ended.
    pub(super) ends: String,
}

impl Figures {
    pub(super) fn all(&self) -> impl Iterator<Item = &Plot> {
        let factors = self.factors.iter();
        let factors = factors.flat_map(|factor| {
            [factor.external.as_ref(), Some(&factor.scores), factor.differences.as_ref()]
        });
        let courses = self.courses.iter().flat_map(|courses| &courses.plots);
        let once = [self.path.as_ref(), self.importance.as_ref()].into_iter();
        once.chain(factors).flatten().chain(courses)
    }

    pub(super) fn of(
        (plan, table): (&Plan, &Table),
        details: &Details,
        format: ScoreFormat,
    ) -> Self {
        Self {
            path: way(plan, table),
            factors: groups(table)
                .iter()
                .filter_map(|group| factor((plan, table), group, details, format))
                .collect(),
            importance: importances(table, format),
            courses: courses(table, details, format),
        }
    }
}

/// The numbers of the rows of each factor, in a chain of each stage.
pub(super) fn groups(table: &Table) -> Vec<Vec<usize>> {
    let rows: Vec<usize> = (0..table.rows.len()).filter(|at| !table.rows[*at].cell).collect();
    let together = |one: &usize, next: &usize| {
        let of = |at: &usize| (table.rows[*at].stage, &table.rows[*at].factor);
        of(one) == of(next)
    };
    rows.chunk_by(together).map(<[usize]>::to_vec).collect()
}

/// A row in a few words.
pub(super) fn row_name(row: &Row) -> String {
    match row.level.as_str() {
        "" => row.factor.clone(),
        _ => format!("{} = {}", row.factor, row.shown()),
    }
}

fn factor(
    (plan, table): (&Plan, &Table),
    group: &[usize],
    details: &Details,
    format: ScoreFormat,
) -> Option<Factor> {
    let rows = || group.iter().filter(|at| details.rows[**at].is_some()).map(|at| &table.rows[*at]);
    let marks = rows().filter_map(|row| {
        let measured = row.measured()?;
        let judged = row.judged.score.as_ref();
        Some(Mark {
            name: level_name(row),
            said: format.score(judged.map_or(measured.mean, |score| score.mean)),
            value: measured.mean,
            interval: judged.and_then(|score| score.interval),
            kind: kind(row),
        })
    });
    let marks: Vec<Mark> = marks.collect();
    let first = rows().next()?;
    let stage = first.stage.map(|stage| format!("stage{}", stage + 1)).unwrap_or_default();
    let name = |what: &str| file_name(&[&table.sweep, &stage, &first.factor, what]);
    let baseline = rows().find(|row| row.baseline).and_then(Row::measured);
    let scores = (!marks.is_empty()).then(|| {
        forest(&Forest {
            name: name("scores"),
            label: said_of(&format!("Scores of {} with 95 % intervals", first.factor), &marks),
            marks,
            reference: baseline.map(|baseline| baseline.mean),
            margin: None,
            tick: &|value| format.score(value),
        })
    })?;
    let marks: Vec<Mark> = rows().filter_map(|row| elsewhere(row, format)).collect();
    let external = (!marks.is_empty()).then(|| {
        forest(&Forest {
            name: name("external"),
            label: said_of(
                &format!("Scores of {} from elsewhere with 95 % intervals", first.factor),
                &marks,
            ),
            marks,
            reference: rows()
                .find(|row| row.baseline)
                .and_then(|row| Some(row.external.as_ref()?.mean)),
            margin: None,
            tick: &|value| format.score(value),
        })
    });
    let marks: Vec<Mark> = rows().filter_map(|row| difference(row, format)).collect();
    let differences = (!marks.is_empty()).then(|| {
        forest(&Forest {
            name: name("differences"),
            label: said_of(
                &format!(
                    "Differences of {} to the {} with 95 % intervals",
                    first.factor,
                    baseline_word(table)
                ),
                &marks,
            ),
            marks,
            reference: Some(0.0),
            margin: plan.margin,
            tick: &|value| format.signed(value),
        })
    });
    Some(Factor { name: first.factor.clone(), scores, external, differences })
}

/// What a row scored elsewhere; of that nothing is shown to be better or worse.
fn elsewhere(row: &Row, format: ScoreFormat) -> Option<Mark> {
    let score = row.external.as_ref()?;
    Some(Mark {
        name: level_name(row),
        said: format.score(score.mean),
        value: score.mean,
        interval: score.interval,
        kind: if row.baseline { Kind::Baseline } else { Kind::Plain },
    })
}

fn difference(row: &Row, format: ScoreFormat) -> Option<Mark> {
    let comparison = row.judged.comparison.as_ref()?;
    let word = match comparison.verdict {
        Verdict::Better(_) => "better",
        Verdict::Worse(_) => "worse",
        Verdict::Equivalent { .. } => "equivalent",
        Verdict::NoEvidence { .. } => "no evidence",
        Verdict::TooFewSeeds { .. } => "too few seeds",
        Verdict::Alike => "changes nothing",
    };
    let difference = &comparison.difference;
    let lost = row.lost().map(|lost| format!("; {lost}")).unwrap_or_default();
    Some(Mark {
        name: level_name(row),
        said: format!("{} · {word}{lost}", format.signed(difference.estimate)),
        value: difference.estimate,
        interval: difference.interval,
        kind: kind(row),
    })
}

fn level_name(row: &Row) -> String {
    match row.level.as_str() {
        "" => row.factor.clone(),
        _ => row.shown(),
    }
}

pub(super) fn kind(row: &Row) -> Kind {
    match row.judged.comparison.as_ref().map(|comparison| comparison.verdict) {
        _ if row.baseline => Kind::Baseline,
        Some(Verdict::Better(_)) => Kind::Better,
        Some(Verdict::Worse(_)) => Kind::Worse,
        _ => Kind::Plain,
    }
}

/// The numbers of a plot for who cannot see it.
fn said_of(what: &str, marks: &[Mark]) -> String {
    let marks: Vec<String> =
        marks.iter().map(|mark| format!("{}: {}", mark.name, mark.said)).collect();
    format!("{what}. {}.", marks.join("; "))
}

/// How much each factor matters.
fn importances(table: &Table, format: ScoreFormat) -> Option<Plot> {
    let mark = |of: &FactorImportance| Mark {
        name: match of.stage {
            Some(stage) => format!("{}. {}", stage + 1, of.factor),
            None => of.factor.clone(),
        },
        said: format!(
            "{} · {:.0} % of the variance",
            format.difference(of.importance.effect),
            100.0 * of.importance.share
        ),
        value: of.importance.effect,
        interval: Some(of.importance.effect_interval),
        kind: Kind::Plain,
    };
    let mut marks: Vec<Mark> = table.importance.iter().map(mark).collect();
    marks.sort_by(|one, other| other.value.total_cmp(&one.value));
    (!marks.is_empty()).then(|| {
        forest(&Forest {
            name: file_name(&[&table.sweep, "importance"]),
            label: said_of("How far the levels of each factor lie apart", &marks),
            marks,
            reference: Some(0.0),
            margin: None,
            tick: &|value| format.difference(value),
        })
    })
}

/// The chain's way.
fn way(plan: &Plan, table: &Table) -> Option<Plot> {
    let stops = plan.stages.iter().enumerate().map(|(number, stage)| {
        let levels: Vec<String> = table
            .rows
            .iter()
            .filter(|row| row.stage == Some(number) && !row.cell)
            .map(|row| row.level.clone())
            .collect();
        let chosen = stage.choice.as_ref();
        let chosen =
            chosen.and_then(|choice| levels.iter().position(|level| *level == choice.level));
        Stop { factor: format!("{}. {}", number + 1, stage.factor), levels, chosen }
    });
    let stops: Vec<Stop> = stops.collect();
    let words = plan.stages.iter().map(|stage| match &stage.choice {
        Some(choice) => format!("{}: {}", stage.factor, choice.level),
        None => format!("{}: open", stage.factor),
    });
    let label = format!("The way the chain took. {}.", words.collect::<Vec<_>>().join("; "));
    let name = file_name(&[&table.sweep, "path"]);
    (!stops.is_empty()).then(|| path(name, label, &stops))
}
