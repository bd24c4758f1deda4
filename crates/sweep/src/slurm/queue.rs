//! What squeue says. Its states are hints: what it does not list may have ended, may never have been
//! submitted, or may have been forgotten by a controller that was started anew.

use std::ops::RangeInclusive;

use super::mapping::JobId;

/// What squeue is asked for with `--format`: name, number of the array or job, indices, state, reason.
pub const FORMAT: &str = "%j|%F|%K|%T|%r";

/// What is known of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Queue {
    /// All there is of what was asked for.
    Known(Vec<Entry>),
    /// Nobody can tell, and why.
    Unknown(String),
}

/// A line of squeue: a job, a task of an array, or all tasks of an array that wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The job's name.
    pub name: String,
    /// Its number; that of the array for a task of one.
    pub job: JobId,
    /// The indices of the tasks; empty for a job that is no array.
    pub tasks: Vec<RangeInclusive<u32>>,
    /// What they do.
    pub state: State,
}

/// What a job in the queue does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It waits, and why in Slurm's words.
    Waits(String),
    /// It has a node.
    Runs,
    /// It is over, in Slurm's word; it goes from the queue by and by.
    Over(String),
}

impl Entry {
    /// How many tasks it stands for.
    pub fn count(&self) -> usize {
        let each = |range: &RangeInclusive<u32>| {
            u64::from(range.end().saturating_sub(*range.start())).saturating_add(1)
        };
        let tasks: u64 = self.tasks.iter().map(each).sum();
        usize::try_from(tasks).unwrap_or(usize::MAX).max(1)
    }

    /// Whether something may still come of it.
    pub fn is_live(&self) -> bool {
        !matches!(self.state, State::Over(_))
    }

    /// Whether the task of this index is among it.
    pub fn has(&self, index: usize) -> bool {
        u32::try_from(index)
            .is_ok_and(|index| self.tasks.iter().any(|range| range.contains(&index)))
    }
}

/// What squeue said, asked with [`FORMAT`].
///
/// # Errors
/// The first line that cannot be understood: whoever answers so may have left out anything.
pub fn parse(said: &str) -> Result<Vec<Entry>, String> {
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| entry(line).ok_or_else(|| line.to_owned())).collect()
}

fn entry(line: &str) -> Option<Entry> {
    let mut fields = line.splitn(5, '|').map(str::trim);
    let (name, job, tasks) = (fields.next()?, fields.next()?, fields.next()?);
    let (state, reason) = (fields.next()?, fields.next()?);
    if name.is_empty()
        || state.is_empty()
        || !state.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
    {
        return None;
    }
    Some(Entry {
        name: name.to_owned(),
        job: job.parse().ok()?,
        tasks: indices(tasks)?,
        state: state_of(state, reason),
    })
}

/// `7`, `3-9`, `0,2,5-9%4`, `0-8:2`; `N/A` for none.
fn indices(text: &str) -> Option<Vec<RangeInclusive<u32>>> {
    if text == "N/A" {
        return Some(Vec::new());
    }
    let text = text.split_once('%').map_or(text, |(text, _)| text);
    let mut ranges = Vec::new();
    for part in text.trim_start_matches('[').trim_end_matches(']').split(',') {
        let (range, step) = match part.split_once(':') {
            Some((range, step)) => (range, step.parse::<u32>().ok().filter(|&step| step > 0)?),
            None => (part, 1),
        };
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?),
            None => (range.parse().ok()?, range.parse().ok()?),
        };
        match step {
            _ if last < first => return None,
            1 => ranges.push(first..=last),
            step => ranges.extend((first..=last).step_by(step as usize).map(|index| index..=index)),
        }
    }
    Some(ranges)
}

/// By squeue(1), "JOB STATE CODES". A word that is not known is taken for work under way: not to submit
/// something twice costs less than to.
fn state_of(state: &str, reason: &str) -> State {
    match state {
        "PENDING" | "CONFIGURING" | "REQUEUED" | "REQUEUE_FED" | "REQUEUE_HOLD"
        | "RESV_DEL_HOLD" | "SPECIAL_EXIT" => State::Waits(reason.to_owned()),
        "BOOT_FAIL" | "CANCELLED" | "COMPLETED" | "DEADLINE" | "FAILED" | "LAUNCH_FAILED"
        | "NODE_FAIL" | "OUT_OF_MEMORY" | "PREEMPTED" | "RECONFIG_FAIL" | "REVOKED" | "TIMEOUT" => {
            State::Over(state.to_owned())
        }
        _ => State::Runs,
    }
}

/// The most tasks that an array may have, from what `scontrol show config` says; 0 where arrays are
/// switched off.
pub fn max_array_size(config: &str) -> Option<usize> {
    let values = config.lines().filter_map(|line| line.split_once('='));
    let (_, value) = values.into_iter().find(|(key, _)| key.trim() == "MaxArraySize")?;
    value.trim().parse().ok()
}

