//! One run from order to outcome.

use std::path::Path;

use spec::config::{Augment, Config, Monitor, Validation, Views as HowMany};
use spec::protocol::{Event, RunOrder};
use spec::record::{Outcome, Predictions};
use tch::{Device, Tensor};

use crate::answers::{Named, Sets, Trained, conclude};
use crate::augment::{Augmented, Drawn, Views};
use crate::backbones::Backbone;
use crate::data::{Folder, Split, SplitError, Square};
use crate::device::OneThread;
use crate::features::{Encoder, Features, Prefix, Request};
use crate::fit::{Samples, Training, fit, logits};
use crate::graph::LayerIndex;
use crate::head::Design;
use crate::lane::Lane;
use crate::library::{ImageSet, Library, Loaded, folders};
use crate::link::{Halt, Link};
use crate::loss::{Loss, class_weights};
use crate::model::{Model, Start};

/// Trains runs, keeping what the next ones may share: images, weights, features.
#[derive(Debug)]
pub struct Trainer {
    device: Device,
    library: Library,
    features: Features,
}

/// What all models of a run have in common.
struct Task<'a> {
    prefix: Prefix<'a>,
    first_trainable: Option<LayerIndex>,
    loaded: &'a Loaded,
    loss: Loss,
    /// Of the training images.
    labels: &'a [u32],
    classes: &'a [String],
    /// What is read in place of the training images; absent: they.
    augmented: Option<&'a Augmented<'a>>,
}

impl Trainer {
    /// A trainer on `device` that knows nothing yet.
    pub fn new(device: Device) -> Self {
        Self { device, library: Library::new(device), features: Features::new(device) }
    }

    /// Trains one run with features kept under `cache`, sending its events but `started` and
    /// `finished`.
    ///
    /// # Errors
    /// When the run ends before its end.
    pub fn run(
        &mut self,
        order: &RunOrder,
        cache: &Path,
        link: &Link<'_>,
    ) -> Result<Outcome, Halt> {
        let config = &order.config;
        check(config)?;
        let backbone = Backbone::of_model(&config.model);
        let first_trainable = backbone.graph.first_trainable(&config.model.freeze)?;
        let cut = backbone.graph.cut(first_trainable);
        let prefix = Prefix { backbone: &backbone, cut, pooling: config.model.pooling };

        self.library.expect(order);
        let (train, validation, test) = folders(&config.data)?;
        let classes = train.classes.clone().unwrap_or_default();
        let loss = loss(config, classes.len())?;
        let labels = train.labels().unwrap_or_default();
        let lanes = Lane::all(order, &labels).map_err(|error| unsplittable(error, &train))?;
        let loaded = self.library.weights(order, &backbone)?;
        let request = Request {
            prefix,
            name: config.model.backbone.name(),
            loaded: &loaded,
            square: Square {
                side: config.data.image_size,
                interpolation: config.data.interpolation,
            },
            cache,
        };
        let goal = Goal { loss, label_smoothing: config.train.label_smoothing };
        let sets = Sets {
            train: self.named(train, goal, &request, link)?,
            validation: validation
                .map(|folder| self.named(folder, goal, &request, link))
                .transpose()?,
            test: test.map(|test| self.named(test, goal, &request, link)).transpose()?,
        };

        let augmented = match &config.augment {
            Some(augment) => {
                Some(self.augmented(&sets.train.set, augment, order.seed, &request, link)?)
            }
            None => None,
        };
        // Views that are drawn for every step keep the whole backbone busy.
        let is_head_alone = prefix.is_pooled() && !matches!(augmented, Some(Augmented::Drawn(_)));
        let _one_thread = is_head_alone.then(OneThread::begin);
        let task = Task {
            prefix,
            first_trainable,
            loaded: &loaded,
            loss,
            labels: &labels,
            classes: &classes,
            augmented: augmented.as_ref(),
        };
        let mut models = Vec::new();
        for lane in &lanes {
            let trained = self.train(lane, &task, &sets, link);
            models.push(trained.map_err(|halt| lane.halt(halt))?);
        }
        let (finished, images) = conclude(loss, &sets, models)?;
        let predictions = Predictions { classes, images };
        link.send(&Event::Predictions { run: order.run, predictions })?;
        Ok(Outcome::Finished(finished))
    }

