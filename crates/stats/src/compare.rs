//! The whole table: every level of a sweep against the baseline.

use serde::Serialize;
use thiserror::Error;

use crate::difference::{self, Difference, Evidence, PairError, Replicates, difference};
use crate::level::Level;
use crate::power::{self, Aim, Needed};
use crate::verdict::{Claim, Verdict};
use crate::{holm, sequential};

/// How a table is to be judged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Settings {
    /// The chance of a single false claim in the whole table; intervals have confidence 1 - alpha.
    pub alpha: f64,
    /// The power for which detectable differences and numbers of seeds are stated.
    pub power: f64,
    /// Whether to state them: whoever only decides what comes next need not.
    pub outlook: bool,
    /// Differences below it do not matter to the user; absent: every difference does.
    pub margin: Option<f64>,
    /// Comparisons that the sweep plans, if more than those that have results.
    pub family: usize,
    /// How the number of seeds came about.
    pub replicates: Replicates,
    /// As many seeds as an adaptive sweep may come to, if that is more than it has.
    pub at_most: usize,
    /// Names the draws of the permutation test beyond 20 seeds.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            alpha: 0.05,
            power: 0.8,
            outlook: true,
            margin: None,
            family: 0,
            replicates: Replicates::Fixed,
            at_most: 0,
            seed: 0,
        }
    }
}

/// A level beside the baseline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Level minus baseline. Its interval is that of this row alone, not adjusted for the others.
    pub difference: Difference,
    /// P-value of "the settings do not differ", adjusted by Holm over the table; absent at one seed.
    pub p: Option<f64>,
    /// P-value of "the difference is as large as the margin", adjusted likewise; absent without margin.
    pub equivalence_p: Option<f64>,
    /// The smallest true difference that would have been seen; absent where none would.
    pub detectable: Option<f64>,
    /// What it would take to see the observed difference; absent where it was seen, and where there are too few
    /// seeds to say how much they differ.
    pub needed: Option<Needed>,
    /// No number of seeds would show even the largest difference that the interval allows: the test
    /// images are the limit.
    pub limited_by_images: bool,
    /// In words.
    pub verdict: Verdict,
}

/// A level that cannot be compared with the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("level {level} cannot be compared with the baseline: {source}")]
pub struct CompareError {
    /// Which of the levels, from 0.
    pub level: usize,
    /// Why.
    pub source: PairError,
}

/// Compares every level with the baseline. The levels share `alpha` by Holm's correction, so levels of
/// all factors of a sweep belong into one call.
///
/// # Errors
/// When a level cannot be compared with the baseline.
pub fn compare(
    baseline: &Level,
    levels: &[Level],
    settings: &Settings,
) -> Result<Vec<Comparison>, CompareError> {
    let differences: Vec<Difference> = levels
        .iter()
        .enumerate()
        .map(|(at, level)| {
            let confidence = 1.0 - settings.alpha;
            difference(level, baseline, confidence, settings.replicates, settings.seed)
                .map_err(|source| CompareError { level: at, source })
        })
        .collect::<Result<_, _>>()?;
    Ok(judge(differences, settings))
}

/// Judges differences that belong together, such as the interactions of a factorial.
pub fn judge(differences: Vec<Difference>, settings: &Settings) -> Vec<Comparison> {
    let family = settings.family.max(differences.len());
    // What cannot be tested keeps its place in the family with a p-value of 1.
    let p_values: Vec<f64> = differences.iter().map(p_value).collect();
    let adjusted = holm::adjust(&p_values, family);
    let equivalence: Option<Vec<f64>> = settings.margin.map(|margin| {
        let raw: Vec<f64> = differences
            .iter()
            .map(|difference| equivalence_p(difference, margin, settings.replicates))
            .collect();
        holm::adjust(&raw, family)
    });
    let aim = Aim {
        alpha: settings.alpha,
        power: settings.power,
        family,
        replicates: settings.replicates,
        at_most: settings.at_most,
    };
    differences
        .into_iter()
        .enumerate()
        .map(|(at, difference)| {
            let tested = matches!(difference.evidence, Evidence::Settings(_));
            let mut row = Comparison {
                p: tested.then_some(adjusted[at]),
                equivalence_p: equivalence.as_ref().filter(|_| tested).map(|p| p[at]),
                detectable: settings
                    .outlook
                    .then(|| power::detectable(&difference, &aim))
                    .flatten(),
                needed: None,
                limited_by_images: power::limited_by_images(&difference, &aim),
                difference,
                verdict: Verdict::Alike,
            };
            row.verdict = verdict(&row, &aim, settings);
            if let Verdict::NoEvidence { needed, .. } = &mut row.verdict
                && settings.outlook
            {
                *needed = power::needed(&row.difference, &aim);
                row.needed = *needed;
            }
            row
        })
        .collect()
}

