//! Prints the tables of `docs/statistics.md`: how the statistics fare where the truth is known.
//!
//! ```text
//! cargo run --release -p stats --example simulate [TRIALS [TABLE...]]
//! ```
#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::process::ExitCode;

use rayon::prelude::*;
use stats::chosen::By;
use stats::compare::Settings;
use stats::level::LevelError;
use stats::simulation::World;
use stats::simulation::chain::{Way, chain};
use stats::simulation::trial::{
    Looks, Size, adaptive_sweep, bootstrap_is_covered, claims, difference_is_covered,
    score_is_covered, sweep,
};

const WORLD: World =
    World { accuracy: 0.75, seed_sd: 0.03, difficulty: 1.5, own_seeds: 0.5, own_images: 0.2 };

/// Prints a table of so many trials.
type Print = fn(u64) -> Result<(), LevelError>;

/// The tables, in their order.
const TABLES: [(&str, Print); 6] = [
    ("scores", scores),
    ("bootstrap", |trials| bootstrap(trials / 4)),
    ("differences", differences),
    ("claims", false_claims),
    ("power", power),
    ("chains", chains),
];

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let trials = words.next().map_or(Some(1000), |word| word.parse().ok());
    let wanted: Vec<String> = words.collect();
    let is_known = |name: &String| TABLES.iter().any(|(known, _)| known == name);
    let Some(trials) = trials.filter(|_| wanted.iter().all(is_known)) else {
        println!(
            "usage: simulate [TRIALS [TABLE...]]; tables are {:?}",
            TABLES.map(|(name, _)| name)
        );
        return ExitCode::from(2);
    };
    let of = |(name, _): &&(&str, Print)| wanted.is_empty() || wanted.iter().any(|one| one == name);
    match TABLES.iter().filter(of).try_for_each(|(_, print)| print(trials)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn percent(
    trials: u64,
    trial: impl Fn(u64) -> Result<bool, LevelError> + Sync,
) -> Result<f64, LevelError> {
    let hits: u64 = (0..trials)
        .into_par_iter()
        .map(|draw| trial(draw).map(u64::from))
        .try_reduce(|| 0, |left, right| Ok(left + right))?;
    Ok(100.0 * hits as f64 / trials as f64)
}

fn scores(trials: u64) -> Result<(), LevelError> {
    println!("Coverage of the 95 % interval of a score, in percent ({trials} trials each)\n");
    println!("| seeds | images | accuracy | seed sd 0 | seed sd 0.02 | seed sd 0.05 |");
    println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
    for seeds in [1, 3, 5, 10, 30] {
        for images in [8, 40, 744] {
            for accuracy in [0.6, 0.9] {
                print!("| {seeds} | {images} | {accuracy} |");
                for seed_sd in [0.0, 0.02, 0.05] {
                    let world = World { accuracy, seed_sd, ..WORLD };
                    let size = Size { seeds, images };
                    print!(
                        " {:.1} |",
                        percent(trials, |draw| score_is_covered(&world, size, draw))?
                    );
                }
                println!();
            }
        }
    }
    println!();
    Ok(())
}

fn bootstrap(trials: u64) -> Result<(), LevelError> {
    println!(
        "Coverage of our interval of a score, and of the middle 95 % of a pigeonhole bootstrap, in percent (accuracy 0.75, 744 images, {trials} trials each)\n"
    );
    println!("| seeds | seed sd | ours | bootstrap |");
    println!("| ---: | ---: | ---: | ---: |");
    for seeds in [3, 5, 10] {
        for seed_sd in [0.0, 0.03, 0.05] {
            let world = World { seed_sd, ..WORLD };
            let size = Size { seeds, images: 744 };
            let ours = percent(trials, |draw| score_is_covered(&world, size, draw))?;
            let theirs = percent(trials, |draw| bootstrap_is_covered(&world, size, draw))?;
            println!("| {seeds} | {seed_sd} | {ours:.1} | {theirs:.1} |");
        }
    }
    println!();
    Ok(())
}

fn differences(trials: u64) -> Result<(), LevelError> {
    println!("Coverage of the 95 % interval of a difference, in percent ({trials} trials each)\n");
    println!(
        "| seeds | images | accuracy | no effect | 0.05 | 0.05, seed sd 0 | 0.05, seed sd 0.05 |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for seeds in [1, 3, 5, 10, 30] {
        for images in [8, 40, 744] {
            for accuracy in [0.6, 0.9] {
                print!("| {seeds} | {images} | {accuracy} |");
                for (effect, seed_sd) in [(0.0, 0.03), (0.05, 0.03), (0.05, 0.0), (0.05, 0.05)] {
                    let world = World { accuracy, seed_sd, ..WORLD };
                    let size = Size { seeds, images };
                    let covered =
                        percent(trials, |draw| difference_is_covered(&world, effect, size, draw))?;
                    print!(" {covered:.1} |");
                }
                println!();
            }
        }
    }
    println!();
    Ok(())
}

fn false_claims(trials: u64) -> Result<(), LevelError> {
    println!(
        "Sweeps that claim a difference where there is none, in percent ({trials} trials each)\n"
    );
    println!(
        "| levels | images | share of images' difficulty that levels have for themselves | 7 seeds | 10 seeds | 20 seeds | after every seed, 3 to 30 |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for levels in [3, 5, 8] {
        let effects = vec![0.0; levels];
        for (images, own_images) in [(744, 0.0), (744, 0.3), (40, 0.0), (40, 0.3)] {
            print!("| {levels} | {images} | {own_images} |");
            let world = World { own_images, ..WORLD };
            for seeds in [7, 10, 20] {
                let size = Size { seeds, images };
                let claimed = percent(trials, |draw| {
                    Ok(sweep(&world, &effects, size, &Settings::default(), draw)?
                        .iter()
                        .any(claims))
                })?;
                print!(" {claimed:.1} |");
            }
            let size = Size { seeds: 30, images };
            let claimed = percent(trials / 4, |draw| {
                Ok(adaptive_sweep(&world, &effects, (3, Looks::EverySeed), size, draw)?
                    .iter()
                    .any(claims))
            })?;
            println!(" {claimed:.1} |");
        }
    }
    println!();
    Ok(())
}

fn power(trials: u64) -> Result<(), LevelError> {
    println!(
        "One level of four with a true effect on 744 images: how often it is found, in percent ({trials} trials each)\n"
    );
    println!(
        "| effect | 5 seeds | 8 seeds | 10 seeds | 20 seeds | after every seed, 3 to 30 | seeds then used |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for effect in [0.02, 0.04, 0.06, 0.1] {
        print!("| {effect} |");
        let effects = [effect, 0.0, 0.0, 0.0];
        for seeds in [5, 8, 10, 20] {
            let size = Size { seeds, images: 744 };
            let found = percent(trials, |draw| {
                Ok(claims(&sweep(&WORLD, &effects, size, &Settings::default(), draw)?[0]))
            })?;
            print!(" {found:.1} |");
        }
        let size = Size { seeds: 30, images: 744 };
        let ends: Vec<(bool, usize)> = (0..trials / 4)
            .into_par_iter()
            .map(|draw| {
                let rows = adaptive_sweep(&WORLD, &effects, (3, Looks::EverySeed), size, draw)?;
                Ok((claims(&rows[0]), rows[0].difference.seeds))
            })
            .collect::<Result<_, LevelError>>()?;
        let found = ends.iter().filter(|(found, _)| *found).count() as f64;
        let seeds = ends.iter().map(|(_, seeds)| *seeds as f64).sum::<f64>();
        let count = ends.len() as f64;
        println!(" {:.1} | {:.1} |", 100.0 * found / count, seeds / count);
    }
    println!();
    Ok(())
}

/// The stages of `sweeps/study.toml`: levels beside the incumbent's.
const STUDY: [usize; 7] = [2, 1, 1, 2, 2, 1, 1];

fn chains(trials: u64) -> Result<(), LevelError> {
    println!(
        "Chains of seven stages and ten levels, as sweeps/study.toml, that leave what they began with although nothing is better, in percent ({trials} trials each)\n"
    );
    println!(
        "| images | share of images' difficulty that levels have for themselves | 7 seeds | 10 seeds | 20 seeds | 10 seeds, the highest mean |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
    for (images, own_images) in [(744, 0.0), (744, 0.3), (40, 0.0), (40, 0.3)] {
        print!("| {images} | {own_images} |");
        let world = World { own_images, ..WORLD };
        for (seeds, by) in
            [(7, By::Evidence), (10, By::Evidence), (20, By::Evidence), (10, By::Mean)]
        {
            let size = Size { seeds, images };
            let astray =
                percent(trials, |draw| Ok(chain(&world, &STUDY, 0.0, by, size, draw)?.astray > 0))?;
            print!(" {astray:.1} |");
        }
        println!();
    }
    println!(
        "\nThe same chains where one level of the first stage is truly better, 10 seeds: how often it is taken, and how often any other is, in percent ({trials} trials each)\n"
    );
    println!("| effect | images | taken | astray | the highest mean: taken | astray |");
    println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
    for effect in [0.04, 0.1] {
        for images in [40, 744] {
            print!("| {effect} | {images} |");
            for by in [By::Evidence, By::Mean] {
                let size = Size { seeds: 10, images };
                let ways: Vec<Way> = (0..trials)
                    .into_par_iter()
                    .map(|draw| chain(&WORLD, &STUDY, effect, by, size, draw))
                    .collect::<Result<_, LevelError>>()?;
                let share = |is: fn(&Way) -> bool| {
                    100.0 * ways.iter().filter(|way| is(way)).count() as f64 / trials as f64
                };
                let (found, astray) = (share(|way| way.found), share(|way| way.astray > 0));
                print!(" {found:.1} | {astray:.1} |");
            }
            println!();
        }
    }
    Ok(())
}
