//! `sweep adapt`: a worker for any program.
//!
//! To the orchestrator it is a worker as any other; for each run it starts the program that the run's
//! `[trainer]` names, tells it what to train in a file, in variables and in its arguments, and understands
//! what it says. So there is one protocol, and all that the orchestrator does for a worker it does for any
//! program. `docs/trainers.md` tells users.

mod conclude;
mod listen;
mod predictions;
mod run;
mod said;
mod told;

use std::io::{self, Write as _};
use std::time::Duration;

use miette::Diagnostic;
use spec::config::Config;
use spec::protocol::{self, Bundle, Event, Order};
use spec::record::Outcome;
use thiserror::Error;

use crate::exit::{self, Ends};
use listen::{Ears, Heard};
use run::Ended;

/// How long a program may take to end when it was asked to.
const GRACE: Duration = Duration::from_secs(10);

/// Where the programs run.
#[derive(Debug, Clone)]
pub struct Place {
    /// `cpu` or `cuda`.
    pub device: String,
    /// Threads that they may use.
    pub threads: usize,
}

/// The adapter cannot go on.
#[derive(Debug, Error, Diagnostic)]
pub enum AdaptError {
    /// Nobody hears it, or signals cannot be caught.
    #[error("the adapter cannot go on: {0}")]
    Io(#[from] io::Error),
}

impl Ends for AdaptError {
    fn exit_code(&self) -> u8 {
        exit::ENVIRONMENT
    }
}

/// Says one event.
fn say(event: &Event) -> io::Result<()> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(&line)?;
    stdout.flush()
}

/// Works until the orders end.
///
/// # Errors
/// When nobody hears what it says.
pub fn adapt(place: &Place) -> Result<u8, AdaptError> {
    let ears = Ears::open()?;
    say(&Event::Hello { version: protocol::VERSION, device: describe(place) })?;
    while let Some(heard) = ears.wait(None) {
        match heard {
            Heard::Order(Order::Bundle(bundle)) => {
                if !train(&bundle, place, &ears)? {
                    break;
                }
            }
            Heard::Order(Order::Features(_)) => {
                say(&Event::NoFeatures { cause: NOT_BUILT_IN.to_owned() })?;
                say(&Event::Idle)?;
            }
            Heard::Order(Order::Layers(_)) => {
                say(&Event::NoLayers { cause: NOT_BUILT_IN.to_owned() })?;
                say(&Event::Idle)?;
            }
            Heard::NoMoreOrders | Heard::Terminate => break,
            // The last run's, or a stop after it.
            Heard::Order(Order::Stop) | Heard::Program(..) => {}
        }
    }
    Ok(exit::DONE)
}

const NOT_BUILT_IN: &str = "only the built-in trainer has features and layers";

fn describe(Place { device, threads }: &Place) -> String {
    match std::env::var("CUDA_VISIBLE_DEVICES") {
        Ok(gpu) if device == "cuda" => format!("GPU {gpu}"),
        _ => format!("{device} ({threads} thread{})", if *threads == 1 { "" } else { "s" }),
    }
}

/// Whether more may come.
fn train(bundle: &Bundle<Config>, place: &Place, ears: &Ears) -> io::Result<bool> {
    for order in &bundle.runs {
        say(&Event::Started { run: order.run })?;
        let ended = match &order.config {
            Config::Own(config) => {
                let kept = bundle.checkpoints.as_ref();
                run::run(order, config, kept, place, ears)?
            }
            Config::Builtin(_) => Ended::With(Outcome::Failed {
                cause: "this run is for the built-in trainer".to_owned(),
            }),
        };
        match ended {
            Ended::With(outcome) => {
                let stops = !outcome.is_settled();
                say(&Event::Finished { run: order.run, outcome })?;
                if stops {
                    break;
                }
            }
            Ended::Broken(cause) => {
                say(&Event::Broken { cause })?;
                break;
            }
            Ended::Crashed(how) => how.share(),
            Ended::Leave => return Ok(false),
        }
    }
    say(&Event::Idle)?;
    Ok(true)
}
