//! Learning curves, and when and why they end.

use super::{Courses, row_name};
use crate::report::html::details::{Course, Details, End};
use crate::report::plots::{Line, Panel, curves, file_name};
use crate::report::{ScoreFormat, Table};

/// How training went in each row that is drawn, on the same scale in all of them; only a loss that would
/// flatten the others has its own.
pub(super) fn courses(table: &Table, details: &Details, format: ScoreFormat) -> Vec<Courses> {
    let rows: Vec<_> = table
        .rows
        .iter()
        .zip(&details.rows)
        .filter_map(|(row, details)| Some((row, details.as_ref()?)))
        .filter(|(_, details)| !details.again && !details.courses.is_empty())
        .collect();
    let all = || rows.iter().flat_map(|(_, details)| &details.courses);
    let epochs = all().map(|course| course.epochs.len()).max().unwrap_or(0);
    let of_row: Vec<f64> = rows.iter().map(|(_, known)| most(losses(&known.courses))).collect();
    let shared = shared(&of_row);
    let accuracies = around(
        all()
            .flat_map(|course| &course.epochs)
            .flat_map(|epoch| [epoch.accuracy, epoch.val_accuracy].into_iter().flatten()),
    );
    rows.iter()
        .zip(&of_row)
        .map(|((row, known), own)| {
            let panel = |heading, note, values, tick: &dyn Fn(f64) -> String| {
                let lines = |valid| -> Vec<Line> {
                    let courses = known.courses.iter();
                    let lines = courses.map(|course| line(course, heading, valid));
                    lines.filter(|line| line.values.iter().any(Option::is_some)).collect()
                };
                curves(&Panel {
                    name: file_name(&[&table.sweep, &row.factor, &row.level, heading]),
                    label: format!(
                        "{}: {heading} by epoch in training and validation",
                        row_name(row)
                    ),
                    heading,
                    note,
                    train: lines(false),
                    valid: lines(true),
                    epochs,
                    values,
                    tick,
                })
            };
            Courses {
                row: row_name(row),
                plots: vec![
                    match *own > shared {
                        true => panel("loss", " on a scale of its own", (0.0, *own), &loss),
                        false => panel("loss", "", (0.0, shared), &loss),
                    },
                    panel("accuracy", "", accuracies, &|value| format.score(value)),
                ],
                ends: ends(&known.courses, known.asked.as_ref()),
            }
        })
        .collect()
}

