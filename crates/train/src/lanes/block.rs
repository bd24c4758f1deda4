//! All fits, spread over threads.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, SyncSender};

use spec::protocol::Event;

use super::columns::{Columns, pass};
use super::fitting::{Answers, Fitting, Material, Plan};
use crate::link::{Halt, Link};

/// Fits that one thread trains side by side. A tile of features that is in the cache for one is there
/// for the others; more than a few gain nothing.
const SIDE_BY_SIDE: usize = 8;

/// What may wait to be heard: whoever trains faster than anybody reads waits too, in place of filling memory.
const UNHEARD: usize = 1024;

/// Something that a fit has to say.
#[derive(Debug)]
pub enum Said {
    /// It begins.
    Began,
    /// An event about its run.
    Event(Event),
    /// It has ended. One that ends without having begun was stopped before.
    Ended(Result<Answers, Halt>),
}

/// Trains all of `plans` on the threads of rayon's pool. `hear` is told what each says, by its place
/// among the plans, on the thread that calls; an error from it stops all.
///
/// Each thread trains a few side by side and takes up the next whenever one of them ends; threads never
/// wait for each other.
///
/// # Errors
/// The first that `hear` returns.
pub fn train(
    plans: &[Plan<'_>],
    material: &Material,
    link: &Link<'_>,
    mut hear: impl FnMut(usize, Said) -> Result<(), Halt>,
) -> Result<(), Halt> {
    let threads = rayon::current_num_threads().min(plans.len());
    let side_by_side = plans.len().div_ceil(threads.max(1)).min(SIDE_BY_SIDE);
    let next = AtomicUsize::new(0);
    let (sender, said) = mpsc::sync_channel(UNHEARD);
    let stopped = link.stopped;
    rayon::in_place_scope(|scope| {
        for _ in 0..threads {
            let (next, sender) = (&next, sender.clone());
            scope.spawn(move |_| {
                let block = Block { plans, next, material, stopped, sender };
                // Where nobody hears any more there is nothing left to do.
                let _ = block.work(side_by_side);
            });
        }
        // The threads' senders alone keep `said` open; on an error it goes, and they end.
        drop(sender);
        said.into_iter().try_for_each(|(at, what)| hear(at, what))
    })
}

/// What one thread does.
struct Block<'a> {
    plans: &'a [Plan<'a>],
    /// The place of the next plan to take up.
    next: &'a AtomicUsize,
    material: &'a Material,
    stopped: &'a (dyn Fn() -> bool + Sync),
    sender: SyncSender<(usize, Said)>,
}

/// A fit and its place among the plans.
struct Placed<'a> {
    at: usize,
    fitting: Fitting<'a>,
}

impl AsMut<Columns> for Placed<'_> {
    fn as_mut(&mut self) -> &mut Columns {
        self.fitting.as_mut()
    }
}

/// Nobody hears what is said.
struct Gone;

impl<'a> Block<'a> {
    fn work(&self, side_by_side: usize) -> Result<(), Gone> {
        let mut fits: Vec<Placed<'a>> = Vec::new();
        loop {
            while fits.len() < side_by_side
                && let Some((at, plan)) = self.take_up()
            {
                match self.linked(at, |link| self.begin(at, plan, link)) {
                    Ok(fitting) => fits.push(Placed { at, fitting }),
                    Err(halt) => self.say(at, Said::Ended(Err(halt)))?,
                }
            }
            if fits.is_empty() {
                return Ok(());
            }
            pass(&self.material.training, &mut fits);
            let mut place = 0;
            while let Some(Placed { at, fitting }) = fits.get_mut(place) {
                let at = *at;
                let ended = match self.linked(at, |link| fitting.go_on(link)) {
                    Ok(false) => {
                        place += 1;
                        continue;
                    }
                    Ok(true) => {
                        let Placed { fitting, .. } = fits.swap_remove(place);
                        self.linked(at, |link| fitting.answer(link))
                    }
                    Err(halt) => {
                        fits.swap_remove(place);
                        Err(halt)
                    }
                };
                self.say(at, Said::Ended(ended))?;
            }
        }
    }

    fn take_up(&self) -> Option<(usize, &'a Plan<'a>)> {
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        self.plans.get(at).map(|plan| (at, plan))
    }

    fn begin(&self, at: usize, plan: &'a Plan<'a>, link: &Link<'_>) -> Result<Fitting<'a>, Halt> {
        link.check()?;
        self.say(at, Said::Began).map_err(|Gone| Halt::Emit(broken()))?;
        Fitting::begin(plan, self.material, link)
    }

    /// Does something with a link whose events are said for the plan at this place.
    fn linked<T>(&self, at: usize, act: impl FnOnce(&Link<'_>) -> T) -> T {
        let emit =
            |event: &Event| self.say(at, Said::Event(event.clone())).map_err(|Gone| broken());
        act(&Link { emit: &emit, stopped: self.stopped })
    }

    fn say(&self, at: usize, what: Said) -> Result<(), Gone> {
        self.sender.send((at, what)).map_err(|_| Gone)
    }
}

fn broken() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}
