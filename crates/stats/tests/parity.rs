//! The same inputs through SciPy and statsmodels. `scripts/parity/stats.py` records their answers.

#![allow(clippy::unwrap_used, reason = "a failed test says where")]

use serde_json::Value;
use stats::compare::{Settings, compare};
use stats::difference::{Difference, Evidence, Replicates, difference};
use stats::holm;
use stats::importance::importance;
use stats::interaction::interactions;
use stats::interval::{Interval, clopper_pearson};
use stats::level::{Level, PerImage, PerSeed};
use stats::rank::rank_correlation;
use stats::score::score;
use stats::sequential::anytime_p;
use stats::two_models::{fisher, mcnemar, newcombe};

fn recorded() -> Value {
    serde_json::from_str(include_str!("parity/stats.json")).unwrap()
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    list(value).iter().map(|value| value.as_f64().unwrap()).collect()
}

fn assert_close(ours: f64, theirs: f64, tolerance: f64, what: &str) {
    assert!((ours - theirs).abs() <= tolerance, "{what}: {ours} here, {theirs} there");
}

fn assert_interval(ours: Interval, theirs: &Value, what: &str) {
    let theirs = floats(theirs);
    assert_close(ours.low, theirs[0], 1e-6, what);
    assert_close(ours.high, theirs[1], 1e-6, what);
}

fn per_image(value: &Value) -> PerImage {
    let runs: Vec<Vec<bool>> = list(value)
        .iter()
        .map(|run| floats(run).iter().map(|right| *right == 1.0).collect())
        .collect();
    PerImage::new((0..runs.len() as u64).collect(), &runs).unwrap()
}

fn per_seed(value: &Value) -> Level {
    let scores = floats(value);
    Level::PerSeed(PerSeed::new((0..scores.len() as u64).collect(), scores, None).unwrap())
}

fn paired(case: &Value) -> Difference {
    let (level, baseline) = (per_seed(&case["level"]), per_seed(&case["baseline"]));
    difference(&level, &baseline, 0.95, Replicates::Fixed, 0).unwrap()
}

#[test]
fn two_crossed_factors() {
    for case in list(&recorded()["crossed"]) {
        let (level, baseline) = (per_image(&case["level"]), per_image(&case["baseline"]));
        let squares = level.table().mean_squares();
        let theirs = floats(&case["mean_squares"]);
        assert_close(squares.seeds, theirs[0], 1e-9, "mean square of seeds");
        assert_close(squares.images, theirs[1], 1e-9, "mean square of images");
        assert_close(squares.residual, theirs[2], 1e-9, "residual mean square");
        let (level, baseline) = (Level::PerImage(level), Level::PerImage(baseline));
        assert_interval(score(&level, 0.95).interval.unwrap(), &case["score_interval"], "score");
        let found = difference(&level, &baseline, 0.95, Replicates::Fixed, 0).unwrap();
        let half_width = case["difference_half_width"].as_f64().unwrap();
        // The variance has a kink where seeds agree better than chance; our sum steps over it.
        assert_close(found.interval.unwrap().half_width(), half_width, 2e-5, "difference");
    }
}

#[test]
fn counts_of_right_images() {
    for case in list(&recorded()["proportions"]) {
        let count = |key: &str| case[key].as_u64().unwrap();
        let (right, images, base) = (count("right"), count("images"), count("baseline_right"));
        let what = format!("{right} and {base} of {images}");
        assert_interval(clopper_pearson(right, images, 0.95), &case["clopper_pearson"], &what);
        let theirs = &case["newcombe"];
        assert_interval(newcombe((right, images), (base, images), 0.95), theirs, &what);
        let p = fisher((right, images), (base, images)).p();
        assert_close(p, case["fisher"].as_f64().unwrap(), 1e-9, &what);
    }
}

#[test]
fn mcnemars_test_and_holms_correction() {
    let recorded = recorded();
    for case in list(&recorded["mcnemar"]) {
        let count = |key: &str| case[key].as_u64().unwrap();
        let p = mcnemar(count("gained"), count("lost")).p();
        assert_close(p, case["p"].as_f64().unwrap(), 1e-9, "McNemar");
    }
    let adjusted = holm::adjust(&floats(&recorded["holm"]["p"]), 0);
    for (ours, theirs) in adjusted.iter().zip(floats(&recorded["holm"]["adjusted"])) {
        assert_close(*ours, theirs, 1e-12, "Holm");
    }
}

