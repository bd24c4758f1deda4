//! What a run and the outside have to say to each other, and how a run ends early.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use spec::protocol::{Event, Stage};
use spec::record::{Outcome, Predictions};
use tch::TchError;

use crate::data::{DecodeError, FolderError};
use crate::graph::UnknownLayer;
use crate::weights::WeightsError;

/// Probabilities in one line, which is then a few megabytes long.
const MOST_PROBABILITIES: usize = 1 << 18;

/// Where events go, and where the wish to stop comes from.
pub struct Link<'a> {
    /// Takes an event.
    pub emit: &'a dyn Fn(&Event) -> io::Result<()>,
    /// Whether the run is to stop at the next batch; asked by all threads that train.
    pub stopped: &'a (dyn Fn() -> bool + Sync),
}

/// Why a run ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// It was told to.
    #[error("stopped on request")]
    Stopped,
    /// The loss became infinite or not a number.
    #[error("{cause}")]
    Diverged {
        /// The epoch in which that was seen, from 1.
        epoch: u32,
        /// One line for a person.
        cause: String,
    },
    /// The configuration cannot be trained.
    #[error("{0}")]
    Config(String),
    /// A folder holds not what is expected.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// An image cannot be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The images are not those that the run was planned on.
    #[error("the images in {} have changed since the sweep began", root.display())]
    Changed {
        /// Where they are.
        root: PathBuf,
    },
    /// The weights cannot be used.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The features cannot be kept.
    #[error("the feature cache cannot be used")]
    Cache(#[source] io::Error),
    /// The backbone has no such layer.
    #[error(transparent)]
    Layer(#[from] UnknownLayer),
    /// libtorch failed.
    #[error(transparent)]
    Torch(#[from] TchError),
    /// Nobody takes events any more.
    #[error("events cannot be written")]
    Emit(#[source] io::Error),
}

impl Link<'_> {
    /// Sends an event.
    ///
    /// # Errors
    /// When nobody takes it.
    pub fn send(&self, event: &Event) -> Result<(), Halt> {
        if let Event::Predictions { run, predictions: Predictions { classes, images } } = event {
            let most = (MOST_PROBABILITIES / classes.len().max(1)).max(1);
            if images.len() > most {
                return images.chunks(most).try_for_each(|images| {
                    let (classes, images) = (classes.clone(), images.to_vec());
                    let predictions = Predictions { classes, images };
                    self.send(&Event::Predictions { run: *run, predictions })
                });
            }
        }
        (self.emit)(event).map_err(Halt::Emit)
    }

    /// Whether to go on.
    ///
    /// # Errors
    /// [`Halt::Stopped`] when not.
    pub fn check(&self) -> Result<(), Halt> {
        if (self.stopped)() { Err(Halt::Stopped) } else { Ok(()) }
    }

    /// Says how far work is, and asks whether to go on.
    ///
    /// # Errors
    /// [`Halt::Stopped`] when not.
    pub fn progress(&self, stage: Stage, done: usize, total: usize) -> Result<(), Halt> {
        self.check()?;
        self.send(&Event::Progress { stage, done: done as u64, total: total as u64 })
    }
}

impl Halt {
    /// What is wrong, where other runs on the same images and weights would fare no better.
    pub fn broken(&self) -> Option<String> {
        let common = matches!(
            self,
            Self::Folder(_) | Self::Decode(_) | Self::Changed { .. } | Self::Weights(_)
        );
        match self.outcome() {
            // Memory that ran out is another matter.
            Outcome::Failed { cause } if common => Some(cause),
            _ => None,
        }
    }

    /// How the run is recorded.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Stopped => Outcome::Interrupted { cause: self.to_string() },
            Self::Diverged { epoch, cause } => {
                Outcome::Diverged { epoch: *epoch, cause: cause.clone() }
            }
            _ => failure(&chain(self)),
        }
    }
}

/// How a run is recorded that ended with this message: libtorch has no error code for memory that ran
/// out, only words.
pub(crate) fn failure(message: &str) -> Outcome {
    let cause = without_frames(message).to_owned();
    let lower = message.to_ascii_lowercase();
    if lower.contains("out of memory") || lower.contains("can't allocate memory") {
        Outcome::OutOfMemory { cause: cause.lines().next().unwrap_or_default().to_owned() }
    } else {
        Outcome::Failed { cause }
    }
}

/// An error and its causes, as one text.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// libtorch's message without the C++ frames behind it.
fn without_frames(message: &str) -> &str {
    message.split("\nException raised from").next().unwrap_or_default().trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_tells_what_became_of_a_run() {
        let cpu = "Internal torch error: [enforce fail at alloc_cpu.cpp:127] err == 0. \
                   DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes.\n\
                   Exception raised from alloc_cpu at ../c10/core/impl/alloc_cpu.cpp:127";
        let cuda = "CUDA out of memory. Tried to allocate 2.00 GiB.\nException raised from malloc";
        for message in [cpu, cuda] {
            let Outcome::OutOfMemory { cause } = failure(message) else { panic!("{message}") };
            assert!(cause.contains("allocate") && !cause.contains("raised"), "{cause}");
        }
        assert_eq!(
            failure("shapes differ\nException raised from x"),
            Outcome::Failed { cause: "shapes differ".to_owned() }
        );
    }

    #[test]
    fn predictions_of_many_images_come_in_parts() {
        use spec::record::{ImageSet, Prediction};
        use std::cell::RefCell;

        let image = |number: usize| Prediction {
            set: ImageSet::Test,
            fold: None,
            image: format!("{number}.jpg"),
            label: None,
            predicted: 0,
            probabilities: vec![0.001; 1000],
        };
        let classes = (0..1000).map(|class| class.to_string()).collect();
        let predictions = Predictions { classes, images: (0..600).map(image).collect() };
        let run = spec::run_id::RunId::from_digest([1; 32]);
        let parts = RefCell::new(Vec::new());
        let emit = |event: &Event| {
            let Event::Predictions { predictions, .. } = event else { panic!("{event:?}") };
            parts.borrow_mut().push(predictions.clone());
            Ok(())
        };
        let link = Link { emit: &emit, stopped: &|| false };
        link.send(&Event::Predictions { run, predictions: predictions.clone() }).unwrap();
        let parts = parts.into_inner();
        assert_eq!(parts.iter().map(|part| part.images.len()).collect::<Vec<_>>(), [262, 262, 76]);
        let images: Vec<_> = parts.into_iter().flat_map(|part| part.images).collect();
        assert_eq!(images, predictions.images);
    }

    #[test]
    fn libtorch_says_that_memory_ran_out() {
        let bytes = 1i64 << 60;
        let error =
            tch::Tensor::f_empty([bytes], (tch::Kind::Uint8, tch::Device::Cpu)).unwrap_err();
        let outcome = Halt::Torch(error).outcome();
        assert!(matches!(outcome, Outcome::OutOfMemory { .. }), "{outcome:?}");
    }
}
