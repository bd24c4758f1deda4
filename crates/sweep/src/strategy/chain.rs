//! A chain: factor by factor, each on what the factors before it have come to.
//!
//! What a stage comes to is a function of its results, so that a sweep that was stopped goes the same way
//! again.

use spec::record::{PlanChoice, PlanRow, PlanStage, Why};
use spec::sweep::{ChooseBy, Setting, Sweep, Switch, stage_rows};
use stats::chosen::{By, Chosen};
use stats::compare::Comparison;

use super::evidence::{Evidence, On};
use super::replicate::{Table, table};
use super::{Runs, StrategyError};
use crate::report::{Known, Rules, compare};

/// The stages of a chain as far as results reach.
#[derive(Default)]
pub(super) struct Chain {
    pub(super) rows: Vec<PlanRow>,
    pub(super) stages: Vec<PlanStage>,
    /// The factors whose stages have not begun.
    pub(super) to_come: Vec<String>,
}

pub(super) fn chain<E>(
    sweep: &Sweep,
    (switch, by): (Switch, ChooseBy),
    rules: &Rules,
    runs: &mut Runs<'_, E>,
    evidence: &mut Evidence<'_>,
) -> Result<Chain, StrategyError<E>> {
    let mut chain = Chain::default();
    let mut incumbent: Vec<Setting> = Vec::new();
    let mut is_open = false;
    for (number, factor) in sweep.factors.iter().enumerate() {
        if is_open {
            chain.to_come.push(factor.name.clone());
            continue;
        }
        let (config, factor) = sweep.stages.stage(number, &incumbent)?;
        let on = On::Chosen(by);
        let rows = stage_rows(&factor, &config);
        let Table { rows, is_complete } = table(rows, Some(number), (rules, on), runs, evidence)?;
        is_open = !is_complete;
        let choice = is_complete.then(|| {
            let knowns: Vec<Option<Known>> =
                rows.iter().map(|row| evidence.of(&row.runs, on)).collect();
            let lost: Vec<bool> = rows.iter().map(|row| evidence.some_lost(&row.runs)).collect();
            let (level, stays, why) = choose(&rows, (&knowns, &lost), switch, rules);
            let folds = rows.iter().any(|row| evidence.has_folds(&row.runs));
            PlanChoice { level, stays, by, folds: folds && by == ChooseBy::Validation, why }
        });
        let taken = choice.as_ref().filter(|choice| !choice.stays);
        let taken = taken
            .map(|choice| Setting { factor: factor.name.clone(), level: choice.level.clone() });
        chain.stages.push(PlanStage {
            factor: factor.name.clone(),
            incumbent: incumbent.clone(),
            choice,
        });
        chain.rows.extend(rows);
        incumbent.extend(taken);
    }
    Ok(chain)
}

