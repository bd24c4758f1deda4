//! Numbers with their intervals, one below the other.

use maud::html;
use stats::interval::Interval;

use super::scale::Scale;
use super::{Plot, cut, px};

/// That of a phone, so that its words are not drawn smaller there.
const WIDTH: f64 = 360.0;
const SIDE: f64 = 14.0;
const TOP: f64 = 4.0;
const ROW: f64 = 38.0;
const AXIS: f64 = 26.0;
/// Letters that fit into a line.
const LETTERS: usize = 48;

/// What is drawn.
#[derive(Clone)]
pub(in super::super) struct Forest<'a> {
    pub(in super::super) name: String,
    pub(in super::super) label: String,
    pub(in super::super) marks: Vec<Mark>,
    /// Where a dashed line stands.
    pub(in super::super) reference: Option<f64>,
    /// Differences that do not matter: half the width of a band around 0.
    pub(in super::super) margin: Option<f64>,
    /// How a number is written at the axis.
    pub(in super::super) tick: &'a dyn Fn(f64) -> String,
}

/// A number with its interval.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Mark {
    pub(in super::super) name: String,
    /// What stands at its right.
    pub(in super::super) said: String,
    pub(in super::super) value: f64,
    pub(in super::super) interval: Option<Interval>,
    pub(in super::super) kind: Kind,
}

/// How a number looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Kind {
    /// Nothing is claimed.
    Plain,
    /// What the others are compared with.
    Baseline,
    /// Shown to be better.
    Better,
    /// Shown to be worse.
    Worse,
}

impl Kind {
    fn class(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Baseline => "base",
            Self::Better => "good",
            Self::Worse => "bad",
        }
    }

    /// A shape for each, so that colour alone says nothing.
    fn shape(self, x: f64, y: f64) -> String {
        let (x, y) = (|by: f64| px(x + by), |by: f64| px(y + by));
        match self {
            Self::Better => format!("M{} {}L{} {}H{}Z", x(0.0), y(-6.5), x(6.0), y(4.5), x(-6.0)),
            Self::Worse => format!("M{} {}L{} {}H{}Z", x(0.0), y(6.5), x(6.0), y(-4.5), x(-6.0)),
            Self::Plain | Self::Baseline => {
                format!("M{} {}a5 5 0 1 0 10 0a5 5 0 1 0 -10 0Z", x(-5.0), y(0.0))
            }
        }
    }
}

/// Draws it.
pub(in super::super) fn forest(forest: &Forest<'_>) -> Plot {
    let ends = forest.marks.iter().flat_map(|mark| {
        let interval = mark.interval.map(|interval| [interval.low, interval.high]);
        interval.into_iter().flatten().chain([mark.value])
    });
    let margin = forest.margin.map(|margin| [-margin, margin]).into_iter().flatten();
    let scale = Scale::around(ends.chain(forest.reference).chain(margin), (SIDE, WIDTH - SIDE));
    let bottom = TOP + ROW * forest.marks.len() as f64;
    // Beside the intervals alone, so that no line crosses a word.
    let vertical = |value: f64| -> String {
        let rows = (0..forest.marks.len()).map(|at| TOP + ROW * at as f64);
        let part =
            |top: f64| format!("M{} {}V{}", px(scale.at(value)), px(top + 18.0), px(top + 34.0));
        rows.map(part).collect()
    };
    let drawing = html! {
        @if let Some(margin) = forest.margin {
            @let (left, right) = (scale.at(-margin), scale.at(margin));
            rect .band x=(px(left)) y=(px(TOP)) width=(px(right - left)) height=(px(bottom - TOP)) {}
        }
        @for tick in scale.ticks(4.0) {
            path .rule d=(vertical(tick)) {}
            text .soft .mid x=(px(scale.at(tick).clamp(SIDE + 8.0, WIDTH - SIDE - 8.0)))
                y=(px(bottom + 17.0)) { ((forest.tick)(tick)) }
        }
        @if let Some(reference) = forest.reference { path .zero d=(vertical(reference)) {} }
        @for (at, mark) in forest.marks.iter().enumerate() {
            @let top = TOP + ROW * at as f64;
            @let y = top + 26.0;
            @let room = LETTERS.saturating_sub(mark.said.chars().count());
            g class=(mark.kind.class()) {
                text x=(px(SIDE)) y=(px(top + 14.0)) { (cut(&mark.name, room)) }
                text class={ "end " (mark.kind.class()) } x=(px(WIDTH - SIDE)) y=(px(top + 14.0)) { (mark.said) }
                @if let Some(Interval { low, high }) = mark.interval {
                    path .whisker d=(format!("M{} {}H{}", px(scale.at(low)), px(y), px(scale.at(high)))) {}
                }
                path .dot d=(mark.kind.shape(scale.at(mark.value), y)) {}
            }
        }
    };
    let (name, label) = (forest.name.clone(), forest.label.clone());
    Plot { name, label, width: WIDTH, height: bottom + AXIS, drawing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_below_each_other_and_words_are_escaped() {
        let mark = |name: &str, value, kind| Mark {
            name: name.to_owned(),
            said: format!("{value}"),
            value,
            interval: Some(Interval { low: value - 0.1, high: value + 0.1 }),
            kind,
        };
        let plot = forest(&Forest {
            name: "x".to_owned(),
            label: "Scores of <b>".to_owned(),
            marks: vec![
                mark("<script>alert(1)</script>", 0.5, Kind::Baseline),
                mark("16", 0.75, Kind::Better),
            ],
            reference: Some(0.5),
            margin: None,
            tick: &|value| format!("{value:.1}"),
        });
        let svg = plot.inline().into_string();
        assert!(svg.contains(r#"viewBox="0 0 360 106""#) && svg.contains(r#"y="18""#), "{svg}");
        assert!(svg.contains(r#"y="56""#), "the second mark stands a row lower: {svg}");
        assert!(
            svg.contains(r#"<g class="base">"#) && svg.contains(r#"<g class="good">"#),
            "{svg}"
        );
        assert!(svg.contains("Scores of &lt;b&gt;"), "{svg}");
        for text in [svg, plot.file()] {
            assert!(text.contains("&lt;script&gt;") && !text.contains("<script"), "{text}");
        }
        assert!(plot.file().starts_with("<?xml"));
    }
}
