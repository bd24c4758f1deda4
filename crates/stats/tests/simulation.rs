//! The statistics against worlds whose truth is known. `cargo run --release -p stats --example simulate`
//! does the same over many more settings and trials.

#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use rayon::prelude::*;
use stats::chosen::By;
use stats::compare::Settings;
use stats::difference::Replicates;
use stats::importance::importance;
use stats::level::LevelError;
use stats::power::{Aim, detectable};
use stats::selection::selection;
use stats::simulation::World;
use stats::simulation::chain::chain;
use stats::simulation::trial::{
    Looks, Size, adaptive_sweep, claims, difference_is_covered, score_is_covered, sweep,
};

const WORLD: World =
    World { accuracy: 0.75, seed_sd: 0.03, difficulty: 1.5, own_seeds: 0.5, own_images: 0.2 };

fn share(trials: u64, trial: impl Fn(u64) -> Result<bool, LevelError> + Sync) -> f64 {
    let hits = (0..trials).into_par_iter().filter(|draw| trial(*draw).unwrap()).count();
    hits as f64 / trials as f64
}

/// Three standard errors of a share near 0.95 or 0.05 over so many trials.
fn slack(trials: u64) -> f64 {
    3.0 * (0.05 * 0.95 / trials as f64).sqrt()
}

#[test]
fn intervals_of_scores_cover() {
    let trials = 400;
    for (seeds, images, at_most) in
        [(3, 744, 1.0), (5, 744, 0.975), (10, 744, 0.97), (30, 40, 0.98)]
    {
        let covered = share(trials, |draw| score_is_covered(&WORLD, Size { seeds, images }, draw));
        assert!(covered >= 0.94 - slack(trials), "{seeds} seeds, {images} images: {covered}");
        assert!(covered <= at_most + slack(trials), "{seeds} seeds, {images} images: {covered}");
    }
}

#[test]
fn one_seed_covers_its_model_and_not_its_setting() {
    let size = Size { seeds: 1, images: 744 };
    let alike = World { seed_sd: 0.0, ..WORLD };
    let unlike = World { seed_sd: 0.05, ..WORLD };
    assert!(share(1000, |draw| score_is_covered(&alike, size, draw)) > 0.95 - slack(1000));
    assert!(share(1000, |draw| score_is_covered(&unlike, size, draw)) < 0.8);
}

#[test]
fn intervals_of_differences_cover() {
    let trials = 400;
    for (seeds, images, effect) in [(3, 744, 0.0), (5, 744, 0.05), (10, 744, 0.05), (10, 40, 0.0)] {
        let covered = share(trials, |draw| {
            difference_is_covered(&WORLD, effect, Size { seeds, images }, draw)
        });
        assert!(covered >= 0.94 - slack(trials), "{seeds} seeds, {images} images: {covered}");
    }
}

#[test]
fn sweeps_without_effect_rarely_claim_one() {
    let trials = 200;
    let size = Size { seeds: 10, images: 744 };
    for levels in [3, 8] {
        let effects = vec![0.0; levels];
        let claimed = share(trials, |draw| {
            Ok(sweep(&WORLD, &effects, size, &Settings::default(), draw)?.iter().any(claims))
        });
        assert!(claimed <= 0.05 + slack(trials), "{levels} levels: {claimed}");
    }
}

#[test]
fn chains_rarely_leave_what_is_as_good() {
    let (trials, levels) = (200, [2, 1, 2]);
    let size = Size { seeds: 10, images: 200 };
    let way = |effect, by, draw| chain(&WORLD, &levels, effect, by, size, draw);
    let astray = |by| share(trials, |draw| Ok(way(0.0, by, draw)?.astray > 0));
    assert!(astray(By::Evidence) <= 0.05 + slack(trials), "{}", astray(By::Evidence));
    assert!(astray(By::Mean) > 0.5, "the highest mean is mostly another's: {}", astray(By::Mean));
    let found = share(trials, |draw| Ok(way(0.15, By::Evidence, draw)?.found));
    assert!(found > 0.9, "{found}");
}

#[test]
fn looking_after_every_seed_rarely_claims_what_is_not_there() {
    let trials = 400;
    let size = Size { seeds: 20, images: 300 };
    // Settings that are equally good, on different images: the hardest case.
    for own_images in [0.0, 1.0] {
        let world = World { own_images, ..WORLD };
        let claimed = share(trials, |draw| {
            Ok(adaptive_sweep(&world, &[0.0], (3, Looks::EverySeed), size, draw)?
                .iter()
                .any(claims))
        });
        assert!(claimed <= 0.05 + slack(trials) / 3.0, "{own_images}: {claimed}");
    }
}

