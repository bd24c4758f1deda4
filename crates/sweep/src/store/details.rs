//! A run's epochs, and what it said of each image, read back from its tables.

use std::io;
use std::path::Path;

use csv::StringRecord;
use serde::de::DeserializeOwned;
use spec::paths::RunDir;
use spec::record::EpochMetrics;

use super::ReadError;

/// What a run said of an image: a row of its `predictions.csv`.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    /// `validation` or `test`.
    pub set: String,
    /// The fold whose model said it, from 1; absent without folds, and where all said it together.
    pub fold: Option<u32>,
    /// Path relative to the set's folder.
    pub image: String,
    /// Its class; absent when it has no label.
    pub label: Option<String>,
    /// The most probable class.
    pub predicted: String,
    /// Probability of the most probable class.
    pub probability: Option<f64>,
    /// Probability of its own class.
    pub label_probability: Option<f64>,
}

/// A run's epochs, in the order in which they were trained; none where they cannot be known.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn read_metrics(dir: &RunDir) -> Result<Vec<EpochMetrics>, ReadError> {
    rows(&dir.metrics(), |headers| {
        let headers = headers.clone();
        Ok(move |record: &StringRecord| deserialize(record, &headers))
    })
}

/// What a run said of its images, in the order of its file; none where that cannot be known.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn read_predictions(dir: &RunDir) -> Result<Vec<Said>, ReadError> {
    rows(&dir.predictions(), |headers| {
        let headers = headers.clone();
        let column = |name: &str| {
            let place = headers.iter().position(|header| header == name);
            place.ok_or_else(|| missing(name))
        };
        let (set, fold, image) = (column("set")?, column("fold")?, column("image")?);
        let (label, predicted) = (column("label")?, column("predicted")?);
        let probability = move |record: &StringRecord, class: &str| {
            let of_class = |header: &str| header.strip_prefix("p_") == Some(class);
            record.get(headers.iter().position(of_class)?)?.parse().ok()
        };
        Ok(move |record: &StringRecord| {
            let word = |place: usize| record[place].to_owned();
            let own = Some(word(label)).filter(|label| !label.is_empty());
            Ok(Said {
                set: word(set),
                fold: record[fold].parse().ok(),
                image: word(image),
                probability: probability(record, &record[predicted]),
                label_probability: own.as_deref().and_then(|label| probability(record, label)),
                label: own,
                predicted: word(predicted),
            })
        })
    })
}

fn deserialize<T: DeserializeOwned>(
    record: &StringRecord,
    headers: &StringRecord,
) -> csv::Result<T> {
    record.deserialize(Some(headers))
}

fn missing(column: &str) -> csv::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("there is no column {column}")).into()
}

/// The rows of a file, each as `reader` of its headers reads it.
fn rows<T, R: Fn(&StringRecord) -> csv::Result<T>>(
    file: &Path,
    reader: impl FnOnce(&StringRecord) -> csv::Result<R>,
) -> Result<Vec<T>, ReadError> {
    let opened = match fs_err::File::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    let read = || -> csv::Result<Vec<T>> {
        let mut csv = csv::Reader::from_reader(opened);
        let read = reader(csv.headers()?)?;
        csv.into_records().map(|record| read(&record?)).collect()
    };
    match read() {
        Ok(rows) => Ok(rows),
        Err(error) => match error.into_kind() {
            csv::ErrorKind::Io(error) if error.kind() != io::ErrorKind::InvalidData => {
                Err(error.into())
            }
            broken => {
                tracing::warn!("{} cannot be understood: {broken:?}; left out", file.display());
                Ok(Vec::new())
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use spec::paths::ResultsDir;
    use spec::record::PlanRun;
    use spec::run_id::RunId;

    use super::*;

    fn folder(metrics: &str, predictions: &str) -> (tempfile::TempDir, RunDir) {
        let folder = tempfile::tempdir().unwrap();
        let run = RunId::from_digest([7; 32]);
        let dir =
            ResultsDir::new(folder.path()).run(&PlanRun { run, slug: "x".to_owned(), seed: 1 });
        fs_err::create_dir_all(dir.root()).unwrap();
        fs_err::write(dir.metrics(), metrics).unwrap();
        fs_err::write(dir.predictions(), predictions).unwrap();
        (folder, dir)
    }

    #[test]
    fn what_was_written_is_read_back() {
        let epochs = [EpochMetrics {
            fold: Some(2),
            epoch: 1,
            loss: Some(f64::NAN),
            accuracy: Some(0.5),
            val_loss: None,
            val_accuracy: Some(0.25),
            val_auc: None,
            learning_rate: Some(1e-4),
            seconds: 0.5,
        }];
        let metrics = super::super::tables::metrics(&epochs).unwrap();
        let (_folder, dir) = folder(
            &String::from_utf8(metrics).unwrap(),
            "set,fold,image,label,predicted,p_cleaned,p_dirty\n\
             test,,0001.jpg,,dirty,0.125,0.875\nvalidation,3,d/7.jpg,dirty,cleaned,0.75,0.25\n",
        );
        let read = read_metrics(&dir).unwrap();
        assert!(read[0].loss.is_some_and(f64::is_nan));
        assert_eq!(
            (read[0].fold, read[0].val_loss, read[0].val_accuracy),
            (Some(2), None, Some(0.25))
        );
        let said = read_predictions(&dir).unwrap();
        assert_eq!((said[0].fold, &said[0].label, said[0].probability), (None, &None, Some(0.875)));
        assert_eq!((said[1].fold, said[1].label_probability), (Some(3), Some(0.25)));
    }

    #[test]
    fn what_is_broken_counts_as_not_there() {
        let (_folder, dir) = folder("epoch,loss\n1,x\n", "set,image\ntest,1.jpg\n");
        assert_eq!(read_metrics(&dir).unwrap(), []);
        assert_eq!(read_predictions(&dir).unwrap(), []);
        fs_err::remove_file(dir.metrics()).unwrap();
        assert_eq!(read_metrics(&dir).unwrap(), []);
        fs_err::create_dir(dir.metrics()).unwrap();
        assert!(read_metrics(&dir).is_err(), "a folder in its place cannot be read");
    }
}
