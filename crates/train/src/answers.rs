//! What the trained models of a run say of images, and what the run has to show for it.

use std::rc::Rc;

use spec::record::{Evaluation, Finished, Fold, ImageSet as SetName, Prediction};
use tch::Tensor;

use crate::course::Fit;
use crate::fit::{Samples, measure};
use crate::library::ImageSet;
use crate::link::Halt;
use crate::loss::Loss;

/// A set of images that a run trains on or is asked about.
pub(crate) struct Named {
    pub(crate) set: Rc<ImageSet>,
    pub(crate) samples: Samples,
}

/// The images of a run.
pub(crate) struct Sets {
    pub(crate) train: Named,
    /// Where validation has a folder of its own.
    pub(crate) validation: Option<Named>,
    pub(crate) test: Option<Named>,
}

/// A trained model's answers.
pub(crate) struct Trained {
    pub(crate) fold: Option<u32>,
    pub(crate) fit: Fit,
    /// Of the validation images, `[images, logits]`, and which images of their folder those are.
    pub(crate) validation: Option<(Tensor, Vec<i64>)>,
    /// Of the test images, `[images, logits]`.
    pub(crate) test: Option<Tensor>,
}

/// Images of a set with the logits that were given for them, `[images, logits]`.
struct Answers<'a> {
    of: &'a Named,
    name: SetName,
    /// Positions in the set's folder, and the folds whose models answered.
    images: Vec<(i64, Option<u32>)>,
    logits: Tensor,
    /// The last epoch of a model that answered.
    epoch: u32,
}

/// What a run with these models, at least one, has to show, and what it says of each image: the test
/// images first, each set in the order of its folder.
///
/// Of a validation image that is what the model says that was not trained on it; of a test image the mean
/// of all models' probabilities.
pub(crate) fn conclude(
    loss: Loss,
    sets: &Sets,
    models: Vec<Trained>,
) -> Result<(Finished, Vec<Prediction>), Halt> {
    models.iter().try_for_each(are_numbers)?;
    let test = test_answers(loss, sets, &models)?;
    let validation = validation_answers(sets, &models)?;
    let mut images = Vec::new();
    for answers in test.iter().chain(&validation) {
        images.extend(answers.predictions(loss)?);
    }
    let measured = |answers: Option<Answers<'_>>| match answers {
        Some(answers) => answers.measure(loss),
        None => Ok(None),
    };
    let total = |of: &dyn Fn(&Fit) -> u64| models.iter().map(|model| of(&model.fit)).sum::<u64>();
    let epochs = total(&|fit| fit.epochs.into()) as u32;
    let (updates, images_seen) = (total(&|fit| fit.updates), total(&|fit| fit.images_seen));
    let mut finished = Finished {
        epochs,
        updates,
        images_seen,
        stopped_early: None,
        validation: measured(validation)?,
        test: measured(test)?,
        score: None,
        folds: Vec::new(),
    };
    for model in models {
        match model.fold {
            Some(fold) => finished.folds.extend(one_fold(loss, sets, fold, model)?),
            None => finished.stopped_early = model.fit.stopped_early,
        }
    }
    Ok((finished, images))
}

/// Whether a model answers with numbers. One whose weights went to infinity in the last step has an
/// infinite logit for every image, and its probabilities would be a calm 0 and 1.
fn are_numbers(model: &Trained) -> Result<(), Halt> {
    for logits in model.validation.iter().map(|(logits, _)| logits).chain(&model.test) {
        if !logits.f_isfinite()?.f_all()?.f_int64_value(&[])?.eq(&1) {
            let epoch = model.fit.epochs;
            let fold = model.fold.map(|fold| format!("fold {fold}: ")).unwrap_or_default();
            let cause = format!(
                "{fold}the trained model's answers are not numbers after epoch {epoch}: a lower learning \
                 rate may help"
            );
            return Err(Halt::Diverged { epoch, cause });
        }
    }
    Ok(())
}

