//! A score as a person or a leaderboard writes it.

use std::str::FromStr;

use miette::Diagnostic;
use serde::Serialize;
use thiserror::Error;

use crate::exit::{self, Ends};

/// A score, and how finely it was written.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Given {
    /// A fraction.
    pub score: f64,
    /// What one more in its last digit is worth, a fraction: 0.00001 of `0.63440`.
    pub step: f64,
}

/// A text that is no score, or could be two.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
pub enum NoScore {
    /// It is no number that a score could be.
    #[error("`{text}` is no score")]
    #[diagnostic(help(
        "write a fraction as 0.63440, a percentage as 63.44%, or five digits as the source document does: 63440"
    ))]
    Not {
        /// What was written.
        text: String,
    },
    /// It could be a percentage, or digits of the document's.
    #[error("`{text}` could be {text} % or {fraction}")]
    #[diagnostic(help("write {text}%, or the fraction"))]
    Ambiguous {
        /// What was written.
        text: String,
        /// What it is if it is as the document writes scores.
        fraction: String,
    },
}

impl Ends for NoScore {
    fn exit_code(&self) -> u8 {
        exit::USAGE
    }
}

impl FromStr for Given {
    type Err = NoScore;

    fn from_str(text: &str) -> Result<Self, NoScore> {
        let text = text.trim();
        let not = || NoScore::Not { text: text.to_owned() };
        let (number, is_percent) = match text.strip_suffix('%') {
            Some(number) => (number.trim_end(), true),
            None => (text, false),
        };
        let plain = |c: char| c.is_ascii_digit() || c == '.';
        if !number.starts_with(|c: char| c.is_ascii_digit()) || !number.chars().all(plain) {
            return Err(not());
        }
        let value: f64 = number.parse().map_err(|_| not())?;
        let places = number.split_once('.').map(|(_, places)| places.len());
        let step = 10_f64.powi(-i32::try_from(places.unwrap_or(0)).map_err(|_| not())?);
        let scale = match (is_percent, places) {
            (true, _) if value <= 100.0 => 1e2,
            (false, Some(_)) if value <= 1.0 => 1.0,
            // Neither the document nor a fraction is written so.
            (false, Some(_)) if value <= 100.0 => 1e2,
            (false, None) if value == 0.0 => 1e5,
            (false, None) if value <= 100.0 => {
                let fraction = format!("{:.5}", value / 1e5);
                return Err(NoScore::Ambiguous { text: text.to_owned(), fraction });
            }
            (false, None) if value <= 1e5 => 1e5,
            _ => return Err(not()),
        };
        Ok(Self { score: value / scale, step: step / scale })
    }
}

impl Given {
    /// How many of `images` were right, if the score is such a share, cut or rounded to its digits.
    pub fn right(&self, images: u64) -> Option<u64> {
        let right = (self.score * images as f64).round();
        let near = (right / images as f64 - self.score).abs() < self.step;
        near.then_some(right as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_read_and_what_could_be_two_is_refused() {
        let cases = [
            ("0.63440", Some(0.6344)),
            ("63440", Some(0.6344)),
            ("3494", Some(0.03494)),
            ("63.44%", Some(0.6344)),
            ("63.44 %", Some(0.6344)),
            ("63.44", Some(0.6344)),
            ("63%", Some(0.63)),
            ("1.0", Some(1.0)),
            ("0", Some(0.0)),
            ("100000", Some(1.0)),
            ("101", Some(0.00101)),
            ("1", None),
            ("63", None),
            ("100", None),
            ("100001", None),
            ("101.5", None),
            ("-0.5", None),
            ("1e-1", None),
            ("0.5.1", None),
            ("inf", None),
            ("NaN", None),
            ("", None),
            ("%", None),
        ];
        for (text, expected) in cases {
            let given = text.parse::<Given>().ok();
            match (given, expected) {
                (Some(given), Some(score)) => {
                    assert!((given.score - score).abs() < 1e-12, "{text}")
                }
                (None, None) => {}
                other => panic!("{text}: {other:?}"),
            }
        }
        assert!(matches!("63".parse::<Given>(), Err(NoScore::Ambiguous { .. })));
    }

    #[test]
    fn a_score_tells_how_many_images_were_right() {
        let right = |text: &str| text.parse::<Given>().unwrap().right(744);
        assert_eq!(
            (right("59274"), right("0.59274"), right("59.27%")),
            (Some(441), Some(441), Some(441))
        );
        assert_eq!((right("32215"), right("54564")), (None, None));
    }
}
