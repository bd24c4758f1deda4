//! Scores: what they are measured on, and how they are written.

use clap::ValueEnum;
use serde::Serialize;

/// What a score is measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Labelled test images.
    Test,
    /// Test images whose labels the leaderboard has.
    Leaderboard,
    /// Validation images: there is no test set.
    Validation,
    /// Whatever a trainer of the user's own measures: it says a score, and not on how many images.
    Trainer,
    /// Nothing: neither a test set nor validation images.
    Nothing,
}

/// How a score is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ScoreFormat {
    /// As the source document: accuracy x 100000, cut: 59274
    #[default]
    Document,
    /// 59.27 %
    Percent,
    /// 0.5927
    Fraction,
}

impl ScoreFormat {
    /// A score, from 0 to 1.
    pub fn score(self, fraction: f64) -> String {
        match self {
            // Cut, not rounded; the tiny addend undoes what binary fractions lose (0.57 * 100000
            // is 56999.999...).
            Self::Document => format!("{:.0}", (fraction * 1e5 + 1e-6).floor()),
            Self::Percent | Self::Fraction => self.difference(fraction),
        }
    }

    /// A distance between scores.
    pub fn difference(self, fraction: f64) -> String {
        match self {
            Self::Document => format!("{:.0}", fraction * 1e5),
            Self::Percent => format!("{:.2}", fraction * 1e2),
            Self::Fraction => format!("{fraction:.4}"),
        }
    }

    /// A difference between scores, with its sign.
    pub fn signed(self, fraction: f64) -> String {
        let size = self.difference(fraction.abs());
        match () {
            () if size.chars().all(|digit| matches!(digit, '0' | '.')) => size,
            () if fraction < 0.0 => format!("-{size}"),
            () => format!("+{size}"),
        }
    }

    /// What differences are counted in.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Document => " points",
            Self::Percent => " percentage points",
            Self::Fraction => "",
        }
    }

    /// What stands behind the heading of a column of scores.
    pub fn heading(self) -> &'static str {
        match self {
            Self::Document | Self::Fraction => "",
            Self::Percent => " (%)",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_cuts_at_five_digits() {
        let table = [
            (0.59274, "59274"),
            (0.592_749_9, "59274"),
            (441.0 / 744.0, "59274"),
            (0.57, "57000"),
            (0.03494, "3494"),
            (0.0, "0"),
            (1.0, "100000"),
        ];
        for (fraction, expected) in table {
            assert_eq!(ScoreFormat::Document.score(fraction), expected);
        }
        for thousandths in 0..=100_000_u32 {
            let fraction = f64::from(thousandths) / 1e5;
            assert_eq!(ScoreFormat::Document.score(fraction), thousandths.to_string());
        }
    }

    #[test]
    fn other_formats_round() {
        assert_eq!(ScoreFormat::Percent.score(0.592_74), "59.27");
        assert_eq!(ScoreFormat::Fraction.score(0.592_77), "0.5928");
        assert_eq!(ScoreFormat::Document.difference(1.0 / 744.0), "134");
    }
}
