//! Runs that wait, grouped by what they share.

use std::cmp::Reverse;
use std::collections::VecDeque;

use serde::Serialize;
use spec::config::{Augment, Backbone, Config, Freeze, Interpolation, Pooling, Preprocessing};
use spec::run_id::{Fingerprints, RunId};

/// What runs of one bundle share: the frozen part of the network and the images that go through it.
/// A worker that has computed it once need not do so again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix([u8; 32]);

impl Prefix {
    /// The prefix of `config` on what `fingerprints` names.
    pub fn of(config: &Config, fingerprints: &Fingerprints) -> Self {
        #[derive(Serialize)]
        struct Shared<'a> {
            fingerprints: &'a Fingerprints,
            image_size: u32,
            interpolation: Interpolation,
            augment: Option<&'a Augment>,
            backbone: Backbone,
            preprocessing: Preprocessing,
            freeze: &'a Freeze,
            pooling: Pooling,
        }
        let shared = Shared {
            fingerprints,
            image_size: config.data.image_size,
            interpolation: config.data.interpolation,
            augment: config.augment.as_ref(),
            backbone: config.model.backbone,
            preprocessing: config.model.preprocessing,
            freeze: &config.model.freeze,
            pooling: config.model.pooling,
        };
        match serde_json::to_vec(&shared) {
            Ok(bytes) => Self(*blake3::hash(&bytes).as_bytes()),
            Err(error) => unreachable!("plain data always becomes JSON: {error}"),
        }
    }

    /// A prefix from a digest computed elsewhere.
    pub const fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

/// Runs that wait for a slot.
#[derive(Debug, Clone, Default)]
pub struct Waiting {
    groups: Vec<(Prefix, VecDeque<RunId>)>,
}

impl Waiting {
    /// All of `runs`, in their order.
    pub fn new(runs: impl IntoIterator<Item = (RunId, Prefix)>) -> Self {
        let mut waiting = Self::default();
        for (run, prefix) in runs {
            waiting.group(prefix).push_back(run);
        }
        waiting
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.groups.iter().all(|(_, runs)| runs.is_empty())
    }

    /// How many runs wait.
    pub fn len(&self) -> usize {
        self.groups.iter().map(|(_, runs)| runs.len()).sum()
    }

    /// Puts runs back in front: their turn had come.
    pub fn put_back(&mut self, prefix: Prefix, runs: VecDeque<RunId>) {
        let group = self.group(prefix);
        for run in runs.into_iter().rev() {
            group.push_front(run);
        }
    }

    /// A bundle for a slot that is warm for `warm`, while other slots work on `busy`.
    ///
    /// What the slot is warm for comes first, then what the fewest others work on, then the largest
    /// group. A bundle is half an even share of what is left of its group (guided self-scheduling,
    /// Polychronopoulos and Kuck 1987): large while much is left, single runs at the end, so that
    /// `shares` slots end at about the same time.
    pub fn take(
        &mut self,
        warm: Option<Prefix>,
        busy: &[Prefix],
        shares: usize,
    ) -> Option<(Prefix, Vec<RunId>)> {
        let others = |prefix| busy.iter().filter(|&&other| other == prefix).count();
        let (prefix, group) =
            self.groups.iter_mut().filter(|(_, runs)| !runs.is_empty()).min_by_key(
                |(prefix, runs)| (warm != Some(*prefix), others(*prefix), Reverse(runs.len())),
            )?;
        let size = group.len().div_ceil(2 * shares.max(1));
        Some((*prefix, group.drain(..size).collect()))
    }

    fn group(&mut self, prefix: Prefix) -> &mut VecDeque<RunId> {
        let place = match self.groups.iter().position(|(other, _)| *other == prefix) {
            Some(place) => place,
            None => {
                self.groups.push((prefix, VecDeque::new()));
                self.groups.len() - 1
            }
        };
        &mut self.groups[place].1
    }
}
