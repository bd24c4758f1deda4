//! What a sweep's plan has that its last one had not, and the other way round.

use std::collections::HashSet;
use std::path::Path;

use spec::record::Plan;
use spec::run_id::RunId;

use super::count;
use crate::settings::shell_word;

/// More rows than these are only counted.
const MOST: usize = 8;

/// What `now` makes of `before`, if it is about other runs: another `--set`, an edited file, other data.
pub(super) fn changes(before: &Plan, now: &Plan) -> Option<String> {
    let runs = |plan: &Plan| plan.runs().iter().map(|run| run.run).collect::<HashSet<_>>();
    let (old, new) = (runs(before), runs(now));
    let (fresh, gone) = (only(now, &old), only(before, &new));
    let lines: Vec<String> = if !fresh.is_empty() && fresh == gone {
        vec![same_rows(before, now)]
    } else {
        [told("new", &fresh), told("gone", &gone)].into_iter().flatten().collect()
    };
    (!lines.is_empty()).then(|| {
        let title =
            format!("{}: another plan than before{}; results stay", now.sweep, moved(before, now));
        [title].into_iter().chain(lines).collect::<Vec<_>>().join("\n")
    })
}

/// Where it comes from now, if that is another file of the same name.
fn moved(before: &Plan, now: &Plan) -> String {
    let same = |one: &Path, other: &Path| {
        one == other
            || fs_err::canonicalize(one)
                .is_ok_and(|one| fs_err::canonicalize(other).is_ok_and(|other| one == other))
    };
    match (&before.file, &now.file) {
        (Some(old), Some(new)) if !same(old, new) => {
            format!(", from {} in place of {}", new.display(), old.display())
        }
        _ => String::new(),
    }
}

/// What to say where the same rows are other runs.
fn same_rows(before: &Plan, now: &Plan) -> String {
    let sets = |plan: &Plan| match plan.overrides.as_slice() {
        [] => "no --set".to_owned(),
        overrides => {
            let words: Vec<String> = overrides.iter().map(|set| shell_word(set)).collect();
            format!("--set {}", words.join(" --set "))
        }
    };
    let why = match before.overrides == now.overrides {
        true => "other settings of the baseline, images or weights".to_owned(),
        false => format!("{} in place of {}", sets(now), sets(before)),
    };
    format!("  the same rows, with {why}")
}

/// The rows of `plan` with runs that are not among `others`, each run where it stands first.
fn only(plan: &Plan, others: &HashSet<RunId>) -> Vec<String> {
    let mut seen = HashSet::new();
    let mut rows = Vec::new();
    for row in &plan.rows {
        let fresh = |run: &RunId| !others.contains(run) && seen.insert(*run);
        match row.runs.iter().map(|run| run.run).filter(fresh).count() {
            0 => {}
            runs => {
                let name = match row.level().as_str() {
                    "" => row.factor(),
                    level => format!("{} = {level}", row.factor()),
                };
                rows.push(format!("{name} ({})", count(runs, "run")));
            }
        }
    }
    rows
}

fn told(word: &str, rows: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = rows.iter().map(|row| format!("  {word:<5}{row}")).collect();
    if lines.len() > MOST {
        let more = lines.split_off(MOST - 1).len();
        lines.push(format!("  {word:<5}and {} more", count(more, "row")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::record::{PLAN_VERSION, PlanRow, PlanRun};
    use spec::sweep::{Replicates, Setting, Strategy};

    /// One run for each level, named by its number.
    fn plan(levels: &[u8]) -> Plan {
        let run = |number: u8| PlanRun {
            run: RunId::from_digest([number; 32]),
            slug: String::new(),
            seed: 1,
        };
        let row = |&number: &u8| PlanRow {
            stage: None,
            settings: vec![Setting { factor: "batch_size".to_owned(), level: number.to_string() }],
            baseline: number == 32,
            cell: false,
            changes: Vec::new(),
            runs: vec![run(number)],
            stopped: None,
        };
        Plan {
            version: PLAN_VERSION,
            sweep: "batch_size".to_owned(),
            file: None,
            title: None,
            overrides: Vec::new(),
            strategy: Strategy::Ofat,
            replicates: Replicates::default(),
            margin: None,
            comparisons: levels.len() - 1,
            interactions: Vec::new(),
            rows: levels.iter().map(row).collect(),
            stages: Vec::new(),
            to_come: Vec::new(),
            amendments: Vec::new(),
            past: Vec::new(),
        }
    }

    #[test]
    fn the_same_rows_with_other_runs_say_why() {
        let before = plan(&[16, 32]);
        let mut now = plan(&[16, 32]);
        for (number, row) in (90_u8..).zip(&mut now.rows) {
            for run in &mut row.runs {
                run.run = RunId::from_digest([number; 32]);
            }
        }
        let told = |now: &Plan| changes(&before, now).unwrap();
        let end = "the same rows, with other settings of the baseline, images or weights";
        assert!(told(&now).ends_with(end), "{}", told(&now));
        now.overrides = vec!["epochs=3".to_owned(), "train.name=a b".to_owned()];
        let end = "the same rows, with --set epochs=3 --set 'train.name=a b' in place of no --set";
        assert!(told(&now).ends_with(end), "{}", told(&now));
    }

    #[test]
    fn another_file_of_the_same_name_is_named() {
        let (mut before, mut now) = (plan(&[16, 32]), plan(&[16, 32, 64]));
        let title = |before: &Plan, now: &Plan| {
            changes(before, now).unwrap().lines().next().unwrap_or_default().to_owned()
        };
        let plain = "batch_size: another plan than before; results stay";
        before.file = Some("a/batch_size.toml".into());
        assert_eq!(title(&before, &now), plain, "older plans name no file");
        now.file = Some("a/batch_size.toml".into());
        assert_eq!(title(&before, &now), plain);
        now.file = Some("b/batch_size.toml".into());
        assert_eq!(
            title(&before, &now),
            "batch_size: another plan than before, from b/batch_size.toml in place of a/batch_size.toml; results stay"
        );
    }

    #[test]
    fn rows_that_are_new_or_gone_are_named() {
        assert_eq!(changes(&plan(&[16, 32]), &plan(&[32, 16])), None, "the order is no matter");
        insta::assert_snapshot!(changes(&plan(&[16, 32]), &plan(&[8, 32, 64])).unwrap(), @"
        batch_size: another plan than before; results stay
          new  batch_size = 8 (1 run)
          new  batch_size = 64 (1 run)
          gone batch_size = 16 (1 run)
        ");
        let many: Vec<u8> = (1..30).chain([32]).collect();
        insta::assert_snapshot!(changes(&plan(&[32]), &plan(&many)).unwrap(), @"
        batch_size: another plan than before; results stay
          new  batch_size = 1 (1 run)
          new  batch_size = 2 (1 run)
          new  batch_size = 3 (1 run)
          new  batch_size = 4 (1 run)
          new  batch_size = 5 (1 run)
          new  batch_size = 6 (1 run)
          new  batch_size = 7 (1 run)
          new  and 22 rows more
        ");
    }
}
