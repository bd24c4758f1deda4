//! What the scores of a table say beside the baseline's, and what they do not.

use std::collections::HashSet;

use serde::Serialize;
use spec::record::Plan;
use spec::sweep::Replicates;
use stats::compare::{Comparison, Settings, judge};
use stats::difference::{self, Difference, difference};
use stats::level::{Level, PerImage, PerSeed};
use stats::score::{Score, score};

use super::{Basis, Entry, Row, the_same};
use crate::store::Answers;

/// Confidence of all intervals; the rest is the chance of a false claim in a table.
pub(crate) const CONFIDENCE: f64 = 0.95;

/// What is said of a row.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Judgement {
    /// Its mean with an interval; absent while nothing has finished.
    pub score: Option<Score>,
    /// Beside the baseline; absent for the baseline, and where the two cannot be compared.
    pub comparison: Option<Comparison>,
}

/// What one run measured.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Measured {
    pub(crate) seed: u64,
    pub(crate) score: f64,
    pub(crate) images: Option<u64>,
    pub(crate) answers: Option<Answers>,
}

/// What is known of a row's runs.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) level: Level,
    /// Names the images, where answers are known image by image.
    pub(crate) images: Option<blake3::Hash>,
    /// What they were measured on.
    on: Option<MeasuredOn>,
}

/// What scores are about: only those about the same can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MeasuredOn {
    /// So many images.
    Images(Basis, u64),
    /// Whatever a trainer of the user's own measures: it says a score, and not on how many images.
    Score,
}

impl MeasuredOn {
    /// That of runs with this basis and this number of images; absent where they differ in them.
    pub(crate) fn of(basis: Option<Basis>, images: Option<u64>) -> Option<Self> {
        match (basis?, images) {
            (Basis::Trainer, _) => Some(Self::Score),
            (basis, images) => Some(Self::Images(basis, images?)),
        }
    }
}

/// What comparisons of a sweep have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rules {
    /// How many there are in all, whether their runs have ended or not.
    pub(crate) comparisons: usize,
    pub(crate) margin: Option<f64>,
    pub(crate) replicates: Replicates,
    /// Whether to say what such a sweep can see: a report does, what decides the next run need not.
    pub(crate) outlook: bool,
}

impl Rules {
    /// Those of a plan.
    pub(crate) fn of(plan: &Plan) -> Self {
        Self {
            comparisons: plan.comparisons,
            margin: plan.margin,
            replicates: plan.replicates,
            outlook: true,
        }
    }

    pub(crate) fn replicates(&self) -> difference::Replicates {
        match self.replicates {
            Replicates::Fixed { .. } => difference::Replicates::Fixed,
            Replicates::UntilDecided { .. } => difference::Replicates::Adaptive,
        }
    }

    /// As the statistics know them, for a family of so many comparisons.
    pub(crate) fn settings(&self, family: usize) -> Settings {
        Settings {
            alpha: 1.0 - CONFIDENCE,
            family,
            margin: self.margin,
            replicates: self.replicates(),
            outlook: self.outlook,
            at_most: self.replicates.range().1 as usize,
            ..Settings::default()
        }
    }
}

/// What is known of a row's runs: image by image where all of them saw the same images, else by seed.
pub(crate) fn known(measured: &[Measured], on: Option<MeasuredOn>) -> Option<Known> {
    let seeds: Vec<u64> = measured.iter().map(|run| run.seed).collect();
    let answers = measured.iter().map(|run| run.answers.as_ref());
    let by_image = answers.collect::<Option<Vec<_>>>().filter(|answers| {
        answers.iter().map(|answers| answers.images).collect::<HashSet<_>>().len() == 1
    });
    if let Some(answers) = by_image {
        let images = answers.first().map(|answers| answers.images);
        let right: Vec<Vec<bool>> = answers.into_iter().map(|one| one.right.clone()).collect();
        let level = Level::PerImage(PerImage::new(seeds, &right).ok()?);
        return Some(Known { level, images, on });
    }
    let images = the_same(measured.iter().filter_map(|run| run.images));
    let scores = measured.iter().map(|run| run.score).collect();
    let level = Level::PerSeed(PerSeed::new(seeds, scores, images).ok()?);
    Some(Known { level, images: None, on })
}

/// Levels beside their baseline. Absent where the two were not measured on the same images, or have no
/// seed in common.
pub(crate) fn compare(
    baseline: Option<&Known>,
    levels: &[Option<&Known>],
    rules: &Rules,
) -> Vec<Option<Comparison>> {
    let beside = |level: &Known| -> Option<Difference> {
        let baseline = baseline?;
        if level.on.is_none() || level.on != baseline.on {
            return None;
        }
        if let (Some(images), Some(others)) = (level.images, baseline.images)
            && images != others
        {
            return None;
        }
        difference(&level.level, &baseline.level, CONFIDENCE, rules.replicates(), 0).ok()
    };
    let differences: Vec<Option<Difference>> =
        levels.iter().map(|level| level.and_then(beside)).collect();
    let compared: Vec<bool> = differences.iter().map(Option::is_some).collect();
    let settings = rules.settings(rules.comparisons);
    let mut judged = judge(differences.into_iter().flatten().collect(), &settings).into_iter();
    compared.into_iter().map(|compared| compared.then(|| judged.next()).flatten()).collect()
}

/// What is known of each of `rows`; nothing of those that ran on random weights.
pub(super) fn knowns(rows: &[Row], entries: &[Entry]) -> Vec<Option<Known>> {
    let of_row = |(number, row): (u32, &Row)| {
        let runs = entries.iter().filter(|entry| entry.row == number);
        let measured: Vec<Measured> = runs.filter_map(measured).collect();
        let on = MeasuredOn::of(row.basis, row.images);
        known(&measured, on).filter(|_| !row.stand_in)
    };
    (0..).zip(rows).map(of_row).collect()
}

/// What is said of each of `rows`, beside the baseline of its stage. Rows that were measured on other
/// images than the baseline, or ran on random weights, are not compared with it.
pub(super) fn judgements(rows: &[Row], knowns: &[Option<Known>], rules: &Rules) -> Vec<Judgement> {
    let mut judgements: Vec<Judgement> = knowns
        .iter()
        .map(|known| Judgement {
            score: known.as_ref().map(|known| score(&known.level, CONFIDENCE)),
            comparison: None,
        })
        .collect();
    let mut stages: Vec<Option<usize>> = rows.iter().map(|row| row.stage).collect();
    stages.dedup();
    for stage in stages {
        let at = |is: &dyn Fn(&Row) -> bool| -> Vec<usize> {
            (0..rows.len()).filter(|at| rows[*at].stage == stage && is(&rows[*at])).collect()
        };
        let baseline = at(&|row| row.baseline).first().and_then(|at| knowns[*at].as_ref());
        let others = at(&|row| !row.baseline && !row.cell);
        let levels: Vec<Option<&Known>> = others.iter().map(|at| knowns[*at].as_ref()).collect();
        for (at, comparison) in others.into_iter().zip(compare(baseline, &levels, rules)) {
            judgements[at].comparison = comparison;
        }
    }
    judgements
}

/// What a run measured; absent unless it finished.
pub(crate) fn measured(entry: &Entry) -> Option<Measured> {
    Some(Measured {
        seed: entry.seed,
        score: entry.measured()?,
        images: entry.images(),
        answers: entry.answers.clone(),
    })
}
