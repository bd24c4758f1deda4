//! One run from order to outcome.

use std::path::Path;
use std::rc::Rc;

use spec::config::{Config, Monitor, Validation};
use spec::protocol::{Event, RunOrder};
use spec::record::{Finished, ImageSet as SetName, Outcome, Prediction, Predictions};
use tch::{Device, Tensor};

use crate::backbones::Backbone;
use crate::data::{Folder, Square, split};
use crate::device::OneThread;
use crate::features::{Features, Prefix, Request};
use crate::fit::{Samples, fit, logits, measure};
use crate::head::Design;
use crate::library::{ImageSet, Library, folders};
use crate::link::{Halt, Link};
use crate::loss::{Loss, class_weights};
use crate::model::{Model, Start};
use crate::random::{Purpose, Source, stream};

/// Trains runs, keeping what the next ones may share: images, weights, features.
#[derive(Debug)]
pub struct Trainer {
    device: Device,
    library: Library,
    features: Features,
}

/// A set of images that a run trains on or is asked about.
struct Named {
    set: Rc<ImageSet>,
    samples: Samples,
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
        let backbone = Backbone::of(config.model.backbone);
        let first_trainable = backbone.graph.first_trainable(&config.model.freeze)?;
        let cut = backbone.graph.cut(first_trainable);
        let prefix = Prefix { backbone: &backbone, cut, pooling: config.model.pooling };

        let (train, validation, test) = folders(&config.data)?;
        let classes = train.classes.clone().unwrap_or_default();
        let loss = loss(config, classes.len())?;
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
        let mut train = self.named(train, goal, &request, link)?;
        let test = test.map(|test| self.named(test, goal, &request, link)).transpose()?;
        let validation = match &config.data.validation {
            Validation::Fraction(share) => Some(set_aside(&mut train, *share, order.seed)?),
            _ => validation.map(|folder| self.named(folder, goal, &request, link)).transpose()?,
        };

        let _one_thread = prefix.is_pooled().then(OneThread::begin);
        train.samples.weights = self.weights(config, &classes, &train)?;
        let start = Start {
            loss,
            design: &Design::of(&config.model),
            optimizer: config.train.optimizer,
            source: Source { seed: order.seed, fold: None },
        };
        let mut model = Model::new(
            prefix,
            first_trainable,
            &loaded.weights,
            &train.samples.inputs.f_narrow(0, 0, 1)?,
            start,
        )?;
        let fit = fit(
            &mut model,
            &train.samples,
            validation.as_ref().map(|named| &named.samples),
            config,
            stream(order.seed, Purpose::Shuffle),
            order.run,
            link,
        )?;

        let mut images = Vec::new();
        let mut ask = |named: Option<&Named>, set, word| {
            let Some(Named { set: of, samples }) = named else { return Ok(None) };
            let logits = logits(&model, samples, link)?;
            images.extend(predictions(loss, &logits, of, samples, set, fit.epochs)?);
            match samples.targets {
                Some(_) => measure(&model, samples, &logits, fit.epochs, word).map(Some),
                None => Ok(None),
            }
        };
        let test = ask(test.as_ref(), SetName::Test, "test")?;
        let validation = ask(validation.as_ref(), SetName::Validation, "validation")?;
        let predictions = Predictions { classes, images };
        link.send(&Event::Predictions { run: order.run, predictions })?;
        Ok(Outcome::Finished(Finished {
            epochs: fit.epochs,
            updates: fit.updates,
            images_seen: fit.images_seen,
            stopped_early: fit.stopped_early,
            validation,
            test,
        }))
    }

    /// Gives memory back, after some ran out.
    pub fn forget(&mut self) {
        self.library.clear();
        self.features.clear();
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
        classes: &[String],
        train: &Named,
    ) -> Result<Option<Tensor>, Halt> {
        let all = train.set.folder.labels().unwrap_or_default();
        let trained: Vec<u32> =
            train.samples.images.iter().map(|image| all[*image as usize]).collect();
        let weights = class_weights(&config.train.class_weight, classes, &trained);
        let weights = weights.map_err(|name| {
            Halt::Config(format!(
                "class_weight names the class {name:?}, and the classes are {}",
                classes.join(", ")
            ))
        })?;
        let Some(weights) = weights else { return Ok(None) };
        let of_images: Vec<f32> = all.iter().map(|label| weights[*label as usize]).collect();
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
    let problem = if config.data.image_size < 32 {
        format!("image_size is {}, and must be at least 32", config.data.image_size)
    } else if train.batch_size == 0 || train.epochs == 0 || train.steps_per_epoch == Some(0) {
        "batch_size, epochs and steps_per_epoch must be at least 1".to_owned()
    } else if !(train.learning_rate.is_finite() && train.learning_rate > 0.0) {
        format!("learning_rate is {}, and must be a number above 0", train.learning_rate)
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

/// Takes validation images out of the training images.
fn set_aside(train: &mut Named, share: f64, seed: u64) -> Result<Named, Halt> {
    let labels = train.set.folder.labels().unwrap_or_default();
    let (training, validation) = split(&labels, share, stream(seed, Purpose::Split));
    if validation.is_empty() {
        return Err(Halt::Config(format!(
            "no class of {} has an image to spare for validation: add images, or set validation to \
             \"none\" or a folder",
            train.set.folder.root.display()
        )));
    }
    let samples = Samples {
        inputs: train.samples.inputs.shallow_clone(),
        targets: train.samples.targets.as_ref().map(Tensor::shallow_clone),
        weights: None,
        images: validation,
    };
    train.samples.images = training;
    Ok(Named { set: Rc::clone(&train.set), samples })
}

/// What the model says of each of `samples`, given its logits.
fn predictions(
    loss: Loss,
    logits: &Tensor,
    of: &ImageSet,
    samples: &Samples,
    set: SetName,
    epoch: u32,
) -> Result<Vec<Prediction>, Halt> {
    let probabilities = loss.probabilities(logits)?;
    let classes = probabilities.size()[1] as usize;
    let probabilities = Vec::<f32>::try_from(probabilities.f_reshape([-1])?)?;
    if probabilities.iter().any(|probability| !probability.is_finite()) {
        let cause = "the trained model's probabilities are not numbers".to_owned();
        return Err(Halt::Diverged { epoch, cause });
    }
    let predictions = samples.images.iter().zip(probabilities.chunks_exact(classes));
    Ok(predictions
        .map(|(&at, probabilities)| {
            let image = &of.folder.images[at as usize];
            Prediction {
                set,
                image: image.name.clone(),
                label: image.label,
                predicted: most_probable(probabilities),
                probabilities: probabilities.to_vec(),
            }
        })
        .collect())
}

/// The first of the largest.
fn most_probable(probabilities: &[f32]) -> u32 {
    let mut best = 0;
    for (class, probability) in probabilities.iter().enumerate() {
        if *probability > probabilities[best] {
            best = class;
        }
    }
    best as u32
}