fn p_value(difference: &Difference) -> f64 {
    match difference.evidence {
        Evidence::Settings(evidence) => evidence.p(),
        Evidence::Models(_) | Evidence::Nothing | Evidence::Alike => 1.0,
    }
}

/// Two one-sided tests (Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15, 1987).
fn equivalence_p(difference: &Difference, margin: f64, replicates: Replicates) -> f64 {
    let Some((by_seed, spread)) = difference.sample.seeds() else { return 1.0 };
    let p = spread.tail(margin - difference.estimate.abs());
    match replicates {
        Replicates::Fixed => p,
        Replicates::Adaptive => {
            p.max(sequential::anytime_images_equivalence_p(by_seed, spread, margin))
        }
    }
}

fn verdict(row: &Comparison, aim: &Aim, settings: &Settings) -> Verdict {
    let difference = &row.difference;
    let too_few = |models| Verdict::TooFewSeeds {
        seeds: difference.seeds,
        needed: aim.seeds_needed(),
        models,
    };
    let (evidence, p) = match (difference.evidence, row.p) {
        (Evidence::Alike, _) => return Verdict::Alike,
        (Evidence::Models(models), _) => return too_few(Some(models)),
        (Evidence::Nothing, _) | (Evidence::Settings(_), None) => return too_few(None),
        (Evidence::Settings(evidence), Some(p)) => (evidence, p),
    };
    debug_assert!(p >= evidence.p());
    let equivalent = row.equivalence_p.filter(|p| *p <= settings.alpha);
    let claim = Claim { p, within_margin: equivalent.is_some() };
    match (equivalent, settings.margin) {
        _ if p <= settings.alpha && difference.estimate > 0.0 => Verdict::Better(claim),
        _ if p <= settings.alpha => Verdict::Worse(claim),
        // Few seeds agree by chance, and then seem to be known well.
        (Some(p), Some(margin)) if difference.seeds >= aim.seeds_needed() => {
            Verdict::Equivalent { margin, p }
        }
        _ if difference.seeds < aim.seeds_needed() => too_few(None),
        _ => Verdict::NoEvidence { p, detectable: row.detectable, needed: None },
    }
}

/// What to do about a level whose number of seeds its results decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// Run another seed of it and of the baseline.
    AnotherSeed,
    /// The verdict is there.
    Decided,
    /// It has as many seeds as it may have.
    AtMost,
    /// The test images are the limit: see [`Comparison::limited_by_images`].
    MoreImages,
}

/// Whether a level of an adaptive sweep needs another seed: `replicates = { min, max, until =
/// "decided" }`. The row must have been judged with [`Replicates::Adaptive`]; then one may stop here,
/// go on, or raise `max` later, and the chance of a false claim stays below alpha.
pub fn next(row: &Comparison, min: usize, max: usize) -> Next {
    let seeds = row.difference.seeds;
    match row.verdict {
        _ if seeds < min => Next::AnotherSeed,
        Verdict::Better(_) | Verdict::Worse(_) | Verdict::Equivalent { .. } | Verdict::Alike => {
            Next::Decided
        }
        _ if seeds >= max => Next::AtMost,
        Verdict::NoEvidence { .. } if row.limited_by_images => Next::MoreImages,
        Verdict::NoEvidence { .. } | Verdict::TooFewSeeds { .. } => Next::AnotherSeed,
    }
}

impl Difference {
    /// Test images, where results are known by image and for several seeds.
    pub(crate) fn images(&self) -> Option<usize> {
        match &self.sample {
            difference::Sample::Crossed { table, .. } => Some(table.images()),
            difference::Sample::BySeed { .. } | difference::Sample::Single => None,
        }
    }
}
