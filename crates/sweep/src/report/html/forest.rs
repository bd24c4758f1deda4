//! A forest plot: each level of a factor with its interval, and what it is compared with.

use maud::{Markup, html};
use stats::interval::Interval;
use stats::verdict::Verdict;

use super::figure::{Figure, Scale, px};

/// Width of the drawing.
const WIDTH: f64 = 460.0;
/// Height of one level.
const LEVEL: f64 = 38.0;
/// Height of the axis.
const AXIS: f64 = 26.0;
/// Free at the left and the right, for the axis's outermost numbers.
const SIDE: f64 = 28.0;

/// A level.
#[derive(Debug, Clone)]
pub(super) struct Bar {
    pub(super) label: String,
    /// The estimate.
    pub(super) mean: f64,
    pub(super) interval: Option<Interval>,
    /// What single seeds came to.
    pub(super) seeds: Vec<f64>,
    pub(super) kind: Kind,
}

/// What is said of a level, which is how it is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Baseline,
    Better,
    Worse,
    Equivalent,
    Open,
}

/// What the bars are beside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reference {
    /// Where the baseline is.
    pub(super) at: f64,
    /// Differences below it do not matter to the user.
    pub(super) margin: Option<f64>,
}

impl Kind {
    pub(super) fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Better(_) => Self::Better,
            Verdict::Worse(_) => Self::Worse,
            Verdict::Equivalent { .. } => Self::Equivalent,
            Verdict::NoEvidence { .. } | Verdict::TooFewSeeds { .. } | Verdict::Alike => Self::Open,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Equivalent => "equivalent",
            Self::Open => "open",
        }
    }
}

/// The plot of `bars`; `write` writes their numbers.
pub(super) fn forest(
    name: String,
    title: String,
    bars: &[Bar],
    reference: Option<Reference>,
    write: &dyn Fn(f64) -> String,
) -> Figure {
    let ends = bars.iter().flat_map(|bar| {
        let interval = bar.interval.map(|interval| [interval.low, interval.high]);
        bar.seeds.iter().copied().chain([bar.mean]).chain(interval.into_iter().flatten())
    });
    let beside = reference.into_iter().flat_map(|Reference { at, margin }| {
        let margin = margin.unwrap_or(0.0);
        [at - margin, at + margin]
    });
    let scale = Scale::around(ends.chain(beside), [SIDE, WIDTH - SIDE]);
    let bottom = LEVEL * bars.len() as f64 + 4.0;
    let body = html! {
        @if let Some(Reference { at, margin }) = reference {
            @if let Some(margin) = margin {
                rect class="margin" x=(px(scale.at(at - margin))) y="0" height=(px(bottom))
                    width=(px(scale.at(at + margin) - scale.at(at - margin))) {}
            }
        }
        @for tick in scale.ticks(5) {
            line class="grid" x1=(px(scale.at(tick))) x2=(px(scale.at(tick))) y1="0" y2=(px(bottom)) {}
            text class="tick" x=(px(scale.at(tick))) y=(px(bottom + 17.0)) text-anchor="middle" {
                (write(tick))
            }
        }
        @if let Some(Reference { at, .. }) = reference {
            line class="reference" x1=(px(scale.at(at))) x2=(px(scale.at(at))) y1="0" y2=(px(bottom)) {}
        }
        @for (number, bar) in bars.iter().enumerate() {
            (level(bar, LEVEL * number as f64, &scale, write))
        }
    };
    let size = [WIDTH, bottom + AXIS];
    let description = bars.iter().map(|bar| words(bar, write)).collect::<Vec<_>>().join("; ");
    Figure { name, title, description, size, body }
}

fn level(bar: &Bar, top: f64, scale: &Scale, write: &dyn Fn(f64) -> String) -> Markup {
    let (x, y) = (scale.at(bar.mean), top + 27.0);
    html! {
        g class=(bar.kind.class()) {
            title { (words(bar, write)) }
            // Behind the words, so that lines of the grid do not cross them.
            text class="label halo" x=(px(SIDE - 20.0)) y=(px(top + 14.0)) { (shortened(&bar.label)) }
            @for seed in &bar.seeds {
                circle class="seed" cx=(px(scale.at(*seed))) cy=(px(y)) r="2.5" {}
            }
            @if let Some(Interval { low, high }) = bar.interval {
                path class="interval" d=(format!(
                    "M{left} {up}v8M{left} {y}H{right}M{right} {up}v8",
                    left = px(scale.at(low)), right = px(scale.at(high)), y = px(y), up = px(y - 4.0),
                )) {}
            }
            @if bar.kind == Kind::Baseline {
                path class="mean" d=(format!("M{} {}l6 6l-6 6l-6 -6z", px(x), px(y - 6.0))) {}
            } @else {
                circle class="mean" cx=(px(x)) cy=(px(y)) r="5" {}
            }
        }
    }
}

/// A bar's numbers, for those who hear them.
fn words(bar: &Bar, write: &dyn Fn(f64) -> String) -> String {
    let mean = write(bar.mean);
    match bar.interval {
        Some(Interval { low, high }) => {
            format!("{}: {mean} ({} to {})", bar.label, write(low), write(high))
        }
        None => format!("{}: {mean}", bar.label),
    }
}

/// As much of a label as stands on one line.
pub(super) fn shortened(label: &str) -> String {
    const MOST: usize = 56;
    match label.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &label[..end]),
        None => label.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(label: &str, mean: f64, half: f64, kind: Kind) -> Bar {
        let interval = Some(Interval { low: mean - half, high: mean + half });
        Bar { label: label.to_owned(), mean, interval, seeds: vec![mean - 0.5 * half], kind }
    }

    #[test]
    fn levels_stand_under_each_other_on_one_scale() {
        let bars = [bar("16", 0.6, 0.1, Kind::Better), bar("32", 0.5, 0.1, Kind::Baseline)];
        let reference = Some(Reference { at: 0.5, margin: None });
        let write = |value: f64| format!("{value:.2}");
        let figure = forest("x".to_owned(), "Batch size".to_owned(), &bars, reference, &write);
        assert_eq!(figure.description, "16: 0.60 (0.50 to 0.70); 32: 0.50 (0.40 to 0.60)");
        insta::assert_snapshot!(figure.inline().0.replace("><", ">\n<"));
    }

    #[test]
    fn hostile_labels_are_text() {
        let bars = [bar("<script>alert(1)</script>", 0.5, 0.1, Kind::Open)];
        let figure = forest("x".to_owned(), "&".to_owned(), &bars, None, &|_| "\"".to_owned());
        let svg = figure.standalone("");
        assert!(!svg.contains("<script"), "{svg}");
        assert!(svg.contains("&lt;script&gt;"));
    }

    #[test]
    fn long_labels_are_cut_between_characters() {
        assert_eq!(shortened(&"ü".repeat(60)), format!("{}…", "ü".repeat(56)));
        assert_eq!(shortened("short"), "short");
    }
}
