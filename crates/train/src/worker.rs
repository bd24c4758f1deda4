//! The worker: orders come in, events go out, one JSON object per line.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{self, BufRead, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;

use spec::protocol::{self, Bundle, Event, FeaturesOrder, LayersOrder, Order};
use spec::record::Outcome;
use spec::run_id::RunId;
use tch::Device;
use tracing::{error, info};

use crate::checkpoint::Places;
use crate::device::DeviceError;
use crate::extract::extract;
use crate::layers::layers;
use crate::link::{Halt, Link, chain, failure};
use crate::together::{Group, groups};
use crate::trainer::{Told, Trainer};

/// Why a worker ended before its orders did.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum WorkerError {
    #[error("line {number} of the orders is none: {line}")]
    Garbage { number: u64, line: String, source: serde_json::Error },
    #[error("the orders cannot be read")]
    Read(#[source] io::Error),
    #[error("the events cannot be written")]
    Write(#[source] io::Error),
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// How many orders for work have come in, and up to which of them work is to stop. Counting keeps a stop from
/// hitting a bundle that was ordered after it.
#[derive(Debug, Default)]
struct Stops {
    received: AtomicU64,
    stopped: AtomicU64,
}

impl Stops {
    fn receive(&self) -> u64 {
        self.received.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn stop_all(&self) {
        self.stopped.store(self.received.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    fn is_stopped(&self, number: u64) -> bool {
        number <= self.stopped.load(Ordering::SeqCst)
    }
}

/// Something to do and its number.
struct Numbered {
    number: u64,
    work: Work,
}

enum Work {
    Bundle(Bundle),
    Features(FeaturesOrder),
    Layers(LayersOrder),
}

/// Works until `orders` end: takes bundles, trains their runs, writes events to `events`.
///
/// The end of the orders also stops the current run, since whoever would want its result is gone.
///
/// # Errors
/// When an order cannot be read or an event not be written.
pub fn work(
    orders: impl BufRead + Send + 'static,
    events: impl Write,
    device: Device,
    description: String,
) -> Result<(), WorkerError> {
    let stops = Arc::new(Stops::default());
    let (sender, works) = mpsc::channel();
    let reader = {
        let stops = Arc::clone(&stops);
        thread::spawn(move || {
            let end = read(orders, &sender, &stops);
            stops.stop_all();
            end
        })
    };
    let events = RefCell::new(events);
    let emit = |event: &Event| {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        let mut events = events.borrow_mut();
        events.write_all(&line)?;
        events.flush()
    };
    let mut trainer = Trainer::new(device)?;
    emit(&Event::Hello { version: protocol::VERSION, device: description })
        .map_err(WorkerError::Write)?;
    for Numbered { number, work } in works {
        let link = Link { emit: &emit, stopped: &|| stops.is_stopped(number) };
        match work {
            Work::Bundle(bundle) => {
                let checkpoints = bundle.checkpoints.as_ref();
                let places = Places { cache: &bundle.cache, checkpoints };
                for group in groups(&bundle.runs, bundle.fuse) {
                    if stops.is_stopped(number) {
                        break;
                    }
                    let fine = train(&mut trainer, &group, places, &link);
                    if !fine.map_err(WorkerError::Write)? {
                        break;
                    }
                }
            }
            Work::Features(order) => {
                features(&order, device, &link).map_err(WorkerError::Write)?;
            }
            Work::Layers(order) => {
                let event = match layers(&order) {
                    Ok(layers) => Event::Layers { layers },
                    Err(error) => Event::NoLayers { cause: error.to_string() },
                };
                emit(&event).map_err(WorkerError::Write)?;
            }
        }
        emit(&Event::Idle).map_err(WorkerError::Write)?;
    }
    match reader.join() {
        Ok(end) => end,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Reads orders until they end.
fn read(orders: impl BufRead, works: &Sender<Numbered>, stops: &Stops) -> Result<(), WorkerError> {
    for (line, number) in orders.lines().zip(1..) {
        let line = line.map_err(WorkerError::Read)?;
        let work = match serde_json::from_str(&line) {
            Ok(Order::Bundle(bundle)) => Work::Bundle(bundle),
            Ok(Order::Features(order)) => Work::Features(order),
            Ok(Order::Layers(order)) => Work::Layers(order),
            Ok(Order::Stop) => {
                stops.stop_all();
                continue;
            }
            Err(source) => return Err(WorkerError::Garbage { number, line, source }),
        };
        // The other end is gone only when events can no longer be written.
        if works.send(Numbered { number: stops.receive(), work }).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Trains the runs of a group and answers them, whatever happens in them. Whether others may fare better.
fn train(
    trainer: &mut Trainer,
    group: &Group<'_>,
    places: Places<'_>,
    link: &Link<'_>,
) -> io::Result<bool> {
    let mut hands = Hands::default();
    let trained = catch_unwind(AssertUnwindSafe(|| {
        trainer.train(group, places, link, &mut |run, told| match told {
            Told::Begun => hands.begin(run, link).map_err(Halt::Emit),
            Told::Ended(Ok(outcome)) => hands.end(run, outcome, link).map_err(Halt::Emit),
            Told::Ended(Err(Halt::Emit(error))) => Err(Halt::Emit(error)),
            Told::Ended(Err(halt)) => hands.end(run, halt.outcome(), link).map_err(Halt::Emit),
        })
    }));
    let outcome = match trained {
        Ok(Ok(())) => None,
        Ok(Err(Halt::Emit(error))) => return Err(error),
        Ok(Err(halt)) => match halt.broken() {
            Some(cause) => {
                error!("{cause}");
                (link.emit)(&Event::Broken { cause })?;
                return Ok(false);
            }
            None => Some(halt.outcome()),
        },
        Err(panic) => Some(failure(&format!("a bug: {}", panic_message(&*panic)))),
    };
    if let Some(outcome) = outcome {
        for order in &group.runs {
            // Stopped before it began: not answered.
            let stopped = matches!(outcome, Outcome::Interrupted { .. });
            if hands.ended.contains(&order.run) || stopped && !hands.begun.contains(&order.run) {
                continue;
            }
            hands.begin(order.run, link)?;
            hands.end(order.run, outcome.clone(), link)?;
        }
    }
    if hands.out_of_memory {
        trainer.forget();
    }
    Ok(true)
}

/// Runs that train together, by how far they are.
#[derive(Debug, Default)]
struct Hands {
    begun: HashSet<RunId>,
    ended: HashSet<RunId>,
    out_of_memory: bool,
}

impl Hands {
    /// Says that a run begins, unless that was said.
    fn begin(&mut self, run: RunId, link: &Link<'_>) -> io::Result<()> {
        if !self.begun.insert(run) {
            return Ok(());
        }
        info!("run {run} begins");
        (link.emit)(&Event::Started { run })
    }

    /// Says how a run ended.
    fn end(&mut self, run: RunId, outcome: Outcome, link: &Link<'_>) -> io::Result<()> {
        self.ended.insert(run);
        match &outcome {
            Outcome::Failed { cause } | Outcome::OutOfMemory { cause } => {
                error!("run {run} {}: {cause}", outcome.name());
            }
            _ => info!("run {run} {}", outcome.name()),
        }
        self.out_of_memory |= matches!(outcome, Outcome::OutOfMemory { .. });
        (link.emit)(&Event::Finished { run, outcome })
    }
}

/// Answers an order for features, whatever happens in it.
fn features(order: &FeaturesOrder, device: Device, link: &Link<'_>) -> io::Result<()> {
    let cause = match catch_unwind(AssertUnwindSafe(|| extract(order, device, link))) {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(Halt::Emit(error))) => return Err(error),
        Ok(Err(halt)) => chain(&halt),
        Err(panic) => format!("a bug: {}", panic_message(&*panic)),
    };
    error!("no features: {cause}");
    (link.emit)(&Event::NoFeatures { cause })
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    if let Some(message) = panic.downcast_ref::<String>() {
        message
    } else if let Some(message) = panic.downcast_ref::<&str>() {
        message
    } else {
        "a panic without a message"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_hits_what_came_before_it() {
        let stops = Stops::default();
        let (first, second) = (stops.receive(), stops.receive());
        assert!(!stops.is_stopped(first));
        stops.stop_all();
        let third = stops.receive();
        assert!(stops.is_stopped(first) && stops.is_stopped(second) && !stops.is_stopped(third));
    }
}
