//! From a sweep to its plan: rows, seeds, runs.

use spec::config::Config;
use spec::record::{self, PLAN_VERSION, Plan, PlanRow, PlanRun, PlanStage};
use spec::sweep::{Row, Strategy, Sweep};

/// The plan of a sweep; `run` names the run of a configuration and a seed.
///
/// # Errors
/// The first error of `run`.
pub fn plan<E>(
    sweep: &Sweep,
    mut run: impl FnMut(&Config, u64) -> Result<PlanRun, E>,
) -> Result<Plan, E> {
    let (seeds, _) = sweep.replicates.range();
    let is_chain = matches!(sweep.strategy, Strategy::Chain { .. });
    let stage = (is_chain && !sweep.factors.is_empty()).then_some(0);
    let mut rows = Vec::new();
    for Row { settings, config, baseline, cell } in sweep.rows() {
        let runs =
            (1..=u64::from(seeds)).map(|seed| run(&config, seed)).collect::<Result<_, E>>()?;
        let changes = record::changes(&sweep.baseline, &config);
        rows.push(PlanRow { stage, settings, baseline, cell, changes, runs, stopped: None });
    }
    let factors = sweep.factors.iter().map(|factor| factor.name.clone());
    let begun = factors.clone().take(usize::from(stage.is_some()));
    let stages = begun.map(|factor| PlanStage { factor, incumbent: Vec::new(), choice: None });
    Ok(Plan {
        version: PLAN_VERSION,
        sweep: sweep.name.clone(),
        title: sweep.title.clone(),
        overrides: sweep.overrides.clone(),
        strategy: sweep.strategy,
        replicates: sweep.replicates,
        margin: sweep.margin,
        interactions: sweep.interactions.clone(),
        rows,
        stages: stages.collect(),
        to_come: factors.skip(1).filter(|_| is_chain).collect(),
    })
}
