//! `[schedule]`: where and how a sweep runs.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use super::document::unknown_in;
use super::error::Problem;
use super::scalars;
use super::source::Reader;
use super::value::{Entry, Node, Value};
use crate::devices::Devices;
use crate::sweep::{CheckpointEvery, Schedule};

pub(super) const KEYS: [&str; 9] = [
    "devices",
    "per_device",
    "time_limit",
    "silence_limit",
    "sweep_time_limit",
    "checkpoint_every",
    "retries",
    "retry_delay",
    "set_aside_after",
];

/// More workers on one GPU than this are a slip of the finger.
const MOST_PER_DEVICE: i64 = 64;
/// More retries than this are a slip of the finger.
const MOST_RETRIES: i64 = 100;
/// More failures in a row than this are a slip of the finger.
const MOST_FAILURES: i64 = 10_000;
/// More epochs between two checkpoints than this are a slip of the finger.
const MOST_EPOCHS: i64 = 1_000_000;

/// What one file says of it; what it does not say is absent.
#[derive(Debug, Default)]
pub(super) struct WrittenSchedule {
    devices: Option<Devices>,
    per_device: Option<NonZeroU32>,
    /// `Some(None)`: switched off.
    time_limit: Option<Option<Duration>>,
    silence_limit: Option<Option<Duration>>,
    sweep_time_limit: Option<Option<Duration>>,
    checkpoint_every: Option<Option<CheckpointEvery>>,
    retries: Option<u32>,
    retry_delay: Option<Duration>,
    set_aside_after: Option<NonZeroU32>,
}

impl WrittenSchedule {
    pub(super) fn read_entry(&mut self, entry: &Entry, reader: &mut Reader<'_>) {
        let node = &entry.value;
        match entry.key.as_str() {
            "devices" => self.devices = devices("schedule.devices", node, reader),
            "per_device" => {
                let number = whole("per_device", 1..=MOST_PER_DEVICE, node, reader);
                let number = number.and_then(|number| u32::try_from(number).ok());
                self.per_device = number.and_then(NonZeroU32::new);
            }
            "time_limit" => self.time_limit = limit("time_limit", node, reader),
            "silence_limit" => self.silence_limit = limit("silence_limit", node, reader),
            "sweep_time_limit" => self.sweep_time_limit = limit("sweep_time_limit", node, reader),
            "checkpoint_every" => self.checkpoint_every = checkpoint_every(node, reader),
            "retries" => {
                let number = whole("retries", 0..=MOST_RETRIES, node, reader);
                self.retries = number.and_then(|number| u32::try_from(number).ok());
            }
            "retry_delay" => {
                self.retry_delay = duration("retry_delay", "such as \"5s\"", node, reader);
            }
            "set_aside_after" => {
                let number = whole("set_aside_after", 1..=MOST_FAILURES, node, reader);
                let number = number.and_then(|number| u32::try_from(number).ok());
                self.set_aside_after = number.and_then(NonZeroU32::new);
            }
            _ => unknown_in("schedule", &KEYS, entry, reader),
        }
    }

    /// What `layers` say together, the first over those that follow.
    pub(super) fn resolve<'a>(layers: impl Iterator<Item = &'a Self> + Clone) -> Schedule {
        fn first<'a, T>(
            mut layers: impl Iterator<Item = &'a WrittenSchedule>,
            said: impl Fn(&WrittenSchedule) -> Option<T>,
        ) -> Option<T> {
            layers.find_map(said)
        }
        let default = Schedule::default();
        let said = || layers.clone();
        Schedule {
            devices: first(said(), |layer| layer.devices.clone()).unwrap_or(default.devices),
            per_device: first(said(), |layer| layer.per_device).unwrap_or(default.per_device),
            time_limit: first(said(), |layer| layer.time_limit).unwrap_or(default.time_limit),
            silence_limit: first(said(), |layer| layer.silence_limit)
                .unwrap_or(default.silence_limit),
            sweep_time_limit: first(said(), |layer| layer.sweep_time_limit)
                .unwrap_or(default.sweep_time_limit),
            checkpoint_every: first(said(), |layer| layer.checkpoint_every)
                .unwrap_or(default.checkpoint_every),
            retries: first(said(), |layer| layer.retries).unwrap_or(default.retries),
            retry_delay: first(said(), |layer| layer.retry_delay).unwrap_or(default.retry_delay),
            set_aside_after: first(said(), |layer| layer.set_aside_after)
                .unwrap_or(default.set_aside_after),
        }
    }
}

pub(super) fn devices(path: &str, node: &Node, reader: &mut Reader<'_>) -> Option<Devices> {
    let label = match &node.value {
        Value::Text(text) => match text.parse() {
            Ok(devices) => return Some(devices),
            Err(_) => "no such devices".to_owned(),
        },
        value => format!("this is {}", value.kind()),
    };
    let problem = Problem::new(format!("`{path}` must name devices"))
        .with_help("\"auto\", \"cpu\", \"cpu:4\" (slots), \"cuda\" or \"cuda:0,1\" (GPUs)");
    reader.report(&node.span, label, problem);
    None
}

/// So many epochs, a time of a second or more, or `false` for never.
fn checkpoint_every(node: &Node, reader: &mut Reader<'_>) -> Option<Option<CheckpointEvery>> {
    let (path, help) = ("schedule.checkpoint_every", "such as \"5m\", or a number of epochs");
    match node.value {
        Value::Boolean(false) => return Some(None),
        Value::Integer(_) => {
            let epochs = scalars::whole(path, 1..=MOST_EPOCHS, node, reader)?;
            let epochs = NonZeroU32::new(u32::try_from(epochs).ok()?)?;
            return Some(Some(CheckpointEvery::Epochs(epochs)));
        }
        _ => {}
    }
    let time = scalars::duration(path, help, node, reader)?;
    let seconds = NonZeroU64::new(time.as_secs());
    if seconds.is_none() {
        let problem = Problem::new(format!("`{path}` must be a second at the least"))
            .with_help("checkpoint_every = 1 keeps every epoch, false none");
        reader.report(&node.span, "too short", problem);
    }
    Some(Some(CheckpointEvery::Seconds(seconds?)))
}

/// A time that is not zero, or `false` for none.
fn limit(key: &str, node: &Node, reader: &mut Reader<'_>) -> Option<Option<Duration>> {
    if matches!(node.value, Value::Boolean(false)) {
        return Some(None);
    }
    let time = duration(key, "such as \"90s\" or \"2h 30m\", or false for none", node, reader)?;
    if time.is_zero() {
        let problem = Problem::new(format!("`schedule.{key}` must be longer than nothing"))
            .with_help(format!("{key} = false switches it off"));
        reader.report(&node.span, "no time at all", problem);
        return None;
    }
    Some(Some(time))
}

fn duration(key: &str, help: &str, node: &Node, reader: &mut Reader<'_>) -> Option<Duration> {
    scalars::duration(&format!("schedule.{key}"), help, node, reader)
}

fn whole(
    key: &str,
    range: std::ops::RangeInclusive<i64>,
    node: &Node,
    reader: &mut Reader<'_>,
) -> Option<i64> {
    scalars::whole(&format!("schedule.{key}"), range, node, reader)
}
