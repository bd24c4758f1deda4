//! The training loop.

use spec::record::Evaluation;
use tch::{Device, Kind, TchError, Tensor};

use crate::auc::auc;
use crate::augment::{Augmented, View};
use crate::batches::Batches;
use crate::checkpoint::{Keeper, Kept};
use crate::course::{Course, Fit, Measured, mean_loss};
use crate::lane::Lane;
use crate::link::{Halt, Link};
use crate::looks::Looks;
use crate::loss::Loss;
use crate::model::{Model, Snapshot};
use crate::native::send;
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

/// Without waiting for the device: it may be at earlier steps still.
fn select(of: &Tensor, positions: &[i64]) -> Result<Tensor, TchError> {
    of.f_index_select(0, &send(&Tensor::f_from_slice(positions)?, of.device())?)
}

/// Trains `model` as `lane` says, sending an event for each epoch. What `keeper` has of an earlier attempt is
/// where it begins.
///
/// # Errors
/// When the loss is no longer finite, libtorch fails, or the run is stopped.
pub fn fit(
    model: &mut Model<'_>,
    train: Training<'_>,
    validation: Option<&Samples>,
    lane: &Lane<'_>,
    keeper: &mut Keeper<'_>,
    link: &Link<'_>,
) -> Result<Fit, Halt> {
    let Training { samples, .. } = train;
    let Some(targets) = &samples.targets else {
        return Err(Halt::Config("training images need labels".to_owned()));
    };
    let mut course = Course::new(lane);
    let (steps, in_a_pass) = (course.steps(samples.images.len()), train.in_a_pass());
    course.announce(samples.images.len(), in_a_pass, link)?;
    let batch_size = lane.config.train.batch_size as usize;
    let mut batches = Batches::new(in_a_pass, batch_size, lane.source.stream(Purpose::Shuffle));
    let mut looks = validation.map(|samples| (samples, Looks::new(samples.images.clone(), lane)));
    let mut best: Option<Snapshot> = None;
    let mut over = false;
    if let Some(kept) = keeper.find(lane, model, link)? {
        let Kept { standing, best: kept_best, over: was_over } = kept;
        (0..standing.updates()).for_each(|_| _ = batches.next_batch());
        if let Some((_, looks)) = &mut looks {
            (0..standing.epochs()).for_each(|_| _ = looks.next_look());
        }
        (best, over) = (kept_best, was_over);
        course.resume(standing, link)?;
    }
    while !over {
        let epoch = course.begin();
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
            let logits = model.step(&inputs, &targets, weights, course.learning_rate())?;
            totals.add(&logits, &targets, weights)?;
            seen += images.len() as u64;
        }
        let training = totals.read(seen, epoch, "training")?;
        let validation = match &mut looks {
            Some((samples, looks)) => {
                Some(validate(model, &samples.only(looks.next_look()), epoch, link)?)
            }
            None => None,
        };
        let turn = course.end(steps, Measured { training, validation }, link)?;
        if turn.keep {
            best = Some(model.snapshot()?);
        }
        over = turn.over;
        keeper.epoch(&course, model, best.as_ref(), over, link)?;
    }
    if let Some(best) = &best {
        model.restore(best)?;
    }
    course.close(best.is_some(), link)
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
        let loss = mean_loss(self.loss.f_double_value(&[])?, images, epoch, set)?;
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
    let targets = select(targets, &samples.images)?.f_reshape([-1])?;
    let mut logits = Vec::<f32>::try_from(logits.f_reshape([-1])?)?;
    let each = loss.logits() as usize;
    let (mut sum, mut correct) = (0.0, 0);
    let targets = Vec::<f32>::try_from(targets)?;
    for (logits, targets) in logits.chunks_exact_mut(each).zip(targets.chunks_exact(each)) {
        let worth = loss.derive(logits, targets);
        sum += f64::from(worth.loss);
        correct += u64::from(worth.right);
    }
    let images = samples.images.len() as u64;
    Ok(Evaluation { images, correct, loss: mean_loss(sum, images, epoch, set)? })
}
