//! `[slurm]`: what a Slurm cluster is asked for.

use std::num::NonZeroU32;
use std::time::Duration;

use super::document::unknown_in;
use super::error::Problem;
use super::scalars;
use super::source::Reader;
use super::value::{Entry, Node, Value};
use crate::slurm::Slurm;

pub(super) const KEYS: [&str; 14] = [
    "partition",
    "account",
    "qos",
    "gres",
    "constraint",
    "mem",
    "cpus",
    "time",
    "grace",
    "requeues",
    "max_concurrent",
    "runs_per_task",
    "setup",
    "flags",
];

/// No number here is larger, but by a slip of the finger.
const MOST: i64 = 1_000_000;
/// More returns to the queue than this are a slip of the finger.
const MOST_REQUEUES: i64 = 1000;
/// Slurm counts seconds ahead of the end in 16 bits.
const MOST_GRACE: Duration = Duration::from_secs(u16::MAX as u64);

/// Options of sbatch that have a key here, and it.
const HAVE_KEYS: [(&str, &str, &str); 8] = [
    ("partition", "p", "partition"),
    ("account", "A", "account"),
    ("qos", "q", "qos"),
    ("gres", "", "gres"),
    ("constraint", "C", "constraint"),
    ("mem", "", "mem"),
    ("cpus-per-task", "c", "cpus"),
    ("time", "t", "time"),
];

/// Options of sbatch on which everything hangs: a task of another array, or whose output is elsewhere,
/// could not be found again.
const OURS: [(&str, &str); 14] = [
    ("array", "a"),
    ("dependency", "d"),
    ("error", "e"),
    ("help", "h"),
    ("job-name", "J"),
    ("kill-on-invalid-dep", ""),
    ("no-requeue", ""),
    ("open-mode", ""),
    ("output", "o"),
    ("parsable", ""),
    ("requeue", ""),
    ("signal", ""),
    ("test-only", ""),
    ("wait", "W"),
];

/// What one file says of it; what it does not say is absent, and `Some(None)` is switched off.
#[derive(Debug, Default)]
pub(super) struct WrittenSlurm {
    partition: Option<Option<String>>,
    account: Option<Option<String>>,
    qos: Option<Option<String>>,
    gres: Option<Option<String>>,
    constraint: Option<Option<String>>,
    mem: Option<Option<String>>,
    cpus: Option<Option<NonZeroU32>>,
    time: Option<Option<Duration>>,
    grace: Option<Duration>,
    requeues: Option<u32>,
    max_concurrent: Option<Option<NonZeroU32>>,
    runs_per_task: Option<Option<NonZeroU32>>,
    setup: Option<Vec<String>>,
    flags: Option<Vec<String>>,
}

impl WrittenSlurm {
    pub(super) fn read_entry(&mut self, entry: &Entry, reader: &mut Reader<'_>) {
        let (key, node) = (entry.key.as_str(), &entry.value);
        match key {
            "partition" => self.partition = word(key, "\"gpu\"", node, reader),
            "account" => self.account = word(key, "\"biology\"", node, reader),
            "qos" => self.qos = word(key, "\"normal\"", node, reader),
            "gres" => self.gres = word(key, "\"gpu:1\"", node, reader),
            "constraint" => self.constraint = word(key, "\"a100|h100\"", node, reader),
            "mem" => self.mem = memory(node, reader),
            "cpus" => self.cpus = number(key, node, reader),
            "time" => self.time = time(node, reader),
            "grace" => self.grace = grace(node, reader),
            "requeues" => {
                let requeues = scalars::whole("slurm.requeues", 0..=MOST_REQUEUES, node, reader);
                self.requeues = requeues.and_then(|number| u32::try_from(number).ok());
            }
            "max_concurrent" => self.max_concurrent = number(key, node, reader),
            "runs_per_task" => self.runs_per_task = number(key, node, reader),
            "setup" => {
                let example = "\"module load cuda\"";
                self.setup = scalars::lines("slurm.setup", example, unfit_setup, node, reader);
            }
            "flags" => {
                let example = "\"--exclude=n7\"";
                self.flags = scalars::lines("slurm.flags", example, unfit_flag, node, reader);
            }
            _ => unknown_in("slurm", &KEYS, entry, reader),
        }
    }

