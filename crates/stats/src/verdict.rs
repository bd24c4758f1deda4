//! What may be said of a level, in words.

use std::fmt::{Display, Formatter, Result};

use serde::Serialize;

use crate::power::Needed;
use crate::two_models::Models;

/// What the evidence says about a level beside the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Its true score is higher.
    Better(Claim),
    /// Its true score is lower.
    Worse(Claim),
    /// The difference is smaller than the margin, in either direction.
    Equivalent {
        /// The margin that the user set.
        margin: f64,
        /// Adjusted p-value of "the difference is as large as the margin".
        p: f64,
    },
    /// Enough seeds to see something; nothing was seen.
    NoEvidence {
        /// Adjusted p-value of "no difference".
        p: f64,
        /// The smallest difference that would have been seen.
        detectable: Option<f64>,
        /// What it would take to see the observed one.
        needed: Option<Needed>,
    },
    /// No result could have been evidence.
    TooFewSeeds {
        /// Seeds that both levels have.
        seeds: usize,
        /// Seeds at which there is something to be said.
        needed: usize,
        /// At one seed: what can be said of the two trained models.
        models: Option<Models>,
    },
    /// Under every seed it was right on the same images, or scored the same: here it changes nothing.
    Alike,
}

/// A difference that was found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Claim {
    /// Adjusted p-value of "no difference".
    pub p: f64,
    /// The difference was also shown to be smaller than the user's margin: real, and negligible.
    pub within_margin: bool,
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Better(claim) => write!(f, "better ({claim})"),
            Self::Worse(claim) => write!(f, "worse ({claim})"),
            Self::Equivalent { p, .. } => {
                write!(f, "equivalent within the margin ({})", PValue(*p))
            }
            Self::NoEvidence { needed, .. } => {
                f.write_str("no evidence either way")?;
                match needed {
                    Some(Needed::Seeds(seeds)) => write!(f, "; about {seeds} seeds would show it"),
                    Some(Needed::MoreSeeds(seeds)) => {
                        write!(f, "; more than {seeds} seeds would be needed to show it")
                    }
                    Some(Needed::Images(images)) => {
                        write!(
                            f,
                            "; about {images} test images would be needed, more seeds do not help"
                        )
                    }
                    None => Ok(()),
                }
            }
            Self::TooFewSeeds { seeds, needed, models } => {
                write!(f, "too few seeds to tell: {needed} needed, {seeds} here")?;
                match models {
                    Some(models) => {
                        write!(f, " (these two models: {})", PValue(models.p()))
                    }
                    None => Ok(()),
                }
            }
            Self::Alike => f.write_str("changes nothing here"),
        }
    }
}

impl Display for Claim {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        PValue(self.p).fmt(f)?;
        if self.within_margin { f.write_str("; less than the margin") } else { Ok(()) }
    }
}

/// A p-value as text: `p = 0.012`, `p < 0.001`.
struct PValue(f64);

impl Display for PValue {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.0 {
            p if p < 0.001 => f.write_str("p < 0.001"),
            p if p < 0.1 => write!(f, "p = {p:.3}"),
            p => write!(f, "p = {p:.2}"),
        }
    }
}
