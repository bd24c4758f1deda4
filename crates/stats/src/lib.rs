//! What scores of a few seeds on a few test images can and cannot say.
//!
//! Every function here is pure: scores in, numbers and words out. [`compare`](compare::compare) is the
//! whole table of a sweep at once; the modules below it are its parts. `docs/statistics.md` says in
//! plain words what each number means and how the methods were checked by simulation.
//!
//! Scores are fractions from 0 to 1 throughout, and so are differences, margins and half-widths.
//!
//! ```
//! use stats::compare::{Settings, compare};
//! use stats::level::{Level, PerImage};
//!
//! // Two seeds, four test images: which were classified right.
//! let run = |right: [bool; 4]| right.to_vec();
//! let baseline = PerImage::new(
//!     vec![1, 2],
//!     &[run([true, true, false, true]), run([true, false, false, true])],
//! )?;
//! let level = PerImage::new(
//!     vec![1, 2],
//!     &[run([true, true, true, true]), run([true, false, true, true])],
//! )?;
//! let rows = compare(&Level::PerImage(baseline), &[Level::PerImage(level)], &Settings::default())?;
//! assert_eq!(rows[0].verdict.to_string(), "too few seeds to tell: 6 needed, 2 here");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bootstrap;
pub mod chosen;
pub mod compare;
pub mod crossed;
pub mod difference;
mod distribution;
pub mod holm;
pub mod importance;
pub mod interaction;
pub mod interval;
pub mod level;
pub mod permutation;
pub mod power;
pub mod rank;
pub mod score;
pub mod selection;
pub mod sequential;
pub mod simulation;
mod spread;
pub mod two_models;
pub mod verdict;
