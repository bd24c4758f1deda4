//! One fit on the kernel.

use spec::config::KernelInitializer;
use spec::record::Evaluation;

use super::columns::{Columns, Snapshot};
use super::loss::Goal;
use super::table::Table;
use crate::auc::auc;
use crate::batches::Batches;
use crate::course::{Course, Fit, Measured, mean_loss};
use crate::head::draw_kernel;
use crate::lane::Lane;
use crate::link::{Halt, Link};
use crate::looks::Looks;
use crate::random::Purpose;

/// What many fits read.
#[derive(Debug)]
pub struct Material {
    /// What training reads: of each image of the training folder one row, or one for each of its views,
    /// view 0 of every image first.
    pub training: Table,
    /// The images of the training folder themselves, where training reads views of them.
    pub images: Option<Table>,
    /// Of the images of the training folder.
    pub labels: Vec<u32>,
    /// Where validation images have a folder of their own: they, and their labels.
    pub validation: Option<(Table, Vec<u32>)>,
    /// The test images.
    pub test: Option<Table>,
}

/// What one fit is to do.
#[derive(Debug)]
pub struct Plan<'a> {
    /// Its configuration, split and randomness.
    pub lane: &'a Lane<'a>,
    /// Its loss.
    pub goal: Goal,
    /// How its kernel begins.
    pub initializer: KernelInitializer,
    /// How much the images of each class count; absent: all the same.
    pub class_weights: Option<&'a [f32]>,
}

/// What a trained head says.
#[derive(Debug)]
pub struct Answers {
    /// How it came to be.
    pub fit: Fit,
    /// Of its validation images, `[images, logits]`, and their positions in their folder.
    pub validation: Option<(Vec<f32>, Vec<i64>)>,
    /// Of the test images, `[images, logits]`.
    pub test: Option<Vec<f32>>,
}

/// A fit under way.
pub(super) struct Fitting<'a> {
    plan: &'a Plan<'a>,
    material: &'a Material,
    columns: Columns,
    course: Course<'a>,
    batches: Batches,
    /// Absent without validation images.
    looks: Option<Looks>,
    /// Steps of an epoch.
    steps: u64,
    epoch: Epoch,
    best: Option<Snapshot>,
    /// Of the batch in hand; kept for its memory.
    logits: Vec<f32>,
}

/// An epoch under way.
#[derive(Debug, Clone, Copy)]
struct Epoch {
    /// From 1.
    number: u32,
    steps: u64,
    /// Losses and right answers so far.
    loss: f64,
    images: u64,
    correct: u64,
}

impl AsMut<Columns> for Fitting<'_> {
    fn as_mut(&mut self) -> &mut Columns {
        &mut self.columns
    }
}

impl Material {
    fn training_images(&self) -> &Table {
        self.images.as_ref().unwrap_or(&self.training)
    }

    /// The images that a fit is validated on, their labels, and its positions among them.
    fn validation(&self, aside: &[i64]) -> Option<(&Table, &[u32], Vec<i64>)> {
        match &self.validation {
            Some((table, labels)) => Some((table, labels, (0..table.rows() as i64).collect())),
            None if aside.is_empty() => None,
            None => Some((self.training_images(), &self.labels, aside.to_vec())),
        }
    }
}

impl<'a> Fitting<'a> {
    /// Begins a fit: its first batch is asked for.
    pub(super) fn begin(
        plan: &'a Plan<'a>,
        material: &'a Material,
        link: &Link<'_>,
    ) -> Result<Self, Halt> {
        let lane = plan.lane;
        let images = lane.split.training.len();
        let views = material.training.rows() / material.labels.len();
        let mut course = Course::new(lane);
        course.announce(images, images * views, link)?;
        let logits = plan.goal.loss.logits() as usize;
        let features = material.training.features();
        let mut rng = lane.source.stream(Purpose::Head);
        let kernel = draw_kernel(&mut rng, plan.initializer, features, logits);
        let batch_size = lane.config.train.batch_size as usize;
        let order = lane.source.stream(Purpose::Shuffle);
        let validation = material.validation(&lane.split.validation);
        let mut fitting = Self {
            looks: validation.map(|(_, _, images)| Looks::new(images, lane)),
            plan,
            material,
            columns: Columns::new(&kernel, &vec![0.0; logits], lane.config.train.optimizer),
            batches: Batches::new(images * views, batch_size, order),
            steps: course.steps(images),
            epoch: Epoch::new(course.begin()),
            course,
            best: None,
            logits: Vec::new(),
        };
        fitting.ask();
        Ok(fitting)
    }

