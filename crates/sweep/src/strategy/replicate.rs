//! How many seeds each row of a table has.
//!
//! Where results decide, they do it in rounds: every row has `min` seeds; then each whose verdict is open
//! gets more, and the baseline with it, until none is. The rule may look as often as it likes
//! ([`stats::sequential`]). A round is a function of the results of those before, so that a sweep that
//! was stopped goes the same way again.

use spec::record::{self, PlanRow, PlanRun, Stopped};
use spec::sweep::{Replicates, Row};
use stats::compare::{Next, next};

use super::evidence::{Evidence, On};
use super::{Runs, StrategyError};
use crate::report::{Known, Rules, compare};

/// A table as far as results reach.
pub(super) struct Table {
    pub(super) rows: Vec<PlanRow>,
    /// Whether all runs have ended that it will have.
    pub(super) is_complete: bool,
}

/// The table of `rows`, of which one or more are the baseline.
pub(super) fn table<E>(
    rows: Vec<Row>,
    stage: Option<usize>,
    (rules, on): (&Rules, On),
    runs: &mut Runs<'_, E>,
    evidence: &mut Evidence<'_>,
) -> Result<Table, StrategyError<E>> {
    let (min, max) = rules.replicates.range();
    let mut seeds = vec![min; rows.len()];
    let mut stopped: Vec<Option<Stopped>> = vec![None; rows.len()];
    let planned = loop {
        let planned: Vec<Vec<PlanRun>> = rows
            .iter()
            .zip(&seeds)
            .map(|(row, seeds)| runs.of(&row.config, *seeds))
            .collect::<Result<_, _>>()?;
        let have_ended = evidence.have_ended(planned.iter().flatten())?;
        if !have_ended || matches!(rules.replicates, Replicates::Fixed { .. }) {
            break (planned, have_ended);
        }
        decide(&rows, &planned, (rules, on), evidence, &mut stopped);
        let mut is_done = true;
        for (at, row) in rows.iter().enumerate() {
            if !row.baseline && !row.cell && stopped[at].is_none() {
                seeds[at] = more(seeds[at]).min(max);
                is_done = false;
            }
        }
        let most = (0..rows.len()).filter(|at| !rows[*at].cell).map(|at| seeds[at]).max();
        let most = most.unwrap_or(min);
        for (at, row) in rows.iter().enumerate() {
            if row.baseline {
                seeds[at] = most;
            }
        }
        let cells = cell_seeds(&rows, &seeds);
        // When the levels are done, their cells follow.
        if is_done {
            is_done = cells == seeds;
            seeds = cells;
        }
        if is_done {
            break (planned, true);
        }
    };
    let (planned, is_complete) = planned;
    let baseline = rows.iter().find(|row| row.baseline).map(|row| row.config.clone());
    let rows = rows.into_iter().zip(planned).zip(stopped).map(|((row, runs), stopped)| PlanRow {
        stage,
        changes: baseline.as_ref().map_or_else(Vec::new, |of| record::changes(of, &row.config)),
        settings: row.settings,
        baseline: row.baseline,
        cell: row.cell,
        runs,
        stopped,
    });
    Ok(Table { rows: rows.collect(), is_complete })
}

/// How many seeds a row has that needs more: a quarter more, for the fewer rounds the better slots are
/// used.
fn more(seeds: u32) -> u32 {
    seeds.saturating_add((seeds / 4).max(1))
}

/// Which rows get no more seeds, by the runs that they have.
fn decide(
    rows: &[Row],
    planned: &[Vec<PlanRun>],
    (rules, on): (&Rules, On),
    evidence: &mut Evidence<'_>,
    stopped: &mut [Option<Stopped>],
) {
    let (min, max) = rules.replicates.range();
    let knowns: Vec<Option<Known>> = planned.iter().map(|runs| evidence.of(runs, on)).collect();
    let baseline = rows.iter().position(|row| row.baseline).and_then(|at| knowns[at].as_ref());
    let others: Vec<usize> =
        (0..rows.len()).filter(|at| !rows[*at].baseline && !rows[*at].cell).collect();
    let levels: Vec<Option<&Known>> = others.iter().map(|at| knowns[*at].as_ref()).collect();
    for (at, comparison) in others.into_iter().zip(compare(baseline, &levels, rules)) {
        if stopped[at].is_some() {
            continue;
        }
        let next = comparison.map(|comparison| next(&comparison, min as usize, max as usize));
        stopped[at] = match next {
            None => Some(Stopped::NotComparable),
            Some(Next::Decided) => Some(Stopped::Decided),
            Some(Next::MoreImages) => Some(Stopped::MoreImages),
            Some(Next::AtMost) => Some(Stopped::AtMost),
            // Seeds whose runs failed count too: a row must end some time.
            Some(Next::AnotherSeed) if planned[at].len() >= max as usize => Some(Stopped::AtMost),
            Some(Next::AnotherSeed) => None,
        };
    }
}

/// Cells of interactions have as many seeds as the fewest of the levels that they are made of.
fn cell_seeds(rows: &[Row], seeds: &[u32]) -> Vec<u32> {
    let of_level = |setting: &spec::sweep::Setting| {
        let is_level = |row: &Row| !row.cell && row.settings.as_slice() == [setting.clone()];
        rows.iter().position(is_level).map(|at| seeds[at])
    };
    let of_row = |(row, seeds): (&Row, &u32)| match row.cell {
        true => row.settings.iter().filter_map(of_level).min().unwrap_or(*seeds),
        false => *seeds,
    };
    rows.iter().zip(seeds).map(of_row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_grow_by_a_quarter() {
        let mut seeds = vec![3];
        while seeds.last().is_some_and(|last| *last < 30) {
            seeds.push(more(seeds[seeds.len() - 1]));
        }
        assert_eq!(seeds, [3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 22, 27, 33]);
    }
}
