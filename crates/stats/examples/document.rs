//! Prints what the single scores that this project grew out of can and cannot support, for
//! `docs/statistics.md`.
//!
//! ```text
//! cargo run --release -p stats --example document
//! ```
#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::process::ExitCode;

use stats::difference::{Evidence, PairError, Replicates, difference};
use stats::level::{External, Level, LevelError};
use stats::score::score;
use stats::{holm, level};

const IMAGES: u64 = 744;

/// What is compared, the score of the first, the score of the second.
const CLAIMS: [(&str, u32, u32); 16] = [
    ("base unfrozen against frozen", 3494, 59274),
    ("batch size 16 against 32", 56586, 59274),
    ("batch size 64 against 32", 45564, 59274),
    ("learning rate 0.005 against 0.0001", 54435, 59274),
    ("100 epochs against 50", 54564, 59274),
    ("patience 5 against 10", 52419, 58870),
    ("patience 15 against 10", 56989, 58870),
    ("patience 10 against no early stopping", 58870, 59274),
    ("50 steps per epoch against 100", 42607, 59946),
    ("150 steps per epoch against 100", 32215, 59946),
    ("100 steps per epoch against the baseline", 59946, 59274),
    ("ResNet50 + GAP against InceptionResNetV2 + Flatten", 63440, 57930),
    ("ResNet50 + GAP against the first baseline", 63440, 59274),
    ("7 steps per epoch against 100", 64784, 63440),
    ("last 10 layers unfrozen against frozen", 63306, 64784),
    ("the best against the first baseline", 64784, 59274),
];

fn main() -> ExitCode {
    match scores()
        .map_err(|error| error.to_string())
        .and_then(|()| claims().map_err(|error| error.to_string()))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn single(score: u32) -> Result<External, LevelError> {
    level::External::new(f64::from(score) / 1e5, IMAGES)
}

fn scores() -> Result<(), LevelError> {
    println!("| score | images right | 95 % interval |");
    println!("| ---: | ---: | ---: |");
    let mut all: Vec<u32> = CLAIMS.iter().flat_map(|(_, left, right)| [*left, *right]).collect();
    all.sort_unstable();
    all.dedup();
    for points in all {
        let external = single(points)?;
        let right = match external.is_count() {
            true => external.right().to_string(),
            false => format!("no number of {IMAGES}"),
        };
        if let Some(interval) = score(&Level::External(external), 0.95).interval {
            let (low, high) = (1e5 * interval.low, 1e5 * interval.high);
            println!("| {points} | {right} | {low:.0} - {high:.0} |");
        }
    }
    println!();
    Ok(())
}

fn claims() -> Result<(), PairError> {
    let mut rows = Vec::new();
    for (words, left, right) in CLAIMS {
        let (Ok(left), Ok(right)) = (single(left), single(right)) else { continue };
        let (left, right) = (Level::External(left), Level::External(right));
        rows.push((words, difference(&left, &right, 0.95, Replicates::Fixed, 0)?));
    }
    let p_values: Vec<f64> = rows
        .iter()
        .map(|(_, difference)| match difference.evidence {
            Evidence::Models(models) => models.p(),
            _ => 1.0,
        })
        .collect();
    println!("| comparison | difference | 95 % interval | p | p, Holm | of these two models |");
    println!("| --- | ---: | ---: | ---: | ---: | --- |");
    for (((words, difference), p), adjusted) in
        rows.iter().zip(&p_values).zip(holm::adjust(&p_values, 0))
    {
        let Some(interval) = difference.interval else { continue };
        let (estimate, low, high) =
            (1e5 * difference.estimate, 1e5 * interval.low, 1e5 * interval.high);
        let holds = if adjusted <= 0.05 { "holds" } else { "not shown" };
        println!(
            "| {words} | {estimate:+.0} | {low:+.0} to {high:+.0} | {} | {} | {holds} |",
            short(*p),
            short(adjusted)
        );
    }
    Ok(())
}

fn short(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}
