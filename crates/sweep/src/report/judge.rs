//! What the scores of a table say beside the baseline's, and what they do not.

use std::collections::HashSet;

use serde::Serialize;
use stats::compare::{Comparison, Settings, judge};
use stats::difference::{Difference, Replicates, difference};
use stats::level::{Level, PerImage, PerSeed};
use stats::score::{Score, score};

use super::{Entry, Row, the_same};

/// Confidence of all intervals; the rest is the chance of a false claim in a table.
const CONFIDENCE: f64 = 0.95;

/// What is said of a row.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Judgement {
    /// Its mean with an interval; absent while nothing has finished.
    pub score: Option<Score>,
    /// Beside the baseline; absent for the baseline, and where the two cannot be compared.
    pub comparison: Option<Comparison>,
}

/// What is said of each of `rows`. Rows that were measured on other images than the baseline, or ran on
/// random weights, are not compared with it; those that wait still count among the comparisons planned.
pub(super) fn judgements(rows: &[Row], entries: &[Entry]) -> Vec<Judgement> {
    let levels: Vec<Option<Known>> = (0..)
        .zip(rows)
        .map(|(number, row)| match row.stand_in {
            true => None,
            false => level(entries.iter().filter(|entry| entry.row == number)),
        })
        .collect();
    let against_baseline = |row: &Row, level: &Option<Known>| -> Option<Difference> {
        let is_baseline = |(other, _): &(&Row, _)| other.baseline && other.stage == row.stage;
        let (measured, baseline) = rows.iter().zip(&levels).find(is_baseline)?;
        let on = |row: &Row| row.basis.zip(row.images);
        if row.baseline || row.cell || on(row).is_none() || on(row) != on(measured) {
            return None;
        }
        let (level, baseline) = (level.as_ref()?, baseline.as_ref()?);
        if let (Some(images), Some(others)) = (level.images, baseline.images)
            && images != others
        {
            return None;
        }
        // Without a seed in common there is nothing to say.
        difference(&level.level, &baseline.level, CONFIDENCE, Replicates::Fixed, 0).ok()
    };
    let differences: Vec<Option<Difference>> =
        rows.iter().zip(&levels).map(|(row, level)| against_baseline(row, level)).collect();
    let compared: Vec<bool> = differences.iter().map(Option::is_some).collect();
    let settings = Settings {
        alpha: 1.0 - CONFIDENCE,
        family: rows.iter().filter(|row| !row.baseline && !row.cell && !row.stand_in).count(),
        ..Settings::default()
    };
    let mut comparisons = judge(differences.into_iter().flatten().collect(), &settings).into_iter();
    levels
        .iter()
        .zip(compared)
        .map(|(level, compared)| Judgement {
            score: level.as_ref().map(|known| score(&known.level, CONFIDENCE)),
            comparison: compared.then(|| comparisons.next()).flatten(),
        })
        .collect()
}

/// What is known of a row's runs.
struct Known {
    level: Level,
    /// Names the images, where answers are known image by image.
    images: Option<blake3::Hash>,
}

/// What is known of a row's runs: image by image where all of them saw the same images, else by seed.
fn level<'a>(entries: impl Iterator<Item = &'a Entry>) -> Option<Known> {
    let measured: Vec<(&Entry, f64)> =
        entries.filter_map(|entry| Some((entry, entry.measured()?))).collect();
    let seeds: Vec<u64> = measured.iter().map(|(entry, _)| entry.seed).collect();
    let answers = measured.iter().map(|(entry, _)| entry.answers.as_ref());
    let by_image = answers.collect::<Option<Vec<_>>>().filter(|answers| {
        answers.iter().map(|answers| answers.images).collect::<HashSet<_>>().len() == 1
    });
    if let Some(answers) = by_image {
        let images = answers.first().map(|answers| answers.images);
        let right: Vec<Vec<bool>> = answers.into_iter().map(|one| one.right.clone()).collect();
        let level = Level::PerImage(PerImage::new(seeds, &right).ok()?);
        return Some(Known { level, images });
    }
    let images = the_same(measured.iter().filter_map(|(entry, _)| entry.images()));
    let scores = measured.iter().map(|(_, score)| *score).collect();
    let level = Level::PerSeed(PerSeed::new(seeds, scores, images).ok()?);
    Some(Known { level, images: None })
}
