//! Learning curves: how training and validation went from epoch to epoch, seed by seed and in the mean.

use std::fmt::Write as _;

use maud::{Markup, html};
use spec::record::EpochMetrics;

use super::figure::{Figure, Scale, plain, px};

const WIDTH: f64 = 340.0;
const HEIGHT: f64 = 170.0;
/// Left of the drawing, for the numbers of the axis.
const LEFT: f64 = 40.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 34.0;
/// So many fits are drawn one by one; the mean is of all.
const MOST_LINES: usize = 20;
/// Between so many points nothing can be told apart.
const MOST_POINTS: usize = 120;

/// One fit: a run, or a fold of one.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Course {
    pub(super) epochs: Vec<EpochMetrics>,
    /// The epoch whose weights were kept, when early stopping ended it.
    pub(super) best_epoch: Option<u32>,
}

/// What is drawn of each epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantity {
    Loss,
    Accuracy,
}

impl Quantity {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Accuracy => "accuracy",
        }
    }

    fn training(self, epoch: &EpochMetrics) -> Option<f64> {
        Some(match self {
            Self::Loss => epoch.loss,
            Self::Accuracy => epoch.accuracy,
        })
    }

    fn validation(self, epoch: &EpochMetrics) -> Option<f64> {
        match self {
            Self::Loss => epoch.val_loss,
            Self::Accuracy => epoch.val_accuracy,
        }
    }
}

/// The scales that all levels of a factor share, so that their drawings can be compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axes {
    epochs: Scale,
    values: Scale,
}

impl Axes {
    /// Around everything that `courses` have of `quantity`.
    pub(super) fn around<'a>(
        courses: impl Iterator<Item = &'a Course> + Clone,
        quantity: Quantity,
    ) -> Self {
        let last = courses.clone().filter_map(|course| Some(course.epochs.last()?.epoch)).max();
        let last = f64::from(last.unwrap_or(1).max(2));
        let down = [HEIGHT - BOTTOM, TOP];
        let values = match quantity {
            Quantity::Accuracy => Scale::exact([0.0, 1.0], down),
            Quantity::Loss => {
                let epochs = courses.flat_map(|course| &course.epochs);
                Scale::around(
                    epochs.flat_map(|epoch| [Some(epoch.loss), epoch.val_loss]).flatten().chain([0.0]),
                    down,
                )
            }
        };
        Self { epochs: Scale::exact([1.0, last], [LEFT, WIDTH - RIGHT]), values }
    }
}

/// The drawing of one level.
pub(super) fn curves(
    name: String,
    level: &str,
    courses: &[Course],
    quantity: Quantity,
    axes: &Axes,
) -> Figure {
    let of_training = |epoch: &EpochMetrics| quantity.training(epoch);
    let of_validation = |epoch: &EpochMetrics| quantity.validation(epoch);
    let mean_of = |of: &dyn Fn(&EpochMetrics) -> Option<f64>| mean(courses, of);
    let (training, validation) = (mean_of(&of_training), mean_of(&of_validation));
    let body = html! {
        (frame(axes))
        @for course in courses.iter().take(MOST_LINES) {
            (line("training single", &points(&course.epochs, &of_training), axes))
            (line("validation single", &points(&course.epochs, &of_validation), axes))
        }
        (line("training", &training, axes))
        (line("validation", &validation, axes))
        @for course in courses.iter().take(MOST_LINES) {
            @if let Some((best, value)) = course.best(quantity) {
                circle class="best" cx=(px(axes.epochs.at(best))) cy=(px(axes.values.at(value))) r="2.5" {}
            }
        }
    };
    let description = format!(
        "{level}: {}{}",
        last_of("training", quantity, &training),
        last_of(", validation", quantity, &validation)
    );
    let title = format!("{level}: {} by epoch", quantity.name());
    Figure { name, title, description, size: [WIDTH, HEIGHT], body }
}

impl Course {
    /// The epoch whose weights were kept, with its validation value.
    fn best(&self, quantity: Quantity) -> Option<(f64, f64)> {
        let best = self.best_epoch?;
        let epoch = self.epochs.iter().find(|epoch| epoch.epoch == best)?;
        Some((f64::from(best), quantity.validation(epoch)?))
    }
}

/// When and why training ended, in a line.
pub(super) fn ending(courses: &[Course]) -> Option<String> {
    let lasts: Vec<u32> = courses.iter().filter_map(|course| Some(course.epochs.last()?.epoch)).collect();
    let (least, most) = (lasts.iter().min()?, lasts.iter().max()?);
    let span = |least: &u32, most: &u32| match least == most {
        true => format!("{least}"),
        false => format!("{least} to {most}"),
    };
    let best: Vec<u32> = courses.iter().filter_map(|course| course.best_epoch).collect();
    let ended = format!("ended after epoch {}", span(least, most));
    Some(match (best.iter().min(), best.iter().max()) {
        (Some(first), Some(last)) => {
            let stopped = match best.len() == courses.len() {
                true => "early stopping".to_owned(),
                false => format!("early stopping in {} of {}", best.len(), courses.len()),
            };
            format!("{ended}: {stopped}, best epoch {}", span(first, last))
        }
        _ => format!("{ended}: all epochs trained"),
    })
}

fn last_of(what: &str, quantity: Quantity, line: &[(f64, f64)]) -> String {
    line.last().map_or_else(String::new, |(epoch, value)| {
        format!("{what} {} {} at epoch {epoch}", quantity.name(), plain((value * 1e3).round() / 1e3))
    })
}