    /// What `layers` say together, the first over those that follow.
    pub(super) fn resolve<'a>(layers: impl Iterator<Item = &'a Self> + Clone) -> Slurm {
        fn first<'a, T>(
            mut layers: impl Iterator<Item = &'a WrittenSlurm>,
            said: impl Fn(&WrittenSlurm) -> Option<T>,
        ) -> Option<T> {
            layers.find_map(said)
        }
        let default = Slurm::default();
        let said = || layers.clone();
        Slurm {
            partition: first(said(), |layer| layer.partition.clone()).flatten(),
            account: first(said(), |layer| layer.account.clone()).flatten(),
            qos: first(said(), |layer| layer.qos.clone()).flatten(),
            gres: first(said(), |layer| layer.gres.clone()).flatten(),
            constraint: first(said(), |layer| layer.constraint.clone()).flatten(),
            mem: first(said(), |layer| layer.mem.clone()).flatten(),
            cpus: first(said(), |layer| layer.cpus).flatten(),
            time: first(said(), |layer| layer.time).flatten(),
            grace: first(said(), |layer| layer.grace).unwrap_or(default.grace),
            requeues: first(said(), |layer| layer.requeues).unwrap_or(default.requeues),
            max_concurrent: first(said(), |layer| layer.max_concurrent).flatten(),
            runs_per_task: first(said(), |layer| layer.runs_per_task).flatten(),
            setup: first(said(), |layer| layer.setup.clone()).unwrap_or_default(),
            flags: first(said(), |layer| layer.flags.clone()).unwrap_or_default(),
        }
    }
}

/// What stands behind `=` in an option: one word, or `false` for none.
fn word(key: &str, example: &str, node: &Node, reader: &mut Reader<'_>) -> Option<Option<String>> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '"' || c == '\'';
    let label = match &node.value {
        Value::Boolean(false) => return Some(None),
        Value::Text(text) if text.is_empty() => "empty".to_owned(),
        Value::Text(text) if text.contains(odd) => "this is more than a word".to_owned(),
        Value::Text(text) => return Some(Some(text.clone())),
        value => format!("this is {}", value.kind()),
    };
    let problem = Problem::new(format!("`slurm.{key}` must be a word"))
        .with_help(format!("such as {example}, or false for none"));
    reader.report(&node.span, label, problem);
    None
}

fn memory(node: &Node, reader: &mut Reader<'_>) -> Option<Option<String>> {
    let label = match &node.value {
        Value::Boolean(false) => return Some(None),
        Value::Text(text) => {
            let digits = text.trim_end_matches(['K', 'M', 'G', 'T']);
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            if is_number && text.len() - digits.len() <= 1 {
                return Some(Some(text.clone()));
            }
            "not as Slurm writes memory".to_owned()
        }
        value => format!("this is {}", value.kind()),
    };
    let problem = Problem::new("`slurm.mem` must be an amount of memory")
        .with_help("such as \"16G\" (K, M, G or T), or false for the cluster's own default");
    reader.report(&node.span, label, problem);
    None
}

fn number(key: &str, node: &Node, reader: &mut Reader<'_>) -> Option<Option<NonZeroU32>> {
    if matches!(node.value, Value::Boolean(false)) {
        return Some(None);
    }
    let number = scalars::whole(&format!("slurm.{key}"), 1..=MOST, node, reader)?;
    u32::try_from(number).ok().and_then(NonZeroU32::new).map(Some)
}

fn time(node: &Node, reader: &mut Reader<'_>) -> Option<Option<Duration>> {
    let label = match &node.value {
        Value::Boolean(false) => return Some(None),
        Value::Text(text) => {
            let time = slurm_time(text).or_else(|| humantime::parse_duration(text).ok());
            match time {
                Some(time) if time >= Duration::from_secs(60) => return Some(Some(time)),
                Some(_) => "less than the minute that Slurm counts in".to_owned(),
                None => "not a time".to_owned(),
            }
        }
        value => format!("this is {}", value.kind()),
    };
    let problem = Problem::new("`slurm.time` must be a time of a minute or more").with_help(
        "such as \"90m\", \"1day 12h\" or \"1-12:00:00\", or false for the cluster's own limit",
    );
    reader.report(&node.span, label, problem);
    None
}

