//! The training loop.

use std::time::Instant;

use spec::config::{EarlyStopping, LearningRateSchedule, Monitor};
use spec::protocol::Event;
use spec::record::{EpochMetrics, Evaluation, StoppedEarly};
use tch::{Device, Kind, TchError, Tensor};

use crate::auc::auc;
use crate::augment::{Augmented, View};
use crate::batches::Batches;
use crate::callbacks::{Reducer, Stopper, Verdict};
use crate::lane::Lane;
use crate::link::{Halt, Link};
use crate::loss::Loss;
use crate::model::{Model, Snapshot};
use crate::random::Purpose;

/// Images for training or measuring: some of a folder's.
#[derive(Debug)]
pub struct Samples {
    /// What the model reads, one for each image of the folder.
    pub inputs: Tensor,
    /// What the logits should become, one for each image of the folder; absent without labels.
    pub targets: Option<Tensor>,
    /// How much each image of the folder counts in training, `[images, 1]`; absent: all the same.
    pub weights: Option<Tensor>,
    /// Positions of these images in the folder.
    pub images: Vec<i64>,
}

impl Samples {
    /// Of the same folder the images at `positions`, all of which count the same.
    #[must_use]
    pub fn only(&self, positions: Vec<i64>) -> Self {
        Self {
            inputs: self.inputs.shallow_clone(),
            targets: self.targets.as_ref().map(Tensor::shallow_clone),
            weights: None,
            images: positions,
        }
    }

    /// The inputs of the images at `positions` of the folder.
    fn inputs(&self, positions: &[i64]) -> Result<Tensor, TchError> {
        select(&self.inputs, positions)
    }
}

/// What training reads.
#[derive(Debug, Clone, Copy)]
pub struct Training<'a> {
    /// The images, with labels.
    pub samples: &'a Samples,
    /// What is read of them in place of their inputs; absent: those.
    pub augmented: Option<&'a Augmented<'a>>,
}

/// What a training step is shown.
struct Shown {
    /// Positions of the images in the folder.
    images: Vec<i64>,
    inputs: Tensor,
}

impl Training<'_> {
    /// How many images a pass shows, each view of one counted.
    fn in_a_pass(&self) -> usize {
        self.samples.images.len() * self.augmented.map_or(1, Augmented::in_a_pass)
    }

    /// What a batch of a pass, counted from 0, shows: `batch` are numbers below [`Self::in_a_pass`].
    fn shown(&self, batch: &[i64], pass: u64) -> Result<Shown, TchError> {
        let all = &self.samples.images;
        let images: Vec<i64> = batch.iter().map(|&shown| all[shown as usize % all.len()]).collect();
        let inputs = match self.augmented {
            None => self.samples.inputs(&images)?,
            Some(augmented) => {
                let number = |shown: i64| augmented.number(shown as usize / all.len(), pass);
                let view = |(&image, &shown)| View { image, number: number(shown) };
                augmented.inputs(&images.iter().zip(batch).map(view).collect::<Vec<_>>())?
            }
        };
        Ok(Shown { images, inputs })
    }
}

fn select(of: &Tensor, positions: &[i64]) -> Result<Tensor, TchError> {
    of.f_index_select(0, &Tensor::f_from_slice(positions)?.f_to_device(of.device())?)
}

/// What a loop that came to its end has to say.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// Epochs really trained.
    pub epochs: u32,
    /// Optimiser steps really taken.
    pub updates: u64,
    /// Images that went through those steps.
    pub images_seen: u64,
    /// Set when early stopping ended it.
    pub stopped_early: Option<StoppedEarly>,
}

