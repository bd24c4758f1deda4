//! Plans of version 1, which knew one factor at a time and one number of seeds.

use std::num::NonZeroU32;

use serde::Deserialize;

use super::{PLAN_VERSION, Plan, PlanRow, PlanRun};
use crate::sweep::{Replicates, Setting, Strategy};

#[derive(Deserialize)]
pub(super) struct FirstPlan {
    sweep: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    overrides: Vec<String>,
    seeds: Vec<u64>,
    baseline: Vec<PlanRun>,
    factors: Vec<FirstFactor>,
}

#[derive(Deserialize)]
struct FirstFactor {
    name: String,
    levels: Vec<FirstLevel>,
}

#[derive(Deserialize)]
struct FirstLevel {
    label: String,
    baseline: bool,
    runs: Vec<PlanRun>,
}

impl From<FirstPlan> for Plan {
    fn from(plan: FirstPlan) -> Self {
        let row = |settings, baseline, runs| PlanRow {
            stage: None,
            settings,
            baseline,
            cell: false,
            changes: Vec::new(),
            runs,
            stopped: None,
        };
        let rows: Vec<PlanRow> = match plan.factors.as_slice() {
            [] => vec![row(Vec::new(), true, plan.baseline)],
            _ => plan
                .factors
                .into_iter()
                .flat_map(|FirstFactor { name, levels }| {
                    levels.into_iter().map(move |FirstLevel { label, baseline, runs }| {
                        row(vec![Setting { factor: name.clone(), level: label }], baseline, runs)
                    })
                })
                .collect(),
        };
        let seeds = u32::try_from(plan.seeds.len()).ok().and_then(NonZeroU32::new);
        Self {
            version: PLAN_VERSION,
            sweep: plan.sweep,
            file: None,
            title: plan.title,
            overrides: plan.overrides,
            strategy: Strategy::Ofat,
            replicates: Replicates::Fixed { seeds: seeds.unwrap_or(NonZeroU32::MIN) },
            margin: None,
            comparisons: rows.iter().filter(|row| !row.baseline).count(),
            interactions: Vec::new(),
            rows,
            stages: Vec::new(),
            to_come: Vec::new(),
            amendments: Vec::new(),
            past: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_of_the_first_version_are_read() {
        let run = |digit: &str, seed: u64| serde_json::json!({ "run": digit.repeat(64), "slug": "s", "seed": seed });
        let first = serde_json::json!({
            "version": 1,
            "sweep": "batch_size",
            "seeds": [1, 2],
            "baseline": [run("a", 1), run("b", 2)],
            "factors": [{ "name": "batch_size", "levels": [
                { "label": "16", "baseline": false, "runs": [run("c", 1), run("d", 2)] },
                { "label": "32", "baseline": true, "runs": [run("a", 1), run("b", 2)] },
            ]}],
        });
        let plan: Plan = serde_json::from_value(first).unwrap();
        assert_eq!(plan.version, PLAN_VERSION);
        assert_eq!(plan.replicates.range(), (2, 2));
        let rows: Vec<_> =
            plan.rows.iter().map(|row| (row.factor(), row.level(), row.baseline)).collect();
        let row = |level: &str, baseline| ("batch_size".to_owned(), level.to_owned(), baseline);
        assert_eq!(rows, [row("16", false), row("32", true)]);
        assert_eq!(plan.runs().len(), 4);
        assert!(plan.runs()[0].run.to_string().starts_with('a'), "the baseline's come first");
        let again: Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
        assert_eq!(again, plan);
    }
}