/// The part of 0 to 1 that all the values lie in, with a little room.
fn around(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((1.0_f64, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return (0.0, 1.0);
    }
    let room = (0.05 * (high - low)).max(0.01);
    ((low - room).max(0.0), (high + room).min(1.0))
}

fn loss(value: f64) -> String {
    format!("{value:.1}")
}

fn losses(courses: &[Course]) -> Vec<f64> {
    let epochs = courses.iter().flat_map(|course| &course.epochs);
    epochs.flat_map(|epoch| [epoch.loss, epoch.val_loss]).flatten().collect()
}

/// How far the scale of the losses of rows reaches that reach so far: as the highest, but for those that are
/// several times what is usual.
fn shared(rows: &[f64]) -> f64 {
    const TIMES: f64 = 4.0;
    let mut sorted = rows.to_vec();
    sorted.sort_by(f64::total_cmp);
    let usual = sorted.get(sorted.len() / 2).copied().unwrap_or(1.0);
    sorted.into_iter().filter(|row| *row <= TIMES * usual).fold(0.0, f64::max)
}

/// What nearly all lie below: one that explodes would flatten all others.
fn most(mut values: Vec<f64>) -> f64 {
    values.retain(|value| value.is_finite());
    values.sort_by(f64::total_cmp);
    let at = (0.99 * values.len() as f64) as usize;
    values.get(at.min(values.len().saturating_sub(1))).copied().unwrap_or(1.0)
}

fn line(course: &Course, heading: &str, valid: bool) -> Line {
    let value = |epoch: &spec::record::EpochMetrics| match (heading, valid) {
        ("loss", false) => epoch.loss,
        ("loss", true) => epoch.val_loss,
        (_, false) => epoch.accuracy,
        (_, true) => epoch.val_accuracy,
    };
    Line {
        values: course.epochs.iter().map(value).collect(),
        stopped: matches!(course.end, End::Stopped { .. }),
    }
}

/// When and why training ended.
fn ends(courses: &[Course], asked: Option<&spec::record::RunConfig>) -> String {
    let ends: Vec<End> = courses.iter().map(|course| course.end).collect();
    let range = |of: Vec<u32>| match (of.iter().min(), of.iter().max()) {
        (Some(least), Some(most)) if least == most => format!("epoch {least}"),
        (Some(least), Some(most)) => format!("epochs {least} to {most}"),
        _ => String::new(),
    };
    let mut words = Vec::new();
    let of_all = |count: usize| match (count, ends.len()) {
        (1, 1) => "It".to_owned(),
        (count, all) if count == all => format!("All {all}"),
        (count, all) => format!("{count} of {all}"),
    };
    let stopped: Vec<(u32, u32)> = ends
        .iter()
        .filter_map(|end| match end {
            End::Stopped { epoch, best } => Some((*epoch, *best)),
            _ => None,
        })
        .collect();
    if !stopped.is_empty() {
        let why = asked.and_then(|asked| asked.config.builtin()?.early_stopping.as_ref());
        let why = why.map_or_else(String::new, |rule| {
            let monitor = serde_json::to_value(rule.monitor).unwrap_or_default();
            let monitor = monitor.as_str().unwrap_or("the monitored value").to_owned();
            let epochs = if rule.patience == 1 { "epoch" } else { "epochs" };
            format!(", since {monitor} had not improved for {} {epochs}", rule.patience)
        });
        words.push(format!(
            "{} stopped early in {}{why}; best in {}.",
            of_all(stopped.len()),
            range(stopped.iter().map(|(epoch, _)| *epoch).collect()),
            range(stopped.iter().map(|(_, best)| *best).collect()),
        ));
    }
    let ran: Vec<u32> = ends
        .iter()
        .filter_map(|end| match end {
            End::All { epochs } => Some(*epochs),
            _ => None,
        })
        .collect();
    if let Some(epochs) = ran.iter().max() {
        words.push(format!("{} ran to the last epoch, {epochs}.", of_all(ran.len())));
    }
    let diverged: Vec<u32> = ends
        .iter()
        .filter_map(|end| match end {
            End::Diverged { epoch } => Some(*epoch),
            _ => None,
        })
        .collect();
    if !diverged.is_empty() {
        let when = range(diverged.clone());
        words.push(format!("{} diverged in {when}.", of_all(diverged.len())));
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(end: End) -> Course {
        Course { epochs: Vec::new(), end }
    }

    #[test]
    fn when_training_ended_is_said_in_words() {
        let stopped = |epoch, best| course(End::Stopped { epoch, best });
        let all = || course(End::All { epochs: 50 });
        let table = [
            (vec![stopped(12, 2)], "It stopped early in epoch 12; best in epoch 2."),
            (
                vec![stopped(12, 2), stopped(14, 4)],
                "All 2 stopped early in epochs 12 to 14; best in epochs 2 to 4.",
            ),
            (
                vec![stopped(12, 2), all(), course(End::Diverged { epoch: 3 })],
                "1 of 3 stopped early in epoch 12; best in epoch 2. 1 of 3 ran to the last epoch, 50. \
                 1 of 3 diverged in epoch 3.",
            ),
            (vec![all(), all()], "All 2 ran to the last epoch, 50."),
        ];
        for (courses, expected) in table {
            assert_eq!(ends(&courses, None), expected);
        }
    }

    #[test]
    fn rows_share_a_scale_but_for_those_that_would_flatten_the_others() {
        assert!((shared(&[0.5, 0.6, 0.4, 1.9]) - 1.9).abs() < 1e-12);
        assert!((shared(&[0.5, 0.6, 0.4, 20.0]) - 0.6).abs() < 1e-12);
        assert!((shared(&[20.0]) - 20.0).abs() < 1e-12);
    }

    #[test]
    fn a_loss_that_explodes_does_not_flatten_the_others() {
        let mut losses = vec![1.0; 500];
        losses.extend([1e30, f64::NAN]);
        assert!((most(losses) - 1.0).abs() < 1e-12);
        assert!((most(Vec::new()) - 1.0).abs() < 1e-12);
    }
}