#[test]
fn paired_scores() {
    for case in list(&recorded()["paired"]) {
        let found = paired(case);
        let number = |key: &str| case[key].as_f64().unwrap();
        assert_interval(found.interval.unwrap(), &case["interval"], "paired t");
        let Evidence::Settings(evidence) = found.evidence else { panic!("{found:?}") };
        assert_close(evidence.seeds_p, number("sign_flip"), 1e-9, "sign flips");
        assert_close(evidence.spread_p, number("t_p"), 1e-8, "paired t");
        let settings = Settings { margin: Some(0.05), ..Settings::default() };
        let (level, baseline) = (per_seed(&case["level"]), per_seed(&case["baseline"]));
        let rows = compare(&baseline, &[level], &settings).unwrap();
        assert_close(rows[0].equivalence_p.unwrap(), number("equivalence_p"), 1e-8, "equivalence");
    }
}

#[test]
fn rank_correlations() {
    for case in list(&recorded()["rank"]) {
        let found = rank_correlation(&floats(&case["left"]), &floats(&case["right"]), 0).unwrap();
        let number = |key: &str| case[key].as_f64().unwrap();
        assert_close(found.spearman, number("spearman"), 1e-9, "rho");
        assert_close(found.spearman_p, number("spearman_p"), 1e-9, "p of rho");
        assert_close(found.kendall, number("kendall"), 1e-9, "tau");
        assert_close(found.kendall_p, number("kendall_p"), 1e-9, "p of tau");
        if let Some(exact) = case["kendalltau_exact_p"].as_f64() {
            assert_close(found.kendall_p, exact, 1e-9, "SciPy's own exact p of tau");
        }
    }
}

#[test]
fn importance_of_factors() {
    for case in list(&recorded()["importance"]) {
        let scores: Vec<Vec<f64>> = list(&case["scores"]).iter().map(floats).collect();
        let found = importance(&scores, 0.95).unwrap();
        assert_close(found.p, case["p"].as_f64().unwrap(), 1e-8, "F");
        assert_interval(found.share_interval, &case["share_interval"], "omega squared");
    }
}

#[test]
fn interactions_of_two_factors() {
    for case in list(&recorded()["interactions"]) {
        let cells: Vec<Vec<PerImage>> = list(&case["cells"])
            .iter()
            .map(|row| list(row).iter().map(per_image).collect())
            .collect();
        let number = |key: &str| case[key].as_f64().unwrap();
        let found = |make: &dyn Fn(&PerImage) -> Level| {
            let levels: Vec<Vec<Level>> =
                cells.iter().map(|row| row.iter().map(make).collect()).collect();
            let levels: Vec<Vec<&Level>> = levels.iter().map(|row| row.iter().collect()).collect();
            let [only] = &interactions(&levels, &Settings::default()).unwrap()[..] else {
                panic!("one contrast")
            };
            only.comparison.difference.clone()
        };
        let by_image = found(&|level| Level::PerImage(level.clone()));
        assert_close(by_image.estimate, number("estimate"), 1e-9, "contrast");
        let half_width = by_image.interval.unwrap().half_width();
        assert_close(half_width, number("half_width"), 2e-5, "contrast by image");
        let by_seed = found(&|level| {
            let (seeds, scores) = (level.seeds().to_vec(), level.table().seed_means());
            Level::PerSeed(PerSeed::new(seeds, scores, None).unwrap())
        });
        assert_interval(by_seed.interval.unwrap(), &case["interval_of_scores"], "of scores");
        for difference in [by_image, by_seed] {
            let Evidence::Settings(evidence) = difference.evidence else {
                panic!("{difference:?}")
            };
            assert_close(evidence.seeds_p, number("sign_flip"), 1e-9, "sign flips");
        }
    }
}

#[test]
fn bets_after_every_seed() {
    for case in list(&recorded()["sequential"]) {
        let found = anytime_p(&floats(&case["differences"]));
        assert_close(found, case["p"].as_f64().unwrap(), 1e-12, "capital");
    }
}
