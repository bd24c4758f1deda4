//! One fit: a configuration under a seed, of one fold where there are several.

use spec::config::{Builtin as Config, Validation};
use spec::protocol::{Event, RunOrder};
use spec::run_id::RunId;

use crate::data::{Split, SplitError, split};
use crate::link::{Halt, Link};
use crate::random::Source;

/// A fit of a run: what makes it differ from any other. It has its own split, order of images, initial
/// head and callbacks, all of which follow from it.
#[derive(Debug, Clone)]
pub struct Lane<'a> {
    /// The run that it belongs to.
    pub run: RunId,
    /// What to train.
    pub config: &'a Config,
    /// What all its randomness hangs on.
    pub source: Source,
    /// Which images of the training folder it trains on, and which it sets aside.
    pub split: Split,
}

impl<'a> Lane<'a> {
    /// The fits of a run on training images with these `labels`: one, or one for each fold.
    ///
    /// # Errors
    /// When the images cannot be split as the configuration asks.
    pub fn all(order: &'a RunOrder, labels: &[u32]) -> Result<Vec<Self>, SplitError> {
        let RunOrder { run, seed, config, .. } = order;
        let lane = |fold| {
            let source = Source { seed: *seed, fold };
            let split = split(labels, &config.data.validation, source)?;
            Ok(Self { run: *run, config, source, split })
        };
        match config.data.validation {
            Validation::Folds(folds) => (1..=folds).map(Some).map(lane).collect(),
            Validation::None | Validation::Fraction(_) | Validation::Folder(_) => {
                Ok(vec![lane(None)?])
            }
        }
    }

    /// Says something about this fit.
    ///
    /// # Errors
    /// When nobody takes it.
    pub fn note(&self, text: String, link: &Link<'_>) -> Result<(), Halt> {
        let text = match self.source.fold {
            Some(fold) => format!("fold {fold}, {text}"),
            None => text,
        };
        link.send(&Event::Note { run: self.run, text })
    }

    /// An end of this fit as the end of its run.
    pub fn halt(&self, halt: Halt) -> Halt {
        match (halt, self.source.fold) {
            (Halt::Diverged { epoch, cause }, Some(fold)) => {
                Halt::Diverged { epoch, cause: format!("fold {fold}: {cause}") }
            }
            (halt, _) => halt,
        }
    }
}
