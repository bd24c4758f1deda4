//! The course of a fit: its epochs, their learning rates, and what watches them.
//!
//! Whoever computes the steps, be it libtorch or the kernel of [`crate::lanes`], is told here how they
//! go on.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use spec::config::{EarlyStopping, LearningRateSchedule, Monitor};
use spec::protocol::Event;
use spec::record::{EpochMetrics, Evaluation, StoppedEarly};

use crate::callbacks::{Reducer, Stopper, Verdict};
use crate::lane::Lane;
use crate::link::{Halt, Link};

/// What a fit that came to its end has to say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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

/// A fit under way, between its steps.
#[derive(Debug)]
pub struct Course<'a> {
    lane: &'a Lane<'a>,
    stopper: Option<Stopper>,
    reducer: Option<Reducer>,
    learning_rate: f64,
    begun: Instant,
    fit: Fit,
    /// What was said of each epoch.
    history: Vec<EpochMetrics>,
}

/// How far a fit is: all of its course that changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Standing {
    stopper: Option<Stopper>,
    reducer: Option<Reducer>,
    learning_rate: f64,
    fit: Fit,
    history: Vec<EpochMetrics>,
}

impl Standing {
    /// Epochs trained.
    pub fn epochs(&self) -> u32 {
        self.fit.epochs
    }

    /// Steps taken.
    pub fn updates(&self) -> u64 {
        self.fit.updates
    }
}

/// What an epoch measured.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// In training. Images are those of all steps, repeats included.
    pub training: Evaluation,
    /// On validation images, where there are any, with the area under the ROC curve of two classes.
    pub validation: Option<(Evaluation, Option<f64>)>,
}

/// How a fit goes on after an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Its weights are the ones to restore at the end, unless a later epoch's are.
    pub keep: bool,
    /// There is no epoch after it.
    pub over: bool,
}

impl<'a> Course<'a> {
    /// Before the first epoch.
    pub fn new(lane: &'a Lane<'a>) -> Self {
        let config = lane.config;
        Self {
            lane,
            stopper: config.early_stopping.clone().map(Stopper::new),
            reducer: config.reduce_lr_on_plateau.clone().map(Reducer::new),
            learning_rate: config.train.learning_rate,
            begun: Instant::now(),
            fit: Fit { epochs: 0, updates: 0, images_seen: 0, stopped_early: None },
            history: Vec::new(),
        }
    }

    /// The fit.
    pub fn lane(&self) -> &'a Lane<'a> {
        self.lane
    }

    /// How far it is.
    pub fn standing(&self) -> Standing {
        let Self { stopper, reducer, learning_rate, fit, history, .. } = self;
        Standing {
            stopper: stopper.clone(),
            reducer: reducer.clone(),
            learning_rate: *learning_rate,
            fit: fit.clone(),
            history: history.clone(),
        }
    }

    /// Goes on from where a fit like this one stood, and says of each epoch what was said then.
    ///
    /// # Errors
    /// When nobody takes the events.
    pub fn resume(&mut self, standing: Standing, link: &Link<'_>) -> Result<(), Halt> {
        let Standing { stopper, reducer, learning_rate, fit, history } = standing;
        let run = self.lane.run;
        *self = Self { stopper, reducer, learning_rate, fit, history, ..*self };
        let mut said = self.history.iter().map(|&metrics| Event::Epoch { run, metrics });
        said.try_for_each(|event| link.send(&event))
    }

    /// Optimiser steps of an epoch on so many images: their views do not make it longer.
    pub fn steps(&self, images: usize) -> u64 {
        match self.lane.config.train.steps_per_epoch {
            Some(steps) => u64::from(steps),
            None => images.div_ceil(self.lane.config.train.batch_size as usize) as u64,
        }
    }

    /// Says it where a batch is larger than all that there is: a pass shows `in_a_pass` views of
    /// `images` images, or the images themselves.
    ///
    /// # Errors
    /// When nobody takes the event.
    pub fn announce(&self, images: usize, in_a_pass: usize, link: &Link<'_>) -> Result<(), Halt> {
        let batch_size = self.lane.config.train.batch_size as usize;
        if batch_size <= in_a_pass {
            return Ok(());
        }
        let what = match in_a_pass == images {
            true => format!("{images} training images"),
            false => format!("{in_a_pass} views of {images} training images"),
        };
        let text =
            format!("batch_size {batch_size} is more than the {what}: every step sees {in_a_pass}");
        self.lane.note(text, link)
    }

    /// Begins the next epoch, the number of which it returns, from 1.
    pub fn begin(&mut self) -> u32 {
        let train = &self.lane.config.train;
        let epoch = self.fit.epochs + 1;
        if train.learning_rate_schedule != LearningRateSchedule::Constant {
            let schedule = train.learning_rate_schedule;
            self.learning_rate = schedule.rate(train.learning_rate, epoch, train.epochs);
        }
        self.begun = Instant::now();
        epoch
    }

