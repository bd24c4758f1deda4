//! Times the training of many heads on shared features, for `scripts/bench`: one JSON line for each
//! repetition.
//!
//! Features are noise and classes alternate: neither changes how long the arithmetic takes. Each run
//! has its own seed, and with it its own split, order and initial head.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use serde_json::json;
use spec::protocol::RunOrder;
use spec::run_id::RunId;
use train::device;
use train::lane::Lane;
use train::lanes::{Goal, Material, Plan, Said, Table, train};
use train::link::Link;
use train::loss::Loss;
use train::random::{Purpose, normal, stream};

/// Trains heads of one dense layer and says how long it took.
#[derive(Debug, Parser)]
struct Arguments {
    /// Numbers in a row of features.
    #[arg(long, default_value_t = 2048)]
    features: usize,
    /// Images, of which a fifth is set aside for validation.
    #[arg(long, default_value_t = 40)]
    images: usize,
    #[arg(long, default_value_t = 200)]
    runs: usize,
    #[arg(long, default_value_t = 50)]
    epochs: u32,
    #[arg(long, default_value_t = 100)]
    steps: u32,
    #[arg(long, default_value_t = 32)]
    batch: u32,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// One run after the other.
    #[arg(long)]
    alone: bool,
    /// Repetitions, after a short one that warms up.
    #[arg(long, default_value_t = 5)]
    repetitions: u32,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    device::set_threads(arguments.threads)?;
    let labels: Vec<u32> = (0..arguments.images).map(|image| image as u32 % 2).collect();
    let noise = |count| normal(&mut stream(1, Purpose::Backbone), 1.0, count);
    let features = noise(arguments.images * arguments.features);
    let material = Material {
        training: Table::new(&features, arguments.features),
        images: None,
        labels: labels.clone(),
        validation: None,
        test: None,
    };
    let orders = (0..arguments.runs as u64)
        .map(|seed| order(&arguments, seed))
        .collect::<Result<Vec<_>, _>>()?;
    let mut lanes = Vec::new();
    for order in &orders {
        lanes.extend(Lane::all(order, &labels).map_err(|error| format!("{error:?}"))?);
    }
    let plans: Vec<Plan<'_>> = lanes
        .iter()
        .map(|lane| Plan {
            lane,
            goal: Goal::new(Loss::Binary, 0.0),
            initializer: lane.config.model.kernel_initializer,
            class_weights: None,
        })
        .collect();
    let link = Link { emit: &|_| Ok(()), stopped: &|| false };
    let fit = |plans: &[Plan<'_>]| {
        train(plans, &material, &link, |_, said| match said {
            Said::Ended(Err(halt)) => Err(halt),
            Said::Ended(Ok(_)) | Said::Began | Said::Event(_) => Ok(()),
        })
    };
    fit(&plans[..plans.len().min(2 * arguments.threads)])?;
    let mut out = io::stdout().lock();
    for _ in 0..arguments.repetitions {
        let begun = Instant::now();
        match arguments.alone {
            true => plans.chunks(1).try_for_each(fit)?,
            false => fit(&plans)?,
        }
        let seconds = begun.elapsed().as_secs_f64();
        let steps = plans.len() as f64 * f64::from(arguments.epochs * arguments.steps);
        let line = json!({ "seconds": seconds, "microseconds_per_step": seconds / steps * 1e6 });
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn order(arguments: &Arguments, seed: u64) -> Result<RunOrder, serde_json::Error> {
    let config = serde_json::from_value(json!({
        "data": { "train": PathBuf::new(), "validation": 0.2 },
        "model": {},
        "train": {
            "epochs": arguments.epochs,
            "steps_per_epoch": arguments.steps,
            "batch_size": arguments.batch,
            "learning_rate": 1e-4 * (1.0 + (seed / 10) as f64),
        },
    }))?;
    let run = RunId::from_digest([0; 32]);
    Ok(RunOrder { run, seed, config, weights: None, weights_fingerprint: None, fingerprints: None })
}