#[test]
fn a_large_effect_is_found_and_a_detectable_one_mostly() {
    let size = Size { seeds: 10, images: 744 };
    let found = |effect: f64| {
        share(200, |draw| {
            let rows = sweep(&WORLD, &[effect, 0.0, 0.0], size, &Settings::default(), draw)?;
            Ok(claims(&rows[0]))
        })
    };
    assert!(found(0.1) > 0.95, "{}", found(0.1));
    assert!((0.3..0.999).contains(&found(0.06)), "{}", found(0.06));
}

/// A study says what it would have seen four times in five; another one of the same kind is then drawn
/// in which just that is there.
fn seen_of_what_is_told(trials: u64, levels: usize, size: Size, replicates: Replicates) -> f64 {
    let aim = Aim { alpha: 0.05, power: 0.8, family: levels, replicates, at_most: size.seeds };
    let study = |first: f64, draw: u64| {
        let mut effects = vec![0.0; levels];
        effects[0] = first;
        let world = World { accuracy: 0.45, ..WORLD };
        let settings = Settings { outlook: false, ..Settings::default() };
        let rows = match replicates {
            Replicates::Fixed => sweep(&world, &effects, size, &settings, draw),
            Replicates::Adaptive => {
                adaptive_sweep(&world, &effects, (3, Looks::AQuarterMore), size, draw)
            }
        };
        rows.unwrap().swap_remove(0)
    };
    let seen: Vec<bool> = (0..trials)
        .into_par_iter()
        .filter_map(|draw| {
            let told = detectable(&study(0.0, draw).difference, &aim)?;
            Some(claims(&study(told, trials + draw)))
        })
        .collect();
    assert!(seen.len() as f64 > 0.9 * trials as f64, "{} of {trials} say", seen.len());
    seen.iter().filter(|seen| **seen).count() as f64 / seen.len() as f64
}

#[test]
fn what_is_told_to_be_seen_four_times_in_five_is() {
    let (fixed, adaptive) = (Replicates::Fixed, Replicates::Adaptive);
    for (replicates, levels, seeds, images, trials) in [
        (fixed, 1, 7, 400, 400),
        (fixed, 1, 10, 400, 400),
        (fixed, 3, 10, 300, 300),
        (fixed, 1, 20, 200, 400),
        (adaptive, 1, 12, 200, 200),
        (adaptive, 1, 20, 150, 200),
    ] {
        let seen = seen_of_what_is_told(trials, levels, Size { seeds, images }, replicates);
        // Two standard errors of 80 %.
        let slack = 2.0 * (0.8 * 0.2 / trials as f64).sqrt();
        let allowed = 0.75 - slack..=0.85 + slack;
        assert!(allowed.contains(&seen), "{replicates:?}, {levels} levels, {seeds} seeds: {seen}");
    }
}

#[test]
fn three_seeds_never_claim() {
    let size = Size { seeds: 3, images: 744 };
    let claimed = share(50, |draw| {
        Ok(sweep(&WORLD, &[0.2], size, &Settings::default(), draw)?.iter().any(claims))
    });
    assert_eq!(claimed, 0.0);
}

#[test]
fn the_optimism_of_the_best_is_what_it_overstates() {
    let trials = 200;
    for (effects, name) in
        [([0.0; 6], "equal levels"), ([0.0, 0.0, 0.02, 0.03, 0.04, 0.05], "unequal")]
    {
        let found: Vec<(f64, f64)> = (0..trials)
            .into_par_iter()
            .map(|draw| {
                let runs = WORLD.runs(&effects, 3, 100, draw).unwrap();
                let found = selection(&runs.iter().collect::<Vec<_>>(), draw).unwrap();
                // Images that are easy for all levels are luck, not choice.
                let luck = runs.iter().map(|level| level.table().mean()).sum::<f64>() / 6.0
                    - WORLD.accuracy
                    - effects.iter().sum::<f64>() / 6.0;
                let truth = WORLD.accuracy + effects[found.best] + luck;
                (found.score - truth, found.optimism)
            })
            .collect();
        let overstated = found.iter().map(|(bias, _)| bias).sum::<f64>() / trials as f64;
        let estimated = found.iter().map(|(_, optimism)| optimism).sum::<f64>() / trials as f64;
        println!("{name}: {estimated} for {overstated}");
        assert!(estimated > 0.6 * overstated, "{name}: {estimated} for {overstated}");
        assert!(estimated < 1.6 * overstated, "{name}: {estimated} for {overstated}");
    }
}

#[test]
fn intervals_of_importance_cover() {
    // Accuracies of levels 0, 0.04 and 0.08 apart: a standard deviation of 0.04.
    let trials = 300;
    let covered = share(trials, |draw| {
        let runs = WORLD.runs(&[0.0, 0.04, 0.08], 6, 2000, draw)?;
        let scores: Vec<Vec<f64>> = runs.iter().map(|level| level.table().seed_means()).collect();
        Ok(importance(&scores, 0.95).is_some_and(|found| found.effect_interval.contains(0.04)))
    });
    assert!(covered >= 0.9 - slack(trials), "{covered}");
}
