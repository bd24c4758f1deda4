//! From numbers to pixels.

/// A linear scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    domain: (f64, f64),
    range: (f64, f64),
}

impl Scale {
    /// From `domain` to `range`, pixels. A domain without extent gets some.
    pub(super) fn new(domain: (f64, f64), range: (f64, f64)) -> Self {
        let (low, high) = domain;
        let room = if high > low { 0.0 } else { 0.5 * low.abs().max(1e-3) };
        Self { domain: (low - room, high + room), range }
    }

    /// Of all `values`, with a little room at both ends; from 0 to 1 without any.
    pub(super) fn around(values: impl Iterator<Item = f64>, range: (f64, f64)) -> Self {
        let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        let low = values.iter().copied().reduce(f64::min).unwrap_or(0.0);
        let high = values.iter().copied().reduce(f64::max).unwrap_or(1.0);
        let scale = Self::new((low, high), range);
        let room = 0.04 * (scale.domain.1 - scale.domain.0);
        Self { domain: (scale.domain.0 - room, scale.domain.1 + room), range }
    }

    /// Where `value` lies; what is beyond the domain, at its end.
    pub(super) fn at(&self, value: f64) -> f64 {
        let (low, high) = self.domain;
        let (from, to) = self.range;
        from + (value.clamp(low, high) - low) / (high - low) * (to - from)
    }

    /// About `count` round numbers within the domain.
    pub(super) fn ticks(&self, count: f64) -> Vec<f64> {
        let (low, high) = self.domain;
        let rough = (high - low) / count;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * power);
        let step = step.into_iter().find(|step| *step >= rough * 0.999).unwrap_or(rough);
        let first = (low / step - 1e-9).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        (first..=last).map(|at| at as f64 * step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ticks_are_round() {
        let ticks = |low, high| Scale::new((low, high), (0.0, 1.0)).ticks(4.0);
        assert_eq!(ticks(0.0, 1.0), [0.0, 0.5, 1.0]);
        assert_eq!(ticks(1.0, 50.0), [20.0, 40.0]);
        assert_eq!(ticks(-0.3, 0.3), [-0.2, 0.0, 0.2]);
    }

    proptest! {
        #[test]
        fn whatever_is_drawn_lies_inside(
            values in proptest::collection::vec(-1e6..1e6_f64, 0..20),
            beyond in proptest::num::f64::NORMAL,
        ) {
            let scale = Scale::around(values.iter().copied(), (10.0, 90.0));
            for value in values.into_iter().chain([beyond]) {
                prop_assert!((10.0..=90.0).contains(&scale.at(value)), "{value}");
            }
            let ticks = scale.ticks(4.0);
            prop_assert!(ticks.len() <= 7);
            prop_assert!(ticks.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
