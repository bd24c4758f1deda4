//! A run's tables as CSV.

use std::path::Path;

use spec::record::{EpochMetrics, ImageSet, Prediction, Predictions};

use super::WriteError;

/// `metrics.csv`: a row for each epoch, `fold` empty without folds. Without an epoch there is still the
/// header.
pub(super) fn metrics(history: &[EpochMetrics]) -> Result<Vec<u8>, WriteError> {
    let mut csv = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    csv.write_record([
        "fold",
        "epoch",
        "loss",
        "accuracy",
        "val_loss",
        "val_accuracy",
        "val_auc",
        "learning_rate",
        "seconds",
    ])?;
    for row in history {
        csv.serialize(row)?;
    }
    finish(csv)
}

/// `predictions.csv`: a row for each image, classes by name, a column of probabilities for each. `fold`
/// is whose model said it, empty without folds and where all models said it together.
pub(super) fn predictions(predictions: &Predictions) -> Result<Vec<u8>, WriteError> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let mut header: Vec<String> =
        ["set", "fold", "image", "label", "predicted"].map(str::to_owned).to_vec();
    header.extend(predictions.classes.iter().map(|class| format!("p_{class}")));
    csv.write_record(&header)?;
    for image in &predictions.images {
        let set = match image.set {
            ImageSet::Validation => "validation",
            ImageSet::Test => "test",
        };
        let label = image.label.map(|label| class(predictions, label)).unwrap_or_default();
        let predicted = class(predictions, image.predicted);
        let fold = image.fold.map(|fold| fold.to_string()).unwrap_or_default();
        let mut row = vec![set.to_owned(), fold, image.image.clone(), label, predicted];
        row.extend(image.probabilities.iter().map(f32::to_string));
        csv.write_record(&row)?;
    }
    finish(csv)
}

/// `submission.csv`, if there are test images without labels: `id` is an image's name without folder
/// and ending, `label` the class; in the order of the ids.
pub(super) fn submission(predictions: &Predictions) -> Result<Option<Vec<u8>>, WriteError> {
    let unlabelled = |image: &&Prediction| image.set == ImageSet::Test && image.label.is_none();
    let mut rows: Vec<(String, String)> = predictions
        .images
        .iter()
        .filter(unlabelled)
        .map(|image| (id(&image.image), class(predictions, image.predicted)))
        .collect();
    if rows.is_empty() {
        return Ok(None);
    }
    rows.sort();
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(["id", "label"])?;
    for (id, label) in rows {
        csv.write_record([id, label])?;
    }
    finish(csv).map(Some)
}

fn id(image: &str) -> String {
    Path::new(image).file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// A class by its number; the number itself where the worker named no such class.
fn class(predictions: &Predictions, number: u32) -> String {
    match predictions.classes.get(number as usize) {
        Some(name) => name.clone(),
        None => number.to_string(),
    }
}

fn finish(csv: csv::Writer<Vec<u8>>) -> Result<Vec<u8>, WriteError> {
    csv.into_inner().map_err(|error| std::io::Error::other(error.to_string()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    fn image(set: ImageSet, image: &str, label: Option<u32>, predicted: u32) -> Prediction {
        let probabilities = if predicted == 0 { vec![0.75, 0.25] } else { vec![0.125, 0.875] };
        Prediction { set, fold: None, image: image.to_owned(), label, predicted, probabilities }
    }

    fn some() -> Predictions {
        Predictions {
            classes: vec!["cleaned".to_owned(), "dirty".to_owned()],
            images: vec![
                image(ImageSet::Test, "0001.jpg", None, 1),
                image(ImageSet::Test, "0000.jpg", None, 0),
                Prediction {
                    fold: Some(3),
                    ..image(ImageSet::Validation, "dirty/0007.jpg", Some(1), 0)
                },
            ],
        }
    }

    #[test]
    fn epochs_without_validation_have_empty_fields() {
        let row = |fold, epoch, val_loss| EpochMetrics {
            fold,
            epoch,
            loss: Some(0.5),
            accuracy: Some(0.75),
            val_loss,
            val_accuracy: val_loss,
            val_auc: val_loss,
            learning_rate: Some(1e-4),
            seconds: 0.25,
        };
        insta::assert_snapshot!(text(metrics(&[row(None, 1, Some(1.5)), row(Some(2), 2, None)]).unwrap()), @"
        fold,epoch,loss,accuracy,val_loss,val_accuracy,val_auc,learning_rate,seconds
        ,1,0.5,0.75,1.5,1.5,1.5,0.0001,0.25
        2,2,0.5,0.75,,,,0.0001,0.25
        ");
        assert!(text(metrics(&[]).unwrap()).starts_with("fold,epoch,"));
    }

    #[test]
    fn predictions_name_classes() {
        insta::assert_snapshot!(text(predictions(&some()).unwrap()), @"
        set,fold,image,label,predicted,p_cleaned,p_dirty
        test,,0001.jpg,,dirty,0.125,0.875
        test,,0000.jpg,,cleaned,0.75,0.25
        validation,3,dirty/0007.jpg,dirty,cleaned,0.75,0.25
        ");
    }

    #[test]
    fn a_submission_is_what_the_leaderboard_wants() {
        insta::assert_snapshot!(text(submission(&some()).unwrap().unwrap()), @"
        id,label
        0000,cleaned
        0001,dirty
        ");
        let labelled = Predictions { images: some().images.split_off(2), ..some() };
        assert_eq!(submission(&labelled).unwrap(), None);
    }
}
