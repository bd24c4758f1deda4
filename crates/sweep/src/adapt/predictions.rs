//! The `predictions.csv` that a program may write: what it says of each image.

use std::collections::BTreeSet;
use std::path::Path;

use spec::record::{Evaluation, ImageSet, Prediction, Predictions};

/// A probability below counts as this one, as in Keras, so that no loss is infinite.
const LEAST: f32 = 1e-7;

/// What the file says; an error is the rest of "its predictions ...".
pub(super) fn read(file: &Path) -> Result<Predictions, String> {
    let wrong = |error: csv::Error| format!("cannot be read: {error}");
    let opened = fs_err::File::open(file).map_err(|error| format!("cannot be read: {error}"))?;
    let mut csv = csv::Reader::from_reader(opened);
    let headers = csv.headers().map_err(wrong)?.clone();
    let place = |name: &str| headers.iter().position(|header| header == name);
    let need = |name| place(name).ok_or_else(|| format!("have no column `{name}`"));
    let (image, predicted) = (need("image")?, need("predicted")?);
    let (label, set) = (place("label"), place("set"));
    let of_class = |header: &str| header.strip_prefix("p_").map(str::to_owned);
    let told: Vec<(usize, String)> = (0..)
        .zip(&headers)
        .filter_map(|(place, header)| Some((place, of_class(header)?)))
        .collect();
    let rows: Vec<csv::StringRecord> = csv.records().collect::<Result<_, _>>().map_err(wrong)?;
    let names = || {
        let labels = rows.iter().filter_map(|row| row.get(label?)).filter(|name| !name.is_empty());
        labels.chain(rows.iter().filter_map(|row| row.get(predicted)))
    };
    let classes: Vec<String> = match told.as_slice() {
        [] => names().map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect(),
        told => told.iter().map(|(_, class)| class.clone()).collect(),
    };
    let number = |name: &str| {
        let place = classes.iter().position(|class| class == name);
        place.map(|place| place as u32).ok_or_else(|| format!("have no column `p_{name}`"))
    };
    let mut images = Vec::new();
    for (line, row) in (2..).zip(&rows) {
        let cell = |place: usize| row.get(place).unwrap_or_default();
        let predicted = number(cell(predicted))?;
        let label = label.map(cell).filter(|label| !label.is_empty()).map(number).transpose()?;
        let probabilities = match told.as_slice() {
            // Who gives none is certain.
            [] => (0..)
                .zip(&classes)
                .map(|(class, _)| f32::from(u8::from(class == predicted)))
                .collect(),
            told => told
                .iter()
                .map(|(place, _)| {
                    let share = cell(*place).parse::<f32>().ok();
                    share.filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| {
                        format!("have a probability in line {line} that is none: {}", cell(*place))
                    })
                })
                .collect::<Result<Vec<f32>, String>>()?,
        };
        let set = match set.map(cell) {
            None | Some("test") => ImageSet::Test,
            Some("validation") => ImageSet::Validation,
            Some(other) => {
                return Err(format!(
                    "name a set in line {line} that is none of test, validation: {other}"
                ));
            }
        };
        images.push(Prediction {
            set,
            fold: None,
            image: cell(image).to_owned(),
            label,
            predicted,
            probabilities,
        });
    }
    Ok(Predictions { classes, images })
}

/// How well the labelled images of `set` are told; none without any.
pub(super) fn evaluate(predictions: &Predictions, set: ImageSet) -> Option<Evaluation> {
    let (mut images, mut correct, mut loss) = (0, 0, 0.0);
    for image in predictions.images.iter().filter(|image| image.set == set) {
        let Some(label) = image.label else { continue };
        images += 1;
        correct += u64::from(label == image.predicted);
        let share = image.probabilities.get(label as usize).copied().unwrap_or(0.0);
        loss -= f64::from(share.max(LEAST)).ln();
    }
    (images > 0).then(|| Evaluation { images, correct, loss: loss / images as f64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("predictions.csv");
        fs_err::write(&file, text).unwrap();
        match read(&file) {
            Err(what) => what,
            Ok(predictions) => format!(
                "{:?}: {:?} {:?}",
                predictions.classes,
                evaluate(&predictions, ImageSet::Test),
                evaluate(&predictions, ImageSet::Validation)
            ),
        }
    }

    #[test]
    fn predictions_are_read_and_measured() {
        let all = [
            "image,label,predicted\n1,a,a\n2,b,a\n",
            "image,predicted\n1,a\n2,b\n",
            "set,image,label,predicted,p_a,p_b\ntest,1,a,a,1,0\nvalidation,2,b,a,0.5,0.5\n",
            "image,label\n1,a\n",
            "image,label,predicted,p_a\n1,b,a,1\n",
            "image,predicted,p_a\n1,a,2\n",
            "set,image,predicted\ntrain,1,a\n",
            "image,predicted\n1\n",
            "",
        ]
        .map(said);
        insta::assert_snapshot!(all.join("\n"), @r#"
        ["a", "b"]: Some(Evaluation { images: 2, correct: 1, loss: 8.059047819636111 }) None
        ["a", "b"]: None None
        ["a", "b"]: Some(Evaluation { images: 1, correct: 1, loss: 0.0 }) Some(Evaluation { images: 1, correct: 0, loss: 0.6931471805599453 })
        have no column `predicted`
        have no column `p_b`
        have a probability in line 2 that is none: 2
        name a set in line 2 that is none of test, validation: train
        cannot be read: CSV error: record 1 (line: 2, byte: 16): found record with 1 fields, but the previous record has 2 fields
        have no column `image`
        "#);
    }
}