/// Whether users are not shown the jobs of others, from what `scontrol show config` says.
pub fn hides_jobs(config: &str) -> Option<bool> {
    let mut values = config.lines().filter_map(|line| line.split_once('='));
    let (_, value) = values.find(|(key, _)| key.trim() == "PrivateData")?;
    Some(value.split(',').any(|word| ["jobs", "all"].contains(&word.trim())))
}

/// The number in the answer of `sbatch --parsable`: `77`, or `77;cluster`.
pub fn submitted(said: &str) -> Option<JobId> {
    said.lines().last()?.split(';').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lines_of_squeue_are_read() {
        let said = "sweep.a-1.0|77|3-39%4|PENDING|JobArrayTaskLimit\n\
                    sweep.a-1.0|77|1|RUNNING|None\n\
                    sweep.a-1.0|77|0|COMPLETING|None\n\
                    sweep.a-1.0|77|2|OUT_OF_MEMORY|OutOfMemory\n\
                    sweep.a-1.0|77|40,42,44-46|PENDING|(BeginTime)\n\
                    sweep.a-1.0|77|50-56:3|REQUEUE_HOLD|launch failed requeued held\n\
                    sweep.a-1.collect|78|N/A|PENDING|Dependency\n\
                    sweep.a-1.collect|78|N/A|NEWLY_INVENTED|a|b\n\n";
        let read: Vec<String> = parse(said)
            .unwrap()
            .iter()
            .map(|entry| {
                let Entry { job, tasks, state, .. } = entry;
                format!("{job} {tasks:?} {} {state:?}", entry.count())
            })
            .collect();
        insta::assert_snapshot!(read.join("\n"), @r#"
        77 [3..=39] 37 Waits("JobArrayTaskLimit")
        77 [1..=1] 1 Runs
        77 [0..=0] 1 Runs
        77 [2..=2] 1 Over("OUT_OF_MEMORY")
        77 [40..=40, 42..=42, 44..=46] 5 Waits("(BeginTime)")
        77 [50..=50, 53..=53, 56..=56] 3 Waits("launch failed requeued held")
        78 [] 1 Waits("Dependency")
        78 [] 1 Runs
        "#);
    }

    #[test]
    fn what_is_no_line_of_squeue_is_an_error() {
        for said in [
            "slurm_load_jobs error: Unable to contact slurm controller",
            "a|77|1|RUNNING",
            "a|x|1|RUNNING|None",
            "a|77|9-3|RUNNING|None",
            "a|77|1,,2|RUNNING|None",
            "a|77|1-2:0|RUNNING|None",
            "a|77|3-9...|PENDING|None",
            "a|77|1||None",
            "|77|1|RUNNING|None",
            "a|77|1|Running 5|None",
        ] {
            assert_eq!(parse(&format!("a|1|N/A|RUNNING|None\n{said}\n")), Err(said.to_owned()));
        }
    }

    #[test]
    fn the_answers_of_scontrol_and_sbatch_are_read() {
        let config = "Configuration data as of 2026-11-26T10:39:19\nMaxArrayTasks = 5\n\
                      MaxArraySize            = 1001\nMaxJobCount = 10000\n";
        assert_eq!(max_array_size(config), Some(1001));
        assert_eq!(max_array_size("slurm_load_ctl_conf error"), None);
        for (said, hidden) in [
            ("PrivateData             = none\n", Some(false)),
            ("PrivateData = accounts,jobs,usage", Some(true)),
            ("PrivateData = all", Some(true)),
            ("Prolog = (null)", None),
        ] {
            assert_eq!(hides_jobs(said), hidden, "{said}");
        }
        for (said, number) in [
            ("77\n", Some("77")),
            ("77;cluster\n", Some("77")),
            ("sbatch: lua: you are over quota soon\n78\n", Some("78")),
            ("Submitted batch job 77\n", None),
            ("", None),
        ] {
            assert_eq!(
                submitted(said).map(|job| job.to_string()),
                number.map(str::to_owned),
                "{said}"
            );
        }
    }

    proptest! {
        #[test]
        fn nothing_that_is_said_makes_it_panic(said in "\\PC*") {
            let _ = parse(&said);
            let _ = submitted(&said);
            let _ = max_array_size(&said);
        }

        #[test]
        fn indices_are_what_slurm_writes(mut indices in proptest::collection::btree_set(0_u32..200, 1..60)) {
            let all: Vec<u32> = indices.iter().copied().collect();
            let mut parts: Vec<String> = Vec::new();
            while let Some(first) = indices.pop_first() {
                let mut last = first;
                while indices.remove(&(last + 1)) {
                    last += 1;
                }
                parts.push(if first == last { first.to_string() } else { format!("{first}-{last}") });
            }
            let line = format!("a|7|{}%3|PENDING|None", parts.join(","));
            let entry = parse(&line).unwrap().remove(0);
            prop_assert_eq!(entry.count(), all.len());
            let found: Vec<u32> = (0..200).filter(|&index| entry.has(index as usize)).collect();
            prop_assert_eq!(found, all);
        }
    }
}
