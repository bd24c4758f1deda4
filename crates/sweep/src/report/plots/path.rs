//! The way that a chain took from stage to stage.

use maud::html;

use super::{Plot, cut, px};

const WIDTH: f64 = 360.0;
const SIDE: f64 = 36.0;
const STAGE: f64 = 74.0;

/// A stage: its factor, its levels, and which of them the next one goes on with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Stop {
    pub(in super::super) factor: String,
    pub(in super::super) levels: Vec<String>,
    pub(in super::super) chosen: Option<usize>,
}

/// Draws it, from the top.
pub(in super::super) fn path(name: String, label: String, stops: &[Stop]) -> Plot {
    let place = |stop: &Stop, level: usize| match stop.levels.len() {
        0 | 1 => WIDTH / 2.0,
        levels => SIDE + (WIDTH - 2.0 * SIDE) * level as f64 / (levels - 1) as f64,
    };
    let height = |stage: usize| STAGE * stage as f64 + 34.0;
    let chosen = stops.iter().enumerate().filter_map(|(at, stop)| {
        Some(format!("{} {}", px(place(stop, stop.chosen?)), px(height(at))))
    });
    let walk = chosen.collect::<Vec<String>>().join("L");
    let drawing = html! {
        @if walk.contains('L') { path .walk d=(format!("M{walk}")) {} }
        @for (at, stop) in stops.iter().enumerate() {
            @let y = height(at);
            @let room = 48 / stop.levels.len().max(1);
            text .head .over x="0" y=(px(y - 18.0)) { (cut(&stop.factor, 50)) }
            @for (number, level) in stop.levels.iter().enumerate() {
                @let is_chosen = stop.chosen == Some(number);
                circle .step .chosen[is_chosen] cx=(px(place(stop, number))) cy=(px(y)) r="7" {}
                text .mid .over .soft[!is_chosen] .head[is_chosen] x=(px(place(stop, number))) y=(px(y + 22.0)) {
                    (cut(level, room))
                }
            }
        }
    };
    Plot { name, label, width: WIDTH, height: STAGE * stops.len() as f64, drawing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_goes_through_what_was_chosen() {
        let stop = |levels: &[&str], chosen| Stop {
            factor: "f".to_owned(),
            levels: levels.iter().map(|level| (*level).to_owned()).collect(),
            chosen,
        };
        let stops = [stop(&["a", "b"], Some(1)), stop(&["c"], Some(0)), stop(&["d", "e"], None)];
        let plot = path("p".to_owned(), "way".to_owned(), &stops);
        let svg = plot.inline().into_string();
        assert!(svg.contains(r#"d="M324 34L180 108""#), "{svg}");
        assert_eq!(svg.matches("step chosen").count(), 2);
    }
}
