//! How much each factor matters, over the levels that it has here.

use std::collections::HashMap;

use serde::Serialize;
use spec::sweep::{Setting, Strategy};
use stats::importance::{Importance, importance};

use super::judge::CONFIDENCE;
use super::{Entry, Row};

/// How much a factor matters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FactorImportance {
    /// The stage of a chain; absent for other strategies.
    pub stage: Option<usize>,
    /// The factor.
    pub factor: String,
    /// Its levels beside each other, under the seeds that all of them have.
    pub importance: Importance,
}

/// The importance of every factor that can be told. A random search has too many levels for it.
pub(super) fn importances(
    strategy: Strategy,
    rows: &[Row],
    entries: &[Entry],
) -> Vec<FactorImportance> {
    if matches!(strategy, Strategy::Random { .. }) || rows.iter().any(|row| row.stand_in) {
        return Vec::new();
    }
    let mut settings: Vec<(Option<usize>, &Setting)> = Vec::new();
    for row in rows.iter().filter(|row| !row.cell) {
        for setting in &row.settings {
            if !settings.contains(&(row.stage, setting)) {
                settings.push((row.stage, setting));
            }
        }
    }
    let factors = settings.chunk_by(|(stage, one), (other_stage, other)| {
        stage == other_stage && one.factor == other.factor
    });
    // Of a grid the levels of a factor do not stand beside each other.
    let mut groups: Vec<Vec<(Option<usize>, &Setting)>> = Vec::new();
    for (stage, setting) in factors.flatten() {
        let is_same = |group: &&mut Vec<(Option<usize>, &Setting)>| {
            group.first().is_some_and(|(of, first)| of == stage && first.factor == setting.factor)
        };
        match groups.iter_mut().find(is_same) {
            Some(group) => group.push((*stage, setting)),
            None => groups.push(vec![(*stage, setting)]),
        }
    }
    groups.iter().filter_map(|group| of_levels(group, rows, entries)).collect()
}

fn of_levels(
    levels: &[(Option<usize>, &Setting)],
    rows: &[Row],
    entries: &[Entry],
) -> Option<FactorImportance> {
    let (stage, first) = levels.first()?;
    // For each level the rows that have it: of a grid several.
    let of_level = |setting: &Setting| -> Vec<u32> {
        let has = |row: &Row| !row.cell && row.stage == *stage && row.settings.contains(setting);
        (0..).zip(rows).filter(|(_, row)| has(row)).map(|(number, _)| number).collect()
    };
    let numbers: Vec<Vec<u32>> = levels.iter().map(|(_, setting)| of_level(setting)).collect();
    let all = || numbers.iter().flatten();
    let measured: HashMap<(u32, u64), f64> = entries
        .iter()
        .filter_map(|entry| Some(((entry.row, entry.seed), entry.measured()?)))
        .collect();
    let score = |row: u32, seed: u64| measured.get(&(row, seed)).copied();
    let baseline = all().next()?;
    let seeds = entries.iter().filter(|entry| entry.row == *baseline).map(|entry| entry.seed);
    let seeds: Vec<u64> =
        seeds.filter(|seed| all().all(|row| score(*row, *seed).is_some())).collect();
    let mean = |rows: &[u32], seed: u64| -> Option<f64> {
        let sum: Option<f64> = rows.iter().map(|row| score(*row, seed)).sum();
        Some(sum? / rows.len() as f64)
    };
    let scores: Option<Vec<Vec<f64>>> =
        numbers.iter().map(|rows| seeds.iter().map(|seed| mean(rows, *seed)).collect()).collect();
    Some(FactorImportance {
        stage: *stage,
        factor: first.factor.clone(),
        importance: importance(&scores?, CONFIDENCE)?,
    })
}
