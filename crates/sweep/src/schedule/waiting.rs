//! Runs that wait, grouped by what they share.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};

use serde::Serialize;
use spec::config::{
    Augment, Backbone, Builtin, Config, Freeze, Interpolation, Pooling, Precision, Preprocessing,
};
use spec::run_id::{Fingerprints, RunId};

/// What runs of one bundle share: the frozen part of the network and the images that go through it.
/// A worker that has computed it once need not do so again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix {
    digest: [u8; 32],
    /// Whether these runs are fused: of others a worker trains one at a time.
    fused: bool,
}

/// So many fused runs are worth a bundle: each thread of a worker has several, that read the same
/// features at the same time.
const WORTH_FUSING: usize = 8;

impl Prefix {
    /// The prefix of `config` on what `fingerprints` names, where runs that can be are fused or not.
    pub fn of(config: &Config, fingerprints: &Fingerprints, fuse: bool) -> Self {
        match config {
            Config::Builtin(config) => Self::of_builtin(config, fingerprints, fuse),
            // What runs of another trainer share nobody knows: all of them, as far as we can tell.
            Config::Own(_) => Self { digest: [0; 32], fused: false },
        }
    }

    fn of_builtin(config: &Builtin, fingerprints: &Fingerprints, fuse: bool) -> Self {
        #[derive(Serialize)]
        struct Shared<'a> {
            fingerprints: &'a Fingerprints,
            image_size: u32,
            interpolation: Interpolation,
            augment: Option<&'a Augment>,
            backbone: Backbone,
            preprocessing: Preprocessing,
            freeze: &'a Freeze,
            precision: Precision,
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
            precision: config.model.precision.resolved(),
            pooling: config.model.pooling,
        };
        match serde_json::to_vec(&shared) {
            Ok(bytes) => {
                let fused = fuse && config.can_fuse();
                Self { digest: *blake3::hash(&bytes).as_bytes(), fused }
            }
            Err(error) => unreachable!("plain data always becomes JSON: {error}"),
        }
    }

    /// A prefix from a digest computed elsewhere, of runs that are fused or not.
    pub const fn from_digest(digest: [u8; 32], fused: bool) -> Self {
        Self { digest, fused }
    }

    /// Whether its runs are fused.
    pub fn is_fused(&self) -> bool {
        self.fused
    }

    /// Whether a worker that is warm for the one has nothing more to compute for the other.
    fn is_as_warm_as(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

/// Runs that wait for a slot.
#[derive(Debug, Clone, Default)]
pub struct Waiting {
    groups: Vec<(Prefix, VecDeque<RunId>)>,
    /// How long runs take, where that is known.
    lengths: HashMap<RunId, u64>,
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

    /// Takes down how long runs take, in whatever unit.
    pub(super) fn set_lengths(&mut self, lengths: impl IntoIterator<Item = (RunId, u64)>) {
        self.lengths.extend(lengths);
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
    /// What the slot is warm for comes first, then what the fewest others work on, then the group that
    /// takes longest. A bundle is half an even share of what is left of its group (guided self-scheduling,
    /// Polychronopoulos and Kuck 1987): large while much is left, single runs at the end, so that
    /// `shares` slots end at about the same time. Of fused runs it is a few even at the end.
    pub fn take(
        &mut self,
        warm: Option<Prefix>,
        busy: &[Prefix],
        shares: usize,
    ) -> Option<(Prefix, Vec<RunId>)> {
        let is_cold = |prefix: &Prefix| !warm.is_some_and(|warm| warm.is_as_warm_as(prefix));
        let others =
            |prefix: &Prefix| busy.iter().filter(|other| other.is_as_warm_as(prefix)).count();
        let lengths = &self.lengths;
        let length = |runs: &VecDeque<RunId>| -> u64 {
            let each = runs.iter().map(|run| lengths.get(run).copied().unwrap_or(1));
            each.fold(0, u64::saturating_add)
        };
        let (prefix, group) =
            self.groups.iter_mut().filter(|(_, runs)| !runs.is_empty()).min_by_key(
                |(prefix, runs)| (is_cold(prefix), others(prefix), Reverse(length(runs))),
            )?;
        let shares = shares.max(1);
        let guided = group.len().div_ceil(2 * shares);
        let size = match prefix.fused {
            true => guided.max(group.len().div_ceil(shares).min(WORTH_FUSING)),
            false => guided,
        };
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