fn frame(axes: &Axes) -> Markup {
    let bottom = HEIGHT - BOTTOM;
    html! {
        @for tick in axes.values.ticks(4) {
            line class="grid" x1=(px(LEFT)) x2=(px(WIDTH - RIGHT)) y1=(px(axes.values.at(tick)))
                y2=(px(axes.values.at(tick))) {}
            text class="tick" x=(px(LEFT - 6.0)) y=(px(axes.values.at(tick) + 4.0)) text-anchor="end" {
                (plain(tick))
            }
        }
        @for tick in axes.epochs.ticks(5).into_iter().filter(|tick| tick.fract() == 0.0) {
            text class="tick" x=(px(axes.epochs.at(tick))) y=(px(bottom + 16.0)) text-anchor="middle" {
                (plain(tick))
            }
        }
        text class="tick" x=(px(WIDTH - RIGHT)) y=(px(bottom + 30.0)) text-anchor="end" { "epoch" }
    }
}

/// The points of one fit.
fn points(
    epochs: &[EpochMetrics],
    of: &dyn Fn(&EpochMetrics) -> Option<f64>,
) -> Vec<(f64, f64)> {
    let every = epochs.len().div_ceil(MOST_POINTS).max(1);
    let last = epochs.len().saturating_sub(1);
    epochs
        .iter()
        .enumerate()
        .filter(|(at, _)| at % every == 0 || *at == last)
        .filter_map(|(_, epoch)| Some((f64::from(epoch.epoch), of(epoch)?)))
        .filter(|(_, value)| value.is_finite())
        .collect()
}

/// The mean over fits, as far as half of them went: what fewer did says little about the rest.
fn mean(
    courses: &[Course],
    of: &dyn Fn(&EpochMetrics) -> Option<f64>,
) -> Vec<(f64, f64)> {
    let longest = courses.iter().map(|course| course.epochs.len()).max().unwrap_or(0);
    let every = longest.div_ceil(MOST_POINTS).max(1);
    (0..longest)
        .step_by(every)
        .map_while(|at| {
            let values: Vec<f64> = courses
                .iter()
                .filter_map(|course| of(course.epochs.get(at)?))
                .filter(|value| value.is_finite())
                .collect();
            let enough = values.len() * 2 >= courses.len() && !values.is_empty();
            enough.then(|| ((at + 1) as f64, values.iter().sum::<f64>() / values.len() as f64))
        })
        .collect()
}

fn line(class: &str, points: &[(f64, f64)], axes: &Axes) -> Markup {
    let mut path = String::new();
    for (at, (epoch, value)) in points.iter().enumerate() {
        let command = if at == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{command}{} {}", px(axes.epochs.at(*epoch)), px(axes.values.at(*value)));
    }
    html! {
        @if points.len() > 1 {
            path class=(format!("curve {class}")) d=(path) {}
        } @else if let [(epoch, value)] = points {
            circle class=(format!("dot {class}")) cx=(px(axes.epochs.at(*epoch)))
                cy=(px(axes.values.at(*value))) r="2" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn course(losses: &[f64], best_epoch: Option<u32>) -> Course {
        let epochs = (1..).zip(losses).map(|(epoch, &loss)| EpochMetrics {
            fold: None,
            epoch,
            loss,
            accuracy: 0.5,
            val_loss: Some(loss + 0.1),
            val_accuracy: None,
            val_auc: None,
            learning_rate: 1e-4,
            seconds: 0.1,
        });
        Course { epochs: epochs.collect(), best_epoch }
    }

    #[test]
    fn the_mean_ends_where_fewer_than_half_go_on() {
        let courses =
            [course(&[1.0, 0.5, 0.25, 0.1], None), course(&[0.5, 0.3], None), course(&[0.6], None)];
        let training = mean(&courses, &|epoch| Some(epoch.loss));
        let expected = [(1.0, 0.7), (2.0, 0.4)];
        assert_eq!(training.len(), expected.len());
        for ((epoch, value), (at, mean)) in training.iter().zip(expected) {
            assert!(*epoch == at && (value - mean).abs() < 1e-12);
        }
    }

    #[test]
    fn endings_in_words() {
        let table: [(&[Course], Option<&str>); 4] = [
            (&[], None),
            (&[course(&[1.0, 0.5], None)], Some("ended after epoch 2: all epochs trained")),
            (
                &[course(&[1.0, 0.5], Some(1)), course(&[1.0, 0.5, 0.7], Some(2))],
                Some("ended after epoch 2 to 3: early stopping, best epoch 1 to 2"),
            ),
            (
                &[course(&[1.0, 0.5], Some(1)), course(&[1.0, 0.5], None)],
                Some("ended after epoch 2: early stopping in 1 of 2, best epoch 1"),
            ),
        ];
        for (courses, expected) in table {
            assert_eq!(ending(courses).as_deref(), expected);
        }
    }

    #[test]
    fn what_is_not_finite_is_left_out() {
        let courses = [course(&[f64::NAN, 1.0, f64::INFINITY, 0.5], None)];
        assert_eq!(points(&courses[0].epochs, &|epoch| Some(epoch.loss)), [(2.0, 1.0), (4.0, 0.5)]);
        let axes = Axes::around(courses.iter(), Quantity::Loss);
        let figure = curves("x".to_owned(), "16", &courses, Quantity::Loss, &axes);
        assert!(!figure.inline().0.contains("NaN") && !figure.inline().0.contains("inf"));
    }

    #[test]
    fn long_courses_keep_their_last_epoch() {
        let long: Vec<f64> = (0..1000).map(f64::from).collect();
        let points = points(&course(&long, None).epochs, &|epoch| Some(epoch.loss));
        assert!(points.len() <= MOST_POINTS + 1, "{}", points.len());
        assert_eq!(points.last(), Some(&(1000.0, 999.0)));
    }
}