/// The mean of what all models say of the test images.
fn test_answers<'a>(
    loss: Loss,
    sets: &'a Sets,
    models: &[Trained],
) -> Result<Option<Answers<'a>>, Halt> {
    let Some(of) = &sets.test else { return Ok(None) };
    let logits: Vec<Tensor> =
        models.iter().filter_map(|model| model.test.as_ref()).map(Tensor::shallow_clone).collect();
    Ok(Some(Answers {
        of,
        name: SetName::Test,
        images: of.samples.images.iter().map(|image| (*image, None)).collect(),
        logits: loss.mean_of(&logits)?,
        epoch: last_epoch(models),
    }))
}

/// What each model says of its own validation images.
fn validation_answers<'a>(sets: &'a Sets, models: &[Trained]) -> Result<Option<Answers<'a>>, Halt> {
    let (mut rows, mut logits) = (Vec::new(), Vec::new());
    for model in models {
        if let Some((of_model, images)) = &model.validation {
            rows.extend(images.iter().map(|image| (*image, model.fold)));
            logits.push(of_model);
        }
    }
    if rows.is_empty() {
        return Ok(None);
    }
    let mut order: Vec<i64> = (0..rows.len() as i64).collect();
    order.sort_by_key(|row| rows[*row as usize]);
    let logits = Tensor::f_cat(&logits, 0)?;
    let by_image = Tensor::f_from_slice(&order)?.f_to_device(logits.device())?;
    Ok(Some(Answers {
        of: sets.validation.as_ref().unwrap_or(&sets.train),
        name: SetName::Validation,
        images: order.iter().map(|row| rows[*row as usize]).collect(),
        logits: logits.f_index_select(0, &by_image)?,
        epoch: last_epoch(models),
    }))
}

fn last_epoch(models: &[Trained]) -> u32 {
    models.iter().map(|model| model.fit.epochs).max().unwrap_or_default()
}

/// The record of one fold; none without validation images, which a fold always has.
fn one_fold(loss: Loss, sets: &Sets, fold: u32, model: Trained) -> Result<Option<Fold>, Halt> {
    let Trained { fit, validation: Some((logits, images)), test, .. } = model else {
        return Ok(None);
    };
    let aside = sets.train.samples.only(images);
    let test = match (&sets.test, test) {
        (Some(Named { samples, .. }), Some(logits)) if samples.targets.is_some() => {
            Some(measure(loss, samples, &logits, fit.epochs, "test")?)
        }
        _ => None,
    };
    Ok(Some(Fold {
        fold,
        epochs: fit.epochs,
        validation: measure(loss, &aside, &logits, fit.epochs, "validation")?,
        stopped_early: fit.stopped_early,
        test,
    }))
}

impl Answers<'_> {
    /// How good they are, where the images have labels.
    fn measure(&self, loss: Loss) -> Result<Option<Evaluation>, Halt> {
        let samples = &self.of.samples;
        if samples.targets.is_none() {
            return Ok(None);
        }
        let samples = samples.only(self.images.iter().map(|(image, _)| *image).collect());
        let word = match self.name {
            SetName::Test => "test",
            SetName::Validation => "validation",
        };
        measure(loss, &samples, &self.logits, self.epoch, word).map(Some)
    }

    /// What is said of each image.
    fn predictions(&self, loss: Loss) -> Result<Vec<Prediction>, Halt> {
        let probabilities = loss.probabilities(&self.logits)?;
        let classes = probabilities.size()[1] as usize;
        let probabilities = Vec::<f32>::try_from(probabilities.f_reshape([-1])?)?;
        let predictions = self.images.iter().zip(probabilities.chunks_exact(classes));
        Ok(predictions
            .map(|(&(at, fold), probabilities)| {
                let image = &self.of.set.folder.images[at as usize];
                Prediction {
                    set: self.name,
                    fold,
                    image: image.name.clone(),
                    label: image.label,
                    predicted: most_probable(probabilities),
                    probabilities: probabilities.to_vec(),
                }
            })
            .collect())
    }
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