fn grace(node: &Node, reader: &mut Reader<'_>) -> Option<Duration> {
    let grace = scalars::duration("slurm.grace", "such as \"2m\"", node, reader)?;
    if grace > MOST_GRACE || grace < Duration::from_secs(1) {
        let problem = Problem::new("`slurm.grace` must be from 1 to 65535 seconds")
            .with_help("Slurm knows no other times ahead of the end");
        reader.report(&node.span, "Slurm cannot count this", problem);
        return None;
    }
    Some(grace)
}

/// Slurm's own notation: `HH:MM:SS`, `D-HH`, `D-HH:MM` or `D-HH:MM:SS`. Minutes alone and `MM:SS` are left
/// out: who reads `90` or `2:30` takes it for something else.
fn slurm_time(text: &str) -> Option<Duration> {
    let (days, rest) = match text.split_once('-') {
        Some((days, rest)) => (Some(days.parse::<u64>().ok()?), rest),
        None => (None, text),
    };
    let parts = rest.split(':').map(|part| part.parse::<u64>().ok());
    let parts: Vec<u64> = parts.collect::<Option<_>>()?;
    let (hours, minutes, seconds) = match (days, parts.as_slice()) {
        (_, [hours, minutes, seconds]) => (*hours, *minutes, *seconds),
        (Some(_), [hours, minutes]) => (*hours, *minutes, 0),
        (Some(_), [hours]) => (*hours, 0, 0),
        _ => return None,
    };
    let hours = days.unwrap_or(0).checked_mul(24)?.checked_add(hours)?;
    let minutes = hours.checked_mul(60)?.checked_add(minutes)?;
    Some(Duration::from_secs(minutes.checked_mul(60)?.checked_add(seconds)?))
}

/// Why a line of `setup` may not be there: Slurm reads options up to the first command alone, so such a line is no
/// option, or one of the wrong job.
fn unfit_setup(line: &str) -> Option<String> {
    line.trim_start()
        .starts_with("#SBATCH")
        .then(|| "an option of sbatch: it belongs in flags".to_owned())
}

/// Why a line of `flags` may not be there.
fn unfit_flag(line: &str) -> Option<String> {
    if !line.starts_with('-') {
        return Some("an option begins with -".to_owned());
    }
    line.split_whitespace().filter(|word| word.starts_with('-')).find_map(|word| {
        let is = |long: &str, short: &str| match word.strip_prefix("--") {
            // sbatch takes an option by its beginning too.
            Some(name) => {
                let name = name.split('=').next().unwrap_or_default();
                name == long || (name.len() > 2 && long.starts_with(name) && name != "mem")
            }
            None => !short.is_empty() && word[1..].starts_with(short),
        };
        let key = HAVE_KEYS.iter().find(|(long, short, _)| is(long, short));
        let key = key.map(|(_, _, key)| format!("write {key} = ... in [slurm]"));
        let ours = OURS.iter().find(|(long, short)| is(long, short));
        key.or_else(|| ours.map(|(long, _)| format!("sweep sets --{long} itself")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_slurm_writes_them() {
        let table = [
            ("1-12:00:00", Some(36 * 3600)),
            ("2-0", Some(48 * 3600)),
            ("0-1:30", Some(5400)),
            ("01:02:03", Some(3723)),
            ("90", None),
            ("2:30", None),
            ("1-", None),
            ("-1:00:00", None),
            ("99999999999999999999-1", None),
            ("18446744073709551615-1", None),
        ];
        for (text, seconds) in table {
            assert_eq!(slurm_time(text), seconds.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn flags_do_not_take_away_what_everything_hangs_on() {
        let table = [
            ("--exclude=n7", true),
            ("--exclusive", true),
            ("--mem-per-cpu=2G", true),
            ("--mail-type=END --mail-user=me@here", true),
            ("-w n1", true),
            ("--comment=\"two words\"", true),
            ("exclude=n7", false),
            ("--array=1-2", false),
            ("--arr=1-2", false),
            ("-a1-2", false),
            ("--nice --output=x", false),
            ("--mem=2G", false),
            ("-t 5", false),
        ];
        for (flag, fits) in table {
            assert_eq!(unfit_flag(flag).is_none(), fits, "{flag}: {:?}", unfit_flag(flag));
        }
    }
}