/// The level that a stage comes to, whether it is the incumbent's, and why. `lost` says of which rows runs ended
/// without a score: such a level is compared, as all are, and not taken. What it does under the seeds that
/// finished is no promise for the next one.
fn choose(
    rows: &[PlanRow],
    (knowns, lost): (&[Option<Known>], &[bool]),
    switch: Switch,
    rules: &Rules,
) -> (String, bool, Why) {
    let baseline = rows.iter().position(|row| row.baseline);
    let incumbent = baseline.map(|at| rows[at].level()).unwrap_or_default();
    let others: Vec<usize> = (0..rows.len()).filter(|at| !rows[*at].baseline).collect();
    let levels: Vec<Option<&Known>> = others.iter().map(|at| knowns[*at].as_ref()).collect();
    let comparisons = compare(baseline.and_then(|at| knowns[at].as_ref()), &levels, rules);
    let compared: Vec<(String, Comparison)> = others
        .into_iter()
        .zip(comparisons)
        .filter(|(at, _)| !lost[*at])
        .filter_map(|(at, comparison)| Some((rows[at].level(), comparison?)))
        .collect();
    let comparisons: Vec<Comparison> =
        compared.iter().map(|(_, comparison)| comparison.clone()).collect();
    let by = match switch {
        Switch::Evidence => By::Evidence,
        Switch::Best => By::Mean,
    };
    let of = |at: usize| {
        let (level, comparison) = &compared[at];
        (level.clone(), comparison.difference.estimate, comparison.p)
    };
    match stats::chosen::choose(&comparisons, by) {
        Chosen::Nothing => (incumbent, true, Why::NothingToCompare),
        Chosen::Incumbent => (incumbent, true, Why::IncumbentBest),
        Chosen::NoEvidence(nearest) => {
            let (nearest, difference, p) = of(nearest);
            (incumbent, true, Why::NoEvidence { nearest, difference, p })
        }
        Chosen::Better(level) => {
            let (level, difference, p) = of(level);
            (level, false, Why::Better { difference, p: p.unwrap_or(1.0) })
        }
        Chosen::Best(level) => {
            let (level, difference, _) = of(level);
            (level, false, Why::Best { difference })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Basis, Measured, MeasuredOn, known};
    use spec::sweep::Replicates;

    /// Ten seeds whose scores are `mean` and a little more or less; `turn` says in which order.
    fn scores(mean: f64, turn: usize) -> Vec<f64> {
        let noise = [0.01, -0.02, 0.015, 0.0, -0.01, 0.02, -0.015, 0.005, -0.005, 0.0];
        (0..10).map(|seed| mean + noise[(seed * (turn + 1) + turn) % 10]).collect()
    }

    /// What a stage comes to: the incumbent at `0` with these scores, and the levels behind it.
    fn chosen(switch: Switch, levels: &[Option<Vec<f64>>]) -> (String, bool, Why) {
        of_which_lost(switch, levels, &vec![false; levels.len()])
    }

    /// The same where runs of some levels ended without a score.
    fn of_which_lost(
        switch: Switch,
        levels: &[Option<Vec<f64>>],
        lost: &[bool],
    ) -> (String, bool, Why) {
        let rows: Vec<PlanRow> = (0..levels.len())
            .map(|at| PlanRow {
                stage: Some(0),
                settings: vec![Setting { factor: "x".to_owned(), level: at.to_string() }],
                baseline: at == 0,
                cell: false,
                changes: Vec::new(),
                runs: Vec::new(),
                stopped: None,
            })
            .collect();
        let known = |scores: &Vec<f64>| {
            let run = |(seed, score): (u64, &f64)| Measured {
                seed,
                score: *score,
                images: Some(200),
                answers: None,
            };
            let runs: Vec<Measured> = (1..).zip(scores).map(run).collect();
            known(&runs, MeasuredOn::of(Some(Basis::Validation), Some(200)))
        };
        let knowns: Vec<Option<Known>> =
            levels.iter().map(|scores| scores.as_ref().and_then(known)).collect();
        let replicates = Replicates::default();
        let rules = Rules { comparisons: 4, margin: None, replicates, outlook: false };
        choose(&rows, (&knowns, lost), switch, &rules)
    }

    #[test]
    fn a_level_that_does_not_always_finish_is_not_taken() {
        let levels = [Some(scores(0.6, 0)), Some(scores(0.7, 3)), Some(scores(0.66, 2))];
        for switch in [Switch::Evidence, Switch::Best] {
            let taken = |lost: [bool; 3]| of_which_lost(switch, &levels, &lost).0;
            assert_eq!(taken([false, false, false]), "1");
            assert_eq!(taken([false, true, false]), "2");
            assert_eq!(taken([false, true, true]), "0");
            assert_eq!(taken([true, false, false]), "1", "an incumbent that does not is left");
        }
    }

    #[test]
    fn the_incumbent_stays_unless_the_evidence_says_otherwise() {
        let level = |mean, turn| Some(scores(mean, turn));
        let (noise, winner) = (level(0.604, 2), level(0.7, 3));
        let cases = [
            ("a clear winner", vec![level(0.6, 0), level(0.59, 2), winner.clone()], "2"),
            ("the better of two", vec![level(0.6, 0), level(0.66, 2), winner.clone()], "2"),
            ("noise", vec![level(0.6, 0), noise.clone()], "0"),
            ("all lower", vec![level(0.6, 0), level(0.5, 2)], "0"),
            ("a winner that failed", vec![level(0.6, 0), None], "0"),
            ("an incumbent that failed", vec![None, winner], "0"),
        ];
        for (name, levels, expected) in cases {
            let (level, stays, why) = chosen(Switch::Evidence, &levels);
            assert_eq!((level.as_str(), stays), (expected, expected == "0"), "{name}: {why:?}");
        }
        let (level, stays, why) = chosen(Switch::Best, &[level(0.6, 0), noise]);
        assert_eq!((level.as_str(), stays), ("1", false), "{why:?}");
        assert!(matches!(why, Why::Best { .. }), "{why:?}");
    }
}
