//! Synthetic photographs of clean and dirty plates.
//!
//! A stand-in for a data set that may not be shipped: few training photographs, many test
//! photographs, and a shift between them (other tables, other kinds of dishes), so that what a
//! classifier learns, and how, shows in its score. A photograph is rendered from a small scene: a
//! dish as a height field with a material and a print, dirt on it, a table, a room that lights it
//! and is mirrored in it, and a phone's camera.
//!
//! ```no_run
//! synth::Plates::default().write("data/plates".as_ref(), &|_done| {})?;
//! # Ok::<(), synth::WriteError>(())
//! ```

mod camera;
mod canvas;
mod cloth;
mod color;
mod cutlery;
mod design;
mod dirt;
mod dish;
mod light;
mod noise;
mod pattern;
mod photo;
mod scene;
mod surface;
mod table;
mod write;

pub use write::WriteError;

/// A set of photographs. One build gives the same bytes for the same seed wherever it runs, and
/// photograph number *i* is the same however many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plates {
    /// What all randomness hangs on.
    pub seed: u64,
    /// Training photographs in total, half of them of each class (within one, if odd).
    pub train: u32,
    /// Test photographs in total, half of them of each class (within one, if odd).
    pub test: u32,
    /// Width and height in pixels, each from 1 to 65535.
    pub size: (u32, u32),
}

impl Default for Plates {
    /// Seed 1; 40 training and 744 test photographs of 341 x 256 pixels.
    fn default() -> Plates {
        Plates { seed: 1, train: 40, test: 744, size: (341, 256) }
    }
}

impl Plates {
    /// Photographs in all.
    pub fn count(&self) -> u64 {
        u64::from(self.train) + u64::from(self.test)
    }
}

/// A part of the data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Split {
    Train,
    Test,
}

impl Split {
    const ALL: [Split; 2] = [Split::Train, Split::Test];

    fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Test => "test",
        }
    }
}

/// What there is to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Cleaned,
    Dirty,
}

impl Class {
    const ALL: [Class; 2] = [Class::Cleaned, Class::Dirty];

    fn name(self) -> &'static str {
        match self {
            Class::Cleaned => "cleaned",
            Class::Dirty => "dirty",
        }
    }
}
