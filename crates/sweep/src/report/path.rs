//! The path that a chain took.

use serde::Serialize;
use spec::record::{Plan, PlanStage};
use spec::sweep::{ChooseBy, Setting, Strategy, Switch};
use stats::compare::Comparison;

use super::Row;
use super::judge::{Known, Rules, compare};

/// The path that a chain took, as far as it has come.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Path {
    /// When a level took the incumbent's place.
    pub switch: Switch,
    /// By which score.
    pub choose_by: ChooseBy,
    /// The stages that have begun, with what came of them.
    pub stages: Vec<PlanStage>,
    /// Factors whose stages have not.
    pub to_come: Vec<String>,
    /// What the chain has come to: its changes of the first baseline.
    pub came_to: Vec<Setting>,
    /// What it has come to beside where it began, by the score that the table shows, as one comparison;
    /// absent where that is the same, or cannot be compared.
    pub end: Option<Comparison>,
}

pub(super) fn path(
    plan: &Plan,
    rows: &[Row],
    knowns: &[Option<Known>],
    rules: &Rules,
) -> Option<Path> {
    let Strategy::Chain { switch, choose_by } = plan.strategy else { return None };
    let taken = |stage: &PlanStage| {
        let choice = stage.choice.as_ref().filter(|choice| !choice.stays)?;
        Some(Setting { factor: stage.factor.clone(), level: choice.level.clone() })
    };
    let came_to: Vec<Setting> = plan.stages.iter().filter_map(taken).collect();
    let last = plan.stages.iter().rposition(|stage| taken(stage).is_some());
    let end = last.and_then(|stage| {
        let own = taken(&plan.stages[stage])?;
        let is_end =
            |row: &Row| row.stage == Some(stage) && row.settings.as_slice() == [own.clone()];
        let end = rows.iter().position(is_end)?;
        let begin = rows.iter().position(|row| row.baseline)?;
        let single = Rules { comparisons: 1, ..*rules };
        compare(knowns[begin].as_ref(), &[knowns[end].as_ref()], &single).pop()?
    });
    let (stages, to_come) = (plan.stages.clone(), plan.to_come.clone());
    Some(Path { switch, choose_by, stages, to_come, came_to, end })
}