    /// Trains one model and asks it about the validation and test images.
    fn train(
        &self,
        lane: &Lane<'_>,
        task: &Task<'_>,
        sets: &Sets,
        link: &Link<'_>,
    ) -> Result<Trained, Halt> {
        let config = lane.config;
        let Split { training, validation: aside } = lane.split.clone();
        let weights = self.weights(config, task, &training)?;
        let train = Samples { weights, ..sets.train.samples.only(training) };
        let validation = match &sets.validation {
            Some(folder) => Some(folder.samples.only(folder.samples.images.clone())),
            None => (!aside.is_empty()).then(|| sets.train.samples.only(aside)),
        };
        let start = Start {
            loss: task.loss,
            design: &Design::of(&config.model),
            optimizer: config.train.optimizer,
            source: lane.source,
        };
        let mut model = Model::new(
            task.prefix,
            task.first_trainable,
            &task.loaded.weights,
            &train.inputs.f_narrow(0, 0, 1)?,
            start,
        )?;
        let training = Training { samples: &train, augmented: task.augmented };
        let fit = fit(&mut model, training, validation.as_ref(), lane, link)?;
        let ask = |samples: &Samples| logits(&model, samples, link);
        let test = sets.test.as_ref().map(|test| ask(&test.samples)).transpose()?;
        let validation = match validation {
            Some(samples) => Some((ask(&samples)?, samples.images)),
            None => None,
        };
        Ok(Trained { fold: lane.source.fold, fit, validation, test })
    }

    /// Gives memory back, after some ran out.
    pub fn forget(&mut self) {
        self.library.clear();
        self.features.clear();
    }

    /// What training reads of the images of `set` in place of them. Of images that this run validates on
    /// views are computed too: another seed trains on them.
    fn augmented<'a>(
        &mut self,
        set: &ImageSet,
        augment: &Augment,
        seed: u64,
        request: &Request<'a>,
        link: &Link<'_>,
    ) -> Result<Augmented<'a>, Halt> {
        let prefix = request.prefix;
        let (views, count) = match augment.views {
            HowMany::Fresh => (Views::fresh(augment, seed), None),
            HowMany::Fixed(count) if prefix.is_empty() => (Views::fixed(augment), Some(count)),
            HowMany::Fixed(count) => {
                let views = (augment, count);
                let inputs =
                    self.features.of_views(set, views, request, &mut self.library, link)?;
                return Ok(Augmented::Kept { inputs, count });
            }
        };
        let pixels = self.library.pixels(set, request.square, link)?;
        let encoder = (!prefix.is_empty()).then(|| Encoder {
            prefix,
            loaded: request.loaded.clone(),
            device: self.device,
        });
        Ok(Augmented::Drawn(Box::new(Drawn { pixels, views, count, encoder })))
    }

    /// A folder's images with what the model reads of them.
    fn named(
        &mut self,
        folder: Folder,
        goal: Goal,
        request: &Request<'_>,
        link: &Link<'_>,
    ) -> Result<Named, Halt> {
        let set = self.library.set(folder)?;
        let inputs = if request.prefix.is_empty() {
            self.library.pixels(&set, request.square, link)?
        } else {
            self.features.of(&set, request, &mut self.library, link)?
        };
        let targets = match set.folder.labels() {
            Some(labels) => Some(goal.loss.targets(&labels, goal.label_smoothing, self.device)?),
            None => None,
        };
        let images = (0..set.folder.images.len() as i64).collect();
        Ok(Named { set, samples: Samples { inputs, targets, weights: None, images } })
    }

    /// How much each image of the training folder counts, by those of it that are trained on.
    fn weights(
        &self,
        config: &Config,
        task: &Task<'_>,
        training: &[i64],
    ) -> Result<Option<Tensor>, Halt> {
        let Task { classes, labels, .. } = task;
        let trained: Vec<u32> = training.iter().map(|image| labels[*image as usize]).collect();
        let weights = class_weights(&config.train.class_weight, classes, &trained);
        let weights = weights.map_err(|name| {
            Halt::Config(format!(
                "class_weight names the class {name:?}, and the classes are {}",
                classes.join(", ")
            ))
        })?;
        let Some(weights) = weights else { return Ok(None) };
        let of_images: Vec<f32> = labels.iter().map(|label| weights[*label as usize]).collect();
        Ok(Some(Tensor::f_from_slice(&of_images)?.f_reshape([-1, 1])?.f_to_device(self.device)?))
    }
}

/// The quantities that are watched.
fn monitors(config: &Config) -> impl Iterator<Item = Monitor> {
    let early = config.early_stopping.as_ref().map(|settings| settings.monitor);
    let reduce = config.reduce_lr_on_plateau.as_ref().map(|settings| settings.monitor);
    early.into_iter().chain(reduce)
}

/// What logits are to become.
#[derive(Debug, Clone, Copy)]
struct Goal {
    loss: Loss,
    label_smoothing: f64,
}

/// The loss for that many classes.
fn loss(config: &Config, classes: usize) -> Result<Loss, Halt> {
    if classes != 2 && monitors(config).any(|monitor| monitor == Monitor::ValAuc) {
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
    } else if config.augment.as_ref().is_some_and(|augment| augment.views == HowMany::Fixed(0)) {
        "views must be at least 1, or \"fresh\"".to_owned()
    } else if config.model.hidden.contains(&0) {
        "a hidden layer needs at least one unit".to_owned()
    } else if let Some(monitor) =
        monitors(config).find(|monitor| monitor.needs_validation() && without_validation)
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