/// Trains `model` as `lane` says, sending an event for each epoch.
///
/// # Errors
/// When the loss is no longer finite, libtorch fails, or the run is stopped.
pub fn fit(
    model: &mut Model<'_>,
    train: Training<'_>,
    validation: Option<&Samples>,
    lane: &Lane<'_>,
    link: &Link<'_>,
) -> Result<Fit, Halt> {
    let config = lane.config;
    let Training { samples, .. } = train;
    let Some(targets) = &samples.targets else {
        return Err(Halt::Config("training images need labels".to_owned()));
    };
    let batch_size = config.train.batch_size as usize;
    let steps = match config.train.steps_per_epoch {
        Some(steps) => u64::from(steps),
        // Of images, not of views: an epoch is as long with views as without.
        None => samples.images.len().div_ceil(batch_size) as u64,
    };
    let order = lane.source.stream(Purpose::Shuffle);
    let in_a_pass = train.in_a_pass();
    let mut batches = Batches::new(in_a_pass, batch_size, order);
    let mut looks = validation.map(|samples| Looks::new(samples, lane));
    let mut stopper = config.early_stopping.clone().map(Stopper::new);
    let mut reducer = config.reduce_lr_on_plateau.clone().map(Reducer::new);
    let mut best: Option<Snapshot> = None;
    let schedule = config.train.learning_rate_schedule;
    let mut learning_rate = config.train.learning_rate;
    let mut fit = Fit { epochs: 0, updates: 0, images_seen: 0, stopped_early: None };
    let note = |text: String| lane.note(text, link);
    let says = |stopper: &EarlyStopping| stopper.verbose > 0;
    let verbose = config.early_stopping.as_ref().is_some_and(says);
    if batch_size > in_a_pass {
        let what = match samples.images.len() {
            images if images == in_a_pass => format!("{images} training images"),
            images => format!("{in_a_pass} views of {images} training images"),
        };
        note(format!(
            "batch_size {batch_size} is more than the {what}: every step sees {in_a_pass}"
        ))?;
    }

    for epoch in 1..=config.train.epochs {
        let begun = Instant::now();
        if schedule != LearningRateSchedule::Constant {
            learning_rate = schedule.rate(config.train.learning_rate, epoch, config.train.epochs);
        }
        let mut totals = Totals::new(model.loss, model.device())?;
        let mut seen = 0;
        for _ in 0..steps {
            link.check()?;
            let batch = batches.next_batch().to_vec();
            let Shown { images, inputs } = train.shown(&batch, batches.pass())?;
            let targets = select(targets, &images)?;
            let weights = match &samples.weights {
                Some(weights) => Some(select(weights, &images)?),
                None => None,
            };
            let weights = weights.as_ref();
            let logits = model.step(&inputs, &targets, weights, learning_rate)?;
            totals.add(&logits, &targets, weights)?;
            seen += images.len() as u64;
        }
        let trained = totals.read(seen, epoch, "training")?;
        let validated = match &mut looks {
            Some(looks) => Some(validate(model, &looks.next_look(), epoch, link)?),
            None => None,
        };
        let metrics = EpochMetrics {
            fold: lane.source.fold,
            epoch,
            loss: trained.loss,
            accuracy: trained.accuracy(),
            val_loss: validated.map(|(validated, _)| validated.loss),
            val_accuracy: validated.map(|(validated, _)| validated.accuracy()),
            val_auc: validated.and_then(|(_, auc)| auc),
            learning_rate,
            seconds: begun.elapsed().as_secs_f64(),
        };
        fit.epochs = epoch;
        fit.updates += steps;
        fit.images_seen += seen;
        link.send(&Event::Epoch { run: lane.run, metrics })?;

        if let (Some(reducer), Some(settings)) = (&mut reducer, &config.reduce_lr_on_plateau)
            && let Some(value) = monitored(&metrics, settings.monitor)
            && let Some(reduction) = reducer.observe(epoch, value, learning_rate)
        {
            learning_rate = reduction.learning_rate;
            note(reduction.explanation)?;
        }
        if let (Some(stopper), Some(settings)) = (&mut stopper, &config.early_stopping)
            && let Some(value) = monitored(&metrics, settings.monitor)
        {
            match stopper.observe(epoch, value) {
                Verdict::Best if settings.restore_best_weights => best = Some(model.snapshot()?),
                Verdict::Best | Verdict::Wait => {}
                Verdict::Stop => {
                    if let Some(best) = stopper.best() {
                        if verbose {
                            note(stopper.explain(epoch, best))?;
                        }
                        fit.stopped_early =
                            Some(StoppedEarly { epoch, best_epoch: best.epoch, best: best.value });
                    }
                    break;
                }
            }
        }
    }
    if let Some(best) = &best {
        model.restore(best)?;
    }
    // Early stopping has said it; a restoration after the last epoch is said here.
    if let (None, Some(_), Some(at)) =
        (&fit.stopped_early, &best, stopper.as_ref().and_then(Stopper::best))
        && at.epoch != fit.epochs
        && verbose
    {
        note(format!(
            "epoch {}, the last: restored the weights of epoch {}",
            fit.epochs, at.epoch
        ))?;
    }
    Ok(fit)
}

fn monitored(metrics: &EpochMetrics, monitor: Monitor) -> Option<f64> {
    match monitor {
        Monitor::Loss => Some(metrics.loss),
        Monitor::Accuracy => Some(metrics.accuracy),
        Monitor::ValLoss => metrics.val_loss,
        Monitor::ValAccuracy => metrics.val_accuracy,
        Monitor::ValAuc => metrics.val_auc,
    }
}

