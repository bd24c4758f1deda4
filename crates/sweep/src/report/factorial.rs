//! Whether factors act on each other, where the sweep has runs that tell.

use serde::Serialize;
use spec::record::Plan;
use spec::sweep::{Setting, Strategy};
use stats::compare::Comparison;
use stats::interaction::interactions as of_levels;
use stats::level::Level;

use super::Row;
use super::judge::{Known, Rules};

/// By how much the effect of one level changes when another is set too.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Interaction {
    /// The one.
    pub row: Setting,
    /// The other.
    pub column: Setting,
    /// The contrast; p-values are adjusted over all interactions of the sweep.
    pub comparison: Comparison,
}

/// The interactions of all pairs of factors that have them. The other factors are as in the baseline.
pub(super) fn interactions(
    plan: &Plan,
    rows: &[Row],
    knowns: &[Option<Known>],
    rules: &Rules,
) -> Vec<Interaction> {
    let changes: Vec<Vec<&Setting>> = rows.iter().map(|row| changes(rows, row)).collect();
    let known = |wanted: &[&Setting]| -> Option<&Level> {
        let is_wanted = |change: &&Vec<&Setting>| {
            change.len() == wanted.len() && wanted.iter().all(|setting| change.contains(setting))
        };
        let at = changes.iter().position(|change| is_wanted(&change))?;
        Some(&knowns[at].as_ref()?.level)
    };
    let levels = |factor: &str| -> Vec<&Setting> {
        let mut levels = Vec::new();
        for change in &changes {
            if let [setting] = change.as_slice()
                && setting.factor == factor
                && !levels.contains(setting)
            {
                levels.push(*setting);
            }
        }
        levels
    };
    let mut tables = Vec::new();
    for [one, other] in pairs(plan) {
        let (own, across) = (levels(&one), levels(&other));
        let line = |first: Option<&Setting>| -> Option<Vec<&Level>> {
            let columns = std::iter::once(None).chain(across.iter().map(|setting| Some(*setting)));
            columns
                .map(|column| known(&[first, column].into_iter().flatten().collect::<Vec<_>>()))
                .collect()
        };
        let lines = std::iter::once(None).chain(own.iter().map(|setting| Some(*setting)));
        // Where a run is missing or failed there is nothing to say.
        if let Some(table) = lines.map(line).collect::<Option<Vec<_>>>() {
            tables.push((own, across, table));
        }
    }
    // All of them are one family.
    let family = tables.iter().map(|(own, across, _)| own.len() * across.len()).sum();
    let mut found = Vec::new();
    for (own, across, table) in tables {
        let Ok(judged) = of_levels(&table, &rules.settings(family)) else { continue };
        found.extend(judged.into_iter().map(|judged| Interaction {
            row: own[judged.row - 1].clone(),
            column: across[judged.column - 1].clone(),
            comparison: judged.comparison,
        }));
    }
    found
}

/// The pairs of factors to look at: those that are asked for, and all of a grid.
fn pairs(plan: &Plan) -> Vec<[String; 2]> {
    let factors: Vec<&String> = match (plan.strategy, plan.rows.first()) {
        (Strategy::Grid, Some(row)) => row.settings.iter().map(|setting| &setting.factor).collect(),
        _ => return plan.interactions.clone(),
    };
    let with_later = |at: usize| {
        let (one, factors) = (factors[at], &factors);
        factors[at + 1..].iter().map(move |other| [one.clone(), (*other).clone()])
    };
    (0..factors.len()).flat_map(with_later).collect()
}

/// What a row changes of the baseline; none of the baseline itself.
fn changes<'a>(rows: &'a [Row], row: &'a Row) -> Vec<&'a Setting> {
    if row.baseline {
        return Vec::new();
    }
    let of_baseline = |setting: &&Setting| {
        let mut baselines = rows.iter().filter(|row| row.baseline);
        baselines.any(|baseline| baseline.settings.contains(setting))
    };
    row.settings.iter().filter(|setting| !of_baseline(setting)).collect()
}
