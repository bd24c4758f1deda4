//! From a sweep to its plan: rows, seeds, runs. Where results decide what comes next, the plan reaches as
//! far as they do: planned again after its runs have ended, it reaches further.

mod chain;
mod evidence;
mod replicate;

use spec::config::Config;
use spec::record::{PLAN_VERSION, Plan, PlanRun};
use spec::sweep::{Strategy, Sweep};
use spec::sweep_file::LoadError;

use crate::report::Rules;
use crate::store::ReadError;
use chain::{Chain, chain};
pub use evidence::Evidence;
use evidence::On;
use replicate::table;

/// A sweep that cannot be planned.
#[derive(Debug)]
pub enum StrategyError<E> {
    /// A run cannot be named.
    Run(E),
    /// Levels that a chain has come to contradict each other.
    Levels(LoadError),
    /// A result cannot be read.
    Read(ReadError),
}

impl<E> From<LoadError> for StrategyError<E> {
    fn from(error: LoadError) -> Self {
        Self::Levels(error)
    }
}

impl<E> From<ReadError> for StrategyError<E> {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

/// Names the run of a configuration and a seed.
struct Runs<'a, E> {
    run: &'a mut dyn FnMut(&Config, u64) -> Result<PlanRun, E>,
}

impl<E> Runs<'_, E> {
    fn of(&mut self, config: &Config, seeds: u32) -> Result<Vec<PlanRun>, StrategyError<E>> {
        let runs = (1..=u64::from(seeds)).map(|seed| (self.run)(config, seed));
        runs.collect::<Result<_, E>>().map_err(StrategyError::Run)
    }
}

/// The plan of a sweep as far as results reach; `run` names the run of a configuration and a seed.
///
/// # Errors
/// The first error of `run`, levels that contradict each other, results that cannot be read.
pub fn plan<E>(
    sweep: &Sweep,
    mut run: impl FnMut(&Config, u64) -> Result<PlanRun, E>,
    evidence: &mut Evidence<'_>,
) -> Result<Plan, StrategyError<E>> {
    let runs = &mut Runs { run: &mut run };
    let comparisons = comparisons(sweep);
    let (margin, replicates) = (sweep.margin, sweep.replicates);
    let rules = Rules { comparisons, margin, replicates, outlook: false };
    let Chain { rows, stages, to_come } = match sweep.strategy {
        Strategy::Chain { switch, choose_by } if !sweep.factors.is_empty() => {
            chain(sweep, (switch, choose_by), &rules, runs, evidence)?
        }
        _ => {
            let rows = table(sweep.rows(), None, (&rules, On::Shown), runs, evidence)?.rows;
            Chain { rows, ..Chain::default() }
        }
    };
    Ok(Plan {
        version: PLAN_VERSION,
        sweep: sweep.name.clone(),
        file: Some(sweep.file.clone()),
        title: sweep.title.clone(),
        overrides: sweep.overrides.clone(),
        strategy: sweep.strategy,
        replicates: sweep.replicates,
        margin: sweep.margin,
        comparisons,
        interactions: sweep.interactions.clone(),
        rows,
        stages,
        to_come,
        amendments: Vec::new(),
        past: Vec::new(),
    })
}

/// How many levels are compared with a baseline in the whole sweep: of a chain in all its stages.
fn comparisons(sweep: &Sweep) -> usize {
    match sweep.strategy {
        Strategy::Chain { .. } => {
            let levels = sweep.factors.iter().flat_map(|factor| &factor.levels);
            levels.filter(|level| !level.baseline).count()
        }
        _ => sweep.rows().iter().filter(|row| !row.baseline && !row.cell).count(),
    }
}
