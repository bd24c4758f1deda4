//! How training went: a line for each model, and their mean.

use maud::html;

use super::scale::Scale;
use super::{Plot, px};

const WIDTH: f64 = 330.0;
const HEIGHT: f64 = 200.0;
const LEFT: f64 = 54.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 24.0;
/// Points of a line beyond which some are left out.
const POINTS: usize = 100;
/// Models whose single lines are drawn; the mean is of all.
pub(in super::super) const LINES: usize = 15;

/// The course of one number in one model: by epoch from 1, with a gap where it is not known.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Line {
    pub(in super::super) values: Vec<Option<f64>>,
    /// Whether early stopping ended it.
    pub(in super::super) stopped: bool,
}

/// One number of one row.
#[derive(Clone)]
pub(in super::super) struct Panel<'a> {
    pub(in super::super) name: String,
    pub(in super::super) label: String,
    /// What the number is.
    pub(in super::super) heading: &'static str,
    /// What there is to say of it.
    pub(in super::super) note: &'static str,
    pub(in super::super) train: Vec<Line>,
    pub(in super::super) valid: Vec<Line>,
    /// Of all panels that are compared: the most epochs, and the least and the greatest value.
    pub(in super::super) epochs: usize,
    pub(in super::super) values: (f64, f64),
    pub(in super::super) tick: &'a dyn Fn(f64) -> String,
}

/// Draws it.
pub(in super::super) fn curves(panel: &Panel<'_>) -> Plot {
    let last = panel.epochs.max(2) as f64;
    let x = Scale::new((1.0, last), (LEFT, WIDTH - RIGHT));
    let y = Scale::new(panel.values, (HEIGHT - BOTTOM, TOP));
    let ends = panel.valid.iter().take(LINES).filter_map(|line| {
        let at = line.values.iter().rposition(Option::is_some)?;
        Some((at, line.values[at]?, line.stopped))
    });
    let drawing = html! {
        text .head x="0" y="13" { (panel.heading) tspan .soft { (panel.note) } }
        text .train .end x=(px(WIDTH - RIGHT - if panel.valid.is_empty() { 0.0 } else { 70.0 })) y="13" { "training" }
        @if !panel.valid.is_empty() {
            text .valid .end x=(px(WIDTH - RIGHT)) y="13" { "validation" }
        }
        @for tick in y.ticks(3.0) {
            path .rule d=(format!("M{} {}H{}", px(LEFT), px(y.at(tick)), px(WIDTH - RIGHT))) {}
            text .soft .end x=(px(LEFT - 6.0)) y=(px(y.at(tick) + 4.0)) { ((panel.tick)(tick)) }
        }
        @for tick in x.ticks(4.0).into_iter().filter(|tick| tick.fract() == 0.0) {
            text .soft .mid x=(px(x.at(tick))) y=(px(HEIGHT - 7.0)) { (format!("{tick}")) }
        }
        @for (lines, class) in [(&panel.train, "train"), (&panel.valid, "valid")] {
            @if lines.len() > 1 {
                path class={ "one " (class) } d=(lines.iter().take(LINES).map(|line| course(&line.values, &x, &y)).collect::<String>()) {}
            }
            path class={ "mean " (class) } d=(course(&mean(lines), &x, &y)) {}
        }
        @for (epoch, value, stopped) in ends {
            circle .stop .ran[!stopped] cx=(px(x.at(epoch as f64 + 1.0))) cy=(px(y.at(value))) r="2.5" {}
        }
    };
    let (name, label) = (panel.name.clone(), panel.label.clone());
    Plot { name, label, width: WIDTH, height: HEIGHT, drawing }
}

/// The mean by epoch, while at least half of the models still train.
fn mean(lines: &[Line]) -> Vec<Option<f64>> {
    let longest = lines.iter().map(|line| line.values.len()).max().unwrap_or(0);
    let at = |epoch: usize| {
        let values =
            lines.iter().filter_map(|line| (*line.values.get(epoch)?).filter(|v| v.is_finite()));
        let values: Vec<f64> = values.collect();
        let enough = !values.is_empty() && 2 * values.len() >= lines.len();
        enough.then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    (0..longest).map(at).collect()
}

fn course(values: &[Option<f64>], x: &Scale, y: &Scale) -> String {
    let every = values.len().div_ceil(POINTS).max(1);
    let mut path = String::new();
    let mut pen = 'M';
    for (at, value) in values.iter().enumerate() {
        match value.filter(|value| value.is_finite()) {
            Some(value) if at % every == 0 || at + 1 == values.len() => {
                path.push(pen);
                path.push_str(&format!("{} {}", px(x.at(at as f64 + 1.0)), px(y.at(value))));
                pen = 'L';
            }
            Some(_) => {}
            None => pen = 'M',
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(values: &[f64]) -> Line {
        Line { values: values.iter().copied().map(Some).collect(), stopped: true }
    }

    #[test]
    fn the_mean_ends_where_most_have_stopped() {
        let lines = [line(&[1.0, 2.0, 9.0]), line(&[3.0, 4.0]), line(&[5.0, f64::NAN])];
        assert_eq!(mean(&lines), [Some(3.0), Some(3.0), None]);
        assert_eq!(mean(&[]), []);
    }

    #[test]
    fn lines_break_at_gaps_and_long_ones_keep_their_ends() {
        let x = Scale::new((1.0, 5.0), (0.0, 40.0));
        let y = Scale::new((0.0, 1.0), (10.0, 0.0));
        let values = [Some(0.0), Some(1.0), None, Some(0.5), Some(f64::INFINITY)];
        assert_eq!(course(&values, &x, &y), "M0 10L10 0M30 5");
        let long: Vec<Option<f64>> = (0..1000).map(|at| Some(f64::from(at) / 1000.0)).collect();
        let x = Scale::new((1.0, 1000.0), (0.0, 100.0));
        let path = course(&long, &x, &y);
        assert!(path.matches('L').count() <= POINTS && path.ends_with("L100 0"), "{path}");
    }
}
