//! `sweep plan`

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use spec::paths::ResultsDir;
use spec::record::{Outcome, Plan, PlanRow, PlanRun};
use spec::run_id::RunId;

use super::{count, load, print, print_json};
use crate::cli;
use crate::exit::{self, Failure};
use crate::output::Console;
use crate::planning::Planner;
use crate::report::{grid, level_cell};
use crate::store;
use crate::strategy::Evidence;
use ::weights::folder::WeightsFolder;

/// `--json`: what a sweep would run.
#[derive(Serialize)]
struct Planned<'a> {
    sweep: &'a str,
    runs: usize,
    to_do: usize,
    /// The fewest and the most runs that there will be in all, where results decide.
    least: usize,
    most: usize,
    /// Factors of a chain whose stages have not begun.
    to_come: &'a [String],
    rows: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    factor: String,
    level: String,
    baseline: bool,
    runs: Vec<Run<'a>>,
}

#[derive(Serialize)]
struct Run<'a> {
    run: RunId,
    seed: u64,
    slug: &'a str,
    done: bool,
    /// How it ended, if it is done: finished, failed, diverged, ...
    outcome: Option<&'static str>,
}

pub(super) fn plan(
    args: &cli::Plan,
    results: &ResultsDir,
    console: &Console,
) -> Result<u8, Failure> {
    let sweeps = load(&args.files)?;
    let mut planner = Planner::new(&sweeps, WeightsFolder::from_environment())?;
    let is_open = |_, outcome: Option<&Outcome>| !outcome.is_some_and(Outcome::is_settled);
    let planned = planner.plan(&mut Evidence::new(results, is_open))?;
    let mut done = HashMap::new();
    for work in &planned.work {
        let result = store::read_result(&results.run(&work.planned), work.run())?;
        let settled = result.map(|result| result.outcome).filter(Outcome::is_settled);
        if let Some(outcome) = settled {
            done.insert(work.run(), outcome.name());
        }
    }
    let plans: Vec<Planned<'_>> = planned.plans.iter().map(|plan| of_plan(plan, &done)).collect();
    if args.json {
        print_json(console, &plans)?;
        return Ok(exit::DONE);
    }
    let tables: Vec<String> = plans.iter().map(table).collect();
    let all = planned.work.len();
    let to_do = all - done.len();
    let total = match plans.len() {
        1 => String::new(),
        _ => format!("\nall together: {}, {to_do} to do\n", count(all, "run")),
    };
    print(console, &format!("{}{total}", tables.join("\n")))?;
    Ok(exit::DONE)
}

fn of_plan<'a>(plan: &'a Plan, done: &HashMap<RunId, &'static str>) -> Planned<'a> {
    let runs = |runs: &'a [PlanRun]| {
        let run = |run: &'a PlanRun| Run {
            run: run.run,
            seed: run.seed,
            slug: &run.slug,
            done: done.contains_key(&run.run),
            outcome: done.get(&run.run).copied(),
        };
        runs.iter().map(run).collect()
    };
    let row = |row: &'a PlanRow| Row {
        factor: row.factor(),
        level: row.level(),
        baseline: row.baseline,
        runs: runs(&row.runs),
    };
    let (least, most) = expected(plan);
    Planned {
        sweep: &plan.sweep,
        runs: plan.runs().len(),
        least,
        most,
        to_come: &plan.to_come,
        to_do: plan.runs().into_iter().filter(|run| !done.contains_key(&run.run)).count(),
        rows: plan.rows.iter().map(row).collect(),
    }
}

fn table(plan: &Planned<'_>) -> String {
    let rows: Vec<[String; 4]> = plan
        .rows
        .iter()
        .map(|row| {
            let level = level_cell(&row.level, row.baseline);
            [row.factor.clone(), level, row.runs.len().to_string(), state(&row.runs)]
        })
        .collect();
    let grid = grid::from_rows(
        [("factor", false), ("level", false), ("runs", true), ("state", false)],
        &rows,
    );
    let mut text =
        format!("# {}\n\n{grid}\n{}, {} to do\n", plan.sweep, count(plan.runs, "run"), plan.to_do);
    if !plan.to_come.is_empty() {
        text.push_str(&format!("then, on what these come to: {}\n", plan.to_come.join(", ")));
    }
    if plan.least < plan.most {
        text.push_str(&format!("{} to {} runs in all: results decide\n", plan.least, plan.most));
    } else if plan.runs < plan.most {
        text.push_str(&format!("{} in all\n", count(plan.most, "run")));
    }
    text
}

/// How far a row is: `done`; `2 to do, 1 diverged`.
fn state(runs: &[Run<'_>]) -> String {
    let to_do = runs.iter().filter(|run| !run.done).count();
    let mut parts = Vec::new();
    if to_do > 0 {
        parts.push(format!("{to_do} to do"));
    }
    let mut failures: Vec<(&str, usize)> = Vec::new();
    for outcome in runs.iter().filter_map(|run| run.outcome).filter(|name| *name != "finished") {
        match failures.iter_mut().find(|(known, _)| *known == outcome) {
            Some((_, times)) => *times += 1,
            None => failures.push((outcome, 1)),
        }
    }
    parts.extend(failures.into_iter().map(|(outcome, times)| format!("{times} {outcome}")));
    if parts.is_empty() { "done".to_owned() } else { parts.join(", ") }
}

/// The fewest and the most runs that a sweep will have in all.
fn expected(plan: &Plan) -> (usize, usize) {
    let (min, max) = plan.replicates.range();
    let compared = plan.rows.iter().filter(|row| !row.baseline && !row.cell).count();
    let to_come = plan.comparisons.saturating_sub(compared);
    let is_open = |row: &&PlanRow| row.stopped.is_none() && row.runs.len() < max as usize;
    let more: usize = match min == max {
        true => 0,
        false => {
            let rows = plan.rows.iter().filter(is_open);
            let mut seen = HashSet::new();
            let rows = rows.filter(|row| row.runs.first().is_none_or(|run| seen.insert(run.run)));
            rows.map(|row| max as usize - row.runs.len()).sum()
        }
    };
    let known = plan.runs().len();
    (known + to_come * min as usize, known + more + to_come * max as usize)
}