/// What validation images the epochs are measured on, one after the other.
struct Looks<'a> {
    all: &'a Samples,
    /// Where an epoch sees a part of them: an endless stream of batches, and how many of it.
    part: Option<(Batches, u32)>,
}

impl<'a> Looks<'a> {
    fn new(all: &'a Samples, lane: &Lane<'_>) -> Self {
        let batch_size = lane.config.train.batch_size as usize;
        let batches = all.images.len().div_ceil(batch_size) as u64;
        let steps = lane.config.train.validation_steps;
        let part = steps.filter(|steps| u64::from(*steps) < batches).map(|steps| {
            let order = lane.source.stream(Purpose::ValidationShuffle);
            (Batches::new(all.images.len(), batch_size, order), steps)
        });
        Self { all, part }
    }

    fn next_look(&mut self) -> Samples {
        let images = match &mut self.part {
            None => self.all.images.clone(),
            Some((batches, steps)) => {
                let mut positions = Vec::new();
                for _ in 0..*steps {
                    positions.extend_from_slice(batches.next_batch());
                }
                positions.iter().map(|&position| self.all.images[position as usize]).collect()
            }
        };
        self.all.only(images)
    }
}

/// Loss and right answers of many batches, added up on the device: reading them back for every step
/// would make the device wait for the host.
struct Totals {
    measure: Loss,
    loss: Tensor,
    correct: Tensor,
}

impl Totals {
    fn new(measure: Loss, device: Device) -> Result<Self, TchError> {
        let zero = || Tensor::f_zeros([0i64; 0], (Kind::Float, device));
        Ok(Self { measure, loss: zero()?, correct: zero()? })
    }

    fn add(
        &mut self,
        logits: &Tensor,
        targets: &Tensor,
        weights: Option<&Tensor>,
    ) -> Result<(), TchError> {
        let _no_grad = tch::no_grad_guard();
        let _ = self.loss.f_add_(&self.measure.sum(logits, targets, weights)?)?;
        let _ = self.correct.f_add_(&self.measure.correct(logits, targets)?)?;
        Ok(())
    }

    fn read(self, images: u64, epoch: u32, set: &str) -> Result<Evaluation, Halt> {
        let loss = self.loss.f_double_value(&[])? / images as f64;
        if !loss.is_finite() {
            let cause = format!(
                "the {set} loss became {loss} in epoch {epoch}: a lower learning rate may help"
            );
            return Err(Halt::Diverged { epoch, cause });
        }
        Ok(Evaluation { images, correct: self.correct.f_double_value(&[])? as u64, loss })
    }
}

/// Images that are measured together: memory is what limits whole images and feature maps.
const MEASURED_TOGETHER: usize = 32;

/// The logits of `samples`, `[images, logits]`, as the trained model gives them.
///
/// # Errors
/// When libtorch fails or the run is stopped.
pub fn logits(model: &Model<'_>, samples: &Samples, link: &Link<'_>) -> Result<Tensor, Halt> {
    let mut logits = Vec::new();
    for images in samples.images.chunks(MEASURED_TOGETHER) {
        link.check()?;
        logits.push(model.logits(&samples.inputs(images)?)?);
    }
    Ok(Tensor::f_cat(&logits, 0)?)
}

/// Measures the model on validation images: loss and accuracy, and for two classes the area under the
/// ROC curve.
fn validate(
    model: &Model<'_>,
    samples: &Samples,
    epoch: u32,
    link: &Link<'_>,
) -> Result<(Evaluation, Option<f64>), Halt> {
    let logits = logits(model, samples, link)?;
    let evaluation = measure(model.loss, samples, &logits, epoch, "validation")?;
    let auc = match (&samples.targets, model.loss.scores(&logits)?) {
        (Some(targets), Some(scores)) => {
            let labels = model.loss.labels(&select(targets, &samples.images)?)?;
            auc(scores.into_iter().zip(labels.iter().map(|label| *label == 1)).collect())
        }
        _ => None,
    };
    Ok((evaluation, auc))
}

/// Measures logits that were given for labelled images.
///
/// # Errors
/// When the loss is not finite or libtorch fails.
pub fn measure(
    loss: Loss,
    samples: &Samples,
    logits: &Tensor,
    epoch: u32,
    set: &str,
) -> Result<Evaluation, Halt> {
    let Some(targets) = &samples.targets else {
        return Err(Halt::Config(format!("the {set} images need labels")));
    };
    let mut totals = Totals::new(loss, logits.device())?;
    totals.add(logits, &select(targets, &samples.images)?, None)?;
    totals.read(samples.images.len() as u64, epoch, set)
}
