//! Plots as SVG: the same on the page and as files.
//!
//! The plotting crates write their colours, fonts and sizes into every element, so that a plot can follow
//! neither a dark page nor a phone, and say nothing to who cannot see. What is needed here is lines, marks
//! and words under classes; `plots.css` gives them their looks, and `maud` their syntax and escaping.

mod curves;
mod forest;
mod path;
mod scale;

use maud::{Markup, PreEscaped, html};

pub(super) use curves::{LINES, Line, Panel, curves};
pub(super) use forest::{Forest, Kind, Mark, forest};
pub(super) use path::{Stop, path};

/// How plots look; a page has it once, a file in itself.
pub(super) const STYLE: &str = include_str!("plots/plots.css");

/// A plot.
#[derive(Debug, Clone)]
pub struct Plot {
    /// What its file is called, without the ending: letters, digits, `-` and `_`.
    pub name: String,
    /// What it shows, for who cannot see it.
    label: String,
    /// In its own pixels; it is drawn as wide as there is room.
    width: f64,
    height: f64,
    drawing: Markup,
}

impl Plot {
    /// As part of a page.
    pub fn inline(&self) -> Markup {
        let view = self.view();
        html! {
            svg .plot viewBox=(view) role="img" aria-label=(self.label) { (self.drawing) }
        }
    }

    /// As a file of its own.
    pub fn file(&self) -> String {
        let (width, height) = (self.width.to_string(), self.height.to_string());
        let svg = html! {
            svg .plot xmlns="http://www.w3.org/2000/svg" viewBox=(self.view()) width=(width)
                height=(height) role="img" {
                title { (self.label) }
                style { (PreEscaped(STYLE)) }
                rect .paper width=(width) height=(height) {}
                (self.drawing)
            }
        };
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", svg.into_string())
    }

    fn view(&self) -> String {
        format!("0 0 {} {}", self.width, self.height)
    }
}

/// A part of a file's name: what is no letter or digit becomes `_`.
pub(super) fn file_name(words: &[&str]) -> String {
    let plain = |word: &&str| -> String {
        let kept = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
        word.chars().map(kept).collect()
    };
    words.iter().map(plain).collect::<Vec<String>>().join("-")
}

/// A coordinate, to the tenth of a pixel.
fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

/// `text`, cut where it is longer than `most` letters.
fn cut(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_and_words_cut() {
        assert_eq!(file_name(&["a/../b", "x=<1>"]), "a____b-x__1_");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("äbcd", 4), "äbcd");
        assert_eq!([px(1.0), px(1.26), px(-0.5)], ["1", "1.3", "-0.5"]);
    }
}
