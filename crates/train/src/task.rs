//! What one run is to do, and whether it can.

use std::rc::Rc;

use spec::config::{Builtin as Config, Monitor, Validation, Views};
use spec::protocol::{Event, RunOrder};
use spec::record::{Outcome, Predictions};
use tch::{Device, TchError, Tensor};

use crate::answers::{Named, Sets, Trained, conclude};
use crate::augment::Augmented;
use crate::data::{Folder, SplitError};
use crate::fit::Samples;
use crate::lane::Lane;
use crate::library::ImageSet;
use crate::link::{Halt, Link};
use crate::loss::{Loss, class_weights};

/// What a run is to do, once its images are listed.
#[derive(Debug)]
pub(crate) struct Task<'a> {
    pub(crate) order: &'a RunOrder,
    pub(crate) loss: Loss,
    pub(crate) lanes: Vec<Lane<'a>>,
    /// For each lane, how much the images of each class count; absent: all the same.
    pub(crate) class_weights: Vec<Option<Vec<f32>>>,
}

/// The images of runs, and what a model reads of them.
pub(crate) struct Images<'a> {
    pub(crate) train: Read,
    /// Where validation has a folder of its own.
    pub(crate) validation: Option<Read>,
    pub(crate) test: Option<Read>,
    /// What is read in place of the training images; absent: they.
    pub(crate) augmented: Option<Augmented<'a>>,
    pub(crate) classes: Vec<String>,
    /// Of the training images.
    pub(crate) labels: Vec<u32>,
}

/// A folder's images with what a model reads of them.
pub(crate) struct Read {
    pub(crate) set: Rc<ImageSet>,
    pub(crate) inputs: Tensor,
}

impl<'a> Task<'a> {
    pub(crate) fn new(order: &'a RunOrder, train: &Folder) -> Result<Self, Halt> {
        let config = &order.config;
        check(config)?;
        let classes = train.classes.as_deref().unwrap_or_default();
        let loss = loss(config, classes.len())?;
        let labels = train.labels().unwrap_or_default();
        let lanes = Lane::all(order, &labels).map_err(|error| unsplittable(error, train))?;
        let class_weights = |lane: &Lane<'_>| {
            let of = |image: &i64| labels[*image as usize];
            let trained: Vec<u32> = lane.split.training.iter().map(of).collect();
            class_weights(&config.train.class_weight, classes, &trained).map_err(|name| {
                Halt::Config(format!(
                    "class_weight names the class {name:?}, and the classes are {}",
                    classes.join(", ")
                ))
            })
        };
        let class_weights = lanes.iter().map(class_weights).collect::<Result<_, _>>()?;
        Ok(Self { order, loss, lanes, class_weights })
    }

    /// The images with what this run's logits are to become, on `device`.
    pub(crate) fn sets(&self, images: &Images<'_>, device: Device) -> Result<Sets, TchError> {
        let label_smoothing = self.order.config.train.label_smoothing;
        let named = |Read { set, inputs }: &Read| {
            let targets = match set.folder.labels() {
                Some(labels) => Some(self.loss.targets(&labels, label_smoothing, device)?),
                None => None,
            };
            let (inputs, images) = (inputs.shallow_clone(), 0..set.folder.images.len() as i64);
            let samples = Samples { inputs, targets, weights: None, images: images.collect() };
            Ok::<_, TchError>(Named { set: Rc::clone(set), samples })
        };
        Ok(Sets {
            train: named(&images.train)?,
            validation: images.validation.as_ref().map(named).transpose()?,
            test: images.test.as_ref().map(named).transpose()?,
        })
    }

    /// The end of the run, with one model for each lane.
    pub(crate) fn conclude(
        &self,
        sets: &Sets,
        models: Vec<Trained>,
        images: &Images<'_>,
        link: &Link<'_>,
    ) -> Result<Outcome, Halt> {
        let (finished, predicted) = conclude(self.loss, sets, models)?;
        let predictions = Predictions { classes: images.classes.clone(), images: predicted };
        link.send(&Event::Predictions { run: self.order.run, predictions })?;
        Ok(Outcome::Finished(finished))
    }
}

/// The loss for that many classes.
fn loss(config: &Config, classes: usize) -> Result<Loss, Halt> {
    if classes != 2 && config.monitors().any(|monitor| monitor == Monitor::ValAuc) {
        let cause = format!("val_auc is of two classes, and there are {classes}: watch val_loss");
        return Err(Halt::Config(cause));
    }
    Loss::with_output(config.model.output, classes).ok_or_else(|| {
        let cause = format!(
            "output = \"sigmoid\" tells two classes apart, and there are {classes}: use \"softmax\""
        );
        Halt::Config(cause)
    })
}

/// What cannot be trained, said before anything is done. The orchestrator refuses such configurations
/// too, pointing at the line.
fn check(config: &Config) -> Result<(), Halt> {
    let train = &config.train;
    let without_validation = config.data.validation == Validation::None;
    let steps = [train.steps_per_epoch, train.validation_steps];
    let least = config.model.backbone.least_image_size();
    let problem = if config.data.image_size < least {
        format!("image_size is {}, and must be at least {least}", config.data.image_size)
    } else if train.batch_size == 0 || train.epochs == 0 || steps.contains(&Some(0)) {
        "batch_size, epochs, steps_per_epoch and validation_steps must be at least 1".to_owned()
    } else if !(train.learning_rate.is_finite() && train.learning_rate > 0.0) {
        format!("learning_rate is {}, and must be a number above 0", train.learning_rate)
    } else if config.augment.as_ref().is_some_and(|augment| augment.views == Views::Fixed(0)) {
        "views must be at least 1, or \"fresh\"".to_owned()
    } else if config.model.hidden.contains(&0) {
        "a hidden layer needs at least one unit".to_owned()
    } else if let Some(monitor) =
        config.monitors().find(|monitor| monitor.needs_validation() && without_validation)
    {
        format!("{} is monitored, and without validation images there is none", monitor.name())
    } else {
        return Ok(());
    };
    Err(Halt::Config(problem))
}

/// Training images that cannot be split as the configuration asks.
fn unsplittable(error: SplitError, train: &Folder) -> Halt {
    let root = train.root.display();
    Halt::Config(match error {
        SplitError::NothingToSpare => format!(
            "no class of {root} has an image to spare for validation: add images, or set validation \
             to \"none\" or a folder"
        ),
        SplitError::TooManyFolds { folds, class, images } => {
            let class = &train.classes.as_deref().unwrap_or_default()[class as usize];
            format!(
                "folds = {folds} is more than the {images} images of {root}/{class}: there can be at \
                 most as many folds as the smallest class has images"
            )
        }
    })
}
