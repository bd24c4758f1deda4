//! Which images a run told right, read back from its `predictions.csv`.

use spec::paths::RunDir;
use spec::record::Evaluation;

/// Which of some images a run told right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// Names the images: the same for the same ones.
    pub images: blake3::Hash,
    /// Whether each was told right, ordered by their names.
    pub right: Vec<bool>,
}

/// The answers that a run gave on its images of `set` (`test` or `validation`), of which `measured` was
/// stored. Nothing where they cannot be known: the score is, and it alone is then compared.
pub fn read_answers(dir: &RunDir, set: &str, measured: Evaluation) -> Option<Answers> {
    let file = dir.predictions();
    let answers = match read(&file, set) {
        Ok(answers) => answers,
        Err(error) => {
            tracing::info!("{}: {error}; images are not compared one by one", file.display());
            return None;
        }
    };
    let right = answers.right.iter().filter(|right| **right).count() as u64;
    if (answers.right.len() as u64, right) != (measured.images, measured.correct) {
        tracing::info!("{} is not what was measured: images are not compared", file.display());
        return None;
    }
    Some(answers)
}

fn read(file: &std::path::Path, set: &str) -> Result<Answers, csv::Error> {
    let text = fs_err::read(file)?;
    // To be ready to read costs more than to see that there is nothing: many runs tell of no image.
    if text.iter().position(|byte| *byte == b'\n').is_none_or(|end| end + 1 == text.len()) {
        return Ok(Answers { images: blake3::hash(&[]), right: Vec::new() });
    }
    let mut csv = csv::Reader::from_reader(text.as_slice());
    let headers = csv.headers()?.clone();
    let column = |name: &str| {
        let missing = || std::io::Error::other(format!("there is no column {name}"));
        headers.iter().position(|header| header == name).ok_or_else(missing)
    };
    let (of_set, image) = (column("set")?, column("image")?);
    let (label, predicted) = (column("label")?, column("predicted")?);
    let mut told = Vec::new();
    let mut record = csv::StringRecord::new();
    while csv.read_record(&mut record)? {
        if &record[of_set] == set {
            told.push((record[image].to_owned(), record[label] == record[predicted]));
        }
    }
    told.sort_unstable();
    let mut images = blake3::Hasher::new();
    for (image, _) in &told {
        images.update(&(image.len() as u64).to_le_bytes()).update(image.as_bytes());
    }
    let right = told.into_iter().map(|(_, right)| right).collect();
    Ok(Answers { images: images.finalize(), right })
}