    /// The learning rate of this epoch.
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    /// Ends an epoch of so many steps: sends what it measured and decides how to go on.
    ///
    /// # Errors
    /// When nobody takes the event.
    pub fn end(&mut self, steps: u64, measured: Measured, link: &Link<'_>) -> Result<Turn, Halt> {
        let Measured { training, validation } = measured;
        let lane = self.lane;
        let epoch = self.fit.epochs + 1;
        let metrics = EpochMetrics {
            fold: lane.source.fold,
            epoch,
            loss: Some(training.loss),
            accuracy: Some(training.accuracy()),
            val_loss: validation.map(|(validated, _)| validated.loss),
            val_accuracy: validation.map(|(validated, _)| validated.accuracy()),
            val_auc: validation.and_then(|(_, auc)| auc),
            learning_rate: Some(self.learning_rate),
            seconds: self.begun.elapsed().as_secs_f64(),
        };
        self.fit.epochs = epoch;
        self.fit.updates += steps;
        self.fit.images_seen += training.images;
        self.history.push(metrics);
        link.send(&Event::Epoch { run: lane.run, metrics })?;

        self.miss(&metrics, link)?;
        let settings = &lane.config.reduce_lr_on_plateau;
        if let (Some(reducer), Some(settings)) = (&mut self.reducer, settings)
            && let Some(value) = monitored(&metrics, settings.monitor)
            && let Some(reduction) = reducer.observe(epoch, value, self.learning_rate)
        {
            self.learning_rate = reduction.learning_rate;
            lane.note(reduction.explanation, link)?;
        }
        let mut turn = Turn { keep: false, over: epoch >= lane.config.train.epochs };
        let settings = &lane.config.early_stopping;
        if let (Some(stopper), Some(settings)) = (&mut self.stopper, settings)
            && let Some(value) = monitored(&metrics, settings.monitor)
        {
            match stopper.observe(epoch, value) {
                Verdict::Best => turn.keep = settings.restore_best_weights,
                Verdict::Wait => {}
                Verdict::Stop => {
                    turn.over = true;
                    if let Some(best) = stopper.best() {
                        if says(settings) {
                            lane.note(stopper.explain(epoch, best), link)?;
                        }
                        self.fit.stopped_early =
                            Some(StoppedEarly { epoch, best_epoch: best.epoch, best: best.value });
                    }
                }
            }
        }
        Ok(turn)
    }

    /// Says of a watched quantity, the first time, that this epoch has none.
    fn miss(&self, metrics: &EpochMetrics, link: &Link<'_>) -> Result<(), Halt> {
        let before = &self.history[..self.history.len().saturating_sub(1)];
        for (watcher, monitor) in [
            ("early_stopping", self.lane.config.early_stopping.as_ref().map(|it| it.monitor)),
            (
                "reduce_lr_on_plateau",
                self.lane.config.reduce_lr_on_plateau.as_ref().map(|it| it.monitor),
            ),
        ] {
            let Some(monitor) = monitor else { continue };
            let lacks = |metrics: &EpochMetrics| monitored(metrics, monitor).is_none();
            if lacks(metrics) && !before.iter().any(lacks) {
                let why = match monitor {
                    Monitor::ValAuc => ": the validation images measured are of one class",
                    _ => "",
                };
                let (epoch, name) = (metrics.epoch, monitor.name());
                let text = format!(
                    "epoch {epoch} has no {name}{why}; {watcher} goes by the epochs that have one"
                );
                self.lane.note(text, link)?;
            }
        }
        Ok(())
    }

    /// Ends the fit, with weights that were kept restored or not.
    ///
    /// # Errors
    /// When nobody takes the event.
    pub fn close(self, restored: bool, link: &Link<'_>) -> Result<Fit, Halt> {
        let Self { lane, stopper, fit, .. } = self;
        // Early stopping has said it; a restoration after the last epoch is said here.
        if restored
            && fit.stopped_early.is_none()
            && lane.config.early_stopping.as_ref().is_some_and(says)
            && let Some(best) = stopper.as_ref().and_then(Stopper::best)
            && best.epoch != fit.epochs
        {
            let text = format!(
                "epoch {}, the last: restored the weights of epoch {}",
                fit.epochs, best.epoch
            );
            lane.note(text, link)?;
        }
        Ok(fit)
    }
}

fn says(settings: &EarlyStopping) -> bool {
    settings.verbose > 0
}

fn monitored(metrics: &EpochMetrics, monitor: Monitor) -> Option<f64> {
    match monitor {
        Monitor::Loss => metrics.loss,
        Monitor::Accuracy => metrics.accuracy,
        Monitor::ValLoss => metrics.val_loss,
        Monitor::ValAccuracy => metrics.val_accuracy,
        Monitor::ValAuc => metrics.val_auc,
    }
}

/// The mean loss of images of a set, given its sum.
///
/// # Errors
/// When it is no number or infinite.
pub(crate) fn mean_loss(sum: f64, images: u64, epoch: u32, set: &str) -> Result<f64, Halt> {
    let loss = sum / images as f64;
    if loss.is_finite() {
        return Ok(loss);
    }
    let cause =
        format!("the {set} loss became {loss} in epoch {epoch}: a lower learning rate may help");
    Err(Halt::Diverged { epoch, cause })
}