    /// Asks for the next batch.
    fn ask(&mut self) {
        let training = &self.plan.lane.split.training;
        let images = self.material.labels.len();
        let row = |shown: &i64| {
            let shown = *shown as usize;
            let (view, image) = (shown / training.len(), training[shown % training.len()]);
            (view * images) as u32 + image as u32
        };
        self.columns.ask(self.batches.next_batch().iter().map(row));
    }

    /// Goes on after a pass, which has found the logits of the batch in hand: follows their gradient and
    /// asks for the next batch. Whether the fit is over instead.
    pub(super) fn go_on(&mut self, link: &Link<'_>) -> Result<bool, Halt> {
        link.check()?;
        if self.epoch.steps == self.steps && self.end_epoch(link)? {
            return Ok(true);
        }
        let Self { plan, material, columns, epoch, logits, .. } = self;
        columns.logits(logits);
        let rows = columns.asked();
        let mean = 1.0 / rows.len() as f32;
        let of_each = plan.goal.loss.logits() as usize;
        for (logits, row) in logits.chunks_exact_mut(of_each).zip(rows) {
            let label = material.labels[*row as usize % material.labels.len()];
            let weight = plan.class_weights.map_or(1.0, |weights| weights[label as usize]);
            let worth = plan.goal.derive(logits, label);
            epoch.loss += f64::from(worth.loss * weight);
            epoch.correct += u64::from(worth.right);
            logits.iter_mut().for_each(|by_logit| *by_logit *= weight * mean);
        }
        epoch.images += rows.len() as u64;
        epoch.steps += 1;
        columns.follow(logits, self.course.learning_rate());
        self.ask();
        Ok(false)
    }

    /// Whether the epoch was the last one.
    fn end_epoch(&mut self, link: &Link<'_>) -> Result<bool, Halt> {
        let Epoch { number, loss, images, correct, .. } = self.epoch;
        let loss = mean_loss(loss, images, number, "training")?;
        let training = Evaluation { images, correct, loss };
        let validation = self.validate(number)?;
        let turn = self.course.end(self.steps, Measured { training, validation }, link)?;
        if turn.keep {
            self.best = Some(self.columns.snapshot());
        }
        if !turn.over {
            self.epoch = Epoch::new(self.course.begin());
        }
        Ok(turn.over)
    }

    /// Loss and accuracy on validation images, and for two classes the area under the ROC curve.
    fn validate(&mut self, epoch: u32) -> Result<Option<(Evaluation, Option<f64>)>, Halt> {
        let Self { plan, material, .. } = *self;
        let aside = &plan.lane.split.validation;
        let (Some((table, labels, _)), Some(looks)) = (material.validation(aside), &mut self.looks)
        else {
            return Ok(None);
        };
        let images = looks.next_look();
        let goal = &self.plan.goal;
        let mut logits = self.columns.measure(table, &rows(&images));
        let (mut sum, mut correct, mut scores) = (0.0, 0, Vec::new());
        let of_each = logits.chunks_exact_mut(goal.loss.logits() as usize);
        for (logits, image) in of_each.zip(&images) {
            let label = labels[*image as usize];
            scores.extend(goal.score(logits).map(|score| (score, label == 1)));
            let worth = goal.derive(logits, label);
            sum += f64::from(worth.loss);
            correct += u64::from(worth.right);
        }
        let count = images.len() as u64;
        let loss = mean_loss(sum, count, epoch, "validation")?;
        Ok(Some((Evaluation { images: count, correct, loss }, auc(scores))))
    }

    /// What the trained head says, once the fit is over.
    pub(super) fn answer(mut self, link: &Link<'_>) -> Result<Answers, Halt> {
        if let Some(best) = &self.best {
            self.columns.restore(best);
        }
        let material = self.material;
        let validation = material.validation(&self.plan.lane.split.validation);
        let all = |table: &Table| (0..table.rows() as u32).collect::<Vec<_>>();
        Ok(Answers {
            fit: self.course.close(self.best.is_some(), link)?,
            validation: validation
                .map(|(table, _, images)| (self.columns.measure(table, &rows(&images)), images)),
            test: material.test.as_ref().map(|table| self.columns.measure(table, &all(table))),
        })
    }
}

impl Epoch {
    fn new(number: u32) -> Self {
        Self { number, steps: 0, loss: 0.0, images: 0, correct: 0 }
    }
}

fn rows(images: &[i64]) -> Vec<u32> {
    images.iter().map(|image| *image as u32).collect()
}
