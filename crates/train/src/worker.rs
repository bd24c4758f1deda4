//! The worker: orders come in, events go out, one JSON object per line.

use std::cell::RefCell;
use std::io::{self, BufRead, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;

use spec::protocol::{self, Bundle, Event, FeaturesOrder, LayersOrder, Order, RunOrder};
use spec::record::Outcome;
use tch::Device;
use tracing::{error, info};

use crate::extract::extract;
use crate::layers::layers;
use crate::link::{Halt, Link, chain, failure};
use crate::trainer::Trainer;

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
    emit(&Event::Hello { version: protocol::VERSION, device: description })
        .map_err(WorkerError::Write)?;
    let mut trainer = Trainer::new(device);
    for Numbered { number, work } in works {
        let link = Link { emit: &emit, stopped: &|| stops.is_stopped(number) };
        match work {
            Work::Bundle(bundle) => {
                for order in &bundle.runs {
                    if stops.is_stopped(number) {
                        break;
                    }
                    if !run(&mut trainer, order, &bundle, &link).map_err(WorkerError::Write)? {
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

/// Trains one run and answers it, whatever happens in it. Whether another one may fare better.
fn run(
    trainer: &mut Trainer,
    order: &RunOrder,
    bundle: &Bundle,
    link: &Link<'_>,
) -> io::Result<bool> {
    (link.emit)(&Event::Started { run: order.run })?;
    info!("run {} begins", order.run);
    let ended = catch_unwind(AssertUnwindSafe(|| trainer.run(order, &bundle.cache, link)));
    let outcome = match ended {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(Halt::Emit(error))) => return Err(error),
        Ok(Err(halt)) => match halt.broken() {
            Some(cause) => {
                error!("{cause}");
                (link.emit)(&Event::Broken { cause })?;
                return Ok(false);
            }
            None => halt.outcome(),
        },
        Err(panic) => failure(&format!("a bug: {}", panic_message(&*panic))),
    };
    match &outcome {
        Outcome::Failed { cause } | Outcome::OutOfMemory { cause } => {
            error!("run {} {}: {cause}", order.run, outcome.name());
        }
        _ => info!("run {} {}", order.run, outcome.name()),
    }
    if matches!(outcome, Outcome::OutOfMemory { .. }) {
        trainer.forget();
    }
    (link.emit)(&Event::Finished { run: order.run, outcome })?;
    Ok(true)
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
