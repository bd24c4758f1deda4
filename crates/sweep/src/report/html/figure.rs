//! A drawing as SVG: sizes, scales and axes.
//!
//! Colours are the page's: shapes carry classes, so that one drawing is right on light and on dark ground, and
//! on paper. The plotting libraries write colours into every shape, which is why the few shapes that are
//! needed here are written by hand.

use maud::{Markup, PreEscaped, html};

/// A drawing with the words that stand for it where it cannot be seen.
#[derive(Debug, Clone)]
pub struct Figure {
    /// Names it in its page and as a file: lower-case letters, digits and hyphens.
    pub name: String,
    /// What it shows, in a line.
    pub title: String,
    /// The same numbers in words.
    pub description: String,
    /// Width and height in its own units, which are pixels where there is room.
    pub size: [f64; 2],
    /// What is drawn.
    pub body: Markup,
}

impl Figure {
    /// As a part of a page that has the style.
    pub fn inline(&self) -> Markup {
        self.render(None)
    }

    /// As a file of its own.
    pub fn standalone(&self, style: &str) -> String {
        let style = html! { style { (PreEscaped(style)) } };
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", self.render(Some(style)).0)
    }

    fn render(&self, style: Option<Markup>) -> Markup {
        let [width, height] = self.size;
        let (title, description) = (format!("{}-title", self.name), format!("{}-words", self.name));
        let labelled_by = format!("{title} {description}");
        html! {
            svg xmlns="http://www.w3.org/2000/svg" class="figure" role="img" aria-labelledby=(labelled_by)
                viewBox=(format!("0 0 {} {}", px(width), px(height))) width=(px(width)) height=(px(height)) {
                title id=(title) { (self.title) }
                desc id=(description) { (self.description) }
                @if let Some(style) = style { (style) }
                (self.body)
            }
        }
    }
}

/// A linear scale: from values to positions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    values: [f64; 2],
    positions: [f64; 2],
}

impl Scale {
    /// From the least to the greatest of `values`, with a little room around, to `positions`. Values that are
    /// not finite do not count; without any the scale goes from 0 to 1.
    pub(super) fn around(values: impl IntoIterator<Item = f64>, positions: [f64; 2]) -> Self {
        let finite = values.into_iter().filter(|value| value.is_finite());
        let [low, high] = finite.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], value| {
            [low.min(value), high.max(value)]
        });
        let values = match high - low {
            room if room > 0.0 => [low - 0.05 * room, high + 0.05 * room],
            0.0 => [low - 0.5, high + 0.5],
            _ => [0.0, 1.0],
        };
        Self { values, positions }
    }

    /// From the first of `values` to the second, exactly.
    pub(super) fn exact(values: [f64; 2], positions: [f64; 2]) -> Self {
        Self { values, positions }
    }

    /// Where a value lies.
    pub(super) fn at(&self, value: f64) -> f64 {
        let ([from, until], [left, right]) = (self.values, self.positions);
        left + (value - from) / (until - from) * (right - left)
    }

    /// Round values on the scale, about `count` of them: multiples of 1, 2 or 5 times a power of ten.
    pub(super) fn ticks(&self, count: usize) -> Vec<f64> {
        let [from, until] = self.values;
        let rough = (until - from) / count.max(1) as f64;
        let power = 10_f64.powf(rough.log10().floor());
        let step = match rough / power {
            ratio if ratio <= 1.0 => power,
            ratio if ratio <= 2.0 => 2.0 * power,
            ratio if ratio <= 5.0 => 5.0 * power,
            _ => 10.0 * power,
        };
        let first = (from / step).ceil() as i64;
        let last = (until / step).floor() as i64;
        // A multiple, not a sum: sums drift.
        (first..=last).map(|at| at as f64 * step).collect()
    }
}

/// A position or size, to a tenth of a pixel.
pub(super) fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    let short = text.strip_suffix(".0").unwrap_or(&text);
    if short == "-0" { "0".to_owned() } else { short.to_owned() }
}

/// A number with as many digits as tell it from its neighbours on an axis.
pub(super) fn plain(value: f64) -> String {
    let text = format!("{value:.6}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    if short == "-0" { "0".to_owned() } else { short.to_owned() }
}

/// `word` as a part of a figure's name.
pub(super) fn slug(word: &str) -> String {
    let mut slug = String::new();
    for character in word.chars() {
        match character {
            'a'..='z' | '0'..='9' => slug.push(character),
            'A'..='Z' => slug.push(character.to_ascii_lowercase()),
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    slug.truncate(40);
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_on_the_scale() {
        let table: [([f64; 2], usize, &[f64]); 6] = [
            ([0.0, 1.0], 5, &[0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
            ([0.69, 0.79], 4, &[0.7, 0.75]),
            ([-0.013, 0.021], 4, &[-0.01, 0.0, 0.01, 0.02]),
            ([1.0, 50.0], 5, &[10.0, 20.0, 30.0, 40.0, 50.0]),
            ([0.0, 1e-9], 2, &[0.0, 5e-10, 1e-9]),
            ([3.0, 4.0], 0, &[3.0, 4.0]),
        ];
        for (values, count, expected) in table {
            let ticks = Scale::exact(values, [0.0, 100.0]).ticks(count);
            assert_eq!(ticks.len(), expected.len(), "{values:?}: {ticks:?}");
            for (tick, expected) in ticks.iter().zip(expected) {
                assert!((tick - expected).abs() < 1e-12, "{values:?}: {ticks:?}");
            }
        }
    }

    #[test]
    fn a_scale_has_room_around_its_values() {
        let scale = Scale::around([0.4, 0.6, f64::NAN, f64::INFINITY], [0.0, 110.0]);
        assert!((scale.at(0.4) - 5.0).abs() < 1e-9 && (scale.at(0.6) - 105.0).abs() < 1e-9);
        // One value alone, or none, is still somewhere.
        assert_eq!(px(Scale::around([0.5], [0.0, 100.0]).at(0.5)), "50");
        assert_eq!(px(Scale::around([], [0.0, 100.0]).at(0.5)), "50");
        // Downwards, as pixels are counted.
        assert_eq!(px(Scale::exact([0.0, 1.0], [100.0, 0.0]).at(0.25)), "75");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.0, -0.01, 12.34, 7.0].map(px), ["0", "0", "12.3", "7"]);
        assert_eq!([0.0, -0.0, 0.25, 10.0, 0.1 + 0.2].map(plain), ["0", "0", "0.25", "10", "0.3"]);
    }

    #[test]
    fn names_are_plain() {
        for (word, expected) in [
            ("batch_size", "batch-size"),
            ("ResNet50 + GAP", "resnet50-gap"),
            ("<script>", "script"),
            ("../../etc", "etc"),
            ("ü", ""),
        ] {
            assert_eq!(slug(word), expected);
        }
    }
}
